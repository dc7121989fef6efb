//! A CSV table with named columns whose faults are named by file, line and column.
//!
//! Never drops a row that it cannot read.

use csv::{Reader, ReaderBuilder, StringRecord};
use thiserror::Error;

/// Why a table cannot be imported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ImportError {
    /// A column that is needed is not in the header.
    #[error("{file}: line 1: column {column} is missing (hint: the first line names the columns)")]
    MissingColumn {
        /// The file.
        file: String,
        /// The column.
        column: &'static str,
    },
    /// A value that cannot be meant seriously.
    #[error("{file}: line {line}: column {column}: {what} (hint: correct or remove this row)")]
    BadValue {
        /// The file.
        file: String,
        /// Line in the file, from 1.
        line: u64,
        /// The column.
        column: &'static str,
        /// The value and its limit.
        what: String,
    },
    /// No CSV.
    #[error(
        "{file}: line {line}: {what} (hint: write comma-separated values with as many fields in \
         each line as in the first)"
    )]
    Malformed {
        /// The file.
        file: String,
        /// Line in the file, from 1; 0 where none is to blame.
        line: u64,
        /// The parser's words.
        what: String,
    },
}

/// A table of which named columns are read.
pub(super) struct Table<'a> {
    file: &'a str,
    columns: Vec<(&'static str, usize)>,
    reader: Reader<&'a [u8]>,
}

/// One line of it.
pub(super) struct Row<'a> {
    file: &'a str,
    columns: &'a [(&'static str, usize)],
    record: StringRecord,
}

impl<'a> Table<'a> {
    /// Opens `text`, the content of `file`, which must have `needed` columns; others are ignored.
    pub(super) fn open(
        file: &'a str,
        text: &'a str,
        needed: &[&'static str],
    ) -> Result<Self, ImportError> {
        let mut reader = ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(|error| malformed(file, &error))?.clone();
        let mut columns = Vec::with_capacity(needed.len());
        for column in needed.iter().copied() {
            let position =
                header.iter().position(|name| name.trim_start_matches('\u{feff}') == column);
            let position = position
                .ok_or_else(|| ImportError::MissingColumn { file: file.to_owned(), column })?;
            columns.push((column, position));
        }
        Ok(Self { file, columns, reader })
    }

    /// The next line; `None` after the last.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, ImportError> {
        let mut record = StringRecord::new();
        let more = self.reader.read_record(&mut record);
        if !more.map_err(|error| malformed(self.file, &error))? {
            return Ok(None);
        }
        Ok(Some(Row { file: self.file, columns: &self.columns, record }))
    }
}

impl Row<'_> {
    /// The number in `column`, which must be within `range`.
    pub(super) fn number(
        &self,
        column: &'static str,
        range: std::ops::RangeInclusive<f64>,
    ) -> Result<f64, ImportError> {
        let position = self.columns.iter().find(|(name, _)| *name == column);
        let text = position.and_then(|(_, at)| self.record.get(*at)).unwrap_or_default();
        let found: f64 =
            text.parse().map_err(|_| self.fault(column, format!("'{text}' is not a number")))?;
        if range.contains(&found) {
            return Ok(found);
        }
        let (low, high) = range.into_inner();
        Err(self.fault(column, format!("{found} is outside {low} to {high}")))
    }

    /// A fault in `column` of this line.
    pub(super) fn fault(&self, column: &'static str, what: String) -> ImportError {
        let line = self.record.position().map_or(0, csv::Position::line);
        ImportError::BadValue { file: self.file.to_owned(), line, column, what }
    }
}

fn malformed(file: &str, error: &csv::Error) -> ImportError {
    let line = error.position().map_or(0, csv::Position::line);
    ImportError::Malformed { file: file.to_owned(), line, what: error.to_string() }
}
