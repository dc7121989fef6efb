//! Readers of public traces, where a copy lies on this machine.
//!
//! A set's own units and words become core's rows; what a set does not say stays unknown. Never
//! here: fetching, or data of a set.

pub mod lordwicked;

use std::{fs::File, io::BufReader, path::Path};

use flate2::bufread::GzDecoder;
use serde::de::DeserializeOwned;

use crate::error::DatasetError;

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
