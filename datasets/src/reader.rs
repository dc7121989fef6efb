//! Reads a store back as rows of core, ordered by time.
//!
//! Every part is checked before a row of it is returned: seal, version, table, columns, types and
//! each value. One bad part fails the read and is named; a partial answer that looks whole would
//! mislead whoever learns from it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use whimbrel_core::{
    telemetry::{DirtySample, DomainSample, HostSample, JobSample, MigrationRecord},
    units::Timestamp,
};

use crate::{
    error::DatasetError,
    frame::{bad_value, decode},
    partition::{Day, Part, parts},
    rows::{GuestCheck, Row},
    schema::{Fault, TABLES},
};

/// Largest part that is read into memory; the writer's own are below 100 MB.
const PART_LENGTH_MAX: u64 = 1 << 30;

/// Reads the tables below one directory.
#[derive(Debug, Clone)]
pub struct TelemetryReader {
    root: PathBuf,
    from: Timestamp,
    until: Timestamp,
}

impl TelemetryReader {
    /// Opens the store in `dir`. Reads no row yet.
    ///
    /// # Errors
    /// [`DatasetError`] when it is no directory that can be listed, [`DatasetError::NotADataset`] when
    /// it holds no table.
    pub fn open(dir: &Path) -> Result<Self, DatasetError> {
        let path = DatasetError::shown(dir);
        match fs::read_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(DatasetError::DirectoryAbsent { path });
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(DatasetError::NoDirectory { path });
            }
            listed => drop(listed.map_err(DatasetError::io(dir, "cannot list"))?),
        }
        if !TABLES.iter().any(|table| dir.join(table.name).is_dir()) {
            return Err(DatasetError::NotADataset { path });
        }
        let (from, until) = (Timestamp::from_micros(0), Timestamp::from_micros(u64::MAX));
        Ok(Self { root: dir.to_owned(), from, until })
    }

    /// The same reader, returning rows with `from <= at < until` only. Parts of other days are
    /// not opened, hence not checked either.
    #[must_use]
    pub fn between(mut self, from: Timestamp, until: Timestamp) -> Self {
        self.from = from;
        self.until = until;
        self
    }

    /// Host samples, oldest first; rows of the same moment in the order they were written.
    ///
    /// # Errors
    /// [`DatasetError`] with the file, column and row that cannot be read.
    pub fn hosts(&self) -> Result<Vec<HostSample>, DatasetError> {
        self.rows()
    }

    /// Domain samples, oldest first.
    ///
    /// # Errors
    /// As [`TelemetryReader::hosts`].
    pub fn domains(&self) -> Result<Vec<DomainSample>, DatasetError> {
        self.rows()
    }

    /// Dirty-rate windows, by their end, oldest first.
    ///
    /// # Errors
    /// As [`TelemetryReader::hosts`].
    pub fn dirty(&self) -> Result<Vec<DirtySample>, DatasetError> {
        self.rows()
    }

    /// Looks at running migrations, oldest first.
    ///
    /// # Errors
    /// As [`TelemetryReader::hosts`].
    pub fn jobs(&self) -> Result<Vec<JobSample>, DatasetError> {
        self.rows()
    }

    /// Migrations, by their beginning, oldest first.
    ///
    /// # Errors
    /// As [`TelemetryReader::hosts`].
    pub fn migrations(&self) -> Result<Vec<MigrationRecord>, DatasetError> {
        self.rows()
    }

    /// What guests said of their memory after migrations, oldest first.
    ///
    /// # Errors
    /// As [`TelemetryReader::hosts`].
    pub fn guest_checks(&self) -> Result<Vec<GuestCheck>, DatasetError> {
        self.rows()
    }

    /// All rows of one table within the range. An absent table has none.
    fn rows<R: Row>(&self) -> Result<Vec<R>, DatasetError> {
        let directory = self.root.join(R::TABLE.name);
        if !directory.is_dir() {
            return Ok(Vec::new());
        }
        let days = Day::of(self.from)..=Day::of(self.until);
        let mut rows = Vec::new();
        for part in parts(&directory, |day| days.contains(&day))? {
            let of_part = read_part::<R>(&part)?;
            rows.extend(of_part.into_iter().filter(|r| self.from <= r.at() && r.at() < self.until));
        }
        // Stable, so that rows of one moment keep the order in which they were written.
        rows.sort_by_key(Row::at);
        Ok(rows)
    }
}

pub(crate) fn read_part<R: Row>(part: &Part) -> Result<Vec<R>, DatasetError> {
    let path = &part.path;
    let length = fs::metadata(path).map_err(DatasetError::io(path, "cannot look at"))?.len();
    if length > PART_LENGTH_MAX {
        return Err(DatasetError::Foreign {
            path: DatasetError::shown(path),
            what: format!("{length} bytes are over the limit for a part, {PART_LENGTH_MAX}"),
        });
    }
    let sealed = fs::read(path).map_err(DatasetError::io(path, "cannot read"))?;
    let rows = decode::<R>(path, &sealed)?;
    // A row under another day would be missed by a read of its own day.
    if let Some(row) = rows.iter().position(|row| Day::of(row.at()) != part.day) {
        let what = format!("does not lie in {}", part.day.directory());
        return Err(bad_value(path, row, Fault { column: "at_micros", what }));
    }
    Ok(rows)
}
