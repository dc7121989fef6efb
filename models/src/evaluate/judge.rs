//! Predicts recorded migrations from what was known before them, and keeps what came.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::CompletedStats,
    ids::VmId,
    telemetry::{MigrationRecord, MigrationTrace},
};

use crate::past::{Fold, PathGuess, domain_before};

use super::{
    learner::{Learner, Student},
    report::{Report, Row, Unanswered},
    score::Came,
};

/// What a predictor may know of the judged guest's own past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum History {
    /// Nothing: the headline case, a guest never seen to migrate.
    None,
    /// Its migrations that were over before the judged one began, as in production.
    Growing,
}

/// What is learnt from, what is judged, and how.
#[derive(Debug, Clone, Copy)]
pub struct Trial<'a> {
    /// Migrations to learn from.
    pub learn: &'a [MigrationTrace],
    /// Migrations to judge on.
    pub judged: &'a [MigrationTrace],
    /// What is known of the judged guests.
    pub history: History,
    /// The sort of behaviour of each guest, for break-downs; guests without one are left out of
    /// that break-down.
    pub families: &'a BTreeMap<VmId, String>,
    /// Seed of whatever learners and predictors draw.
    pub seed: u64,
}

/// How a recorded migration ended, as far as a prediction can be held against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It arrived, with QEMU's figures.
    Arrived(CompletedStats),
    /// It was given up at its time limit.
    GaveUp,
    /// It failed for another reason, or its figures were not kept: no prediction speaks of that.
    Other,
}

/// Words of a failure that mean that patience ended, in lower case.
const GAVE_UP: [&str; 7] =
    ["cancel", "time limit", "timed out", "timeout", "gave up", "given up", "converge"];

/// How `record` ended.
pub fn outcome(record: &MigrationRecord) -> Outcome {
    match (record.arrived, record.stats) {
        (true, Some(stats)) => Outcome::Arrived(stats),
        (true, None) => Outcome::Other,
        (false, _) => {
            let why = record.failure.as_deref().unwrap_or_default().to_lowercase();
            if GAVE_UP.iter().any(|words| why.contains(words)) {
                Outcome::GaveUp
            } else {
                Outcome::Other
            }
        }
    }
}

/// Judges `learner` by `trial`. `progress` hears after each judged migration.
pub fn judge(learner: &dyn Learner, trial: &Trial<'_>, progress: &mut dyn FnMut()) -> Report {
    let mut bench = Bench::new(learner, trial);
    bench.run(progress);
    let Bench { rows, unanswered, not_judged, .. } = bench;
    Report::new(learner.name(), trial.history, trial.learn.len(), rows, unanswered, not_judged)
}

/// Judges `learner` on every fold and reports on all of them together; migrations learnt from are
/// those of the first fold, as folds are of about one size.
pub fn cross_validate(
    learner: &dyn Learner,
    folds: &[Fold],
    history: History,
    families: &BTreeMap<VmId, String>,
    seed: u64,
    progress: &mut dyn FnMut(),
) -> Report {
    let (mut rows, mut unanswered, mut not_judged) = (Vec::new(), Vec::new(), 0);
    for fold in folds {
        let trial = Trial { learn: &fold.learn, judged: &fold.judged, history, families, seed };
        let mut bench = Bench::new(learner, &trial);
        bench.run(progress);
        rows.append(&mut bench.rows);
        unanswered.append(&mut bench.unanswered);
        not_judged += bench.not_judged;
    }
    let learnt_from = folds.first().map_or(0, |fold| fold.learn.len());
    Report::new(learner.name(), history, learnt_from, rows, unanswered, not_judged)
}

/// One learner on one trial, as it goes.
struct Bench<'a> {
    learner: &'a dyn Learner,
    trial: &'a Trial<'a>,
    paths: PathGuess,
    /// Predictors by the guest whose past makes theirs another one, with the number of its earlier
    /// migrations; `None` is the one that knows all that may be learnt from.
    trained: BTreeMap<Option<VmId>, (usize, Box<dyn Student>)>,
    learnt_guests: BTreeSet<&'a VmId>,
    rows: Vec<Row>,
    unanswered: Vec<Unanswered>,
    not_judged: usize,
}

