//! What the engine's thread shows to everybody else: the latest snapshot, who answers questions,
//! and every operation as it stands.
//!
//! Locks are held for the time of a copy, so readers never wait for a host, a disk or the engine.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::watch;
use whimbrel_core::{PlanId, Snapshot};
use whimbrel_engine::Execution;

use super::previous::Remembered;
use crate::advice::Advisor;

/// The board.
pub(super) struct Board {
    seen: Mutex<Option<Seen>>,
    advisor: Mutex<Arc<Advisor>>,
    /// Oldest first; each plan once.
    operations: Mutex<Vec<watch::Sender<Execution>>>,
    previous: Remembered,
}

/// An observation and when it was put up.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) put_up: Instant,
}

impl Board {
    /// One that shows `executions` and no snapshot yet.
    pub(super) fn new(advisor: Advisor, executions: Vec<Execution>) -> Self {
        let mut operations: Vec<watch::Sender<Execution>> = Vec::new();
        for execution in executions {
            // A plan that was executed twice is shown as it went the last time.
            operations.retain(|one| one.borrow().plan != execution.plan);
            operations.push(watch::Sender::new(execution));
        }
        Self {
            seen: Mutex::new(None),
            advisor: Mutex::new(Arc::new(advisor)),
            operations: Mutex::new(operations),
            previous: Remembered::default(),
        }
    }

    /// Puts up what was observed.
    pub(super) fn put_up(&self, snapshot: Snapshot) {
        *locked(&self.seen) = Some(Seen { snapshot: Arc::new(snapshot), put_up: Instant::now() });
    }

    /// What was observed last, if anything was.
    pub(super) fn seen(&self) -> Option<Seen> {
        locked(&self.seen).clone()
    }

    /// Lets `advisor` answer from now on.
    pub(super) fn appoint(&self, advisor: Advisor) {
        *locked(&self.advisor) = Arc::new(advisor);
    }

    /// Who answers questions.
    pub(super) fn advisor(&self) -> Arc<Advisor> {
        Arc::clone(&locked(&self.advisor))
    }

    /// The balance that was planned last.
    pub(super) fn previous(&self) -> &Remembered {
        &self.previous
    }

    /// Shows how an execution stands and tells whoever watches it of a change.
    pub(super) fn show(&self, execution: Execution) {
        let mut operations = locked(&self.operations);
        let known = operations.iter().rfind(|one| one.borrow().plan == execution.plan);
        let Some(sender) = known else {
            operations.push(watch::Sender::new(execution));
            return;
        };
        sender.send_if_modified(|shown| {
            let changed = *shown != execution;
            *shown = execution;
            changed
        });
    }

    /// Every execution, oldest first.
    pub(super) fn executions(&self) -> Vec<Execution> {
        locked(&self.operations).iter().map(|one| one.borrow().clone()).collect()
    }

    /// The present and future states of the execution of `id`.
    pub(super) fn watch(&self, id: &PlanId) -> Option<watch::Receiver<Execution>> {
        let operations = locked(&self.operations);
        operations.iter().rfind(|one| one.borrow().plan == *id).map(watch::Sender::subscribe)
    }

    /// The plan under execution.
    pub(super) fn executing(&self) -> Option<PlanId> {
        let operations = locked(&self.operations);
        let last = operations.last()?.borrow();
        (!last.ended).then(|| last.plan.clone())
    }
}

/// What a mutex guards; a thread that panicked left it as it was, which is all there is to know.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
