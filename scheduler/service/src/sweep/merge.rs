//! The files of all shards together.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use whimbrel_datasets::{ResultRow, ResultSet};

use super::{Axes, Cell};
use crate::Failure;

/// All cells that are done.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    /// The cells, in the order of their ids.
    pub set: ResultSet,
    /// The matrix that they are of.
    pub axes: Axes,
    /// Files that were read.
    pub files: usize,
    /// Cells that no file has.
    pub missing: Vec<Cell>,
}

/// Reads every shard in `places`, directories or files, and puts them together.
///
/// # Errors
/// [`Failure`] naming a file that is damaged or of another matrix than the first, or a cell that
/// two files disagree about.
pub fn merge(places: &[PathBuf]) -> Result<Merged, Failure> {
    let files = shards(places)?;
    let mut matrix: Option<(String, &Path)> = None;
    let mut rows: BTreeMap<String, (ResultRow, &Path)> = BTreeMap::new();
    for file in &files {
        let set = ResultSet::read(file).map_err(Failure::invalid)?;
        let (text, first) = matrix.get_or_insert_with(|| (set.matrix.clone(), file));
        if *text != set.matrix {
            return Err(Failure::conflict(format!(
                "holds cells of another matrix than {} (hint: merge the shards of one matrix; \
                 each has a directory of its own)",
                first.display()
            ))
            .about(file.display()));
        }
        for row in set.rows {
            let (known, by) = rows.entry(row.cell.clone()).or_insert_with(|| (row.clone(), file));
            if *known != row {
                return Err(Failure::conflict(format!(
                    "cell {} has other figures than in {} (hint: one of both was made by another \
                     version; remove it and run the shard again)",
                    row.cell,
                    by.display()
                ))
                .about(file.display()));
            }
        }
    }
    let Some((text, first)) = matrix else {
        let shown: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        return Err(Failure::not_found(format!(
            "{}: holds no shard (hint: name the directories of whimbrel sweep run --out)",
            shown.join(", ")
        )));
    };
    let axes = Axes::from_text(&text).map_err(|failure| failure.about(first.display()))?;
    axes.check().map_err(|failure| failure.about(first.display()))?;
    let missing = axes.cells().into_iter().filter(|cell| !rows.contains_key(&cell.id)).collect();
    let rows = rows.into_values().map(|(row, _)| row).collect();
    Ok(Merged { set: ResultSet { matrix: text, rows }, axes, files: files.len(), missing })
}

/// The files that are named, and those of shards in the directories that are named.
fn shards(places: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for place in places {
        if !place.is_dir() {
            files.push(place.clone());
            continue;
        }
        let fault = |error: std::io::Error| {
            Failure::unavailable(format!("cannot be listed: {error} (hint: check its owner)"))
                .about(place.display())
        };
        for entry in fs::read_dir(place).map_err(fault)? {
            let path = entry.map_err(fault)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if name.starts_with("shard-") && name.ends_with(".parquet") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.dedup();
    Ok(files)
}
