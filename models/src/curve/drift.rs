//! Whether a guest's dirtying level has changed for good, and when.
//!
//! Readings in order of time are cut in two where the means differ most against their scatter (the
//! likelihood-ratio test for one change of mean, Hinkley 1970). A load that goes to and fro
//! scatters on both sides of every cut and is no change; `level` looks at those.
//!
//! Never calls one odd reading a change.

use whimbrel_core::units::Timestamp;

use super::{DirtyCurve, points::Point};

/// How far one reading is off the curve of all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Residual {
    pub(super) at: Timestamp,
    /// Logarithm of read over expected.
    pub(super) log: f64,
    /// Its standard error.
    pub(super) error: f64,
}

impl Residual {
    /// How far `point`, which was measured at `at`, is off `curve`.
    pub(super) fn of(at: Timestamp, point: &Point, curve: &DirtyCurve) -> Self {
        let expected = curve.unique_bytes(point.window_seconds).max(1.0);
        let log = (point.unique_bytes.max(1.0) / expected).ln();
        Self { at, log, error: point.relative_error() }
    }
}

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Change {
    /// The first reading after it.
    pub(super) at: Timestamp,
    /// Logarithm of the level before over the level after.
    pub(super) before: f64,
}

/// Standard errors that two means must differ by. The best of many cuts is taken, so more than
/// the usual three.
const SIGNIFICANT: f64 = 4.0;

/// Readings needed on either side.
const SIDE_MIN: usize = 2;

/// The same at any significance: smaller changes cost nobody anything. A tenth.
const CHANGE_MIN: f64 = 0.1;

/// The clearest change in `residuals`, which are in order of time.
pub(super) fn change(residuals: &[Residual]) -> Option<Change> {
    let cuts = SIDE_MIN..=residuals.len().checked_sub(SIDE_MIN)?;
    let mut best = (SIGNIFICANT, None);
    for cut in cuts {
        let (old, new) = residuals.split_at(cut);
        let (Some(before), Some(after), Some(first)) = (mean(old), mean(new), new.first()) else {
            continue;
        };
        let own = old.iter().chain(new).map(|r| r.error * r.error).sum::<f64>();
        let scatter = around(old, before) + around(new, after);
        let degrees = residuals.len().saturating_sub(2).max(1) as f64;
        let variance = (own / residuals.len() as f64).max(scatter / degrees).max(1e-6);
        let error = (variance * (1.0 / old.len() as f64 + 1.0 / new.len() as f64)).sqrt();
        let difference = before - after;
        let score = difference.abs() / error;
        if score > best.0 && difference.abs() > CHANGE_MIN {
            best = (score, Some(Change { at: first.at, before: difference }));
        }
    }
    best.1
}

/// Mean of the residuals' logarithms.
pub(super) fn mean(residuals: &[Residual]) -> Option<f64> {
    let sum: f64 = residuals.iter().map(|r| r.log).sum();
    (!residuals.is_empty()).then(|| sum / residuals.len() as f64)
}

/// Sum of squares around `middle`.
pub(super) fn around(residuals: &[Residual], middle: f64) -> f64 {
    residuals.iter().map(|r| (r.log - middle).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(logs: &[f64]) -> Vec<Residual> {
        let at = |i: usize| Timestamp::from_micros(i as u64 * 10_000_000);
        logs.iter()
            .enumerate()
            .map(|(i, log)| Residual { at: at(i), log: *log, error: 0.1 })
            .collect()
    }

    #[test]
    fn a_step_is_found_at_its_place() {
        let found = change(&series(&[0.0, 0.1, -0.1, 0.05, 1.0, 1.1, 0.9])).unwrap();
        assert_eq!(found.at, Timestamp::from_micros(40_000_000));
        assert!((found.before + 0.99).abs() < 0.02, "{found:?}");
    }

    #[test]
    fn noise_alternation_and_one_odd_reading_are_no_change() {
        assert_eq!(change(&series(&[0.0, 0.1, -0.1, 0.05, 0.1, -0.1, 0.0])), None);
        assert_eq!(change(&series(&[0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0])), None);
        assert_eq!(change(&series(&[0.0, 0.0, 0.0, 0.0, 0.0, 1.5])), None);
        assert_eq!(change(&[]), None);
    }
}
