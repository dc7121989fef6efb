//! Azure's trace for packing of 2020 (Hadary et al., "Protean", OSDI 2020): 14 days of requests
//! in one zone, in a SQLite file.
//!
//! Layout: the tables `vm` (`vmId`, `vmTypeId`, `starttime`, `endtime` in days, no end where it is
//! not known) and `vmType` (`vmTypeId`, `machineId`, `core`, `memory` as parts of that machine). A
//! type fits several machines; it has the size that it has on the one with the lowest number.
//! What a whole machine is, the set does not say: 64 cores and 256 GiB unless told otherwise.
//! Guests that began before the trace begin with it, and are counted (3,414 are said to be twenty
//! years old). No use is known.
//!
//! A damaged or hostile file can lead SQLite in circles: pages that many others point to are read
//! again each time, and rows come in another order than their numbers. So the work is bounded by the
//! file's size, and each row has a higher number than the one before.

use std::{
    collections::{BTreeMap, VecDeque},
    path::Path,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, limits::Limit, types::ValueRef};
use whimbrel_core::{
    trace::{Life, Size},
    units::{Bytes, MilliCores, Span},
};

use super::{
    TraceOptions,
    error::TraceError,
    files::{self, Tally, ends_in},
    limits::TIME_MAX_MICROS,
    rows::{Loader, Repair, Sink, TraceRows, bytes, millicores, span},
};

const WHOLE: Size = Size { cpu: MilliCores::cores(64), memory: Bytes::mib(256 << 10) };

/// Endings of such a file.
const ENDINGS: [&str; 3] = ["sqlite", "sqlite3", "db"];

const DAY_MICROS: f64 = 86_400e6;

/// Rows that are read at a time.
const BATCH: i64 = 4096;

/// Longest value of a row in bytes; the set's are numbers.
const VALUE_MAX: i32 = 1 << 16;

/// Most types; the set has a few hundred.
const TYPES_MAX: usize = 1_000_000;

/// Instructions of SQLite's machine that a byte of the file may take, and those that any file may: the
/// set takes less than one a byte.
const WORK_PER_BYTE: u64 = 64;
const WORK_FROM: u64 = 1 << 20;

/// Instructions between two looks at how many there were.
const WORK_STEP: i32 = 1 << 12;

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, options: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let found = files::below(root, |name| ENDINGS.iter().any(|ending| ends_in(name, ending)))?;
    let [path] = found.as_slice() else {
        return Err(TraceError::absent(
            root,
            format!("holds {} .sqlite files, not one", found.len()),
        ));
    };
    let file = TraceError::shown(path);
    // Not through the tally: SQLite reads for itself.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| damaged(&file, 0, &e))?;
    // A file from elsewhere may bring its own functions and views along: none is run.
    connection
        .execute_batch("PRAGMA trusted_schema = OFF; PRAGMA query_only = ON; PRAGMA mmap_size = 0;")
        .map_err(|e| damaged(&file, 0, &e))?;
    connection
        .set_limit(Limit::SQLITE_LIMIT_LENGTH, VALUE_MAX)
        .map_err(|e| damaged(&file, 0, &e))?;
    let total = files::total(&found);
    bound(&connection, total).map_err(|e| damaged(&file, 0, &e))?;
    for name in ["vm", "vmType"] {
        tables(&connection, &file, name)?;
    }
    let whole = options.whole.unwrap_or(WHOLE);
    let types = types(&connection, &file, whole)?;
    let packing = Packing { connection, file, types, last: None, rows: 0, ready: VecDeque::new() };
    Ok(TraceRows::new(Box::new(packing), Sink::with_lives(Span::ZERO), tally, total))
}

fn damaged(file: &str, row: u64, error: &rusqlite::Error) -> TraceError {
    let what = match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => {
            "leads in circles: reading it takes more work than a file of its size can".to_owned()
        }
        _ => error.to_string(),
    };
    TraceError::Damaged { file: file.to_owned(), row, what }
}

