//! The collector against fake hosts: hanging, vanishing, restarted, duplicated.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use whimbrel_collector::{
    BackoffSettings, Collector, CollectorSettings, Depth, DomainReading, HostReading, HostSource,
    HostTarget, NodeFacts, SettingsError, SourceError,
    jobs::JobLook,
    stats::{DirtyStatus, DomainStats, Status},
    windows::WindowSettings,
};
use whimbrel_core::{
    HostId, HostState, Snapshot, VmId,
    cluster::{CompletedStats, JobProgress, PlacementError},
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span, Timestamp},
};

/// What a fake host does, changed by the test while it runs.
#[derive(Default)]
struct Script {
    domains: Vec<DomainReading>,
    absent: bool,
    hanging: bool,
    connects: Vec<Instant>,
    full_readings: u32,
    looks: u32,
    windows: Vec<(VmId, u32)>,
}

#[derive(Clone, Default)]
struct FakeHost {
    script: Arc<Mutex<Script>>,
    let_go: Arc<AtomicBool>,
}

impl FakeHost {
    fn change<T>(&self, change: impl FnOnce(&mut Script) -> T) -> T {
        change(&mut self.script.lock().unwrap())
    }

    fn with_domains(domains: Vec<DomainReading>) -> Self {
        let host = Self::default();
        host.change(|script| script.domains = domains);
        host
    }
}

impl HostSource for FakeHost {
    fn connect(&mut self) -> Result<(), SourceError> {
        self.change(|script| {
            script.connects.push(Instant::now());
            if script.absent { Err(absent()) } else { Ok(()) }
        })
    }

    fn collect(&mut self, depth: Depth) -> Result<HostReading, SourceError> {
        while self.change(|script| script.hanging) && !self.let_go.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.change(|script| {
            if script.absent {
                return Err(absent());
            }
            let mut domains = script.domains.clone();
            match depth {
                Depth::Full => script.full_readings += 1,
                Depth::Jobs => {
                    script.looks += 1;
                    for domain in &mut domains {
                        domain.stats = DomainStats::default();
                    }
                }
            }
            Ok(HostReading {
                facts: Some(NodeFacts {
                    cpu: MilliCores::cores(4),
                    memory: Bytes::mib(8192),
                    qemu: None,
                }),
                cpu_busy: Some(Span::from_seconds(1)),
                domains,
                ..HostReading::default()
            })
        })
    }

    fn start_window(&mut self, vm: &VmId, window_seconds: u32) -> Result<(), SourceError> {
        self.change(|script| {
            script.windows.push((vm.clone(), window_seconds));
            let start_seconds = i64::try_from(script.windows.len()).unwrap();
            for domain in script.domains.iter_mut().filter(|d| d.name == vm.as_str()) {
                domain.stats.dirty = Some(DirtyStatus {
                    measured: true,
                    start_seconds,
                    window_seconds,
                    rate_mib_per_second: Some(20),
                });
            }
        });
        Ok(())
    }

    fn disconnect(&mut self) {}
}

fn absent() -> SourceError {
    SourceError { message: "nobody answers".to_owned() }
}

fn domain(name: &str) -> DomainReading {
    DomainReading {
        name: name.to_owned(),
        uuid: format!("uuid-{name}"),
        status: Some(Status { state: 1, reason: 1 }),
        stats: DomainStats {
            vcpus: Some(1),
            memory: Some(Bytes::mib(48)),
            cpu_time: Some(Span::from_seconds(1)),
            ..DomainStats::default()
        },
        job: JobLook::Idle,
    }
}

fn settings() -> CollectorSettings {
    CollectorSettings {
        period: Span::from_millis(100),
        silent_after: Span::from_millis(500),
        windows: WindowSettings { lengths_seconds: Vec::new(), ..WindowSettings::default() },
        backoff: BackoffSettings { first: Span::from_millis(20), longest: Span::from_millis(80) },
        ..CollectorSettings::default()
    }
}

