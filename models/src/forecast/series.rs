//! A series as it was measured: irregular, with gaps, and cleaned of what cannot be.
//!
//! Decides which samples are used: finite ones from 0 up, not from the future, one a moment.
//! Never fills a gap here; what was left out is counted and told.

use whimbrel_core::units::{Span, Timestamp};

use super::ForecastError;

/// Fewest usable samples of a forecast: below, nothing can be tried on what is known.
pub const SAMPLES_MIN: usize = 6;

/// Most samples that are used, newest first.
const SAMPLES_MAX: usize = 50_000;

/// Values above this are no measurement of anything; their squares still have room.
const VALUE_MAX: f64 = 1e18;

/// One measurement: the mean of a quantity over a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When the window ended.
    pub at: Timestamp,
    /// Length of the window; 0 for a look at one moment.
    pub window: Span,
    /// The quantity, 0..=1e18 in any unit.
    pub value: f64,
}

/// A sample in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// Middle of the window against the series' `now`, at most 0.
    pub(super) seconds: f64,
    /// Length of the window.
    pub(super) window_seconds: f64,
    pub(super) value: f64,
}

/// A cleaned series, oldest sample first.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    now: Timestamp,
    points: Vec<Point>,
    dropped: usize,
}

impl Series {
    /// The usable ones of `samples` in any order, as known at `now`. Of several samples of one
    /// moment the last one given counts: after a clock was set back the later reading is right.
    ///
    /// # Errors
    /// [`ForecastError::TooFew`] when fewer than [`SAMPLES_MIN`] are usable.
    pub fn new(
        samples: impl IntoIterator<Item = Sample>,
        now: Timestamp,
    ) -> Result<Self, ForecastError> {
        let mut given = 0_usize;
        let mut points: Vec<Point> = samples
            .into_iter()
            .inspect(|_| given += 1)
            .filter(|s| s.at <= now && (0.0..=VALUE_MAX).contains(&s.value))
            .map(|s| {
                let window_seconds = s.window.as_seconds_f64();
                let seconds = -now.since(s.at).as_seconds_f64() - window_seconds / 2.0;
                Point { seconds, window_seconds, value: s.value }
            })
            .collect();
        points.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        let mut kept: Vec<Point> = Vec::with_capacity(points.len());
        for point in points {
            match kept.last_mut() {
                Some(last) if point.seconds - last.seconds < 1e-6 => *last = point,
                _ => kept.push(point),
            }
        }
        let dropped = given.saturating_sub(kept.len());
        let points = kept.split_off(kept.len().saturating_sub(SAMPLES_MAX));
        if points.len() < SAMPLES_MIN {
            return Err(ForecastError::TooFew { have: points.len(), dropped });
        }
        Ok(Self { now, points, dropped })
    }

    /// The moment as of which it is known.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many samples are used; at least [`SAMPLES_MIN`].
    pub fn samples(&self) -> usize {
        self.points.len()
    }

    /// How many were left out: not finite, below 0, from the future, or a second one of a moment.
    pub fn dropped(&self) -> usize {
        self.dropped
    }

    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// Median time between neighbours, in seconds; above 0.
    pub(super) fn gap_seconds(&self) -> f64 {
        let gaps: Vec<f64> = self.points.windows(2).map(|w| w[1].seconds - w[0].seconds).collect();
        crate::quantile::median(&gaps).unwrap_or(1.0).max(1e-3)
    }
}

/// From the first to the last of `points`, in seconds.
pub(super) fn reach_seconds(points: &[Point]) -> f64 {
    match (points.first(), points.last()) {
        (Some(first), Some(last)) => last.seconds - first.seconds,
        _ => 0.0,
    }
}

/// `points` as a regular grid whose last cell is centred on the last point: the mean of what fell
/// into each cell, `None` where nothing did. At most `cells_max` cells, the newest.
pub(super) fn grid(points: &[Point], step_seconds: f64, cells_max: usize) -> Vec<Option<f64>> {
    let Some(last) = points.last() else { return Vec::new() };
    let back = |p: &Point| ((last.seconds - p.seconds) / step_seconds).round();
    let cells = ((reach_seconds(points) / step_seconds).round() as usize).min(cells_max - 1) + 1;
    let mut sums = vec![(0.0, 0_u32); cells];
    for point in points.iter().rev() {
        let Some(cell) = sums.get_mut(back(point) as usize) else { break };
        cell.0 += point.value;
        cell.1 += 1;
    }
    sums.iter().rev().map(|(sum, n)| (*n > 0).then(|| sum / f64::from(*n))).collect()
}

/// `grid` with gaps bridged by straight lines, for methods that know no gaps, and the part of
/// its cells that was measured.
pub(super) fn bridged(grid: &[Option<f64>]) -> (Vec<f64>, f64) {
    let known: Vec<(usize, f64)> =
        grid.iter().enumerate().filter_map(|(at, value)| Some((at, (*value)?))).collect();
    let mut filled = Vec::with_capacity(grid.len());
    for pair in known.windows(2) {
        let [(from, low), (to, high)] = [pair[0], pair[1]];
        let length = (to - from) as f64;
        filled.extend((from..to).map(|at| low + (high - low) * (at - from) as f64 / length));
    }
    filled.extend(known.last().map(|(_, value)| *value));
    (filled, known.len() as f64 / grid.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(second: u64, value: f64) -> Sample {
        Sample { at: Timestamp::from_micros(second * 1_000_000), window: Span::ZERO, value }
    }

    const NOW: Timestamp = Timestamp::from_micros(1_000_000_000);

    #[test]
    fn what_cannot_be_is_left_out_and_counted() {
        let bad =
            [sample(1, f64::NAN), sample(2, -1.0), sample(3, f64::INFINITY), sample(2000, 1.0)];
        let good = (10..20).map(|second| sample(second, 1.0));
        let series = Series::new(bad.into_iter().chain(good), NOW).unwrap();
        assert_eq!((series.samples(), series.dropped()), (10, 4));
        let few = Series::new([sample(1, 1.0)], NOW).unwrap_err();
        assert_eq!(few, ForecastError::TooFew { have: 1, dropped: 0 });
        assert!(few.to_string().contains("hint:"));
    }

    #[test]
    fn gaps_stay_gaps_until_they_are_bridged() {
        let seconds = [100, 110, 121, 150, 159, 170];
        let samples = seconds.map(|second| sample(second, second as f64));
        let series = Series::new(samples, NOW).unwrap();
        let cells = grid(series.points(), 10.0, 100);
        let known: Vec<bool> = cells.iter().map(Option::is_some).collect();
        assert_eq!(known, [true, true, true, false, false, true, true, true]);
        let (filled, measured) = bridged(&cells);
        assert_eq!(filled.len(), 8);
        assert!((measured - 0.75).abs() < 1e-9);
        assert!(filled.is_sorted());
        assert_eq!(grid(series.points(), 10.0, 3).len(), 3);
    }
}
