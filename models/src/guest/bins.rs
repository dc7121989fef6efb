//! Points of many migrations merged by the length of their windows: bounded however many come.

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Bytes, Span, Timestamp};

use crate::curve::points::CurvePoint;

/// Bins for each doubling of the window, and how many there are at most: from 30 ms to an hour.
const BINS_AN_OCTAVE: f64 = 2.0;
const PLACES: std::ops::RangeInclusive<i32> = -10..=24;

/// What is left of a bin's weight when a newer migration fills it again.
const FADES: f64 = 0.5;

/// Age at which points weigh half.
const HALF_LIFE_SECONDS: f64 = 14.0 * 86_400.0;

/// Least error of a bin, as a part: windows in it are not quite alike.
const LEAST_ERROR: f64 = 0.03;

/// Scatter that a bin has before it has shown its own, as a part, and the points that it counts
/// as.
const SCATTER: f64 = 0.1;
const SCATTER_WEIGHT: f64 = 2.0;

/// All bins, by growing window.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Bins(Vec<Bin>);

/// Points with windows of about one length.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bin {
    /// Which length: half octaves above a second.
    place: i32,
    /// Weighted mean of windows.
    window_seconds: f64,
    /// Weighted mean of what was dirtied.
    unique_bytes: f64,
    /// Weighted mean square of how far points are off the mean, as a part of it.
    scatter: f64,
    /// Sum of the points' weights, each 1 / (relative error)^2.
    weight: f64,
    /// Points, faded like the weight.
    count: f64,
    /// The newest point.
    newest: Timestamp,
}

impl Bins {
    /// Takes the points of one migration in.
    pub(super) fn merge(&mut self, points: &[CurvePoint]) {
        let mut faded = Vec::new();
        for point in points {
            let Some(point_of) = point.point() else { continue };
            let place = (point_of.window_seconds.log2() * BINS_AN_OCTAVE).round() as i32;
            let place = place.clamp(*PLACES.start(), *PLACES.end());
            let found = self.0.binary_search_by_key(&place, |bin| bin.place);
            let index = found.unwrap_or_else(|index| {
                self.0.insert(index, Bin::empty(place));
                index
            });
            let Some(bin) = self.0.get_mut(index) else { continue };
            if !faded.contains(&place) {
                faded.push(place);
                bin.weight *= FADES;
                bin.count *= FADES;
            }
            let error = point_of.relative_error();
            bin.add(point_of.window_seconds, point_of.unique_bytes, error);
            bin.newest = bin.newest.max(point.measured_at);
        }
    }

    /// One point a bin; older ones are less sure.
    pub(super) fn points(&self, now: Timestamp) -> Vec<CurvePoint> {
        let newest = self.0.iter().map(|bin| bin.newest).max().unwrap_or_default().max(now);
        let mut points: Vec<CurvePoint> = self.0.iter().map(|bin| bin.point(newest)).collect();
        points.sort_by_key(|point| point.window);
        points
    }
}

impl Bin {
    fn empty(place: i32) -> Self {
        Self {
            place,
            window_seconds: 0.0,
            unique_bytes: 0.0,
            scatter: SCATTER * SCATTER,
            weight: 0.0,
            count: 0.0,
            newest: Timestamp::default(),
        }
    }

    fn add(&mut self, window_seconds: f64, unique_bytes: f64, relative_error: f64) {
        let own = 1.0 / (relative_error * relative_error).max(1e-6);
        self.weight += own;
        let part = own / self.weight;
        let off = if self.count > 0.0 { self.off(window_seconds, unique_bytes) } else { 0.0 };
        self.count += 1.0;
        let of_scatter = 1.0 / (self.count + SCATTER_WEIGHT);
        self.scatter += of_scatter * (off * off - self.scatter);
        self.window_seconds += part * (window_seconds - self.window_seconds);
        self.unique_bytes += part * (unique_bytes - self.unique_bytes);
    }

    /// How far a point is off the mean at its window, as a part: bounded, for one odd window is
    /// no reason to doubt all.
    fn off(&self, window_seconds: f64, unique_bytes: f64) -> f64 {
        let slope = (window_seconds / self.window_seconds).max(1e-3).powf(0.75);
        let expected = self.unique_bytes * slope;
        ((unique_bytes - expected) / expected.max(unique_bytes).max(1.0)).clamp(-1.0, 1.0)
    }

    fn point(&self, now: Timestamp) -> CurvePoint {
        let age = now.since(self.newest).as_seconds_f64();
        let faded = (-age / HALF_LIFE_SECONDS).exp2().max(0.01);
        let sampling = 1.0 / (self.weight * faded).max(1.0);
        let scatter = self.scatter / (self.count * faded).max(0.1);
        let relative = sampling.max(scatter).sqrt().hypot(LEAST_ERROR);
        let floor = whimbrel_core::units::GUEST_PAGE.as_f64();
        CurvePoint {
            window: Span::from_seconds_f64(self.window_seconds),
            unique: Bytes::new(self.unique_bytes.round() as u64),
            error: Bytes::new((relative * self.unique_bytes).max(floor).round() as u64),
            measured_at: self.newest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(millis: u64, mib: u64, at: u64) -> CurvePoint {
        CurvePoint {
            window: Span::from_millis(millis),
            unique: Bytes::mib(mib),
            error: Bytes::new((mib << 20) / 10),
            measured_at: Timestamp::from_micros(at),
        }
    }

    #[test]
    fn many_migrations_stay_few_points_and_the_newest_weighs_most() {
        let mut bins = Bins::default();
        for at in 0..200 {
            bins.merge(&[
                point(200 + at, 50, at),
                point(at * 40, 80, at),
                point(3_600_000, 90, at),
            ]);
        }
        assert!(bins.0.len() <= PLACES.count());
        let before = bins.points(Timestamp::default()).len();
        (0..4).for_each(|_| bins.merge(&[point(300, 100, 201)]));
        let after = bins.points(Timestamp::default());
        assert_eq!(after.len(), before);
        let near = after.iter().find(|p| p.measured_at.as_micros() == 201).unwrap();
        assert!(near.unique > Bytes::mib(90), "{near:?}");
    }

    #[test]
    fn repetition_makes_sure_and_scatter_and_age_make_unsure() {
        let error = |points: &[CurvePoint], now: u64| {
            let mut bins = Bins::default();
            bins.merge(points);
            bins.points(Timestamp::from_micros(now))[0].error.as_f64() / 1_048_576.0
        };
        let one = error(&[point(1000, 100, 1)], 1);
        let alike = error(&[point(1000, 100, 1); 12], 1);
        let odd: Vec<_> = (0..12).map(|i| point(1000, 100 + 60 * (i % 2), 1)).collect();
        assert!(alike < 0.6 * one, "{alike} {one}");
        assert!(error(&odd, 1) > 1.5 * alike, "{}", error(&odd, 1));
        assert!(error(&[point(1000, 100, 1); 12], 60 * 86_400_000_000) > 1.5 * alike);
    }
}
