//! A plan with what the API tells of it, on the terminal or as JSON with the keys of the local answer.

use serde::Serialize;
use whimbrel_core::{Plan, PlanId, check::Severity};
use whimbrel_planner::Explanation;

use crate::{
    Failure,
    cli::{
        Format, print_json,
        proposal::{self, NoteJson},
    },
    grpc::{Finding, Simulated, SimulationSummary},
};

/// A plan with all that the API tells of it.
pub(super) struct Told<'a> {
    pub(super) plan: &'a Plan,
    pub(super) simulated: &'a Simulated,
    /// What the plan was made with.
    pub(super) previous: Option<PlanId>,
    /// Of VMs that were asked about.
    pub(super) explanations: &'a [Explanation],
}

impl<'a> Told<'a> {
    /// What checker and simulator say of `plan`, and nothing else.
    pub(super) fn of(plan: &'a Plan, simulated: &'a Simulated) -> Self {
        Self { plan, simulated, previous: None, explanations: &[] }
    }
}

/// A proposal as the API tells it; the keys are those of the local answer.
#[derive(Debug, Serialize)]
struct ToldJson<'a> {
    id: String,
    may_run: bool,
    notes: Vec<NoteJson>,
    simulation: SummaryJson,
    violations: &'a [String],
    plan: &'a Plan,
    /// What the plan was made with, where there was any.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<&'a PlanId>,
    /// Of VMs that were asked about.
    #[serde(skip_serializing_if = "<[Explanation]>::is_empty")]
    explanations: &'a [Explanation],
}

/// What the API tells of the simulations.
#[derive(Debug, Serialize)]
struct SummaryJson {
    seed: u64,
    runs: u32,
    runs_succeeded: u32,
    runs_violated: u32,
    makespan: whimbrel_core::units::Span,
    longest_downtime: whimbrel_core::units::Span,
    bytes_on_the_wire: whimbrel_core::units::Bytes,
}

/// Whether checker and simulator let it pass.
pub(super) fn may_run(told: &Simulated) -> bool {
    told.findings.iter().all(|one| one.severity != Severity::Fatal) && told.simulation.passes()
}

/// Prints it in the form that was asked for.
pub(super) fn show(format: Format, told: &Told<'_>) -> Result<(), Failure> {
    let Told { plan, simulated: Simulated { findings, simulation }, .. } = told;
    let notes: Vec<NoteJson> = findings.iter().map(NoteJson::from).collect();
    match format {
        Format::Table => {
            proposal::print_plan(plan);
            if let Some(previous) = &told.previous {
                say!(
                    "planned before: {previous}, kept to where that is nearly the best (--anew does not)"
                );
            }
            proposal::print_notes(&notes);
            print_simulation(simulation);
            Ok(())
        }
        Format::Json => print_json(&ToldJson {
            id: plan.id().to_string(),
            may_run: may_run(told.simulated),
            notes,
            simulation: SummaryJson::from(simulation),
            violations: &simulation.violations,
            plan,
            previous: told.previous.as_ref(),
            explanations: told.explanations,
        }),
    }
}

fn print_simulation(simulation: &SimulationSummary) {
    let share = f64::from(simulation.runs_succeeded) / f64::from(simulation.runs.max(1));
    say!(
        "simulator: {} runs, every move arrived in {:.0} % of them",
        simulation.runs,
        share * 100.0
    );
    say!(
        "simulator: from begin to end {}, longest downtime {}, {} sent",
        simulation.makespan.human(),
        simulation.downtime_max.human(),
        simulation.transferred.human()
    );
    for violation in &simulation.violations {
        say!("simulator: NO: {violation}");
    }
    if simulation.violations.is_empty() && simulation.runs_violated > 0 {
        say!("simulator: NO: an invariant was broken in {} runs", simulation.runs_violated);
    }
}

impl From<&Finding> for NoteJson {
    fn from(finding: &Finding) -> Self {
        Self {
            fatal: finding.severity == Severity::Fatal,
            subject: finding.subject.clone(),
            text: finding.text.clone(),
        }
    }
}

impl From<&SimulationSummary> for SummaryJson {
    fn from(summary: &SimulationSummary) -> Self {
        Self {
            seed: summary.seed,
            runs: summary.runs,
            runs_succeeded: summary.runs_succeeded,
            runs_violated: summary.runs_violated,
            makespan: summary.makespan,
            longest_downtime: summary.downtime_max,
            bytes_on_the_wire: summary.transferred,
        }
    }
}
