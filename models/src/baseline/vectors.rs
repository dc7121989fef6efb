//! Support-vector regression with bagging.

use std::collections::BTreeMap;

use whimbrel_core::{
    cluster::CompletedStats,
    predict::{MigrationRequest, PredictError, Prediction, Predictor},
    telemetry::MigrationTrace,
};

use super::{
    Constants, Figures, MemoryOverBandwidth,
    bagging::{Bagged, Features, Rows, Shape},
    certain,
    features::features,
};
use crate::{
    curve::draws::Draws,
    evaluate::{Outcome, outcome},
    past::{PathGuess, domain_before},
};

/// Separate regressors of the logarithms of time, bytes and downtime, and one of whether it
/// converges: radial basis functions on standardised features, each the mean of ten bags (Jo, Cho
/// and Egger, "A machine learning approach to live migration modeling", `SoCC` 2017: support-vector
/// regression with bagging was best of theirs).
///
/// Stronger than the paper's: time and bytes are regressed over those of one pass, and penalty and
/// kernel are chosen on guests of the past that took no part in the fit. With fewer than ten past
/// migrations it answers as [`MemoryOverBandwidth`].
#[derive(Debug)]
pub struct SupportVectors {
    constants: Constants,
    learnt: Option<Learnt>,
}

/// The regressors.
#[derive(Debug)]
struct Learnt {
    seconds: Bagged,
    bytes: Bagged,
    downtime: Bagged,
    /// Absent where every past migration arrived: then they all do.
    arrives: Option<Bagged>,
}

/// One past migration.
struct Past {
    features: Features,
    /// Seconds and bytes of one pass over the memory with content.
    pass: (f64, f64),
    outcome: Outcome,
    group: usize,
}

impl SupportVectors {
    /// Learns from `past`; `seed` draws the bags.
    pub fn learn(past: &[MigrationTrace], seed: u64) -> Self {
        let MemoryOverBandwidth { constants } =
            Constants::learn(past, |constants| MemoryOverBandwidth { constants });
        let paths = PathGuess::learn(past);
        let mut guests = BTreeMap::new();
        let mut rows = Vec::new();
        for record in past.iter().map(|trace| &trace.record) {
            let next = guests.len();
            let group = *guests.entry(&record.vm).or_insert(next);
            let domain = domain_before(record);
            let request = paths.request(record, &domain, 0);
            let outcome = outcome(record);
            if outcome != Outcome::Other {
                let features = features(&request, &constants);
                rows.push(Past { features, pass: pass(&request, &constants), outcome, group });
            }
        }
        Self { learnt: Learnt::from(&rows, &mut Draws::new(seed)), constants }
    }
}

/// Seconds and bytes of sending memory with content once; both above 0.
fn pass(request: &MigrationRequest<'_>, constants: &Constants) -> (f64, f64) {
    let content = constants.content(request.domain).max(4096.0);
    let (stream, _) = constants.stream(request).unwrap_or((1.0, 1.0));
    (constants.fixed_seconds + content / stream.max(1.0), content)
}

impl Predictor for SupportVectors {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        self.constants.stream(request)?;
        let Some(learnt) = &self.learnt else {
            let constants = self.constants.clone();
            return MemoryOverBandwidth { constants }.predict(request);
        };
        let row = features(request, &self.constants);
        let (seconds, bytes) = pass(request, &self.constants);
        let figures = Figures {
            converges: learnt.arrives.as_ref().is_none_or(|arrives| arrives.at(&row) >= 0.5),
            seconds: seconds * learnt.seconds.at(&row).exp(),
            bytes: bytes * learnt.bytes.at(&row).exp(),
            downtime_seconds: learnt.downtime.at(&row).exp(),
            stall: None,
        };
        Ok(certain("support-vectors/1", figures))
    }
}

