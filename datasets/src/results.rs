//! What simulated cells came to, as one sealed Parquet file: a row a cell, a column a figure.
//!
//! Which figures there are is the writer's business: their names, each with its unit last, are the
//! names of the columns after those that say which cell it is. A cell without a figure has null
//! there. The file carries the text of the matrix that its cells come from, so that whoever reads
//! several files can see whether they belong together.
//!
//! A file replaces the one before it as a whole: a reader never sees half a file, and a writer that
//! is killed leaves the last whole one.
//!
//! Never here: what a figure means, or which cells a matrix has.

mod file;
mod plain;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::Path,
};

use file::{field, replace};
pub use plain::PlainTable;
use polars::prelude::{Column as Series, DataFrame, DataType, NamedFrom as _, Series as Values};

use crate::{
    error::DatasetError,
    frame::{Labels, guarded, read, write},
    seal::{seal, unseal},
};

/// Metadata that says by which layout a file was written.
const VERSION_LABEL: &str = "whimbrel.results_version";
/// The layout that this program writes and reads.
const VERSION: &str = "1";
/// Metadata with the text of the matrix.
const MATRIX_LABEL: &str = "whimbrel.matrix";
/// Largest file that is read; a million cells of twenty figures take about 200 MB.
const LENGTH_MAX: u64 = 1 << 30;
/// Columns that say which cell a row is of; text, but for the seed.
const KEYS: [&str; 6] = ["cell", "kind", "trace", "policy", "change", "seed"];

/// Reads a text of a row.
type Read = fn(&ResultRow) -> &str;
/// Where a text of a row stands.
type Place = fn(&mut ResultRow) -> &mut String;

/// What one cell came to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResultRow {
    /// The cell's id, unique in its matrix.
    pub cell: String,
    /// What sort of cell it is.
    pub kind: String,
    /// What was replayed.
    pub trace: String,
    /// Under which policy.
    pub policy: String,
    /// With what changed; empty where nothing was.
    pub change: String,
    /// Seed of what was drawn.
    pub seed: u64,
    /// Figures by name, each with its unit last. Finite.
    pub figures: BTreeMap<String, f64>,
}

/// Cells of one matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ResultSet {
    /// The matrix as text, the same in every file of it.
    pub matrix: String,
    /// One row a cell, in the order of their ids.
    pub rows: Vec<ResultRow>,
}

impl ResultSet {
    /// Names of all figures that any row has, in order.
    pub fn figures(&self) -> BTreeSet<&str> {
        self.rows.iter().flat_map(|row| row.figures.keys().map(String::as_str)).collect()
    }

    /// Writes `path` whole, in place of what was there, and durably.
    ///
    /// # Errors
    /// [`DatasetError`] when it cannot be written, or a figure is called like a key.
    pub fn write(&self, path: &Path) -> Result<(), DatasetError> {
        let failed = |message| DatasetError::Io { path: DatasetError::shown(path), message };
        if let Some(name) = self.figures().into_iter().find(|name| KEYS.contains(name)) {
            return Err(failed(format!("a figure is called {name}, which is a key")));
        }
        let labels = vec![
            (VERSION_LABEL.to_owned(), VERSION.to_owned()),
            (MATRIX_LABEL.to_owned(), self.matrix.clone()),
        ];
        let frame = || DataFrame::new(self.rows.len(), self.columns());
        let bytes = guarded(|| write(frame()?, labels)).and_then(|bytes| seal(&bytes));
        replace(path, &bytes.map_err(failed)?)
    }

    fn columns(&self) -> Vec<Series> {
        let texts: [(&str, Read); 5] = [
            ("cell", |row| &row.cell),
            ("kind", |row| &row.kind),
            ("trace", |row| &row.trace),
            ("policy", |row| &row.policy),
            ("change", |row| &row.change),
        ];
        let mut columns: Vec<Series> = texts
            .into_iter()
            .map(|(name, of)| {
                let values: Vec<&str> = self.rows.iter().map(of).collect();
                Values::new(name.into(), values).into()
            })
            .collect();
        let seeds: Vec<u64> = self.rows.iter().map(|row| row.seed).collect();
        columns.push(Values::new("seed".into(), seeds).into());
        columns.extend(self.figures().into_iter().map(|name| {
            let values: Vec<Option<f64>> =
                self.rows.iter().map(|row| row.figures.get(name).copied()).collect();
            Series::from(Values::new(name.into(), values))
        }));
        columns
    }

