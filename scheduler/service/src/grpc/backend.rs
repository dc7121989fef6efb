//! What the gRPC server needs from the rest of the program, as one trait and a few values.
//!
//! The daemon implements [`Backend`] over the real controller, tests over a fake. Nothing in here
//! knows protocol buffers, and nothing decides: the server passes requests on as they came.

use tokio::sync::watch;
use whimbrel_core::{
    Goal, HostId, Plan, PlanId, Prediction, Snapshot, VmId,
    check::{Note, Problem, Severity},
    units::{Bytes, Span},
};
use whimbrel_engine::Execution;

use crate::Failure;

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

    /// Makes, checks and simulates a plan. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when no plan can be made; a plan that the checker refuses is not an error.
    fn plan(&self, goal: &Goal, seed: u64) -> Result<Planned, Failure>;

    /// Runs the plan file `plan_text` in the simulator. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when the text is no plan, or not one for this cluster.
    fn simulate(&self, plan_text: &str, seed: u64) -> Result<SimulationSummary, Failure>;

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

    /// The present state of an operation and every change of it. The sender may go away; the last
    /// value then stands.
    ///
    /// # Errors
    /// [`Failure`] when it is not known.
    fn watch(&self, id: &PlanId) -> Result<watch::Receiver<Execution>, Failure>;
}

/// A plan with all that was found out about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The same as its exact file.
    pub text: String,
    /// What the checker found; it may run when none is fatal.
    pub findings: Vec<Finding>,
    /// How it went in the simulator.
    pub simulation: SimulationSummary,
}

/// A note of the checker in the form that travels: text, with a stable code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether it forbids the plan.
    pub severity: Severity,
    /// The VM, host or wave that it is about.
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
        Problem::MovedTwiceInWave => "moved-twice-in-wave",
        Problem::UnknownHost { .. } => "unknown-host",
        Problem::TargetNotUp { .. } => "target-not-up",
        Problem::WouldStall { .. } => "would-stall",
        Problem::TooManyAtHost { .. } => "too-many-at-host",
        Problem::TooManyAtOnce { .. } => "too-many-at-once",
        Problem::MemoryOver { .. } => "memory-over",
        Problem::VcpusOver { .. } => "vcpus-over",
        Problem::BreaksRule { .. } => "breaks-rule",
        Problem::RuleBrokenAtEnd { .. } => "rule-broken-at-end",
        Problem::TooManyMoves { .. } => "too-many-moves",
        Problem::NotDrained { .. } => "not-drained",
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
    /// Invariants that were broken on the way, for people; empty is good.
    pub violations: Vec<String>,
}
