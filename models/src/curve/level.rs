//! How the level of a guest's dirtying moves from one moment to another.
//!
//! Repeated readings scatter more than their sampling errors say when the guest has phases. The
//! excess is the level's own spread (the moment estimate of `DerSimonian` and Laird, 1986); two
//! well separated groups are two phases, and the newest reading says which one runs, the less so
//! the older it is (a two-state Markov process).
//!
//! Never narrower than it can know: without repeated readings a spread is assumed.

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Span, Timestamp};

use super::{
    draws::Draws,
    drift::{Change, Residual, around, mean},
    readings::HALF_WEIGHT_SECONDS,
};

/// Spread of the level that is assumed before readings show one, and the readings that it is
/// worth.
const SPREAD_ASSUMED: f64 = 0.05;
const SPREAD_ASSUMED_WEIGHT: f64 = 2.0;

/// Readings below which no two phases are told apart, and how many each must have.
const PHASES_READINGS_MIN: usize = 6;
const PHASE_READINGS_MIN: usize = 2;

/// Distance of two phases in their own spreads. Halves of one normal distribution are 2.7 apart,
/// of a uniform one 3.5, of a sine wave 4.1.
const PHASES_APART: f64 = 4.5;

/// Least ratio of two phases, as a logarithm: closer ones are a spread. Half as much again.
const PHASES_RATIO_MIN: f64 = 0.4;

/// How much longer a migration looks ahead than its start, in seconds: the least for which it
/// matters what phase runs.
const AHEAD_SECONDS: f64 = 15.0;

/// How sure the level is as time goes by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wander {
    /// Spread of the level between a fresh reading and the migration, a standard deviation of its
    /// logarithm. Range 0..=1.
    pub fresh: f64,
    /// What an hour adds to it; it grows with the square root of the age. Range 0..=2.
    pub hour: f64,
}

impl Default for Wander {
    fn default() -> Self {
        Self { fresh: 0.03, hour: 0.3 }
    }
}

impl Wander {
    /// The spread after `age`.
    pub fn after(&self, age: Span) -> f64 {
        self.fresh.hypot(self.hour * (age.as_seconds_f64() / 3600.0).sqrt())
    }
}

/// One phase of a guest's load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Phase {
    /// Its level over the one of the most likely curve. Above 0.
    pub level: f64,
    /// How likely it runs at the migration. Range 0..=1; all phases together are 1.
    pub share: f64,
}

/// Levels that a migration may meet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Levels {
    /// Logarithms of the levels, and their shares; never empty.
    states: Vec<(f64, f64)>,
    /// Spread within each, a standard deviation of the logarithm.
    pub(super) spread: f64,
}

impl Levels {
    /// One level with `spread`.
    pub(super) fn steady(spread: f64) -> Self {
        Self { states: vec![(0.0, 1.0)], spread }
    }

    /// What `residuals`, in order of time, show at `now`; `change` was found in them.
    pub(super) fn learn(residuals: &[Residual], change: Option<Change>, now: Timestamp) -> Self {
        let Some(last) = residuals.last() else { return Self::steady(SPREAD_ASSUMED) };
        let high: Vec<bool> = match change {
            Some(change) => residuals.iter().map(|r| r.at >= change.at).collect(),
            None => match border(residuals) {
                Some(border) => residuals.iter().map(|r| r.log > border).collect(),
                None => return Self::steady(excess(&[residuals])),
            },
        };
        let group = |which: bool| -> Vec<Residual> {
            let members = residuals.iter().zip(&high).filter(|(_, h)| **h == which);
            members.map(|(r, _)| *r).collect()
        };
        let (low, top) = (group(false), group(true));
        let spread = excess(&[&low, &top]);
        let (Some(low_mean), Some(top_mean)) = (mean(&low), mean(&top)) else {
            return Self::steady(spread);
        };
        let runs = high.last().copied().unwrap_or(false);
        let share = weight(&top, last.at) / (weight(&top, last.at) + weight(&low, last.at));
        // A change that was seen once says nothing about how long either side lasts.
        let share = if change.is_some() { 0.5 } else { share };
        let stays = stays(residuals, &high, now);
        let top_share = share + stays * (f64::from(u8::from(runs)) - share);
        let (reference, other, other_share) = if runs {
            (top_mean, low_mean, 1.0 - top_share)
        } else {
            (low_mean, top_mean, top_share)
        };
        Self { states: vec![(0.0, 1.0 - other_share), (other - reference, other_share)], spread }
    }

