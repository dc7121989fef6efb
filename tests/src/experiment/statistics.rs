//! Figures over runs: means, medians, and how sure they are.

use crate::draw::Draw;

/// Samples of a bootstrap: enough for steady 2.5 % tails.
const RESAMPLES: usize = 4000;

/// Seed of every bootstrap.
const SEED: u64 = 1;

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// Of the sample.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// The mean; 0 of nothing.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The value below which `share` of all lie, interpolated; 0 of nothing.
pub fn quantile(values: &[f64], share: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let at = |index: f64| sorted.get(index as usize).copied().unwrap_or_default();
    at(place.floor()) + (at(place.ceil()) - at(place.floor())) * place.fract()
}

/// The median; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The geometric mean of what is above 0; 0 of nothing.
pub fn geometric_mean(values: &[f64]) -> f64 {
    let logarithms: Vec<f64> = values.iter().filter(|v| **v > 0.0).map(|v| v.ln()).collect();
    if logarithms.is_empty() { 0.0 } else { mean(&logarithms).exp() }
}

/// `figure` of `sample` with the interval of a percentile bootstrap (Efron, 1979): the sample's
/// members, here pairs, are drawn anew with replacement.
pub fn bootstrap<T: Copy>(sample: &[T], figure: impl Fn(&[T]) -> f64) -> Estimate {
    let value = figure(sample);
    if sample.is_empty() {
        return Estimate { value, low: value, high: value };
    }
    let mut draw = Draw::new(SEED);
    let mut drawn = || (0..sample.len()).map(|_| draw.of(sample)).collect::<Vec<T>>();
    let figures: Vec<f64> = (0..RESAMPLES).map(|_| figure(&drawn())).collect();
    Estimate { value, low: quantile(&figures, 0.025), high: quantile(&figures, 0.975) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn middles() {
        let values = [4.0, 1.0, 3.0, 2.0];
        assert!(near(mean(&values), 2.5) && near(median(&values), 2.5));
        assert!(near(quantile(&values, 1.0), 4.0) && near(quantile(&values, 0.0), 1.0));
        assert!(near(geometric_mean(&[1.0, 4.0]), 2.0));
        assert!(near(mean(&[]), 0.0) && near(median(&[]), 0.0) && near(geometric_mean(&[]), 0.0));
    }

    #[test]
    fn an_interval_narrows_with_the_sample_and_follows_the_seed() {
        let sample = |count: usize| (0..count).map(|k| (k % 10) as f64).collect::<Vec<_>>();
        let (few, many) = (bootstrap(&sample(10), mean), bootstrap(&sample(400), mean));
        assert!(near(few.value, 4.5) && few.low < 4.5 && few.high > 4.5);
        assert!(many.high - many.low < (few.high - few.low) / 4.0, "{many:?} {few:?}");
        // The standard error of 400 such values is 0.144.
        assert!((many.high - many.low - 2.0 * 1.96 * 0.144).abs() < 0.06, "{many:?}");
        assert_eq!(few, bootstrap(&sample(10), mean));
        assert!(near(bootstrap(&[], mean).value, 0.0));
    }
}
