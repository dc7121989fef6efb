//! `whimbrel demo`: the main job, offline, on recorded telemetry of real hosts.

use std::path::PathBuf;

use serde::Serialize;
use whimbrel_core::{Goal, HostId, Plan, plan::Term, units::Timestamp};
use whimbrel_planner::baseline;
use whimbrel_simulator::Outcome;

use super::{Common, Ending, Format, print_json, proposal, report::write_report, table::table};
use crate::{
    Failure,
    advice::Proposal,
    files,
    report::{ComparisonColumn, Happened},
    scene::Scene,
};

/// Name of the policy beside the recorded data.
const POLICY_FILE: &str = "policy.toml";

/// Arguments of `demo`.
#[derive(Debug, clap::Args)]
pub(super) struct DemoArguments {
    /// Recorded telemetry, with its policy.toml
    #[arg(long, value_name = "DIRECTORY", default_value = "datasets/recorded")]
    data: PathBuf,
    /// The moment of the recording to plan at; its last one by default
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,
    /// The host to drain; the one with the most domains by default
    #[arg(long)]
    drain: Option<HostId>,
    /// Where plans and reports are written
    #[arg(long, value_name = "DIRECTORY", default_value = "whimbrel-demo")]
    report: PathBuf,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// One way to reach a goal, with what the planner's terms and the simulator say of it.
struct Candidate {
    name: &'static str,
    plan: Plan,
    terms: Vec<Term>,
    outcome: Outcome,
}

/// One way to reach a goal, as JSON has it.
#[derive(Debug, Serialize)]
struct CandidateJson {
    goal: String,
    name: &'static str,
    terms: std::collections::BTreeMap<String, f64>,
}

pub(super) fn run(common: &Common, own: &DemoArguments) -> Result<Ending, Failure> {
    let policy_file = own.data.join(POLICY_FILE);
    let policy = files::read_policy(common.policy.as_deref().or(Some(&policy_file)))?;
    let scene = Scene::recorded(&own.data, own.at, policy, common.model.as_deref())?;
    let snapshot = &scene.situation.snapshot;
    if common.output == Format::Table {
        say!(
            "{} as recorded at {}, with {} earlier migrations to learn from\n",
            own.data.display(),
            scene.situation.now,
            scene.history.len()
        );
        super::inventory::print(snapshot);
    }
    let drained = own.drain.clone().or_else(|| fullest(&scene)).ok_or_else(|| {
        Failure::invalid("the recording has no domains (hint: record some with make record)")
    })?;
    let mut answers = Vec::new();
    for (name, goal) in [("drain", Goal::drain(drained)), ("balance", Goal::Balance)] {
        let (proposal, candidates) = work_out(&scene, &goal, own.seed)?;
        let columns: Vec<ComparisonColumn> = candidates.iter().map(Candidate::column).collect();
        files::write(
            &own.report.join(format!("{name}.plan.toml")),
            files::plan_text(&proposal.plan)?.as_bytes(),
        )?;
        if common.output == Format::Table {
            say!("\n== {goal} ==");
            proposal::print(&proposal);
            say!("\n{}", comparison(&columns));
        }
        let outcome = &proposal.proof.outcome;
        let happened = (Happened::Simulated, &outcome.execution, &outcome.snapshot);
        write_report(
            &own.report.join(format!("{name}.html")),
            &scene,
            &proposal,
            happened,
            &columns,
        )?;
        answers.extend(columns.into_iter().zip(&candidates).map(|(column, candidate)| {
            CandidateJson {
                goal: goal.to_string(),
                name: candidate.name,
                terms: column.terms.into_iter().collect(),
            }
        }));
    }
    if common.output == Format::Json {
        print_json(&answers)?;
    }
    Ok(Ending::Done)
}

/// The host with the most domains, the first by name among equals.
fn fullest(scene: &Scene) -> Option<HostId> {
    let snapshot = &scene.situation.snapshot;
    let count = |host: &&HostId| snapshot.domains.iter().filter(|d| d.host == **host).count();
    snapshot.hosts.keys().rev().max_by_key(count).filter(|host| count(host) > 0).cloned()
}

fn work_out(scene: &Scene, goal: &Goal, seed: u64) -> Result<(Proposal, Vec<Candidate>), Failure> {
    let (advisor, situation) = (&scene.advisor, &scene.situation);
    let proposal = advisor.propose(situation, goal.clone(), seed)?;
    let greedy = advisor.planned_by(situation, goal.clone(), seed, baseline::greedy_by_load)?;
    let nothing = advisor.planned_by(situation, goal.clone(), seed, baseline::do_nothing)?;
    let plans =
        [("whimbrel", proposal.plan.clone()), ("greedy by load", greedy), ("do nothing", nothing)];
    let candidates = plans
        .into_iter()
        .map(|(name, plan)| {
            Ok(Candidate {
                name,
                terms: advisor.terms(&plan, situation)?,
                outcome: advisor.play_horizon(&plan, situation)?,
                plan,
            })
        })
        .collect::<Result<_, Failure>>()?;
    Ok((proposal, candidates))
}

impl Candidate {
    /// What the planner expects, then what the simulator saw over the policy's horizon.
    fn column(&self) -> ComparisonColumn {
        let mut terms: Vec<(String, f64)> =
            self.terms.iter().map(|term| (format!("planned_{}", term.name), term.after)).collect();
        let outcome = &self.outcome;
        let left = self.plan.moves().count() - outcome.arrived();
        let seconds = |span: Option<whimbrel_core::units::Span>| {
            span.map_or(0.0, whimbrel_core::units::Span::as_seconds_f64)
        };
        terms.extend([
            ("simulated_contention_core_seconds".to_owned(), outcome.contention_core_seconds()),
            ("simulated_moves_not_arrived".to_owned(), left as f64),
            ("simulated_makespan_seconds".to_owned(), seconds(outcome.makespan)),
            ("simulated_longest_downtime_seconds".to_owned(), seconds(outcome.longest_downtime())),
            ("simulated_sent_bytes".to_owned(), outcome.bytes_on_the_wire.as_f64()),
        ]);
        ComparisonColumn { name: self.name.to_owned(), terms }
    }
}

/// A row a term, a column a candidate.
fn comparison(columns: &[ComparisonColumn]) -> comfy_table::Table {
    let heads: Vec<String> = std::iter::once("lower is better".to_owned())
        .chain(columns.iter().map(|column| format!(">{}", column.name)))
        .collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let mut rows = table(&heads);
    let names = columns.first().map_or(&[][..], |column| &column.terms);
    for (index, (name, _)) in names.iter().enumerate() {
        let cells = columns.iter().map(|column| {
            column.terms.get(index).map_or_else(String::new, |(name, value)| figure(name, *value))
        });
        rows.add_row(std::iter::once(name.clone()).chain(cells));
    }
    rows
}

/// A term's value with as many digits as mean something.
fn figure(name: &str, value: f64) -> String {
    if name.ends_with("_bytes") {
        whimbrel_core::units::Bytes::new(value as u64).human()
    } else if value.abs() >= 100.0 || value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.3}")
    }
}
