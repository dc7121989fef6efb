//! Sweeps: many cells (trace x policy x change x seed), in shards that can be stopped and gone on
//! with, on one machine or many.
//!
//! Data flow: a matrix file makes [`Axes`], which name every [`Cell`], and a [`Work`] that knows
//! what a cell comes to; [`run`] does the cells of one [`Shard`] that are not done yet and keeps
//! them in one file; [`merge`] puts the files of all shards together and says what is missing.
//!
//! What a cell comes to depends on nothing but the cell, so it does not matter which shard, thread
//! or machine does it, nor how often it was stopped.
//!
//! Never here: a scheduler. Whoever has one starts the shards.

mod axes;
mod balance;
mod kept;
mod merge;
mod run;
mod shard;
mod study;
#[cfg(test)]
mod tests;
mod what_if;

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

pub use axes::{Axes, CELLS_MAX, Cell};
pub use balance::BalanceMatrix;
pub use merge::{Merged, merge};
pub use run::{Ran, done, run};
pub use shard::Shard;
pub use study::{StudyMatrix, percent_of_part};
pub use what_if::WhatIfMatrix;

use crate::{Failure, files};

/// Knows what a cell comes to.
pub trait Work: Sync {
    /// The figures of `cell` by name, each with its unit last; finite. The same cell always has the
    /// same figures.
    ///
    /// # Errors
    /// [`Failure`] when there are none.
    fn figures(&self, cell: &Cell) -> Result<BTreeMap<String, f64>, Failure>;
}

/// A matrix with the work that it asks for.
pub struct Matrix {
    /// What it is about, in a sentence.
    pub intent: String,
    /// Its cells.
    pub axes: Axes,
    /// What a cell comes to.
    pub work: Box<dyn Work>,
}

/// What every matrix file has, whatever its kind.
#[derive(Debug, Deserialize)]
struct KindOnly {
    #[serde(default)]
    kind: String,
}

/// A file that is no matrix.
fn misread(error: &toml::de::Error) -> Failure {
    files::misread(error, "whimbrel sweep --help shows a matrix")
}

impl Matrix {
    /// Reads the matrix in `path`; `model` predicts, where one is named.
    ///
    /// # Errors
    /// [`Failure`] naming file, line and key.
    pub fn read(path: &Path, model: Option<&Path>) -> Result<Self, Failure> {
        let text = files::read_text(path)?;
        let about = |failure: Failure| failure.about(path.display());
        let KindOnly { kind } = toml::from_str(&text).map_err(|e| misread(&e)).map_err(about)?;
        match kind.as_str() {
            "" | what_if::KIND => {
                let base = path.parent().unwrap_or(Path::new("."));
                WhatIfMatrix::parse(&text, base)
                    .and_then(|matrix| matrix.ready(model))
                    .map_err(about)
            }
            study::KIND => {
                let base = path.parent().unwrap_or(Path::new("."));
                StudyMatrix::parse(&text, base).and_then(StudyMatrix::ready).map_err(about)
            }
            balance::KIND => {
                let base = path.parent().unwrap_or(Path::new("."));
                BalanceMatrix::parse(&text, base).and_then(BalanceMatrix::ready).map_err(about)
            }
            other => Err(about(Failure::invalid(format!(
                "kind {other:?} is not known (hint: kind = {:?}, {:?} or {:?})",
                what_if::KIND,
                study::KIND,
                balance::KIND
            )))),
        }
    }
}
