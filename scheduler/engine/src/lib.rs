//! Executes a plan, synchronously, against whatever implements the [`Cluster`] port.
//!
//! Who calls it: a loop that calls [`Engine::tick`] every so often: on a thread of its own in the
//! program, between events in the simulator, step by step in a test. Each tick observes once,
//! moves every migration that is under way along its states by what was *seen*, and begins what
//! the plan says comes next.
//!
//! After a crash [`Engine::recover`] rebuilds the same value from the journal, and the next ticks
//! decide from journal and observation together: a job that still runs is adopted, a machine at
//! its target is finished, a machine at its source without a job has failed, and whatever fits
//! none of these is put aside for a human.
//!
//! Never here: a choice of target or setting (the plan made it), a retry under other settings, a
//! clock other than [`Cluster::now`], or any act that destroys a domain.

use whimbrel_core::{
    Cluster, Plan, Snapshot,
    ids::{HostId, VmId},
    migration::MoveState,
    ports::{Entry, Journal, JournalError, Order, Record},
    units::{Share, Span, Timestamp},
};

mod admit;
mod begin;
mod judge;
mod recover;
mod run;
mod view;

#[cfg(test)]
mod tests;

pub use admit::Denial;
pub use recover::RecoverError;
pub use view::{Execution, MoveView};

use judge::Verdict;
use run::MoveRun;

/// A cancellation that shows no effect is asked for again after this.
const CANCEL_AGAIN_AFTER: Span = Span::from_seconds(5);

/// How patient the engine is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineSettings {
    /// A host whose last answer is older than this begins nothing. A program that has just started
    /// looks for this long before it gives a move up. Range: above the collection period.
    pub freshness: Span,
    /// Two hosts are not read at one instant: a conclusion from both must hold this long, with
    /// readings from after it, before it counts.
    pub doubt: Span,
    /// A machine that is seen alive nowhere is given this long to turn up.
    pub lost: Span,
    /// Part of each target's memory that stays free of guests.
    pub memory_reserve: Share,
    /// vCPUs that one core of a target may carry; not looked at when absent. Range: above 0.
    pub cpu_overcommit: Option<f64>,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            freshness: Span::from_seconds(15),
            doubt: Span::from_millis(1500),
            lost: Span::from_seconds(30),
            memory_reserve: Share::ZERO,
            cpu_overcommit: None,
        }
    }
}

/// One plan being executed.
#[derive(Debug, Clone)]
pub struct Engine {
    plan: Plan,
    settings: EngineSettings,
    runs: Vec<MoveRun>,
    accepted_at: Timestamp,
    cancelled: bool,
    ended: bool,
}

impl Engine {
    /// Takes `plan` on: from here on the journal knows it.
    ///
    /// The caller has checked the plan; the engine looks again at each move before it begins it.
    ///
    /// # Errors
    /// [`JournalError`]; then nothing was begun and nothing will be.
    pub fn start(
        plan: Plan,
        settings: EngineSettings,
        now: Timestamp,
        journal: &mut dyn Journal,
    ) -> Result<Self, JournalError> {
        let entry = Entry::PlanAccepted { plan: Box::new(plan.clone()) };
        journal.append(&Record { at: now, entry })?;
        Ok(Self::fresh(plan, settings, now))
    }

    fn fresh(plan: Plan, settings: EngineSettings, accepted_at: Timestamp) -> Self {
        let runs = MoveRun::of(&plan);
        Self { plan, settings, runs, accepted_at, cancelled: false, ended: false }
    }

    /// Observes once and takes every step that the observation allows.
    ///
    /// # Errors
    /// [`JournalError`]: nothing is begun whose intent could not be written. The engine may be
    /// ticked again once the journal works.
    pub fn tick(
        &mut self,
        cluster: &mut dyn Cluster,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        if self.ended {
            return Ok(());
        }
        let snapshot = cluster.observe();
        let now = cluster.now();
        for index in 0..self.runs.len() {
            if self.runs[index].state.is_under_way() {
                self.follow(index, &snapshot, now, cluster, journal)?;
            }
        }
        self.skip_what_cannot_come(now, journal)?;
        if !self.cancelled {
            self.begin_ready(&snapshot, now, cluster, journal)?;
        }
        if self.runs.iter().all(|run| run.state.is_final()) {
            journal.append(&Record { at: now, entry: Entry::PlanEnded })?;
            self.ended = true;
        }
        Ok(())
    }

    /// Gives the plan up: begins nothing more and cancels what can still be cancelled. Machines
    /// that already switched over arrive. Repeatable.
    ///
    /// # Errors
    /// [`JournalError`].
    pub fn cancel(
        &mut self,
        now: Timestamp,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        if !self.cancelled && !self.ended {
            journal.append(&Record { at: now, entry: Entry::PlanCancelled })?;
            self.cancelled = true;
        }
        Ok(())
    }

    /// Whether every move has ended.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// The plan under execution.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How it stands, for people and records.
    pub fn execution(&self) -> Execution {
        Execution::of(&self.plan, &self.runs, self.cancelled, self.ended)
    }

