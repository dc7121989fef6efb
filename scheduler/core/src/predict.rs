//! The contract of prediction: what is asked, what is answered, who answers.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    cluster::Domain,
    ids::{HostId, VmId},
    settings::{MigrationSettings, QemuVersion, SettingsConflict},
    units::{Bytes, BytesPerSecond, Share, Span, Timestamp},
};

/// One question to a predictor. Everything that the answer may depend on is in here.
#[derive(Debug, Clone)]
pub struct MigrationRequest<'a> {
    /// The domain with its newest readings.
    pub domain: &'a Domain,
    /// Where it is to go, where that is decided; its source is where it was sighted.
    pub to: Option<&'a HostId>,
    /// How it is to be migrated.
    pub settings: &'a MigrationSettings,
    /// What the path from source to target carries when nobody else uses it, payload only.
    pub path_bandwidth: BytesPerSecond,
    /// Migrations that will share the path all the time, this one included; at least 1.
    pub sharing: u32,
    /// The older of the QEMU at the source and the one at the target: what both can do.
    pub qemu: QemuVersion,
    /// The moment that readings are old or new against.
    pub now: Timestamp,
    /// Seed of whatever the predictor draws.
    pub seed: u64,
}

/// Quantiles of a predicted quantity; ordered from low to high.
///
/// `p25..=p75` is the 50 % band, `p05..=p95` the 90 % band and `p025..=p975` the 95 % band.
///
/// In files it is a list of the seven values, which keeps one prediction on one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[T; 7]", into = "[T; 7]")]
#[serde(bound(serialize = "T: Serialize + Copy", deserialize = "T: Deserialize<'de> + Copy"))]
pub struct Quantiles<T> {
    /// 2.5 % lie below.
    pub p025: T,
    /// 5 % lie below.
    pub p05: T,
    /// A quarter lies below.
    pub p25: T,
    /// The median: the single figure to quote.
    pub p50: T,
    /// A quarter lies above.
    pub p75: T,
    /// 5 % lie above: the figure for time-outs.
    pub p95: T,
    /// 2.5 % lie above.
    pub p975: T,
}

/// Probabilities of the fields of [`Quantiles`], in their order.
pub const QUANTILE_LEVELS: [f64; 7] = [0.025, 0.05, 0.25, 0.5, 0.75, 0.95, 0.975];

impl<T: Copy> Quantiles<T> {
    /// From seven values in the order of [`QUANTILE_LEVELS`].
    pub fn from_array([p025, p05, p25, p50, p75, p95, p975]: [T; 7]) -> Self {
        Self { p025, p05, p25, p50, p75, p95, p975 }
    }

    /// Seven values in the order of [`QUANTILE_LEVELS`].
    pub fn to_array(self) -> [T; 7] {
        [self.p025, self.p05, self.p25, self.p50, self.p75, self.p95, self.p975]
    }

    /// The same change to every quantile; `change` must not fall.
    #[must_use]
    pub fn map<U: Copy>(self, change: impl FnMut(T) -> U) -> Quantiles<U> {
        Quantiles::from_array(self.to_array().map(change))
    }
}

impl<T: Copy> From<[T; 7]> for Quantiles<T> {
    fn from(values: [T; 7]) -> Self {
        Self::from_array(values)
    }
}

impl<T: Copy> From<Quantiles<T>> for [T; 7] {
    fn from(quantiles: Quantiles<T>) -> Self {
        quantiles.to_array()
    }
}

/// What a migration is expected to cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// Name and version of what predicted.
    pub model: String,
    /// Probability that it ends by itself under these settings.
    pub converges: Share,
    /// From begin to completion, preparation on the target included; if it converges.
    pub total_time: Quantiles<Span>,
    /// Bytes on the wire, headers included; if it converges.
    pub transferred: Quantiles<Bytes>,
    /// vCPUs stopped, as QEMU counts it: the user's network sees a longer gap.
    pub downtime: Quantiles<Span>,
    /// What the guest feels beside the downtime, where the predictor says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub impact: Option<Impact>,
    /// Where it would hang, when it may not converge.
    pub stall: Option<Stall>,
    /// What makes the answer less certain than usual, for people.
    #[serde(default)]
    pub caveats: Vec<String>,
}

/// Least time that a migration is given beyond its p95.
const TIMEOUT_MARGIN: Span = Span::from_seconds(10);

/// A migration is given this many times its p95 total time. One in twenty takes longer than p95
/// even if the prediction is right; half as much again catches a link that is busier than it was.
const TIMEOUT_FACTOR: f64 = 1.5;

impl Prediction {
    /// Whether it is more likely to converge than not.
    pub fn likely_converges(&self) -> bool {
        self.converges.get() >= 0.5
    }

    /// After how long a migration with this prediction is given up, in whole seconds.
    pub fn timeout(&self) -> Span {
        let p95 = self.total_time.p95;
        let longer = Span::from_seconds_f64(p95.as_seconds_f64() * TIMEOUT_FACTOR);
        let seconds = longer.max(p95 + TIMEOUT_MARGIN).as_seconds_f64().ceil();
        Span::from_seconds_f64(seconds)
    }
}

/// What a guest feels of its migration beside the downtime.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Impact {
    /// Part of its work that it does not get done during the migration, 0..=1: dirty logging,
    /// throttling and waiting for pages together. Median.
    pub throughput_loss: Share,
    /// Gap that the guest's users see on the network: downtime, re-plumbing and announcement.
    pub service_gap: Quantiles<Span>,
    /// Pages that it will have to wait for after a switch to post-copy; 0 in other modes. Median.
    pub faults: u64,
    /// Time that one such page makes it wait. Median.
    pub fault_stall: Span,
}

/// The fixed point U(t*) = B t* at which rounds stop getting shorter.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stall {
    /// Length t* of a round there.
    pub round: Span,
    /// Memory dirtied in such a round.
    pub remaining: Bytes,
    /// The smallest downtime limit that would let it switch over.
    pub downtime_limit_needed: Span,
}

/// Predicts the cost of a migration before it starts.
///
/// Decides nothing: a prediction is a statement with a band. Deterministic in its request. Never
/// answers with confidence where there is no telemetry: it widens the band and says so.
pub trait Predictor {
    /// Answers `request`.
    ///
    /// # Errors
    /// [`PredictError`] where no honest answer exists.
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError>;
}

/// Why there is no prediction.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum PredictError {
    /// No bandwidth, no migration.
    #[error(
        "domain {vm}: the path carries 0 B/s (hint: give the link's bandwidth in the configuration)"
    )]
    NoBandwidth {
        /// The domain.
        vm: VmId,
    },
    /// The readings contradict each other or the domain's size.
    #[error("domain {vm}: {what} (hint: let the collector measure it again)")]
    BadTelemetry {
        /// The domain.
        vm: VmId,
        /// The contradiction, with values.
        what: String,
    },
    /// QEMU would refuse these settings.
    #[error("domain {vm}: {conflict}")]
    Conflict {
        /// The domain.
        vm: VmId,
        /// What excludes what.
        conflict: SettingsConflict,
    },
    /// A recording is asked what nobody asked while it was made.
    #[error(
        "domain {vm}: nobody asked for a prediction {asked} when this input was saved \
         (hint: save the input again from the cluster or its telemetry, with this program)"
    )]
    NotRecorded {
        /// The domain.
        vm: VmId,
        /// The rest of the question.
        asked: String,
    },
}
