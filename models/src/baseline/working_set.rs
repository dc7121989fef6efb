//! A writable working set, its write rate, and pages that are skipped.

use whimbrel_core::{
    predict::{MigrationRequest, PredictError, Prediction, Predictor},
    telemetry::MigrationTrace,
};

use super::{Constants, certain, constants::for_each_answer, readings, rounds::rounds};
use crate::quantile::median;

/// The guest writes at random to a working set of W bytes at R bytes a second, so that
/// W (1 - exp(-R t / W)) are dirty after t. A page that gets dirty in a round before its turn in
/// it need not be sent again: of pages in the round that is all but 1 - (1 - exp(-x)) / x with
/// x = R t / W. After Nathan, Bellur and Kulkarni, "Towards a comprehensive performance model of
/// virtual machine live migration", `SoCC` 2015: size of the working set, dirty rate, and skipped
/// pages by dirty and transfer rate. Whether pages are skipped is chosen on past migrations.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WorkingSet {
    /// Fixed cost, efficiency, memory with content and downtime.
    pub constants: Constants,
    /// Whether pages that get dirty before their turn are skipped.
    pub skips: bool,
}

/// Steps of each of the two grids that the fit looks through.
const STEPS: usize = 32;

impl WorkingSet {
    /// Learns constants from `past`, and whether pages are skipped.
    pub fn learn(past: &[MigrationTrace]) -> Self {
        let [with, without] = [true, false]
            .map(|skips| Constants::learn(past, |constants| Self { constants, skips }));
        if time_error(past, &with) < time_error(past, &without) { with } else { without }
    }
}

impl Predictor for WorkingSet {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let content = self.constants.content(request.domain);
        let (set, rate) = fitted(&readings(request, &self.constants), content);
        let skips = self.skips;
        let figures = rounds(&self.constants, request, |seconds, sent| {
            let x = if set > 0.0 { rate * seconds / set } else { 0.0 };
            let dirty = 1.0 - (-x).exp();
            // Of the working set, what is in this round; all of it in the first.
            let inside = if skips { sent.min(set) } else { 0.0 };
            let after_turn = if x > 1e-9 { 1.0 - dirty / x } else { 0.0 };
            inside * after_turn + (set - inside) * dirty
        })?;
        Ok(certain("working-set/1", figures))
    }
}

/// Size and write rate of the working set that meet `readings` best, by relative error; nothing
/// without readings.
fn fitted(readings: &[(f64, f64)], content: f64) -> (f64, f64) {
    let largest = readings.iter().map(|(_, unique)| *unique).fold(0.0, f64::max);
    let fastest = readings.iter().map(|(window, unique)| unique / window).fold(0.0, f64::max);
    if largest <= 0.0 {
        return (0.0, 0.0);
    }
    let grid = |low: f64, high: f64| {
        let ratio = (high / low).max(1.0);
        (0..STEPS).map(move |k| low * ratio.powf(k as f64 / (STEPS - 1) as f64))
    };
    let error = |set: f64, rate: f64| -> f64 {
        let one = |(window, unique): &(f64, f64)| {
            let model = set * (1.0 - (-rate * window / set).exp());
            ((model + 4096.0) / (unique + 4096.0)).ln().powi(2)
        };
        readings.iter().map(one).sum()
    };
    let candidates = grid(largest, content.max(largest) * 1.2)
        .flat_map(|set| grid(fastest * 0.25, fastest * 4.0).map(move |rate| (set, rate)));
    candidates
        .min_by(|a, b| error(a.0, a.1).total_cmp(&error(b.0, b.1)))
        .unwrap_or((largest, fastest))
}

/// Median relative error of time over `past`.
fn time_error(past: &[MigrationTrace], model: &WorkingSet) -> f64 {
    let mut errors = Vec::new();
    for_each_answer(past, model, |_, stats, said| {
        let actual = stats.total_time.as_seconds_f64();
        errors.push((said.total_time.p50.as_seconds_f64() / actual - 1.0).abs());
    });
    median(&errors).unwrap_or(f64::INFINITY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::samples::ask;

    #[test]
    fn the_fit_finds_a_saturating_set() {
        let of = |t: f64| 100.0e6 * (1.0 - (-t * 0.5).exp());
        let readings: Vec<_> = [1.0, 2.0, 4.0, 8.0].map(|t| (t, of(t))).to_vec();
        let (set, rate) = fitted(&readings, 800.0e6);
        assert!((90.0e6..110.0e6).contains(&set), "{set}");
        assert!((45.0e6..55.0e6).contains(&rate), "{rate}");
        assert_eq!(fitted(&[], 1.0), (0.0, 0.0));
    }

    #[test]
    fn skipping_saves_time() {
        let readings = [(1, 30), (2, 55), (4, 90)];
        let time = |skips| {
            let model = WorkingSet { skips, ..WorkingSet::default() };
            ask(&model, &readings, |_| ()).total_time.p50
        };
        assert!(time(true) < time(false));
    }
}