fn id(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

fn collector(hosts: &[(&str, &FakeHost)], settings: CollectorSettings) -> Collector {
    let source = |(name, host): &(&str, &FakeHost)| {
        let target = HostTarget {
            id: id(name),
            uri: format!("fake://{name}"),
            memory: None,
            cpu: None,
            maintenance: false,
        };
        (target, Box::new((*host).clone()) as Box<dyn HostSource>)
    };
    Collector::with_sources(hosts.iter().map(source).collect(), settings).unwrap()
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// Waits until the snapshot is as `wanted`, for ten seconds at most.
fn await_snapshot(collector: &Collector, wanted: impl Fn(&Snapshot) -> bool) -> Snapshot {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let snapshot = collector.snapshot(now());
        if wanted(&snapshot) {
            return snapshot;
        }
        assert!(Instant::now() < deadline, "never as wanted: {snapshot:#?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn state(snapshot: &Snapshot, host: &str) -> HostState {
    snapshot.hosts[&id(host)].state
}

#[test]
fn a_hanging_host_ages_alone_and_does_not_hold_the_shutdown() {
    let (well, hung) =
        (FakeHost::with_domains(vec![domain("a")]), FakeHost::with_domains(vec![domain("b")]));
    let collector = collector(&[("well", &well), ("hung", &hung)], settings());
    await_snapshot(&collector, |s| s.domains.len() == 2);
    hung.change(|script| script.hanging = true);
    let before = now();
    let snapshot = await_snapshot(&collector, |s| state(s, "hung") == HostState::Unreachable);
    assert_eq!(state(&snapshot, "well"), HostState::Up);
    assert!(snapshot.hosts[&id("well")].observed_at > before);
    let old = snapshot.domains.iter().find(|d| d.host == id("hung")).unwrap();
    assert!(snapshot.taken_at.since(old.observed_at) > Span::from_millis(450), "shown, and old");
    let health = collector.health(now());
    assert!(health[0].error.as_deref().unwrap().contains("not returned"), "{health:?}");
    let batch = collector.drain_batch(now());
    assert!(batch.hosts.iter().any(|row| row.state == HostState::Unreachable));
    let began = Instant::now();
    drop(collector);
    assert!(began.elapsed() < Duration::from_secs(2), "took {:?}", began.elapsed());
    hung.let_go.store(true, Ordering::Relaxed);
}

#[test]
fn a_vanished_host_is_recorded_and_found_again() {
    let host = FakeHost::with_domains(vec![domain("a")]);
    let collector = collector(&[("h1", &host)], settings());
    await_snapshot(&collector, |s| state(s, "h1") == HostState::Up);
    host.change(|script| script.absent = true);
    let gone = await_snapshot(&collector, |s| state(s, "h1") == HostState::Unreachable);
    assert_eq!(gone.domains.len(), 1, "as last seen, it may still run");
    std::thread::sleep(Duration::from_millis(400));
    let connects = host.change(|script| {
        script.absent = false;
        script.connects.len()
    });
    assert!((3..=14).contains(&connects), "backs off from 20 to 80 ms, made {connects} attempts");
    let back = await_snapshot(&collector, |s| state(s, "h1") == HostState::Up);
    assert!(back.hosts[&id("h1")].observed_at > gone.taken_at);
    let batch = collector.drain_batch(now());
    let unreachable = batch.hosts.iter().filter(|h| h.state == HostState::Unreachable).count();
    assert!(unreachable >= 2, "the gap is in the telemetry: {unreachable}");
}

#[test]
fn a_domain_on_two_hosts_is_two_sightings() {
    let (first, second) =
        (FakeHost::with_domains(vec![domain("a")]), FakeHost::with_domains(vec![domain("a")]));
    let collector = collector(&[("h1", &first), ("h2", &second)], settings());
    let snapshot = await_snapshot(&collector, |s| s.domains.len() == 2);
    assert!(matches!(snapshot.placement(), Err(PlacementError::OnTwoHosts { .. })));
}

#[test]
fn a_restarted_counter_gives_no_rate_until_the_next_reading() {
    let host = FakeHost::with_domains(vec![domain("a")]);
    let collector = collector(&[("h1", &host)], settings());
    await_snapshot(&collector, |s| {
        s.domains.first().is_some_and(|d| d.cpu_used == Some(MilliCores::ZERO))
    });
    host.change(|script| script.domains[0].stats.cpu_time = Some(Span::ZERO));
    await_snapshot(&collector, |s| s.domains[0].cpu_used.is_none());
    await_snapshot(&collector, |s| s.domains[0].cpu_used == Some(MilliCores::ZERO));
}

#[test]
fn interest_brings_quick_looks_at_jobs_and_arrivals() {
    let host = FakeHost::with_domains(vec![domain("a")]);
    let slow = CollectorSettings {
        period: Span::from_seconds(60),
        silent_after: Span::from_seconds(120),
        ..settings()
    };
    let collector = collector(&[("h1", &host)], slow);
    await_snapshot(&collector, |s| s.domains.len() == 1);
    let progress = JobProgress {
        total: Bytes::mib(48),
        transferred: Bytes::mib(10),
        ..JobProgress::default()
    };
    host.change(|script| script.domains[0].job = JobLook::Migrating(progress));
    collector.refresh_interest(&[id("h1")], Span::from_millis(50));
    let seen = await_snapshot(&collector, |s| s.domains[0].job == Some(progress));
    assert_eq!(seen.domains[0].memory, Bytes::mib(48), "kept from the full reading");
    std::thread::sleep(Duration::from_millis(300));
    let (full_readings, looks) = host.change(|script| (script.full_readings, script.looks));
    assert_eq!(full_readings, 1);
    assert!((4..=12).contains(&looks), "{looks} looks in 300 ms at 50 ms");
    assert!(collector.drain_batch(now()).jobs.len() >= 4);
    host.change(|script| script.domains = vec![domain("b")]);
    let arrived = await_snapshot(&collector, |s| s.domains.iter().any(|d| d.vm.as_str() == "b"));
    assert_eq!(arrived.domains.len(), 1, "a left");
    collector.refresh_interest(&[], Span::from_millis(50));
    std::thread::sleep(Duration::from_millis(150));
    let looks = host.change(|script| script.looks);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(host.change(|script| script.looks), looks, "nobody is interested any more");
}

#[test]
fn windows_are_started_read_and_held() {
    let host = FakeHost::with_domains(vec![domain("a"), domain("held")]);
    let windows = WindowSettings { lengths_seconds: vec![1], duty_share: Share::ONE, keep: 2 };
    let collector = collector(&[("h1", &host)], CollectorSettings { windows, ..settings() });
    collector.hold_windows(&[VmId::new("held").unwrap()]);
    let snapshot = await_snapshot(&collector, |s| {
        s.domains.first().is_some_and(|domain| domain.dirty.len() == 2)
    });
    let reading = snapshot.domains[0].dirty[0];
    assert_eq!((reading.window, reading.unique), (Span::from_seconds(1), Bytes::mib(20)));
    assert!(snapshot.domains[0].dirty[1].measured_at > reading.measured_at);
    assert_eq!(snapshot.domains[1].dirty, []);
    assert!(host.change(|script| script.windows.iter().all(|(vm, _)| vm.as_str() == "a")));
    let rows = collector.drain_batch(now()).dirty;
    assert_eq!(rows.len(), 2);
}

#[test]
fn a_migrating_domain_is_not_measured_and_feeds_the_bandwidth() {
    let mut migrating = domain("a");
    migrating.job = JobLook::Migrating(JobProgress::default());
    let host = FakeHost::with_domains(vec![migrating]);
    let windows = WindowSettings { lengths_seconds: vec![1], duty_share: Share::ONE, keep: 2 };
    let collector = collector(&[("h1", &host)], CollectorSettings { windows, ..settings() });
    await_snapshot(&collector, |s| s.domains.len() == 1);
    std::thread::sleep(Duration::from_millis(1300));
    assert_eq!(host.change(|script| script.windows.len()), 0);
    let stats = CompletedStats { bandwidth: BytesPerSecond::mib(50), ..CompletedStats::default() };
    collector.note_completed(&id("h1"), &stats, now());
    let snapshot = collector.snapshot(now());
    let bandwidth = snapshot.hosts[&id("h1")].migration_bandwidth;
    assert_eq!(bandwidth, Some(BytesPerSecond::mib(50)));
}

#[test]
fn bad_lists_and_settings_are_refused() {
    let target = HostTarget {
        id: id("h1"),
        uri: String::new(),
        memory: None,
        cpu: None,
        maintenance: false,
    };
    let source = || Box::new(FakeHost::default()) as Box<dyn HostSource>;
    let twice = vec![(target.clone(), source()), (target, source())];
    let refused = Collector::with_sources(twice, settings()).unwrap_err();
    assert!(matches!(refused, SettingsError::DuplicateHost { .. }));
    let bad = CollectorSettings { period: Span::ZERO, ..settings() };
    assert!(Collector::with_sources(Vec::new(), bad).is_err());
}
