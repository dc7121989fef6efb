//! `PlanetLab`: CPU use of about a thousand machines a day, as `CoMon` saw it (Park and Pai, 2006)
//! and `CloudSim` ships it (Beloglazov and Buyya, 2012).
//!
//! Layout: `<day>/<name>`, the day as YYYYMMDD, in a directory or a tar archive; a whole percentage
//! from 0 to 100 on each line, every five minutes. Each file is a guest of its own, begins at 0:00
//! of its day and stays for as long as it has lines. The trace begins with its first day. What
//! 100 % is, the set does not say: a core and 1 GiB, unless told otherwise. The part is a day.

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
    table::{Column, Layout, Place, Unit, moment},
};

const INTERVAL: Span = Span::from_seconds(300);

const WHOLE: Size = Size { cpu: MilliCores::cores(1), memory: Bytes::mib(1024) };

static LAYOUT: Layout = Layout {
    delimiter: b' ',
    header: false,
    decimal_comma: false,
    columns: &[Column { name: "cpu", place: Place::At(0), unit: Unit::Percent }],
};

/// Opens the set at `root`.
pub(crate) fn open(root: &Path, options: &TraceOptions) -> Result<TraceRows, TraceError> {
    let tally = Tally::default();
    let members = Members::open(root, |name| !name.contains('.'), &tally)?;
    let total = members.total();
    let part = options.part.clone();
    let mut first = None;
    let begins = move |path: &str| {
        let (day, at) = day(path).ok_or("is no <day>/<name>, the day as YYYYMMDD")?;
        if part.as_deref().is_some_and(|part| part != day) {
            return Ok(None);
        }
        let first = *first.get_or_insert(at);
        let after = at.checked_sub(first).ok_or("lies before the set's first day")?;
        Ok(Some(Span::from_micros(after)))
    };
    let series = Series {
        members,
        layout: &LAYOUT,
        most: 1.0,
        begins: Box::new(begins),
        whole: options.whole.unwrap_or(WHOLE),
        interval: INTERVAL,
        open: None,
    };
    Ok(TraceRows::new(Box::new(series), Sink::observing(INTERVAL), tally, total))
}

/// The day of `<day>/<name>`, and its begin in microseconds after 1970.
fn day(path: &str) -> Option<(&str, u64)> {
    let day = path.rsplit('/').nth(1)?;
    let date = format!("{}-{}-{} 00:00:00", day.get(..4)?, day.get(4..6)?, day.get(6..)?);
    moment(date.as_bytes()).map(|micros| (day, micros as u64))
}
