//! Budgets of disruption: how many VMs of a selection may be under migration at a time and in a
//! plan, and when.
//!
//! Counts the moves of a plan. How many run at one time is for whoever orders them to see to.

use whimbrel_core::{
    Domain,
    plan::Reason,
    policy::Budget,
    units::{Span, Timestamp},
};

use super::View;

/// A budget by index.
pub(crate) struct BudgetView<'a> {
    pub(crate) name: &'a str,
    pub(crate) budget: &'a Budget,
}

/// How many moves of a plan each budget counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spent {
    used: Vec<u32>,
}

impl Spent {
    /// Nothing yet.
    pub(crate) fn new(view: &View<'_>) -> Self {
        Self { used: vec![0; view.budgets.len()] }
    }

    /// One more for `vm`.
    pub(crate) fn add(&mut self, view: &View<'_>, vm: usize) {
        view.vms[vm].budgets.iter().for_each(|&budget| self.used[budget] += 1);
    }

    /// One less for `vm`.
    pub(crate) fn remove(&mut self, view: &View<'_>, vm: usize) {
        for &budget in &view.vms[vm].budgets {
            self.used[budget] = self.used[budget].saturating_sub(1);
        }
    }

    /// Whether a plan with the moves counted may have one more of `vm`.
    pub(crate) fn may_move(&self, view: &View<'_>, vm: usize) -> bool {
        let left = |&budget: &usize| {
            let most = view.budgets[budget].budget.moves_max;
            most.is_none_or(|most| self.used[budget] < most)
        };
        view.vms[vm].budgets.iter().all(left)
    }

    /// Whether no plan's budget is exceeded.
    pub(crate) fn kept(&self, view: &View<'_>) -> bool {
        let most = |one: &BudgetView<'_>| one.budget.moves_max.unwrap_or(u32::MAX);
        self.used.iter().zip(&view.budgets).all(|(used, one)| *used <= most(one))
    }
}

impl View<'_> {
    /// Whether no budget of `vm` counts the moves of a plan.
    pub(crate) fn may_move_twice(&self, vm: usize) -> bool {
        let mut budgets = self.vms[vm].budgets.iter().map(|&budget| self.budgets[budget].budget);
        budgets.all(|budget| budget.moves_max.is_none())
    }

    /// Holds VMs that may not be migrated `now`, and says of others when that ends. `lasts` is how
    /// long the migration of a VM takes to be counted on; one that would not end in its window
    /// is held too.
    pub(crate) fn hold_outside_windows(
        &mut self,
        now: Timestamp,
        lasts: impl Fn(&Domain) -> Option<Span>,
    ) {
        for vm in 0..self.vms.len() {
            if self.vms[vm].held.is_some() {
                continue;
            }
            let closed = self.vms[vm].budgets.iter().find_map(|&budget| {
                let one = &self.budgets[budget];
                let opens = one.budget.windows.iter().map(|window| window.opens(now)).min()?;
                (opens > now).then(|| (one.name.to_owned(), opens))
            });
            let closing = self.vms[vm].budgets.iter().filter_map(|&budget| {
                let one = &self.budgets[budget];
                Some((one.budget.closes(now)?, one))
            });
            let closing = closing.min_by_key(|(closes, _)| *closes);
            let too_long = || {
                let (closes, one) = closing?;
                let over = now + lasts(self.vms[vm].domain)? > closes;
                let opens = one.budget.windows.iter().map(|window| window.opens(closes)).min()?;
                over.then(|| (one.name.to_owned(), opens))
            };
            let closed = closed.or_else(too_long);
            self.vms[vm].ends_before = closing.map(|(closes, _)| closes);
            self.vms[vm].held = closed.map(|(rule, opens)| Reason::OutsideWindow { rule, opens });
        }
    }
}
