//! Cells that are studies of a trace: consolidation policies, compared as `CloudSim` compares them.
//!
//! A part of a trace is read once for all policies and seeds.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use whimbrel_datasets::{
    locate,
    public::{TraceError, TraceOptions, open_trace},
};
use whimbrel_simulator::consolidation::{Policy, Setup, study};

use super::{
    Axes, Cell, Matrix, Work,
    kept::{self, Kept},
};
use crate::Failure;

/// How matrix files call this kind.
pub(super) const KIND: &str = "study";

/// Nothing is changed in a study.
const UNCHANGED: &str = "as-recorded";

/// Samples of one part of a trace: a day of 100,000 guests.
const SAMPLES_MAX: usize = 30_000_000;

/// A matrix file of this kind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyMatrix {
    /// What it is about, in a sentence.
    #[serde(default)]
    pub intent: String,
    /// [`KIND`].
    #[serde(rename = "kind")]
    _kind: String,
    /// The first seed, of policies that draw.
    #[serde(default = "one")]
    seed: u64,
    /// Cells of each combination.
    #[serde(default = "one")]
    seeds: u64,
    /// Policies by name.
    policies: Vec<String>,
    /// What is replayed.
    trace: StudyTrace,
}

/// A trace and its parts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct StudyTrace {
    /// Its layout, as `whimbrel dataset list` names them.
    layout: String,
    /// The set of the manifest that has it, where no path is given.
    set: Option<String>,
    /// Its directory or archive.
    data: Option<PathBuf>,
    /// Parts, days for instance; each is a world of its own.
    parts: Vec<String>,
    /// Hosts of each world.
    hosts: usize,
}

fn one() -> u64 {
    1
}

impl StudyMatrix {
    /// From the text of its file; paths are relative to `base`.
    ///
    /// # Errors
    /// [`Failure`] naming line and key.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Failure> {
        let mut matrix: Self = toml::from_str(text).map_err(|e| super::misread(&e))?;
        if let Some(data) = &mut matrix.trace.data {
            *data = base.join(&*data);
        }
        Ok(matrix)
    }

    /// The axes, and the work; no trace is read yet.
    ///
    /// # Errors
    /// [`Failure`] naming the policy that is not known, or the trace that is not there.
    pub fn ready(self) -> Result<Matrix, Failure> {
        let mut policies = BTreeMap::new();
        for name in &self.policies {
            let policy: Policy = name.parse().map_err(Failure::invalid)?;
            policies.insert(policy.to_string(), policy);
        }
        let root = located(self.trace.data.as_deref(), self.trace.set.as_deref())?;
        let StudyTrace { layout, parts, hosts, .. } = self.trace;
        let identity = kept::identity(root.parent().filter(|_| root.is_file()).unwrap_or(&root))?;
        let version = env!("CARGO_PKG_VERSION");
        let axes = Axes {
            kind: KIND.to_owned(),
            common: format!("whimbrel {version}, {hosts} hosts, {layout}"),
            traces: parts.iter().map(|p| (p.clone(), format!("{p} of {identity}"))).collect(),
            policies: policies.keys().map(|name| (name.clone(), name.clone())).collect(),
            changes: BTreeMap::from([(UNCHANGED.to_owned(), String::new())]),
            seed: self.seed,
            seeds: self.seeds,
        };
        axes.check()?;
        let work = Studying { layout, root, hosts, policies, worlds: Kept::new() };
        Ok(Matrix { intent: self.intent, axes, work: Box::new(work) })
    }
}

/// Where a trace lies that a matrix names by `data` or by `set`.
pub(super) fn located(data: Option<&Path>, set: Option<&str>) -> Result<PathBuf, Failure> {
    match (data, set) {
        (Some(data), None) => Ok(data.to_owned()),
        (None, Some(set)) => locate(set).ok_or_else(|| {
            Failure::not_found(format!(
                "set {set} is not on this machine (hint: whimbrel dataset list says what is, \
                 whimbrel dataset fetch {set} how to get it)"
            ))
        }),
        _ => Err(Failure::invalid(
            "trace has both of data and set, or neither (hint: give one of them)",
        )),
    }
}

