//! Migrations in every mode on simulated hosts, whole and broken off.

use whimbrel_core::{
    Cluster, DomainState, Snapshot,
    cluster::{CallState, CompletedStats, OrderReport},
    ids::{HostId, OrderId, VmId},
    ports::{Order, Refusal},
    settings::{Compression, MigrationSettings, Mode, Transport},
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span},
};
use whimbrel_simulator::{
    ClusterOptions, Fault, Physics, SimCluster, SimulationOptions, cluster::Happening, simulate,
};

use crate::common::scenario;

/// Three hosts; `a` writes 40 MiB/s to 128 of its 256 MiB, `b` computes.
pub(crate) const HOSTS: &str = r#"
intent = "Guests to be moved."
horizon = "120 s"
[host]
h1 = { cpu = "2 cores", memory = "2 GiB" }
h2 = { cpu = "2 cores", memory = "2 GiB" }
h3 = { cpu = "2 cores", memory = "2 GiB" }
[domain.a]
host = "h1"
memory = "256 MiB"
cpu = "1 cores"
vcpus = 1
dirty = [{ window = "1 s", unique = "40 MiB" }, { window = "8 s", unique = "128 MiB" }]
[domain.b]
host = "h1"
memory = "256 MiB"
cpu = "0 cores"
vcpus = 4
dirty = [{ window = "1 s", unique = "1 MiB" }, { window = "8 s", unique = "4 MiB" }]
[plan]
moves = []
[expect]
"#;

pub(crate) fn world() -> Snapshot {
    scenario(HOSTS).snapshot()
}

pub(crate) fn cluster(snapshot: &Snapshot, faults: Vec<Fault>) -> SimCluster {
    // Nothing is drawn but what is asked about.
    let mut physics = Physics { collection_period: Span::ZERO, ..Physics::default() };
    physics.efficiency.least = 1.0;
    let options =
        ClusterOptions { physics, faults, log_lines: 10_000, ..ClusterOptions::default() };
    SimCluster::new(snapshot, options).unwrap()
}

pub(crate) fn order(snapshot: &Snapshot, vm: &str, settings: MigrationSettings) -> Order {
    let vm: VmId = vm.parse().unwrap();
    let domain = snapshot.domains.iter().find(|d| d.vm == vm).unwrap();
    Order {
        id: OrderId::new(&format!("order-{vm}")).unwrap(),
        uuid: domain.uuid.clone(),
        vm,
        from: domain.host.clone(),
        to: host("h2"),
        settings,
        deadline: snapshot.taken_at + Span::from_seconds(600),
    }
}

fn host(name: &str) -> HostId {
    name.parse().unwrap()
}

/// The link of a host goes, for good or for a while.
fn link_cut(at: Span, name: &str, lasts: Option<Span>) -> Fault {
    let lasts = lasts.map(|span| format!("lasts = \"{span}\"")).unwrap_or_default();
    toml::from_str(&format!("kind = \"link-cut\"\nat = \"{at}\"\nhost = \"{name}\"\n{lasts}"))
        .unwrap()
}

pub(crate) fn capped(mib: u64) -> MigrationSettings {
    MigrationSettings { bandwidth_limit: Some(BytesPerSecond::mib(mib)), ..Default::default() }
}

fn report(cluster: &mut SimCluster, order: &Order) -> OrderReport {
    cluster.observe().order(&order.id).unwrap().clone()
}

/// The figures of `order`, which arrives within `seconds`.
pub(crate) fn arrives(cluster: &mut SimCluster, order: &Order, seconds: u64) -> CompletedStats {
    cluster.begin(order).unwrap();
    cluster.advance(Span::from_seconds(seconds));
    let report = report(cluster, order);
    assert_eq!(report.call, CallState::Returned, "{:#?}", cluster.log().lines());
    report.stats.unwrap()
}

fn state(cluster: &mut SimCluster, vm: &str, on: &str) -> Option<DomainState> {
    let snapshot = cluster.observe();
    let mut domains = snapshot.domains.iter();
    domains.find(|d| d.vm.as_str() == vm && d.host.as_str() == on).map(|d| d.state)
}

fn happened(cluster: &SimCluster, what: impl Fn(&Happening) -> bool) -> bool {
    cluster.log().lines().iter().any(|(_, line)| what(line))
}

