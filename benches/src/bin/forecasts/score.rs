//! Pinball loss, error of the median and coverage of a method, per forecast and summed up.

use std::collections::BTreeMap;

use whimbrel_core::predict::{QUANTILE_LEVELS, Quantiles};

/// Sums over forecasts; each forecast counts once, however many of its steps were measured.
#[derive(Debug, Clone, Default)]
pub(crate) struct Score {
    forecasts: f64,
    pinball: f64,
    error: f64,
    inside50: f64,
    inside90: f64,
    /// How often the back-test chose it.
    pub(crate) chosen: u32,
}

impl Score {
    /// One forecast's `bands` against what came; steps that were not measured are passed over.
    pub(crate) fn of(bands: impl Iterator<Item = Quantiles<f64>>, actual: &[f64]) -> Self {
        let mut sum = Self::default();
        let mut steps = 0.0;
        for (band, actual) in bands.zip(actual).filter(|(_, actual)| actual.is_finite()) {
            steps += 1.0;
            let losses = band.to_array().into_iter().zip(QUANTILE_LEVELS).map(|(stated, level)| {
                let over = actual - stated;
                if over >= 0.0 { level * over } else { (level - 1.0) * over }
            });
            sum.pinball += losses.sum::<f64>() / 7.0;
            sum.error += (actual - band.p50).abs();
            sum.inside50 += f64::from(u8::from((band.p25..=band.p75).contains(actual)));
            sum.inside90 += f64::from(u8::from((band.p05..=band.p95).contains(actual)));
        }
        let mean = |value: f64| value / f64::max(steps, 1.0);
        Self {
            forecasts: 1.0,
            pinball: mean(sum.pinball),
            error: mean(sum.error),
            inside50: mean(sum.inside50),
            inside90: mean(sum.inside90),
            chosen: 0,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.forecasts += other.forecasts;
        self.pinball += other.pinball;
        self.error += other.error;
        self.inside50 += other.inside50;
        self.inside90 += other.inside90;
    }
}

/// Prints a table of `scores`.
pub(crate) fn print(scores: &BTreeMap<String, Score>) {
    println!(
        "{:24}{:>10}{:>10}{:>10}{:>12}{:>12}{:>8}",
        "method", "forecasts", "pinball", "MAE", "in 50 %", "in 90 %", "chosen"
    );
    for (name, score) in scores {
        let mean = |sum: f64| sum / score.forecasts.max(1.0);
        println!(
            "{name:24}{:>10}{:>10.3}{:>10.3}{:>10.1} %{:>10.1} %{:>8}",
            score.forecasts,
            mean(score.pinball),
            mean(score.error),
            100.0 * mean(score.inside50),
            100.0 * mean(score.inside90),
            score.chosen
        );
    }
}
