//! The daemon: how the synchronous engine lives in an asynchronous program.
//!
//! One thread owns the cluster, the journal and the engine, and is the only one that acts. It takes
//! [`Command`]s from a channel, ticks, and puts what it sees on a [`Board`]. Everybody else, the
//! API's threads above all, reads the board and never waits for that thread, except to hand it a
//! command.
//!
//! Never here: a socket, a signal, a concrete adapter, or a plan begun that was not asked for. A
//! stop cancels nothing: migrations go on by themselves and the next start adopts them.

use std::{
    path::PathBuf,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::sync::watch;
use whimbrel_core::{
    Cluster, HostState, PlanId, Policy,
    plan::Plan,
    ports::{Journal, Order},
};
use whimbrel_engine::{Engine, EngineSettings};

use crate::{Failure, advice::Advisor, teaching};

mod backend;
mod board;
mod past;
mod planning;
mod previous;
#[cfg(test)]
mod tests;
mod worker;

pub use backend::Handle;

use board::Board;
use past::Past;
use worker::Worker;

/// A cluster that a new process can take over from an earlier one.
pub trait World: Cluster + Send + 'static {
    /// Looks after an order that an earlier process began. Begins nothing.
    fn adopt(&mut self, order: &Order);
}

/// What a daemon is made of.
pub struct Parts<W, J> {
    /// The hosts.
    pub world: W,
    /// Where intents are written before they are acted on.
    pub journal: J,
    /// The policy, for as long as the daemon lives.
    pub policy: Policy,
    /// How patient the engine is.
    pub settings: EngineSettings,
    /// How often it ticks.
    pub pace: Pace,
    /// Where telemetry and records of migrations are kept.
    pub telemetry: PathBuf,
    /// The model file, where one is named.
    pub model: Option<PathBuf>,
}

/// How often the engine's thread ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// While a plan is being executed.
    pub executing: Duration,
    /// Otherwise: how old the board may get.
    pub idle: Duration,
}

impl Default for Pace {
    /// 100 ms, half of what hosts are looked at with while migrations run, and 500 ms.
    fn default() -> Self {
        Self { executing: Duration::from_millis(100), idle: Duration::from_millis(500) }
    }
}

/// What the engine's thread may be asked for.
enum Command {
    /// Execute a plan that was checked and simulated; it is checked again.
    Start { plan: Box<Plan>, reply: Reply },
    /// Give up the plan under execution, if it is this one.
    Cancel { id: PlanId, reply: Reply },
    /// End the thread, and nothing else.
    Stop,
}

/// Where a command's answer goes.
type Reply = mpsc::SyncSender<Result<(), Failure>>;

/// A running daemon. Dropping it lets its thread end as soon as nobody holds a [`Handle`] either.
pub struct Daemon {
    handle: Arc<Handle>,
    fault: watch::Receiver<Option<String>>,
    thread: JoinHandle<()>,
}

impl Daemon {
    /// Reads the journal and starts the engine's thread, which goes on with a plan that was left
    /// unfinished.
    ///
    /// # Errors
    /// [`Failure`] when the journal cannot be read or contradicts itself; nothing runs then.
    pub fn start<W: World, J: Journal + Send + 'static>(
        parts: Parts<W, J>,
    ) -> Result<Self, Failure> {
        let Parts { mut world, journal, policy, settings, pace, telemetry, model } = parts;
        let records = journal.records().map_err(Failure::unavailable)?;
        let executions = Engine::executions(&records).map_err(Failure::conflict)?;
        let engine = Engine::recover(&records, settings).map_err(Failure::conflict)?;
        if let Some(engine) = &engine {
            let plan = engine.plan();
            tracing::info!(plan = %plan.id(), goal = %plan.goal, "goes on with an unfinished plan");
            for order in engine.under_way() {
                tracing::info!(order = %order.id, vm = %order.vm, to = %order.to, "adopted");
                world.adopt(order);
            }
        }
        let past = Arc::new(Past::new(telemetry));
        let history = past.history(&executions);
        let model = teaching::model(model.as_deref(), &history)?;
        let history: Vec<_> = history.into_iter().map(|trace| trace.record).collect();
        let advisor = Advisor::new(policy.clone(), model, &history);
        let board = Arc::new(Board::new(advisor, executions));
        let (commands, inbox) = mpsc::channel();
        let (fault_sender, fault) = watch::channel(None);
        let worker = Worker {
            world: worker::Watched::new(world, Arc::clone(&board)),
            journal: worker::Noted::new(journal, fault_sender),
            policy,
            settings,
            pace,
            engine,
            board: Arc::clone(&board),
            past: Arc::clone(&past),
            history,
            inbox,
        };
        let thread = thread::Builder::new()
            .name("engine".to_owned())
            .spawn(move || worker.run())
            .map_err(Failure::unavailable)?;
        let handle = Arc::new(Handle::new(board, past, commands, fault.clone()));
        Ok(Self { handle, fault, thread })
    }

    /// What the API asks.
    pub fn backend(&self) -> Arc<Handle> {
        Arc::clone(&self.handle)
    }

    /// Waits until every host has answered once, or `patience` is over.
    pub fn wait_for_hosts(&self, patience: Duration) {
        let until = Instant::now() + patience;
        let seen = || {
            self.handle.snapshot().is_ok_and(|snapshot| {
                snapshot.hosts.values().all(|host| host.state != HostState::Unreachable)
            })
        };
        while !seen() && Instant::now() < until && !self.thread.is_finished() {
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Completes when the engine's thread has ended, which it does by itself only by a fault in
    /// the program.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut fault = self.fault.clone();
        async move { while fault.changed().await.is_ok() {} }
    }

    /// Ends the engine's thread and waits for that, `patience` at most. What is under way goes on
    /// without it.
    ///
    /// # Errors
    /// [`Failure`] when the thread had broken off, or did not end in time.
    pub fn stop(self, patience: Duration) -> Result<(), Failure> {
        let until = Instant::now() + patience;
        self.handle.stop();
        while !self.thread.is_finished() {
            if Instant::now() >= until {
                return Err(Failure::unavailable(format!(
                    "the engine's thread did not end within {patience:?} \
                     (hint: nothing is lost; the next start goes on from the journal)"
                )));
            }
            thread::sleep(Duration::from_millis(5));
        }
        self.thread.join().map_err(|_| {
            Failure::unavailable(
                "the engine's thread broke off (hint: its log has the cause; the next start goes \
                 on from the journal)",
            )
        })
    }
}
