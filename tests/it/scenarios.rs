//! Every scenario file holds what it promises with the real planner and the real predictor.

use std::{fs, path::PathBuf};

use whimbrel_core::{Goal, Outlook, Plan, Policy, Snapshot, check};
use whimbrel_models::ReplayPredictor;
use whimbrel_planner::PlanRequest;
use whimbrel_simulator::Scenario;

/// Every scenario file by its name, in order.
fn files() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios");
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

#[test]
fn every_scenario_holds_what_it_promises() {
    let files = files();
    assert!(files.len() >= 60, "{} scenarios", files.len());
    let failed: Vec<String> =
        files.iter().filter_map(|(name, text)| disappointment(name, text)).collect();
    assert!(failed.is_empty(), "{} failed:\n{}", failed.len(), failed.join("\n"));
}

/// What a scenario expects and does not come, with what came instead.
fn disappointment(name: &str, text: &str) -> Option<String> {
    let scenario: Scenario = toml::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let report = scenario
        .run(|snapshot, goal| Ok(planned(&scenario.policy, snapshot, goal)))
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let moves = report.outcome.execution.moves.iter();
    let moves = moves.map(|one| format!("\n  {} {:?} {}", one.vm, one.state, one.detail));
    (!report.disappointments.is_empty())
        .then(|| format!("{name}: {:#?}{}", report.disappointments, moves.collect::<String>()))
}

/// What the planner makes of the goal; the checker has nothing against it.
fn planned(policy: &Policy, snapshot: &Snapshot, goal: &Goal) -> Plan {
    let plan = whimbrel_planner::plan(&PlanRequest {
        snapshot,
        policy,
        outlook: &Outlook::default(),
        goal: goal.clone(),
        predictor: &ReplayPredictor::default(),
        now: snapshot.taken_at,
        seed: 1,
    })
    .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(check::check(&plan, snapshot, policy, snapshot.taken_at).unwrap(), []);
    plan
}
