//! Foreign Parquet files, a row group at a time: the memory that is held is that of one group.
//!
//! Whole numbers and fractions of any width become floats, names become text; another type is
//! refused by its column. A group that claims more rows or bytes than a trace's writer makes, or
//! whose pages do not add up, is refused before it is decoded.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use polars::prelude::{
    Column, DataFrame, DataType, Float64Chunked, ParallelStrategy, ParquetReader, PolarsResult,
    SerReader as _, StringChunked,
};

use super::{error::TraceError, files::Tally, pages};
use crate::frame::guarded;

/// Most rows of a group; writers' defaults are about a million.
const ROWS_MAX: usize = 1 << 24;

/// Most bytes of a group, decoded.
const BYTES_MAX: usize = 1 << 30;

/// A column that is read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it holds names; numbers otherwise.
    pub(crate) names: bool,
}

/// A Parquet file by its groups.
pub(crate) struct Groups {
    path: PathBuf,
    wanted: &'static [Wanted],
    tally: Tally,
    next: usize,
    rows_before: u64,
}

/// The values of one group, by the index of [`Wanted`].
pub(crate) struct Group {
    file: String,
    columns: Vec<Values>,
    wanted: &'static [Wanted],
    /// Number of rows.
    pub(crate) rows: usize,
    rows_before: u64,
}

enum Values {
    Numbers(Float64Chunked),
    Names(StringChunked),
}

impl Groups {
    /// The file at `path`; what is read of it is added to `tally`.
    pub(crate) fn open(path: &Path, wanted: &'static [Wanted], tally: &Tally) -> Self {
        let (path, tally) = (path.to_owned(), tally.clone());
        Self { path, wanted, tally, next: 0, rows_before: 0 }
    }

    /// The next group; `None` after the last.
    pub(crate) fn advance(&mut self) -> Result<Option<Group>, TraceError> {
        let file = TraceError::shown(&self.path);
        let damaged =
            |what| TraceError::Damaged { file: file.clone(), row: self.rows_before, what };
        let open =
            || File::open(&self.path).map_err(|e| TraceError::absent(&self.path, e.to_string()));
        let mut reader = ParquetReader::new(open()?).read_parallel(ParallelStrategy::None);
        let metadata = guarded(|| reader.get_metadata().cloned()).map_err(damaged)?;
        let Some(group) = metadata.row_groups.get(self.next) else { return Ok(None) };
        let (rows, size) = (group.num_rows(), group.total_byte_size());
        let packed = group.compressed_size() as u64;
        if rows > ROWS_MAX || size > BYTES_MAX {
            return Err(TraceError::TooLarge {
                file,
                row: self.rows_before,
                what: format!(
                    "is followed by a group of {rows} rows and {size} bytes, more than {ROWS_MAX} \
                     or {BYTES_MAX}"
                ),
            });
        }
        let mut file_again = open()?;
        for column in self.wanted.iter().filter_map(|w| group.columns_under_root_iter(w.name)) {
            for chunk in column {
                let place = guarded(|| Ok(chunk.byte_range())).map_err(damaged)?;
                if i64::try_from(rows) != Ok(chunk.num_values()) {
                    let what = format!("a column has {} values, {rows} rows", chunk.num_values());
                    return Err(damaged(what));
                }
                pages::check(&mut file_again, place, rows).map_err(damaged)?;
            }
        }
        let mut one = (*metadata).clone();
        (one.num_rows, one.max_row_group_height) = (rows, rows);
        one.row_groups =
            metadata.row_groups.get(self.next..=self.next).unwrap_or_default().to_vec();
        reader.set_metadata(one.into());
        let frame = guarded(|| read(reader, self.wanted)).map_err(damaged)?;
        let mut columns = Vec::with_capacity(self.wanted.len());
        for wanted in self.wanted {
            let column = frame.column(wanted.name).map_err(|_| TraceError::Layout {
                file: file.clone(),
                row: 0,
                what: format!("has no column {}", wanted.name),
                hint: "datasets/README.md describes the layout".to_owned(),
            })?;
            columns.push(guarded(|| values(column, wanted.names)).map_err(damaged)?);
        }
        let group =
            Group { file, columns, wanted: self.wanted, rows, rows_before: self.rows_before };
        self.tally.add(packed);
        self.next += 1;
        self.rows_before = self.rows_before.saturating_add(rows as u64);
        Ok(Some(group))
    }
}

/// The wanted columns that the file has.
fn read(mut reader: ParquetReader<File>, wanted: &[Wanted]) -> PolarsResult<DataFrame> {
    let schema = reader.schema()?;
    let there = wanted.iter().filter(|column| schema.contains(column.name));
    let names = there.map(|column| column.name.to_owned()).collect();
    reader.with_columns(Some(names)).set_rechunk(true).finish()
}

fn values(column: &Column, names: bool) -> PolarsResult<Values> {
    let column = if names && column.dtype() != &DataType::String {
        // Numbers as names: the digits of whole ones.
        column.strict_cast(&DataType::Int64)?.strict_cast(&DataType::String)?
    } else {
        column.clone()
    };
    if names {
        return Ok(Values::Names(column.str()?.rechunk().into_owned()));
    }
    Ok(Values::Numbers(column.strict_cast(&DataType::Float64)?.f64()?.rechunk().into_owned()))
}

impl Group {
    /// The number of `column` in `row`, which must be from 0 to `most`.
    pub(crate) fn number(&self, column: usize, row: usize, most: f64) -> Result<f64, TraceError> {
        let found = match self.columns.get(column) {
            Some(Values::Numbers(numbers)) => numbers.get(row),
            _ => None,
        };
        found.filter(|number| (0.0..=most).contains(number)).ok_or_else(|| {
            let what = match found {
                Some(number) => format!("{number} is outside 0 to {most}"),
                None => "is null, a number is needed".to_owned(),
            };
            self.fault(column, row, what)
        })
    }

    /// The name of `column` in `row`.
    pub(crate) fn name(&self, column: usize, row: usize) -> Result<&str, TraceError> {
        let found = match self.columns.get(column) {
            Some(Values::Names(names)) => names.get(row),
            _ => None,
        };
        let fits = found.filter(|name| (1..=super::limits::NAME_MAX).contains(&name.len()));
        fits.ok_or_else(|| self.fault(column, row, "is no name".to_owned()))
    }

    /// A fault in `column` of `row`.
    pub(crate) fn fault(&self, column: usize, row: usize, what: String) -> TraceError {
        TraceError::Value {
            file: self.file.clone(),
            row: self.row(row),
            column: self.wanted.get(column).map_or("", |wanted| wanted.name),
            what,
        }
    }

    /// The fault that `row` has one guest too many.
    pub(crate) fn crowded(&self, row: usize) -> TraceError {
        TraceError::crowded(&self.file, self.row(row))
    }

    fn row(&self, row: usize) -> u64 {
        self.rows_before.saturating_add(row as u64).saturating_add(1)
    }
}
