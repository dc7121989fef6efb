//! Equal inputs give equal bytes; other seeds give other outcomes.

use whimbrel_simulator::{Scenario, simulate, simulate_many};

use crate::{
    common::{empty_plan, first_fit, scenario},
    scenarios::with_moves,
};

const DRAIN: &str = include_str!("../../../tests/scenarios/plain-drain.toml");

fn bytes(scenario: &Scenario) -> String {
    let report = scenario.run(first_fit).unwrap();
    serde_json::to_string(&report.outcome).unwrap()
}

#[test]
fn every_scenario_gives_the_same_bytes_twice() {
    for (name, scenario) in with_moves() {
        assert!(bytes(&scenario) == bytes(&scenario), "{name}");
    }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_does_not() {
    for text in [
        DRAIN,
        include_str!("../../../tests/scenarios/source-power-cut.toml"),
        include_str!("../../../tests/scenarios/controller-restart.toml"),
        include_str!("../../../tests/scenarios/drawn-faults.toml"),
    ] {
        let first = scenario(text);
        let second = Scenario { seed: 2, ..first.clone() };
        assert_eq!(bytes(&first), bytes(&first));
        assert_ne!(bytes(&first), bytes(&second));
    }
}

#[test]
fn a_script_that_was_drawn_replays_as_one_that_was_written() {
    let drawn = scenario(include_str!("../../../tests/scenarios/drawn-faults.toml"));
    let outcome = drawn.run(first_fit).unwrap().outcome;
    assert!(outcome.faults.len() > 10, "{:?}", outcome.faults);
    let written = Scenario {
        fault: outcome.faults.clone(),
        restart: outcome.restarts.clone(),
        fault_rates: whimbrel_simulator::FaultRates::default(),
        ..drawn
    };
    assert_eq!(written.run(first_fit).unwrap().outcome, outcome);
}

#[test]
fn looking_at_a_cluster_does_not_change_it() {
    let calm = scenario(DRAIN);
    let mut watched = calm.clone();
    watched.physics.collection_period = whimbrel_core::units::Span::from_millis(50);
    let arrivals = |scenario: &Scenario| {
        let outcome = scenario.run(first_fit).unwrap().outcome;
        let first = outcome.execution.moves.iter().find(|one| one.stats.is_some()).unwrap();
        first.stats.unwrap()
    };
    assert_eq!(arrivals(&calm), arrivals(&watched));
}

#[test]
fn bands_span_their_seeds() {
    let scenario = scenario(DRAIN);
    let snapshot = scenario.snapshot();
    let goal = whimbrel_core::Goal::drain("h1".parse().unwrap());
    let plan = first_fit(&snapshot, &goal).unwrap();
    let options = scenario.options();
    let bands = simulate_many(&plan, &snapshot, &options, 0..10).unwrap();
    let makespan = bands.makespan.unwrap();
    assert_eq!((bands.runs, bands.succeeded.get()), (10, 1.0));
    assert!(makespan.min < makespan.median && makespan.median < makespan.p95);
    assert_eq!(bands.moves.len(), 3);
    assert!(bands.violated.get() < f64::EPSILON);
}

#[test]
fn a_plan_without_moves_simulates_the_horizon() {
    let scenario = scenario(DRAIN);
    let outcome = simulate(&empty_plan(), &scenario.snapshot(), &scenario.options()).unwrap();
    assert_eq!(outcome.snapshot.taken_at.since(scenario.snapshot().taken_at), scenario.horizon);
    assert_eq!((outcome.makespan, outcome.bytes_on_the_wire.get()), (None, 0));
    assert!(outcome.execution.ended);
    assert_eq!(outcome.hosts[0].used.len(), 288);
}
