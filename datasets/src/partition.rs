//! Where rows lie on disk: `<table>/date=YYYY-MM-DD/part-<first at_micros>[-<n>].parquet`.
//!
//! A part appears under its name whole or not at all, and is never changed or replaced.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering},
};

use whimbrel_core::units::Timestamp;

use crate::error::DatasetError;

const DAY_MICROS: u64 = 86_400_000_000;
const DAY_PREFIX: &str = "date=";
const PART_PREFIX: &str = "part-";
const PART_SUFFIX: &str = ".parquet";

/// Most parts that may begin at the same microsecond; more means that something runs wild.
const SAME_START_MAX: u32 = 10_000;

/// A day in UTC, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Day(u64);

impl Day {
    /// The day in which `at` lies.
    pub(crate) const fn of(at: Timestamp) -> Self {
        Self(at.as_micros() / DAY_MICROS)
    }

    /// Its directory's name.
    pub(crate) fn directory(self) -> String {
        let text = Timestamp::from_micros(self.0.saturating_mul(DAY_MICROS)).to_string();
        let date = text.split('T').next().unwrap_or_default();
        format!("{DAY_PREFIX}{date}")
    }

    /// From a directory's name.
    fn parse(directory: &str) -> Option<Self> {
        let date = directory.strip_prefix(DAY_PREFIX)?;
        let day = Self::of(format!("{date}T00:00:00Z").parse().ok()?);
        (day.directory() == directory).then_some(day)
    }
}

/// A part on disk.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Part {
    /// The day of its rows.
    pub(crate) day: Day,
    /// When its first row was taken, in microseconds.
    first_micros: u64,
    /// Counts parts with the same first moment.
    number: u32,
    /// The file.
    pub(crate) path: PathBuf,
}

impl Part {
    fn parse(day: Day, path: PathBuf) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(PART_SUFFIX)?;
        let numbers = stem.strip_prefix(PART_PREFIX)?;
        let (first, number) = numbers.split_once('-').unwrap_or((numbers, "0"));
        let (first_micros, number) = (first.parse().ok()?, number.parse().ok()?);
        Some(Self { day, first_micros, number, path })
    }

    fn name(first: Timestamp, number: u32) -> String {
        let first = first.as_micros();
        match number {
            0 => format!("{PART_PREFIX}{first}{PART_SUFFIX}"),
            n => format!("{PART_PREFIX}{first}-{n}{PART_SUFFIX}"),
        }
    }
}

/// The parts of the table in `directory` on days that `wanted` accepts, oldest first.
///
/// Files that are no parts are passed over, temporary files among them; a part or a day under a
/// malformed name is an error, because passing over it would hide rows.
pub(crate) fn parts(
    directory: &Path,
    wanted: impl Fn(Day) -> bool,
) -> Result<Vec<Part>, DatasetError> {
    let foreign = |path: &Path, what: &str| DatasetError::Foreign {
        path: DatasetError::shown(path),
        what: what.to_owned(),
    };
    let mut parts = Vec::new();
    for (name, path) in entries(directory)? {
        if !name.starts_with(DAY_PREFIX) {
            continue;
        }
        let day = Day::parse(&name).ok_or_else(|| foreign(&path, "is not date=YYYY-MM-DD"))?;
        if !wanted(day) {
            continue;
        }
        for (name, path) in entries(&path)? {
            if name.ends_with(PART_SUFFIX) {
                let part = Part::parse(day, path.clone());
                parts.push(part.ok_or_else(|| foreign(&path, "is not part-<micros>.parquet"))?);
            }
        }
    }
    parts.sort();
    Ok(parts)
}

fn entries(directory: &Path) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let listed = fs::read_dir(directory).and_then(|entries| {
        entries
            .map(|entry| entry.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())))
            .collect()
    });
    listed.map_err(DatasetError::io(directory, "cannot list"))
}

