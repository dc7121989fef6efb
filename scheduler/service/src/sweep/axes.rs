//! The axes of a matrix, and its cells with their ids.
//!
//! An id is `trace/policy/change/seed`: it does not depend on what else the matrix has. The axes as
//! text say what each name stands for, so that results of two matrices are told apart although
//! their cells are called the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Failure;

/// Most cells of one matrix.
pub const CELLS_MAX: usize = 1_000_000;

/// Names along each axis, with what each stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axes {
    /// What sort of cells they are.
    pub kind: String,
    /// What holds for all cells, as text.
    pub common: String,
    /// What is replayed.
    pub traces: BTreeMap<String, String>,
    /// Policies.
    pub policies: BTreeMap<String, String>,
    /// What is changed.
    pub changes: BTreeMap<String, String>,
    /// The first seed.
    pub seed: u64,
    /// How many seeds.
    pub seeds: u64,
}

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cell {
    /// Its id.
    pub id: String,
    /// What is replayed.
    pub trace: String,
    /// Under which policy.
    pub policy: String,
    /// With what changed.
    pub change: String,
    /// Seed of what is drawn.
    pub seed: u64,
}

impl Axes {
    /// All cells, seeds running fastest: what two neighbours have in common is computed once.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::with_capacity(self.count().unwrap_or_default());
        for trace in self.traces.keys() {
            for policy in self.policies.keys() {
                for change in self.changes.keys() {
                    cells.extend((0..self.seeds).map(|offset| {
                        let seed = self.seed.wrapping_add(offset);
                        Cell {
                            id: format!("{trace}/{policy}/{change}/{seed}"),
                            trace: trace.clone(),
                            policy: policy.clone(),
                            change: change.clone(),
                            seed,
                        }
                    }));
                }
            }
        }
        cells
    }

    /// How many cells there are; `None` where they cannot be counted.
    fn count(&self) -> Option<usize> {
        let names = [self.traces.len(), self.policies.len(), self.changes.len()];
        let seeds = usize::try_from(self.seeds).ok()?;
        names.into_iter().try_fold(seeds, usize::checked_mul)
    }

    /// Whether there are cells, not too many, and every name can be part of an id.
    ///
    /// # Errors
    /// [`Failure`] naming the axis or the name.
    pub fn check(&self) -> Result<(), Failure> {
        let axes = [("trace", &self.traces), ("policy", &self.policies), ("change", &self.changes)];
        for (axis, names) in axes {
            if names.is_empty() {
                return Err(Failure::invalid(format!(
                    "has no {axis}, so there are no cells (hint: write [{axis}.NAME])"
                )));
            }
            let plain = |name: &&String| {
                !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "._+-".contains(c))
            };
            if let Some(name) = names.keys().find(|name| !plain(name)) {
                return Err(Failure::invalid(format!(
                    "{axis} {name:?} cannot be part of a cell's id \
                     (hint: use letters, digits or ._+-)"
                )));
            }
        }
        match self.count() {
            Some(1..=CELLS_MAX) => Ok(()),
            _ => Err(Failure::invalid(format!(
                "has {} traces, {} policies, {} changes and {} seeds; the limits are 1 and \
                 {CELLS_MAX} cells (hint: change the number of seeds, or split the matrix)",
                self.traces.len(),
                self.policies.len(),
                self.changes.len(),
                self.seeds
            ))),
        }
    }

    /// As text: equal matrices have equal texts.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be written.
    pub fn text(&self) -> Result<String, Failure> {
        serde_json::to_string(self).map_err(Failure::invalid)
    }

    /// From its text.
    ///
    /// # Errors
    /// [`Failure`] when it is not one.
    pub fn from_text(text: &str) -> Result<Self, Failure> {
        serde_json::from_str(text).map_err(|error| {
            Failure::invalid(format!(
                "its matrix cannot be read: {error} (hint: only files of whimbrel sweep run have one)"
            ))
        })
    }
}
