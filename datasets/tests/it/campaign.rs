//! Campaigns from outside, and parts that are older than some of the columns.

use std::{collections::BTreeMap, path::Path};

use whimbrel_core::{
    VmId,
    ports::TelemetrySink as _,
    settings::MigrationSettings,
    telemetry::{Batch, MigrationRecord},
    units::{Bytes, Span},
};
use whimbrel_datasets::{
    BEHAVIOURS_FILE, Behaviour, Campaign, CampaignSet, GuestCheck, TelemetryReader, TelemetryStore,
    merge_parts, write_behaviours,
};

use crate::rows::{at, job, migration};

fn behaviour(set: CampaignSet) -> Behaviour {
    let load = "rate=8192 ws=64 touch=256".to_owned();
    Behaviour { memory: Bytes::mib(128), family: "constant".to_owned(), set, load }
}

fn vm(name: &str) -> VmId {
    name.parse().unwrap()
}

/// Two guests: `a` migrates at 100 s and at 200 s, `b` at 110 s, 40 s each.
fn write(dir: &Path) -> BTreeMap<VmId, Behaviour> {
    let behaviours = BTreeMap::from([
        (vm("a"), behaviour(CampaignSet::Learn)),
        (vm("b"), behaviour(CampaignSet::Judge)),
    ]);
    write_behaviours(dir, &behaviours).unwrap();
    let mut store = TelemetryStore::create(dir).unwrap();
    let seconds = [99, 100, 120, 140, 141, 210];
    let jobs = seconds.map(|s| job(s, "h1", "a")).into_iter().chain([job(130, "h1", "b")]);
    store.record(&Batch { jobs: jobs.collect(), ..Batch::default() }).unwrap();
    store.flush().unwrap();
    let records = [migration(200, "a"), migration(100, "a"), migration(110, "b")];
    store.append_migrations(&records).unwrap();
    behaviours
}

#[test]
fn migrations_are_joined_with_the_looks_at_them() {
    let dir = tempfile::tempdir().unwrap();
    let behaviours = write(dir.path());
    let campaign = Campaign::read(dir.path()).unwrap();
    assert_eq!(campaign.behaviours, behaviours);
    let shape: Vec<_> = campaign
        .traces
        .iter()
        .map(|trace| {
            let looks = trace.samples.iter().map(|s| s.at.since(at(0)).as_millis() / 1000);
            (trace.record.vm.as_str(), looks.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(shape, [("a", vec![100, 120, 140]), ("b", vec![130]), ("a", vec![210])]);
    assert_eq!(campaign.of(CampaignSet::Judge).count(), 1);
    assert_eq!(campaign.of(CampaignSet::Learn).count(), 2);
}

/// QEMU forgets the throttle when a migration ends, and counts nothing before it begins.
#[test]
fn the_last_look_tells_the_throttle_and_empty_looks_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let mut record = migration(300, "a");
    record.stats.as_mut().unwrap().throttle_percent = 0;
    let mut early = job(301, "h1", "a");
    early.progress.total = Bytes::ZERO;
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    store.record(&Batch { jobs: vec![early, job(310, "h1", "a")], ..Batch::default() }).unwrap();
    store.flush().unwrap();
    store.append_migrations(&[record]).unwrap();
    let trace = Campaign::read(dir.path()).unwrap().traces.pop().unwrap();
    assert_eq!(trace.samples, [job(310, "h1", "a")]);
    assert_eq!(trace.record.stats.unwrap().throttle_percent, 30);
}

#[test]
fn merging_leaves_one_part_a_table_and_every_row() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    store.append_migrations(&[migration(50, "b")]).unwrap();
    let before = Campaign::read(dir.path()).unwrap();
    let parts = || {
        let table = dir.path().join("migrations/date=2026-03-01");
        std::fs::read_dir(table).unwrap().count()
    };
    assert_eq!(parts(), 2);
    merge_parts(dir.path()).unwrap();
    assert_eq!(parts(), 1);
    assert_eq!(Campaign::read(dir.path()).unwrap(), before);
    let mut left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.retain(|name| name.to_string_lossy().starts_with("merg"));
    assert_eq!(left, Vec::<std::ffi::OsString>::new());
}

#[test]
fn a_guest_that_nobody_described_is_named() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path());
    write_behaviours(dir.path(), &BTreeMap::from([(vm("a"), behaviour(CampaignSet::Learn))]))
        .unwrap();
    let message = Campaign::read(dir.path()).unwrap_err().to_string();
    assert!(message.contains(BEHAVIOURS_FILE) && message.contains("lacks b"), "{message}");
    for wrong in ["", "[a]\nmemory = 5", "["] {
        std::fs::write(dir.path().join(BEHAVIOURS_FILE), wrong).unwrap();
        assert!(Campaign::read(dir.path()).is_err(), "{wrong}");
    }
    std::fs::remove_file(dir.path().join(BEHAVIOURS_FILE)).unwrap();
    let message = Campaign::read(dir.path()).unwrap_err().to_string();
    assert!(message.contains("cannot read") && message.contains("(hint: "), "{message}");
}

#[test]
fn guest_checks_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let check = GuestCheck {
        at: at(3),
        order: "b017-05".parse().unwrap(),
        vm: vm("b017"),
        checked_pages: 30_000,
        bad_pages: 0,
        written_pages: 123_456,
        dropped_pages: 9,
    };
    let mut store = TelemetryStore::create(dir.path()).unwrap();
    store.append_guest_checks(std::slice::from_ref(&check)).unwrap();
    assert_eq!(TelemetryReader::open(dir.path()).unwrap().guest_checks().unwrap(), [check]);
}

/// The telemetry that comes with the project was written before there were modes.
#[test]
fn parts_of_version_1_count_as_plain_migrations() {
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded");
    let reader = TelemetryReader::open(&recorded).unwrap();
    let records = reader.migrations().unwrap();
    assert!(records.len() > 60, "{}", records.len());
    for MigrationRecord { settings, cpu_used, path_bandwidth, qemu, stats, .. } in &records {
        let plain = MigrationSettings {
            transport: settings.transport,
            bandwidth_limit: settings.bandwidth_limit,
            downtime_limit: settings.downtime_limit,
            ..MigrationSettings::default()
        };
        assert_eq!(*settings, plain);
        assert_eq!((*cpu_used, *path_bandwidth, *qemu), (None, None, None));
        assert!(stats.is_none_or(|s| s.throttle_percent == 0 && s.total_time > Span::ZERO));
    }
    let jobs = reader.jobs().unwrap();
    assert!(jobs.iter().all(|j| j.progress.normal_pages == 0) && jobs.len() > 500);
}
