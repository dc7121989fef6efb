//! Few large parts instead of many small ones: for a store that nobody writes to any more.
//!
//! A store that flushes after every row has as many parts as rows, and each part carries the whole
//! schema. Rows stay as they are, and so does their order.

use std::{fs, path::Path};

use whimbrel_core::telemetry::{DirtySample, DomainSample, HostSample, JobSample, MigrationRecord};

use crate::{
    error::DatasetError,
    reader::TelemetryReader,
    rows::{GuestCheck, Row},
    writer::write_rows,
};

/// Where a table is put together, and where the old one waits for its end.
const FRESH: &str = "merging";
const OLD: &str = "merged";

/// Gives each table of the store in `dir` one part a day. Nobody may write to it meanwhile.
///
/// # Errors
/// [`DatasetError`] with the file that cannot be read or written; the tables before it are merged,
/// the others as they were.
pub fn merge_parts(dir: &Path) -> Result<(), DatasetError> {
    let reader = TelemetryReader::open(dir)?;
    merge_table::<HostSample>(dir, &reader.hosts()?)?;
    merge_table::<DomainSample>(dir, &reader.domains()?)?;
    merge_table::<DirtySample>(dir, &reader.dirty()?)?;
    merge_table::<JobSample>(dir, &reader.jobs()?)?;
    merge_table::<MigrationRecord>(dir, &reader.migrations()?)?;
    merge_table::<GuestCheck>(dir, &reader.guest_checks()?)
}

fn merge_table<R: Row + Clone>(dir: &Path, rows: &[R]) -> Result<(), DatasetError> {
    let table = dir.join(R::TABLE.name);
    if !table.is_dir() {
        return Ok(());
    }
    let fresh = dir.join(FRESH);
    for left in [&fresh, &dir.join(OLD)].into_iter().filter(|path| path.is_dir()) {
        fs::remove_dir_all(left).map_err(DatasetError::io(left, "cannot remove"))?;
    }
    let fresh_table = fresh.join(R::TABLE.name);
    fs::create_dir_all(&fresh_table).map_err(DatasetError::io(&fresh_table, "cannot create"))?;
    write_rows(&fresh, rows)?;
    let old = dir.join(OLD);
    fs::rename(&table, &old).map_err(DatasetError::io(&table, "cannot move away"))?;
    fs::rename(&fresh_table, &table).map_err(DatasetError::io(&table, "cannot put in place"))?;
    for left in [&old, &fresh] {
        fs::remove_dir_all(left).map_err(DatasetError::io(left, "cannot remove"))?;
    }
    Ok(())
}
