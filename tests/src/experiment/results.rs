//! What of an experiment is done: one line of JSON a run, written as soon as the run has ended.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

use super::run::Row;
use crate::campaign::error::CampaignError;

/// The rows of one experiment.
#[derive(Debug)]
pub struct Results<C> {
    path: PathBuf,
    file: File,
    rows: Vec<Row<C>>,
}

impl<C: Serialize + DeserializeOwned> Results<C> {
    /// The rows in the file `name` of `directory`; neither has to exist.
    ///
    /// # Errors
    /// [`CampaignError::Facts`] when they cannot be read or written.
    pub fn open(directory: &Path, name: &str) -> Result<Self, CampaignError> {
        fs::create_dir_all(directory).map_err(|e| CampaignError::facts(directory, &e))?;
        let path = directory.join(name);
        let rows = read(&path)?;
        // What a killed process left of a line goes, or the next row would follow it on one line.
        let mut text = String::new();
        for row in &rows {
            text.push_str(&line(&path, row)?);
        }
        let beside = path.with_extension("new");
        fs::write(&beside, text).map_err(|e| CampaignError::facts(&beside, &e))?;
        fs::rename(&beside, &path).map_err(|e| CampaignError::facts(&path, &e))?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .map_err(|e| CampaignError::facts(&path, &e))?;
        Ok(Self { path, file, rows })
    }

    /// Keeps `row`.
    ///
    /// # Errors
    /// [`CampaignError::Facts`] when it cannot be written.
    pub fn append(&mut self, row: Row<C>) -> Result<(), CampaignError> {
        let line = line(&self.path, &row)?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|e| CampaignError::facts(&self.path, &e))?;
        self.rows.push(row);
        Ok(())
    }

    /// The rows, oldest first.
    pub fn rows(&self) -> &[Row<C>] {
        &self.rows
    }
}

/// The rows of the file at `path`, oldest first; none where there is no file. A last line that was
/// not written to its end does not count.
///
/// # Errors
/// [`CampaignError::Facts`] when another line is no row.
pub fn read<C: DeserializeOwned>(path: &Path) -> Result<Vec<Row<C>>, CampaignError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path).map_err(|e| CampaignError::facts(path, &e))?;
    let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap_or_default());
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).map_err(|e| CampaignError::facts(path, &e)))
        .collect()
}

fn line<C: Serialize>(path: &Path, row: &Row<C>) -> Result<String, CampaignError> {
    let text = serde_json::to_string(row).map_err(|e| CampaignError::facts(path, &e))?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{run::Arm, table::tests::row};

    #[test]
    fn rows_survive_and_half_a_row_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let open = || Results::<u32>::open(directory.path(), "rows.jsonl").unwrap();
        let mut results = open();
        results.append(row(1, Arm::Told, 12.0)).unwrap();
        results.append(row(2, Arm::AtOnce, 20.0)).unwrap();
        let path = directory.path().join("rows.jsonl");
        let mut text = fs::read_to_string(&path).unwrap();
        text.push_str("{\"id\":\"half");
        fs::write(&path, text).unwrap();
        let mut again = open();
        assert_eq!(again.rows(), results.rows());
        again.append(row(3, Arm::Random, 30.0)).unwrap();
        assert_eq!(read::<u32>(&path).unwrap().len(), 3);
        fs::write(&path, "nonsense\n").unwrap();
        let message = read::<u32>(&path).unwrap_err().to_string();
        assert!(message.contains("rows.jsonl"), "{message}");
    }
}