    /// Reads `path`.
    ///
    /// # Errors
    /// [`DatasetError`] naming the file when it is absent, damaged, of another program or of a
    /// later layout.
    pub fn read(path: &Path) -> Result<Self, DatasetError> {
        let shown = || DatasetError::shown(path);
        let damaged = |what| DatasetError::Damaged { path: shown(), what };
        let length = fs::metadata(path).map_err(DatasetError::io(path, "cannot read"))?.len();
        if length > LENGTH_MAX {
            return Err(damaged(format!("{length} bytes, the limit is {LENGTH_MAX}")));
        }
        let sealed = fs::read(path).map_err(DatasetError::io(path, "cannot read"))?;
        let bytes = unseal(&sealed).map_err(damaged)?;
        let (labels, frame) = guarded(|| read(bytes)).map_err(damaged)?;
        let matrix =
            matrix_of(&labels).map_err(|what| DatasetError::Foreign { path: shown(), what })?;
        let rows = rows_of(path, &frame)?;
        Ok(Self { matrix, rows })
    }

    /// The rows as CSV with a head line; a figure that a cell has not is empty.
    pub fn csv(&self) -> String {
        let figures = self.figures();
        let mut text = KEYS.join(",");
        for name in &figures {
            // Writing to a String cannot fail.
            let _ = write!(text, ",{}", field(name));
        }
        text.push('\n');
        for row in &self.rows {
            let keys = [&row.cell, &row.kind, &row.trace, &row.policy, &row.change];
            text += &keys.map(|key| field(key)).join(",");
            let _ = write!(text, ",{}", row.seed);
            for name in &figures {
                let _ = match row.figures.get(*name) {
                    Some(value) => write!(text, ",{value}"),
                    None => write!(text, ","),
                };
            }
            text.push('\n');
        }
        text
    }
}

fn matrix_of(labels: &Labels) -> Result<String, String> {
    let label = |name: &str| labels.iter().find(|(key, _)| key == name)?.1.clone();
    match label(VERSION_LABEL).as_deref() {
        Some(VERSION) => {}
        Some(other) => {
            return Err(format!("results of layout {other}, this program reads {VERSION}"));
        }
        None => return Err("its metadata does not say that it holds results".to_owned()),
    }
    label(MATRIX_LABEL).ok_or_else(|| format!("its metadata has no {MATRIX_LABEL}"))
}

