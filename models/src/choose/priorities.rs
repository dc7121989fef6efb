//! What matters to whoever asks: limits, weights, and how much risk.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    predict::Quantiles,
    units::{Bytes, Share, Span},
};

/// What a migration must keep and what it should spare.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Priorities {
    /// The guest must have arrived this long after now, a wait for a better start included.
    pub deadline: Option<Span>,
    /// Longest downtime, as QEMU counts it.
    pub downtime_max: Option<Span>,
    /// What is dear among settings that keep the limits.
    pub weights: Weights,
    /// When the guest may run at the target while memory is still at the source.
    pub safety: Safety,
    /// How surely the limits must be kept.
    pub confidence: Confidence,
}

impl Default for Priorities {
    /// Everything counts, no limit is set, post-copy is avoided, 95 % sure.
    fn default() -> Self {
        Self {
            deadline: None,
            downtime_max: None,
            weights: Weights::default(),
            safety: Safety::default(),
            confidence: Confidence::default(),
        }
    }
}

/// What one unit of each cost weighs against the others. Finite, at least 0; the default's unit
/// is a second of migration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Weights {
    /// Of a second of downtime.
    pub downtime_second: f64,
    /// Of a second from begin to completion.
    pub total_second: f64,
    /// Of a GiB on the wire.
    pub gib: f64,
    /// Of a second of the guest's work that it does not get done.
    pub lost_guest_second: f64,
}

impl Default for Weights {
    /// A second of downtime is as bad as a minute of migration.
    fn default() -> Self {
        Self { downtime_second: 60.0, total_second: 1.0, gib: 1.0, lost_guest_second: 5.0 }
    }
}

/// When post-copy may be proposed: a host or link that fails during it takes the guest along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Safety {
    /// Never.
    #[default]
    AvoidPostCopy,
    /// Only over a link that the caller calls steady.
    PostCopyOverSteadyLinks,
    /// Wherever it is the best.
    Free,
}

/// The quantile that must keep the limits; also the least probability of converging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confidence {
    /// One in two.
    P50,
    /// Three in four.
    P75,
    /// 19 in 20.
    #[default]
    P95,
    /// 39 in 40.
    P975,
}

impl Confidence {
    /// As a probability.
    pub fn level(self) -> Share {
        Share::clamped(match self {
            Self::P50 => 0.5,
            Self::P75 => 0.75,
            Self::P95 => 0.95,
            Self::P975 => 0.975,
        })
    }

    /// The quantile of that probability.
    pub fn of<T: Copy>(self, quantiles: &Quantiles<T>) -> T {
        match self {
            Self::P50 => quantiles.p50,
            Self::P75 => quantiles.p75,
            Self::P95 => quantiles.p95,
            Self::P975 => quantiles.p975,
        }
    }
}

/// Priorities that have a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// The default weights.
    #[default]
    Balanced,
    /// The guest should hardly notice; time and traffic matter little.
    Gentle,
    /// The guest should be gone soon, as before a host fails.
    Fast,
    /// The network should hardly notice.
    Frugal,
}

impl Preset {
    /// Its priorities, without limits.
    pub fn priorities(self) -> Priorities {
        let weights = match self {
            Self::Balanced => Weights::default(),
            Self::Gentle => Weights {
                downtime_second: 300.0,
                total_second: 0.2,
                gib: 0.2,
                lost_guest_second: 20.0,
            },
            Self::Fast => Weights {
                downtime_second: 5.0,
                total_second: 1.0,
                gib: 0.0,
                lost_guest_second: 0.2,
            },
            Self::Frugal => Weights {
                downtime_second: 30.0,
                total_second: 0.1,
                gib: 30.0,
                lost_guest_second: 2.0,
            },
        };
        Priorities { weights, ..Priorities::default() }
    }
}

impl Weights {
    /// A weight that is no number or negative counts as 0.
    pub(super) fn sound(self) -> Self {
        let sound = |weight: f64| if weight.is_finite() { weight.max(0.0) } else { 0.0 };
        Self {
            downtime_second: sound(self.downtime_second),
            total_second: sound(self.total_second),
            gib: sound(self.gib),
            lost_guest_second: sound(self.lost_guest_second),
        }
    }

    /// What these figures weigh, predicted or measured; `lost_guest_seconds` of the guest's work
    /// did not get done.
    pub fn cost(&self, downtime: Span, total: Span, sent: Bytes, lost_guest_seconds: f64) -> f64 {
        const GIB: f64 = 1_073_741_824.0;
        self.downtime_second * downtime.as_seconds_f64()
            + self.total_second * total.as_seconds_f64()
            + self.lost_guest_second * lost_guest_seconds
            + self.gib * sent.as_f64() / GIB
    }
}
