//! SAP's cloud in 2024 (Uhlig, Braun and Wählisch, IMC 2025; Zenodo 17141306): CPU use of 48,000
//! guests for 30 days.
//!
//! Layout: `vrops_virtualmachine_cpu_usage_ratio_all.csv`, unpacked from the published archive, with
//! a header that has at least `Instance`, `Value` (percent) and a time. What the time is called is not
//! documented where it could be looked up: `Timestamp` and `Time` are taken, as seconds after 1970 or
//! a date. The trace begins with its earliest sample, for which the file is read once before. Sizes
//! are published as counts of classes only, not by guest: each guest has 4 cores and 16 GiB unless
//! told otherwise.
//!
//! Left out: the other metrics, and the events (creation, migration, resize, deletion). The record says
//! that they are there, and neither it nor the paper says in which file or columns: a reader of
//! columns that were guessed would count what nobody published.

use std::path::{Path, PathBuf};

use whimbrel_core::{
    trace::{Size, UseSample},
    units::{Bytes, MilliCores, Span},
};

use super::{
    TraceOptions,
    error::TraceError,
    files::{self, Tally},
    lines::Lines,
    rows::{Loader, Repair, Sink, TraceRows, millicores, span},
    table::{Column, Layout, Place, Table, Unit},
};

const INTERVAL: Span = Span::from_seconds(300);

const WHOLE: Size = Size { cpu: MilliCores::cores(4), memory: Bytes::mib(16 << 10) };

const NAME: usize = 0;
const AT: usize = 1;
const CPU: usize = 2;

static LAYOUT: Layout = Layout {
    delimiter: b',',
    header: true,
    decimal_comma: false,
    columns: &[
        Column { name: "Instance", place: Place::Named(&["Instance"]), unit: Unit::Text },
        Column {
            name: "Timestamp",
            place: Place::Named(&["Timestamp", "Time"]),
            unit: Unit::Moment,
        },
        Column { name: "Value", place: Place::Named(&["Value"]), unit: Unit::Percent },
    ],
};

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, options: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let path = files::one(root, "vrops_virtualmachine_cpu_usage_ratio_all")?;
    let total = files::total(std::slice::from_ref(&path)).saturating_mul(2);
    let sap = Sap {
        table: table(&path, &tally)?,
        path,
        origin: None,
        whole: options.whole.unwrap_or(WHOLE),
        tally: tally.clone(),
    };
    Ok(TraceRows::new(Box::new(sap), Sink::observing(INTERVAL), tally, total))
}

fn table(path: &Path, tally: &Tally) -> Result<Table, TraceError> {
    Table::open(Lines::new(files::open(path, tally)?, TraceError::shown(path)), &LAYOUT)
}

struct Sap {
    path: PathBuf,
    table: Table,
    /// Begin of the trace in microseconds after 1970.
    origin: Option<f64>,
    whole: Size,
    tally: Tally,
}

impl Loader for Sap {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let Some(origin) = self.origin else {
            let mut first = table(&self.path, &self.tally)?;
            let mut earliest = f64::INFINITY;
            while first.advance()? {
                earliest = earliest.min(first.number(AT)?);
            }
            self.origin = Some(earliest);
            return Ok(true);
        };
        let table = &mut self.table;
        if !table.advance()? {
            return Ok(false);
        }
        let guest = sink.guest(table.text(NAME)?).ok_or_else(|| table.crowded())?;
        sink.grows(guest, self.whole);
        let at = span(table.number(AT)? - origin);
        let Some(share) = table.maybe(CPU)? else {
            sink.repaired(Repair::Missing);
            return Ok(true);
        };
        let cpu = millicores(share * self.whole.cpu.get() as f64);
        sink.sample(UseSample { guest, at, cpu, memory: None });
        Ok(true)
    }
}
