//! A running mean and spread that follows what it estimates.

use serde::{Deserialize, Serialize};

/// Observations that the newest counts as: the older ones fade by it.
const MEMORY_OF: f64 = 6.0;

/// Observations that an assumption counts as.
const ASSUMED_WEIGHT: f64 = 1.5;

/// Mean and variance in which an observation loses a sixth of its weight to each newer one.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Estimate {
    mean: f64,
    variance: f64,
    weight: f64,
}

impl Estimate {
    /// Takes `value` in; what is no number is left out.
    pub fn observe(&mut self, value: f64) {
        if !value.is_finite() {
            return;
        }
        let before = self.weight.min(MEMORY_OF - 1.0);
        self.weight = before + 1.0;
        let part = 1.0 / self.weight;
        let off = value - self.mean;
        self.mean += part * off;
        self.variance = (1.0 - part) * (self.variance + part * off * off);
    }

    /// The mean; `None` of nothing.
    pub fn mean(&self) -> Option<f64> {
        (self.weight > 0.0).then_some(self.mean)
    }

    /// Standard deviation of single observations; `None` of fewer than two.
    pub fn spread(&self) -> Option<f64> {
        let bias = self.weight / (self.weight - 1.0);
        (self.weight > 1.5).then(|| (self.variance * bias).sqrt())
    }

    /// The mean drawn towards 0 by what little is known.
    pub(super) fn shrunk(&self) -> f64 {
        self.mean * self.weight / (self.weight + ASSUMED_WEIGHT)
    }

    /// Spread of an observation around [`Estimate::shrunk`], beginning at `assumed`.
    pub(super) fn spread_with(&self, assumed: f64) -> f64 {
        let all = self.weight + ASSUMED_WEIGHT;
        ((self.weight * self.variance + ASSUMED_WEIGHT * assumed * assumed) / all).sqrt()
    }

    /// Spread of observations whose true mean is 0, beginning at `assumed`.
    pub(super) fn spread_around_zero(&self, assumed: f64) -> f64 {
        let all = self.weight + ASSUMED_WEIGHT;
        let own = self.variance + self.mean * self.mean;
        ((self.weight * own + ASSUMED_WEIGHT * assumed * assumed) / all).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_and_fades() {
        let mut estimate = Estimate::default();
        assert_eq!((estimate.mean(), estimate.spread()), (None, None));
        for value in [10.0, 12.0, f64::NAN, 11.0] {
            estimate.observe(value);
        }
        assert!((estimate.mean().unwrap() - 11.0).abs() < 1e-9);
        assert!((estimate.spread().unwrap() - 1.0).abs() < 0.1, "{estimate:?}");
        (0..80).for_each(|_| estimate.observe(20.0));
        assert!((estimate.mean().unwrap() - 20.0).abs() < 0.1);
        assert!(estimate.spread_with(0.5) < 0.5);
    }
}
