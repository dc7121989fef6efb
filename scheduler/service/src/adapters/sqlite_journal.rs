//! The journal in SQLite: one row a record, synchronised to disk before `append` returns.
//!
//! Each row carries a digest of its content and of the row before it, so that a row that was
//! changed or lost by hand is found when the journal is read. One process at a time may write: the
//! database is locked exclusively while it is open.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, params};
use whimbrel_core::{
    digest::Digest,
    ports::{Journal, JournalError, Record},
};

/// Layout of the database that this version reads and writes.
const LAYOUT: i64 = 1;

/// A journal in one SQLite file.
#[derive(Debug)]
pub struct SqliteJournal {
    path: PathBuf,
    database: Connection,
    last: String,
}

impl SqliteJournal {
    /// Opens or creates the journal at `path`.
    ///
    /// # Errors
    /// [`JournalError`] when it is damaged, of another version, or open in another process.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let fault = |fault: Fault| fault.of(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| fault(e.to_string().into()))?;
        }
        let database = Connection::open(path).map_err(|e| fault((&e).into()))?;
        prepare(&database).map_err(|e| fault((&e).into()))?;
        let layout: i64 = database
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .map_err(|e| fault((&e).into()))?;
        match layout {
            0 => create(&database).map_err(|e| fault((&e).into()))?,
            LAYOUT => {}
            other => {
                let message = format!("its layout is {other}, this version reads {LAYOUT}");
                return Err(fault(message.into()));
            }
        }
        let last = database
            .query_row("SELECT digest FROM record ORDER BY number DESC LIMIT 1", [], |row| {
                row.get(0)
            })
            .optional()
            .map_err(|e| fault((&e).into()))?
            .unwrap_or_default();
        Ok(Self { path: path.to_owned(), database, last })
    }

    fn fault(&self, fault: impl Into<Fault>) -> JournalError {
        fault.into().of(&self.path)
    }
}

impl Journal for SqliteJournal {
    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let content = serde_json::to_string(record).map_err(|e| self.fault(e.to_string()))?;
        let digest = chained(&self.last, &content);
        self.database
            .execute(
                "INSERT INTO record (at_micros, content, digest) VALUES (?1, ?2, ?3)",
                params![i64::try_from(record.at.as_micros()).unwrap_or(i64::MAX), content, digest],
            )
            .map_err(|e| self.fault(&e))?;
        self.last = digest;
        Ok(())
    }

    fn records(&self) -> Result<Vec<Record>, JournalError> {
        let read = || -> Result<Vec<(i64, String, String)>, rusqlite::Error> {
            let mut rows = self
                .database
                .prepare("SELECT number, content, digest FROM record ORDER BY number")?;
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
        };
        let mut before = String::new();
        let mut records = Vec::new();
        for (number, content, digest) in read().map_err(|e| self.fault(&e))? {
            if chained(&before, &content) != digest {
                return Err(self.fault(format!("record {number} does not match its digest")));
            }
            let record = serde_json::from_str(&content)
                .map_err(|e| self.fault(format!("record {number}: {e}")))?;
            records.push(record);
            before = digest;
        }
        Ok(records)
    }
}

fn chained(before: &str, content: &str) -> String {
    Digest::of_bytes(format!("{before}\n{content}").as_bytes()).as_str().to_owned()
}

fn prepare(database: &Connection) -> Result<(), rusqlite::Error> {
    // FULL makes each commit of the write-ahead log reach the disk: an intent that a power cut
    // could lose is no intent.
    database.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    database.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    database.pragma_update(None, "synchronous", "FULL")?;
    // The exclusive lock is taken by the first write.
    database.execute_batch("BEGIN IMMEDIATE; COMMIT;")
}

fn create(database: &Connection) -> Result<(), rusqlite::Error> {
    database.execute_batch(&format!(
        "BEGIN;
         CREATE TABLE record (
             number INTEGER PRIMARY KEY AUTOINCREMENT,
             at_micros INTEGER NOT NULL,
             content TEXT NOT NULL,
             digest TEXT NOT NULL
         ) STRICT;
         PRAGMA user_version = {LAYOUT};
         COMMIT;"
    ))
}

/// What went wrong, and what to try.
struct Fault {
    message: String,
    hint: &'static str,
}

impl Fault {
    fn of(self, path: &Path) -> JournalError {
        let Self { message, hint } = self;
        JournalError { path: path.display().to_string(), message, hint }
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self { message, hint: "check the disk and the file's owner; nothing was begun" }
    }
}

impl From<&rusqlite::Error> for Fault {
    fn from(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Self {
                message: "it is open in another process, which may be executing a plan".to_owned(),
                hint: "ask a running daemon through --endpoint, or wait until the other has ended",
            },
            _ => error.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{ports::Entry, units::Timestamp};

    use super::*;

    fn record(second: u64) -> Record {
        Record { at: Timestamp::from_micros(second * 1_000_000), entry: Entry::PlanCancelled }
    }

    #[test]
    fn records_survive_reopening_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state/journal.sqlite");
        for second in 0..3 {
            SqliteJournal::open(&path).unwrap().append(&record(second)).unwrap();
        }
        let records = SqliteJournal::open(&path).unwrap().records().unwrap();
        assert_eq!(records, (0..3).map(record).collect::<Vec<_>>());
    }

    #[test]
    fn a_second_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.sqlite");
        let _held = SqliteJournal::open(&path).unwrap();
        let message = SqliteJournal::open(&path).unwrap_err().message;
        assert!(message.contains("another process"), "{message}");
    }

    #[test]
    fn changes_by_hand_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.sqlite");
        let mut journal = SqliteJournal::open(&path).unwrap();
        (0..3).for_each(|second| journal.append(&record(second)).unwrap());
        journal.database.execute("DELETE FROM record WHERE number = 2", []).unwrap();
        assert!(journal.records().unwrap_err().message.contains("record 3"));
    }

    #[test]
    fn something_else_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("journal.sqlite");
        std::fs::write(
            &path,
            "not a database, but long enough to be read as the header of one. ".repeat(30),
        )
        .unwrap();
        let error = SqliteJournal::open(&path).unwrap_err();
        assert!(error.to_string().contains("journal.sqlite"), "{error}");
    }
}
