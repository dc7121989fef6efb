//! Several sources of points brought to one level.
//!
//! Readings are first brought to the level that runs now: a change of level or a phase is taken
//! out of those that it concerns. Then readings and past migrations meet, each moved by how sure
//! the other is (the gain of a Kalman filter); where they contradict each other the readings have
//! the level and the migrations the shape.
//!
//! Never mixes two levels into one: that would bend the curve where the guest does not.

use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, Timestamp},
};

use super::{
    drift::{Residual, change},
    evidence::{Basis, Evidence, Past},
    level::Levels,
    points::{CurvePoint, Point, weighted_mean},
    readings::{Read, level_error, merged, usable},
    shapes::{most_likely, reach, sort},
};

/// Two sources are compared where their windows are at most this factor apart.
const NEAR: f64 = 2.0;

/// Standard errors by which past migrations and readings must differ to contradict each other.
const CONTRADICTS: f64 = 3.0;

/// Further error of points that were moved to another level, as a part of the move's logarithm:
/// a shape does not keep quite its form.
const MOVED: f64 = 0.3;

/// Readings brought to the level that runs now.
pub(super) struct Measured {
    pub(super) points: Vec<Point>,
    pub(super) levels: Levels,
    pub(super) level_error: f64,
    pub(super) changed_at: Option<Timestamp>,
}

/// Points of all sources at one level.
pub(super) struct Joined {
    pub(super) points: Vec<Point>,
    pub(super) level_error: f64,
    pub(super) basis: Basis,
}

impl Measured {
    /// `None` without readings.
    pub(super) fn new(reads: &[Read], evidence: &Evidence<'_>) -> Option<Self> {
        let mut reads = reads.to_vec();
        let ratio = evidence.past.map_or(1.0, |past| factor(past.reading_ratio));
        for read in &mut reads {
            *read = read.scaled(ratio);
        }
        let rough = merged(&reads, 0.0);
        let free = most_likely(&rough, evidence.memory)?;
        let mut in_time: Vec<(usize, Residual)> = reads
            .iter()
            .map(|read| Residual::of(read.at, &read.point, &free))
            .enumerate()
            .collect();
        in_time.sort_by_key(|(place, residual)| (residual.at, *place));
        let residuals: Vec<Residual> = in_time.iter().map(|(_, residual)| *residual).collect();
        let change = change(&residuals);
        let levels = Levels::learn(&residuals, change, evidence.now);
        for ((place, _), offset) in in_time.iter().zip(levels.offsets(&residuals, change)) {
            if let Some(read) = reads.get_mut(*place) {
                *read = read.scaled((-offset).exp());
            }
        }
        let points = merged(&reads, levels.spread);
        let unsure = evidence.past.map_or(0.0, |past| spread(past.reading_ratio_spread));
        let level_error = level_error(&points).hypot(unsure);
        Some(Self { points, levels, level_error, changed_at: change.map(|change| change.at) })
    }
}

/// Brings all sources to one level; `None` where there is none.
pub(super) fn join(
    measured: Option<&Measured>,
    past: Option<&Past>,
    evidence: &Evidence<'_>,
) -> Option<Joined> {
    let of_past = past.map(|past| past.points.iter().filter_map(CurvePoint::point));
    match (measured, past, of_past) {
        (Some(measured), Some(past), Some(of_past)) => {
            Some(agree(measured, past, of_past.collect(), evidence))
        }
        (None, _, Some(of_past)) => {
            let mut points: Vec<Point> = of_past.collect();
            sort(&mut points);
            Some(Joined { level_error: level_error(&points), points, basis: Basis::Past })
        }
        (Some(measured), ..) => Some(Joined {
            points: measured.points.clone(),
            level_error: measured.level_error,
            basis: Basis::Readings,
        }),
        (None, ..) => evidence.likely.map(|likely| Joined {
            points: likely.points.iter().filter_map(CurvePoint::point).collect(),
            level_error: 0.0,
            basis: likely.basis(),
        }),
    }
}

