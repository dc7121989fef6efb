//! CPU, recordings and readings.

use std::collections::BTreeMap;

use whimbrel_core::{
    Cluster, DomainState, HostState,
    ids::{HostId, VmId},
    ports::Power,
    telemetry::DirtySample,
    units::{Bytes, MilliCores, Span, Timestamp},
};
use whimbrel_simulator::{
    ClusterOptions, Replay, Scenario, SimCluster, SimulationError, SimulationOptions, simulate,
};

use crate::common::{TWO_HOSTS, empty_plan, scenario};

fn vm() -> VmId {
    "a".parse().unwrap()
}

fn recorded(start: Timestamp) -> Replay {
    let after = |seconds| start + Span::from_seconds(seconds);
    let cpu = vec![(start, MilliCores::cores(1)), (after(10), MilliCores::cores(5))];
    Replay { cpu: BTreeMap::from([(vm(), cpu)]), ..Replay::default() }
}

#[test]
fn contention_is_what_was_wanted_and_not_there() {
    let snapshot = scenario(TWO_HOSTS).snapshot();
    let options = SimulationOptions {
        horizon: Span::from_seconds(60),
        replay: Some(recorded(snapshot.taken_at)),
        ..SimulationOptions::default()
    };
    let outcome = simulate(&empty_plan(), &snapshot, &options).unwrap();
    // 1 core for 10 s and 5 cores for 10 s, three times, on 2 cores.
    let host = &outcome.hosts[0];
    assert_eq!(host.overload, Span::from_seconds(30));
    assert!((host.contention_core_seconds - 90.0).abs() < 1e-9);
    let wanted: u64 = host.used.iter().map(|point| point.cpu_wanted.get()).sum();
    let mean = wanted as f64 / host.used.len() as f64;
    assert!((mean - 3000.0).abs() < 30.0, "{mean}");
    assert!(host.used.iter().all(|point| point.cpu_used <= MilliCores::cores(2)));
    assert_eq!(outcome.hosts[1].overload, Span::ZERO);
}

#[test]
fn a_recorded_burst_of_writes_makes_a_migration_longer() {
    let quiet = Scenario { horizon: Span::from_seconds(120), ..scenario(TWO_HOSTS) };
    let snapshot = quiet.snapshot();
    let plan = quiet.run(|_, _| unreachable!()).unwrap().outcome;
    let plan = match &plan.journal[0].entry {
        whimbrel_core::ports::Entry::PlanAccepted { plan } => plan.clone(),
        entry => panic!("{entry:?}"),
    };
    let host: HostId = "h1".parse().unwrap();
    let sample = |seconds, mib| DirtySample {
        at: snapshot.taken_at + Span::from_seconds(seconds),
        host: host.clone(),
        vm: vm(),
        window: Span::from_seconds(1),
        unique: Bytes::mib(mib),
    };
    let writes = vec![sample(0, 0), sample(2, 90), sample(20, 0), sample(600, 0)];
    let replay = Replay { dirty: BTreeMap::from([(vm(), writes)]), ..Replay::default() };
    let total = |replay| {
        let options = SimulationOptions { replay, ..quiet.options() };
        let outcome = simulate(&plan, &snapshot, &options).unwrap();
        assert!(outcome.execution.succeeded(), "{:#?}", outcome.execution.moves);
        outcome.execution.moves[0].stats.unwrap().total_time
    };
    let (calm, burst) = (total(None), total(Some(replay)));
    assert!(burst > calm + Span::from_seconds(3), "{} and {}", calm.human(), burst.human());
}

#[test]
fn a_host_without_power_is_silent_and_comes_back_empty() {
    let scenario = scenario(TWO_HOSTS);
    let mut cluster = SimCluster::new(&scenario.snapshot(), ClusterOptions::default()).unwrap();
    let host: HostId = "h1".parse().unwrap();
    cluster.advance(Span::from_seconds(5));
    cluster.set_power(&host, Power::Off).unwrap();
    cluster.advance(Span::from_seconds(5));
    let early = cluster.observe();
    assert_eq!(early.hosts[&host].state, HostState::Up);
    assert!(early.taken_at.since(early.hosts[&host].observed_at) >= Span::from_seconds(5));
    cluster.advance(Span::from_seconds(20));
    let late = cluster.observe();
    assert_eq!(late.hosts[&host].state, HostState::Unreachable);
    assert_eq!(late.domains[0].state, DomainState::Running, "as last seen");
    cluster.set_power(&host, Power::On).unwrap();
    cluster.advance(Span::from_seconds(70));
    let back = cluster.observe();
    assert_eq!(back.hosts[&host].state, HostState::Up);
    assert!(back.domains.is_empty());
}

#[test]
fn what_cannot_be_simulated_is_refused_with_its_name() {
    let scenario = scenario(TWO_HOSTS);
    let snapshot = scenario.snapshot();
    let refusal = |options: SimulationOptions| {
        simulate(&empty_plan(), &snapshot, &options).unwrap_err().to_string()
    };
    let usual = SimulationOptions::default;
    assert!(refusal(SimulationOptions { tick: Span::ZERO, ..usual() }).contains("tick is 0 ms"));
    assert!(refusal(SimulationOptions { horizon: Span::ZERO, ..usual() }).contains("horizon"));
    let fault = whimbrel_simulator::Fault::PowerCut { at: Span::ZERO, host: "h9".parse().unwrap() };
    let unknown = refusal(SimulationOptions { faults: vec![fault], ..usual() });
    assert!(unknown.contains("h9"), "{unknown}");
    let mut doubled = snapshot.clone();
    doubled
        .domains
        .push(whimbrel_core::Domain { host: "h2".parse().unwrap(), ..doubled.domains[0].clone() });
    let error = simulate(&empty_plan(), &doubled, &usual()).unwrap_err();
    assert!(matches!(error, SimulationError::Placement(_)));
}

#[test]
fn power_that_goes_while_the_link_is_cut_is_noticed_all_the_same() {
    let text = TWO_HOSTS.replace("30 s", "5 min")
        + r#"
        [[fault]]
        kind = "link-cut"
        at = "4 s"
        host = "h1"
        lasts = "10 s"
        [[fault]]
        kind = "power-cut"
        at = "5 s"
        host = "h1"
        "#;
    let outcome = scenario(&text).run(|_, _| unreachable!()).unwrap().outcome;
    let host: HostId = "h1".parse().unwrap();
    assert_eq!(outcome.snapshot.hosts[&host].state, HostState::Unreachable);
    assert!(outcome.execution.ended && outcome.violations.is_empty());
}
