//! What is tried, and what came of it.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    HostId, Prediction,
    ids::OrderId,
    settings::MigrationSettings,
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};
use whimbrel_lab::{GuestSpec, GuestStat};

/// Who decides about a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// It begins as soon as it is asked for.
    AtOnce,
    /// It begins when Whimbrel says.
    Told,
    /// It begins at a drawn moment before the deadline.
    Random,
    /// Its settings are chosen by Whimbrel.
    Whimbrel,
    /// Plain pre-copy.
    PreCopy,
    /// Pre-copy that slows the guest.
    AutoConverge,
    /// Post-copy after the first pass.
    PostCopy,
    /// Pre-copy under time-outs.
    Timers,
}

impl Arm {
    /// Its word in orders and tables.
    pub fn word(self) -> &'static str {
        match self {
            Self::AtOnce => "at-once",
            Self::Told => "told",
            Self::Random => "random",
            Self::Whimbrel => "whimbrel",
            Self::PreCopy => "pre-copy",
            Self::AutoConverge => "auto-converge",
            Self::PostCopy => "post-copy",
            Self::Timers => "timers",
        }
    }
}

/// One migration that is to be tried.
#[derive(Debug, Clone, PartialEq)]
pub struct Run<C> {
    /// Its order, made of the case's name and the arm's.
    pub id: OrderId,
    /// Who decides.
    pub arm: Arm,
    /// What it is about; the same for every arm of one case.
    pub case: C,
}

/// A guest and all that is tried with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject<C> {
    /// How it is started.
    pub spec: GuestSpec,
    /// Its runs, in their order.
    pub runs: Vec<Run<C>>,
}

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row<C> {
    /// Its order.
    pub id: OrderId,
    /// Who decided.
    pub arm: Arm,
    /// What it was about.
    pub case: C,
    /// When it began.
    pub at: Timestamp,
    /// How long after it was asked for.
    pub waited: Span,
    /// From.
    pub from: HostId,
    /// To.
    pub to: HostId,
    /// How.
    pub settings: MigrationSettings,
    /// What the path carried.
    pub path: BytesPerSecond,
    /// What came of it.
    pub outcome: Outcome,
    /// What was predicted, where somebody predicted.
    pub predicted: Option<Prediction>,
    /// Why it was begun then, or done so; empty where nobody thought.
    pub why: String,
}

/// What came of a migration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Whether the guest runs at the target.
    pub arrived: bool,
    /// Why not.
    pub failure: Option<String>,
    /// From begin to end as QEMU counts it; of one that was given up, until then.
    pub total: Span,
    /// Bytes on the wire, headers included.
    pub sent: Bytes,
    /// vCPUs stopped; 0 for one that was given up.
    pub downtime: Span,
    /// Bitmap reads.
    pub reads: u64,
    /// Time of the guest's work that it did not get done during it, in seconds; `None` where
    /// nobody asked, or the guest had nothing to do.
    pub lost_guest_seconds: Option<f64>,
}

/// Seconds of its work that a guest did not get done between `before` and `after`. What it gave up
/// between `rested` and `before` without a migration is usual for it, and not counted.
pub fn lost_guest_seconds(
    rested: &GuestStat,
    before: &GuestStat,
    after: &GuestStat,
) -> Option<f64> {
    let done_share = |from: &GuestStat, to: &GuestStat| {
        let written = to.written_pages.saturating_sub(from.written_pages) as f64;
        let dropped = to.dropped_pages.saturating_sub(from.dropped_pages) as f64;
        (written + dropped > 0.0).then(|| written / (written + dropped))
    };
    let usual = done_share(rested, before).filter(|share| *share > 0.0)?;
    let lost = 1.0 - done_share(before, after)? / usual;
    let millis = after.uptime_milliseconds.saturating_sub(before.uptime_milliseconds);
    Some(lost.max(0.0) * millis as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn stat(seconds: u64, written_pages: u64, dropped_pages: u64) -> GuestStat {
        GuestStat {
            uptime_milliseconds: seconds * 1000,
            written_pages,
            bad_pages: 0,
            dropped_pages,
            rate_now_kib_per_second: 0,
            rate_kib_per_second: 0,
            shape: "constant".to_owned(),
            working_set_mib: 8,
            filled_mib: 8,
            arena_mib: 24,
            raw: BTreeMap::new(),
        }
    }

    #[test]
    fn only_what_is_unusual_counts_as_lost() {
        let (rested, before) = (stat(0, 0, 0), stat(20, 8000, 2000));
        let lost = |after| lost_guest_seconds(&rested, &before, &after);
        assert!(lost(stat(30, 12_000, 3000)).unwrap() < 1e-9, "as before");
        let half = lost(stat(30, 10_000, 5000)).unwrap();
        assert!((half - 5.0).abs() < 1e-9, "{half}");
        assert_eq!(lost(stat(30, 8000, 2000)), None, "it had nothing to do");
    }
}
