//! Single faults, as the seam and the readings show them.

use whimbrel_core::{
    Cluster, HostState, Snapshot,
    ids::{HostId, OrderId},
    ports::{Order, Power, Refusal},
    units::{Bytes, MilliCores, Span},
};
use whimbrel_simulator::{ClusterOptions, Fault, Plane, SimCluster, SimulationOptions};

use crate::common::{TWO_HOSTS, scenario};

fn host(name: &str) -> HostId {
    name.parse().unwrap()
}

fn seconds(count: u64) -> Span {
    Span::from_seconds(count)
}

fn struck(fault: Fault) -> SimCluster {
    let options = ClusterOptions { faults: vec![fault], ..ClusterOptions::default() };
    SimCluster::new(&scenario(TWO_HOSTS).snapshot(), options).unwrap()
}

fn order(snapshot: &Snapshot) -> Order {
    let domain = &snapshot.domains[0];
    Order {
        id: OrderId::new("o1").unwrap(),
        vm: domain.vm.clone(),
        uuid: domain.uuid.clone(),
        from: domain.host.clone(),
        to: host("h2"),
        settings: whimbrel_core::MigrationSettings::default(),
        deadline: snapshot.taken_at + seconds(60),
    }
}

#[test]
fn stale_readings_tell_their_age_and_pass() {
    let lasts = Some(seconds(60));
    let age = seconds(10);
    let mut cluster = struck(Fault::StaleReadings { at: seconds(5), host: host("h1"), age, lasts });
    let seen_age = |cluster: &mut SimCluster, name: &str| {
        let seen = cluster.observe();
        seen.taken_at.since(seen.hosts[&host(name)].observed_at)
    };
    cluster.advance(seconds(40));
    let old = seen_age(&mut cluster, "h1");
    assert!(old >= age && old <= age + seconds(1), "{}", old.human());
    assert!(seen_age(&mut cluster, "h2") <= seconds(1));
    cluster.advance(seconds(40));
    assert!(seen_age(&mut cluster, "h1") <= seconds(1));
}

#[test]
fn lying_readings_are_wrong_about_load_and_right_about_place() {
    let mut scenario = scenario(TWO_HOSTS);
    let guest = scenario.domain.values_mut().next().unwrap();
    guest.cpu = MilliCores::new(800);
    let fault = Fault::LyingReadings {
        at: seconds(5),
        vm: "a".parse().unwrap(),
        dirty_percent: 1000,
        cpu_percent: 25,
        lasts: Some(seconds(10)),
    };
    let options = ClusterOptions { faults: vec![fault], ..ClusterOptions::default() };
    let mut cluster = SimCluster::new(&scenario.snapshot(), options).unwrap();
    let mut seen = |span| {
        cluster.advance(span);
        let domain = cluster.observe().domains.remove(0);
        assert_eq!(domain.host, host("h1"));
        (domain.cpu_used.unwrap().get(), domain.dirty[0].unique)
    };
    assert_eq!(seen(seconds(4)), (800, Bytes::mib(1)));
    assert_eq!(seen(seconds(4)), (200, Bytes::mib(10)));
    assert_eq!(seen(seconds(10)), (800, Bytes::mib(1)));
}

#[test]
fn a_power_controller_refuses_or_does_nothing() {
    for silent in [false, true] {
        let fault = Fault::BmcFailure { at: Span::ZERO, host: host("h2"), silent, lasts: None };
        let mut cluster = struck(fault);
        cluster.advance(seconds(1));
        let answer = cluster.set_power(&host("h2"), Power::Off);
        let refused = matches!(answer, Err(Refusal::Hypervisor { .. }));
        assert_eq!(refused, !silent, "{answer:?}");
        cluster.advance(seconds(60));
        assert_eq!(cluster.observe().hosts[&host("h2")].state, HostState::Up);
        assert!(cluster.set_power(&host("h1"), Power::Off).is_ok());
    }
}

#[test]
fn a_hanging_daemon_answers_nobody_and_its_guests_run_on() {
    let fault = Fault::DaemonHang { at: seconds(2), host: host("h1"), lasts: Some(seconds(60)) };
    let mut cluster = struck(fault);
    let order = order(&cluster.observe());
    cluster.begin(&order).unwrap();
    cluster.advance(seconds(30));
    let seen = cluster.observe();
    assert_eq!(seen.hosts[&host("h1")].state, HostState::Unreachable);
    // Its memory has followed; the hand-over waits for the daemon.
    assert!(matches!(cluster.cancel(&order.id), Err(Refusal::PastNoReturn { .. })));
    cluster.advance(seconds(60));
    let seen = cluster.observe();
    assert_eq!(seen.hosts[&host("h1")].state, HostState::Up);
    let homes: Vec<&HostId> = seen.domains.iter().map(|domain| &domain.host).collect();
    assert_eq!(homes, [&host("h2")]);
}

#[test]
fn one_network_may_fail_without_the_others() {
    let silent = |networks: Vec<Plane>| {
        let fault = Fault::LinkCut { at: Span::ZERO, host: host("h2"), networks, lasts: None };
        let mut cluster = struck(fault);
        cluster.advance(seconds(30));
        cluster.observe().hosts[&host("h2")].state == HostState::Unreachable
    };
    assert!(silent(vec![Plane::Management]));
    assert!(!silent(vec![Plane::Migration, Plane::Storage]));
}

#[test]
fn what_happens_between_two_looks_of_the_engine_is_found_when_it_happens() {
    let text = include_str!("../../../tests/scenarios/split-brain-for-a-moment.toml");
    let outcome = scenario(text).run(|_, _| unreachable!()).unwrap().outcome;
    let start = outcome.started_at;
    let found: Vec<(Span, &str)> =
        outcome.violations.iter().map(|one| (one.at.since(start), one.breach.kind())).collect();
    let at = Span::from_millis(10_100);
    assert_eq!(found, [(at, "two-places"), (at, "two-writers")]);
    // The engine looks every half second, and then nothing is to be seen any more.
    assert_ne!(at.as_micros() % SimulationOptions::default().tick.as_micros(), 0);
    assert_eq!(outcome.snapshot.domains.len(), 2);
}

#[test]
fn a_host_switched_off_under_its_guests_is_found_unless_people_did_it() {
    let text = |by: &str| {
        TWO_HOSTS.replace("[[plan.moves]]\nvm = \"a\"\nto = \"h2\"", "[plan]\nmoves = []")
            + "\n[[event]]\n"
            + by
            + "\nat = \"5 s\"\nhost = \"h1\"\n"
    };
    for by in ["kind = \"power\"\npower = \"off\"", "kind = \"shuts-down\""] {
        let outcome = scenario(&text(by)).run(|_, _| unreachable!()).unwrap().outcome;
        assert_eq!(outcome.violations, [], "{by}");
    }
}
