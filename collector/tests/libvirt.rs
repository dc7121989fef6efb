//! The libvirt source and connection: against libvirt's in-process test driver always, and against
//! real hosts where `WHIMBREL_TEST_URIS="h1=qemu+tcp://h1/system,..."` names them.
//!
//! `WHIMBREL_TEST_GUEST` names a guest on one of them that may be migrated to and fro.

#![cfg(feature = "libvirt")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::{
    collections::BTreeSet,
    env, fs, thread,
    time::{Duration, Instant, SystemTime},
};

use whimbrel_collector::{
    BackoffSettings, Collector, CollectorSettings, ConnectionSettings, HostTarget,
    jobs::JobLook,
    libvirt::{Connection, ConnectionError, MigrationCall, MigrationFlags},
    windows::WindowSettings,
};
use whimbrel_core::{
    DomainState, HostId, HostState, Snapshot, VmId,
    settings::Compression,
    telemetry::Batch,
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span, Timestamp},
};

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

fn connection(uri: &str) -> Connection {
    Connection::new(uri, ConnectionSettings::default(), BackoffSettings::default())
}

fn target(id: &str, uri: &str) -> HostTarget {
    HostTarget {
        id: HostId::new(id).unwrap(),
        uri: uri.to_owned(),
        memory: None,
        cpu: None,
        maintenance: false,
    }
}

