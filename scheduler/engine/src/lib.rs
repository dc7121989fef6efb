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

use std::collections::BTreeMap;

use whimbrel_core::{
    Cluster, Plan, Snapshot,
    ids::HostId,
    migration::MoveState,
    ports::{Entry, Journal, JournalError, Order, Record},
    units::{Share, Span, Timestamp},
};

mod admit;
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
use run::{Before, MoveRun};

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
            self.begin_wave(&snapshot, now, cluster, journal)?;
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

    /// Skips moves whose turn cannot come: the plan was given up, or a move before them did not
    /// arrive and with it the room and the order that the plan counted on.
    fn skip_what_cannot_come(
        &mut self,
        now: Timestamp,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        let broken = self
            .runs
            .iter()
            .find(|run| run.state.is_final() && run.state != MoveState::Settled)
            .map(|run| (run.wave, run.order.vm.clone()));
        for run in self.runs.iter_mut().filter(|run| run.state == MoveState::Planned) {
            let detail = match &broken {
                _ if self.cancelled => "the plan was cancelled".to_owned(),
                Some((wave, vm)) if run.wave > *wave => {
                    format!("{vm} did not arrive before it (hint: plan again)")
                }
                _ => continue,
            };
            run.become_state(MoveState::Skipped, detail, now, journal)?;
        }
        Ok(())
    }

    /// Begins the planned moves of the first wave that has not ended.
    fn begin_wave(
        &mut self,
        snapshot: &Snapshot,
        now: Timestamp,
        cluster: &mut dyn Cluster,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        let Some(wave) = self.runs.iter().filter(|run| !run.state.is_final()).map(|r| r.wave).min()
        else {
            return Ok(());
        };
        let (turn, freshness) = (self.turn_of(wave), self.settings.freshness);
        let sharing = self.sharing(wave);
        for index in 0..self.runs.len() {
            let run = &self.runs[index];
            if run.wave != wave || run.state != MoveState::Planned {
                continue;
            }
            let Order { from, to, .. } = &run.order;
            let coming = self.on_its_way(to);
            let shared = sharing.get(from).max(sharing.get(to)).copied().unwrap_or(1);
            let run = &mut self.runs[index];
            match admit::admit(&run.order, snapshot, coming, &self.settings) {
                Ok(domain) => {
                    let before = Before::of(domain, &run.order.to, shared, snapshot);
                    run.begin(before, now, cluster, journal)?;
                }
                // Not its fault and perhaps not for long: it is looked at again next tick, until
                // the time that it would itself have been given is over.
                Err(denial) if denial.may_pass() && !run.waited_too_long(turn, freshness, now) => {
                    run.detail = denial.to_string();
                }
                Err(denial) => {
                    run.become_state(MoveState::Skipped, denial.to_string(), now, journal)?;
                }
            }
        }
        Ok(())
    }

    /// When the moves of `wave` could begin for the first time: the waves before it had ended.
    fn turn_of(&self, wave: usize) -> Timestamp {
        let before = self.runs.iter().filter(|run| run.wave < wave);
        before.filter_map(|run| run.closed_at).max().unwrap_or(self.accepted_at)
    }

    /// What begun moves are bringing to `host` and it does not report as its own yet.
    fn on_its_way(&self, host: &HostId) -> admit::Coming {
        let coming = self
            .runs
            .iter()
            .filter(|run| run.order.to == *host && run.state.is_under_way())
            .filter(|run| run.state != MoveState::Arrived)
            .filter_map(|run| run.before.as_ref().map(|before| &before.domain));
        coming.fold(admit::Coming::default(), |sum, domain| admit::Coming {
            memory: sum.memory + domain.memory,
            vcpus: sum.vcpus.saturating_add(domain.vcpus),
        })
    }

    /// Migrations that touch each host while `wave` runs.
    fn sharing(&self, wave: usize) -> BTreeMap<HostId, u32> {
        let mut sharing = BTreeMap::new();
        for run in self.runs.iter().filter(|run| run.wave == wave) {
            for host in [&run.order.from, &run.order.to] {
                *sharing.entry(host.clone()).or_insert(0) += 1;
            }
        }
        sharing
    }
}
