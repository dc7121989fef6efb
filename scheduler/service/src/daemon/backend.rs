//! The daemon's answers to the API.
//!
//! Questions are answered from the board on the caller's thread. A plan that is to be executed is
//! proven here, because that takes long, and handed to the engine's thread, which checks it again
//! on what it sees at that moment. Decides nothing that the local command line would not.

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use tokio::sync::watch;
use whimbrel_core::{
    HostId, Plan, PlanId, Prediction, Snapshot, VmId,
    check::{Note, Severity, passes},
};
use whimbrel_engine::Execution;
use whimbrel_planner::placing::{
    self, Batch, Capacity, CapacityRequest, NewVm, Placement, Rescue, Room,
};

use super::{Board, Command, Past, Reply};
use crate::{
    Failure, FailureKind,
    advice::{RescueQuestion, Situation},
    files,
    grpc::{
        Backend, ExplainQuestion, Explained, Finding, PlanQuestion, Planned, Simulated,
        SimulationSummary,
    },
};

/// Time that the engine's thread has to take a command: it may have to wait for a disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// An observation that was put up longer ago than this says that the engine's thread hangs.
const PUT_UP_WITHIN: Duration = Duration::from_secs(30);
/// Seed of what predictions draw; the API has none for them.
const PREDICTION_SEED: u64 = 1;

/// A handle to the engine's thread and its board.
pub struct Handle {
    pub(super) board: Arc<Board>,
    past: Arc<Past>,
    commands: mpsc::Sender<Command>,
    fault: watch::Receiver<Option<String>>,
}

impl Handle {
    pub(super) fn new(
        board: Arc<Board>,
        past: Arc<Past>,
        commands: mpsc::Sender<Command>,
        fault: watch::Receiver<Option<String>>,
    ) -> Self {
        Self { board, past, commands, fault }
    }

    /// Tells the engine's thread to end. What is under way goes on without it.
    pub fn stop(&self) {
        // An error says that it has ended.
        let _ = self.commands.send(Command::Stop);
    }

    /// What was observed last.
    ///
    /// # Errors
    /// [`Failure`] before the first observation, and when the last one is too long ago.
    pub(super) fn snapshot(&self) -> Result<Arc<Snapshot>, Failure> {
        let seen = self.board.seen().ok_or_else(|| {
            Failure::unavailable("nothing was observed yet (hint: try again in a second)")
        })?;
        let age = seen.put_up.elapsed();
        if age > PUT_UP_WITHIN {
            return Err(Failure::unavailable(format!(
                "the engine's thread has observed nothing for {} s, the limit is {} s \
                 (hint: see the daemon's log; a disk may hang)",
                age.as_secs(),
                PUT_UP_WITHIN.as_secs()
            )));
        }
        Ok(seen.snapshot)
    }

    pub(super) fn situation(&self) -> Result<Situation, Failure> {
        Ok(self.past.situation(&*self.snapshot()?))
    }

    /// What is free on every host now, under the policy that holds now.
    fn room(&self) -> Result<Room, Failure> {
        Room::new(&*self.snapshot()?, self.board.advisor().policy()).map_err(Failure::invalid)
    }

    /// What must hold before the engine's thread is bothered, as for the local `apply`.
    fn gate(&self, plan: &Plan) -> Result<(), Failure> {
        let (id, advisor, situation) = (plan.id(), self.board.advisor(), self.situation()?);
        refuse_fatal(&id, &advisor.check(plan, &situation)?)?;
        let proof = advisor.prove(plan, &situation)?;
        if proof.passes() {
            return Ok(());
        }
        let simulation = SimulationSummary::from(&proof);
        Err(Failure::conflict(format!(
            "plan {id} breaks an invariant in {} of {} simulations: {} (hint: plan again)",
            simulation.runs_violated,
            simulation.runs,
            simulation.violations.join("; ")
        )))
    }

    pub(super) fn ask(&self, command: impl FnOnce(Reply) -> Command) -> Result<(), Failure> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.commands.send(command(reply)).map_err(|_| stopping())?;
        match answer.recv_timeout(ANSWER_WITHIN) {
            Ok(answered) => answered,
            Err(mpsc::RecvTimeoutError::Disconnected) => Err(stopping()),
            Err(mpsc::RecvTimeoutError::Timeout) => Err(Failure::unavailable(format!(
                "the engine's thread did not answer within {} s \
                 (hint: it may still do what was asked; list the operations)",
                ANSWER_WITHIN.as_secs()
            ))),
        }
    }
}