#[test]
fn every_mode_brings_its_guest_home() {
    let snapshot = world();
    let cache = Bytes::mib(256);
    let modes = [
        ("pre-copy", capped(90)),
        ("auto-converge", MigrationSettings { mode: Mode::AutoConverge, ..capped(30) }),
        ("post-copy", MigrationSettings { mode: Mode::PostCopy, ..capped(30) }),
        ("xbzrle", MigrationSettings { compression: Compression::Xbzrle { cache }, ..capped(30) }),
        ("channels", MigrationSettings { channels: 4, ..capped(60) }),
        ("zstd", MigrationSettings { channels: 2, compression: Compression::Zstd, ..capped(60) }),
        ("tls", MigrationSettings { transport: Transport::Tls, ..capped(90) }),
    ];
    for (name, settings) in modes {
        let mut cluster = cluster(&snapshot, Vec::new());
        let order = order(&snapshot, "a", settings.clone());
        let stats = arrives(&mut cluster, &order, 100);
        println!("{name}: {stats:?}");
        assert_eq!(state(&mut cluster, "a", "h2"), Some(DomainState::Running), "{name}");
        assert_eq!(state(&mut cluster, "a", "h1"), None, "{name}");
        match settings.mode {
            Mode::AutoConverge => assert!(stats.throttle_percent >= 20, "{name}: {stats:?}"),
            Mode::PostCopy => assert!(stats.post_copy_requests > 0, "{name}: {stats:?}"),
            Mode::PreCopy => assert_eq!((stats.throttle_percent, stats.post_copy_requests), (0, 0)),
        }
        if matches!(settings.compression, Compression::Xbzrle { .. }) {
            assert!(stats.delta.pages > 0, "{stats:?}");
        } else if settings.compression == Compression::None {
            assert!(stats.transferred >= Bytes::mib(256), "{name}: {stats:?}");
        }
        let felt = |line: &Happening| matches!(line, Happening::Felt { service_gap, .. } if *service_gap > stats.downtime);
        assert!(happened(&cluster, felt), "{name}: users see more than the downtime");
    }
    let mut plain = cluster(&snapshot, Vec::new());
    plain.begin(&order(&snapshot, "a", capped(30))).unwrap();
    plain.advance(Span::from_seconds(100));
    let still = order(&snapshot, "a", capped(30));
    assert_eq!(report(&mut plain, &still).call, CallState::Active, "30 MiB/s never converge");
}

#[test]
fn what_qemu_refuses_is_refused() {
    let snapshot = world();
    let mut cluster = cluster(&snapshot, Vec::new());
    let both = MigrationSettings { mode: Mode::PostCopy, channels: 2, ..Default::default() };
    let refusal = cluster.begin(&order(&snapshot, "a", both)).unwrap_err();
    assert!(matches!(&refusal, Refusal::Hypervisor { message, .. } if message.contains("10.0")));
}

#[test]
fn post_copy_that_breaks_leaves_a_guest_that_nobody_may_touch() {
    let snapshot = world();
    let settings =
        MigrationSettings { mode: Mode::PostCopy, reads_before_post_copy: 0, ..capped(10) };
    // The guest has moved after some two seconds; its memory takes half a minute.
    for fault in [
        link_cut(Span::from_seconds(5), "h2", None),
        link_cut(Span::from_seconds(5), "h1", None),
        Fault::PowerCut { at: Span::from_seconds(5), host: host("h1") },
    ] {
        let mut cluster = cluster(&snapshot, vec![fault.clone()]);
        let order = order(&snapshot, "a", settings.clone());
        cluster.begin(&order).unwrap();
        cluster.advance(Span::from_seconds(4));
        assert!(happened(&cluster, |line| matches!(line, Happening::Moved { .. })));
        let past = cluster.cancel(&order.id).unwrap_err();
        assert!(matches!(past, Refusal::PastNoReturn { .. }), "{past:?}");
        cluster.advance(Span::from_seconds(60));
        assert!(
            happened(&cluster, |line| matches!(line, Happening::Broken { .. })),
            "{fault:?}: {:#?}",
            cluster.log().lines()
        );
        assert!(!happened(&cluster, |line| matches!(line, Happening::Failed { .. })));
        assert!(matches!(report(&mut cluster, &order).call, CallState::Errored(_)));
        if fault != link_cut(Span::from_seconds(5), "h2", None) {
            let left = state(&mut cluster, "a", "h2");
            assert_eq!(left, Some(DomainState::PostCopyFailed), "{fault:?}");
        }
    }
}

#[test]
fn post_copy_goes_on_when_its_link_is_mended_in_time() {
    let snapshot = world();
    let settings =
        MigrationSettings { mode: Mode::PostCopy, reads_before_post_copy: 0, ..capped(10) };
    let cut = link_cut(Span::from_seconds(5), "h2", Some(Span::from_seconds(10)));
    let alone =
        arrives(&mut cluster(&snapshot, Vec::new()), &order(&snapshot, "a", settings.clone()), 100);
    let delayed =
        arrives(&mut cluster(&snapshot, vec![cut]), &order(&snapshot, "a", settings), 100);
    let longer = delayed.total_time.as_seconds_f64() - alone.total_time.as_seconds_f64();
    assert!((9.0..11.5).contains(&longer), "{longer}");
}

/// When something happened to the first order, after the begin.
fn at(cluster: &SimCluster, what: impl Fn(&Happening) -> bool) -> Span {
    let lines = cluster.log().lines();
    let line = lines.iter().find(|(_, line)| what(line)).unwrap();
    line.0.since(lines[0].0)
}

