//! Takes samples and records and writes them as sealed parts.
//!
//! Samples are buffered and become parts when there are enough of them or the oldest waits too
//! long, measured by the samples' own times: what is buffered is lost in a crash, what is a part
//! is not. Migration records are precious and few, so they are written at once.
//!
//! Several stores, in several processes too, may write into one directory. Never here: changing
//! or deleting a part, or filling in a missing value.

use std::{
    fs,
    path::{Path, PathBuf},
};

use whimbrel_core::{
    ports::{SinkError, TelemetrySink},
    telemetry::{Batch, DirtySample, DomainSample, HostSample, JobSample, MigrationRecord},
    units::{Span, Timestamp},
};

use crate::{
    error::DatasetError,
    frame::encode,
    partition::{Day, publish},
    rows::{GuestCheck, Row},
    schema::{Fault, TABLES},
};

/// Most rows of one table that are kept while the disk refuses them; about 60 MB of domains.
const KEPT_ROWS_MAX: usize = 200_000;

/// When buffered samples become a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlushLimits {
    /// As soon as this many rows wait, all tables together. Range 1..=200,000.
    pub rows: usize,
    /// As soon as the newest row was taken this long after the oldest that waits.
    pub age: Span,
}

impl Default for FlushLimits {
    /// 20,000 rows or 5 minutes: 288 parts a day and table, and at most 5 minutes to lose.
    fn default() -> Self {
        Self { rows: 20_000, age: Span::from_seconds(300) }
    }
}

/// Writes telemetry below one directory.
#[derive(Debug)]
pub struct TelemetryStore {
    root: PathBuf,
    limits: FlushLimits,
    hosts: Buffer<HostSample>,
    domains: Buffer<DomainSample>,
    dirty: Buffer<DirtySample>,
    jobs: Buffer<JobSample>,
}

impl TelemetryStore {
    /// Opens the store in `dir`, which is made when it does not exist.
    ///
    /// # Errors
    /// [`DatasetError::Io`] when the directories cannot be made.
    pub fn create(dir: &Path) -> Result<Self, DatasetError> {
        for table in TABLES {
            let path = dir.join(table.name);
            fs::create_dir_all(&path).map_err(DatasetError::io(&path, "cannot create"))?;
        }
        Ok(Self {
            root: dir.to_owned(),
            limits: FlushLimits::default(),
            hosts: Buffer::default(),
            domains: Buffer::default(),
            dirty: Buffer::default(),
            jobs: Buffer::default(),
        })
    }

    /// The same store with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: FlushLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Writes what is buffered. Rows that could not be written stay buffered.
    ///
    /// # Errors
    /// [`DatasetError::Io`] of the first table that could not be written.
    pub fn flush(&mut self) -> Result<(), DatasetError> {
        let written = [
            self.hosts.write_out(&self.root),
            self.domains.write_out(&self.root),
            self.dirty.write_out(&self.root),
            self.jobs.write_out(&self.root),
        ];
        written.into_iter().collect()
    }

    /// Writes `records`; once it returns they survive a power cut.
    ///
    /// # Errors
    /// [`DatasetError::RowsRefused`] when a record has an impossible value: it is left out and
    /// the others are written. [`DatasetError::Io`] when nothing more could be written.
    pub fn append_migrations(&mut self, records: &[MigrationRecord]) -> Result<(), DatasetError> {
        write_rows(&self.root, records)
    }

    /// Writes what guests said of their memory; as [`TelemetryStore::append_migrations`].
    ///
    /// # Errors
    /// As [`TelemetryStore::append_migrations`].
    pub fn append_guest_checks(&mut self, checks: &[GuestCheck]) -> Result<(), DatasetError> {
        write_rows(&self.root, checks)
    }

    /// Takes the samples of `batch` and flushes when a limit is reached.
    pub(crate) fn take(&mut self, batch: &Batch) -> Result<(), DatasetError> {
        let mut refused = Refused::default();
        self.hosts.take(&batch.hosts, &mut refused);
        self.domains.take(&batch.domains, &mut refused);
        self.dirty.take(&batch.dirty, &mut refused);
        self.jobs.take(&batch.jobs, &mut refused);
        if self.is_due() {
            let flushed = self.flush();
            let given_up =
                self.hosts.trim() + self.domains.trim() + self.dirty.trim() + self.jobs.trim();
            flushed.map_err(|error| with_loss(error, given_up))?;
        }
        refused.into_result(&self.root)
    }

