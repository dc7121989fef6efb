//! `whimbrel simulate`: a plan in the simulator, or a scenario file.

use std::path::{Path, PathBuf};

use serde::Serialize;
use whimbrel_core::{Goal, Outlook, Plan, Snapshot};
use whimbrel_models::ReplayPredictor;
use whimbrel_planner::PlanRequest;
use whimbrel_simulator::{Outcome, Scenario, replay_command};

use super::{
    Common, Ending, Format, executed, print_json,
    proposal::{self, ProposalJson},
    source::SourceArguments,
};
use crate::{Failure, advice::Proposal, files};

/// Where scenarios are shown.
const HINT: &str = "tests/scenarios has more than a hundred scenarios";

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct SimulateArguments {
    /// The plan's file
    #[arg(required_unless_present = "scenario", conflicts_with = "scenario")]
    pub(super) plan: Option<PathBuf>,
    /// Run a scenario file instead: a world of its own, what goes wrong, and what must come of it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["snapshot", "telemetry"])]
    scenario: Option<PathBuf>,
    /// Seed of everything that is drawn in a scenario, instead of the file's
    #[arg(long, requires = "scenario", allow_negative_numbers = true)]
    seed: Option<u64>,
    /// Also print what happened, line by line
    #[arg(long, requires = "scenario")]
    log: bool,
    #[command(flatten)]
    pub(super) source: SourceArguments,
}

pub(super) fn run(common: &Common, own: &SimulateArguments) -> Result<Ending, Failure> {
    if let Some(path) = &own.scenario {
        return run_scenario(common, path, own);
    }
    let Some(plan) = &own.plan else {
        return Err(Failure::invalid("no plan is named (hint: whimbrel simulate PLAN)"));
    };
    let plan = files::read_plan(plan)?;
    let scene = own.source.scene(common)?;
    let notes = scene.advisor.check(&plan, &scene.situation)?;
    let proof = scene.advisor.prove(&plan, &scene.situation)?;
    let proposal = Proposal { plan, notes, proof };
    match common.output {
        Format::Json => print_json(&ProposalJson::of(&proposal))?,
        Format::Table => proposal::print(&proposal),
    }
    Ok(if proposal.may_run() { Ending::Done } else { Ending::No })
}

/// What came of a scenario, as JSON has it.
#[derive(Serialize)]
struct ScenarioJson<'a> {
    intent: &'a str,
    again: String,
    disappointments: &'a [String],
    outcome: &'a Outcome,
}

fn run_scenario(common: &Common, path: &Path, own: &SimulateArguments) -> Result<Ending, Failure> {
    let about = |failure: Failure| failure.about(path.display());
    let text = files::read_text(path)?;
    let mut scenario: Scenario =
        toml::from_str(&text).map_err(|e| files::misread(&e, HINT)).map_err(about)?;
    scenario.seed = own.seed.unwrap_or(scenario.seed);
    let report = scenario
        .run(|snapshot, goal| planned(&scenario, snapshot, goal))
        .map_err(Failure::invalid)
        .map_err(about)?;
    let again = replay_command(&path.display().to_string(), &report.outcome);
    let disappointments = &report.disappointments;
    match common.output {
        Format::Json => print_json(&ScenarioJson {
            intent: &scenario.intent,
            again,
            disappointments,
            outcome: &report.outcome,
        })?,
        Format::Table => {
            say!("{}", scenario.intent);
            print_outcome(&report.outcome, own.log)?;
            for line in disappointments {
                say!("NO: {line}");
            }
            say!("again: {again}");
        }
    }
    Ok(if disappointments.is_empty() { Ending::Done } else { Ending::No })
}

/// The planner's answer to a scenario's goal. Scenarios have no past, so nothing was learnt.
fn planned(scenario: &Scenario, snapshot: &Snapshot, goal: &Goal) -> Result<Plan, String> {
    let request = PlanRequest {
        snapshot,
        policy: &scenario.policy,
        outlook: &Outlook::default(),
        goal: goal.clone(),
        predictor: &ReplayPredictor::default(),
        now: snapshot.taken_at,
        seed: scenario.seed,
    };
    whimbrel_planner::plan(&request).map_err(|failure| failure.to_string())
}

fn print_outcome(outcome: &Outcome, log: bool) -> Result<(), Failure> {
    for fault in &outcome.faults {
        line(&fault.at().human(), fault)?;
    }
    for restart in &outcome.restarts {
        line("controller", restart)?;
    }
    if log {
        for (at, happening) in outcome.log.lines() {
            line(&at.since(outcome.started_at).human(), happening)?;
        }
    }
    executed::print(&outcome.execution);
    for violation in &outcome.violations {
        say!("NO: {} at {}", violation.breach, violation.at);
    }
    Ok(())
}

/// What happened, and when.
fn line(at: &str, what: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(what).map_err(Failure::invalid)?;
    say!("{at:>12}  {text}");
    Ok(())
}
