//! What one search may change, and what a placement is worth: the objective that the greedy
//! search, the solver and the final choice share.
//!
//! Unit: guest-seconds of slow-down. A placement costs the contention on every host, the weighted
//! price of every move, and a penalty for every rule that it leaves broken.

use std::collections::BTreeMap;

use crate::{
    contention::Contention,
    costs::Costs,
    view::{Group, Occupancy, View},
};

/// What one broken rule is charged, in guest-seconds: more than a move can cost (a guest slowed
/// for a whole day), so that a rule is mended wherever it can be, and small enough beside the
/// contention of a cluster that the solver's tolerances still see single seconds.
pub(crate) const BROKEN_RULE_SECONDS: f64 = 1e5;

/// Everything that a search reads.
pub(crate) struct Context<'a> {
    pub(crate) view: &'a View<'a>,
    pub(crate) costs: &'a Costs<'a>,
    pub(crate) contention: &'a Contention,
    /// The present occupancy.
    pub(crate) start: &'a Occupancy,
    pub(crate) seed: u64,
}

/// Which VMs may move, where to and at what weighted price in guest-seconds.
pub(crate) struct Scope {
    /// Possible targets of each movable VM, by host.
    pub(crate) options: BTreeMap<usize, BTreeMap<usize, f64>>,
    /// The host that must end empty.
    pub(crate) must_leave: Option<usize>,
    /// Guest-seconds of contention that a guest-second of migration is weighed as.
    pub(crate) price_factor: f64,
}

impl Scope {
    /// Yes-or-no decisions in it.
    pub(crate) fn decisions(&self) -> usize {
        self.options.values().map(|targets| targets.len() + 1).sum()
    }

    pub(crate) fn price(&self, vm: usize, host: usize) -> Option<f64> {
        self.options.get(&vm)?.get(&host).copied()
    }
}

impl Context<'_> {
    /// What `place` costs in guest-seconds; lower is better.
    pub(crate) fn objective(&self, scope: &Scope, place: &[usize]) -> f64 {
        let moves: f64 = scope
            .options
            .iter()
            .filter(|(vm, _)| place[**vm] != self.view.vms[**vm].home)
            .filter_map(|(vm, targets)| targets.get(&place[*vm]))
            .sum();
        self.contention.total(self.view, place)
            + moves
            + BROKEN_RULE_SECONDS * broken(self.view, place) as f64
    }

    /// Whether `place` respects the scope, the limits and every rule that it could break.
    pub(crate) fn feasible(&self, scope: &Scope, place: &[usize]) -> bool {
        let view = self.view;
        let end = Occupancy::new(view, place);
        let mut moves = 0;
        for (vm, (one, &host)) in view.vms.iter().zip(place).enumerate() {
            if host == one.home {
                if scope.must_leave == Some(host) {
                    return false;
                }
                continue;
            }
            moves += 1;
            if scope.price(vm, host).is_none()
                || !end.within(view, host, (0, 0))
                || end.clash(view, vm, host).is_some()
            {
                return false;
            }
        }
        moves <= view.policy.limits.moves_max as usize
            && view
                .together
                .iter()
                .all(|group| scattered(group, place) == 0 || scattered_now(view, group))
    }
}

/// How many times `place` breaks a rule: VMs where they may not be, VMs too many on one host of
/// those to keep apart, and groups that are not together.
pub(crate) fn broken(view: &View<'_>, place: &[usize]) -> usize {
    let banned = (0..view.vms.len()).filter(|&vm| view.ban(vm, place[vm]).is_some()).count();
    let crowded: usize = view.apart.iter().map(|group| crowded(group, place)).sum();
    let scattered: usize = view.together.iter().map(|group| scattered(group, place)).sum();
    banned + crowded + scattered
}

/// VMs of an anti-affinity group that share a host with another, the first of each host not
/// counted.
pub(crate) fn crowded(group: &Group<'_>, place: &[usize]) -> usize {
    let mut count: BTreeMap<usize, usize> = group.arriving.iter().map(|&host| (host, 1)).collect();
    for &vm in &group.vms {
        *count.entry(place[vm]).or_default() += 1;
    }
    count.values().map(|count| count.saturating_sub(1)).sum()
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
