//! A simulation can be stopped, copied, and struck: branches are what a run of their own would be.

use whimbrel_core::{ids::HostId, units::Span};
use whimbrel_simulator::{Fault, Outcome, Scenario, Simulation};

use crate::{
    common::{first_fit, scenario},
    scenarios::with_moves,
};

const DRAIN: &str = include_str!("../../../tests/scenarios/plain-drain.toml");

fn begun(scenario: &Scenario) -> Simulation {
    scenario.begin(first_fit).unwrap()
}

fn whole(scenario: &Scenario) -> Outcome {
    scenario.run(first_fit).unwrap().outcome
}

#[test]
fn a_run_that_was_stopped_anywhere_ends_as_one_that_was_not() {
    for (name, scenario) in with_moves() {
        let whole = whole(&scenario);
        let mut stopped = begun(&scenario);
        for millis in [1, 499, 7_777, 500, 11_223, 40_000] {
            stopped.advance(Span::from_millis(millis)).unwrap();
        }
        assert!(stopped.clone().finish().unwrap() == whole, "{name}: the copy");
        assert!(stopped.finish().unwrap() == whole, "{name}: the original");
    }
}

#[test]
fn a_branch_that_is_struck_is_a_run_that_was_scripted_so() {
    let calm = scenario(DRAIN);
    let host: HostId = "h2".parse().unwrap();
    for millis in [0, 500, 3_210, 12_000, 17_345] {
        let at = Span::from_millis(millis);
        let mut trunk = begun(&calm);
        trunk.advance(at).unwrap();
        let mut branch = trunk.clone();
        branch.strike(Fault::PowerCut { at: Span::ZERO, host: host.clone() }).unwrap();
        let fault = vec![Fault::PowerCut { at, host: host.clone() }];
        let scripted = whole(&Scenario { fault, ..calm.clone() });
        assert_eq!(branch.finish().unwrap(), scripted, "struck at {at}");
        assert_eq!(trunk.finish().unwrap(), whole(&calm), "the trunk at {at}");
    }
}

#[test]
fn a_branch_cannot_be_struck_where_there_is_nothing() {
    let mut run = begun(&scenario(DRAIN));
    let fault = Fault::PowerCut { at: Span::ZERO, host: "h9".parse().unwrap() };
    assert!(run.strike(fault).unwrap_err().to_string().contains("h9"));
}
