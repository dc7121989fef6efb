//! A writer that dies leaves whole parts only, and a disk that refuses loses nothing at once.

use std::{
    env, fs,
    path::Path,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use tempfile::tempdir;
use whimbrel_core::{
    ports::TelemetrySink as _,
    telemetry::Batch,
    units::{Bytes, Span},
};
use whimbrel_datasets::{FlushLimits, TelemetryReader, TelemetryStore};

use crate::rows::*;

const CHILD_DIRECTORY: &str = "WHIMBREL_TEST_CHILD_DIRECTORY";

/// Rows a part in the child.
const ROWS: usize = 200;

/// Not a test of its own: the writer that [`a_killed_writer_leaves_whole_parts_only`] kills.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Some(directory) = env::var_os(CHILD_DIRECTORY) else { return };
    let limits = FlushLimits { rows: ROWS, age: Span::from_seconds(100_000) };
    let mut store = TelemetryStore::create(Path::new(&directory)).unwrap().with_limits(limits);
    // Bounded, so that it ends by itself should its parent die first.
    for n in 0..2_000 {
        let dirty = (0..ROWS as u64).map(|_| dirty(n, "a", Span::from_millis(400), Bytes::mib(n)));
        store.record(&Batch { dirty: dirty.collect(), ..Batch::default() }).unwrap();
    }
}

#[test]
fn a_killed_writer_leaves_whole_parts_only() {
    let mut rows_in_all = 0;
    for round in 0..6 {
        let dir = tempdir().unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_writes_until_it_is_killed"])
            .env(CHILD_DIRECTORY, dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let day = dir.path().join("dirty/date=2026-03-01");
        let begun = Instant::now();
        while !day.is_dir() && begun.elapsed() < Duration::from_secs(30) {
            thread::yield_now();
        }
        // Different moments of a part's life in every round.
        thread::sleep(Duration::from_micros(11_300 * round * round + 500));
        child.kill().unwrap();
        child.wait().unwrap();
        let rows = TelemetryReader::open(dir.path()).unwrap().dirty().unwrap().len();
        assert_eq!(rows % ROWS, 0, "{rows} rows are no whole number of parts");
        rows_in_all += rows;
        let mut store = TelemetryStore::create(dir.path()).unwrap();
        store.record(&Batch { hosts: vec![host(1, "h1")], ..Batch::default() }).unwrap();
        store.flush().unwrap();
        assert_eq!(TelemetryReader::open(dir.path()).unwrap().hosts().unwrap().len(), 1);
    }
    assert!(rows_in_all > 0, "every writer was killed before its first part");
}

#[test]
fn a_half_written_temporary_file_is_not_seen() {
    let dir = tempdir().unwrap();
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    store.append_migrations(&[migration(1, "a")]).unwrap();
    let day = dir.path().join("migrations/date=2026-03-01");
    let part = fs::read_dir(&day).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(part).unwrap();
    fs::write(day.join(".part-4711-0.tmp"), &bytes[..bytes.len() / 2]).unwrap();
    let reader = TelemetryReader::open(dir.path()).unwrap();
    assert_eq!(reader.migrations(), Ok(vec![migration(1, "a")]));
}

#[test]
fn rows_wait_while_the_disk_refuses_them() {
    let dir = tempdir().unwrap();
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    store.record(&Batch { hosts: vec![host(1, "h1")], ..Batch::default() }).unwrap();
    // A file where the day's directory should be.
    let day = dir.path().join("hosts/date=2026-03-01");
    fs::write(&day, "").unwrap();
    let message = store.flush().unwrap_err().to_string();
    assert!(message.contains("date=2026-03-01: cannot create"), "{message}");
    fs::remove_file(&day).unwrap();
    store.flush().unwrap();
    let reader = TelemetryReader::open(dir.path()).unwrap();
    assert_eq!(reader.hosts(), Ok(vec![host(1, "h1")]));
}
