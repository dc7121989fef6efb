//! Quantiles of samples.

use whimbrel_core::predict::{QUANTILE_LEVELS, Quantiles};

/// The `level`-quantile of `sorted` by linear interpolation between order statistics (type 7 of
/// Hyndman and Fan, 1996); `None` of nothing. Range of `level`: 0..=1.
pub(crate) fn quantile(sorted: &[f64], level: f64) -> Option<f64> {
    let position = level.clamp(0.0, 1.0) * sorted.len().saturating_sub(1) as f64;
    let below = sorted.get(position.floor() as usize)?;
    let above = sorted.get(position.ceil() as usize)?;
    Some(below + (above - below) * position.fract())
}

/// The median of `values` in any order; `None` of nothing.
pub(crate) fn median(values: &[f64]) -> Option<f64> {
    quantile(&sorted(values), 0.5)
}

/// `values` in rising order.
pub(crate) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// Half the width of the middle 80 % of `logs` in standard deviations: outliers do not reach it.
pub(crate) fn spread(logs: &[f64]) -> f64 {
    let sorted = sorted(logs);
    let at = |level| quantile(&sorted, level).unwrap_or(0.0);
    (at(0.9) - at(0.1)) / 2.563
}

/// The median of `values` and the [`spread`] of their logarithms around it; `None` of fewer than
/// `least` values and where the median is not above 0.
pub(crate) fn level_and_spread(values: &[f64], least: usize) -> Option<(f64, f64)> {
    let middle = median(values).filter(|m| *m > 0.0 && values.len() >= least)?;
    let logs: Vec<f64> = values.iter().map(|v| (v.max(1e-9) / middle).ln()).collect();
    Some((middle, spread(&logs)))
}

/// The seven quantiles that a prediction states; zero of nothing.
pub(crate) fn bands(values: &[f64]) -> Quantiles<f64> {
    let sorted = sorted(values);
    Quantiles::from_array(QUANTILE_LEVELS.map(|level| quantile(&sorted, level).unwrap_or(0.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpolates_between_neighbours() {
        assert_eq!(median(&[3.0, 1.0, 2.0, 4.0]), Some(2.5));
        assert_eq!(quantile(&[1.0, 2.0], 1.0), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
