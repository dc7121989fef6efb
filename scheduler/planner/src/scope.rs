//! What one search may change, and what a placement is worth: the objective that every part of
//! the search and the final choice share.
//!
//! Unit: guest-seconds of slow-down. A placement costs the contention on every host, the weighted
//! price of every move, and a penalty for every breach of a rule: the same large one for hard rules,
//! the policy's own for preferences.

use std::collections::BTreeSet;

use whimbrel_core::units::Timestamp;

use crate::{
    contention::Contention,
    costs::Costs,
    options,
    view::{Group, Occupancy, Spent, View},
};

/// What one broken rule is charged, in guest-seconds: more than a move can cost (a guest slowed
/// for a whole day), so that a rule is mended wherever it can be, and small enough beside the
/// contention of a cluster that the solver's tolerances still see single seconds.
pub(crate) const BROKEN_RULE_SECONDS: f64 = 1e5;

/// What each VM that moves only to make room is charged beyond its migration, in guest-seconds: a
/// guest slowed for a day, so that a drain does not balance in passing. Only contention worse than
/// that moves more VMs than the drain needs.
pub(crate) const DISPLACED_SECONDS: f64 = 1e5;

/// Everything that a search reads.
pub(crate) struct Context<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) costs: &'a Costs<'a>,
    pub(crate) contention: &'a Contention,
    /// The present occupancy.
    pub(crate) start: &'a Occupancy,
    pub(crate) seed: u64,
    /// The moment that the plan is made for.
    pub(crate) now: Timestamp,
}

/// Which VMs may move, where to and at what weighted price in guest-seconds.
pub(crate) struct Scope {
    /// Whether each VM may move.
    pub(crate) movable: Vec<bool>,
    /// The hosts that must end empty.
    pub(crate) must_leave: BTreeSet<usize>,
    /// Guest-seconds of contention that a guest-second of migration is weighed as.
    pub(crate) price_factor: f64,
}

impl Scope {
    /// VMs that may move.
    pub(crate) fn vms(&self) -> impl Iterator<Item = usize> + '_ {
        self.movable.iter().enumerate().filter_map(|(vm, &movable)| movable.then_some(vm))
    }

    /// Whether `host` must end empty.
    pub(crate) fn empties(&self, host: usize) -> bool {
        self.must_leave.contains(&host)
    }

    /// Whether a VM at `home` only makes room for those that must leave other hosts.
    pub(crate) fn displaces(&self, home: usize) -> bool {
        !self.must_leave.is_empty() && !self.empties(home)
    }
}

