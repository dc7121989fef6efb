//! Snapshots of the past, from what was recorded.

use std::fs;

use tempfile::{TempDir, tempdir};
use whimbrel_core::{
    cluster::{DomainState, HostState, Snapshot},
    ids::{HostId, VmId},
    ports::TelemetrySink as _,
    settings::MigrationSettings,
    telemetry::{Batch, DomainSample, MigrationRecord},
    units::{Bytes, BytesPerSecond, MilliCores, Span, Timestamp},
};
use whimbrel_datasets::{DatasetError, INVENTORY_FILE, SnapshotSource, TelemetryStore};

use crate::rows::*;

const INVENTORY: &str = "[hosts.h1]\ncpu = \"8 cores\"\nmemory = \"16 GiB\"\n\
                         [hosts.h2]\ncpu = \"4 cores\"\n";

fn store(batch: &Batch, migrations: &[MigrationRecord], inventory: &str) -> TempDir {
    let dir = tempdir().unwrap();
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    store.record(batch).unwrap();
    store.append_migrations(migrations).unwrap();
    store.flush().unwrap();
    fs::write(dir.path().join(INVENTORY_FILE), inventory).unwrap();
    dir
}

fn vm(name: &str) -> VmId {
    name.parse().unwrap()
}

fn host_id(name: &str) -> HostId {
    name.parse().unwrap()
}

/// `vm@host` of every sighting.
fn places(snapshot: &Snapshot) -> Vec<String> {
    snapshot.domains.iter().map(|domain| format!("{}@{}", domain.vm, domain.host)).collect()
}

/// h1 answers at 0, 10 and 20, h2 at 1 and 11 and is silent from 21; vm a moves from h1 to h2.
fn moving() -> TempDir {
    let batch = Batch {
        hosts: vec![
            host(0, "h1"),
            host(10, "h1"),
            host(20, "h1"),
            host(1, "h2"),
            host(11, "h2"),
            silent(21, "h2"),
        ],
        domains: vec![
            domain(0, "h1", "a"),
            domain(0, "h1", "b"),
            domain(10, "h1", "a"),
            domain(10, "h1", "b"),
            domain(20, "h1", "b"),
            DomainSample { state: DomainState::Incoming, ..domain(1, "h2", "a") },
            domain(11, "h2", "a"),
        ],
        dirty: vec![],
        jobs: vec![job(2, "h1", "a"), job(5, "h1", "a")],
    };
    // Arrives at 10.5, between the last sample at the source and the first at the target.
    let arrived = MigrationRecord { wall: Span::from_millis(9_500), ..migration(1, "a") };
    store(&batch, &[arrived], INVENTORY)
}

#[test]
fn a_snapshot_shows_what_was_known_then() {
    let dir = moving();
    let source = SnapshotSource::load(dir.path()).unwrap();
    assert_eq!(source.time_range(), Some((at(0), at(21))));
    assert_eq!(source.vms().into_iter().collect::<Vec<_>>(), [&vm("a"), &vm("b")]);

    let during = source.at(at(6)).unwrap();
    assert_eq!(places(&during), ["a@h1", "a@h2", "b@h1"]);
    let a = during.placement().unwrap()[&vm("a")];
    assert_eq!(a.observed_at, at(0));
    assert_eq!(a.job, Some(job(5, "h1", "a").progress));
    assert_eq!(a.cpu_used, Some(MilliCores::new(700)));

    // At 10 the host says that a is still there; the job is over as far as the samples tell.
    let after = source.at(at(10)).unwrap();
    assert_eq!(after.placement().unwrap()[&vm("a")].job, None);

    // At 11 both samples say "running": the migration record tells which one is old.
    let arrived = source.at(at(11)).unwrap();
    assert_eq!(places(&arrived), ["a@h2", "b@h1"]);
    assert_eq!(arrived.placement().unwrap()[&vm("a")].host, host_id("h2"));
}

#[test]
fn a_silent_host_keeps_its_last_domains_with_their_age() {
    let dir = moving();
    let late = SnapshotSource::load(dir.path()).unwrap().at(at(500)).unwrap();
    let h2 = &late.hosts[&host_id("h2")];
    assert_eq!((h2.state, h2.observed_at), (HostState::Unreachable, at(11)));
    assert_eq!(places(&late), ["a@h2", "b@h1"]);
    assert_eq!(late.domains[0].observed_at, at(11));
    assert_eq!(late.hosts[&host_id("h1")].state, HostState::Up);
}

