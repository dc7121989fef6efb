//! Cells that are questions about recorded telemetry: what if this changed, under that policy.
//!
//! A recording is loaded, and a change planned, once for all seeds that follow each other.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use whimbrel_core::{
    Policy,
    digest::Digest,
    units::{Span, Timestamp},
};
use whimbrel_simulator::whatif::Changes;

use super::{
    Axes, Cell, Matrix, Work,
    kept::{self, Kept},
};
use crate::{
    Failure, files,
    scene::Scene,
    whatif::{self, Prepared, Question},
};

/// How matrix files call this kind.
pub(super) const KIND: &str = "what-if";

/// A matrix file of this kind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhatIfMatrix {
    /// What it is about, in a sentence.
    #[serde(default)]
    pub intent: String,
    /// [`KIND`], or nothing.
    #[serde(default)]
    kind: String,
    /// How long each cell is simulated; the policy's horizon when absent.
    horizon: Option<Span>,
    /// Seed of the plans and of the first cell of each combination.
    #[serde(default = "one")]
    seed: u64,
    /// Cells of each combination.
    seeds: u64,
    /// Recordings by name.
    #[serde(default)]
    trace: BTreeMap<String, Recording>,
    /// Policies by name.
    #[serde(default)]
    policy: BTreeMap<String, PolicyFile>,
    /// Changes by name.
    #[serde(default)]
    change: BTreeMap<String, Changes>,
}

/// A moment of recorded telemetry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recording {
    /// Its directory.
    data: PathBuf,
    /// The moment; its last one when absent.
    moment: Option<Timestamp>,
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    /// Its file; the one beside the recording when absent.
    file: Option<PathBuf>,
}

fn one() -> u64 {
    1
}

impl WhatIfMatrix {
    /// What holds for every cell. Another version of the program may come to other figures.
    fn common(&self, model: Option<&Path>) -> Result<String, Failure> {
        let horizon = self.horizon.map_or_else(|| "the policy's".to_owned(), |h| h.to_string());
        let version = env!("CARGO_PKG_VERSION");
        Ok(format!("whimbrel {version}, horizon {horizon}, model {}", model_text(model)?))
    }

    /// From the text of its file; paths are relative to `base`.
    ///
    /// # Errors
    /// [`Failure`] naming line and key.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Failure> {
        let mut matrix: Self = toml::from_str(text).map_err(|e| super::misread(&e))?;
        let recordings = matrix.trace.values_mut().map(|recording| &mut recording.data);
        let policies = matrix.policy.values_mut().filter_map(|policy| policy.file.as_mut());
        recordings.chain(policies).for_each(|path| *path = base.join(&*path));
        Ok(matrix)
    }

    /// The axes, and the work with everything that is small read.
    ///
    /// # Errors
    /// [`Failure`] naming what cannot be read.
    pub fn ready(self, model: Option<&Path>) -> Result<Matrix, Failure> {
        let mut policies: BTreeMap<String, Option<Policy>> = BTreeMap::new();
        for (name, policy) in &self.policy {
            let read = policy.file.as_deref().map(|path| files::read_policy(Some(path)));
            policies.insert(name.clone(), read.transpose()?);
        }
        let mut axes = Axes {
            kind: KIND.to_owned(),
            common: self.common(model)?,
            traces: BTreeMap::new(),
            policies: BTreeMap::new(),
            changes: BTreeMap::new(),
            seed: self.seed,
            seeds: self.seeds,
        };
        for (name, recording) in &self.trace {
            axes.traces.insert(name.clone(), identity(recording)?);
        }
        for (name, policy) in &policies {
            let text = policy.as_ref().map_or_else(
                || "the one beside the recording".to_owned(),
                |policy| Digest::of(policy).to_string(),
            );
            axes.policies.insert(name.clone(), text);
        }
        for (name, change) in &self.change {
            let text = serde_json::to_string(change).map_err(Failure::invalid)?;
            axes.changes.insert(name.clone(), text);
        }
        axes.check()?;
        let intent = self.intent.clone();
        let work = Asking {
            matrix: self,
            policies,
            model: model.map(Path::to_path_buf),
            scenes: Kept::new(),
            prepared: Kept::new(),
        };
        Ok(Matrix { intent, axes, work: Box::new(work) })
    }
}

fn model_text(model: Option<&Path>) -> Result<String, Failure> {
    let Some(path) = model else { return Ok("learnt on the spot".to_owned()) };
    Ok(Digest::of_bytes(files::read_text(path)?.as_bytes()).to_string())
}

/// What a recording is known by: its moment, and its files.
fn identity(recording: &Recording) -> Result<String, Failure> {
    let moment = recording.moment.map_or_else(|| "last".to_owned(), |at| at.to_string());
    Ok(format!("{moment} of {}", kept::identity(&recording.data)?))
}

/// Asks the question of each cell.
struct Asking {
    matrix: WhatIfMatrix,
    policies: BTreeMap<String, Option<Policy>>,
    model: Option<PathBuf>,
    scenes: Kept<Scene>,
    prepared: Kept<Prepared>,
}

impl Work for Asking {
    fn figures(&self, cell: &Cell) -> Result<BTreeMap<String, f64>, Failure> {
        let key = format!("{}/{}/{}", cell.trace, cell.policy, cell.change);
        let slot = self.prepared.slot(&key);
        let prepared = slot.get_or_init(|| self.prepare(cell)).as_ref().map_err(Clone::clone)?;
        let trial = prepared.trial(cell.seed)?;
        let figures = prepared.figures(&trial).into_iter();
        Ok(figures.map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

impl Asking {
    fn prepare(&self, cell: &Cell) -> Result<Prepared, Failure> {
        let slot = self.scenes.slot(&cell.trace);
        let scene = slot.get_or_init(|| self.scene(&cell.trace)).as_ref().map_err(Clone::clone)?;
        let changes = self.matrix.change.get(&cell.change).cloned().unwrap_or_default();
        let question = Question {
            intent: String::new(),
            changes,
            policy: self.policies.get(&cell.policy).cloned().flatten(),
            horizon: self.matrix.horizon,
            seeds: 1,
            seed: self.matrix.seed,
            jobs: 1,
        };
        whatif::prepare(scene, question)
    }

    fn scene(&self, trace: &str) -> Result<Scene, Failure> {
        let recording = self.matrix.trace.get(trace).ok_or_else(|| {
            Failure::not_found(format!("trace {trace} is not in the matrix (hint: add it)"))
        })?;
        whatif::recorded(&recording.data, recording.moment, self.model.as_deref())
    }
}
