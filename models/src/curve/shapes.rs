//! The most likely mixture through points, and others that their errors allow as well.
//!
//! Never varies the level: the points' common error is the level's and is left to the draws.

use whimbrel_core::units::Bytes;

use super::{
    Access, Class, DirtyCurve,
    draws::Draws,
    mixture::{Exponents, Mixture},
    points::{Point, weighted_mean},
};

/// Exponent below the shortest window, where a constant rate is the simplest assumption, and the
/// spread of the draws, which all go down from there: U is concave.
const SHORT_EXPONENT: (f64, f64) = (1.0, 0.06);

/// Exponent beyond the longest window when a single window gives no trend; its deviation.
const LONG_EXPONENT: (f64, f64) = (0.9, 0.15);

/// Mixtures that draws choose among, beside the most likely one.
const SHAPES: usize = 8;

/// Seed of the shapes: they are a part of the fit, not of a draw.
const SHAPE_SEED: u64 = 0x75_6e69_7175_6521;

/// Periods after which a random class counts as all touched: nineteen twentieths of it are.
const RANDOM_TOUCHED: f64 = 3.0;

/// How much sooner at most: by this factor, evenly in its logarithm.
const SOONER_MAX: f64 = 10.0;

/// Windows closer than this factor show no trend.
const TREND_WINDOWS: f64 = 1.3;

/// The curve through `points` when all is as it looks; `None` without points.
pub(super) fn most_likely(points: &[Point], memory: Bytes) -> Option<DirtyCurve> {
    let exponents = Exponents { short: SHORT_EXPONENT.0, long: long_exponent(points) };
    let values = points.iter().map(|p| p.unique_bytes).collect();
    let mixture = Mixture::new(points, exponents, memory);
    let free = Bytes::new(u64::MAX);
    (!points.is_empty()).then(|| DirtyCurve::bounded(mixture.through(values, exponents), free))
}

/// By growing window.
pub(super) fn sort(points: &mut [Point]) {
    points.sort_by(|a, b| a.window_seconds.total_cmp(&b.window_seconds));
}

/// The shortest and the longest window of `points`, which are by growing window.
pub(super) fn reach(points: &[Point]) -> (f64, f64) {
    let at = |p: Option<&Point>| p.map_or(0.0, |p| p.window_seconds);
    (at(points.first()), at(points.last()))
}

/// The most likely classes, and those through points that the errors allow as well.
///
/// The points' common error is the level's and is left to the draws; here each point moves
/// against the others.
pub(super) fn shapes(points: &[Point], memory: Bytes) -> (Vec<Class>, Vec<Vec<Class>>) {
    let long = long_exponent(points);
    let exponents = Exponents { short: SHORT_EXPONENT.0, long };
    let mixture = Mixture::new(points, exponents, memory);
    let values: Vec<f64> = points.iter().map(|p| p.unique_bytes).collect();
    let support = mixture.support(values.clone(), exponents);
    let through = mixture.through(values, exponents);
    let free = DirtyCurve::bounded(through.clone(), Bytes::new(u64::MAX));
    let shortest = points.first().map_or(0.0, |p| p.window_seconds);
    let classes = hastened(through, shortest, 0.5);
    let mut draws = Draws::new(SHAPE_SEED);
    let others = (0..SHAPES).map(|shape| {
        let moves: Vec<(f64, f64)> = points
            .iter()
            .map(|p| (p.relative_error() * draws.normal(), p.relative_error()))
            .collect();
        let common = weighted_mean(moves.iter().copied()).map_or(0.0, |(mean, _)| mean);
        let smooth = points.iter().map(|p| free.unique_bytes(p.window_seconds));
        let values =
            smooth.zip(&moves).map(|(value, (by, _))| value * (by - common).exp()).collect();
        let exponents = Exponents {
            short: SHORT_EXPONENT.0 - SHORT_EXPONENT.1 * draws.normal().abs(),
            long: (long + LONG_EXPONENT.1 * draws.normal()).clamp(0.0, 1.0),
        };
        let part = (shape as f64 + 0.5) / SHAPES as f64;
        hastened(mixture.within(&support, values, exponents), shortest, part)
    });
    let others = others.collect();
    (classes, others)
}

/// `classes` with those that the shortest window, in seconds, finds all touched touched sooner, by
/// `part` of what is possible: no window tells how much sooner.
fn hastened(mut classes: Vec<Class>, shortest: f64, part: f64) -> Vec<Class> {
    for class in &mut classes {
        let touched = match class.access {
            Access::Sweep => class.period_seconds,
            Access::Random => class.period_seconds * RANDOM_TOUCHED,
        };
        if touched <= shortest {
            let before = class.touched(shortest);
            class.period_seconds *= SOONER_MAX.powf(-part);
            class.size_bytes *= before / class.touched(shortest);
        }
    }
    classes
}

/// The exponent with which U goes on beyond its longest windows. The one between the last two,
/// squared: a curve that has begun to bend bends on.
fn long_exponent(points: &[Point]) -> f64 {
    let last = points.last().filter(|p| p.unique_bytes > 0.0);
    let before = last.and_then(|last| {
        points.iter().rev().find(|p| {
            p.unique_bytes > 0.0 && p.window_seconds * TREND_WINDOWS < last.window_seconds
        })
    });
    match (before, last) {
        (Some(a), Some(b)) => {
            let growth = (b.unique_bytes / a.unique_bytes).ln();
            (growth / (b.window_seconds / a.window_seconds).ln()).clamp(0.0, 1.0).powi(2)
        }
        _ => LONG_EXPONENT.0,
    }
}
