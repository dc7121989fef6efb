//! `whimbrel dataset convert`: a trace in the project's own columnar form.

use std::path::{Path, PathBuf};

use whimbrel_core::{
    trace::Size,
    units::{Bytes, MilliCores},
};
use whimbrel_datasets::public::{TRACE_LAYOUTS, TraceOptions, convert, open_trace};

use super::{Common, Ending, Format, bar::Bar, directory, print_json, set_called};
use crate::Failure;

/// Arguments of `dataset convert`.
#[derive(Debug, clap::Args)]
pub(super) struct ConvertArguments {
    /// Name of a set; with --layout a file or directory
    #[arg(value_name = "SET|PATH")]
    source: String,
    /// New directory to write to
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
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

pub(super) fn run(
    common: &Common,
    own: &ConvertArguments,
    data: Option<&Path>,
) -> Result<Ending, Failure> {
    let (path, layout, licence) = if let Some(layout) = &own.layout {
        (PathBuf::from(&own.source), layout.clone(), "not known".to_owned())
    } else {
        let set = set_called(&own.source)?;
        let layout = set.layout.ok_or_else(|| {
            Failure::invalid(format!(
                "{} is a set of migrations, not of guests and their use (hint: `whimbrel evaluate` \
                 judges on such sets)",
                set.name
            ))
        })?;
        (directory(data)?.join(set.path), layout, set.licence)
    };
    let whole = own.whole_cpu.zip(own.whole_memory).map(|(cpu, memory)| Size { cpu, memory });
    let options = TraceOptions { whole, part: own.part.clone() };
    let mut rows = open_trace(&layout, &path, &options).map_err(Failure::invalid)?;
    let mut bar = Bar::new(&own.source);
    let head = convert(&mut rows, &own.source, &licence, &own.to, |read, total| {
        bar.row(read, total);
    });
    drop(bar);
    let head = head.map_err(Failure::invalid)?;
    match common.output {
        Format::Json => print_json(&head)?,
        Format::Table => {
            say!("{}: {} lives, {} samples", own.to.display(), head.lives, head.samples);
            for (repair, count) in &head.repairs {
                say!("repaired: {count} {repair}");
            }
            say!("licence: {}", head.licence);
        }
    }
    Ok(Ending::Done)
}
