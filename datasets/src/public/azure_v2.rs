//! Azure's trace of 2019 (Azure Public Dataset V2): 2.7 million guests with their lifetimes, and
//! their CPU use every five minutes for 30 days.
//!
//! Layout: `vmtable.csv` and `vm_cpu_readings-file-<n>-of-195.csv`, both without header and as a
//! rule gzipped, anywhere below the set's directory. Sizes are buckets; `>24` cores count as 30 and
//! `>64` GiB as 70, as is usual with this set. A guest that is deleted at the last reading
//! (2,591,700 s) or later has no known end. Readings come by time, over all guests; the average
//! counts. Readings of guests that the table does not have are left out, and counted.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use whimbrel_core::{
    trace::{Life, Size, UseSample},
    units::Span,
};

use super::{
    TraceOptions,
    azure_v1::stay,
    error::{TraceError, excerpt},
    files::{self, Tally},
    lines::Lines,
    rows::{Loader, Repair, Sink, TraceRows, bytes, millicores, span},
    table::{Column, Layout, Place, Table, Unit},
};

const INTERVAL: Span = Span::from_seconds(300);

/// The last reading, in microseconds.
const LAST_MICROS: f64 = 2_591_700e6;

const CORES_BEYOND: f64 = 30.0;
const GIB_BEYOND: f64 = 70.0;

const NAME: usize = 0;
const CREATED: usize = 1;
const DELETED: usize = 2;
const CORES: usize = 3;
const MEMORY: usize = 4;

static GUESTS: Layout = Layout {
    delimiter: b',',
    header: false,
    decimal_comma: false,
    columns: &[
        Column { name: "vmid", place: Place::At(0), unit: Unit::Text },
        Column { name: "vmcreated", place: Place::At(3), unit: Unit::Seconds },
        Column { name: "vmdeleted", place: Place::At(4), unit: Unit::Seconds },
        Column { name: "vmcorecountbucket", place: Place::At(9), unit: Unit::Cores },
        Column { name: "vmmemorybucket", place: Place::At(10), unit: Unit::Gib },
    ],
};

const AT: usize = 0;
const OF: usize = 1;
const CPU: usize = 2;

static READINGS: Layout = Layout {
    delimiter: b',',
    header: false,
    decimal_comma: false,
    columns: &[
        Column { name: "timestamp", place: Place::At(0), unit: Unit::Seconds },
        Column { name: "vmid", place: Place::At(1), unit: Unit::Text },
        Column { name: "avgcpu", place: Place::At(4), unit: Unit::Percent },
    ],
};

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, _: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let table = files::one(root, "vmtable")?;
    let mut readings = files::below(root, |name| name.starts_with("vm_cpu_readings"))?;
    // By their number: file 10 is later than file 9, whatever their names' order.
    readings.sort_by_key(|path| (number(path), path.clone()));
    let total = files::total(std::slice::from_ref(&table)) + files::total(&readings);
    let lines = Lines::new(files::open(&table, &tally)?, TraceError::shown(&table));
    let azure = Azure {
        guests: Some(Table::open(lines, &GUESTS)?),
        waiting: readings.into(),
        readings: None,
        tally: tally.clone(),
    };
    Ok(TraceRows::new(Box::new(azure), Sink::with_lives(INTERVAL), tally, total))
}

/// The first number in a file's name.
fn number(path: &Path) -> u64 {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let digits = name.split(|c: char| !c.is_ascii_digit()).find(|part| !part.is_empty());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(u64::MAX)
}

struct Azure {
    guests: Option<Table>,
    waiting: VecDeque<PathBuf>,
    readings: Option<Table>,
    tally: Tally,
}

impl Loader for Azure {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        if let Some(table) = &mut self.guests {
            if table.advance()? {
                guest(table, sink)?;
            } else {
                self.guests = None;
            }
            return Ok(true);
        }
        let Some(table) = &mut self.readings else {
            let Some(path) = self.waiting.pop_front() else { return Ok(false) };
            let lines = Lines::new(files::open(&path, &self.tally)?, TraceError::shown(&path));
            self.readings = Some(Table::open(lines, &READINGS)?);
            return Ok(true);
        };
        if table.advance()? {
            reading(table, sink)?;
        } else {
            self.readings = None;
        }
        Ok(true)
    }
}

fn guest(table: &Table, sink: &mut Sink) -> Result<(), TraceError> {
    let guest = sink.guest(table.text(NAME)?).ok_or_else(|| table.crowded())?;
    let begins = table.number(CREATED)?;
    let ends = table.maybe(DELETED)?.filter(|ends| *ends < LAST_MICROS);
    let stays = stay(table, DELETED, begins, ends, sink)?;
    let size = Size {
        cpu: millicores(bucket(table, CORES, b">24", CORES_BEYOND * 1e3)?),
        memory: bytes(bucket(table, MEMORY, b">64", GIB_BEYOND * 1_073_741_824.0)?),
    };
    sink.life(Life { guest, begins: span(begins), stays, size });
    Ok(())
}

/// The number of a bucket, or what counts for the one without an upper end.
fn bucket(table: &Table, column: usize, last: &[u8], beyond: f64) -> Result<f64, TraceError> {
    let field = table.field(column);
    if field == last {
        return Ok(beyond);
    }
    if field.starts_with(b">") {
        return Err(table.fault(column, format!("'{}' is no known bucket", excerpt(field))));
    }
    table.number(column)
}

fn reading(table: &Table, sink: &mut Sink) -> Result<(), TraceError> {
    let Some(guest) = sink.known(table.text(OF)?) else {
        sink.repaired(Repair::Unknown);
        return Ok(());
    };
    let cpu = table.number(CPU)? * sink.size(guest).cpu.get() as f64;
    let at = span(table.number(AT)?);
    sink.sample(UseSample { guest, at, cpu: millicores(cpu), memory: None });
    Ok(())
}
