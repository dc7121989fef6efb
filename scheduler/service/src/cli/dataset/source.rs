//! Which trace is read: a set by its name, or a file or directory by its layout.

use std::path::{Path, PathBuf};

use whimbrel_core::{
    trace::Size,
    units::{Bytes, MilliCores},
};
use whimbrel_datasets::public::{TRACE_LAYOUTS, TraceOptions, TraceRows, open_trace};

use super::{directory, set_called};
use crate::Failure;

/// The layout of a converted or drawn trace, and what shows it: a trace that was not written to its
/// end has no head.
const OWN_LAYOUT: &str = "whimbrel";
const OWN_MARKS: [&str; 2] = ["trace.toml", "lives"];

/// Which trace is read.
#[derive(Debug, clap::Args)]
pub(super) struct TraceArguments {
    /// Name of a set, or a directory that convert or synthesize wrote; with --layout a file or
    /// directory
    #[arg(value_name = "SET|PATH")]
    pub(super) source: String,
    /// Layout of the file or directory
    #[arg(long, value_parser = clap::builder::PossibleValuesParser::new(
        TRACE_LAYOUTS.map(|layout| layout.name)))]
    layout: Option<String>,
    /// Part of the set: a day (planetlab), a workload (opendc), container or machine (alibaba-2018)
    #[arg(long)]
    part: Option<String>,
    /// CPU that 100 % is, where the set has no cores, for example "2 cores"
    #[arg(long, requires = "whole_memory")]
    whole_cpu: Option<MilliCores>,
    /// Memory that 100 % is, where the set has no bytes, for example "4 GiB"
    #[arg(long, requires = "whole_cpu")]
    whole_memory: Option<Bytes>,
}

/// A trace that was opened, and its licence.
pub(super) struct OpenTrace {
    pub(super) rows: TraceRows,
    pub(super) licence: String,
}

impl TraceArguments {
    /// Opens the trace; sets lie below `data`.
    pub(super) fn open(&self, data: Option<&Path>) -> Result<OpenTrace, Failure> {
        let (path, layout, licence) = self.place(data)?;
        let whole = self.whole_cpu.zip(self.whole_memory);
        let whole = whole.map(|(cpu, memory)| Size { cpu, memory });
        let options = TraceOptions { whole, part: self.part.clone() };
        let rows = open_trace(&layout, &path, &options).map_err(Failure::invalid)?;
        Ok(OpenTrace { rows, licence })
    }

    fn place(&self, data: Option<&Path>) -> Result<(PathBuf, String, String), Failure> {
        let path = PathBuf::from(&self.source);
        let unknown = || "not known".to_owned();
        if let Some(layout) = &self.layout {
            return Ok((path, layout.clone(), unknown()));
        }
        if OWN_MARKS.iter().any(|mark| path.join(mark).exists()) {
            let head = whimbrel_datasets::public::converted(&path).map_err(Failure::invalid)?;
            return Ok((path, OWN_LAYOUT.to_owned(), head.licence));
        }
        if path.exists() && set_called(&self.source).is_err() {
            return Err(Failure::invalid(
                "is no set, and its layout is not told (hint: --layout, as `whimbrel dataset list` \
                 names them)",
            )
            .about(path.display()));
        }
        if self.source.contains('/') && !path.exists() {
            return Err(Failure::not_found(
                "no such file or directory, or none that may be looked into (hint: check the path and \
                 its owner)",
            )
            .about(path.display()));
        }
        let set = set_called(&self.source)?;
        let layout = set.layout.ok_or_else(|| {
            Failure::invalid(format!(
                "{} is a set of migrations, not of guests and their use (hint: `whimbrel evaluate` \
                 judges on such sets)",
                set.name
            ))
        })?;
        Ok((directory(data)?.join(set.path), layout, set.licence))
    }
}
