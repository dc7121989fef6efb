//! Huawei-East-1: a month of requests for virtual machines in one zone (Sheng et al., `VMAgent`,
//! IJCAI 2022).
//!
//! Layout: one table with the header `vmid,cpu,memory,time,type`: cores, GiB, seconds, and 0 for a
//! creation or 1 for a deletion, by time. A life is given when the guest goes, and at the end for
//! those that stay; a number may be used again after that. Deletions of guests that were never
//! created and second creations are left out, and counted. No use is known.

use std::{collections::BTreeMap, path::Path};

use whimbrel_core::{
    trace::{Life, Size},
    units::Span,
};

use super::{
    TraceOptions,
    azure_v1::stay,
    error::TraceError,
    files::{self, Tally},
    lines::Lines,
    rows::{Loader, Repair, Sink, TraceRows, bytes, millicores, span},
    table::{Column, Layout, Place, Table, Unit},
};

const NAME: usize = 0;
const CORES: usize = 1;
const MEMORY: usize = 2;
const AT: usize = 3;
const TYPE: usize = 4;

static LAYOUT: Layout = Layout {
    delimiter: b',',
    header: true,
    decimal_comma: false,
    columns: &[
        Column { name: "vmid", place: Place::Named(&["vmid"]), unit: Unit::Text },
        Column { name: "cpu", place: Place::Named(&["cpu"]), unit: Unit::Cores },
        Column { name: "memory", place: Place::Named(&["memory"]), unit: Unit::Gib },
        Column { name: "time", place: Place::Named(&["time"]), unit: Unit::Seconds },
        Column { name: "type", place: Place::Named(&["type"]), unit: Unit::Plain },
    ],
};

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, _: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let path = files::one(root, "Huawei-East-1")?;
    let total = files::total(std::slice::from_ref(&path));
    let lines = Lines::new(files::open(&path, &tally)?, TraceError::shown(&path));
    let events = Events { table: Table::open(lines, &LAYOUT)?, present: BTreeMap::new() };
    Ok(TraceRows::new(Box::new(events), Sink::with_lives(Span::ZERO), tally, total))
}

struct Events {
    table: Table,
    /// Begin in microseconds and size of guests that did not go yet.
    present: BTreeMap<u32, (f64, Size)>,
}

impl Loader for Events {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let table = &mut self.table;
        if !table.advance()? {
            let stayed = self.present.pop_first();
            let Some((guest, (begins, size))) = stayed else { return Ok(false) };
            sink.life(Life { guest, begins: span(begins), stays: None, size });
            return Ok(true);
        }
        let (name, at, kind) = (table.text(NAME)?, table.number(AT)?, table.number(TYPE)?);
        let size =
            Size { cpu: millicores(table.number(CORES)?), memory: bytes(table.number(MEMORY)?) };
        if kind < 0.5 {
            if sink.known(name).is_some() {
                sink.repaired(Repair::Duplicate);
                return Ok(true);
            }
            let guest = sink.guest(name).ok_or_else(|| table.crowded())?;
            self.present.insert(guest, (at, size));
        } else if (kind - 1.0).abs() < 0.5 {
            let Some(guest) = sink.known(name) else {
                sink.repaired(Repair::Unknown);
                return Ok(true);
            };
            if let Some((begins, size)) = self.present.remove(&guest) {
                let stays = stay(table, AT, begins, Some(at), sink)?;
                sink.life(Life { guest, begins: span(begins), stays, size });
            }
            sink.forget(name);
        } else {
            return Err(table.fault(TYPE, format!("{kind} is neither 0 nor 1")));
        }
        Ok(true)
    }
}
