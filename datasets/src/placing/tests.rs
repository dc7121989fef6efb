//! Telemetry that is made of a trace is what the trace says, and the model for what it does not.

use whimbrel_core::{ids::VmId, trace::Life};

use super::*;
use crate::{DirtyModel, RECORDED_DIRTYING, SnapshotSource, SyntheticTrace, TelemetryReader};

const TRACE: SyntheticTrace = SyntheticTrace {
    seed: 7,
    guests: 200,
    lasts: Span::from_seconds(6 * 3600),
    interval: PERIOD,
    stay: false,
};

const PLACING: Placing = Placing {
    hosts: 20,
    host: Size { cpu: MilliCores::cores(64), memory: Bytes::mib(256 << 10) },
    from: Span::from_seconds(3600),
    lasts: Span::from_seconds(3600),
    seed: 1,
};

fn placed(placing: &Placing) -> Result<(tempfile::TempDir, Placed), PlaceError> {
    let root = tempfile::tempdir().unwrap();
    let placed = place(TRACE.rows().unwrap(), placing, &root.path().join("t"), |_, _| {})?;
    Ok((root, placed))
}

/// Guests of the trace that are there at `at`.
fn there(at: Span) -> Vec<Life> {
    let ends = |life: &Life| life.stays.map(|stays| life.begins + stays);
    let is = |life: &Life| life.begins <= at && ends(life).is_none_or(|ends| ends > at);
    TRACE.lives().filter(is).collect()
}

#[test]
fn every_look_shows_who_is_there_and_what_they_use() {
    let (root, placed) = placed(&PLACING).unwrap();
    assert_eq!((placed.looks, placed.last.since(placed.first)), (13, PLACING.lasts));
    assert_eq!(placed.modelled, placed.guests);
    let source = SnapshotSource::load(&root.path().join("t")).unwrap();
    for look in 0..placed.looks {
        let (moment, after) = (PLACING.moment(look), PLACING.after(look));
        let snapshot = source.at(moment).unwrap();
        let found = snapshot.placement().unwrap();
        let expected = there(after);
        assert_eq!(found.len(), expected.len(), "look {look}");
        for life in expected {
            let domain = found[&VmId::new(&format!("guest-{}", life.guest)).unwrap()];
            let used = TRACE.samples(&life).take_while(|sample| sample.at <= after).last();
            assert_eq!((domain.memory, domain.cpu_used), (life.size.memory, used.map(|u| u.cpu)));
            assert_eq!(u64::from(domain.vcpus) * 1000, life.size.cpu.get());
            assert!(domain.dirty.iter().all(|reading| reading.unique <= domain.memory));
        }
        assert_eq!(snapshot.hosts.len(), 20);
        assert!(snapshot.hosts.values().all(|host| host.cpu == PLACING.host.cpu));
    }
}

#[test]
fn no_host_has_more_than_the_default_policy_allows() {
    let (root, placed) = placed(&PLACING).unwrap();
    let source = SnapshotSource::load(&root.path().join("t")).unwrap();
    let snapshot = source.at(placed.last).unwrap();
    for host in snapshot.hosts.keys() {
        let guests = || snapshot.domains.iter().filter(|domain| domain.host == *host);
        let memory: u64 = guests().map(|domain| domain.memory.get()).sum();
        let vcpus: u32 = guests().map(|domain| domain.vcpus).sum();
        assert!(memory as f64 <= PLACING.host.memory.as_f64() * 0.9 && vcpus <= 256);
    }
    let busy = snapshot.hosts.values().filter(|host| host.cpu_used > Some(MilliCores::ZERO));
    assert!(busy.count() > 10, "guests are spread");
}

#[test]
fn dirty_rates_are_those_of_the_model() {
    let trace = SyntheticTrace { guests: 3000, stay: true, ..TRACE };
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("t");
    let placing = Placing { hosts: 200, lasts: Span::ZERO, ..PLACING };
    place(trace.rows().unwrap(), &placing, &dir, |_, _| {}).unwrap();
    let dirty = TelemetryReader::open(&dir).unwrap().dirty().unwrap();
    let second = |sample: &&DirtySample| sample.window == Span::from_seconds(1);
    let mut rates: Vec<u64> =
        dirty.iter().filter(second).map(|sample| sample.unique.get()).collect();
    rates.sort_unstable();
    let idle = rates.iter().filter(|rate| **rate == 0).count() as f64 / 3000.0;
    let model: DirtyModel = RECORDED_DIRTYING;
    assert!((idle - model.idle_share).abs() < 0.02, "{idle}");
    // A factor of 5.5 up and down between guests that use alike, and more between all.
    let (low, high) = (rates[rates.len() / 6], rates[rates.len() * 5 / 6]);
    assert!(high > 10 * low.max(1), "{low} to {high}");
}

#[test]
fn the_same_seed_writes_the_same_and_another_other_rates() {
    let dirty = |placing: &Placing| {
        let (root, _) = placed(placing).unwrap();
        TelemetryReader::open(&root.path().join("t")).unwrap().dirty().unwrap()
    };
    assert_eq!(dirty(&PLACING), dirty(&PLACING));
    assert_ne!(dirty(&PLACING), dirty(&Placing { seed: 2, ..PLACING }));
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    let said = |placing: Placing| {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("t");
        let error = place(TRACE.rows().unwrap(), &placing, &dir, |_, _| {}).unwrap_err();
        assert!(!dir.exists(), "{error}");
        error.to_string()
    };
    let tiny = Size { cpu: MilliCores::cores(1), memory: Bytes::mib(1024) };
    for (placing, word) in [
        (Placing { hosts: 0, ..PLACING }, "0 hosts are outside 1"),
        (Placing { hosts: 1, host: tiny, ..PLACING }, "finds no place"),
        (Placing { host: Size::default(), ..PLACING }, "a host of 0 cores"),
        (Placing { from: Span::from_seconds(1 << 40), ..PLACING }, "ten years"),
        (Placing { lasts: Span::from_seconds(367 * 86_400), ..PLACING }, "366 days"),
        (Placing { from: Span::from_seconds(7 * 3600), ..PLACING }, "has no guest from"),
    ] {
        let message = said(placing);
        assert!(message.contains(word) && message.contains("(hint: "), "{message}");
    }
    let small = Size { cpu: MilliCores::cores(8), memory: Bytes::mib(64 << 10) };
    let needed = said(Placing { hosts: 2, host: small, ..PLACING });
    assert!(needed.contains("(hint: at least 3 such hosts"), "{needed}");
}

#[test]
fn traces_without_use_or_guests_are_refused() {
    let layout = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layouts/azure-v1");
    let root = tempfile::tempdir().unwrap();
    let of = |from: u64| {
        let options = crate::public::TraceOptions::default();
        let rows = crate::public::open_trace("azure-v1-arrivals", &layout, &options).unwrap();
        let placing = Placing { from: Span::from_seconds(from), ..PLACING };
        place(rows, &placing, &root.path().join("t"), |_, _| {}).unwrap_err().to_string()
    };
    assert!(of(0).contains("does not say what its guests use"), "{}", of(0));
}
