//! Points of the unique-dirty curve: what a window showed, how sure that is, and when it was.
//!
//! The common coin of dirty readings, past migrations and similar guests. Never without an error:
//! a point that claims to be exact would outweigh all others.

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Bytes, Span, Timestamp};

/// Distinct memory dirtied within a window that began with nothing dirty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CurvePoint {
    /// Length of the window. Above 0.
    pub window: Span,
    /// Distinct memory dirtied in it.
    pub unique: Bytes,
    /// Standard error of `unique`. Above 0.
    pub error: Bytes,
    /// When the window ended.
    pub measured_at: Timestamp,
}

impl CurvePoint {
    /// The same for arithmetic; `None` for a point without window or error.
    pub(crate) fn point(&self) -> Option<Point> {
        Point::new(self.window.as_seconds_f64(), self.unique.as_f64(), self.error.as_f64())
    }
}

/// A point in seconds and bytes; all finite, window and error above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    pub(crate) window_seconds: f64,
    pub(crate) unique_bytes: f64,
    pub(crate) error_bytes: f64,
}

impl Point {
    /// `None` of what is no point.
    pub(crate) fn new(window_seconds: f64, unique_bytes: f64, error_bytes: f64) -> Option<Self> {
        let above = |x: f64| x.is_finite() && x > 0.0;
        let usable = above(window_seconds) && above(error_bytes) && unique_bytes.is_finite();
        usable.then_some(Self { window_seconds, unique_bytes: unique_bytes.max(0.0), error_bytes })
    }

    /// Its error as a part of its value; at most 1, for a window that showed nothing says little.
    pub(crate) fn relative_error(&self) -> f64 {
        (self.error_bytes / self.unique_bytes.max(self.error_bytes)).max(1e-6)
    }

    /// The same point at `factor` times the level.
    pub(crate) fn scaled(self, factor: f64) -> Self {
        Self {
            unique_bytes: self.unique_bytes * factor,
            error_bytes: self.error_bytes * factor,
            ..self
        }
    }

    /// The same point with `relative` of its value as a further, independent error.
    pub(crate) fn widened(self, relative: f64) -> Self {
        let further = relative * self.unique_bytes;
        Self { error_bytes: self.error_bytes.hypot(further), ..self }
    }
}

/// The mean of `points` weighed by their errors, and its standard error; `None` of nothing.
pub(crate) fn weighted_mean(values: impl IntoIterator<Item = (f64, f64)>) -> Option<(f64, f64)> {
    let (weight, sum) = values.into_iter().fold((0.0, 0.0), |(weight, sum), (value, error)| {
        let own = 1.0 / (error * error).max(1e-12);
        (weight + own, sum + own * value)
    });
    (weight > 0.0).then(|| (sum / weight, weight.sqrt().recip()))
}