impl Context<'_> {
    /// Weighted guest-seconds for `vm` to end on `host`, preferences about single VMs and hosts
    /// included; `None` where it may not. At home it costs nothing beyond unless a rule keeps it
    /// away from there.
    pub(crate) fn price(&self, scope: &Scope, vm: usize, host: usize) -> Option<f64> {
        let home = self.view.vms[vm].home;
        let unwelcome = || self.view.unwelcome(vm, host);
        if host != home {
            return Some(self.price_of_move(scope, vm, host)? + unwelcome());
        }
        if scope.empties(host) {
            return None;
        }
        let banned = self.view.ban(vm, home).is_some();
        Some(unwelcome() + if banned { BROKEN_RULE_SECONDS } else { 0.0 })
    }

    /// The part of it that the migration from home to `host` is charged.
    pub(crate) fn price_of_move(&self, scope: &Scope, vm: usize, host: usize) -> Option<f64> {
        let home = self.view.vms[vm].home;
        if scope.empties(host) || !scope.movable[vm] {
            return None;
        }
        let seconds = options::price(self.view, self.costs, vm, host)?;
        let displaced = scope.displaces(home);
        let beyond = if displaced { DISPLACED_SECONDS } else { 0.0 };
        Some(seconds * scope.price_factor + beyond)
    }

    /// What `place` costs in guest-seconds; lower is better. Without what a scope may not change.
    pub(crate) fn objective(&self, scope: &Scope, place: &[usize]) -> f64 {
        let moved = scope.vms().filter(|&vm| place[vm] != self.view.vms[vm].home);
        let moves: f64 = moved.filter_map(|vm| self.price_of_move(scope, vm, place[vm])).sum();
        let end = Occupancy::new(self.view, place);
        self.contention.total(self.view, &end)
            + moves
            + BROKEN_RULE_SECONDS * broken_in(self.view, &end) as f64
            + unwished_in(self.view, &end)
    }

    /// Whether `place` respects the scope, the limits and every rule that it could break.
    pub(crate) fn feasible(&self, scope: &Scope, place: &[usize]) -> bool {
        let view = self.view;
        let end = Occupancy::new(view, place);
        let mut spent = Spent::new(view);
        let mut moves = 0;
        for (vm, (one, &host)) in view.vms.iter().zip(place).enumerate() {
            if host == one.home {
                if scope.empties(host) {
                    return false;
                }
                continue;
            }
            moves += 1;
            spent.add(view, vm);
            if self.price(scope, vm, host).is_none()
                || !end.sound(view, vm, host)
                || end.clash(view, vm, host).is_some()
            {
                return false;
            }
        }
        let whole = |group: &Group<'_>| scattered(group, place) == 0 || scattered_now(view, group);
        let excesses = end.tally().excesses(view).zip(self.start.tally().excesses(view));
        let mut no_worse = excesses.zip(&view.capped);
        moves <= view.policy.limits.moves_max as usize
            && spent.kept(view)
            && no_worse.all(|((end, start), group)| !group.hard || end <= start)
            && !self.stray(place, &end)
            && view.together.iter().all(whole)
    }
}

impl Context<'_> {
    /// Whether a VM goes to a place that none of its group was in while the group is in too many.
    fn stray(&self, place: &[usize], end: &Occupancy) -> bool {
        let excesses = end.tally().excesses(self.view);
        let mut groups = self.view.capped.iter().enumerate().zip(excesses);
        groups.any(|((index, group), excess)| {
            let known = self.start.tally().used(index);
            let new = |host: usize| group.place(host).is_some_and(|at| !known.contains_key(&at));
            let strays = |&vm: &usize| place[vm] != self.view.vms[vm].home && new(place[vm]);
            group.hard && excess > 0 && group.vms.iter().any(strays)
        })
    }
}

/// How many times `end` breaks a hard rule: VMs where they may not be, VMs too many in one place of
/// those to keep apart, places too many, hosts not left alone, and groups that are not together.
pub(crate) fn broken_in(view: &View<'_>, end: &Occupancy) -> usize {
    let banned = (0..view.vms.len()).filter(|&vm| view.ban(vm, end.place[vm]).is_some()).count();
    let hard = end.breaches(view).filter(|(group, _)| group.hard);
    let scattered: usize = view.together.iter().map(|group| scattered(group, &end.place)).sum();
    banned + hard.map(|(_, times)| times).sum::<usize>() + scattered
}

/// What the preferences that are not met in `end` cost, in guest-seconds.
pub(crate) fn unwished_in(view: &View<'_>, end: &Occupancy) -> f64 {
    let single: f64 = (0..view.vms.len()).map(|vm| view.unwelcome(vm, end.place[vm])).sum();
    let soft = end.breaches(view).filter(|(group, _)| !group.hard);
    single + soft.map(|(group, times)| group.weight * times as f64).sum::<f64>()
}

/// 1 when an affinity group is not on one host, otherwise 0.
pub(crate) fn scattered(group: &Group<'_>, place: &[usize]) -> usize {
    let mut hosts = group.vms.iter().map(|&vm| place[vm]).chain(group.arriving.iter().copied());
    let first = hosts.next();
    usize::from(hosts.any(|host| Some(host) != first))
}

/// Whether an affinity group is apart at present.
pub(crate) fn scattered_now(view: &View<'_>, group: &Group<'_>) -> bool {
    let home = |vm: &usize| view.vms[*vm].home;
    let mut hosts = group.vms.iter().map(home).chain(group.arriving.iter().copied());
    let first = hosts.next();
    hosts.any(|host| Some(host) != first)
}
