//! One migration that the world took: where it stands and what it says of itself.
//!
//! Never here: what happens next to it.

use whimbrel_core::{
    cluster::{CallState, CompletedStats, JobProgress, OrderReport},
    ports::Order,
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};

use crate::{network::Flow, physics::Draws, precopy::PreCopy};

/// A migration that the world took, and how it stands.
#[derive(Debug, Clone)]
pub(super) struct Migration {
    pub(super) order: Order,
    pub(super) vm: usize,
    pub(super) from: usize,
    pub(super) to: usize,
    /// The program that asked for it still listens.
    pub(super) call_held: bool,
    pub(super) phase: Phase,
    pub(super) call: CallState,
    /// Known from the arrival on, told when the call returns.
    pub(super) stats: Option<CompletedStats>,
    pub(super) begun_at: Timestamp,
    pub(super) draws: Draws,
    pub(super) copy: PreCopy,
    /// Payload rate, bytes a second; in force since `settled_at`.
    pub(super) rate: f64,
    pub(super) settled_at: Timestamp,
    pub(super) downtime: Span,
    /// When its next step is due, and the turn that it was scheduled in: one of an earlier turn is
    /// stale.
    pub(super) due: Timestamp,
    pub(super) turn: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Preparing,
    Copying,
    SwitchingOver,
    Cancelling,
    Over,
}

impl Migration {
    /// Bytes that it put on the wire as of its last step.
    pub(super) fn transferred(&self) -> Bytes {
        self.copy.transferred()
    }

    /// What its source says of its job.
    pub(super) fn progress(&self, now: Timestamp) -> JobProgress {
        let mut copy = self.copy.clone();
        if self.phase == Phase::Copying {
            copy.advance(now.since(self.settled_at), self.rate);
        }
        JobProgress {
            elapsed: now.since(self.begun_at),
            remaining: copy.remaining(),
            transferred: copy.transferred(),
            total: self.copy.total(),
            bandwidth: BytesPerSecond::new(self.rate.round() as u64),
            dirty_rate: copy.dirty_rate(),
            iteration: copy.syncs(),
            ..JobProgress::default()
        }
    }

    /// What its call says, while somebody holds it.
    pub(super) fn report(&self) -> Option<OrderReport> {
        self.call_held.then(|| OrderReport {
            id: self.order.id.clone(),
            call: self.call.clone(),
            stats: self.stats.filter(|_| self.call == CallState::Returned),
        })
    }

    /// What it asks of the links.
    pub(super) fn flow(&self, stuck: bool) -> Flow {
        let cap = match self.phase {
            Phase::Copying if !stuck => {
                self.order.settings.bandwidth_limit.map_or(f64::INFINITY, BytesPerSecond::as_f64)
            }
            Phase::SwitchingOver => f64::INFINITY,
            _ => 0.0,
        };
        Flow { from: self.from, to: self.to, cap }
    }

    pub(super) fn stats(&self, now: Timestamp) -> CompletedStats {
        let total_time = now.since(self.begun_at);
        let transferred = self.copy.transferred();
        let (normal_pages, zero_pages) = self.copy.pages_sent();
        let flowed = total_time.saturating_sub(self.draws.setup).as_seconds_f64().max(1e-6);
        CompletedStats {
            total_time,
            downtime: self.downtime,
            setup_time: self.draws.setup,
            transferred,
            normal_pages,
            zero_pages,
            iterations: self.copy.syncs(),
            bandwidth: BytesPerSecond::new((transferred.as_f64() / flowed).round() as u64),
            ..CompletedStats::default()
        }
    }
}
