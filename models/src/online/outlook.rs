//! Where a running migration is heading: rounds to come on what the rounds so far showed.
//!
//! The curve is interpolated between the rounds seen, on logarithmic scales, and extended to
//! shorter rounds by the power law of the two shortest ones, its exponent held in 0..=1: U starts
//! at 0 and is concave. The rule that is followed is that of [`crate::replay`], one round at a
//! time: whoever needs the first pass right asks a predictor before the start instead.

use whimbrel_core::{
    predict::Stall,
    units::{Bytes, Span},
};

use super::rounds::Round;
use crate::quantile::median;

/// QEMU looks at the bandwidth, and so at the threshold, once in this time.
const QUANTUM_SECONDS: f64 = 0.1;

/// Rounds whose lengths differ by less than this factor show one point of the curve.
const POINT_WIDTH: f64 = 1.25;

/// Newest rounds that make a point.
const ROUNDS_OF_A_POINT: usize = 7;

/// Rounds without a new low of the remainder after which it hangs, and their bound.
const WITHOUT_GAIN: u32 = 8;
const ROUNDS_MAX: u32 = 256;

/// A new low is lower by at least this part.
const GAIN: f64 = 1e-3;

/// QEMU accepts no longer limit.
const LIMIT_MAX_SECONDS: f64 = 2000.0;

/// Points of the unique-dirty curve that a migration showed, from the shortest window.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Points(Vec<(f64, f64)>);

impl Points {
    /// From `rounds`, the newest counting most, and `known` points for windows that no round had.
    /// Writes that a throttle held back are counted as without it.
    pub(super) fn new(rounds: &[Round], known: &[(f64, f64)]) -> Self {
        let mut groups: Vec<(f64, Vec<(f64, f64)>)> = Vec::new();
        let shown = rounds.iter().rev().map(|r| (r.seconds * (1.0 - r.throttle), r.dirtied_bytes));
        for (seconds, bytes) in shown.filter(|(seconds, _)| *seconds > 0.0) {
            match groups.iter_mut().find(|(at, _)| near(*at, seconds)) {
                Some((_, group)) if group.len() < ROUNDS_OF_A_POINT => group.push((seconds, bytes)),
                Some(_) => {}
                None => groups.push((seconds, vec![(seconds, bytes)])),
            }
        }
        let middle = |group: &[(f64, f64)]| {
            let column =
                |of: fn(&(f64, f64)) -> f64| median(&group.iter().map(of).collect::<Vec<_>>());
            Some((column(|p| p.0)?, column(|p| p.1)?))
        };
        let mut points: Vec<_> = groups.iter().filter_map(|(_, group)| middle(group)).collect();
        for (seconds, bytes) in known {
            if *seconds > 0.0 && points.iter().all(|(at, _)| !near(*at, *seconds)) {
                points.push((*seconds, *bytes));
            }
        }
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        // U never falls; where noise says so the longer window is believed less.
        let mut highest: f64 = 1.0;
        for (_, bytes) in &mut points {
            highest = highest.max(*bytes);
            *bytes = highest;
        }
        Self(points)
    }

    /// Whether they show how the curve bends.
    pub(super) fn bend(&self) -> bool {
        self.0.len() > 1
    }

    /// U after `seconds`, in bytes.
    fn unique(&self, seconds: f64) -> f64 {
        let after = self.0.iter().position(|(at, _)| *at >= seconds).unwrap_or(self.0.len());
        let pair = after.saturating_sub(1).min(self.0.len().saturating_sub(2));
        match (self.0.get(pair), self.0.get(pair + 1)) {
            (Some(a), Some(b)) => {
                let exponent = ((b.1 / a.1).ln() / (b.0 / a.0).ln()).clamp(0.0, 1.0);
                a.1 * (seconds / a.0).powf(exponent)
            }
            (Some(only), None) => only.1 * (seconds / only.0).min(1.0),
            _ => 0.0,
        }
    }
}

fn near(a: f64, b: f64) -> bool {
    a.max(b) < a.min(b) * POINT_WIDTH
}

/// A running migration as seen from one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outlook<'a> {
    pub(super) points: &'a Points,
    /// Guest memory that the stream carries a second.
    pub(super) bandwidth: f64,
    pub(super) remaining_bytes: f64,
    pub(super) limit_seconds: f64,
    /// Part of the time for which vCPUs sleep from now on.
    pub(super) throttle: f64,
    /// Level of dirtying against what was seen; 1 is as seen.
    pub(super) level: f64,
}

/// Where the rounds to come lead.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum End {
    /// It switches over after so many seconds, downtime included.
    Switches(f64),
    /// It hangs in rounds of so many seconds and so many dirtied bytes.
    Hangs(f64, f64),
}

impl Outlook<'_> {
    /// Goes on round by round until it switches over or hangs.
    pub(super) fn end(&self) -> End {
        if self.bandwidth <= 0.0 {
            return End::Hangs(QUANTUM_SECONDS, self.remaining_bytes);
        }
        let threshold = self.bandwidth * self.limit_seconds;
        let quantum = self.bandwidth * QUANTUM_SECONDS;
        let (mut remaining, mut elapsed, mut lowest) = (self.remaining_bytes, 0.0, f64::INFINITY);
        let (mut without_gain, mut last) = (0, (QUANTUM_SECONDS, remaining));
        for _ in 0..ROUNDS_MAX {
            if remaining <= threshold {
                return End::Switches(elapsed + remaining / self.bandwidth);
            }
            let quanta = ((remaining - threshold) / quantum).floor() + 1.0;
            let seconds = quanta * QUANTUM_SECONDS;
            let left = (remaining - quanta * quantum).max(0.0);
            let dirtied = self.level * self.points.unique(seconds * (1.0 - self.throttle));
            remaining = left + dirtied;
            elapsed += seconds;
            last = (seconds, dirtied);
            if remaining < lowest * (1.0 - GAIN) {
                lowest = remaining;
                without_gain = 0;
            } else {
                without_gain += 1;
            }
            if without_gain >= WITHOUT_GAIN {
                break;
            }
        }
        End::Hangs(last.0, last.1)
    }

    /// Seconds to the switch-over, where it comes.
    pub(super) fn left(&self) -> Option<f64> {
        match self.end() {
            End::Switches(seconds) => Some(seconds),
            End::Hangs(..) => None,
        }
    }

    /// Where it hangs, if it does, and the smallest downtime limit that would end that.
    pub(super) fn stall(&self) -> Option<Stall> {
        let End::Hangs(seconds, bytes) = self.end() else { return None };
        Some(Stall {
            round: Span::from_seconds_f64(seconds).rounded(),
            remaining: Bytes::new(bytes.round() as u64).rounded(),
            downtime_limit_needed: Span::from_millis((self.limit_needed() * 1e3).ceil() as u64),
        })
    }

    /// The smallest limit with which it switches over, to 1 %, by bisection.
    fn limit_needed(&self) -> f64 {
        let ends = |limit_seconds: f64| Self { limit_seconds, ..*self }.left().is_some();
        let mut low = self.limit_seconds.max(1e-3);
        let mut high = low * 2.0;
        while high < LIMIT_MAX_SECONDS && !ends(high) {
            low = high;
            high *= 2.0;
        }
        while high > low * 1.01 {
            let middle = f64::midpoint(low, high);
            if ends(middle) { high = middle } else { low = middle }
        }
        high.min(LIMIT_MAX_SECONDS)
    }
}