fn rows_of(path: &Path, frame: &DataFrame) -> Result<Vec<ResultRow>, DatasetError> {
    let column = |name: &str| {
        frame.column(name).map_err(|_| DatasetError::MissingColumn {
            path: DatasetError::shown(path),
            column: name.to_owned(),
        })
    };
    let wrong = |name: &str, found: &DataType, expected: &str| DatasetError::WrongType {
        path: DatasetError::shown(path),
        column: name.to_owned(),
        found: found.to_string(),
        expected: expected.to_owned(),
    };
    let mut rows = vec![ResultRow::default(); frame.height()];
    let places: [(&str, Place); 5] = [
        ("cell", |row| &mut row.cell),
        ("kind", |row| &mut row.kind),
        ("trace", |row| &mut row.trace),
        ("policy", |row| &mut row.policy),
        ("change", |row| &mut row.change),
    ];
    for (name, place) in places {
        let column = column(name)?;
        let texts = column.str().map_err(|_| wrong(name, column.dtype(), "str"))?;
        for (row, text) in rows.iter_mut().zip(texts.iter()) {
            text.unwrap_or_default().clone_into(place(row));
        }
    }
    let seeds = column("seed")?;
    let values = seeds.u64().map_err(|_| wrong("seed", seeds.dtype(), "u64"))?;
    for (row, seed) in rows.iter_mut().zip(values.iter()) {
        row.seed = seed.unwrap_or_default();
    }
    for column in frame.columns() {
        let name = column.name().as_str();
        if KEYS.contains(&name) {
            continue;
        }
        let values = column.f64().map_err(|_| wrong(name, column.dtype(), "f64"))?;
        for (row, value) in rows.iter_mut().zip(values.iter()) {
            if let Some(value) = value {
                row.figures.insert(name.to_owned(), value);
            }
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(seed: u64, figures: &[(&str, f64)]) -> ResultRow {
        ResultRow {
            cell: format!("t/p/c/{seed}"),
            kind: "what-if".to_owned(),
            trace: "t".to_owned(),
            policy: "p, \"quoted\"".to_owned(),
            change: "c".to_owned(),
            seed,
            figures: figures.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        }
    }

    fn set() -> ResultSet {
        let rows = vec![row(1, &[("a_seconds", 1.5)]), row(u64::MAX, &[("b_bytes", -0.0)])];
        ResultSet { matrix: "{\"x\":1}".to_owned(), rows }
    }

    #[test]
    fn rows_come_back_as_they_were_and_no_other_file_stays() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("made/shard.parquet");
        for _ in 0..2 {
            set().write(&path).unwrap();
            assert_eq!(ResultSet::read(&path).unwrap(), set());
        }
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        let empty = ResultSet { rows: Vec::new(), ..set() };
        empty.write(&path).unwrap();
        assert_eq!(ResultSet::read(&path).unwrap(), empty);
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_refused_by_name() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.parquet");
        set().write(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for round in 0..200 {
            let at = (round * 7919) % whole.len();
            let mut changed = whole.clone();
            changed[at] ^= 1 << (round % 8);
            for bytes in [changed, whole[..at].to_vec()] {
                fs::write(&path, bytes).unwrap();
                let error = ResultSet::read(&path).unwrap_err().to_string();
                assert!(error.contains("x.parquet: ") && error.contains("(hint: "), "{error}");
            }
        }
    }

    #[test]
    fn foreign_files_and_keys_as_figures_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.parquet");
        let bytes = guarded(|| write(DataFrame::new(2, set().columns())?, Vec::new())).unwrap();
        fs::write(&path, seal(&bytes).unwrap()).unwrap();
        let error = ResultSet::read(&path).unwrap_err().to_string();
        assert!(error.contains("does not say that it holds results"), "{error}");
        let error = ResultSet::read(&root.path().join("none")).unwrap_err().to_string();
        assert!(error.contains("none: cannot read"), "{error}");
        let set = ResultSet { rows: vec![row(1, &[("seed", 1.0)])], ..set() };
        assert!(set.write(&path).unwrap_err().to_string().contains("is a key"));
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let csv = set().csv();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0], "cell,kind,trace,policy,change,seed,a_seconds,b_bytes");
        assert_eq!(lines[1], "t/p/c/1,what-if,t,\"p, \"\"quoted\"\"\",c,1,1.5,");
        assert!(lines[2].ends_with(",18446744073709551615,,-0"));
    }

    proptest! {
        #[test]
        fn any_figures_come_back(values in proptest::collection::vec(-1e300..1e300f64, 0..20)) {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join("x.parquet");
            let rows = values.iter().enumerate().map(|(n, value)| {
                row(n as u64, if n % 3 == 0 { &[] } else { &[("f", 0.0)] })
                    .with("g", *value)
            });
            let set = ResultSet { matrix: String::new(), rows: rows.collect() };
            set.write(&path).unwrap();
            prop_assert_eq!(ResultSet::read(&path).unwrap(), set);
        }
    }

    impl ResultRow {
        fn with(mut self, name: &str, value: f64) -> Self {
            self.figures.insert(name.to_owned(), value);
            self
        }
    }
}
