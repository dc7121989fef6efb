//! Bitbrains' machines (GWA-T-12) as one Parquet table: a row a guest and five minutes.
//!
//! Layout: a `.parquet` file with `vm`, `t_s` (seconds after 1970), `cores`, `cap_mhz` and `cpu_mhz`
//! (given and used), `memcap_mib` and `mem_mib`. Otherwise as the archive's own files: CPU in use is
//! the share of the MHz times the cores, the trace begins with its earliest sample (the times are
//! read once before), lives are what was seen.

use std::path::Path;

use whimbrel_core::{
    trace::{Size, UseSample},
    units::Span,
};

use super::{
    TraceOptions,
    columns::{Group, Groups, Wanted},
    error::TraceError,
    files::{self, Tally},
    limits::DATE_MAX_MICROS,
    rows::{Loader, Sink, TraceRows, bytes, millicores, span},
};

const INTERVAL: Span = Span::from_seconds(300);

static TIMES: [Wanted; 1] = [Wanted { name: "t_s", names: false }];

static COLUMNS: [Wanted; 7] = [
    Wanted { name: "vm", names: true },
    Wanted { name: "t_s", names: false },
    Wanted { name: "cores", names: false },
    Wanted { name: "cap_mhz", names: false },
    Wanted { name: "cpu_mhz", names: false },
    Wanted { name: "memcap_mib", names: false },
    Wanted { name: "mem_mib", names: false },
];

const MEBIBYTE: f64 = 1_048_576.0;

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, _: &TraceOptions) -> Result<TraceRows, TraceError> {
    let found = files::below(root, |name| name.ends_with(".parquet"))?;
    let [path] = found.as_slice() else {
        return Err(TraceError::absent(
            root,
            format!("holds {} .parquet files, not one", found.len()),
        ));
    };
    let (tally, total) = (Tally::default(), files::total(&found));
    let bitbrains = Bitbrains {
        times: Some(Groups::open(path, &TIMES, &Tally::default())),
        origin: f64::INFINITY,
        groups: Groups::open(path, &COLUMNS, &tally),
        group: None,
    };
    Ok(TraceRows::new(Box::new(bitbrains), Sink::observing(INTERVAL), tally, total))
}

struct Bitbrains {
    times: Option<Groups>,
    origin: f64,
    groups: Groups,
    group: Option<(Group, usize)>,
}

impl Loader for Bitbrains {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        if let Some(times) = &mut self.times {
            match times.advance()? {
                Some(group) => {
                    for row in 0..group.rows {
                        let at = group.number(0, row, DATE_MAX_MICROS / 1e6)?;
                        self.origin = self.origin.min(at);
                    }
                }
                None => self.times = None,
            }
            return Ok(true);
        }
        let Some((group, row)) = &mut self.group else {
            self.group = self.groups.advance()?.map(|group| (group, 0));
            return Ok(self.group.is_some());
        };
        if *row >= group.rows {
            self.group = None;
            return Ok(true);
        }
        sample(group, *row, self.origin, sink)?;
        *row += 1;
        Ok(true)
    }
}

fn sample(group: &Group, row: usize, origin: f64, sink: &mut Sink) -> Result<(), TraceError> {
    let guest = sink.guest(group.name(0, row)?).ok_or_else(|| group.crowded(row))?;
    let at = group.number(1, row, DATE_MAX_MICROS / 1e6)?;
    let cores = group.number(2, row, 65_536.0)? * 1000.0;
    let (given, used) = (group.number(3, row, 1e9)?, group.number(4, row, 1e9)?);
    let share = if given > 0.0 { used / given } else { 0.0 };
    let memory = bytes(group.number(5, row, 1e9)? * MEBIBYTE);
    let memory_used = bytes(group.number(6, row, 1e9)? * MEBIBYTE);
    sink.grows(guest, Size { cpu: millicores(cores), memory });
    sink.sample(UseSample {
        guest,
        at: span((at - origin) * 1e6),
        cpu: millicores(share * cores),
        memory: Some(memory_used),
    });
    Ok(())
}
