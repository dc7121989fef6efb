//! The Grid Workloads Archive's traces of virtual machines: Bitbrains (GWA-T-12, Shen, van Beek
//! and Iosup, `CCGrid` 2015) and Materna (GWA-T-13).
//!
//! Layout: a file `<n>.csv` a guest and month, `;` between fields (Bitbrains: and a tab behind it),
//! the first row names the columns. Bitbrains' `Timestamp [ms]` counts seconds after 1970, whatever
//! its name says; Materna writes `DD.MM.YYYY hh:mm:ss`, quotes its fields and sets a comma before
//! fractions. CPU is MHz of the MHz that the guest was given; what of it is used of its cores is
//! the share times the cores. Memory is in KiB. The trace begins with its earliest sample, for
//! which the set is read once more before. File numbers of two months need not be the same guest:
//! each file is a guest.

use std::path::{Path, PathBuf};

use whimbrel_core::{
    trace::{Size, UseSample},
    units::Span,
};

use super::{
    TraceOptions,
    error::TraceError,
    files::{Tally, ends_in},
    lines::Lines,
    members::Members,
    rows::{Loader, Sink, TraceRows, bytes, millicores, span},
    table::{Column, Layout, Place, Table, Unit},
};

const INTERVAL: Span = Span::from_seconds(300);

const AT: usize = 0;
const CORES: usize = 1;
const GIVEN: usize = 2;
const USED: usize = 3;
const MEMORY: usize = 4;
const MEMORY_USED: usize = 5;

const COLUMNS: &[Column] = &[
    Column {
        name: "Timestamp",
        place: Place::Named(&["Timestamp [ms]", "Timestamp"]),
        unit: Unit::Moment,
    },
    Column { name: "CPU cores", place: Place::Named(&["CPU cores"]), unit: Unit::Cores },
    Column {
        name: "CPU capacity provisioned [MHZ]",
        place: Place::Named(&["CPU capacity provisioned [MHZ]"]),
        unit: Unit::Plain,
    },
    Column {
        name: "CPU usage [MHZ]",
        place: Place::Named(&["CPU usage [MHZ]"]),
        unit: Unit::Plain,
    },
    Column {
        name: "Memory capacity provisioned [KB]",
        place: Place::Named(&["Memory capacity provisioned [KB]"]),
        unit: Unit::Kib,
    },
    Column {
        name: "Memory usage [KB]",
        place: Place::Named(&["Memory usage [KB]"]),
        unit: Unit::Kib,
    },
];

static BITBRAINS: Layout =
    Layout { delimiter: b';', header: true, decimal_comma: false, columns: COLUMNS };

static MATERNA: Layout =
    Layout { delimiter: b';', header: true, decimal_comma: true, columns: COLUMNS };

/// Opens Bitbrains' files at `root`.
pub(crate) fn bitbrains(root: &Path, _: &TraceOptions) -> Result<TraceRows, TraceError> {
    open(root, &BITBRAINS)
}

/// Opens Materna's files at `root`.
pub(crate) fn materna(root: &Path, _: &TraceOptions) -> Result<TraceRows, TraceError> {
    open(root, &MATERNA)
}

fn open(root: &Path, layout: &'static Layout) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let members = members(root, &tally)?;
    let total = members.total().saturating_mul(2);
    let gwa = Gwa {
        root: root.to_owned(),
        layout,
        members,
        origin: None,
        open: None,
        tally: tally.clone(),
    };
    Ok(TraceRows::new(Box::new(gwa), Sink::observing(INTERVAL), tally, total))
}

fn members(root: &Path, tally: &Tally) -> Result<Members, TraceError> {
    Members::open(root, |name| ends_in(name, "csv"), tally)
}

struct Gwa {
    root: PathBuf,
    layout: &'static Layout,
    members: Members,
    /// Begin of the trace in microseconds after 1970.
    origin: Option<f64>,
    open: Option<(Table, u32)>,
    tally: Tally,
}

impl Gwa {
    /// The earliest moment of the whole set.
    fn earliest(&self) -> Result<f64, TraceError> {
        let mut members = members(&self.root, &self.tally)?;
        let mut earliest = f64::INFINITY;
        while let Some(member) = members.advance()? {
            let mut table = Table::open(Lines::new(member.bytes, member.shown), self.layout)?;
            while table.advance()? {
                earliest = earliest.min(table.number(AT)?);
            }
        }
        Ok(earliest)
    }
}

impl Loader for Gwa {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let Some(origin) = self.origin else {
            self.origin = Some(self.earliest()?);
            return Ok(true);
        };
        let Some((table, guest)) = &mut self.open else {
            let Some(member) = self.members.advance()? else { return Ok(false) };
            let new = sink.known(&member.path).is_none();
            let crowded = || TraceError::crowded(&member.shown, 0);
            let guest = sink.guest(&member.path).filter(|_| new).ok_or_else(crowded)?;
            let table = Table::open(Lines::new(member.bytes, member.shown), self.layout)?;
            self.open = Some((table, guest));
            return Ok(true);
        };
        if !table.advance()? {
            self.open = None;
            return Ok(true);
        }
        let at = span(table.number(AT)? - origin);
        let (cores, given) = (table.number(CORES)?, table.number(GIVEN)?);
        let share = if given > 0.0 { table.number(USED)? / given } else { 0.0 };
        let cpu = millicores(share * cores);
        let size = Size { cpu: millicores(cores), memory: bytes(table.number(MEMORY)?) };
        let memory = Some(bytes(table.number(MEMORY_USED)?));
        sink.grows(*guest, size);
        sink.sample(UseSample { guest: *guest, at, cpu, memory });
        Ok(true)
    }
}