impl<'a> Bench<'a> {
    fn new(learner: &'a dyn Learner, trial: &'a Trial<'a>) -> Self {
        Self {
            learner,
            trial,
            paths: PathGuess::learn(trial.learn),
            trained: BTreeMap::new(),
            learnt_guests: trial.learn.iter().map(|trace| &trace.record.vm).collect(),
            rows: Vec::new(),
            unanswered: Vec::new(),
            not_judged: 0,
        }
    }

    fn run(&mut self, progress: &mut dyn FnMut()) {
        let mut ordered: Vec<&MigrationTrace> = self.trial.judged.iter().collect();
        ordered.sort_by(|a, b| (a.record.at, &a.record.id).cmp(&(b.record.at, &b.record.id)));
        for (seed, trace) in ordered.into_iter().enumerate() {
            self.one(&trace.record, self.trial.seed.wrapping_add(seed as u64));
            progress();
        }
    }

    fn one(&mut self, record: &MigrationRecord, seed: u64) {
        let came = match outcome(record) {
            Outcome::Arrived(stats) => Came::Arrived(stats),
            Outcome::GaveUp => Came::GaveUp(record.wall),
            Outcome::Other => {
                self.not_judged += 1;
                return;
            }
        };
        let domain = domain_before(record);
        let request = self.paths.request(record, &domain, seed);
        match self.predictor(record).predict(&request) {
            Ok(predicted) => {
                let family = self.trial.families.get(&record.vm).cloned();
                self.rows.push(Row::new(record, family, predicted, came));
            }
            Err(why) => {
                self.unanswered.push(Unanswered { id: record.id.clone(), why: why.to_string() });
            }
        }
    }

    /// Who may answer for `record`.
    fn predictor(&mut self, record: &MigrationRecord) -> &dyn Student {
        let (learner, trial) = (self.learner, self.trial);
        let earlier = match trial.history {
            History::Growing if learner.knows_guests() => earlier(trial.judged, record),
            _ => Vec::new(),
        };
        let knows_too_much =
            trial.history == History::None && self.learnt_guests.contains(&record.vm);
        let key = (knows_too_much || !earlier.is_empty()).then(|| record.vm.clone());
        let count = earlier.len();
        let student = match self.trained.remove(&key) {
            Some((of, student)) if of == count => student,
            _ if key.is_none() => learner.train(trial.learn, trial.seed),
            _ => self.knowing(record, earlier, knows_too_much),
        };
        &*self.trained.entry(key).or_insert((count, student)).1
    }

    /// A student that knows `earlier` migrations of the guest of `record`, or of what may be
    /// learnt from all but that guest's.
    fn knowing(
        &mut self,
        record: &MigrationRecord,
        earlier: Vec<&MigrationTrace>,
        knows_too_much: bool,
    ) -> Box<dyn Student> {
        let (learner, trial) = (self.learner, self.trial);
        if !knows_too_much {
            let train = || (0, learner.train(trial.learn, trial.seed));
            let common = &self.trained.entry(None).or_insert_with(train).1;
            if let Some(student) = common.with(&earlier) {
                return student;
            }
        }
        let allowed = |t: &&MigrationTrace| !knows_too_much || t.record.vm != record.vm;
        let mut past: Vec<_> = trial.learn.iter().filter(allowed).cloned().collect();
        past.extend(earlier.into_iter().cloned());
        learner.train(&past, trial.seed)
    }
}

/// Migrations of the guest of `record` that were over before it began.
fn earlier<'a>(judged: &'a [MigrationTrace], record: &MigrationRecord) -> Vec<&'a MigrationTrace> {
    judged
        .iter()
        .filter(|t| t.record.vm == record.vm && t.record.at + t.record.wall <= record.at)
        .filter(|t| t.record.id != record.id)
        .collect()
}

#[cfg(test)]
pub(crate) mod samples {
    //! Made-up traces.

    use whimbrel_core::{
        ids::{HostId, OrderId},
        settings::MigrationSettings,
        units::{Bytes, BytesPerSecond, Span, Timestamp},
    };

    use super::*;

