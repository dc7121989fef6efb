//! Arrivals, sizes and lifetimes of Azure's virtual machines in 2017 (Cortez et al., SOSP 2017), as
//! derived by `huaweicloud/trace_generation_rnn`.
//!
//! Layout: one table without header: number of the guest, begin and end in seconds (no end where
//! the trace ended first), cores, GiB, the tenant's batch, and 1 where the end is not known. A guest
//! that ended within the five minutes in which it began stays for a second, and is counted. No use
//! is known.

use std::path::Path;

use whimbrel_core::{
    trace::{Life, Size},
    units::Span,
};

use super::{
    TraceOptions,
    error::TraceError,
    files::{self, Tally},
    lines::Lines,
    rows::{Loader, Repair, Sink, TraceRows, bytes, millicores, span},
    table::{Column, Layout, Place, Table, Unit},
};

const NAME: usize = 0;
const BEGINS: usize = 1;
const ENDS: usize = 2;
const CORES: usize = 3;
const MEMORY: usize = 4;
const CENSORED: usize = 5;

static LAYOUT: Layout = Layout {
    delimiter: b',',
    header: false,
    decimal_comma: false,
    columns: &[
        Column { name: "vmid", place: Place::At(0), unit: Unit::Text },
        Column { name: "t_start_s", place: Place::At(1), unit: Unit::Seconds },
        Column { name: "t_end_s", place: Place::At(2), unit: Unit::Seconds },
        Column { name: "cores", place: Place::At(3), unit: Unit::Cores },
        Column { name: "mem_gb", place: Place::At(4), unit: Unit::Gib },
        Column { name: "censored", place: Place::At(6), unit: Unit::Plain },
    ],
};

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, _: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let path = files::one(root, "azure-v1-dev-test")?;
    let total = files::total(std::slice::from_ref(&path));
    let lines = Lines::new(files::open(&path, &tally)?, TraceError::shown(&path));
    let table = Table::open(lines, &LAYOUT)?;
    Ok(TraceRows::new(Box::new(Arrivals { table }), Sink::with_lives(Span::ZERO), tally, total))
}

struct Arrivals {
    table: Table,
}

impl Loader for Arrivals {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let table = &mut self.table;
        if !table.advance()? {
            return Ok(false);
        }
        let guest = sink.guest(table.text(NAME)?).ok_or_else(|| table.crowded())?;
        let begins = table.number(BEGINS)?;
        let known = table.number(CENSORED)? < 0.5;
        let ends = table.maybe(ENDS)?.filter(|_| known);
        let stays = stay(table, ENDS, begins, ends, sink)?;
        let size =
            Size { cpu: millicores(table.number(CORES)?), memory: bytes(table.number(MEMORY)?) };
        sink.life(Life { guest, begins: span(begins), stays, size });
        Ok(true)
    }
}

/// How long a guest stays that begins and ends at these microseconds. The trace knows whole
/// intervals, and nobody stays for no time: a second then.
pub(crate) fn stay(
    table: &Table,
    column: usize,
    begins: f64,
    ends: Option<f64>,
    sink: &mut Sink,
) -> Result<Option<Span>, TraceError> {
    let Some(ends) = ends else { return Ok(None) };
    if ends < begins {
        let (ends, begins) = (ends / 1e6, begins / 1e6);
        return Err(
            table.fault(column, format!("ends at {ends} s, before it begins at {begins} s"))
        );
    }
    if ends > begins {
        return Ok(Some(span(ends - begins)));
    }
    sink.repaired(Repair::Short);
    Ok(Some(Span::from_seconds(1)))
}