    /// What to subtract from the logarithm of each of `residuals` so that all are of the phase
    /// that runs.
    pub(super) fn offsets(&self, residuals: &[Residual], change: Option<Change>) -> Vec<f64> {
        let Some((other, _)) = self.states.get(1) else { return vec![0.0; residuals.len()] };
        let is_other: Vec<bool> = match (change, border(residuals)) {
            (Some(change), _) => residuals.iter().map(|r| r.at < change.at).collect(),
            (None, Some(border)) => {
                residuals.iter().map(|r| (r.log > border) == (*other > 0.0)).collect()
            }
            (None, None) => vec![false; residuals.len()],
        };
        is_other.iter().map(|other_phase| if *other_phase { *other } else { 0.0 }).collect()
    }

    /// The phases, the one that runs first.
    pub(super) fn phases(&self) -> Vec<Phase> {
        self.states.iter().map(|(log, share)| Phase { level: log.exp(), share: *share }).collect()
    }

    /// One level; `further` is a spread that comes on top.
    pub(super) fn draw(&self, draws: &mut Draws, further: f64) -> f64 {
        let mut rest = draws.uniform();
        let mut log = 0.0;
        for (state, share) in &self.states {
            log = *state;
            rest -= share;
            if rest <= 0.0 {
                break;
            }
        }
        (log + self.spread.hypot(further) * draws.normal()).exp()
    }
}

/// Sum of weights of `group` at the time of the newest reading.
fn weight(group: &[Residual], newest: Timestamp) -> f64 {
    let age = |r: &Residual| newest.since(r.at).as_seconds_f64();
    group.iter().map(|r| (-age(r) / HALF_WEIGHT_SECONDS).exp2()).sum()
}

/// How much the newest reading still says about the phase at `now`, 0..=1.
fn stays(residuals: &[Residual], high: &[bool], now: Timestamp) -> f64 {
    let (Some(first), Some(last)) = (residuals.first(), residuals.last()) else { return 0.0 };
    let seen = last.at.since(first.at).as_seconds_f64().max(1.0);
    let switches = high.windows(2).filter(|pair| pair.first() != pair.last()).count();
    let a_second = switches.max(1) as f64 / seen;
    let age = now.since(last.at).as_seconds_f64() + AHEAD_SECONDS;
    (-2.0 * a_second * age).exp()
}

/// Spread of `groups` beyond what their errors explain.
fn excess(groups: &[&[Residual]]) -> f64 {
    let (mut misfit, mut degrees, mut weights) = (0.0, 0.0, 0.0);
    for group in groups.iter().filter(|group| group.len() > 1) {
        let own: Vec<f64> = group.iter().map(|r| 1.0 / (r.error * r.error).max(1e-6)).collect();
        let sum: f64 = own.iter().sum();
        let middle = group.iter().zip(&own).map(|(r, w)| w * r.log).sum::<f64>() / sum;
        misfit += group.iter().zip(&own).map(|(r, w)| w * (r.log - middle).powi(2)).sum::<f64>();
        degrees += group.len() as f64 - 1.0;
        weights += sum - own.iter().map(|w| w * w).sum::<f64>() / sum;
    }
    let seen = if weights > 0.0 { ((misfit - degrees) / weights).max(0.0) } else { 0.0 };
    let assumed = SPREAD_ASSUMED_WEIGHT * SPREAD_ASSUMED * SPREAD_ASSUMED;
    ((degrees * seen + assumed) / (degrees + SPREAD_ASSUMED_WEIGHT)).sqrt()
}

