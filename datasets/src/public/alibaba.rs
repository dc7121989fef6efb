//! Alibaba's cluster trace of 2018: use of 4,000 machines, or of the containers on them, for 8 days.
//!
//! Layout: `container_usage.csv` and `container_meta.csv`, or `machine_usage.csv` and
//! `machine_meta.csv`, without header, plain, gzipped or in tar archives of their own. The part is
//! `container` or `machine`; without one, containers where they are there. Times are seconds after
//! the trace's begin. Of a machine 100 % of CPU is its `cpu_num`, of a container its `cpu_request`
//! (100 is a core); memory is in percent of the guest's size, and sizes in percent of the largest
//! machine, which is 256 GiB unless told otherwise. Guests without a row in the meta table have a
//! core, or as many as told, and the largest machine's memory.
//!
//! Values outside 0 to 100 mark that there is none, and so do empty ones: those rows are left out,
//! and counted. So are rows earlier than their guest's last one: sort the file by time first
//! (`sort -t, -k3,3n` for containers, `-k2,2n` for machines) where that is much.

use std::path::Path;

use whimbrel_core::{
    trace::{Size, UseSample},
    units::{Bytes, MilliCores, Span},
};

use super::{
    TraceOptions,
    error::TraceError,
    files::Tally,
    lines::Lines,
    members::Members,
    rows::{Loader, Repair, Sink, TraceRows, bytes, millicores, span},
    table::{Column, Layout, Place, Table, Unit},
};

const INTERVAL: Span = Span::from_seconds(10);

const WHOLE: Size = Size { cpu: MilliCores::cores(1), memory: Bytes::mib(256 << 10) };

const NAME: usize = 0;
const CPU: usize = 1;
const MEMORY: usize = 2;
const AT: usize = 3;

/// A table of sizes: name, CPU, memory.
const fn sizes(cpu: usize, cpu_unit: Unit, memory: usize) -> [Column; 3] {
    [
        Column { name: "id", place: Place::At(0), unit: Unit::Text },
        Column { name: "cpu", place: Place::At(cpu), unit: cpu_unit },
        Column { name: "mem_size", place: Place::At(memory), unit: Unit::MarkedPercent },
    ]
}

/// A table of samples: name, CPU, memory, time.
const fn samples(at: usize) -> [Column; 4] {
    [
        Column { name: "id", place: Place::At(0), unit: Unit::Text },
        Column { name: "cpu_util_percent", place: Place::At(at + 1), unit: Unit::MarkedPercent },
        Column { name: "mem_util_percent", place: Place::At(at + 2), unit: Unit::MarkedPercent },
        Column { name: "time_stamp", place: Place::At(at), unit: Unit::Seconds },
    ]
}

const fn layout(columns: &'static [Column]) -> Layout {
    Layout { delimiter: b',', header: false, decimal_comma: false, columns }
}

static CONTAINER_META: Layout = layout(&sizes(5, Unit::Hundredths, 7));
static CONTAINER_USAGE: Layout = layout(&samples(2));
static MACHINE_META: Layout = layout(&sizes(4, Unit::Cores, 5));
static MACHINE_USAGE: Layout = layout(&samples(1));

/// What a part of the set consists of.
struct Kind {
    name: &'static str,
    meta: fn(&str) -> bool,
    usage: fn(&str) -> bool,
    meta_layout: &'static Layout,
    usage_layout: &'static Layout,
}

static KINDS: [Kind; 2] = [
    Kind {
        name: "container",
        meta: |name| name.starts_with("container_meta."),
        usage: |name| name.starts_with("container_usage."),
        meta_layout: &CONTAINER_META,
        usage_layout: &CONTAINER_USAGE,
    },
    Kind {
        name: "machine",
        meta: |name| name.starts_with("machine_meta."),
        usage: |name| name.starts_with("machine_usage."),
        meta_layout: &MACHINE_META,
        usage_layout: &MACHINE_USAGE,
    },
];

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, options: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let part = options.part.as_deref();
    let wanted = KINDS.iter().filter(|kind| part.is_none_or(|part| part == kind.name));
    for kind in wanted {
        let usage = Members::only(root, kind.usage, &tally)?;
        let Some(usage) = usage else { continue };
        let meta = Members::only(root, kind.meta, &tally)?;
        let total = usage.total() + meta.as_ref().map_or(0, Members::total);
        let alibaba =
            Alibaba { kind, whole: options.whole.unwrap_or(WHOLE), meta, usage, table: None };
        return Ok(TraceRows::new(Box::new(alibaba), Sink::observing(INTERVAL), tally, total));
    }
    let what =
        "holds neither container_usage.* nor machine_usage.* (or not the part that is asked)";
    Err(TraceError::absent(root, what))
}

struct Alibaba {
    kind: &'static Kind,
    whole: Size,
    meta: Option<Members>,
    usage: Members,
    /// The table that is being read, and whether it is one of sizes.
    table: Option<(Table, bool)>,
}

impl Loader for Alibaba {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let whole = self.whole;
        let Some((table, sizes)) = &mut self.table else { return self.open_next() };
        if !table.advance()? {
            self.table = None;
        } else if *sizes {
            size(table, whole, sink)?;
        } else {
            sample(table, whole, sink)?;
        }
        Ok(true)
    }
}

impl Alibaba {
    fn open_next(&mut self) -> Result<bool, TraceError> {
        if let Some(meta) = &mut self.meta {
            if let Some(member) = meta.advance()? {
                let lines = Lines::new(member.bytes, member.shown);
                self.table = Some((Table::open(lines, self.kind.meta_layout)?, true));
                return Ok(true);
            }
            self.meta = None;
        }
        let Some(member) = self.usage.advance()? else { return Ok(false) };
        let lines = Lines::new(member.bytes, member.shown);
        self.table = Some((Table::open(lines, self.kind.usage_layout)?, false));
        Ok(true)
    }
}

/// A share that is one; `None` marks that there is none.
fn share(table: &Table, column: usize, sink: &mut Sink) -> Result<Option<f64>, TraceError> {
    let found = table.maybe(column)?;
    let share = found.filter(|share| (0.0..=1.0).contains(share));
    if share.is_none() {
        sink.repaired(if found.is_some() { Repair::Invalid } else { Repair::Missing });
    }
    Ok(share)
}

fn size(table: &Table, whole: Size, sink: &mut Sink) -> Result<(), TraceError> {
    let guest = sink.guest(table.text(NAME)?).ok_or_else(|| table.crowded())?;
    let Some(cpu) = table.maybe(CPU)? else {
        sink.repaired(Repair::Missing);
        return Ok(());
    };
    let Some(memory) = share(table, MEMORY, sink)? else { return Ok(()) };
    let memory = bytes(memory * whole.memory.as_f64());
    sink.grows(guest, Size { cpu: millicores(cpu), memory });
    Ok(())
}

fn sample(table: &Table, whole: Size, sink: &mut Sink) -> Result<(), TraceError> {
    let guest = sink.guest(table.text(NAME)?).ok_or_else(|| table.crowded())?;
    if sink.size(guest) == Size::default() {
        sink.grows(guest, whole);
    }
    let size = sink.size(guest);
    let at = span(table.number(AT)?);
    let Some(cpu) = share(table, CPU, sink)? else { return Ok(()) };
    // CPU counts without memory, not the other way round.
    let memory = table.maybe(MEMORY)?.filter(|share| (0.0..=1.0).contains(share));
    sink.sample(UseSample {
        guest,
        at,
        cpu: millicores(cpu * size.cpu.get() as f64),
        memory: memory.map(|share| bytes(share * size.memory.as_f64())),
    });
    Ok(())
}