#[test]
fn capacity_comes_from_the_inventory_and_else_from_the_samples() {
    let dir = moving();
    let source = SnapshotSource::load(dir.path()).unwrap();
    let hosts = source.at(at(0)).unwrap().hosts;
    let (h1, h2) = (&hosts[&host_id("h1")], &hosts[&host_id("h2")]);
    assert_eq!((h1.cpu, h1.memory), (MilliCores::cores(8), Bytes::mib(16 << 10)));
    assert_eq!((h2.cpu, h2.memory), (MilliCores::cores(4), Bytes::mib(65_536)));
    assert_eq!((h2.state, h2.observed_at), (HostState::Unreachable, Timestamp::default()));
    assert_eq!(h1.cpu_used, Some(MilliCores::new(1400)), "both domains together");
    assert_eq!(h2.cpu_used, None, "it has not answered yet");

    fs::write(dir.path().join(INVENTORY_FILE), "[hosts.h1]\ncpu = \"8 cores\"\n").unwrap();
    let error = SnapshotSource::load(dir.path()).unwrap().at(at(5)).unwrap_err();
    assert_eq!(error, DatasetError::NoCapacity { host: host_id("h2"), what: "cpu" });
    assert!(error.to_string().contains("[hosts.h2]"), "{error}");
}

#[test]
fn readings_are_the_newest_of_each_window_and_not_too_old() {
    let short = Span::from_millis(400);
    let long = Span::from_seconds(25);
    let mut readings: Vec<_> = (0..8).map(|n| dirty(700 + n, "a", short, Bytes::mib(n))).collect();
    readings.push(dirty(50, "a", long, Bytes::mib(900)));
    readings.push(dirty(300, "a", long, Bytes::mib(901)));
    readings.push(dirty(705, "b", long, Bytes::mib(902)));
    let batch = Batch {
        hosts: vec![host(705, "h1")],
        domains: vec![domain(705, "h1", "a")],
        dirty: readings,
        jobs: vec![],
    };
    let dir = store(&batch, &[], INVENTORY.split("[hosts.h2]").next().unwrap());
    let source = SnapshotSource::load(dir.path()).unwrap();
    let snapshot = source.at(at(706)).unwrap();
    let seen: Vec<_> =
        snapshot.domains[0].dirty.iter().map(|r| (r.window, r.unique.get() >> 20)).collect();
    assert_eq!(seen, [(short, 2), (short, 3), (short, 4), (short, 5), (short, 6), (long, 901)]);
    assert_eq!(source.dirty_series(&vm("a")).len(), 10);
    assert!(source.dirty_series(&vm("nobody")).is_empty());
}

#[test]
fn the_load_of_a_domain_follows_it_from_host_to_host() {
    let source = SnapshotSource::load(moving().path()).unwrap();
    let expected = [0, 10, 11].map(|seconds| (at(seconds), MilliCores::new(700 + seconds)));
    assert_eq!(source.load_series(&vm("a")), expected, "incoming samples carry no load");
}

#[test]
fn bandwidth_is_what_recent_migrations_achieved() {
    let with = |begun: u64, rate: u64| {
        let mut record = migration(begun, "x");
        record.settings = MigrationSettings { bandwidth_limit: None, ..record.settings };
        record.stats.as_mut().unwrap().bandwidth = BytesPerSecond::mib(rate);
        record
    };
    let records = [with(0, 500), with(5000, 80), with(5100, 120), with(5200, 100)];
    let batch = Batch { hosts: vec![host(0, "h1")], ..Batch::default() };
    let dir = store(&batch, &records, INVENTORY);
    fs::write(dir.path().join(INVENTORY_FILE), "[hosts.h1]\ncpu = \"8 cores\"\n").unwrap();
    let source = SnapshotSource::load(dir.path()).unwrap();
    let bandwidth =
        |seconds| source.at(at(seconds)).unwrap().hosts[&host_id("h1")].migration_bandwidth;
    assert_eq!(bandwidth(10), None, "none has ended yet");
    assert_eq!(bandwidth(40), Some(BytesPerSecond::mib(500)));
    assert_eq!(bandwidth(5300), Some(BytesPerSecond::mib(100)));
    assert_eq!(bandwidth(50_000), None);
}

#[test]
fn moments_before_the_first_sample_are_refused() {
    let source = SnapshotSource::load(moving().path()).unwrap();
    let error = source.at(Timestamp::default()).unwrap_err();
    assert!(matches!(error, DatasetError::BeforeFirstSample { .. }));
    assert!(error.to_string().contains("the data reaches from 2026-03-01T12:00:00"), "{error}");
    let empty = store(&Batch::default(), &[], "");
    let empty = SnapshotSource::load(empty.path()).unwrap();
    assert_eq!(empty.time_range(), None);
    assert!(empty.at(at(0)).unwrap_err().to_string().contains("no samples"));
}