impl Learnt {
    fn from(past: &[Past], draws: &mut Draws) -> Option<Self> {
        let times = arrived(past, |one, stats| stats.total_time.as_seconds_f64() / one.pass.0);
        let shape = Shape::choose(&times, draws);
        let bytes = arrived(past, |one, stats| stats.transferred.as_f64() / one.pass.1);
        let downtime = arrived(past, |_, stats| stats.downtime.as_seconds_f64().max(1e-3));
        let all = past.iter().any(|one| one.outcome == Outcome::GaveUp).then(|| Rows {
            features: past.iter().map(|one| one.features).collect(),
            targets: past
                .iter()
                .map(|one| if one.outcome == Outcome::GaveUp { 0.0 } else { 1.0 })
                .collect(),
            groups: past.iter().map(|one| one.group).collect(),
        });
        Some(Self {
            seconds: Bagged::of(&times, shape, draws)?,
            bytes: Bagged::of(&bytes, shape, draws)?,
            downtime: Bagged::of(&downtime, shape, draws)?,
            arrives: all.and_then(|rows| Bagged::of(&rows, shape, draws)),
        })
    }
}

/// Those that arrived, with the logarithm of `of` as target.
fn arrived(past: &[Past], of: impl Fn(&Past, &CompletedStats) -> f64) -> Rows {
    let mut rows = Rows::default();
    for one in past {
        if let Outcome::Arrived(stats) = &one.outcome {
            rows.features.push(one.features);
            rows.targets.push(of(one, stats).max(1e-6).ln());
            rows.groups.push(one.group);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::{Bytes, BytesPerSecond, Span};

    use super::*;
    use crate::{
        baseline::Published,
        evaluate::{History, Learner, Trial, judge, samples::trace},
    };

    /// Migrations over ever other caps; those over slow ones are given up.
    fn past(count: u64) -> Vec<MigrationTrace> {
        (0..count)
            .map(|k| {
                let cap = 10 + 7 * (k * 37 % 40);
                let mut one = trace(k, k, (cap > 40).then_some(10));
                one.record.settings.bandwidth_limit = Some(BytesPerSecond::mib(cap));
                one.record.path_bandwidth = Some(BytesPerSecond::mib(1000));
                if let Some(stats) = one.record.stats.as_mut() {
                    stats.total_time = Span::from_millis(1_000_000 / cap);
                    stats.transferred = Bytes::mib(1000);
                    stats.bandwidth = BytesPerSecond::mib(cap);
                    stats.normal_pages = 256_000;
                }
                one
            })
            .collect()
    }

    #[test]
    fn it_learns_times_and_verdicts() {
        let all = past(120);
        let (learn, judged) = all.split_at(80);
        let families = BTreeMap::new();
        let trial = Trial { learn, judged, history: History::None, families: &families, seed: 3 };
        let report = judge(&Published::SupportVectors, &trial, &mut || ());
        assert!(report.all.time_error_median.unwrap() < 0.05, "{:?}", report.all);
        assert!(report.all.bytes_error_p90.unwrap() < 0.02, "{:?}", report.all);
        assert!(report.all.false_converges + report.all.false_stalls <= 3, "{:?}", report.all);
        assert!(report.all.foreseen_stalls > 0, "{:?}", report.all);
        let again = judge(&Published::SupportVectors, &trial, &mut || ());
        assert_eq!(report, again);
    }

    #[test]
    fn every_published_model_answers_with_little_and_with_nothing() {
        let all = past(24);
        for learn in [&all[..0], &all[..5], &all[..20]] {
            for model in Published::ALL {
                let families = BTreeMap::new();
                let trial = Trial {
                    learn,
                    judged: &all[20..],
                    history: History::Growing,
                    families: &families,
                    seed: 3,
                };
                let report = judge(&model, &trial, &mut || ());
                assert_eq!(report.all.pairs, 4, "{}", model.name());
                assert!(report.unanswered.is_empty(), "{}", model.name());
            }
        }
    }
}