fn await_snapshot(
    collector: &Collector,
    longest: Duration,
    mut wanted: impl FnMut(&Snapshot) -> bool,
) -> Snapshot {
    let deadline = Instant::now() + longest;
    loop {
        let snapshot = collector.snapshot(now());
        if wanted(&snapshot) {
            return snapshot;
        }
        let health = collector.health(now());
        assert!(Instant::now() < deadline, "never as wanted: {snapshot:#?} {health:#?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_test_driver_is_collected() {
    let collector =
        Collector::new(vec![target("t", "test:///default")], CollectorSettings::default()).unwrap();
    let snapshot = await_snapshot(&collector, Duration::from_secs(10), |s| {
        s.hosts.values().all(|host| host.state == HostState::Up)
    });
    let host = snapshot.hosts.values().next().unwrap();
    assert!(host.cpu >= MilliCores::cores(1) && host.memory > Bytes::ZERO, "{host:?}");
    // That driver reports states only, and a domain without a size is not shown.
    let health = collector.health(now()).remove(0);
    assert_eq!((health.domains, health.skipped.len()), (0, 1));
    assert_eq!(health.skipped[0].name, "test");
    assert!(health.skipped[0].reason.contains("size"), "{health:?}");
}

#[test]
fn a_domain_is_found_by_name_and_uuid() {
    let connection = connection("test:///default");
    let vm = VmId::new("test").unwrap();
    let uuid = "6695eb01-f6a4-8304-79aa-97f2502e193f";
    let domain = connection.domain(&vm, &uuid.to_uppercase()).unwrap();
    assert_eq!(domain.state(), Ok(DomainState::Running));
    assert_eq!(domain.vm(), &vm);
    let other = connection.domain(&vm, "00000000-f6a4-8304-79aa-97f2502e193f").unwrap_err();
    assert!(matches!(other, ConnectionError::OtherDomain { .. }), "{other}");
    let absent = connection.domain(&VmId::new("absent").unwrap(), uuid).unwrap_err();
    assert!(matches!(absent, ConnectionError::NoDomain { .. }), "{absent}");
    assert!(!absent.connection_lost());
}

#[test]
fn a_host_that_swallows_packets_costs_the_limit_and_no_more() {
    // A listener that never accepts nor answers: the handshake of the protocol hangs.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings =
        ConnectionSettings { open_timeout: Span::from_millis(300), ..Default::default() };
    let uri = format!("qemu+tcp://127.0.0.1:{port}/system");
    let connection = Connection::new(&uri, settings, BackoffSettings::default());
    let vm = VmId::new("any").unwrap();
    let began = Instant::now();
    let error = connection.domain(&vm, "").unwrap_err();
    assert!(matches!(error, ConnectionError::TimedOut { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    let error = connection.domain(&vm, "").unwrap_err();
    assert!(matches!(error, ConnectionError::BackingOff { .. }), "{error}");
    let nul = Connection::new("qemu+tcp://\0", settings, BackoffSettings::default());
    assert!(matches!(nul.domain(&vm, ""), Err(ConnectionError::BadUri { .. })));
}

/// Hosts by name and URI, or nothing to test against.
fn real_hosts() -> Option<Vec<(String, String)>> {
    let text = env::var("WHIMBREL_TEST_URIS").ok()?;
    let hosts: Option<Vec<_>> = text
        .split(',')
        .map(|pair| pair.split_once('=').map(|(id, uri)| (id.to_owned(), uri.to_owned())))
        .collect();
    Some(hosts.expect("WHIMBREL_TEST_URIS is host=uri,host=uri"))
}

fn real_collector(hosts: &[(String, String)], windows: WindowSettings) -> Collector {
    let targets = hosts.iter().map(|(id, uri)| target(id, uri)).collect();
    Collector::new(targets, CollectorSettings { windows, ..Default::default() }).unwrap()
}

/// CPU time of this process, all threads.
fn own_cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

fn rows(batch: &Batch) -> usize {
    batch.hosts.len() + batch.domains.len() + batch.dirty.len() + batch.jobs.len()
}

#[test]
fn real_guests_are_collected_with_rates_and_windows() {
    let Some(hosts) = real_hosts() else { return };
    let fast = WindowSettings { duty_share: Share::ONE, ..WindowSettings::default() };
    let collector = real_collector(&hosts, fast);
    let lengths = |s: &Snapshot| {
        s.domains
            .iter()
            .filter(|domain| domain.state == DomainState::Running)
            .map(|domain| domain.dirty.iter().map(|r| r.window).collect::<BTreeSet<_>>().len())
            .min()
            .unwrap_or(0)
    };
    let snapshot = await_snapshot(&collector, Duration::from_mins(1), |s| lengths(s) == 4);
    for (id, host) in &snapshot.hosts {
        assert_eq!(host.state, HostState::Up, "{id}");
        assert!(host.cpu_used.is_some(), "{id}");
    }
    for domain in &snapshot.domains {
        println!(
            "{} on {}: {:?} {} vCPU {} ({:?} resident) cpu {:?} dirty {:?}",
            domain.vm,
            domain.host,
            domain.state,
            domain.vcpus,
            domain.memory,
            domain.resident.map(Bytes::human),
            domain.cpu_used,
            domain.dirty.iter().map(|r| (r.window.human(), r.unique.human())).collect::<Vec<_>>(),
        );
    }
}

#[test]
#[ignore = "a measurement of 60 s, printed"]
fn cost_of_collecting() {
    let Some(hosts) = real_hosts() else { return };
    let collector = real_collector(&hosts, WindowSettings::default());
    await_snapshot(&collector, Duration::from_secs(20), |s| {
        s.hosts.values().all(|host| host.state == HostState::Up)
    });
    let (began, cpu) = (Instant::now(), own_cpu());
    let (mut count, mut by_kind) = (0, [0; 4]);
    while began.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_secs(5));
        let batch = collector.drain_batch(now());
        count += rows(&batch);
        let lengths = [batch.hosts.len(), batch.domains.len(), batch.dirty.len(), batch.jobs.len()];
        by_kind.iter_mut().zip(lengths).for_each(|(sum, length)| *sum += length);
    }
    let share = own_cpu().saturating_sub(cpu).as_secs_f64() / began.elapsed().as_secs_f64();
    let guests = collector.snapshot(now()).domains.len();
    println!(
        "{guests} guests on {} hosts: {:.2} % of a core, {:.1} rows a second; \
         hosts, domains, dirty, jobs in 60 s: {by_kind:?}",
        hosts.len(),
        share * 100.0,
        count as f64 / began.elapsed().as_secs_f64(),
    );
}

#[test]
fn a_real_migration_is_seen_from_begin_to_arrival() {
    let (Some(hosts), Ok(guest)) = (real_hosts(), env::var("WHIMBREL_TEST_GUEST")) else { return };
    let never = WindowSettings { lengths_seconds: Vec::new(), ..WindowSettings::default() };
    let collector = real_collector(&hosts, never);
    let vm = VmId::new(&guest).unwrap();
    let here = |s: &Snapshot| {
        let mut sightings = s.sightings(&vm).filter(|domain| domain.state.lives_here());
        sightings.next().cloned()
    };
    let all_up = |s: &Snapshot| s.hosts.values().all(|host| host.state == HostState::Up);
    let snapshot =
        await_snapshot(&collector, Duration::from_secs(20), |s| all_up(s) && here(s).is_some());
    let domain = here(&snapshot).unwrap();
    let uri_of = |id: &str| hosts.iter().find(|(host, _)| host == id).unwrap().1.clone();
    let (to, to_uri) = hosts.iter().find(|(id, _)| id != domain.host.as_str()).unwrap();
    let both = [domain.host.clone(), HostId::new(to).unwrap()];
    collector.hold_windows(std::slice::from_ref(&vm));
    collector.refresh_interest(&both, Span::from_millis(200));
    let handle = connection(&uri_of(domain.host.as_str())).domain(&vm, &domain.uuid).unwrap();
    handle.set_max_downtime(Span::from_millis(300)).unwrap();
    let call = MigrationCall {
        destination: to_uri.clone(),
        data_uri: None,
        flags: MigrationFlags::LIVE | MigrationFlags::PEER_TO_PEER,
        bandwidth_limit: Some(BytesPerSecond::mib(20)),
        post_copy_bandwidth_limit: None,
        parallel_connections: None,
        throttle: None,
        compression: Compression::None,
    };
    let began = now();
    let migration = thread::spawn(move || handle.migrate(&call));
    let mut states = BTreeSet::new();
    let arrived = await_snapshot(&collector, Duration::from_mins(1), |s| {
        for sighting in s.sightings(&vm) {
            let job = sighting.job.is_some();
            states.insert((sighting.host == domain.host, sighting.state, job));
        }
        here(s).is_some_and(|domain| domain.host.as_str() == to.as_str())
    });
    let seen_after = arrived.taken_at.since(began);
    migration.join().unwrap().unwrap();
    println!("(at source, state, job): {states:?}");
    let jobs = collector.drain_batch(now()).jobs;
    let bandwidth = arrived.hosts[&domain.host].migration_bandwidth;
    println!("arrival seen after {seen_after}, {} job samples, {bandwidth:?}", jobs.len());
    println!("last: {:?}", jobs.last());
    assert!(states.contains(&(true, DomainState::Running, true)), "the job was seen");
    assert!(states.contains(&(false, DomainState::Incoming, false)), "the arrival was seen");
    assert!(jobs.len() >= 2);
    let at_target = connection(to_uri).domain(&vm, &domain.uuid).unwrap();
    assert_eq!(at_target.job(), Ok(JobLook::Idle));
    let stats = at_target.completed_job().unwrap().expect("the target keeps its figures");
    println!("{stats:?}");
    assert!(stats.transferred > Bytes::ZERO && stats.total_time > Span::ZERO);
    assert_eq!(at_target.completed_job().unwrap(), Some(stats), "they are kept");
}
