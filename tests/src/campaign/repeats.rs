//! Repetitions of one migration: between the same two hosts, and at the same moment of a load that
//! swings.
//!
//! The first of a guest's rows that are alike decides, the others follow. Pure: where the guest is
//! and what its clock said come in, how long to wait goes out.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    HostId,
    units::{Span, Timestamp},
};
use whimbrel_lab::GuestStat;

/// How far behind the wanted moment a repetition may begin.
const LATE_MOST: Span = Span::from_millis(900);

/// What a guest's repetitions have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// Source.
    pub from: HostId,
    /// Target.
    pub to: HostId,
    /// How far the load was into its period at the begin, in milliseconds; `None` where it has none.
    pub phase_millis: Option<u64>,
}

/// The clock of a load that swings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    at: Timestamp,
    phase: Span,
    period: Span,
}

impl Clock {
    /// What the guest said `at` this moment; `None` when its load does not swing.
    pub fn of(stat: &GuestStat, at: Timestamp) -> Option<Self> {
        let millis = |key: &str| stat.raw.get(key)?.parse().ok();
        let period = millis("period").filter(|period| *period > 0)?;
        let phase = Span::from_millis(millis("phase")?);
        (stat.shape != "constant").then(|| Self { at, phase, period: Span::from_millis(period) })
    }

    /// How far the load is into its period at `now`, in milliseconds.
    pub fn phase_millis(&self, now: Timestamp) -> u64 {
        let period = self.period.as_micros().max(1);
        let passed = self.phase.as_micros().saturating_add(now.since(self.at).as_micros());
        (passed % period) / 1000
    }

    /// How long from `now` until the load is `wanted_millis` into its period; nothing when it has
    /// only just been.
    pub fn until(&self, wanted_millis: u64, now: Timestamp) -> Span {
        let period = (self.period.as_micros() / 1000).max(1);
        let phase = self.phase_millis(now) % period;
        let behind = (period + phase - wanted_millis % period) % period;
        if behind <= LATE_MOST.as_millis() || behind == 0 {
            Span::ZERO
        } else {
            Span::from_millis(period - behind)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_micros(1_800_000_000_000_000) + Span::from_millis(millis)
    }

    #[test]
    fn a_clock_goes_on_and_begins_anew_with_each_period() {
        let (phase, period) = (Span::from_millis(95_000), Span::from_millis(20_000));
        let clock = Clock { at: at(0), phase, period };
        assert_eq!(clock.phase_millis(at(0)), 15_000);
        assert_eq!(clock.phase_millis(at(7_000)), 2_000);
        assert_eq!(clock.until(16_000, at(0)), Span::from_millis(1_000));
        assert_eq!(clock.until(1_000, at(0)), Span::from_millis(6_000));
    }

    #[test]
    fn a_moment_that_has_just_passed_is_taken_and_one_missed_comes_again() {
        let (phase, period) = (Span::ZERO, Span::from_millis(20_000));
        let clock = Clock { at: at(0), phase, period };
        for late in [0, 1, 500, 900] {
            assert_eq!(clock.until(4_000, at(4_000 + late)), Span::ZERO, "{late}");
        }
        assert_eq!(clock.until(4_000, at(5_000)), Span::from_millis(19_000));
        // Over the end of a period.
        assert_eq!(clock.until(19_900, at(20_300)), Span::ZERO);
    }
}
