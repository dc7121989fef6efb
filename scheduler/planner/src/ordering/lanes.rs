//! Budgets of disruption while the plan runs: as many lanes as migrations of a selection may run
//! side by side, and each move waits for the one before it in its lane.
//!
//! Moves that wait for each other never run together, however long they take, so the budget holds
//! whatever the timing.

use crate::view::View;

/// The last move of each lane of each budget.
pub(super) struct Lanes {
    of_budget: Vec<Option<Vec<Option<usize>>>>,
}

impl Lanes {
    /// All free.
    pub(super) fn new(view: &View<'_>) -> Self {
        // More lanes than VMs are never used.
        let lanes = |at_once: u32| vec![None; (at_once as usize).min(view.vms.len())];
        let of_budget = view.budgets.iter().map(|one| one.budget.at_once.map(lanes)).collect();
        Self { of_budget }
    }

    /// What a migration of `vm` waits for in its lanes.
    ///
    /// # Errors
    /// A move that still runs, where all lanes of a budget are taken; `None` where it has no lane.
    pub(super) fn before(
        &self,
        view: &View<'_>,
        vm: usize,
        runs: impl Fn(usize) -> bool,
    ) -> Result<Vec<usize>, Option<usize>> {
        let mut before = Vec::new();
        for &budget in &view.vms[vm].budgets {
            let Some(lanes) = &self.of_budget[budget] else { continue };
            let free = lanes.iter().find(|last| last.is_none_or(|last| !runs(last)));
            before.extend(free.ok_or_else(|| lanes.first().copied().flatten())?);
        }
        Ok(before)
    }

    /// The move at `index`, of `vm`, has begun.
    pub(super) fn begun(
        &mut self,
        view: &View<'_>,
        vm: usize,
        index: usize,
        runs: impl Fn(usize) -> bool,
    ) {
        for &budget in &view.vms[vm].budgets {
            let Some(lanes) = &mut self.of_budget[budget] else { continue };
            let free = lanes.iter_mut().find(|last| last.is_none_or(|last| !runs(last)));
            if let Some(lane) = free {
                *lane = Some(index);
            }
        }
    }
}
