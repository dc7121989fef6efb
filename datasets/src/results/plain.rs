//! A plain table of texts and numbers, as CSV or as a sealed Parquet file: for people and programs
//! that look at it elsewhere. Nothing here reads it back.
//!
//! Never here: what a column means; its name says so, with the unit last.

use std::{fmt::Write as _, path::Path};

use polars::prelude::{Column as Series, DataFrame, NamedFrom as _, Series as Values};

use super::file::{field, replace};
use crate::{
    error::DatasetError,
    frame::{guarded, write},
    seal::seal,
};

/// Columns of equal length; texts come first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlainTable {
    /// Columns of text, each with its name.
    pub texts: Vec<(String, Vec<String>)>,
    /// Columns of numbers, each with its name; `None` where a row has no value.
    pub numbers: Vec<(String, Vec<Option<f64>>)>,
}

impl PlainTable {
    /// Rows in it.
    pub fn rows(&self) -> usize {
        let texts = self.texts.iter().map(|(_, values)| values.len());
        texts.chain(self.numbers.iter().map(|(_, values)| values.len())).max().unwrap_or(0)
    }

    /// As CSV with a head line; a value that a row has not is empty.
    pub fn csv(&self) -> String {
        let texts = self.texts.iter().map(|(name, _)| field(name));
        let names: Vec<String> =
            texts.chain(self.numbers.iter().map(|(name, _)| field(name))).collect();
        let mut text = names.join(",") + "\n";
        for row in 0..self.rows() {
            let mut between = "";
            for (_, values) in &self.texts {
                let value = values.get(row).map_or("", String::as_str);
                // Writing to a String cannot fail.
                let _ = write!(text, "{between}{}", field(value));
                between = ",";
            }
            for (_, values) in &self.numbers {
                let _ = match values.get(row).copied().flatten() {
                    Some(value) => write!(text, "{between}{value}"),
                    None => write!(text, "{between}"),
                };
                between = ",";
            }
            text.push('\n');
        }
        text
    }

    /// Writes `path` as Parquet, whole, in place of what was there.
    ///
    /// # Errors
    /// [`DatasetError`] when it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), DatasetError> {
        let texts = self.texts.iter().map(|(name, values)| {
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            Series::from(Values::new(name.into(), values))
        });
        let numbers = self
            .numbers
            .iter()
            .map(|(name, values)| Series::from(Values::new(name.into(), values.clone())));
        let columns: Vec<Series> = texts.chain(numbers).collect();
        let frame = || DataFrame::new(self.rows(), columns);
        let bytes = guarded(|| write(frame()?, Vec::new())).and_then(|bytes| seal(&bytes));
        let failed = |message| DatasetError::Io { path: DatasetError::shown(path), message };
        replace(path, &bytes.map_err(failed)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{frame::read, seal::unseal};

    fn table() -> PlainTable {
        PlainTable {
            texts: vec![("host".to_owned(), vec!["h1".to_owned(), "h,2".to_owned()])],
            numbers: vec![("at_seconds".to_owned(), vec![Some(1.5), None])],
        }
    }

    #[test]
    fn csv_and_parquet_have_the_same() {
        assert_eq!(table().csv(), "host,at_seconds\nh1,1.5\n\"h,2\",\n");
        assert_eq!(PlainTable::default().csv(), "\n");
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("t.parquet");
        table().write(&path).unwrap();
        let bytes = unseal(&std::fs::read(&path).unwrap()).unwrap();
        let (_, frame) = guarded(|| read(bytes)).unwrap();
        assert_eq!((frame.height(), frame.width()), (2, 2));
        assert_eq!(frame.column("host").unwrap().str().unwrap().get(1), Some("h,2"));
        assert_eq!(frame.column("at_seconds").unwrap().f64().unwrap().get(1), None);
    }

    #[test]
    fn columns_of_unequal_length_are_refused() {
        let mut table = table();
        table.numbers[0].1.pop();
        let root = tempfile::tempdir().unwrap();
        assert!(table.write(&root.path().join("t.parquet")).is_err());
    }
}
