//! Google's cluster data of 2011 as 1,600 "machines" (jobs whose tasks were summed): a day of CPU
//! and memory each, every five minutes.
//!
//! Layout: a file `vm_<job>_<n>` a guest, in a directory or a tar archive; on each line CPU and
//! memory in percent with a blank between. All guests begin together. Some values lie above 100 %,
//! since tasks may use more than they asked for: they are kept, up to 1,000 %. What 100 % is, the
//! set does not say: a core and 1 GiB, unless told otherwise.

use std::path::Path;

use whimbrel_core::{
    trace::Size,
    units::{Bytes, MilliCores, Span},
};

use super::{
    TraceOptions,
    error::TraceError,
    files::Tally,
    members::Members,
    rows::{Sink, TraceRows},
    series::Series,
    table::{Column, Layout, Place, Unit},
};

const INTERVAL: Span = Span::from_seconds(300);

const WHOLE: Size = Size { cpu: MilliCores::cores(1), memory: Bytes::mib(1024) };

static LAYOUT: Layout = Layout {
    delimiter: b' ',
    header: false,
    decimal_comma: false,
    columns: &[
        Column { name: "cpu", place: Place::At(0), unit: Unit::Percent },
        Column { name: "memory", place: Place::At(1), unit: Unit::Percent },
    ],
};

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, options: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let members = Members::open(root, |name| name.starts_with("vm_"), &tally)?;
    let total = members.total();
    let series = Series {
        members,
        layout: &LAYOUT,
        most: 10.0,
        begins: Box::new(|_| Ok(Some(Span::ZERO))),
        whole: options.whole.unwrap_or(WHOLE),
        interval: INTERVAL,
        open: None,
    };
    Ok(TraceRows::new(Box::new(series), Sink::observing(INTERVAL), tally, total))
}