/// Readings and past migrations at one level: each is moved by how sure the other is.
fn agree(measured: &Measured, past: &Past, of_past: Vec<Point>, evidence: &Evidence<'_>) -> Joined {
    let age = past.points.iter().map(|p| p.measured_at).max().map(|at| evidence.now.since(at));
    let past_error =
        spread(past.level_spread).hypot(evidence.wander.after(age.unwrap_or_default()));
    let own = measured.level_error;
    let Some((off, off_error)) = offset(&measured.points, &of_past, evidence.memory) else {
        // Nothing to compare: what past migrations say of the level stays as unsure as it is.
        let mut points = measured.points.clone();
        points.extend(of_past.into_iter().map(|p| p.widened(past_error)));
        sort(&mut points);
        return Joined { points, level_error: own, basis: Basis::ReadingsAndPast };
    };
    let apart = off.abs() > CONTRADICTS * past_error.hypot(own).hypot(off_error);
    let gain = if apart { 1.0 } else { past_error.powi(2) / (past_error.powi(2) + own * own) };
    let (past_moves, own_moves) = (-off * gain, off * (1.0 - gain));
    let move_to = |points: &[Point], by: f64| -> Vec<Point> {
        points.iter().map(|p| p.scaled(by.exp()).widened(MOVED * by.abs())).collect()
    };
    let mut points = move_to(&measured.points, own_moves);
    points.extend(move_to(&of_past, past_moves));
    sort(&mut points);
    let level_error = if apart { own } else { gain.sqrt() * own };
    let basis = if apart { Basis::ReadingsAgainstPast } else { Basis::ReadingsAndPast };
    Joined { points, level_error, basis }
}

/// Logarithm of what `of_past` shows over what `measured` does, and its error; `None` where their
/// windows are too far apart.
fn offset(measured: &[Point], of_past: &[Point], memory: Bytes) -> Option<(f64, f64)> {
    let curve = most_likely(measured, memory)?;
    let (shortest, longest) = reach(measured);
    let near = |p: &&Point| p.window_seconds > shortest / NEAR && p.window_seconds < longest * NEAR;
    weighted_mean(of_past.iter().filter(near).map(|p| {
        let expected = curve.unique_bytes(p.window_seconds).max(1.0);
        ((p.unique_bytes.max(1.0) / expected).ln(), p.relative_error())
    }))
}

/// A spread that can be: 0..=3, and 1 where it is no number.
pub(super) fn spread(value: f64) -> f64 {
    if value.is_finite() { value.clamp(0.0, 3.0) } else { 1.0 }
}

/// A factor that can be: 0.05..=20, and 1 where it is no number.
fn factor(value: f64) -> f64 {
    if value.is_finite() { value.clamp(0.05, 20.0) } else { 1.0 }
}

/// `points` of one migration as if they were all that is known; `None` without any.
pub(crate) fn past_of_points(mut points: Vec<CurvePoint>) -> Option<Past> {
    points.sort_by_key(|p| p.window);
    (!points.is_empty()).then_some(Past {
        points,
        level_spread: 0.2,
        reading_ratio: 1.0,
        reading_ratio_spread: 0.3,
    })
}

/// Logarithm of what a migration's `points` show over what `readings` before it said; `None`
/// where there are none or their windows are too far apart.
pub(crate) fn reading_offset(
    readings: &[DirtyReading],
    points: &[CurvePoint],
    memory: Bytes,
) -> Option<f64> {
    let reads = usable(readings, memory).ok()?;
    let of_trace: Vec<Point> = points.iter().filter_map(CurvePoint::point).collect();
    offset(&merged(&reads, 0.0), &of_trace, memory).map(|(off, _)| off)
}

/// Logarithm of the level of `points` over that of the `known` ones before them.
pub(crate) fn history_offset(
    known: &[CurvePoint],
    points: &[CurvePoint],
    memory: Bytes,
) -> Option<f64> {
    let usable = |points: &[CurvePoint]| points.iter().filter_map(CurvePoint::point).collect();
    let (known, points): (Vec<Point>, Vec<Point>) = (usable(known), usable(points));
    offset(&known, &points, memory).map(|(off, _)| off)
}
