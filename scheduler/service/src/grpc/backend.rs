//! What the gRPC server needs from the rest of the program, as one trait and a few values.
//!
//! The daemon implements [`Backend`] over the real controller, tests over a fake. Nothing in here
//! knows protocol buffers, and nothing decides: the server passes requests on as they came.

use tokio::sync::watch;
use whimbrel_core::{
    HostId, PlanId, Prediction, Snapshot, VmId,
    check::{Note, Problem, Severity},
    units::{Bytes, Share, Span},
};
use whimbrel_engine::Execution;
use whimbrel_planner::placing::{Batch, Capacity, CapacityRequest, NewVm, Placement, Rescue};

use super::question::{ExplainQuestion, Explained, PlanQuestion, Planned};
use crate::{
    Failure,
    advice::{Proof, Proposal, RescueQuestion},
    files,
};

/// The program behind the API. Calls may block and may come from several threads at once.
pub trait Backend: Send + Sync {
    /// What was last observed.
    ///
    /// # Errors
    /// [`Failure`] before the first observation.
    fn inventory(&self) -> Result<Snapshot, Failure>;

    /// What migrating `vm` would cost, ordered by host; without `to` for every host that is up and
    /// is not the VM's own.
    ///
    /// # Errors
    /// [`Failure`] when VM or host is not known, or no honest answer exists.
    fn predict(&self, vm: &VmId, to: Option<&HostId>)
    -> Result<Vec<(HostId, Prediction)>, Failure>;

    /// Makes, checks and simulates a plan. Changes no host.
    ///
    /// # Errors
    /// [`Failure`] when no plan can be made; a plan that the checker refuses is not an error.
    fn plan(&self, question: &PlanQuestion) -> Result<Planned, Failure>;

    /// Says why a plan moves or leaves VMs. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when there is no such plan or VM, or the plan is not of the cluster as it is.
    fn explain(&self, question: &ExplainQuestion) -> Result<Explained, Failure>;

    /// Finds hosts for new VMs. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when all are wanted and some find none, or the question makes no sense.
    fn place(&self, vms: &[NewVm], batch: Batch) -> Result<Placement, Failure>;

    /// Counts how many more VMs fit. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when the question makes no sense or no host is up.
    fn capacity(&self, request: &CapacityRequest) -> Result<Vec<Capacity>, Failure>;

    /// Finds hosts for the VMs of failed hosts. Changes nothing; VMs that find none are no error.
    ///
    /// # Errors
    /// [`Failure`] when no host has failed or none is left, or a host or VM is not there.
    fn rescue(&self, question: &RescueQuestion) -> Result<Rescue, Failure>;

    /// Checks the plan file `plan_text` and runs it in the simulator. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when the text is no plan; a plan that the checker refuses is not an error.
    fn simulate(&self, plan_text: &str, seed: u64) -> Result<Simulated, Failure>;

    /// Begins to execute the plan file `plan_text`; returns once that is in the journal. The same
    /// plan again, while it runs, is the same operation.
    ///
    /// # Errors
    /// [`Failure`] when the text is no plan, its digest is not `expected_digest` (all 64 digits),
    /// the checker refuses it, or another plan is being executed. Nothing was begun then.
    fn apply(&self, plan_text: &str, expected_digest: &str) -> Result<PlanId, Failure>;

    /// Asks for an operation to be given up. Does nothing once it has ended.
    ///
    /// # Errors
    /// [`Failure`] when it is not known.
    fn cancel(&self, id: &PlanId) -> Result<(), Failure>;

    /// All operations that are known, oldest first.
    ///
    /// # Errors
    /// [`Failure`] when their records cannot be read.
    fn operations(&self) -> Result<Vec<Execution>, Failure>;

    /// What keeps plans from being executed; `None` while nothing does. The sender goes away when
    /// nobody is left who could execute one.
    fn fault(&self) -> watch::Receiver<Option<String>>;

    /// The present state of an operation and every change of it. The sender may go away; the last
    /// value then stands.
    ///
    /// # Errors
    /// [`Failure`] when it is not known.
    fn watch(&self, id: &PlanId) -> Result<watch::Receiver<Execution>, Failure>;
}

/// What was found out about a plan that somebody else made.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// What the checker found on the present snapshot; it may run when none is fatal.
    pub findings: Vec<Finding>,
    /// How it went in the simulator.
    pub simulation: SimulationSummary,
}

impl TryFrom<&Proposal> for Planned {
    type Error = Failure;

