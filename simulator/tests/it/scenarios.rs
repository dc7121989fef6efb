//! Every scenario file holds what it promises.
//!
//! Those that state a goal are for the real planner and are run where that is at hand; here only
//! their text is checked.

use std::{fs, path::PathBuf};

use whimbrel_core::migration::MoveState;
use whimbrel_simulator::{Scenario, scenario::ScenarioPlan};

use crate::common::{disappointments, pass, scenario};

/// Every scenario file by its name, in order.
#[expect(clippy::disallowed_methods, reason = "the files are this test's input")]
pub(crate) fn files() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/scenarios");
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Scenario files that list their moves.
pub(crate) fn with_moves() -> Vec<(String, Scenario)> {
    let all = files().into_iter().map(|(name, text)| (name, scenario(&text)));
    all.filter(|(_, scenario)| matches!(scenario.plan, ScenarioPlan::Moves(_))).collect()
}

#[test]
fn every_scenario_with_moves_holds_what_it_promises() {
    let scenarios = with_moves();
    assert!(scenarios.len() >= 60, "{} scenarios", scenarios.len());
    let failed: Vec<String> = scenarios
        .iter()
        .filter_map(|(name, scenario)| Some(format!("{name}: {}", disappointments(scenario)?)))
        .collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

#[test]
fn every_scenario_file_is_possible_and_says_what_it_shows() {
    for (name, text) in files() {
        let scenario = scenario(&text);
        assert_eq!(scenario.check(), Ok(()), "{name}");
        assert!(scenario.intent.ends_with('.'), "{name}: {}", scenario.intent);
    }
}

#[test]
fn a_drain_by_first_fit_passes() {
    pass(include_str!("../../../tests/scenarios/plain-drain.toml"));
}

#[test]
fn a_restarted_controller_still_has_the_figures_of_what_ended_before() {
    let text = include_str!("../../../tests/scenarios/controller-restart.toml");
    let outcome = pass(&text.replace("at = \"8 s\"", "at = \"25 s\""));
    let stats = |vm: &str| {
        let one = outcome.execution.moves.iter().find(|one| one.vm.as_str() == vm).unwrap();
        assert_eq!(one.state, MoveState::Settled);
        one.stats
    };
    assert!(stats("a").is_some());
}
