//! What came of a storm.
//!
//! Never here: how it came about.

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Bytes, Span, Timestamp};

use super::queue::Next;

/// How a migration ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The guest runs at its target.
    Arrived,
    /// The guest was at its target before.
    AlreadyThere,
    /// It was given up at its time-out; the guest runs at its source.
    TimedOut,
    /// It was given up as its rounds left no less to send; the guest runs at its source.
    Stalled,
}

/// A migration that is over. Times are counted from the storm's beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Its position in the list, or how many were drawn before it.
    pub number: u32,
    /// Which guest.
    pub guest: u32,
    /// From which host.
    pub from: u32,
    /// To which host it was to go.
    pub to: u32,
    /// When it began.
    pub begun_at: Span,
    /// When it was over.
    pub ended_at: Span,
    /// How long the guest stood still.
    pub downtime: Span,
    /// Bytes on the wire.
    pub sent: Bytes,
    /// Rounds that were sent while the guest ran.
    pub rounds: u32,
    /// How it ended.
    pub verdict: Verdict,
}

impl Ended {
    /// A migration of a guest to where it is.
    pub(super) fn nothing(next: Next, now: Timestamp) -> Self {
        let Next { number, guest, from, to } = next;
        let now = now.since(Timestamp::default());
        Self {
            number,
            guest,
            from,
            to,
            begun_at: now,
            ended_at: now,
            downtime: Span::ZERO,
            sent: Bytes::new(0),
            rounds: 0,
            verdict: Verdict::AlreadyThere,
        }
    }

    /// How long it took.
    pub fn duration(&self) -> Span {
        self.ended_at.saturating_sub(self.begun_at)
    }
}

/// Every migration of a storm with its verdict, in the order in which they ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormReport {
    /// Migrations that are over.
    pub ended: Vec<Ended>,
    /// Wanted migrations that no pair of hosts could ever take part in.
    pub never_begun: u32,
    /// Where each guest is in the end.
    pub places: Vec<u32>,
    /// Events that were handled.
    pub events: u64,
}

/// A storm in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figures {
    /// Migrations that arrived.
    pub arrived: u64,
    /// Migrations that were given up at their time-out.
    pub timed_out: u64,
    /// Migrations that were given up as their rounds left no less to send.
    pub stalled: u64,
    /// When the last was over.
    pub over_at: Span,
    /// Bytes that all of them put on the wire.
    pub sent: Bytes,
    /// How long those that arrived took.
    pub duration: Spread,
    /// How long their guests stood still.
    pub downtime: Spread,
}

/// Many spans in a few numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Their mean.
    pub mean: Span,
    /// The least that half of them do not exceed.
    pub p50: Span,
    /// The least that 99 of 100 do not exceed.
    pub p99: Span,
    /// The longest.
    pub most: Span,
}

impl Spread {
    fn of(mut spans: Vec<Span>) -> Self {
        spans.sort_unstable();
        let at = |share: f64| {
            let place = (spans.len() as f64 * share) as usize;
            spans.get(place).or(spans.last()).copied().unwrap_or_default()
        };
        let sum: u128 = spans.iter().map(|span| u128::from(span.as_micros())).sum();
        let mean = sum / (spans.len() as u128).max(1);
        Self {
            mean: Span::from_micros(mean as u64),
            p50: at(0.5),
            p99: at(0.99),
            most: spans.last().copied().unwrap_or_default(),
        }
    }
}

impl StormReport {
    /// The report in a few numbers.
    pub fn figures(&self) -> Figures {
        let count = |verdict| self.ended.iter().filter(|one| one.verdict == verdict).count() as u64;
        let arrived = || self.ended.iter().filter(|one| one.verdict == Verdict::Arrived);
        Figures {
            arrived: count(Verdict::Arrived),
            timed_out: count(Verdict::TimedOut),
            stalled: count(Verdict::Stalled),
            over_at: self.ended.iter().map(|one| one.ended_at).max().unwrap_or_default(),
            sent: self.ended.iter().map(|one| one.sent).sum(),
            duration: Spread::of(arrived().map(Ended::duration).collect()),
            downtime: Spread::of(arrived().map(|one| one.downtime).collect()),
        }
    }
}