    /// Guest `vm` begins at `minute` and arrives after so many seconds, or is given up.
    pub(crate) fn trace(vm: u64, minute: u64, seconds: Option<u64>) -> MigrationTrace {
        let stats = |seconds| CompletedStats {
            total_time: Span::from_seconds(seconds),
            transferred: Bytes::mib(100 * seconds),
            downtime: Span::from_millis(50),
            bandwidth: BytesPerSecond::mib(100),
            normal_pages: 25_600,
            ..CompletedStats::default()
        };
        let record = MigrationRecord {
            arrived: seconds.is_some(),
            failure: seconds.is_none().then(|| "Cancelled: after 40 s".to_owned()),
            path_bandwidth: Some(BytesPerSecond::mib(100)),
            wall: Span::from_seconds(seconds.unwrap_or(40)),
            stats: seconds.map(stats),
            ..MigrationRecord::beginning(
                OrderId::new(&format!("m-{vm}-{minute}")).unwrap(),
                Timestamp::from_micros(1_800_000_000_000_000 + minute * 60_000_000),
                VmId::new(&format!("vm{vm}")).unwrap(),
                HostId::unnamed(),
                HostId::unnamed(),
                MigrationSettings::default(),
                Bytes::mib(1000),
            )
        };
        record.into()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use whimbrel_core::{
        predict::{MigrationRequest, PredictError, Prediction, Predictor, Quantiles},
        units::{Bytes, Share, Span},
    };

    use super::{samples::trace, *};

    /// Says that a migration takes as many seconds as it has seen migrations, and notes the ids.
    #[derive(Default)]
    struct Counting(RefCell<Vec<Vec<String>>>);

    struct Fixed(u64);

    impl Predictor for Fixed {
        fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
            assert!(request.domain.dirty.is_empty());
            Ok(Prediction {
                model: String::new(),
                converges: Share::ONE,
                total_time: Quantiles::from_array([Span::from_seconds(self.0); 7]),
                transferred: Quantiles::from_array([Bytes::mib(1); 7]),
                downtime: Quantiles::from_array([Span::ZERO; 7]),
                impact: None,
                stall: None,
                caveats: Vec::new(),
            })
        }
    }

    impl Student for Fixed {}

    impl Learner for Counting {
        fn name(&self) -> String {
            "counting".to_owned()
        }

        fn train(&self, past: &[MigrationTrace], _seed: u64) -> Box<dyn Student> {
            self.0.borrow_mut().push(past.iter().map(|t| t.record.id.to_string()).collect());
            Box::new(Fixed(past.len() as u64))
        }
    }

    fn judged(history: History) -> (Report, Vec<Vec<String>>) {
        let learn = [trace(1, 0, Some(10)), trace(2, 1, Some(10))];
        let judged = [trace(2, 11, Some(10)), trace(3, 12, None), trace(3, 10, Some(10))];
        let learner = Counting::default();
        let families = BTreeMap::from([(VmId::new("vm3").unwrap(), "bursty".to_owned())]);
        let trial = Trial { learn: &learn, judged: &judged, history, families: &families, seed: 1 };
        let mut calls = 0;
        let report = judge(&learner, &trial, &mut || calls += 1);
        assert_eq!(calls, 3);
        (report, learner.0.into_inner())
    }

    #[test]
    fn without_history_nothing_of_the_guest_itself_is_learnt() {
        let (report, trained) = judged(History::None);
        assert_eq!(trained, [vec!["m-1-0", "m-2-1"], vec!["m-1-0"]]);
        assert_eq!(report.all.pairs, 3);
        assert_eq!(report.by_family.keys().collect::<Vec<_>>(), ["bursty"]);
        assert_eq!(
            (report.all.false_converges, report.all.false_converges_share),
            (1, Some(1.0 / 3.0))
        );
    }

    #[test]
    fn growing_history_is_what_was_over_before() {
        let (_, trained) = judged(History::Growing);
        assert_eq!(trained, [vec!["m-1-0", "m-2-1"], vec!["m-1-0", "m-2-1", "m-3-10"]]);
    }

    #[test]
    fn only_lost_patience_says_that_it_did_not_converge() {
        let mut record = trace(1, 0, None).record;
        assert_eq!(outcome(&record), Outcome::GaveUp);
        record.failure = Some("Failed: host h2 does not answer".to_owned());
        assert_eq!(outcome(&record), Outcome::Other);
        record.arrived = true;
        assert_eq!(outcome(&record), Outcome::Other, "no figures");
    }
}