#[test]
fn who_breaks_off_before_it_moved_leaves_its_guest_where_it_was() {
    let snapshot = world();
    let millis = Span::from_millis;
    for mode in [Mode::PreCopy, Mode::AutoConverge, Mode::PostCopy] {
        let settings = MigrationSettings { mode, ..capped(90) };
        let order = order(&snapshot, "a", settings);
        let mut whole = cluster(&snapshot, Vec::new());
        arrives(&mut whole, &order, 100);
        let copying = at(&whole, |line| matches!(line, Happening::Copying { .. }));
        let stopped = at(&whole, |line| matches!(line, Happening::SwitchingOver { .. }));
        let moments = [
            ("preparing", copying.saturating_sub(millis(50))),
            ("first pass", copying + millis(500)),
            ("later", stopped.saturating_sub(millis(5))),
            ("standing still", stopped + Span::from_micros(100)),
        ];
        for (phase, moment) in moments {
            let cut = link_cut(moment, "h2", None);
            let mut cluster = cluster(&snapshot, vec![cut]);
            cluster.begin(&order).unwrap();
            cluster.advance(Span::from_seconds(90));
            let call = report(&mut cluster, &order).call;
            assert!(matches!(call, CallState::Errored(_)), "{mode:?}, {phase}: {call:?}");
            let left = state(&mut cluster, "a", "h1");
            assert_eq!(left, Some(DomainState::Running), "{mode:?}, {phase}");
            assert!(happened(&cluster, |line| matches!(line, Happening::Failed { .. })));
            assert!(!happened(&cluster, |line| matches!(line, Happening::Broken { .. })));
        }
    }
}

#[test]
fn who_is_cancelled_gives_back_what_it_took() {
    let snapshot = world();
    let mut cluster = cluster(&snapshot, Vec::new());
    let settings = MigrationSettings { mode: Mode::AutoConverge, ..capped(20) };
    let order = order(&snapshot, "a", settings);
    cluster.begin(&order).unwrap();
    cluster.advance(Span::from_seconds(40));
    let throttled = cluster.observe();
    let cpu = |snapshot: &Snapshot| {
        let domain = snapshot.sightings(&order.vm).find(|d| d.host == order.from).unwrap();
        (domain.cpu_used.unwrap(), domain.job.map(|job| job.throttle_percent))
    };
    let (slowed, throttle) = cpu(&throttled);
    let percent = u64::from(throttle.unwrap());
    assert!(percent >= 20 && slowed == MilliCores::new(1000 - 10 * percent), "{slowed:?}");
    cluster.cancel(&order.id).unwrap();
    cluster.advance(Span::from_seconds(1));
    assert_eq!(cpu(&cluster.observe()), (MilliCores::cores(1), None));
}

#[test]
fn a_held_copy_switches_over_when_its_limit_is_raised() {
    let snapshot = world();
    let mut cluster = cluster(&snapshot, Vec::new());
    let held = MigrationSettings { downtime_limit: Span::from_millis(1), ..capped(90) };
    let order = order(&snapshot, "a", held);
    cluster.begin(&order).unwrap();
    cluster.advance(Span::from_seconds(60));
    assert_eq!(report(&mut cluster, &order).call, CallState::Active);
    cluster.set_downtime_limit(&order.id, Span::from_millis(500));
    cluster.advance(Span::from_seconds(5));
    let stats = report(&mut cluster, &order).stats.unwrap();
    assert!((60..64).contains(&(stats.total_time.as_millis() / 1000)), "{stats:?}");
}

#[test]
fn an_engine_executes_post_copy_and_sees_it_broken() {
    let scenario = scenario(&HOSTS.replace(
        "[plan]\nmoves = []",
        "[[plan.moves]]\nvm = \"a\"\nto = \"h2\"\nbandwidth_limit = \"10 MiB/s\"",
    ));
    let plan = match &scenario.run(|_, _| unreachable!()).unwrap().outcome.journal[0].entry {
        whimbrel_core::ports::Entry::PlanAccepted { plan } => plan.clone(),
        entry => panic!("{entry:?}"),
    };
    let mut moves = plan.moves.clone();
    moves[0].settings.mode = Mode::PostCopy;
    moves[0].settings.reads_before_post_copy = 0;
    moves[0].predicted.converges = Share::ONE;
    let plan = whimbrel_core::Plan::seal(
        plan.goal.clone(),
        plan.parent.clone(),
        plan.report.clone(),
        (plan.at_once, moves),
        Vec::new(),
    );
    let options = |faults| SimulationOptions {
        horizon: Span::from_seconds(120),
        faults,
        log_lines: 1000,
        ..SimulationOptions::default()
    };
    let whole = simulate(&plan, &scenario.snapshot(), &options(Vec::new())).unwrap();
    assert_eq!(whole.arrived(), 1, "{:#?}", whole.execution.moves);
    assert!(whole.violations.is_empty(), "{:?}", whole.violations);
    let cut = link_cut(Span::from_seconds(10), "h1", None);
    let broken = simulate(&plan, &scenario.snapshot(), &options(vec![cut])).unwrap();
    assert_eq!(broken.arrived(), 0, "{:#?}", broken.execution.moves);
    assert!(broken.violations.is_empty(), "{:?}", broken.violations);
}