impl Backend for Handle {
    fn inventory(&self) -> Result<Snapshot, Failure> {
        Ok((*self.snapshot()?).clone())
    }

    fn predict(
        &self,
        vm: &VmId,
        to: Option<&HostId>,
    ) -> Result<Vec<(HostId, Prediction)>, Failure> {
        self.board.advisor().predict(&self.situation()?, vm, to, PREDICTION_SEED)
    }

    fn plan(&self, question: &PlanQuestion) -> Result<Planned, Failure> {
        self.planned(question)
    }

    fn explain(&self, question: &ExplainQuestion) -> Result<Explained, Failure> {
        self.explained(question)
    }

    fn rescue(&self, question: &RescueQuestion) -> Result<Rescue, Failure> {
        self.board.advisor().rescue(&*self.snapshot()?, question)
    }

    fn place(&self, vms: &[NewVm], batch: Batch) -> Result<Placement, Failure> {
        placing::place(&self.room()?, vms, batch).map_err(Failure::from)
    }

    fn capacity(&self, request: &CapacityRequest) -> Result<Vec<Capacity>, Failure> {
        placing::capacity(&self.room()?, request).map_err(Failure::from)
    }

    fn simulate(&self, plan_text: &str, seed: u64) -> Result<Simulated, Failure> {
        let plan = files::parse_plan(plan_text)?;
        let (advisor, situation) = (self.board.advisor(), self.situation()?);
        let notes = advisor.check(&plan, &situation)?;
        let proof = advisor.prove_from(&plan, &situation, seed)?;
        Ok(Simulated {
            findings: notes.iter().map(Finding::from).collect(),
            simulation: SimulationSummary::from(&proof),
        })
    }

    fn apply(&self, plan_text: &str, expected_digest: &str) -> Result<PlanId, Failure> {
        let plan = files::parse_plan(plan_text)?;
        if !plan.digest.as_str().eq_ignore_ascii_case(expected_digest) {
            return Err(Failure::conflict(format!(
                "the text is of plan {}, and the digest that was approved is {expected_digest} \
                 (hint: read the plan again, then send its own digest)",
                plan.digest
            )));
        }
        let id = plan.id();
        match self.board.executing() {
            Some(executing) if executing == id => return Ok(id),
            Some(executing) => return Err(beside(&executing, "under execution")),
            None => self.gate(&plan)?,
        }
        self.ask(|reply| Command::Start { plan: Box::new(plan), reply })?;
        Ok(id)
    }

    fn cancel(&self, id: &PlanId) -> Result<(), Failure> {
        self.ask(|reply| Command::Cancel { id: id.clone(), reply })
    }

    fn operations(&self) -> Result<Vec<Execution>, Failure> {
        Ok(self.board.executions())
    }

    fn fault(&self) -> watch::Receiver<Option<String>> {
        self.fault.clone()
    }

    fn watch(&self, id: &PlanId) -> Result<watch::Receiver<Execution>, Failure> {
        self.board.watch(id).ok_or_else(|| unknown(id))
    }
}

/// Refuses plan `id` when one of the checker's `notes` forbids it.
pub(super) fn refuse_fatal(id: &PlanId, notes: &[Note]) -> Result<(), Failure> {
    if passes(notes) {
        return Ok(());
    }
    let fatal: Vec<String> = notes
        .iter()
        .filter(|note| note.severity() == Severity::Fatal)
        .map(ToString::to_string)
        .collect();
    let mut failure =
        Failure::conflict(format!("the checker refuses plan {id}: {}", fatal.join("; ")));
    failure.hint.get_or_insert_with(|| "plan again".to_owned());
    Err(failure)
}

/// Why a second plan is not begun.
pub(super) fn beside(executing: &PlanId, what: &str) -> Failure {
    Failure::conflict(format!(
        "plan {executing} ({what}) has not ended, and one plan is executed at a time \
         (hint: watch it to its end, or cancel it)"
    ))
}

/// Nobody knows an operation of this name.
pub(super) fn unknown(id: &PlanId) -> Failure {
    Failure::not_found(format!("operation {id} is not known (hint: list the operations)"))
}

fn stopping() -> Failure {
    Failure::new(
        FailureKind::Unavailable,
        "the daemon is stopping (hint: try again once it is back; what it began goes on)",
    )
}