/// The logarithm between two phases, where there are two.
fn border(residuals: &[Residual]) -> Option<f64> {
    if residuals.len() < PHASES_READINGS_MIN {
        return None;
    }
    let mut sorted = residuals.to_vec();
    sorted.sort_by(|a, b| a.log.total_cmp(&b.log));
    let mut best: Option<(f64, f64)> = None;
    for cut in PHASE_READINGS_MIN..=sorted.len() - PHASE_READINGS_MIN {
        let (low, high) = sorted.split_at(cut);
        let (Some(below), Some(above)) = (mean(low), mean(high)) else { continue };
        let scatter = around(low, below) + around(high, above);
        if best.is_none_or(|(least, _)| scatter < least) {
            let errors = sorted.iter().map(|r| r.error * r.error).sum::<f64>();
            let count = sorted.len() as f64;
            let own = (scatter / (count - 2.0)).max(errors / count).sqrt();
            let apart = above - below;
            let clear = apart > PHASES_RATIO_MIN && apart > PHASES_APART * own;
            best = Some((scatter, if clear { f64::midpoint(above, below) } else { f64::NAN }));
        }
    }
    best.map(|(_, border)| border).filter(|border| border.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEN_SECONDS: u64 = 10_000_000;

    fn series(logs: &[f64]) -> Vec<Residual> {
        let at = |i: usize| Timestamp::from_micros(i as u64 * TEN_SECONDS);
        logs.iter()
            .enumerate()
            .map(|(i, log)| Residual { at: at(i), log: *log, error: 0.05 })
            .collect()
    }

    fn at(tens: u64) -> Timestamp {
        Timestamp::from_micros(tens * TEN_SECONDS)
    }

    #[test]
    fn two_phases_are_told_apart_and_the_newest_weighs_most() {
        let square = series(&[0.0, 0.02, 1.0, 1.03, -0.01, 0.01, 0.98, 1.0, 0.0, 0.03]);
        let fresh = Levels::learn(&square, None, at(9));
        let phases = fresh.phases();
        assert_eq!(phases.len(), 2, "{phases:?}");
        assert!((phases[1].level - 1f64.exp()).abs() < 0.1, "{phases:?}");
        let old = Levels::learn(&square, None, at(90)).phases();
        assert!(phases[1].share < old[1].share && (old[1].share - 0.4).abs() < 0.05, "{old:?}");
        assert!(fresh.spread < 0.1);
        let offsets = fresh.offsets(&square, None);
        assert!(offsets[2] > 0.9 && offsets[0] == 0.0, "{offsets:?}");
    }

    #[test]
    fn a_wave_is_a_spread_and_not_two_phases() {
        let wave: Vec<f64> = (0..12).map(|i| 0.5 * (f64::from(i) * 1.9).sin()).collect();
        let levels = Levels::learn(&series(&wave), None, at(12));
        assert_eq!(levels.phases().len(), 1);
        assert!((0.25..0.5).contains(&levels.spread), "{}", levels.spread);
    }

    #[test]
    fn few_and_steady_readings_keep_an_assumed_spread() {
        assert!((Levels::learn(&[], None, at(0)).spread - SPREAD_ASSUMED).abs() < 1e-12);
        let steady = Levels::learn(&series(&[0.0; 20]), None, at(20));
        assert!(steady.spread > 0.0 && steady.spread < SPREAD_ASSUMED / 2.0);
    }

    #[test]
    fn an_old_level_may_come_back() {
        let stepped = series(&[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]);
        let change = Some(Change { at: at(4), before: 1.0 });
        let phases = Levels::learn(&stepped, change, at(5)).phases();
        assert!((0.1..0.45).contains(&phases[1].share), "{phases:?}");
        assert!((phases[1].level - 1f64.exp()).abs() < 0.01);
    }
}