    fn try_from(proposal: &Proposal) -> Result<Self, Failure> {
        Ok(Self {
            text: files::plan_text(&proposal.plan)?,
            plan: proposal.plan.clone(),
            findings: proposal.notes.iter().map(Finding::from).collect(),
            simulation: SimulationSummary::from(&proposal.proof),
            standing: Vec::new(),
            previous: None,
        })
    }
}

/// A note of the checker in the form that travels: text, with a stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it forbids the plan.
    pub severity: Severity,
    /// The VM, host or part of the plan that it is about.
    pub subject: String,
    /// Stable name of the problem.
    pub code: String,
    /// The problem for people.
    pub text: String,
}

impl From<&Note> for Finding {
    fn from(note: &Note) -> Self {
        Self {
            severity: note.severity(),
            subject: note.subject.clone(),
            code: code(&note.problem).to_owned(),
            text: note.problem.to_string(),
        }
    }
}

fn code(problem: &Problem) -> &'static str {
    match problem {
        Problem::OtherPolicy => "other-policy",
        Problem::Stale { .. } => "stale",
        Problem::UnknownDomain => "unknown-domain",
        Problem::OtherMachine { .. } => "other-machine",
        Problem::NotAtSource { .. } => "not-at-source",
        Problem::AlreadyMigrating => "already-migrating",
        Problem::NotRunning { .. } => "not-running",
        Problem::GoesNowhere => "goes-nowhere",
        Problem::DoesNotWaitForItself => "does-not-wait-for-itself",
        Problem::WaitsForLater => "waits-for-later",
        Problem::NoneAtOnce => "none-at-once",
        Problem::UnknownHost { .. } => "unknown-host",
        Problem::TargetNotUp { .. } => "target-not-up",
        Problem::Settings { .. } => "settings",
        Problem::WouldStall { .. } => "would-stall",
        Problem::TooManyAtHost { .. } => "too-many-at-host",
        Problem::TooManyAtOnce { .. } => "too-many-at-once",
        Problem::MemoryOver { .. } => "memory-over",
        Problem::VcpusOver { .. } => "vcpus-over",
        Problem::BreaksRule { .. } => "breaks-rule",
        Problem::Lacks { .. } => "lacks",
        Problem::BudgetAtOnce { .. } => "budget-at-once",
        Problem::BudgetMoves { .. } => "budget-moves",
        Problem::OutsideWindow { .. } => "outside-window",
        Problem::OverWindow { .. } => "over-window",
        Problem::PreferenceBrokenAtEnd { .. } => "preference-broken-at-end",
        Problem::RuleBrokenAtEnd { .. } => "rule-broken-at-end",
        Problem::TooManyMoves { .. } => "too-many-moves",
        Problem::NotDrained { .. } => "not-drained",
        Problem::NotRestored { .. } => "not-restored",
        Problem::NotEmpty { .. } => "not-empty",
        Problem::ReserveBroken { .. } => "reserve-broken",
    }
}

/// How a plan went in the simulator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SimulationSummary {
    /// Seed of everything that was drawn.
    pub seed: u64,
    /// Moves in the plan.
    pub moves: u32,
    /// Moves that arrived.
    pub arrived: u32,
    /// From first begin to last end.
    pub makespan: Span,
    /// Over all moves, on the wire.
    pub transferred: Bytes,
    /// The longest that any VM's vCPUs were stopped.
    pub downtime_max: Span,
    /// Invariants that were broken on the way, for people; empty is the only good value.
    pub violations: Vec<String>,
    /// Simulations that were run, this one included, each under a seed of its own.
    pub runs: u32,
    /// Those of them in which every move arrived.
    pub runs_succeeded: u32,
    /// Those of them in which an invariant was broken; 0 is the only good value.
    pub runs_violated: u32,
}

impl From<&Proof> for SimulationSummary {
    fn from(proof: &Proof) -> Self {
        let Proof { outcome, bands } = proof;
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let part = |share: Share| (share.get() * bands.runs as f64).round() as u32;
        Self {
            seed: outcome.seed,
            moves: count(outcome.execution.moves.len()),
            arrived: count(outcome.arrived()),
            makespan: outcome.makespan.unwrap_or_default(),
            transferred: outcome.bytes_on_the_wire,
            downtime_max: outcome.longest_downtime().unwrap_or_default(),
            violations: outcome
                .violations
                .iter()
                .map(|violation| format!("{} at {}", violation.breach, violation.at))
                .collect(),
            runs: count(bands.runs),
            runs_succeeded: part(bands.succeeded),
            runs_violated: part(bands.violated),
        }
    }
}

impl SimulationSummary {
    /// Whether nothing happened in any run that must never happen.
    pub fn passes(&self) -> bool {
        self.runs_violated == 0 && self.violations.is_empty()
    }
}
