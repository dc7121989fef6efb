//! A question as a TOML file; flags override what it says.
//!
//! Paths in the file are relative to the file. Unknown keys are refused.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use whimbrel_core::units::{Span, Timestamp};
use whimbrel_simulator::whatif::Changes;

use crate::{Failure, files};

/// Where a question is shown.
const HINT: &str = "whimbrel whatif --help shows a question";

/// A question as its file has it; every key may be left out.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuestionFile {
    /// What it is about, in a sentence.
    pub intent: String,
    /// Directory of recorded telemetry.
    pub data: Option<PathBuf>,
    /// The moment of the recording.
    pub moment: Option<Timestamp>,
    /// The policy then, as a file.
    pub policy: Option<PathBuf>,
    /// How long both sides are simulated.
    pub horizon: Option<Span>,
    /// Simulated runs.
    pub seeds: Option<u64>,
    /// Seed of the plan and of the first run.
    pub seed: Option<u64>,
    /// What is different from today.
    pub change: Changes,
}

impl QuestionFile {
    /// Reads `path`.
    ///
    /// # Errors
    /// [`Failure`] naming file, line and key.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let text = files::read_text(path)?;
        let mut file: Self =
            toml::from_str(&text).map_err(|e| files::misread(&e, HINT).about(path.display()))?;
        let base = path.parent().unwrap_or(Path::new("."));
        for place in [&mut file.data, &mut file.policy].into_iter().flatten() {
            *place = base.join(&*place);
        }
        Ok(file)
    }
}
