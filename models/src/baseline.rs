//! Two naive predictors, to compare with.
//!
//! Both answer with a single figure and no band: all quantiles are equal. Neither knows fixed
//! costs. They exist so that a gain can be shown, never to be planned with.

use whimbrel_core::{
    predict::{MigrationRequest, PredictError, Prediction, Predictor, Quantiles, Stall},
    units::{Bytes, BytesPerSecond, Share, Span},
};

/// Memory over bandwidth: what operators reckon in their heads. Always converges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MemoryOverBandwidth;

/// Rounds that shrink by dirty rate over bandwidth until one fits into the downtime limit
/// (Liu et al., "Performance and energy modeling for live migration of virtual machines",
/// HPDC 2011), with the constant rate of the longest window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GeometricRounds;

/// Bound on rounds; QEMU itself has none.
const ROUNDS_MAX: u32 = 1000;

impl Predictor for MemoryOverBandwidth {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let bandwidth = bandwidth(request)?;
        let memory = request.domain.memory.as_f64();
        let seconds = memory / bandwidth;
        Ok(certain("memory-over-bandwidth/1", seconds, memory, request.settings.downtime_limit))
    }
}

impl Predictor for GeometricRounds {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let bandwidth = bandwidth(request)?;
        let memory = request.domain.memory.as_f64();
        let rate = constant_rate(request);
        let limit = request.settings.downtime_limit.as_seconds_f64();
        let mut round = memory;
        let mut sent = 0.0;
        let mut rounds = 0;
        while round > bandwidth * limit && round >= 1.0 && rate < bandwidth && rounds < ROUNDS_MAX {
            sent += round;
            round = (rate * round / bandwidth).min(memory);
            rounds += 1;
        }
        let fits = round <= bandwidth * limit || round < 1.0;
        sent += round;
        let downtime = Span::from_seconds_f64(round / bandwidth);
        let answer = certain("geometric-rounds/1", sent / bandwidth, sent, downtime);
        if fits {
            return Ok(answer);
        }
        let stall = Stall {
            round: Span::from_seconds_f64(memory / bandwidth).rounded(),
            remaining: Bytes::new(memory.round() as u64).rounded(),
            downtime_limit_needed: Span::from_seconds_f64(memory / bandwidth).rounded(),
        };
        Ok(Prediction { converges: Share::ZERO, stall: Some(stall), ..answer })
    }
}

/// Bytes a second of the stream, above 0.
fn bandwidth(request: &MigrationRequest<'_>) -> Result<f64, PredictError> {
    let share = request.path_bandwidth.as_f64() / f64::from(request.sharing.max(1));
    let limit = request.settings.bandwidth_limit.map_or(f64::INFINITY, BytesPerSecond::as_f64);
    let bandwidth = share.min(limit);
    if bandwidth > 0.0 {
        Ok(bandwidth)
    } else {
        Err(PredictError::NoBandwidth { vm: request.domain.vm.clone() })
    }
}

/// Dirtied a second over the longest window, in bytes; 0 where nothing was read.
fn constant_rate(request: &MigrationRequest<'_>) -> f64 {
    let longest = request.domain.dirty.iter().max_by_key(|r| (r.window, r.measured_at));
    longest
        .filter(|r| r.window > Span::ZERO)
        .map_or(0.0, |r| r.unique.as_f64() / r.window.as_seconds_f64())
}

/// One figure as if it were certain.
fn certain(model: &str, seconds: f64, bytes: f64, downtime: Span) -> Prediction {
    let span = Span::from_seconds_f64(seconds).rounded();
    Prediction {
        model: model.to_owned(),
        converges: Share::ONE,
        total_time: Quantiles::from_array([span; 7]),
        transferred: Quantiles::from_array([Bytes::new(bytes.round() as u64).rounded(); 7]),
        downtime: Quantiles::from_array([downtime.rounded(); 7]),
        stall: None,
        caveats: vec!["a single figure without a band".to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        cluster::{DirtyReading, Domain, DomainState},
        ids::{HostId, VmId},
        predict::{MigrationSettings, Mode, Transport},
        units::Timestamp,
    };

    use super::*;

    fn predict(predictor: &dyn Predictor, rate_mib: u64) -> Prediction {
        let domain = Domain {
            vm: VmId::new("vm").unwrap(),
            uuid: String::new(),
            host: HostId::new("h1").unwrap(),
            state: DomainState::Running,
            observed_at: Timestamp::default(),
            vcpus: 1,
            memory: Bytes::mib(800),
            resident: None,
            cpu_used: None,
            dirty: vec![DirtyReading {
                window: Span::from_seconds(2),
                unique: Bytes::mib(2 * rate_mib),
                measured_at: Timestamp::default(),
            }],
            job: None,
        };
        let settings = MigrationSettings {
            mode: Mode::PreCopy,
            transport: Transport::Tcp,
            bandwidth_limit: Some(BytesPerSecond::mib(80)),
            downtime_limit: Span::from_millis(300),
        };
        let request = MigrationRequest {
            domain: &domain,
            settings: &settings,
            path_bandwidth: BytesPerSecond::mib(200),
            sharing: 2,
            now: Timestamp::default(),
            seed: 0,
        };
        predictor.predict(&request).unwrap()
    }

    #[test]
    fn memory_over_bandwidth_knows_no_dirtying() {
        assert_eq!(predict(&MemoryOverBandwidth, 500).total_time.p50, Span::from_seconds(10));
    }

    #[test]
    fn rounds_halve_at_half_the_bandwidth() {
        // 800 + 400 + 200 + 100 + 50 + 25 MiB, then 12.5 fit into 24: 19.84 s.
        let prediction = predict(&GeometricRounds, 40);
        assert_eq!(prediction.total_time.p50, Span::from_millis(19_844));
        assert_eq!(prediction.downtime.p50, Span::from_millis(156));
        assert!(prediction.likely_converges());
    }

    #[test]
    fn a_rate_above_the_bandwidth_never_ends() {
        let prediction = predict(&GeometricRounds, 90);
        assert!(!prediction.likely_converges());
        assert_eq!(prediction.stall.unwrap().downtime_limit_needed, Span::from_seconds(10));
    }
}