    fn is_due(&self) -> bool {
        let rows = self.hosts.rows.len()
            + self.domains.rows.len()
            + self.dirty.rows.len()
            + self.jobs.rows.len();
        let ends = [self.hosts.ends(), self.domains.ends(), self.dirty.ends(), self.jobs.ends()];
        let ends = ends.into_iter().flatten();
        let ends = ends.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        rows >= self.limits.rows
            || ends.is_some_and(|(oldest, newest)| newest.since(oldest) >= self.limits.age)
    }
}

impl TelemetrySink for TelemetryStore {
    fn record(&mut self, batch: &Batch) -> Result<(), SinkError> {
        self.take(batch).map_err(|error| match error {
            DatasetError::Io { path, message } | DatasetError::Missing { path, message } => {
                SinkError { path, message }
            }
            other => {
                SinkError { path: self.root.display().to_string(), message: other.to_string() }
            }
        })
    }
}

impl Drop for TelemetryStore {
    /// Best effort: who needs to know calls [`TelemetryStore::flush`] before.
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// Writes `rows` below `root` at once; those that do not pass their check are left out and named.
pub(crate) fn write_rows<R: Row + Clone>(root: &Path, rows: &[R]) -> Result<(), DatasetError> {
    let mut buffer = Buffer::default();
    let mut refused = Refused::default();
    buffer.take(rows, &mut refused);
    buffer.write_out(root)?;
    refused.into_result(root)
}

/// `error` with the number of rows that were lost by it.
fn with_loss(error: DatasetError, given_up: usize) -> DatasetError {
    match error {
        DatasetError::Io { path, message } if given_up > 0 => DatasetError::Io {
            path,
            message: format!("{message}; gave up the {given_up} oldest rows that waited"),
        },
        other => other,
    }
}

/// Rows that wait to become a part.
#[derive(Debug)]
struct Buffer<R> {
    rows: Vec<R>,
}

impl<R> Default for Buffer<R> {
    fn default() -> Self {
        Self { rows: Vec::new() }
    }
}

impl<R: Row + Clone> Buffer<R> {
    /// Takes the rows that pass their check.
    fn take(&mut self, rows: &[R], refused: &mut Refused) {
        for row in rows {
            refused.offered += 1;
            match row.check() {
                Ok(()) => self.rows.push(row.clone()),
                Err(fault) => refused.note(R::TABLE.name, fault),
            }
        }
    }

    /// When the oldest and the newest row were taken.
    fn ends(&self) -> Option<(Timestamp, Timestamp)> {
        let times = || self.rows.iter().map(Row::at);
        times().min().zip(times().max())
    }

    /// Writes a part for each day and forgets what is written.
    fn write_out(&mut self, root: &Path) -> Result<(), DatasetError> {
        let table = root.join(R::TABLE.name);
        self.rows.sort_by_key(Row::at);
        while let Some(first) = self.rows.first().map(Row::at) {
            let count = self.rows.partition_point(|row| Day::of(row.at()) <= Day::of(first));
            let (part, _) = self.rows.split_at(count);
            let bytes = encode(part).map_err(|what| DatasetError::Io {
                path: DatasetError::shown(&table),
                message: format!("cannot encode {count} rows: {what}"),
            })?;
            publish(&table, first, &bytes)?;
            self.rows.drain(..count);
        }
        Ok(())
    }

    /// Drops the oldest rows beyond the limit and says how many.
    fn trim(&mut self) -> usize {
        let surplus = self.rows.len().saturating_sub(KEPT_ROWS_MAX);
        self.rows.drain(..surplus);
        surplus
    }
}

/// Rows that did not pass their check.
#[derive(Debug, Default)]
struct Refused {
    offered: usize,
    count: usize,
    first: Option<(&'static str, Fault)>,
}

impl Refused {
    fn note(&mut self, table: &'static str, fault: Fault) {
        self.count += 1;
        self.first.get_or_insert((table, fault));
    }

    fn into_result(self, root: &Path) -> Result<(), DatasetError> {
        let Some((table, fault)) = self.first else { return Ok(()) };
        Err(DatasetError::RowsRefused {
            path: DatasetError::shown(&root.join(table)),
            refused: self.count,
            offered: self.offered,
            column: fault.column.to_owned(),
            what: fault.what,
        })
    }
}
