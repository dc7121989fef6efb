//! A campaign of migrations: each with what was seen of it, and what its guest did.
//!
//! Which guests teach and which judge is written in `behaviours.toml` before anything runs, so
//! that nobody can choose afterwards. Never here: how behaviours are drawn, or any learning.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};
use whimbrel_core::{ids::VmId, telemetry::MigrationTrace, units::Bytes};

use crate::{error::DatasetError, reader::TelemetryReader};

/// Name of the file in the campaign's directory.
pub const BEHAVIOURS_FILE: &str = "behaviours.toml";

/// Recorded migrations and their guests.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// Every migration with the looks at it, by their beginning, oldest first.
    pub traces: Vec<MigrationTrace>,
    /// What each guest did. Every trace's guest is in it.
    pub behaviours: BTreeMap<VmId, Behaviour>,
}

/// What a guest did from its start to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Behaviour {
    /// Its memory.
    pub memory: Bytes,
    /// The kind of load, for tables: guests of one family differ in numbers only.
    pub family: String,
    /// Whether models learn from it.
    pub set: CampaignSet,
    /// What its load was told, in the words that `datasets/README.md` describes.
    pub load: String,
}

/// What a guest's migrations are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CampaignSet {
    /// Models learn from them.
    Learn,
    /// Models are judged by them and never see them before.
    Judge,
}

impl Campaign {
    /// Reads the campaign in `dir`.
    ///
    /// # Errors
    /// [`DatasetError`] with the file that cannot be read; [`DatasetError::Behaviours`] when a
    /// migration's guest is not described.
    pub fn read(dir: &Path) -> Result<Self, DatasetError> {
        let reader = TelemetryReader::open(dir)?;
        let behaviours = read_behaviours(dir)?;
        let traces = reader.traces()?;
        let mut records = traces.iter().map(|trace| &trace.record);
        if let Some(record) = records.find(|r| !behaviours.contains_key(&r.vm)) {
            return Err(DatasetError::Behaviours {
                path: DatasetError::shown(&dir.join(BEHAVIOURS_FILE)),
                message: format!("lacks {}, the guest of order {}", record.vm, record.id),
            });
        }
        Ok(Self { traces, behaviours })
    }

    /// The traces whose guests belong to `set`.
    pub fn of(&self, set: CampaignSet) -> impl Iterator<Item = &MigrationTrace> {
        self.traces.iter().filter(move |trace| {
            self.behaviours.get(&trace.record.vm).is_some_and(|b| b.set == set)
        })
    }
}

/// What the guests of the campaign in `dir` do.
fn read_behaviours(dir: &Path) -> Result<BTreeMap<VmId, Behaviour>, DatasetError> {
    let path = dir.join(BEHAVIOURS_FILE);
    let refused = |message: String| DatasetError::Behaviours {
        path: DatasetError::shown(&path),
        message: message.trim_end().to_owned(),
    };
    let text = fs::read_to_string(&path).map_err(|e| refused(format!("cannot read: {e}")))?;
    toml::from_str(&text).map_err(|error| refused(error.to_string()))
}

/// Writes what the guests of the campaign in `dir` will do.
///
/// # Errors
/// [`DatasetError::Io`] when it cannot be written.
pub fn write_behaviours(
    dir: &Path,
    behaviours: &BTreeMap<VmId, Behaviour>,
) -> Result<(), DatasetError> {
    let path = dir.join(BEHAVIOURS_FILE);
    let text = toml::to_string(behaviours).map_err(|error| DatasetError::Behaviours {
        path: DatasetError::shown(&path),
        message: error.to_string(),
    })?;
    fs::create_dir_all(dir).map_err(DatasetError::io(dir, "cannot create"))?;
    fs::write(&path, text).map_err(DatasetError::io(&path, "cannot write"))
}