/// Demand of every guest in one part of a trace, in whole percent of what it may use at most, step
/// by step; guests in the order of the trace.
///
/// # Errors
/// [`TraceError`] naming file, row and column.
pub fn percent_of_part(layout: &str, root: &Path, part: &str) -> Result<Vec<Vec<u8>>, TraceError> {
    let options = TraceOptions { part: Some(part.to_owned()), ..TraceOptions::default() };
    let whole = open_trace(layout, root, &options)?.whole(SAMPLES_MAX)?;
    let sizes: BTreeMap<u32, u64> =
        whole.lives.iter().map(|life| (life.guest, life.size.cpu.get().max(1))).collect();
    let mut percent: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
    for sample in &whole.samples {
        let most = sizes.get(&sample.guest).copied().unwrap_or(1);
        let share = (sample.cpu.get().saturating_mul(100) / most).min(100);
        percent.entry(sample.guest).or_default().push(u8::try_from(share).unwrap_or(100));
    }
    Ok(percent.into_values().collect())
}

/// Runs the study of each cell.
struct Studying {
    layout: String,
    root: PathBuf,
    hosts: usize,
    policies: BTreeMap<String, Policy>,
    worlds: Kept<Setup>,
}

impl Studying {
    fn world(&self, part: &str) -> Result<Setup, Failure> {
        let percent = percent_of_part(&self.layout, &self.root, part).map_err(Failure::invalid)?;
        Setup::planetlab(self.hosts, &percent)
            .map_err(|error| Failure::invalid(error).about(format_args!("part {part}")))
    }
}

impl Work for Studying {
    fn figures(&self, cell: &Cell) -> Result<BTreeMap<String, f64>, Failure> {
        let slot = self.worlds.slot(&cell.trace);
        let setup = slot.get_or_init(|| self.world(&cell.trace)).as_ref().map_err(Clone::clone)?;
        let policy = self.policies.get(&cell.policy).ok_or_else(|| {
            let name = &cell.policy;
            Failure::not_found(format!("policy {name} is not in the matrix (hint: add it)"))
        })?;
        let results = study(setup, policy, cell.seed).map_err(Failure::invalid)?;
        let table = serde_json::to_value(results).map_err(Failure::invalid)?;
        let columns = table.as_object().into_iter().flatten();
        let mut figures: BTreeMap<String, f64> =
            columns.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect();
        figures.insert("violation_share".to_owned(), results.violation());
        Ok(figures)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: &str = "20260101";

    fn matrix(policies: &str, trace: &str) -> String {
        format!(
            "kind = \"study\"\npolicies = {policies}\n[trace]\nlayout = \"planetlab\"\n\
             parts = [\"{DAY}\"]\nhosts = 8\n{trace}\n"
        )
    }

    fn refusal(text: &str, base: &Path) -> String {
        StudyMatrix::parse(text, base)
            .and_then(StudyMatrix::ready)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    }

    /// Ten guests that want more and more.
    fn trace() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join(DAY)).unwrap();
        for guest in 0..10 {
            let lines: Vec<String> =
                (0..288).map(|step| ((guest * 7 + step / 12) % 101).to_string()).collect();
            let file = root.path().join(DAY).join(format!("guest-{guest}"));
            std::fs::write(file, lines.join("\n")).unwrap();
        }
        root
    }

    #[test]
    fn a_study_has_figures_for_every_policy_and_the_same_ones_twice() {
        let root = trace();
        let text = matrix("[\"none\", \"lr-mmt-1.2\"]", "data = \".\"");
        let read = || StudyMatrix::parse(&text, root.path()).unwrap().ready().unwrap();
        let (one, two) = (read(), read());
        let cells = one.axes.cells();
        assert_eq!(cells.len(), 2);
        for cell in &cells {
            let figures = one.work.figures(cell).unwrap();
            assert!(figures["energy_kwh"] > 0.0, "{figures:?}");
            assert_eq!(figures, two.work.figures(cell).unwrap());
        }
        assert!(one.work.figures(&cells[1]).unwrap()["migrations"] < 0.5, "none moves nobody");
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let root = trace();
        let refused = |policies, trace| refusal(&matrix(policies, trace), root.path());
        assert!(refused("[\"lr-mmt\"]", "data = \".\"").contains("lr-mmt"));
        assert!(refused("[\"none\"]", "set = \"nowhere\"").contains("nowhere"));
        assert!(refused("[\"none\"]", "").contains("neither"));
        assert!(refused("[]", "data = \".\"").contains("no policy"));
        assert!(refused("[\"none\"]", "data = \".\"\ncores = 3").contains("cores"));
        let other = matrix("[\"none\"]", "data = \".\"").replace(DAY, "20270101");
        let ready = StudyMatrix::parse(&other, root.path()).unwrap().ready().unwrap();
        let error = ready.work.figures(&ready.axes.cells()[0]).unwrap_err();
        assert!(!error.to_string().is_empty());
    }
}