/// Ends the reading of a file of `bytes` that leads in circles.
fn bound(connection: &Connection, bytes: u64) -> rusqlite::Result<()> {
    let mut left =
        bytes.saturating_mul(WORK_PER_BYTE).max(WORK_FROM) / u64::from(WORK_STEP.unsigned_abs());
    let ends = move || {
        left = left.saturating_sub(1);
        left == 0
    };
    connection.progress_handler(WORK_STEP, Some(ends))
}

/// Refuses a file without the table `name`, or with something else under that name.
fn tables(connection: &Connection, file: &str, name: &str) -> Result<(), TraceError> {
    let kind: Result<String, _> = connection.query_row(
        "SELECT type FROM sqlite_schema WHERE lower(name) = lower(?1)",
        [name],
        |row| row.get(0),
    );
    match kind {
        Ok(kind) if kind == "table" => Ok(()),
        Err(error) if error != rusqlite::Error::QueryReturnedNoRows => {
            Err(damaged(file, 0, &error))
        }
        _ => Err(TraceError::Layout {
            file: file.to_owned(),
            row: 0,
            what: format!("has no table {name}"),
            hint: "the set has the tables vm and vmType".to_owned(),
        }),
    }
}

/// The size of each type, on the machine with the lowest number.
fn types(
    connection: &Connection,
    file: &str,
    whole: Size,
) -> Result<BTreeMap<i64, Size>, TraceError> {
    let sql = "SELECT vmTypeId, core, memory FROM vmType ORDER BY vmTypeId, machineId";
    let mut statement = connection.prepare(sql).map_err(|e| damaged(file, 0, &e))?;
    let mut rows = statement.query([]).map_err(|e| damaged(file, 0, &e))?;
    let (mut types, mut number) = (BTreeMap::new(), 0_u64);
    while let Some(row) = rows.next().map_err(|e| damaged(file, number, &e))? {
        number += 1;
        let value = |column: usize, name: &'static str, most: f64| {
            let found = row.get_ref(column).ok().and_then(real);
            found.filter(|value| (0.0..=most).contains(value)).ok_or_else(|| TraceError::Value {
                file: file.to_owned(),
                row: number,
                column: name,
                what: format!("{} is outside 0 to {most}", shown(row.get_ref(column).ok())),
            })
        };
        let id = value(0, "vmType.vmTypeId", 1e15)? as i64;
        let cpu = millicores(value(1, "vmType.core", 1.0)? * whole.cpu.get() as f64);
        let memory = bytes(value(2, "vmType.memory", 1.0)? * whole.memory.as_f64());
        types.entry(id).or_insert(Size { cpu, memory });
        if types.len() > TYPES_MAX {
            let what = format!("has more than {TYPES_MAX} types");
            return Err(TraceError::TooLarge { file: file.to_owned(), row: number, what });
        }
    }
    Ok(types)
}

struct Packing {
    connection: Connection,
    file: String,
    types: BTreeMap<i64, Size>,
    /// Number of the row that was read last.
    last: Option<i64>,
    rows: u64,
    ready: VecDeque<Request>,
}

/// When a guest left.
enum Ends {
    NotKnown,
    On(f64),
    Unreadable,
}

/// A row of the table of requests.
struct Request {
    kind: Option<f64>,
    begins: Option<f64>,
    ends: Ends,
}

