//! The controller dies around every record of its journal and comes back: nothing is lost, doubled
//! or begun twice, and every move ends.

use whimbrel_core::{migration::MoveState, units::Span};
use whimbrel_simulator::{CrashPoint, Death, Outcome, Restart, Scenario};

use crate::common::{first_fit, scenario};

const SCENARIOS: [&str; 5] = [
    include_str!("../../../tests/scenarios/plain-drain.toml"),
    include_str!("../../../tests/scenarios/link-cut-long.toml"),
    include_str!("../../../tests/scenarios/refused-migration.toml"),
    include_str!("../../../tests/scenarios/stuck-migration.toml"),
    include_str!("../../../tests/scenarios/source-power-cut.toml"),
];

fn killed(scenario: &Scenario, point: CrashPoint, away: Span) -> Outcome {
    let restart = vec![Restart { dies: Death::Record(point), away }];
    Scenario { restart, ..scenario.clone() }.run(first_fit).unwrap().outcome
}

#[test]
fn no_record_is_a_bad_place_to_die_at() {
    for text in SCENARIOS {
        let whole = scenario(text);
        let undisturbed = whole.run(first_fit).unwrap().outcome;
        let records = undisturbed.journal.len();
        assert!(records >= 4, "{records} records");
        for record in 1..=records {
            for point in [CrashPoint::Before(record), CrashPoint::After(record)] {
                for away in [Span::ZERO, Span::from_seconds(3), Span::from_seconds(40)] {
                    let outcome = killed(&whole, point, away);
                    let place = format!("{}, {point:?}, away {away}", whole.intent);
                    assert_eq!(outcome.violations, [], "{place}");
                    assert!(outcome.execution.ended, "{place}: {:#?}", outcome.execution.moves);
                    agrees(&outcome, &undisturbed, &place);
                }
            }
        }
    }
}

/// A crash may turn a move that would have gone well into one that was never begun, but never
/// into an unknown one where the undisturbed run has none.
fn agrees(outcome: &Outcome, undisturbed: &Outcome, place: &str) {
    let unknown = |o: &Outcome| o.execution.count(MoveState::Unknown);
    assert!(unknown(outcome) <= unknown(undisturbed), "{place}: {:#?}", outcome.execution.moves);
}
