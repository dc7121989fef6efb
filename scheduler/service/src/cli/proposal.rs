//! A plan with what checker and simulator say of it, on the terminal.

use serde::Serialize;
use whimbrel_core::{
    Plan,
    check::{Note, Severity},
    units::Span,
};
use whimbrel_planner::Explanation;
use whimbrel_simulator::Bands;

use super::table::{band, table};
use crate::advice::{Proof, Proposal};

/// A proposal, as JSON has it.
#[derive(Debug, Serialize)]
pub(super) struct ProposalJson<'a> {
    id: String,
    may_run: bool,
    notes: Vec<NoteJson>,
    simulation: &'a Bands,
    violations: &'a [whimbrel_simulator::Violation],
    plan: &'a Plan,
    /// Of VMs that were asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    explanations: Vec<Explanation>,
}

/// A note of the checker, as JSON has it and as it is printed.
#[derive(Debug, Serialize)]
pub(super) struct NoteJson {
    pub(super) fatal: bool,
    pub(super) subject: String,
    pub(super) text: String,
}

impl From<&Note> for NoteJson {
    fn from(note: &Note) -> Self {
        Self {
            fatal: note.severity() == Severity::Fatal,
            subject: note.subject.clone(),
            text: note.problem.to_string(),
        }
    }
}

impl<'a> ProposalJson<'a> {
    pub(super) fn of(proposal: &'a Proposal) -> Self {
        Self {
            id: proposal.plan.id().to_string(),
            may_run: proposal.may_run(),
            notes: proposal.notes.iter().map(NoteJson::from).collect(),
            simulation: &proposal.proof.bands,
            violations: &proposal.proof.outcome.violations,
            plan: &proposal.plan,
            explanations: Vec::new(),
        }
    }

    /// With `explanations` of its plan.
    pub(super) fn explained(self, explanations: Vec<Explanation>) -> Self {
        Self { explanations, ..self }
    }
}

/// Prints all of it.
pub(super) fn print(proposal: &Proposal) {
    print_plan(&proposal.plan);
    print_notes(&proposal.notes.iter().map(NoteJson::from).collect::<Vec<_>>());
    print_proof(&proposal.proof);
}

/// Prints moves, what stays, and the objective's terms.
pub(super) fn print_plan(plan: &Plan) {
    let found = match plan.report.gap {
        Some(gap) => {
            format!("{}, within {:.1} % of the optimum", plan.report.found_by, gap * 100.0)
        }
        None => plan.report.found_by.clone(),
    };
    say!("plan {}: {} ({found})", plan.id(), plan.goal);
    if plan.is_empty() {
        say!("nothing to do");
    } else {
        let heads = [
            ">begins",
            "domain",
            "from",
            "to",
            ">time",
            "5 % .. 95 %",
            ">sent",
            ">downtime",
            "why",
        ];
        let mut rows = table(&heads);
        for one in &plan.moves {
            let p = &one.predicted;
            rows.add_row([
                one.begins.human(),
                one.vm.to_string(),
                one.from.to_string(),
                one.to.to_string(),
                p.total_time.p50.human(),
                band(&p.total_time, Span::human),
                p.transferred.p50.human(),
                p.downtime.p50.human(),
                one.why(),
            ]);
        }
        say!("{rows}");
        let makespan = plan.report.makespan.human();
        let sharing = match plan.at_once.sharing_max() {
            1 => String::new(),
            _ if plan.moves.len() == 1 => String::new(),
            most => format!(", with up to {most} migrations on a host at one time"),
        };
        say!("predicted from first begin to last end: {makespan}{sharing}");
    }
    for remark in &plan.report.remarks {
        say!("{}{remark}", if remark.warns() { "WARNING: " } else { "" });
    }
    for stay in &plan.stays {
        say!("stays: {}: {}", stay.vm, stay.reason);
    }
}

/// Prints what the checker found.
pub(super) fn print_notes(notes: &[NoteJson]) {
    if notes.is_empty() {
        say!("checker: nothing against it");
    }
    for NoteJson { fatal, subject, text } in notes {
        say!("checker: {}: {subject}: {text}", if *fatal { "NO" } else { "note" });
    }
}

/// Prints what the simulator found.
pub(super) fn print_proof(proof: &Proof) {
    let bands = &proof.bands;
    say!(
        "simulator: {} runs, every move arrived in {:.0} % of them",
        bands.runs,
        bands.succeeded.get() * 100.0
    );
    if let (Some(makespan), Some(downtime), Some(bytes)) =
        (bands.makespan, bands.longest_downtime, bands.bytes_on_the_wire)
    {
        say!(
            "simulator: from begin to end {} (95 %: {}), longest downtime {} (95 %: {}), {} sent",
            makespan.median.human(),
            makespan.p95.human(),
            downtime.median.human(),
            downtime.p95.human(),
            bytes.median.human()
        );
    }
    for violation in &proof.outcome.violations {
        say!("simulator: NO: {} at {}", violation.breach, violation.at);
    }
}
