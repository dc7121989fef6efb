//! Tests on real hosts and guests, one after the other.
//!
//! All but `lifecycle` use the shared lab, which others may use at the same time: their guests have names
//! of their own and are ended, and no host or link is touched. `lifecycle` has a lab of its own.

#![expect(clippy::unwrap_used, reason = "a test ends where something fails")]

mod lifecycle;
mod shared;

use std::sync::{Mutex, MutexGuard, PoisonError};

use whimbrel_lab::Lab;

/// Held by every test for its whole time: two cores do not carry several at once.
static TURN: Mutex<()> = Mutex::new(());

fn my_turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends a guest when the test ends, also when it fails.
struct Guest<'a> {
    lab: &'a Lab,
    name: String,
}

impl Drop for Guest<'_> {
    fn drop(&mut self) {
        let _ = self.lab.stop_guest(&self.name);
    }
}

/// A name that no other run uses.
fn unique(name: &str) -> String {
    format!("{name}-{}", std::process::id())
}
