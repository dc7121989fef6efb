//! Saved decisions in `tests/decisions`: each is planned again, and must not have become worse.

use std::{
    fs,
    path::{Path, PathBuf},
};

use whimbrel_core::{check, plan::Plan};
use whimbrel_planner::{
    PlanFailure, formats,
    input::{Decided, Input, Replay, objective},
};

/// Guest-seconds that sums may differ by between machines.
const ROUNDING: f64 = 1e-6;

/// What `NAME.toml` beside a decision asks for.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    refused: Option<String>,
    moves_at_most: Option<usize>,
    objective_at_most: Option<f64>,
    digest: Option<String>,
}

impl Expected {
    /// No worse than what was saved.
    fn as_saved(decided: Option<&Decided>) -> Self {
        match decided {
            Some(Decided::Planned { objective, .. }) => {
                let most = objective + ROUNDING * objective.abs().max(1.0);
                Self { objective_at_most: Some(most), ..Self::default() }
            }
            // Figures in the message may change, that there is no plan may not.
            Some(Decided::Refused(_)) => Self { refused: Some(String::new()), ..Self::default() },
            None => Self::default(),
        }
    }
}

/// All that is wrong with what comes of `input` now.
fn faults(input: &Input, expected: &Expected) -> Vec<String> {
    let Replay { outcome, unanswered } = input.replay();
    let mut faults: Vec<String> = unanswered
        .first()
        .map(|one| format!("{} questions are new, first of {} {one}", unanswered.len(), one.vm))
        .into_iter()
        .collect();
    if input.replay().outcome != outcome {
        faults.push("planned twice, it comes out differently".to_owned());
    }
    match &outcome {
        Err(failure) => faults.extend(refusal(failure, expected)),
        Ok(plan) => faults.extend(planned(input, plan, expected)),
    }
    faults
}

fn refusal(failure: &PlanFailure, expected: &Expected) -> Option<String> {
    let said = failure.to_string();
    match &expected.refused {
        None => Some(format!("there is no plan: {said}")),
        Some(part) => (!said.contains(part)).then(|| format!("refused for another reason: {said}")),
    }
}

fn planned(input: &Input, plan: &Plan, expected: &Expected) -> Vec<String> {
    let mut faults = Vec::new();
    if expected.refused.is_some() {
        faults.push(format!("there is a plan of {} moves", plan.moves().count()));
    }
    match check::check(plan, &input.snapshot, &input.policy, input.now) {
        Ok(notes) if check::passes(&notes) => {}
        Ok(notes) => faults.push(format!("the checker forbids it: {notes:?}")),
        Err(error) => faults.push(format!("the checker refuses it: {error}")),
    }
    let moves = plan.moves().count();
    if expected.moves_at_most.is_some_and(|most| moves > most) {
        faults.push(format!("{moves} moves, at most {:?}", expected.moves_at_most));
    }
    let worth = objective(plan);
    let more = |most: f64| worth.total_cmp(&most).is_gt();
    if expected.objective_at_most.is_some_and(more) {
        faults.push(format!("{worth} guest-seconds, at most {:?}", expected.objective_at_most));
    }
    let digest = plan.digest.as_str();
    if expected.digest.as_ref().is_some_and(|begin| !digest.starts_with(begin.as_str())) {
        faults.push(format!("digest {digest}, expected {:?}", expected.digest));
    }
    faults
}

#[expect(clippy::disallowed_methods, reason = "the decisions are files")]
#[expect(clippy::panic, reason = "a file that is none fails its test by name")]
fn read(path: &Path) -> (Input, Expected) {
    let text = fs::read_to_string(path).unwrap();
    let used = fs::read_to_string(format!("{}.dynu", path.display())).ok();
    let read = formats::read(&text, used.as_deref());
    let (input, _) = read.and_then(formats::Read::input).unwrap_or_else(|error| {
        panic!("{}: {error}", path.display());
    });
    let expected = match fs::read_to_string(path.with_extension("toml")) {
        Ok(text) => toml::from_str(&text).unwrap_or_else(|error| {
            panic!("{}: {error}", path.with_extension("toml").display());
        }),
        Err(_) => Expected::as_saved(input.decided.as_ref()),
    };
    (input, expected)
}

fn saved() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "json" || end == "txt"));
    paths.sort();
    paths
}

#[test]
fn no_saved_decision_has_become_worse() {
    let paths = saved();
    assert!(paths.len() >= 4, "{paths:?}");
    let mut all = Vec::new();
    for path in paths {
        let (input, expected) = read(&path);
        all.extend(
            faults(&input, &expected).iter().map(|one| format!("{}: {one}", path.display())),
        );
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

/// The comparison itself: every bound that does not hold is told.
#[test]
fn a_decision_that_is_worse_than_expected_is_told() {
    let cluster = crate::support::Cluster::of(&["a", "b"])
        .vm("x", "a", 10, 4.0)
        .vm("y", "a", 10, 4.0)
        .vm("z", "a", 10, 4.0);
    let request = cluster.request(crate::support::drain("a"));
    let (outcome, input) = whimbrel_planner::input::record(&request);
    assert_eq!(outcome.unwrap().moves().count(), 3);
    assert_eq!(faults(&input, &Expected::as_saved(input.decided.as_ref())), [""; 0]);
    let worse = Expected {
        refused: Some("full".to_owned()),
        moves_at_most: Some(2),
        objective_at_most: Some(0.0),
        digest: Some("none".to_owned()),
    };
    let told = faults(&input, &worse).join("; ");
    for part in ["a plan of 3 moves", "3 moves, at most", "guest-seconds, at most", "expected"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let refused = Input { answers: Vec::new(), ..input.clone() };
    let told = faults(&refused, &Expected::as_saved(input.decided.as_ref())).join("; ");
    assert!(told.contains("3 questions are new") && told.contains("no plan"), "{told}");
}
