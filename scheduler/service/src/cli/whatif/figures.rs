//! Figures of runs as files for other programs: CSV or Parquet, by the name's ending.

use std::path::{Path, PathBuf};

use whimbrel_core::digest::Digest;
use whimbrel_datasets::{PlainTable, ResultRow, ResultSet};
use whimbrel_simulator::whatif::Trial;

use crate::{Failure, files, whatif::Answer};

/// Writes the figures of every run of `answer`.
pub(super) fn write_answer(path: &Path, answer: &Answer) -> Result<(), Failure> {
    let matrix = serde_json::to_string(&answer.changes).map_err(Failure::invalid)?;
    let plan = answer.plan.id();
    let row = |trial: &Trial| ResultRow {
        cell: format!("{plan}/{}", trial.seed),
        kind: "what-if".to_owned(),
        policy: answer.plan.parent.policy.short().to_owned(),
        trace: answer.plan.parent.snapshot.short().to_owned(),
        change: Digest::of(&answer.changes).short().to_owned(),
        seed: trial.seed,
        figures: trial
            .figures()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    };
    write(path, &ResultSet { matrix, rows: answer.trials.iter().map(row).collect() })
}

/// Writes the CPU of every host over time in the first run, today and then.
pub(super) fn write_timelines(path: &Path, answer: &Answer) -> Result<(), Failure> {
    let start = answer.plan.parent.snapshot_taken_at;
    let sides = [("today", &answer.today), ("then", &answer.then)];
    let (mut when, mut host) = (Vec::new(), Vec::new());
    let mut numbers = [Vec::new(), Vec::new(), Vec::new()];
    for (side, one) in sides.iter().flat_map(|(name, side)| side.hosts.iter().map(|h| (*name, h))) {
        for point in &one.used {
            when.push(side.to_owned());
            host.push(one.host.to_string());
            numbers[0].push(Some(point.at.since(start).as_seconds_f64()));
            numbers[1].push(Some(point.cpu_wanted.as_cores_f64()));
            numbers[2].push(Some(point.cpu_used.as_cores_f64()));
        }
    }
    let names = ["until_seconds", "cpu_wanted_cores", "cpu_used_cores"].map(str::to_owned);
    let table = PlainTable {
        texts: vec![("side".to_owned(), when), ("host".to_owned(), host)],
        numbers: names.into_iter().zip(numbers).collect(),
    };
    match kind(path)? {
        Kind::Csv => files::write(path, table.csv().as_bytes()),
        Kind::Parquet => table.write(path).map_err(Failure::unavailable),
    }
}

/// What a file of figures is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Csv,
    Parquet,
}

fn kind(path: &Path) -> Result<Kind, Failure> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("csv") => Ok(Kind::Csv),
        Some("parquet") => Ok(Kind::Parquet),
        _ => Err(Failure::invalid(
            "has an ending that is neither .csv nor .parquet (hint: name it figures.csv)",
        )
        .about(path.display())),
    }
}

/// Whether figures can be written under these names, before hours are spent on them.
pub(crate) fn check<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Result<(), Failure> {
    paths.into_iter().try_for_each(|path| kind(path).map(|_| ()))
}

/// Writes `set` to `path`, as its ending says.
pub(crate) fn write(path: &Path, set: &ResultSet) -> Result<(), Failure> {
    match kind(path)? {
        Kind::Csv => files::write(path, set.csv().as_bytes()),
        Kind::Parquet => set.write(path).map_err(Failure::unavailable),
    }
}
