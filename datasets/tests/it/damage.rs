//! Damaged, foreign and absent files are named, with a hint, and never panic.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::{TempDir, tempdir};
use whimbrel_core::{
    ports::TelemetrySink as _,
    telemetry::Batch,
    units::{Bytes, Span},
};
use whimbrel_datasets::{DatasetError, TelemetryReader, TelemetryStore};

use crate::rows::*;

/// A store with one part of dirty readings, and that part.
fn one_part() -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    let dirty =
        (0..50).map(|n| dirty(n, "a", Span::from_millis(400), Bytes::new(n * 977))).collect();
    store.record(&Batch { dirty, ..Batch::default() }).unwrap();
    store.flush().unwrap();
    let day = dir.path().join("dirty/date=2026-03-01");
    let part = fs::read_dir(day).unwrap().next().unwrap().unwrap().path();
    (dir, part)
}

fn refusal(dir: &Path) -> DatasetError {
    let error = TelemetryReader::open(dir).unwrap().dirty().unwrap_err();
    let message = error.to_string();
    assert!(message.contains("(hint: ") && message.ends_with(')'), "{message}");
    error
}

#[test]
fn every_truncation_is_named() {
    let (dir, part) = one_part();
    let whole = fs::read(&part).unwrap();
    for twentieth in 0..20 {
        let length = whole.len() * twentieth / 20;
        fs::write(&part, &whole[..length]).unwrap();
        let error = refusal(dir.path());
        assert!(
            matches!(&error, DatasetError::Damaged { path, .. }
            if *path == part.display().to_string()),
            "cut to {length}: {error}"
        );
    }
    fs::write(&part, &whole[..whole.len() - 1]).unwrap();
    assert!(refusal(dir.path()).to_string().contains("cut off"));
}

#[test]
fn every_changed_byte_is_named() {
    let (dir, part) = one_part();
    let whole = fs::read(&part).unwrap();
    // A step prime to the length's usual factors visits head, pages, seal and footer alike.
    for round in 0..400 {
        let mut changed = whole.clone();
        let position = (round * 7919) % changed.len();
        changed[position] ^= 1 << (round % 8);
        fs::write(&part, &changed).unwrap();
        let error = refusal(dir.path());
        assert!(matches!(error, DatasetError::Damaged { .. }), "byte {position}: {error}");
    }
}

#[test]
fn other_parts_stay_readable_when_the_damaged_one_is_moved_away() {
    let (dir, part) = one_part();
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    let later = dirty(86_400, "b", Span::from_seconds(1), Bytes::mib(1));
    store.record(&Batch { dirty: vec![later.clone()], ..Batch::default() }).unwrap();
    store.flush().unwrap();
    fs::write(&part, "PAR1 no more PAR1").unwrap();
    refusal(dir.path());
    let next_day = TelemetryReader::open(dir.path()).unwrap().between(at(80_000), at(90_000));
    assert_eq!(next_day.dirty(), Ok(vec![later.clone()]), "days outside the range are not opened");
    fs::remove_file(&part).unwrap();
    assert_eq!(TelemetryReader::open(dir.path()).unwrap().dirty(), Ok(vec![later]));
}

#[test]
fn a_part_in_the_wrong_place_is_named() {
    let (dir, part) = one_part();
    let other_table = dir.path().join("hosts/date=2026-03-01");
    fs::create_dir_all(&other_table).unwrap();
    fs::copy(&part, other_table.join("part-1.parquet")).unwrap();
    let error = TelemetryReader::open(dir.path()).unwrap().hosts().unwrap_err().to_string();
    assert!(error.contains("is a part of table dirty, expected hosts"), "{error}");

    let other_day = dir.path().join("dirty/date=2026-03-02");
    fs::create_dir_all(&other_day).unwrap();
    fs::rename(&part, other_day.join("part-1.parquet")).unwrap();
    let error = refusal(dir.path()).to_string();
    assert!(error.contains("at_micros, row 0: does not lie in date=2026-03-02"), "{error}");
}

#[test]
fn absent_and_unrelated_directories_are_told_apart() {
    let dir = tempdir().unwrap();
    let absent = TelemetryReader::open(&dir.path().join("nowhere")).unwrap_err();
    assert!(matches!(absent, DatasetError::DirectoryAbsent { .. }));
    assert!(absent.to_string().contains("nowhere: no such directory (hint: "));
    let unrelated = TelemetryReader::open(dir.path()).unwrap_err();
    assert!(matches!(unrelated, DatasetError::NotADataset { .. }));
}
