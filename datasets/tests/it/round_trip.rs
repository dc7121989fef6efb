//! What is written comes back, whole and in order.

use std::{fs, time::Instant};

use proptest::prelude::*;
use tempfile::tempdir;
use whimbrel_core::{
    ports::TelemetrySink as _,
    telemetry::Batch,
    units::{Bytes, Span, Timestamp},
};
use whimbrel_datasets::{DatasetError, FlushLimits, TelemetryReader, TelemetryStore};

use crate::rows::*;

fn full_batch(seconds: u64) -> Batch {
    Batch {
        hosts: vec![host(seconds, "h1"), silent(seconds, "h2")],
        domains: vec![domain(seconds, "h1", "a"), domain(seconds, "h1", "b")],
        dirty: vec![dirty(seconds, "a", Span::from_millis(400), Bytes::mib(52))],
        jobs: vec![job(seconds, "h1", "a")],
    }
}

#[test]
fn every_table_comes_back_with_its_nulls() {
    let dir = tempdir().unwrap();
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    let batch = full_batch(1);
    store.record(&batch).unwrap();
    let records = [migration(1, "a"), bare_migration(2)];
    store.append_migrations(&records).unwrap();
    store.flush().unwrap();
    let reader = TelemetryReader::open(dir.path()).unwrap();
    assert_eq!(reader.hosts().unwrap(), batch.hosts);
    assert_eq!(reader.domains().unwrap(), batch.domains);
    assert_eq!(reader.dirty().unwrap(), batch.dirty);
    assert_eq!(reader.jobs().unwrap(), batch.jobs);
    assert_eq!(reader.migrations().unwrap(), records);
}

#[test]
fn a_new_store_is_empty_and_readable() {
    let dir = tempdir().unwrap();
    TelemetryStore::create(dir.path()).unwrap();
    let reader = TelemetryReader::open(dir.path()).unwrap();
    assert_eq!(reader.hosts(), Ok(vec![]));
    assert_eq!(reader.migrations(), Ok(vec![]));
}

#[test]
fn parts_of_several_days_and_stores_merge_in_order_of_time() {
    let dir = tempdir().unwrap();
    let day = 86_400;
    // Written out of order, by two stores, over a midnight.
    for seconds in [day, 10, 2 * day + 1, day + 7] {
        let mut store = TelemetryStore::create(dir.path()).unwrap();
        store.record(&full_batch(seconds)).unwrap();
        store.record(&full_batch(seconds + 43_200)).unwrap();
        store.flush().unwrap();
    }
    let reader = TelemetryReader::open(dir.path()).unwrap();
    let times: Vec<_> = reader.dirty().unwrap().iter().map(|row| row.at).collect();
    let mut expected: Vec<_> = [day, 10, 2 * day + 1, day + 7]
        .iter()
        .flat_map(|seconds| [at(*seconds), at(seconds + 43_200)])
        .collect();
    expected.sort();
    assert_eq!(times, expected);
    assert!(dir.path().join("dirty/date=2026-03-02").is_dir());

    let range = reader.between(at(day), at(day + 43_200));
    let times: Vec<_> = range.dirty().unwrap().iter().map(|row| row.at).collect();
    assert_eq!(times, [at(day), at(day + 7)], "from is included, until is not");
}

#[test]
fn limits_of_rows_and_of_age_make_parts() {
    let parts = |limits, batches: &[u64]| {
        let dir = tempdir().unwrap();
        let mut store = TelemetryStore::create(dir.path()).unwrap().with_limits(limits);
        for seconds in batches {
            store.record(&full_batch(*seconds)).unwrap();
        }
        let parts = fs::read_dir(dir.path().join("jobs/date=2026-03-01")).map(Iterator::count);
        drop(store);
        let rows = TelemetryReader::open(dir.path()).unwrap().jobs().unwrap().len();
        assert_eq!(rows, batches.len(), "dropping a store writes what is buffered");
        parts.unwrap_or(0)
    };
    let age = Span::from_seconds(300);
    assert_eq!(parts(FlushLimits { rows: 1000, age }, &[0, 10, 20]), 0);
    assert_eq!(parts(FlushLimits { rows: 12, age }, &[0, 10, 20, 30]), 2);
    assert_eq!(parts(FlushLimits { rows: 1000, age }, &[0, 299, 300, 301]), 1);
}

#[test]
fn impossible_rows_are_left_out_and_named_and_the_others_kept() {
    let dir = tempdir().unwrap();
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    let mut batch = full_batch(1);
    batch.domains[0].resident = Some(Bytes::new(u64::MAX));
    batch.jobs[0].at = Timestamp::from_micros(0);
    let message = store.record(&batch).unwrap_err().to_string();
    assert!(message.contains("left out 2 of 6 rows"), "{message}");
    assert!(message.contains("resident_bytes: 18446744073709551615 is over"), "{message}");
    let mut wrong = migration(1, "a");
    wrong.dirty_before[0].unique = Bytes::new((1 << 50) + 1);
    let error = store.append_migrations(&[wrong, migration(2, "a")]).unwrap_err();
    assert!(
        matches!(&error, DatasetError::RowsRefused { refused: 1, offered: 2, column, .. }
        if column == "dirty_before_json"),
        "{error}"
    );
    store.flush().unwrap();
    let reader = TelemetryReader::open(dir.path()).unwrap();
    assert_eq!(reader.domains().unwrap(), batch.domains[1..]);
    assert_eq!(reader.jobs().unwrap(), []);
    assert_eq!(reader.migrations().unwrap(), [migration(2, "a")]);
}

#[test]
fn ten_thousand_domains_take_well_under_seconds() {
    let dir = tempdir().unwrap();
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    let name = |n: u64| format!("vm{n}");
    let domains = (0..10_000).map(|n| domain(n / 100, "h1", &name(n))).collect();
    let begun = Instant::now();
    store.record(&Batch { domains, ..Batch::default() }).unwrap();
    store.flush().unwrap();
    let written = begun.elapsed();
    let begun = Instant::now();
    let rows = TelemetryReader::open(dir.path()).unwrap().domains().unwrap().len();
    println!("10,000 domain rows: written in {written:?}, read in {:?}", begun.elapsed());
    assert_eq!(rows, 10_000);
    // Generous: an unoptimised build on a loaded machine; a quadratic step would not fit.
    assert!(written.as_secs() < 5, "{written:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn arbitrary_rows_come_back(
        mut hosts in proptest::collection::vec(any_host(), 0..8),
        mut domains in proptest::collection::vec(any_domain(), 0..8),
        mut migrations in proptest::collection::vec(any_migration(), 0..4),
    ) {
        let dir = tempdir().unwrap();
        let mut store = TelemetryStore::create(dir.path()).unwrap();
        let batch =
            Batch { hosts: hosts.clone(), domains: domains.clone(), ..Batch::default() };
        store.record(&batch).unwrap();
        store.append_migrations(&migrations).unwrap();
        store.flush().unwrap();
        hosts.sort_by_key(|row| row.at);
        domains.sort_by_key(|row| row.at);
        migrations.sort_by_key(|row| row.at);
        let reader = TelemetryReader::open(dir.path()).unwrap();
        prop_assert_eq!(reader.hosts().unwrap(), hosts);
        prop_assert_eq!(reader.domains().unwrap(), domains);
        prop_assert_eq!(reader.migrations().unwrap(), migrations);
    }
}
