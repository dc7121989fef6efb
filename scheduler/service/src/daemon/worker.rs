//! The engine's thread: takes commands, ticks, shows what it sees, learns from what has ended.
//!
//! While the journal does not work it goes on observing and says so; it begins nothing then.

use std::sync::{Arc, mpsc};

use tokio::sync::watch;
use whimbrel_core::{
    Cluster, HostId, OrderId, Outlook, Plan, PlanId, Policy, Snapshot,
    migration::MoveState,
    ports::{Journal, JournalError, Order, Power, Record, Refusal},
    telemetry::MigrationRecord,
    units::Timestamp,
};
use whimbrel_engine::{Engine, EngineSettings};

use super::{Command, Pace, World, backend, board::Board, past::Past};
use crate::{
    Failure,
    advice::{Advisor, Situation},
};

/// What the engine's thread owns.
pub(super) struct Worker<W, J> {
    pub(super) world: Watched<W>,
    pub(super) journal: Noted<J>,
    pub(super) policy: Policy,
    pub(super) settings: EngineSettings,
    pub(super) pace: Pace,
    pub(super) engine: Option<Engine>,
    pub(super) board: Arc<Board>,
    pub(super) past: Arc<Past>,
    pub(super) history: Vec<MigrationRecord>,
    pub(super) inbox: mpsc::Receiver<Command>,
}

impl<W: World, J: Journal> Worker<W, J> {
    /// Works until it is told to stop or nobody is left who could tell.
    pub(super) fn run(mut self) {
        loop {
            self.tick();
            let pace = if self.engine.is_some() { self.pace.executing } else { self.pace.idle };
            match self.inbox.recv_timeout(pace) {
                // Whoever asked may have given up waiting.
                Ok(Command::Start { plan, reply }) => drop(reply.send(self.start(*plan))),
                Ok(Command::Cancel { id, reply }) => drop(reply.send(self.cancel(&id))),
                Ok(Command::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {}
            }
        }
        self.leave();
    }

    fn tick(&mut self) {
        let Some(engine) = &mut self.engine else {
            self.world.observe();
            return;
        };
        // What a failed write means was noted by the journal itself; the next tick tries again.
        let _ = engine.tick(&mut self.world, &mut self.journal);
        let (execution, ended) = (engine.execution(), engine.ended());
        if ended {
            // Whoever sees the end may count on what was learnt from it.
            self.learn(&execution.records);
            let arrived = execution.count(MoveState::Settled);
            tracing::info!(plan = %execution.plan, "ended: {arrived} of {} moves arrived", execution.moves.len());
            self.engine = None;
        }
        self.board.show(execution);
    }

    fn start(&mut self, plan: Plan) -> Result<(), Failure> {
        let id = plan.id();
        if let Some(executing) = &self.engine {
            let executing = executing.plan();
            return if executing.id() == id {
                Ok(())
            } else {
                Err(backend::beside(&executing.id(), &executing.goal.to_string()))
            };
        }
        if self.board.watch(&id).is_some() {
            return Err(Failure::conflict(format!(
                "plan {id} was executed already (hint: plan again)"
            )));
        }
        let snapshot = self.world.observe();
        let situation = Situation {
            now: snapshot.taken_at,
            snapshot,
            replay: None,
            outlook: Outlook::default(),
        };
        backend::refuse_fatal(&id, &self.board.advisor().check(&plan, &situation)?)?;
        let (goal, now) = (plan.goal.to_string(), self.world.now());
        let engine = Engine::start(plan, self.settings, now, &mut self.journal)
            .map_err(Failure::unavailable)?;
        self.board.previous().forget(&id);
        tracing::info!(plan = %id, goal, "begun");
        self.board.show(engine.execution());
        self.engine = Some(engine);
        Ok(())
    }

    fn cancel(&mut self, id: &PlanId) -> Result<(), Failure> {
        let executing = self.engine.as_mut().filter(|engine| engine.plan().id() == *id);
        let Some(engine) = executing else {
            return self.board.watch(id).map(drop).ok_or_else(|| backend::unknown(id));
        };
        engine.cancel(self.world.now(), &mut self.journal).map_err(Failure::unavailable)?;
        tracing::info!(plan = %id, "is being given up on request");
        self.board.show(engine.execution());
        Ok(())
    }

    fn learn(&mut self, records: &[MigrationRecord]) {
        self.past.append(records);
        self.history.extend_from_slice(records);
        let mut model = self.board.advisor().model().clone();
        for record in records {
            model.remember(&record.clone().into());
        }
        self.board.appoint(Advisor::new(self.policy.clone(), model, &self.history));
    }

    fn leave(&self) {
        let Some(engine) = &self.engine else { return };
        let under_way = engine.under_way().count();
        tracing::info!(
            plan = %engine.plan().id(),
            "left unfinished with {under_way} migrations under way; they go on by themselves and \
             the next start adopts them"
        );
    }
}

/// A journal that says whether it works: what its last write came to.
pub(super) struct Noted<J> {
    journal: J,
    fault: watch::Sender<Option<String>>,
}

impl<J: Journal> Noted<J> {
    pub(super) fn new(journal: J, fault: watch::Sender<Option<String>>) -> Self {
        Self { journal, fault }
    }
}

impl<J: Journal> Journal for Noted<J> {
    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let written = self.journal.append(record);
        let fault = written.as_ref().err().map(ToString::to_string);
        self.fault.send_if_modified(|shown| {
            let changed = *shown != fault;
            if let (Some(fault), true) = (&fault, changed) {
                tracing::error!("nothing is begun until this is mended: {fault}");
            } else if changed {
                tracing::info!("the journal works again");
            }
            *shown = fault;
            changed
        });
        written
    }

    fn records(&self) -> Result<Vec<Record>, JournalError> {
        self.journal.records()
    }
}

/// A world whose every observation is put on the board.
pub(super) struct Watched<W> {
    world: W,
    board: Arc<Board>,
}

impl<W: World> Watched<W> {
    pub(super) fn new(world: W, board: Arc<Board>) -> Self {
        Self { world, board }
    }
}

impl<W: World> Cluster for Watched<W> {
    fn now(&self) -> Timestamp {
        self.world.now()
    }

    fn observe(&mut self) -> Snapshot {
        let snapshot = self.world.observe();
        self.board.put_up(snapshot.clone());
        snapshot
    }

    fn begin(&mut self, order: &Order) -> Result<(), Refusal> {
        self.world.begin(order)
    }

    fn cancel(&mut self, id: &OrderId) -> Result<(), Refusal> {
        self.world.cancel(id)
    }

    fn set_power(&mut self, host: &HostId, power: Power) -> Result<(), Refusal> {
        self.world.set_power(host, power)
    }
}
