//! What is known of a guest's writes before a migration, from all sources.
//!
//! A value to fit a curve from; decides nothing.

use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, Timestamp},
};

use super::{level::Wander, points::CurvePoint, prior::Likely};

/// All evidence on one guest.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// Page-sampled readings, in any order.
    pub readings: &'a [DirtyReading],
    /// What its past migrations showed.
    pub past: Option<&'a Past>,
    /// What similar guests do.
    pub likely: Option<&'a Likely>,
    /// Its memory now.
    pub memory: Bytes,
    /// The moment that evidence is old or new against.
    pub now: Timestamp,
    /// How the level moves with time.
    pub wander: Wander,
}

impl<'a> Evidence<'a> {
    /// Readings alone, as of the newest of them.
    pub fn of_readings(readings: &'a [DirtyReading], memory: Bytes) -> Self {
        Self {
            readings,
            past: None,
            likely: None,
            memory,
            now: readings.iter().map(|r| r.measured_at).max().unwrap_or_default(),
            wander: Wander::default(),
        }
    }
}

/// What the past migrations of a guest say of its curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Past {
    /// Points of U(t), by growing window, at the level that they showed together.
    pub points: Vec<CurvePoint>,
    /// Spread of the level from migration to migration, a standard deviation of its logarithm.
    pub level_spread: f64,
    /// What migrations saw over what readings before them said: page sampling misses pages that
    /// are rewritten with what they held. Above 0.
    pub reading_ratio: f64,
    /// Spread of that ratio, a standard deviation of its logarithm.
    pub reading_ratio_spread: f64,
}

/// What a curve rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Dirty readings alone.
    Readings,
    /// Past migrations alone.
    Past,
    /// Readings and past migrations that agree.
    ReadingsAndPast,
    /// Readings at a level other than that of past migrations, which give the shape only.
    ReadingsAgainstPast,
    /// Similar guests: a wide guess.
    Similar {
        /// How many of them.
        guests: usize,
    },
    /// Nothing but an assumed rate: a wider guess.
    Assumed,
}
