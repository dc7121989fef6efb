//! The gap that a guest's users see: longer than the downtime that QEMU counts.
//!
//! Between the vCPUs' stop and the first packet that arrives at the guest's new place lie, beside
//! the downtime, the announcement of its address and whatever the network has to re-plumb: tens of
//! milliseconds on a bridge, seconds where a controller programs ports.

use serde::{Deserialize, Serialize};
use whimbrel_core::{predict::Quantiles, units::Span};

use crate::quantile::{quantile, sorted};

/// What is added to the downtime. Default: a bridge, 43 to 100 ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceGap {
    /// Median of what is added.
    pub constant: Span,
    /// Spread of its natural logarithm. Range 0..=3.
    pub spread: f64,
}

impl Default for ServiceGap {
    fn default() -> Self {
        Self { constant: Span::from_millis(65), spread: 0.26 }
    }
}

/// Fewer pairs teach nothing.
const PAIRS_MIN: usize = 5;

/// Standard normal quantiles of [`whimbrel_core::predict::QUANTILE_LEVELS`].
pub(crate) const NORMAL: [f64; 7] = [-1.960, -1.645, -0.674, 0.0, 0.674, 1.645, 1.960];

/// Between the quartiles of a normal distribution lie so many standard deviations.
const QUARTILES_APART: f64 = 1.349;

impl ServiceGap {
    /// The gap after a downtime. Takes both to be long together, which widens the band.
    pub fn after(&self, downtime: &Quantiles<Span>) -> Quantiles<Span> {
        let mut deviations = NORMAL.iter();
        downtime.map(|downtime| {
            let z = deviations.next().copied().unwrap_or_default();
            let added = self.constant.as_seconds_f64() * (z * self.spread).exp();
            (downtime + Span::from_seconds_f64(added)).rounded()
        })
    }

    /// Learns from (downtime that QEMU counted, gap that was measured from outside); `None` of
    /// fewer than five pairs in which the gap is the longer one.
    pub fn fit(pairs: &[(Span, Span)]) -> Option<Self> {
        let added = pairs.iter().map(|(downtime, gap)| gap.saturating_sub(*downtime));
        let logarithms: Vec<f64> = added
            .filter(|added| *added > Span::ZERO)
            .map(|added| added.as_seconds_f64().ln())
            .collect();
        if logarithms.len() < PAIRS_MIN {
            return None;
        }
        let sorted = sorted(&logarithms);
        let at = |level| quantile(&sorted, level).unwrap_or_default();
        let constant = Span::from_seconds_f64(at(0.5).exp());
        Some(Self { constant, spread: ((at(0.75) - at(0.25)) / QUARTILES_APART).clamp(0.0, 3.0) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_band_is_what_the_laboratory_showed() {
        let gap = ServiceGap::default().after(&Quantiles::from_array([Span::ZERO; 7]));
        assert_eq!((gap.p05, gap.p95), (Span::from_millis(42), Span::from_millis(100)));
    }

    #[test]
    fn a_slow_network_is_learnt() {
        let pair = |gap| (Span::from_millis(20), Span::from_millis(gap));
        let pairs: Vec<_> = [2520, 3020, 4020, 5020, 7020].map(pair).to_vec();
        let gap = ServiceGap::fit(&pairs).unwrap();
        assert_eq!(gap.constant.rounded(), Span::from_seconds(4));
        assert!((0.2..0.6).contains(&gap.spread), "{gap:?}");
        assert_eq!(ServiceGap::fit(&pairs[..4]), None);
    }

    #[test]
    fn gaps_shorter_than_their_downtime_teach_nothing() {
        assert_eq!(ServiceGap::fit(&[(Span::from_millis(9), Span::from_millis(8)); 9]), None);
    }
}
