//! Published models of migration cost, to compare with.
//!
//! Each follows its source; where the source is silent, it gets what makes it stronger, so that a
//! gain over it is no gain over a straw man: constants learnt from the same past migrations as
//! ours ([`Constants`]: fixed cost, efficiency of a stream, memory with content, downtime), QEMU's
//! throttle and its switch to post-copy ([`rounds`]). All answer with a single figure and no band:
//! their quantiles are equal.
//!
//! They exist so that a gain can be shown, never to be planned with.

mod bagging;
mod constants;
mod drain;
mod features;
mod geometric;
mod memory;
mod rounds;
mod vectors;
mod working_set;

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    predict::{MigrationRequest, Prediction, Quantiles, Stall},
    telemetry::MigrationTrace,
    units::{Bytes, Share, Span},
};

use crate::evaluate::{Learner, Student};

pub use constants::{Constants, Stream};
pub use drain::DrainToZero;
pub use geometric::GeometricRounds;
pub use memory::MemoryOverBandwidth;
pub use vectors::SupportVectors;
pub use working_set::WorkingSet;

/// A published model, as something that can be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Published {
    /// [`MemoryOverBandwidth`].
    MemoryOverBandwidth,
    /// [`GeometricRounds`].
    GeometricRounds,
    /// [`WorkingSet`].
    WorkingSet,
    /// [`DrainToZero`].
    DrainToZero,
    /// [`SupportVectors`].
    SupportVectors,
}

impl Published {
    /// Every one, the oldest idea first.
    pub const ALL: [Self; 5] = [
        Self::MemoryOverBandwidth,
        Self::GeometricRounds,
        Self::WorkingSet,
        Self::DrainToZero,
        Self::SupportVectors,
    ];
}

impl Student for MemoryOverBandwidth {}
impl Student for GeometricRounds {}
impl Student for WorkingSet {}
impl Student for DrainToZero {}
impl Student for SupportVectors {}

impl Learner for Published {
    fn name(&self) -> String {
        let name = match self {
            Self::MemoryOverBandwidth => "memory over bandwidth",
            Self::GeometricRounds => "geometric rounds",
            Self::WorkingSet => "working set",
            Self::DrainToZero => "drain to zero",
            Self::SupportVectors => "support vectors",
        };
        name.to_owned()
    }

    fn train(&self, past: &[MigrationTrace], seed: u64) -> Box<dyn Student> {
        match self {
            Self::MemoryOverBandwidth => {
                Box::new(Constants::learn(past, |constants| MemoryOverBandwidth { constants }))
            }
            Self::GeometricRounds => {
                Box::new(Constants::learn(past, |constants| GeometricRounds { constants }))
            }
            Self::WorkingSet => Box::new(WorkingSet::learn(past)),
            Self::DrainToZero => {
                Box::new(Constants::learn(past, |constants| DrainToZero { constants }))
            }
            Self::SupportVectors => Box::new(SupportVectors::learn(past, seed)),
        }
    }

    /// Regression sees features, never names: all guests teach it alike.
    fn knows_guests(&self) -> bool {
        *self != Self::SupportVectors
    }
}

/// What a model says of one migration, in seconds and bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figures {
    converges: bool,
    seconds: f64,
    bytes: f64,
    downtime_seconds: f64,
    stall: Option<Stall>,
}

/// One figure as if it were certain.
fn certain(model: &str, figures: Figures) -> Prediction {
    let span = |seconds: f64| Quantiles::from_array([Span::from_seconds_f64(seconds).rounded(); 7]);
    let bytes = Bytes::new(figures.bytes.round() as u64).rounded();
    Prediction {
        model: model.to_owned(),
        converges: if figures.converges { Share::ONE } else { Share::ZERO },
        total_time: span(figures.seconds),
        transferred: Quantiles::from_array([bytes; 7]),
        downtime: span(figures.downtime_seconds),
        impact: None,
        stall: figures.stall,
        caveats: vec!["a single figure without a band".to_owned()],
    }
}

/// Readings of the requested domain, or else what its past migrations showed of its rate.
fn readings(request: &MigrationRequest<'_>, constants: &Constants) -> Vec<(f64, f64)> {
    let read: Vec<(f64, f64)> = request
        .domain
        .dirty
        .iter()
        .filter(|r| r.window > Span::ZERO)
        .map(|r| (r.window.as_seconds_f64(), r.unique.as_f64()))
        .collect();
    if read.is_empty() {
        let rate = constants.rates.get(&request.domain.vm).copied();
        return rate.map(|rate| (1.0, rate)).into_iter().collect();
    }
    read
}

#[cfg(test)]
mod samples {
    //! A domain and a request to ask baselines with.

    use whimbrel_core::{
        cluster::{DirtyReading, Domain, DomainState},
        ids::{HostId, VmId},
        settings::{MigrationSettings, QemuVersion},
        units::{BytesPerSecond, Timestamp},
    };

    use super::*;

    /// 800 MiB that dirty `(window seconds, MiB)`, over 80 MiB/s.
    pub(super) fn ask(
        predictor: &dyn whimbrel_core::Predictor,
        readings: &[(u64, u64)],
        change: impl FnOnce(&mut MigrationSettings),
    ) -> Prediction {
        let reading = |(window, mib): &(u64, u64)| DirtyReading {
            window: Span::from_seconds(*window),
            unique: Bytes::mib(*mib),
            measured_at: Timestamp::default(),
        };
        let domain = Domain {
            vm: VmId::unnamed(),
            uuid: String::new(),
            host: HostId::unnamed(),
            state: DomainState::Running,
            observed_at: Timestamp::default(),
            vcpus: 1,
            memory: Bytes::mib(800),
            resident: None,
            cpu_used: None,
            dirty: readings.iter().map(reading).collect(),
            job: None,
            tags: std::collections::BTreeSet::new(),
            needs: whimbrel_core::cluster::Needs::default(),
        };
        let mut settings = MigrationSettings {
            bandwidth_limit: Some(BytesPerSecond::mib(80)),
            ..MigrationSettings::default()
        };
        change(&mut settings);
        let request = MigrationRequest {
            to: None,
            domain: &domain,
            settings: &settings,
            path_bandwidth: BytesPerSecond::mib(800),
            sharing: 2,
            qemu: QemuVersion::default(),
            now: Timestamp::default(),
            seed: 0,
        };
        predictor.predict(&request).unwrap()
    }
}
