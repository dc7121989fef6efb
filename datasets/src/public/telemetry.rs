//! Our own telemetry as a trace: the table `domains` of a store.
//!
//! A guest is a domain, wherever it is; it lives while it is sighted as one that lives where it is.
//! The trace begins with the first sighting. Memory in use is that of its process. Sightings
//! without CPU (the first one, and one after a restart) are left out, and counted. Parts are read
//! one at a time, by their begin. A guest that was not sighted for the last minute has left.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
};

use whimbrel_core::{
    telemetry::DomainSample,
    trace::{Size, UseSample},
    units::{MilliCores, Span, Timestamp},
};

use super::{
    TraceOptions,
    error::TraceError,
    files::Tally,
    rows::{Loader, Repair, Sink, TraceRows},
};
use crate::{
    partition::{Part, parts},
    reader::read_part,
};

/// After so long without a sighting a guest counts as gone.
const GONE: Span = Span::from_seconds(60);

const TABLE: &str = "domains";

/// Opens the store at `root`.
pub(crate) fn open(root: &Path, _: &TraceOptions) -> Result<TraceRows, TraceError> {
    let table: PathBuf = root.join(TABLE);
    if !table.is_dir() {
        return Err(TraceError::absent(root, "holds no table domains"));
    }
    let waiting = parts(&table, |_| true)?;
    let paths: Vec<PathBuf> = waiting.iter().map(|part| part.path.clone()).collect();
    let (tally, total) = (Tally::default(), super::files::total(&paths));
    let telemetry = Telemetry { waiting: waiting.into(), begins: None, tally: tally.clone() };
    Ok(TraceRows::new(Box::new(telemetry), Sink::observing(GONE), tally, total))
}

struct Telemetry {
    waiting: VecDeque<Part>,
    begins: Option<Timestamp>,
    tally: Tally,
}

impl Loader for Telemetry {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        let Some(part) = self.waiting.pop_front() else { return Ok(false) };
        let file = TraceError::shown(&part.path);
        let mut rows = read_part::<DomainSample>(&part)?;
        rows.sort_by_key(|row| row.at);
        for (number, row) in (1_u64..).zip(&rows) {
            let begins = *self.begins.get_or_insert(row.at);
            if !row.state.lives_here() {
                continue;
            }
            let guest = sink.guest(row.vm.as_str());
            let guest = guest.ok_or_else(|| TraceError::crowded(&file, number))?;
            let cpu = MilliCores::cores(row.vcpus.into());
            sink.grows(guest, Size { cpu, memory: row.memory_max });
            let Some(cpu) = row.cpu_used else {
                sink.repaired(Repair::Missing);
                continue;
            };
            sink.sample(UseSample { guest, at: row.at.since(begins), cpu, memory: row.resident });
        }
        self.tally.add(super::files::total(std::slice::from_ref(&part.path)));
        Ok(true)
    }
}
