//! Google's cluster trace of 2019 (Tirmazi et al., `EuroSys` 2020, "clusterdata-2019"): use of
//! instances every five minutes for a month.
//!
//! Layout: files `instance_usage*`, as Google hands them out or `BigQuery` exports them: an object in
//! JSON a line (`.json`), or a table with header in which nested fields have their path as name
//! (`average_usage.cpus` or `average_usage_cpus`). Whole numbers may be quoted, as `BigQuery` does.
//! A guest is an instance of a collection. Times are microseconds, the trace begins at 600 s: they
//! stay as they are. CPU and memory are parts of the largest machine, which has 64 cores and
//! 256 GiB unless told otherwise. A guest's size is the most that it was seen to use, or was
//! assigned. Rows without CPU are left out, and counted.

use std::path::Path;

use serde::Deserialize;
use whimbrel_core::{
    trace::{Size, UseSample},
    units::{Bytes, MilliCores, Span},
};

use super::{
    TraceOptions,
    error::{TraceError, excerpt},
    files::Tally,
    limits::TIME_MAX_MICROS,
    lines::Lines,
    members::{Member, Members},
    rows::{Loader, Repair, Sink, TraceRows, bytes, millicores, span},
    table::{Column, Layout, Place, Table, Unit},
};

const INTERVAL: Span = Span::from_seconds(300);

const WHOLE: Size = Size { cpu: MilliCores::cores(64), memory: Bytes::mib(256 << 10) };

/// Most of the largest machine that an instance may use: some burst beyond what is theirs.
const SHARE_MAX: f64 = 1000.0;

static TABLE: Layout = Layout {
    delimiter: b',',
    header: true,
    decimal_comma: false,
    columns: &[
        Column { name: "collection_id", place: Place::Named(&["collection_id"]), unit: Unit::Text },
        Column {
            name: "instance_index",
            place: Place::Named(&["instance_index"]),
            unit: Unit::Text,
        },
        Column { name: "start_time", place: Place::Named(&["start_time"]), unit: Unit::Micros },
        Column {
            name: "average_usage.cpus",
            place: Place::Named(&["average_usage.cpus", "average_usage_cpus"]),
            unit: Unit::Share,
        },
        Column {
            name: "average_usage.memory",
            place: Place::IfNamed(&["average_usage.memory", "average_usage_memory"]),
            unit: Unit::Share,
        },
        Column {
            name: "maximum_usage.cpus",
            place: Place::IfNamed(&["maximum_usage.cpus", "maximum_usage_cpus"]),
            unit: Unit::Share,
        },
        Column {
            name: "assigned_memory",
            place: Place::IfNamed(&["assigned_memory"]),
            unit: Unit::Share,
        },
    ],
};

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, options: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let members = Members::open(root, |name| name.starts_with("instance_usage"), &tally)?;
    let total = members.total();
    let google = Google { members, whole: options.whole.unwrap_or(WHOLE), open: None };
    Ok(TraceRows::new(Box::new(google), Sink::observing(INTERVAL), tally, total))
}

struct Google {
    members: Members,
    whole: Size,
    open: Option<Open>,
}

/// A file that is being read.
enum Open {
    Objects(Lines),
    Table(Table),
}

/// A row of either form.
struct Usage {
    name: String,
    at: f64,
    cpu: Option<f64>,
    memory: Option<f64>,
    most_cpu: Option<f64>,
    assigned: Option<f64>,
}

impl Loader for Google {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let Some(open) = &mut self.open else {
            let Some(member) = self.members.advance()? else { return Ok(false) };
            self.open = Some(Open::new(member)?);
            return Ok(true);
        };
        let Some(usage) = open.next()? else {
            self.open = None;
            return Ok(true);
        };
        let guest = sink.guest(&usage.name).ok_or_else(|| open.crowded())?;
        let whole = self.whole;
        let cpu_of = |share: f64| millicores(share * whole.cpu.get() as f64);
        let memory_of = |share: f64| bytes(share * whole.memory.as_f64());
        let Some(cpu) = usage.cpu else {
            sink.repaired(Repair::Missing);
            return Ok(true);
        };
        let most = usage.most_cpu.unwrap_or(0.0).max(cpu);
        let most_memory = usage.assigned.unwrap_or(0.0).max(usage.memory.unwrap_or(0.0));
        sink.grows(guest, Size { cpu: cpu_of(most), memory: memory_of(most_memory) });
        sink.sample(UseSample {
            guest,
            at: span(usage.at),
            cpu: cpu_of(cpu),
            memory: usage.memory.map(memory_of),
        });
        Ok(true)
    }
}

