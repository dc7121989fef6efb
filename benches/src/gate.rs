//! A gate that lets all workers of a fleet through together, once for each cycle.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Cycles that were let through.
    opened: u64,
    /// Workers that wait for the next one.
    waiting: usize,
    closed: bool,
}

impl Gate {
    /// Waits for the cycle after the `passed` ones; `false` when there will be none.
    pub(crate) fn pass(&self, passed: u64) -> bool {
        let mut state = self.state();
        state.waiting += 1;
        self.changed.notify_all();
        state = self
            .changed
            .wait_while(state, |state| state.opened <= passed && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    /// Waits until `workers` are at the gate.
    pub(crate) fn await_all(&self, workers: usize) {
        let state = self.state();
        let all = self.changed.wait_while(state, |state| state.waiting < workers);
        drop(all.unwrap_or_else(PoisonError::into_inner));
    }

    /// Lets everybody at the gate through.
    pub(crate) fn open(&self) {
        let mut state = self.state();
        state.opened += 1;
        state.waiting = 0;
        self.changed.notify_all();
    }

    /// Sends everybody away for good.
    pub(crate) fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
