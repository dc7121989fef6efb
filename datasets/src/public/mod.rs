//! Readers of public traces, where a copy lies on this machine.
//!
//! A set's own units and words become core's rows; what a set does not say stays unknown. Migrations
//! are read whole ([`lordwicked`], [`osic`]), guests and their use row by row ([`open_trace`]): one
//! engine for tables of text (`table`), one for foreign Parquet (`columns`), and a small file for
//! each set that declares its layout. Never here: fetching, or data of a set.

mod alibaba;
mod azure_packing;
mod azure_v1;
mod azure_v2;
mod bitbrains_parquet;
mod columns;
mod converted;
mod error;
mod files;
mod formats;
mod gcd;
mod google2019;
mod gwa;
mod huawei;
mod limits;
mod lines;
pub mod lordwicked;
mod members;
mod opendc;
pub mod osic;
mod pages;
mod planetlab;
mod rows;
mod sap;
mod series;
mod table;
mod tar;
mod telemetry;

use std::{fs::File, io::BufReader, path::Path};

use flate2::bufread::GzDecoder;
use serde::de::DeserializeOwned;

use crate::error::DatasetError;

pub use converted::{ConvertedTrace, convert, converted};
pub use error::TraceError;
pub use formats::{TRACE_LAYOUTS, TraceLayout, TraceOptions, open_trace};
pub use rows::{Repair, Repairs, TraceRow, TraceRows, WholeTrace};
pub(crate) use {
    files::Tally,
    rows::{Loader, Sink},
};

/// Most rows that are read of one table: a damaged or foreign file must not fill the memory.
const ROWS_MAX: usize = 10_000_000;

/// Rows of a gzipped CSV file with a header.
fn read_table<R: DeserializeOwned>(path: &Path) -> Result<Vec<R>, DatasetError> {
    let refused =
        |message: String| DatasetError::Public { path: DatasetError::shown(path), message };
    let file = File::open(path).map_err(|e| refused(format!("cannot open: {e}")))?;
    let mut table = csv::Reader::from_reader(GzDecoder::new(BufReader::new(file)));
    let rows: Result<Vec<R>, csv::Error> = table.deserialize().take(ROWS_MAX).collect();
    rows.map_err(|e| refused(e.to_string()))
}
