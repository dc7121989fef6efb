//! Replay on a measured curve of distinct dirty pages, each round drained to zero.

use whimbrel_core::predict::{MigrationRequest, PredictError, Prediction, Predictor};

use super::{Constants, certain, readings, rounds::rounds};

/// U(t) is piecewise linear through the readings, and goes on beyond the longest with its last
/// slope until all memory with content is dirty; each round sends U of the one before, and it ends
/// when a round fits into the downtime limit (Gudkov, "migration: predict migration time",
/// qemu-devel, February to April 2023; 5,779 migrations, typical error 6 to 7 %).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DrainToZero {
    /// Fixed cost, efficiency, memory with content and downtime.
    pub constants: Constants,
}

impl Predictor for DrainToZero {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let points = points(readings(request, &self.constants));
        let figures = rounds(&self.constants, request, |seconds, _| unique(&points, seconds))?;
        Ok(certain("drain-to-zero/1", figures))
    }
}

/// The origin and one point for each window, the mean of its readings; neither axis falls.
fn points(mut readings: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    readings.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut points = vec![(0.0, 0.0)];
    let mut highest = 0.0_f64;
    for same in readings.chunk_by(|a, b| b.0 < a.0 * 1.05) {
        let count = same.len() as f64;
        let window = same.iter().map(|(window, _)| window).sum::<f64>() / count;
        highest = highest.max(same.iter().map(|(_, unique)| unique).sum::<f64>() / count);
        points.push((window, highest));
    }
    points
}

/// U at `seconds`, without a ceiling.
fn unique(points: &[(f64, f64)], seconds: f64) -> f64 {
    let pairs = || points.windows(2).filter_map(|pair| Some((pair.first()?, pair.last()?)));
    let piece = pairs().find(|(_, after)| seconds <= after.0).or_else(|| pairs().next_back());
    piece.map_or(0.0, |(before, after)| {
        let slope = (after.1 - before.1) / (after.0 - before.0).max(1e-9);
        before.1 + slope * (seconds - before.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::samples::ask;

    #[test]
    fn the_curve_goes_through_its_readings_and_on() {
        let points = points(vec![(4.0, 300.0), (1.0, 90.0), (1.0, 110.0), (8.0, 290.0)]);
        assert_eq!(points, [(0.0, 0.0), (1.0, 100.0), (4.0, 300.0), (8.0, 300.0)]);
        for (seconds, bytes) in [(0.5, 50.0), (2.5, 200.0), (6.0, 300.0), (100.0, 300.0)] {
            assert!((unique(&points, seconds) - bytes).abs() < 1e-9, "{seconds}");
        }
        assert!(unique(&[(0.0, 0.0)], 3.0).abs() < 1e-12, "nothing read");
    }

    #[test]
    fn a_hot_set_that_outruns_the_stream_hangs_where_a_mean_rate_would_not() {
        // 100 MiB within a second and no more: 12.5 MiB/s over the longest window.
        let readings = [(1, 100), (8, 100)];
        let said = ask(&DrainToZero::default(), &readings, |_| ());
        assert!(!said.likely_converges());
        assert!(
            ask(&super::super::GeometricRounds::default(), &readings, |_| ()).likely_converges()
        );
    }
}
