//! How many migrations touch each host: what runs, and what is still to come.

use std::collections::BTreeMap;

use whimbrel_core::{ids::HostId, plan::AtOnce, ports::Order};

use crate::run::MoveRun;

/// Migrations by host.
pub(crate) struct Slots {
    at: BTreeMap<HostId, u32>,
    total: u32,
}

impl Slots {
    /// Of the moves that are under way.
    pub(crate) fn taken(runs: &[MoveRun]) -> Self {
        Self::of(runs.iter().filter(|run| run.state.is_under_way()))
    }

    /// Of all moves that have not ended.
    pub(crate) fn ahead(runs: &[MoveRun]) -> Self {
        Self::of(runs.iter().filter(|run| !run.state.is_final()))
    }

    fn of<'a>(runs: impl Iterator<Item = &'a MoveRun>) -> Self {
        let mut slots = Self { at: BTreeMap::new(), total: 0 };
        runs.for_each(|run| slots.take(&run.order));
        slots
    }

    /// Counts one more.
    pub(crate) fn take(&mut self, order: &Order) {
        self.total = self.total.saturating_add(1);
        for host in [&order.from, &order.to] {
            *self.at.entry(host.clone()).or_insert(0) += 1;
        }
    }

    /// Whether one more may run.
    pub(crate) fn one_free(&self, order: &Order, at_once: AtOnce) -> bool {
        self.total < at_once.total && self.most(order) < at_once.per_host
    }

    /// At whichever of its two hosts there are more.
    pub(crate) fn most(&self, order: &Order) -> u32 {
        let at = |host| self.at.get(host).copied().unwrap_or(0);
        at(&order.from).max(at(&order.to))
    }
}
