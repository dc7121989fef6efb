//! What came of judging one learner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::CompletedStats,
    ids::{OrderId, VmId},
    predict::Prediction,
    settings::{MigrationSettings, Mode, Transport},
    telemetry::MigrationRecord,
    units::{BytesPerSecond, Span},
};

use super::{
    judge::History,
    noise::NoiseFloor,
    score::{Came, Evaluation, evaluate},
};

/// Rows that are listed as the worst.
const WORST: usize = 10;

/// How good one learner was on one trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Its name.
    pub learner: String,
    /// What it might know of the judged guests.
    pub history: History,
    /// Migrations that it could learn from, before any history of the judged guest.
    pub learnt_from: usize,
    /// Over everything.
    pub all: Evaluation,
    /// By the mode of the migration.
    pub by_mode: BTreeMap<String, Evaluation>,
    /// By the guest's sort of behaviour.
    pub by_family: BTreeMap<String, Evaluation>,
    /// By what holds the stream back: its cap or the link, shared or not, protected or not.
    pub by_path: BTreeMap<String, Evaluation>,
    /// Against repetitions of the same migration; absent where nothing was repeated.
    pub noise: Option<NoiseFloor>,
    /// The worst rows, worst first: wrong verdicts, then the largest relative errors of time.
    pub worst: Vec<Row>,
    /// Judged migrations that got no prediction.
    pub unanswered: Vec<Unanswered>,
    /// Migrations that failed for reasons of which no prediction speaks, or without figures.
    pub not_judged: usize,
    /// Every judged row.
    pub rows: Vec<Row>,
}

/// One judged migration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its order.
    pub id: OrderId,
    /// The guest.
    pub vm: VmId,
    /// The guest's sort of behaviour, where the caller said.
    pub family: Option<String>,
    /// How it was migrated.
    pub settings: MigrationSettings,
    /// What its path was known to carry.
    pub path_bandwidth: Option<BytesPerSecond>,
    /// Migrations on that path at its start, this one included.
    pub sharing: u32,
    /// What was predicted of it.
    pub predicted: Prediction,
    /// What came; `None` where it was given up.
    pub actual: Option<CompletedStats>,
    /// How long it was waited for where it was given up.
    pub gave_up_after: Option<Span>,
    /// Why it was given up.
    pub failure: Option<String>,
}

/// A judged migration without a prediction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Unanswered {
    /// Its order.
    pub id: OrderId,
    /// The predictor's words.
    pub why: String,
}

impl Row {
    pub(super) fn new(
        record: &MigrationRecord,
        family: Option<String>,
        predicted: Prediction,
        came: Came,
    ) -> Self {
        let (actual, gave_up_after) = match came {
            Came::Arrived(stats) => (Some(stats), None),
            Came::GaveUp(after) => (None, Some(after)),
        };
        Self {
            id: record.id.clone(),
            vm: record.vm.clone(),
            family,
            settings: record.settings.clone(),
            path_bandwidth: record.path_bandwidth,
            sharing: record.sharing,
            predicted,
            actual,
            gave_up_after,
            failure: record.failure.clone().filter(|_| actual.is_none()),
        }
    }

    /// What came.
    fn came(&self) -> Came {
        let after = self.gave_up_after.unwrap_or_default();
        self.actual.map_or(Came::GaveUp(after), Came::Arrived)
    }

    /// Relative error of the total time; `None` where it was given up, or predicted to be.
    pub fn time_error(&self) -> Option<f64> {
        let actual = self.actual.filter(|_| self.predicted.likely_converges())?;
        let seconds = actual.total_time.as_seconds_f64();
        let predicted = self.predicted.total_time.p50.as_seconds_f64();
        (seconds > 0.0).then(|| (predicted / seconds - 1.0).abs())
    }

    /// Whether the verdict, arrives or not, was right.
    pub fn verdict_holds(&self) -> bool {
        self.actual.is_some() == self.came().is_predicted_to_end(&self.predicted)
    }

    fn mode(&self) -> String {
        let name = match self.settings.mode {
            Mode::PreCopy => "pre-copy",
            Mode::AutoConverge => "auto-converge",
            Mode::PostCopy => "post-copy",
        };
        name.to_owned()
    }

    fn path(&self) -> String {
        let share = self.path_bandwidth.map(|path| path.as_f64() / f64::from(self.sharing.max(1)));
        let capped = match (self.settings.bandwidth_limit, share) {
            (Some(cap), Some(share)) => cap.as_f64() < share,
            (cap, _) => cap.is_some(),
        };
        let mut words = vec![if capped { "capped" } else { "link" }];
        words.extend((self.sharing > 1).then_some("shared"));
        words.extend((self.settings.transport == Transport::Tls).then_some("tls"));
        words.join(", ")
    }
}

impl Report {
    pub(super) fn new(
        learner: String,
        history: History,
        learnt_from: usize,
        rows: Vec<Row>,
        unanswered: Vec<Unanswered>,
        not_judged: usize,
    ) -> Self {
        let by = |key: &dyn Fn(&Row) -> Option<String>| {
            let mut groups: BTreeMap<String, Vec<&Row>> = BTreeMap::new();
            for row in &rows {
                if let Some(key) = key(row) {
                    groups.entry(key).or_default().push(row);
                }
            }
            groups.into_iter().map(|(key, rows)| (key, of_rows(&learner, rows))).collect()
        };
        Self {
            history,
            learnt_from,
            all: of_rows(&learner, &rows),
            by_mode: by(&|row| Some(row.mode())),
            by_family: by(&|row| row.family.clone()),
            by_path: by(&|row| Some(row.path())),
            noise: NoiseFloor::of(&rows),
            worst: worst(&rows),
            unanswered,
            not_judged,
            rows,
            learner,
        }
    }
}

fn of_rows<'a>(learner: &str, rows: impl IntoIterator<Item = &'a Row>) -> Evaluation {
    let pairs: Vec<_> = rows.into_iter().map(|row| (row.predicted.clone(), row.came())).collect();
    evaluate(learner, &pairs)
}

fn worst(rows: &[Row]) -> Vec<Row> {
    let badness = |row: &Row| match (row.verdict_holds(), row.time_error()) {
        (false, _) => f64::INFINITY,
        (true, error) => error.unwrap_or(0.0),
    };
    let mut sorted: Vec<&Row> = rows.iter().filter(|row| badness(row) > 0.0).collect();
    sorted.sort_by(|a, b| badness(b).total_cmp(&badness(a)).then_with(|| a.id.cmp(&b.id)));
    sorted.into_iter().take(WORST).cloned().collect()
}
