//! `whimbrel dataset check`: is what lies here what was published, and can it be read?

use std::path::Path;

use serde::Serialize;
use whimbrel_core::units::Bytes;
use whimbrel_datasets::{
    FileCheck, FileState, PublicSet, check_file, manifest,
    public::{Repairs, TraceError, TraceOptions, TraceRow, open_trace},
};

use super::{Common, Ending, Format, bar::Bar, directory, or_dash, print_json, set_called, table};
use crate::Failure;

/// Arguments of `dataset check`.
#[derive(Debug, clap::Args)]
pub(super) struct CheckArguments {
    /// Sets to check; every one that is here otherwise
    #[arg(value_name = "SET")]
    sets: Vec<String>,
    /// Compare sizes and sums only, read no rows
    #[arg(long)]
    quick: bool,
}

/// What a set was found to be.
#[derive(Debug, Serialize)]
struct SetCheck {
    set: String,
    good: bool,
    files: Vec<FileCheck>,
    traces: Vec<TraceCheck>,
}

/// What reading one trace of a set came to.
#[derive(Debug, Default, Serialize)]
struct TraceCheck {
    part: Option<String>,
    lives: u64,
    samples: u64,
    repairs: Repairs,
    error: Option<String>,
}

pub(super) fn run(
    common: &Common,
    own: &CheckArguments,
    data: Option<&Path>,
) -> Result<Ending, Failure> {
    let data = directory(data)?;
    let here = |set: &PublicSet| data.join(&set.path).is_dir();
    let sets: Vec<PublicSet> = if own.sets.is_empty() {
        manifest().map_err(Failure::invalid)?.into_iter().filter(here).collect()
    } else {
        own.sets.iter().map(|name| set_called(name)).collect::<Result<_, _>>()?
    };
    if let Some(absent) = sets.iter().find(|set| !here(set)) {
        return Err(Failure::not_found(format!(
            "{} is not in {} (hint: `whimbrel dataset fetch {}` tells how to get it)",
            absent.name,
            data.join(&absent.path).display(),
            absent.name
        )));
    }
    let checks: Vec<SetCheck> = sets.iter().map(|set| check(set, data, own.quick)).collect();
    match common.output {
        Format::Json => print_json(&checks)?,
        Format::Table => print(&checks),
    }
    if checks.is_empty() {
        eprintln!(
            "nothing to check: no set lies below {} (hint: `whimbrel dataset list` lists them)",
            data.display()
        );
    }
    let good = !checks.is_empty() && checks.iter().all(|check| check.good);
    Ok(if good { Ending::Done } else { Ending::No })
}

fn check(set: &PublicSet, data: &Path, quick: bool) -> SetCheck {
    let directory = data.join(&set.path);
    let bar = Bar::new(&set.name);
    let total = set.size().map_or(0, Bytes::get);
    let files: Vec<FileCheck> = set
        .files
        .iter()
        .map(|file| check_file(&directory, file, |bytes| bar.bytes(bytes, total)))
        .collect();
    drop(bar);
    let mut traces = Vec::new();
    if let Some(layout) = set.layout.as_deref().filter(|_| !quick) {
        let parts: Vec<Option<String>> = match set.parts.as_slice() {
            [] => vec![None],
            parts => parts.iter().cloned().map(Some).collect(),
        };
        traces = parts.into_iter().map(|part| read(layout, set, &directory, part)).collect();
    }
    // Parts of large sets are traces too: a file may be missing where rows can be read.
    let needed = |file: &FileCheck| match file.state {
        FileState::Absent => set.layout.is_none(),
        FileState::Wrong => true,
        FileState::Unknown | FileState::Good => false,
    };
    let good = !files.iter().any(needed) && traces.iter().all(|trace| trace.error.is_none());
    SetCheck { set: set.name.clone(), good, files, traces }
}

fn read(layout: &str, set: &PublicSet, directory: &Path, part: Option<String>) -> TraceCheck {
    let mut check = TraceCheck { part: part.clone(), ..TraceCheck::default() };
    let options = TraceOptions { part, whole: None };
    let outcome = count(layout, directory, &options, &mut check, &set.name);
    check.error = outcome.err().map(|error| error.to_string());
    check
}

fn count(
    layout: &str,
    directory: &Path,
    options: &TraceOptions,
    check: &mut TraceCheck,
    name: &str,
) -> Result<(), TraceError> {
    let mut rows = open_trace(layout, directory, options)?;
    let mut bar = Bar::new(name);
    while let Some(row) = rows.next() {
        match row? {
            TraceRow::Life(_) => check.lives += 1,
            TraceRow::Use(_) => check.samples += 1,
        }
        let (read, total) = rows.progress();
        bar.row(read, total);
    }
    check.repairs = rows.repairs().clone();
    Ok(())
}

fn print(checks: &[SetCheck]) {
    let mut rows = table(&["set", "part", "files", ">lives", ">samples", "repaired", "verdict"]);
    for check in checks {
        let verdict = if check.good { "good" } else { "WRONG" };
        let none = [TraceCheck::default()];
        let traces = if check.traces.is_empty() { none.as_slice() } else { &check.traces };
        for trace in traces {
            let rows_read = |count: u64| (!check.traces.is_empty()).then_some(count);
            rows.add_row([
                check.set.clone(),
                or_dash(trace.part.as_deref(), ToOwned::to_owned),
                files(&check.files),
                or_dash(rows_read(trace.lives), |count| count.to_string()),
                or_dash(rows_read(trace.samples), |count| count.to_string()),
                or_dash(rows_read(0), |_| repaired(&trace.repairs)),
                verdict.to_owned(),
            ]);
        }
    }
    say!("{rows}");
    for check in checks {
        for file in check.files.iter().filter(|file| file.state == FileState::Wrong) {
            say!(
                "{}: {}: {}",
                check.set,
                file.name,
                file.why.as_deref().unwrap_or("is not readable")
            );
        }
        for error in check.traces.iter().filter_map(|trace| trace.error.as_deref()) {
            say!("{}: {error}", check.set);
        }
    }
}

/// How many files are in which state: `2 good, 1 absent`.
fn files(files: &[FileCheck]) -> String {
    let states = [
        (FileState::Good, "good"),
        (FileState::Unknown, "without known sum"),
        (FileState::Wrong, "wrong"),
        (FileState::Absent, "absent"),
    ];
    let counted = states.into_iter().filter_map(|(state, word)| {
        let count = files.iter().filter(|file| file.state == state).count();
        (count > 0).then(|| format!("{count} {word}"))
    });
    let texts: Vec<String> = counted.collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(", ") }
}

fn repaired(repairs: &Repairs) -> String {
    let texts: Vec<String> = repairs
        .iter()
        .map(|(repair, count)| format!("{count} {}", format!("{repair:?}").to_lowercase()))
        .collect();
    if texts.is_empty() { "nothing".to_owned() } else { texts.join(", ") }
}
