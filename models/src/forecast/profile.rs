//! The folded profile: what the level was at each phase of a known period.
//!
//! Follows edges that a few harmonics round off. Bins are means, drawn towards the whole mean
//! where few windows reach. Never looks for a period itself.

use super::series::{Point, reach_seconds};

/// Bins of a turn.
const BINS_MAX: usize = 24;
const BINS_MIN: usize = 4;

/// Windows behind a bin at which its own mean counts as much as the whole mean.
const SHRINK: f64 = 0.5;

/// Mean level in each part of a period.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Profile {
    pub(super) period_seconds: f64,
    /// From the last sample on; at least [`BINS_MIN`].
    bins: Vec<f64>,
}

impl Profile {
    /// `points` folded at `period_seconds`; `None` where they do not cover a turn.
    pub(super) fn fit(points: &[Point], period_seconds: f64) -> Option<Self> {
        let last = points.last()?.seconds;
        if !(period_seconds > 0.0 && reach_seconds(points) >= period_seconds) {
            return None;
        }
        let turns = reach_seconds(points) / period_seconds;
        let bins = ((points.len() as f64 / turns) as usize).clamp(BINS_MIN, BINS_MAX);
        let mean = points.iter().map(|p| p.value).sum::<f64>() / points.len() as f64;
        let mut sums = vec![(mean * SHRINK, SHRINK); bins];
        for point in points {
            // A window wider than a bin says something of each bin that it covers.
            let width = point.window_seconds / period_seconds * bins as f64;
            let middle = ((point.seconds - last) / period_seconds).rem_euclid(1.0) * bins as f64;
            let parts = (width.round() as usize).clamp(1, bins);
            for part in 0..parts {
                let offset = (part as f64 + 0.5) / parts as f64 - 0.5;
                let at = (middle + offset * width).rem_euclid(bins as f64) as usize;
                if let Some((sum, weight)) = sums.get_mut(at) {
                    *sum += point.value / parts as f64;
                    *weight += 1.0 / parts as f64;
                }
            }
        }
        Some(Self { period_seconds, bins: sums.iter().map(|(sum, weight)| sum / weight).collect() })
    }

    /// Mean over `window_seconds` around `ahead_seconds` after the last sample.
    pub(super) fn mean_at(&self, ahead_seconds: f64, window_seconds: f64) -> f64 {
        let bin_seconds = self.period_seconds / self.bins.len() as f64;
        let parts = ((window_seconds / bin_seconds).ceil() as usize).clamp(1, 4 * BINS_MAX);
        let sum: f64 = (0..parts)
            .map(|part| {
                let offset = (part as f64 + 0.5) / parts as f64 - 0.5;
                self.level(ahead_seconds + offset * window_seconds)
            })
            .sum();
        sum / parts as f64
    }

    fn level(&self, ahead_seconds: f64) -> f64 {
        let turn = (ahead_seconds / self.period_seconds).rem_euclid(1.0);
        let at = (turn * self.bins.len() as f64) as usize;
        self.bins.get(at).or(self.bins.last()).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_wave_keeps_its_edges() {
        let level = |t: f64| if (t / 40.0).rem_euclid(1.0) < 0.25 { 3.0 } else { 1.0 };
        let points: Vec<Point> = (0..100)
            .map(|k| f64::from(k) * 2.0)
            .map(|t| Point { seconds: t, window_seconds: 1.0, value: level(t) })
            .collect();
        let last = points.last().unwrap().seconds;
        let profile = Profile::fit(&points, 40.0).unwrap();
        for at in [205.0, 215.0, 225.0, 245.0, 285.0, 310.0] {
            let found = profile.mean_at(at - last, 0.0);
            assert!((found - level(at)).abs() < 0.3, "{found} at {at}");
        }
        assert!((profile.mean_at(7.0, 40.0) - 1.5).abs() < 0.1);
        assert_eq!(Profile::fit(&points[..5], 40.0), None);
    }
}
