//! Every scenario file holds what it promises with the real planner and the real predictor.

use std::{collections::BTreeSet, fs, path::PathBuf};

use whimbrel_core::{Goal, Plan, Policy, Snapshot, check};
use whimbrel_models::ReplayPredictor;
use whimbrel_planner::PlanRequest;
use whimbrel_simulator::Scenario;

macro_rules! scenarios {
    ($($name:ident = $file:literal;)+) => {
        $(
            #[test]
            fn $name() {
                pass($file);
            }
        )+

        #[test]
        fn no_scenario_is_forgotten() {
            let listed: BTreeSet<String> = [$($file),+].map(str::to_owned).into();
            assert_eq!(listed, files());
        }
    };
}

scenarios! {
    balance_relieves = "balance-relieves";
    controller_restart = "controller-restart";
    drain_packs = "drain-packs";
    link_cut = "link-cut";
    link_cut_long = "link-cut-long";
    link_cut_mended = "link-cut-mended";
    plain_drain = "plain-drain";
    refused_migration = "refused-migration";
    slow_link = "slow-link";
    source_power_cut = "source-power-cut";
    stuck_migration = "stuck-migration";
    target_power_cut = "target-power-cut";
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios")
}

fn files() -> BTreeSet<String> {
    let name =
        |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let names = fs::read_dir(directory()).unwrap().map(name);
    names.map(|name| name.trim_end_matches(".toml").to_owned()).collect()
}

fn pass(name: &str) {
    let text = fs::read_to_string(directory().join(format!("{name}.toml"))).unwrap();
    let scenario: Scenario = toml::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let report = scenario.run(planned).unwrap();
    assert!(
        report.disappointments.is_empty(),
        "{}\n{:#?}\n{:#?}\n{:#?}",
        scenario.intent,
        report.disappointments,
        report.outcome.execution.moves,
        report.outcome.log.lines(),
    );
}

/// What the planner makes of the goal; the checker has nothing against it.
fn planned(snapshot: &Snapshot, goal: &Goal) -> Plan {
    let policy = Policy::default();
    let plan = whimbrel_planner::plan(&PlanRequest {
        snapshot,
        policy: &policy,
        goal: goal.clone(),
        predictor: &ReplayPredictor::default(),
        now: snapshot.taken_at,
        seed: 1,
    })
    .unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(check::check(&plan, snapshot, &policy, snapshot.taken_at).unwrap(), []);
    plan
}