impl Open {
    fn new(member: Member) -> Result<Self, TraceError> {
        let json = member.path.split('.').any(|part| part == "json");
        let lines = Lines::new(member.bytes, member.shown);
        Ok(if json { Self::Objects(lines) } else { Self::Table(Table::open(lines, &TABLE)?) })
    }

    fn next(&mut self) -> Result<Option<Usage>, TraceError> {
        match self {
            Self::Objects(lines) => {
                let more = lines.advance()?;
                if more { object(lines).map(Some) } else { Ok(None) }
            }
            Self::Table(table) => {
                if !table.advance()? {
                    return Ok(None);
                }
                Ok(Some(Usage {
                    name: format!("{}-{}", table.text(0)?, table.text(1)?),
                    at: table.number(2)?,
                    cpu: table.maybe(3)?,
                    memory: table.maybe(4)?,
                    most_cpu: table.maybe(5)?,
                    assigned: table.maybe(6)?,
                }))
            }
        }
    }

    fn crowded(&self) -> TraceError {
        match self {
            Self::Objects(lines) => TraceError::crowded(lines.file(), lines.row()),
            Self::Table(table) => table.crowded(),
        }
    }
}

/// An object as Google writes it; fields that are not used are passed over.
#[derive(Deserialize)]
struct Written {
    start_time: Number,
    collection_id: Number,
    instance_index: Option<Number>,
    average_usage: Option<Resources>,
    maximum_usage: Option<Resources>,
    assigned_memory: Option<Number>,
}

#[derive(Deserialize)]
struct Resources {
    cpus: Option<Number>,
    memory: Option<Number>,
}

/// A number, quoted or not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Plain(f64),
    Quoted(String),
}

impl Number {
    fn get(&self) -> Option<f64> {
        match self {
            Self::Plain(number) => Some(*number),
            Self::Quoted(text) => text.parse().ok(),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Plain(number) => number.to_string(),
            Self::Quoted(text) => excerpt(text.as_bytes()),
        }
    }
}

fn object(lines: &Lines) -> Result<Usage, TraceError> {
    let written: Written =
        serde_json::from_slice(lines.line()).map_err(|error| TraceError::Layout {
            file: lines.file().to_owned(),
            row: lines.row(),
            what: format!("{error}: '{}'", excerpt(lines.line())),
            hint: "each line is an object of instance_usage".to_owned(),
        })?;
    let within = |column: &'static str, number: Option<&Number>, most: f64| {
        let Some(number) = number else { return Ok(None) };
        let found = number.get().filter(|found| (0.0..=most).contains(found));
        found.map(Some).ok_or_else(|| TraceError::Value {
            file: lines.file().to_owned(),
            row: lines.row(),
            column,
            what: format!("{} is outside 0 to {most}", number.shown()),
        })
    };
    let index = written.instance_index.as_ref().map_or_else(|| "0".to_owned(), Number::shown);
    let average = written.average_usage.as_ref();
    let maximum = written.maximum_usage.as_ref();
    Ok(Usage {
        name: format!("{}-{index}", written.collection_id.shown()),
        at: within("start_time", Some(&written.start_time), TIME_MAX_MICROS)?.unwrap_or(0.0),
        cpu: within("average_usage.cpus", average.and_then(|a| a.cpus.as_ref()), SHARE_MAX)?,
        memory: within("average_usage.memory", average.and_then(|a| a.memory.as_ref()), SHARE_MAX)?,
        most_cpu: within("maximum_usage.cpus", maximum.and_then(|m| m.cpus.as_ref()), SHARE_MAX)?,
        assigned: within("assigned_memory", written.assigned_memory.as_ref(), SHARE_MAX)?,
    })
}
