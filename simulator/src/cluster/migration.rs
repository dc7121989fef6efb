//! One migration that the world took: where it stands and what it says of itself.
//!
//! Never here: what happens next to it.

use whimbrel_core::{
    cluster::{CallState, CompletedStats, DeltaCoding, JobProgress, OrderReport},
    ports::Order,
    units::{Bytes, BytesPerSecond, MilliCores, Span, Timestamp},
};

use super::Happening;
use crate::{
    copy::{PageCopy, classes::ClassBitmap},
    network::Flow,
    physics::{Draws, Physics},
};

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
    pub(super) copy: PageCopy<ClassBitmap>,
    /// Payload rate, bytes a second; in force since `settled_at`.
    pub(super) rate: f64,
    pub(super) settled_at: Timestamp,
    pub(super) downtime: Span,
    /// CPU that it is charged for at its source and at its target.
    pub(super) charged: [MilliCores; 2],
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
    /// The guest stands still to be moved: post-copy's switch.
    Moving,
    /// The guest runs at its target and waits for what it misses. No way back.
    Serving,
    Cancelling,
    Over,
}

impl Migration {
    /// Bytes that it put on the wire as of its last step.
    pub(super) fn transferred(&self) -> Bytes {
        self.copy.transferred()
    }

    /// CPU that it needs at its source and at its target.
    pub(super) fn cores(&self) -> [MilliCores; 2] {
        let sends = !matches!(self.phase, Phase::Preparing | Phase::Over);
        let (sender, receiver) = if sends { self.copy.cores(self.rate) } else { (0.0, 0.0) };
        [sender, receiver].map(|cores| MilliCores::new((cores * 1000.0).round() as u64))
    }

    /// The host where its guest runs.
    pub(super) fn guest_host(&self) -> usize {
        if self.phase == Phase::Serving { self.to } else { self.from }
    }

    /// What its guest and the guest's users felt of it.
    pub(super) fn felt(&self) -> Happening {
        Happening::Felt {
            order: self.order.id.clone(),
            service_gap: self.downtime + self.draws.announcement,
            work_lost: Span::from_seconds_f64(self.copy.lost_seconds()).rounded(),
            faults: self.copy.faults(),
        }
    }

    /// What its source says of its job.
    pub(super) fn progress(&self, now: Timestamp, physics: &Physics) -> JobProgress {
        let mut copy = self.copy.clone();
        let passed = now.since(self.settled_at);
        match self.phase {
            Phase::Copying => copy.advance(passed, self.rate),
            Phase::Serving => copy.serve(passed, self.rate, physics),
            _ => {}
        }
        let sent = copy.sent();
        JobProgress {
            elapsed: now.since(self.begun_at),
            remaining: copy.remaining(),
            transferred: copy.transferred(),
            total: self.copy.total(),
            bandwidth: BytesPerSecond::new(self.rate.round() as u64),
            dirty_rate: copy.dirty_rate(),
            iteration: copy.reads(),
            normal_pages: sent.normal.round() as u64,
            zero_pages: sent.zero.round() as u64,
            throttle_percent: copy.throttle_percent(),
            post_copy_requests: copy.faults(),
            delta: delta(&copy),
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
            // What is lost on the way is asked of the link on top.
            Phase::Copying | Phase::Serving if !stuck => self.copy.demand() / self.draws.efficiency,
            Phase::SwitchingOver | Phase::Moving => f64::INFINITY,
            _ => 0.0,
        };
        Flow { from: self.from, to: self.to, cap }
    }

    pub(super) fn stats(&self, now: Timestamp) -> CompletedStats {
        let total_time = now.since(self.begun_at);
        let transferred = self.copy.transferred();
        let sent = self.copy.sent();
        let flowed = total_time.saturating_sub(self.draws.setup).as_seconds_f64().max(1e-6);
        CompletedStats {
            total_time,
            downtime: self.downtime,
            setup_time: self.draws.setup,
            transferred,
            normal_pages: sent.normal.round() as u64,
            zero_pages: sent.zero.round() as u64,
            iterations: self.copy.reads(),
            bandwidth: BytesPerSecond::new((transferred.as_f64() / flowed).round() as u64),
            throttle_percent: self.copy.throttle_percent(),
            post_copy_requests: self.copy.faults(),
            delta: delta(&self.copy),
        }
    }
}

fn delta(copy: &PageCopy<ClassBitmap>) -> DeltaCoding {
    let sent = copy.sent();
    DeltaCoding {
        pages: sent.deltas.round() as u64,
        bytes: sent.delta_bytes.round() as u64,
        misses: sent.misses.round() as u64,
    }
}