/// Writes `bytes` as a new part of the table in `table`, durably: it survives a power cut once
/// this returns.
pub(crate) fn publish(table: &Path, first: Timestamp, bytes: &[u8]) -> Result<(), DatasetError> {
    /// Keeps temporary names of one process apart.
    static COUNTER: AtomicU64 = AtomicU64::new(0);

    let directory = table.join(Day::of(first).directory());
    fs::create_dir_all(&directory).map_err(DatasetError::io(&directory, "cannot create"))?;
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let temporary = directory.join(format!(".part-{}-{count}.tmp", process::id()));
    let written = write_synced(&temporary, bytes)
        .map_err(DatasetError::io(&temporary, "cannot write"))
        .and_then(|()| link_free(&directory, &temporary, first));
    // Whether it went well or not, the temporary name has done its work. If it cannot be
    // removed, readers pass over it.
    let _ = fs::remove_file(&temporary);
    written?;
    sync_directory(&directory).map_err(DatasetError::io(&directory, "cannot sync"))?;
    sync_directory(table).map_err(DatasetError::io(table, "cannot sync"))
}

/// Makes the new directory `dir`, and those that it lies in, and has `fill` fill it; it is removed again
/// where that fails.
pub(crate) fn filled<T, E: From<DatasetError>>(
    dir: &Path,
    fill: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(DatasetError::io(parent, "cannot create"))?;
    }
    fs::create_dir(dir).map_err(DatasetError::io(dir, "cannot create"))?;
    fill().inspect_err(|_| {
        // Half of it is of no use to anybody; that it stays is not worth a second error.
        let _ = fs::remove_dir_all(dir);
    })
}

pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Gives the finished file its first free name. A link, not a rename: a rename would replace a
/// part that another process has published in the meantime.
fn link_free(directory: &Path, temporary: &Path, first: Timestamp) -> Result<(), DatasetError> {
    for number in 0..SAME_START_MAX {
        let path = directory.join(Part::name(first, number));
        match fs::hard_link(temporary, &path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => return linked.map_err(DatasetError::io(&path, "cannot publish")),
        }
    }
    Err(DatasetError::Io {
        path: DatasetError::shown(directory),
        message: format!("{SAME_START_MAX} parts begin at {first} already"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_names_and_names_have_days() {
        let at: Timestamp = "2026-03-01T23:59:59.999999Z".parse().unwrap();
        assert_eq!(Day::of(at).directory(), "date=2026-03-01");
        assert_eq!(Day::parse("date=2026-03-01"), Some(Day::of(at)));
        for bad in ["date=", "date=2026-13-01", "date=2026-3-1", "2026-03-01", "date=2026-02-30"] {
            assert_eq!(Day::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn parts_with_the_same_start_stand_side_by_side_in_order() {
        let root = tempfile::tempdir().unwrap();
        let first: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        for text in ["a", "b", "c"] {
            publish(root.path(), first, text.as_bytes()).unwrap();
        }
        let parts = parts(root.path(), |_| true).unwrap();
        let texts: Vec<_> = parts.iter().map(|p| fs::read_to_string(&p.path).unwrap()).collect();
        assert_eq!(texts, ["a", "b", "c"]);
        let left = entries(&root.path().join("date=2026-03-01")).unwrap();
        assert_eq!(left.len(), 3, "no temporary file stays: {left:?}");
    }

    #[test]
    fn malformed_names_are_errors_and_temporary_files_are_not() {
        let root = tempfile::tempdir().unwrap();
        let day = root.path().join("date=2026-03-01");
        fs::create_dir(&day).unwrap();
        fs::write(day.join(".part-1-0.tmp"), "half").unwrap();
        assert_eq!(parts(root.path(), |_| true), Ok(vec![]));
        fs::write(day.join("part-x.parquet"), "").unwrap();
        let error = parts(root.path(), |_| true).unwrap_err().to_string();
        assert!(error.contains("part-x.parquet") && error.contains("hint:"), "{error}");
        assert_eq!(parts(root.path(), |_| false), Ok(vec![]));
    }
}