impl Loader for Packing {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        if self.ready.is_empty() {
            self.fetch()?;
        }
        let Some(request) = self.ready.pop_front() else { return Ok(false) };
        self.rows += 1;
        let fault = |column: &'static str, what: String| TraceError::Value {
            file: self.file.clone(),
            row: self.rows,
            column,
            what,
        };
        let kind = request.kind.map(|kind| kind as i64);
        let Some(size) = kind.and_then(|kind| self.types.get(&kind)).copied() else {
            return Err(fault("vm.vmTypeId", "is no type of the table vmType".to_owned()));
        };
        let micros = |days: f64| (days * DAY_MICROS).clamp(-TIME_MAX_MICROS * 10.0, f64::MAX);
        let begins = request.begins.map(micros).filter(|begins| *begins <= TIME_MAX_MICROS);
        let begins =
            begins.ok_or_else(|| fault("vm.starttime", "is no day of a trace".to_owned()))?;
        let ends = match request.ends {
            Ends::NotKnown => None,
            Ends::On(day) if micros(day) <= TIME_MAX_MICROS => Some(micros(day)),
            Ends::On(_) | Ends::Unreadable => {
                return Err(fault("vm.endtime", "is no day of a trace".to_owned()));
            }
        };
        if let Some(ends) = ends.filter(|ends| *ends < begins) {
            let (ends, begins) = (ends / DAY_MICROS, begins / DAY_MICROS);
            let what = format!("ends on day {ends}, before it begins on day {begins}");
            return Err(fault("vm.endtime", what));
        }
        let guest = sink.unnamed().ok_or_else(|| TraceError::crowded(&self.file, self.rows))?;
        if begins < 0.0 {
            sink.repaired(Repair::Early);
        }
        let from = begins.max(0.0);
        let stays = ends.map(|ends| span(ends - from));
        let stays = if stays == Some(Span::ZERO) {
            sink.repaired(Repair::Short);
            Some(Span::from_seconds(1))
        } else {
            stays
        };
        sink.life(Life { guest, begins: span(from), stays, size });
        Ok(true)
    }
}

impl Packing {
    /// Reads the next rows, in the order in which they are stored.
    fn fetch(&mut self) -> Result<(), TraceError> {
        let Some(from) = self.last.map_or(Some(i64::MIN), |last| last.checked_add(1)) else {
            return Ok(());
        };
        let sql = "SELECT rowid, vmTypeId, starttime, endtime FROM vm WHERE rowid >= ?1 \
                   ORDER BY rowid LIMIT ?2";
        let (file, read) = (&self.file, self.rows);
        let mut statement =
            self.connection.prepare_cached(sql).map_err(|e| damaged(file, read, &e))?;
        let mut rows = statement.query([from, BATCH]).map_err(|e| damaged(file, read, &e))?;
        while let Some(row) = rows.next().map_err(|e| damaged(file, read, &e))? {
            let rowid: i64 = row.get(0).map_err(|e| damaged(file, read, &e))?;
            if self.last.is_some_and(|last| last >= rowid) {
                return Err(TraceError::Damaged {
                    file: file.clone(),
                    row: read,
                    what: format!("row {rowid} of the table vm is stored out of order"),
                });
            }
            self.last = Some(rowid);
            let number = |column: usize| row.get_ref(column).ok().and_then(real);
            let ends = match row.get_ref(3) {
                Ok(ValueRef::Null) => Ends::NotKnown,
                _ => number(3).map_or(Ends::Unreadable, Ends::On),
            };
            self.ready.push_back(Request { kind: number(1), begins: number(2), ends });
        }
        Ok(())
    }
}

/// A finite number; ids are whole numbers, or such as text.
fn real(value: ValueRef<'_>) -> Option<f64> {
    let number = match value {
        ValueRef::Integer(number) => number as f64,
        ValueRef::Real(number) => number,
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.parse().ok()?,
        ValueRef::Null | ValueRef::Blob(_) => return None,
    };
    number.is_finite().then_some(number)
}

fn shown(value: Option<ValueRef<'_>>) -> String {
    match value {
        Some(ValueRef::Integer(number)) => number.to_string(),
        Some(ValueRef::Real(number)) => number.to_string(),
        Some(ValueRef::Text(text)) => format!("'{}'", super::error::excerpt(text)),
        _ => "the value".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_without_end_is_ended() {
        let connection = Connection::open_in_memory().unwrap();
        bound(&connection, 1000).unwrap();
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT 1 FROM n) \
                       SELECT count(*) FROM n";
        let error = connection.query_row(endless, [], |row| row.get::<_, i64>(0)).unwrap_err();
        let message = damaged("x.sqlite", 3, &error).to_string();
        assert!(message.contains("after row 3: leads in circles"), "{message}");
    }
}
