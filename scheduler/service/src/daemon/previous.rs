//! The last balance that was planned and not begun: what the next one is shown, so that a plan that
//! people are reading does not change under them.
//!
//! It counts from its snapshot on for as long as the load that it was made for is expected to last,
//! the policy's `balance.horizon`. Times are those of snapshots, never a clock's, so that the same
//! calls on the same snapshots give the same plans. Kept in memory only.
//!
//! Never here: how much of it the next plan keeps, which the planner decides.

use std::sync::{Arc, Mutex};

use whimbrel_core::{
    Goal, Plan, PlanId,
    units::{Span, Timestamp},
};

use super::board::locked;
use crate::advice::Proposal;

/// What is remembered.
#[derive(Default)]
pub(super) struct Remembered {
    last: Mutex<Option<Arc<Plan>>>,
}

impl Remembered {
    /// Remembers the plan of `proposal` if it is a balance that may run, unless one from a later
    /// snapshot is known already.
    pub(super) fn note(&self, proposal: &Proposal) {
        let plan = &proposal.plan;
        if plan.goal != Goal::Balance || !proposal.may_run() {
            return;
        }
        let mut last = locked(&self.last);
        let taken_at = plan.parent.snapshot_taken_at;
        if last.as_ref().is_none_or(|known| known.parent.snapshot_taken_at <= taken_at) {
            *last = Some(Arc::new(plan.clone()));
        }
    }

    /// Forgets plan `id`: it has begun.
    pub(super) fn forget(&self, id: &PlanId) {
        let mut last = locked(&self.last);
        last.take_if(|plan| plan.id() == *id);
    }

    /// The plan, if it still counts at `now`.
    pub(super) fn at(&self, now: Timestamp, horizon: Span) -> Option<Arc<Plan>> {
        let last = locked(&self.last);
        let age = |plan: &&Arc<Plan>| now.since(plan.parent.snapshot_taken_at);
        last.as_ref().filter(|plan| age(plan) <= horizon).cloned()
    }
}
