//! The controller dies around every record of its journal and comes back: nothing is lost, doubled
//! or begun twice, and every move ends.

use whimbrel_core::{migration::MoveState, units::Span};
use whimbrel_simulator::{CrashPoint, Death, Fault, Outcome, Restart, Scenario};

use crate::{
    common::{first_fit, scenario},
    scenarios::with_moves,
};

fn killed(scenario: &Scenario, point: CrashPoint, away: Span) -> Outcome {
    let restart = vec![Restart { dies: Death::Record(point), away }];
    Scenario { restart, ..scenario.clone() }.run(first_fit).unwrap().outcome
}

/// Every scenario in which the controller lives and nothing forbidden happens.
fn scenarios() -> Vec<Scenario> {
    let drain = scenario(include_str!("../../../tests/scenarios/plain-drain.toml"));
    let listed = with_moves().into_iter().map(|(_, scenario)| scenario);
    let lives = |one: &Scenario| {
        one.restart.is_empty()
            && one.expect.violations == 0
            && one.fault_rates.controller_restart <= 0.0
    };
    listed.filter(lives).chain([drain]).collect()
}

#[test]
fn no_record_is_a_bad_place_to_die_at() {
    let mut deaths = 0;
    for whole in scenarios() {
        let undisturbed = whole.run(first_fit).unwrap().outcome;
        for record in 1..=undisturbed.journal.len() {
            for point in [CrashPoint::Before(record), CrashPoint::After(record)] {
                for away in [Span::ZERO, Span::from_seconds(3), Span::from_seconds(40)] {
                    let outcome = killed(&whole, point, away);
                    let place = format!("{}, {point:?}, away {away}", whole.intent);
                    assert_eq!(outcome.violations, [], "{place}");
                    let ended = outcome.execution.ended || !undisturbed.execution.ended;
                    assert!(ended, "{place}: {:#?}", outcome.execution.moves);
                    if is_mild(&whole) {
                        agrees(&outcome, &undisturbed, &place);
                    }
                    deaths += 1;
                }
            }
        }
    }
    assert!(deaths > 3000, "{deaths} deaths");
}

/// Whether every host is there and heard all the time, and nobody but the plan touches a guest:
/// then nothing that happens while the controller is away can hide where a guest is.
fn is_mild(scenario: &Scenario) -> bool {
    let hides = |fault: &Fault| {
        matches!(
            fault,
            Fault::HostCrash { .. }
                | Fault::PowerCut { .. }
                | Fault::LinkCut { .. }
                | Fault::Partition { .. }
                | Fault::DaemonHang { .. }
        )
    };
    scenario.event.is_empty() && !scenario.fault.iter().any(hides)
}

/// A crash may turn a move that would have gone well into one that was never begun, but never
/// into an unknown one where the undisturbed run has none.
fn agrees(outcome: &Outcome, undisturbed: &Outcome, place: &str) {
    let unknown = |o: &Outcome| o.execution.count(MoveState::Unknown);
    assert!(unknown(outcome) <= unknown(undisturbed), "{place}: {:#?}", outcome.execution.moves);
}