    /// Orders that the world was or may have been asked for and that have not ended.
    pub fn under_way(&self) -> impl Iterator<Item = &Order> {
        self.runs.iter().filter(|run| run.state.is_under_way()).map(|run| &run.order)
    }

    /// Follows one move by what was observed; asks for its cancellation when it is due.
    fn follow(
        &mut self,
        index: usize,
        snapshot: &Snapshot,
        now: Timestamp,
        cluster: &mut dyn Cluster,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        let run = &mut self.runs[index];
        let verdict = judge::judge(
            &run.order,
            run.state,
            run.cancel_asked_at.is_some(),
            snapshot,
            &self.settings,
        );
        if !matches!(verdict, Verdict::Doubt(_)) {
            run.doubt = None;
        }
        match verdict {
            Verdict::Wait => {}
            Verdict::Copying(progress) => {
                run.progress = Some(progress);
                run.become_state(MoveState::Copying, String::new(), now, journal)?;
            }
            Verdict::Arrived => {
                run.become_state(MoveState::Arrived, String::new(), now, journal)?;
            }
            Verdict::Settled(stats) => {
                run.stats = stats;
                run.become_state(MoveState::Settled, String::new(), now, journal)?;
            }
            Verdict::Doubt(doubt) => {
                if let Some((state, detail)) =
                    run.doubted(doubt, self.settings.freshness, snapshot, now)
                {
                    run.become_state(state, detail, now, journal)?;
                }
            }
        }
        self.cancel_what_is_due(index, snapshot, now, cluster);
        Ok(())
    }

    /// Asks for a move's cancellation when it is overdue or the plan was given up, and asks again
    /// while it goes on: whoever was asked may have been deaf. A machine that was switched to
    /// post-copy lives at both ends: its cancellation would destroy it and is never asked for.
    fn cancel_what_is_due(
        &mut self,
        index: usize,
        snapshot: &Snapshot,
        now: Timestamp,
        cluster: &mut dyn Cluster,
    ) {
        let run = &mut self.runs[index];
        let overdue = now > run.order.deadline;
        let cancellable = run.state.is_under_way() && run.state != MoveState::Arrived;
        let lately = run.cancel_asked_at.is_some_and(|at| now.since(at) < CANCEL_AGAIN_AFTER);
        if !cancellable || lately || !(self.cancelled || overdue) {
            return;
        }
        let why = if overdue { "its time-out passed" } else { "cancelled on request" };
        if judge::has_switched(&run.order, snapshot) {
            run.detail = format!("{why}; it runs at its target, and the rest of it must follow");
            return;
        }
        run.cancel_asked_at = Some(now);
        // A refusal means that it is too late or that nobody can be asked: what happened will be
        // seen.
        run.detail = match cluster.cancel(&run.order.id) {
            Ok(()) => why.to_owned(),
            Err(refusal) => format!("{why}; {refusal}"),
        };
    }

    /// Skips moves whose turn cannot come: the plan was given up, a move that they wait for did not
    /// arrive and with it the room that the plan counted on, or nobody knows what became of a move
    /// at one of their hosts. Others go on.
    fn skip_what_cannot_come(
        &mut self,
        now: Timestamp,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        let unknown = |run: &&MoveRun| run.state == MoveState::Unknown;
        let unknown: Vec<Order> =
            self.runs.iter().filter(unknown).map(|run| run.order.clone()).collect();
        // What a move waits for comes before it, so that one walk also finds who waits for the
        // skipped.
        for index in 0..self.runs.len() {
            if self.runs[index].state != MoveState::Planned {
                continue;
            }
            let detail = if self.cancelled {
                "the plan was cancelled".to_owned()
            } else if let Some(broken) = self.broken_before(index) {
                format!("{} did not arrive before it (hint: plan again)", broken.order.vm)
            } else if let Some((vm, host)) = at_its_hosts(&unknown, &self.runs[index].order) {
                format!("nobody knows what became of {vm} at {host} (hint: find out, plan again)")
            } else {
                continue;
            };
            self.runs[index].become_state(MoveState::Skipped, detail, now, journal)?;
        }
        Ok(())
    }

    /// A move that the one at `index` waits for and that ended without arriving.
    fn broken_before(&self, index: usize) -> Option<&MoveRun> {
        let before = self.runs[index].after.iter().filter_map(|&one| self.runs.get(one as usize));
        before.into_iter().find(|run| run.state.is_final() && run.state != MoveState::Settled)
    }
}

/// The VM of one of `orders` with a host that `order` touches too, and that host.
fn at_its_hosts<'a>(orders: &'a [Order], order: &Order) -> Option<(&'a VmId, &'a HostId)> {
    orders.iter().find_map(|one| {
        let mut hosts = [&one.from, &one.to].into_iter();
        let shared = hosts.find(|host| **host == order.from || **host == order.to);
        shared.map(|host| (&one.vm, host))
    })
}
