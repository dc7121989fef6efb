//! The policy's rules, judged for the checker: one arrival at a time, and at the end.
//!
//! Nothing here is shared with the planner but the reading of the policy. Each question is answered
//! by way of the rules that name the domain asked about, never by a scan of all rules.
//!
//! Never here: the order of moves. Who may be where while a move runs is the caller's to say.

use std::collections::{BTreeMap, BTreeSet};

use super::budgets;
use crate::{
    cluster::{Domain, DomainState, Lack, Snapshot},
    ids::{HostId, VmId},
    plan::Plan,
    policy::{Per, Policy, Roster, Rule, RuleKind, When, places},
    units::Timestamp,
};

mod end;
mod nodes;

#[cfg(test)]
mod tests;

/// Who may be where while one move runs: at both ends of every migration that may run beside it,
/// migrations outside the plan included.
pub(super) trait Whereabouts {
    /// Everybody who may be on `host`.
    fn on(&self, host: &HostId) -> Vec<&VmId>;

    /// Every host that `vm` may be on.
    fn of(&self, vm: &VmId) -> Vec<&HostId>;
}

/// What an arrival breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken<'a> {
    /// The rule of this name.
    Rule(&'a str),
    /// The host has not what the domain needs.
    Lacks(Lack),
}

/// A budget of disruption that is exceeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exceeded<'a> {
    pub(super) rule: &'a str,
    pub(super) count: usize,
    pub(super) limit: u32,
}

/// The rules of a policy by the domains that they name.
pub(super) struct Rules<'a> {
    policy: &'a Policy,
    snapshot: &'a Snapshot,
    roster: Roster<'a>,
    /// Rules of each domain, by the roster's number.
    of_vm: Vec<Vec<usize>>,
    /// Where each domain is or arrives in the snapshot, by numbers.
    start: Vec<Vec<usize>>,
    domains: BTreeMap<&'a VmId, &'a Domain>,
    /// The place of each host, by key of a tag.
    places: BTreeMap<&'a str, Vec<usize>>,
}

impl<'a> Rules<'a> {
    /// Of `policy` on `snapshot`, where `domains` live.
    pub(super) fn new(
        policy: &'a Policy,
        snapshot: &'a Snapshot,
        domains: &BTreeMap<&'a VmId, &'a Domain>,
    ) -> Self {
        let roster = Roster::new(policy, snapshot);
        let mut of_vm = vec![Vec::new(); roster.vms.len()];
        for (rule, meant) in roster.meant.iter().enumerate() {
            for &vm in meant.vms.iter() {
                of_vm[vm].push(rule);
            }
        }
        let mut by_key = BTreeMap::new();
        for rule in &policy.rules {
            if let RuleKind::AntiAffinity { per, .. } | RuleKind::Affinity { per } = &rule.kind
                && let Per::Tag(key) = per
            {
                by_key.entry(key.as_str()).or_insert_with(|| places(per, snapshot));
            }
        }
        let mut start = vec![Vec::new(); roster.vms.len()];
        let there = |d: &&Domain| d.state.lives_here() || d.state == DomainState::Incoming;
        for domain in snapshot.domains.iter().filter(there) {
            if let Some((vm, host)) = roster.vm(&domain.vm).zip(roster.host(&domain.host)) {
                start[vm].push(host);
            }
        }
        let domains = domains.clone();
        Self { policy, snapshot, roster, of_vm, start, domains, places: by_key }
    }

    fn name(&self, rule: usize) -> &'a str {
        &self.policy.rules[rule].name
    }

    fn place(&self, per: &Per, host: usize) -> usize {
        match per {
            Per::Host => host,
            Per::Tag(key) => self
                .places
                .get(key.as_str())
                .and_then(|places| places.get(host).copied())
                .unwrap_or(host),
        }
    }

    /// What is broken while `vm` moves to `to` from `from`, at every moment of it.
    pub(super) fn arrival_breaks(
        &self,
        vm: &VmId,
        (from, to): (&HostId, &HostId),
        presence: &dyn Whereabouts,
    ) -> Vec<Broken<'a>> {
        let mut broken = self.breaks(vm, (Some(from), to), presence, When::Continuous);
        let met = presence.on(to);
        let lack = self.roster.host(to).and_then(|host| self.lacks(vm, host, &met));
        broken.extend(lack.map(Broken::Lacks));
        broken
    }

    /// Rules about the end that `vm`, which has moved, breaks on `host` when everybody is where
    /// `presence` says; without those that keep domains on one host.
    pub(super) fn end_breaks(
        &self,
        vm: &VmId,
        host: &HostId,
        presence: &dyn Whereabouts,
    ) -> Vec<Broken<'a>> {
        self.breaks(vm, (None, host), presence, When::End)
    }

    /// Whether any rule says something of single arrivals at the end only.
    pub(super) fn any_about_end(&self) -> bool {
        self.policy.rules.iter().any(|rule| judged(rule, When::End))
    }

    fn breaks(
        &self,
        vm: &VmId,
        (from, to): (Option<&HostId>, &HostId),
        presence: &dyn Whereabouts,
        when: When,
    ) -> Vec<Broken<'a>> {
        let mut broken = Vec::new();
        let Some(host) = self.roster.host(to) else { return broken };
        let number = self.roster.vm(vm);
        let rules = number.map_or(&[][..], |number| &self.of_vm[number]);
        let met = presence.on(to);
        for &rule in rules.iter().filter(|&&rule| judged(&self.policy.rules[rule], when)) {
            let members = &self.roster.meant[rule].vms;
            let hosts = &self.roster.meant[rule].hosts;
            let breaks = match &self.policy.rules[rule].kind {
                RuleKind::Pin => hosts.binary_search(&host).is_err(),
                RuleKind::Exclude => hosts.binary_search(&host).is_ok(),
                RuleKind::AntiAffinity { per, most } => {
                    let there = |other: &&usize| {
                        Some(**other) != number
                            && self
                                .whereabouts(**other, presence)
                                .any(|at| self.place(per, at) == self.place(per, host))
                    };
                    members.iter().filter(there).count() >= *most as usize
                }
                RuleKind::Affinity { per } => {
                    self.spreads(rule, (number, from, host), 1, per, presence)
                }
                RuleKind::HostsMax { most } => {
                    hosts.binary_search(&host).is_ok()
                        && self.spreads(rule, (number, from, host), *most, &Per::Host, presence)
                }
                RuleKind::Exclusive => met.iter().any(|other| {
                    *other != vm
                        && self
                            .roster
                            .vm(other)
                            .is_none_or(|other| members.binary_search(&other).is_err())
                }),
                RuleKind::Disruption(_) => false,
            };
            if breaks {
                broken.push(Broken::Rule(self.name(rule)));
            }
        }
        broken.extend(self.intrudes(number, &met, when).map(Broken::Rule));
        broken
    }

    fn whereabouts<'b>(
        &'b self,
        vm: usize,
        presence: &'b dyn Whereabouts,
    ) -> impl Iterator<Item = usize> + 'b {
        presence.of(self.roster.vms[vm]).into_iter().filter_map(|host| self.roster.host(host))
    }

    /// Whether the domains of `rule` are in more than `most` places with one of them on its way. A
    /// rule that was broken before may be broken as long as nobody goes to a place that had none.
    fn spreads(
        &self,
        rule: usize,
        (vm, from, to): (Option<usize>, Option<&HostId>, usize),
        most: u32,
        per: &Per,
        presence: &dyn Whereabouts,
    ) -> bool {
        let meant = &self.roster.meant[rule];
        let counts = |host: &usize| {
            !matches!(self.policy.rules[rule].kind, RuleKind::HostsMax { .. })
                || meant.hosts.binary_search(host).is_ok()
        };
        let place = |host: usize| self.place(per, host);
        let others = meant.vms.iter().filter(|other| Some(**other) != vm);
        let mut used: BTreeSet<usize> = others
            .flat_map(|&other| self.whereabouts(other, presence))
            .chain(from.and_then(|from| self.roster.host(from)))
            .filter(counts)
            .map(place)
            .collect();
        used.insert(place(to));
        if used.len() <= most as usize {
            return false;
        }
        let first = meant.vms.iter().flat_map(|&one| self.start[one].iter().copied());
        let first = first.filter(counts);
        let first: BTreeSet<usize> = first.map(place).collect();
        first.len() <= most as usize || !first.contains(&place(to))
    }

    /// The exclusive rule of somebody met that does not name `vm`.
    fn intrudes(&self, vm: Option<usize>, met: &[&VmId], when: When) -> Option<&'a str> {
        let theirs = met.iter().filter_map(|other| self.roster.vm(other));
        let foreign = theirs.flat_map(|other| self.of_vm[other].iter().copied()).find(|&rule| {
            let one = &self.policy.rules[rule];
            one.kind == RuleKind::Exclusive
                && judged(one, when)
                && vm.is_none_or(|vm| self.roster.meant[rule].vms.binary_search(&vm).is_err())
        });
        foreign.map(|rule| self.name(rule))
    }

    /// What `host` has not for `vm` beside everybody whom it would meet there.
    fn lacks(&self, vm: &VmId, host: usize, met: &[&VmId]) -> Option<Lack> {
        let offers = &self.snapshot.hosts.get(self.roster.hosts[host])?.offers;
        let needs = &self.domains.get(vm)?.needs;
        if let Some(lack) = offers.lacks(needs) {
            return Some(lack);
        }
        let others = met.iter().filter(|other| **other != vm);
        let all: Vec<_> =
            others.filter_map(|other| self.domains.get(other)).map(|d| &d.needs).collect();
        for (size, bytes) in &needs.huge_pages {
            let taken: u64 = all
                .iter()
                .filter_map(|needs| needs.huge_pages.get(size))
                .fold(bytes.get(), |sum, more| sum.saturating_add(more.get()));
            let offered = offers.huge_pages.as_ref().and_then(|pages| pages.get(size));
            if offered.is_some_and(|offered| taken > offered.get()) {
                return Some(Lack::HugePages);
            }
        }
        if let Some(own) = needs.one_node.filter(|_| !offers.numa.is_empty()) {
            let mut bound: Vec<_> = all.iter().filter_map(|needs| needs.one_node).collect();
            bound.push(own);
            if !nodes::fit(&offers.numa, bound) {
                return Some(Lack::Numa);
            }
        }
        None
    }

    /// Budgets that migrations of `plan` may exceed together, however long they take.
    pub(super) fn too_many_at_once(&self, plan: &Plan) -> Vec<Exceeded<'a>> {
        let mut moves: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, one) in plan.moves.iter().enumerate() {
            let Some(number) = self.roster.vm(&one.vm) else { continue };
            for &rule in &self.of_vm[number] {
                moves.entry(rule).or_default().push(index);
            }
        }
        let exceeded = |(rule, moves): (usize, Vec<usize>)| {
            let RuleKind::Disruption(budget) = &self.policy.rules[rule].kind else { return None };
            let limit = budget.at_once.filter(|limit| moves.len() > *limit as usize)?;
            let count = budgets::side_by_side(plan, &moves);
            (count > limit as usize).then(|| Exceeded { rule: self.name(rule), count, limit })
        };
        moves.into_iter().filter_map(exceeded).collect()
    }

    /// Budgets that all the migrations of a plan exceed; a domain counts as often as it moves.
    pub(super) fn too_many_moves(&self, moved: &[&VmId]) -> Vec<Exceeded<'a>> {
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for number in moved.iter().filter_map(|vm| self.roster.vm(vm)) {
            for &rule in &self.of_vm[number] {
                *counts.entry(rule).or_default() += 1;
            }
        }
        let exceeded = |(rule, count): (usize, usize)| {
            let RuleKind::Disruption(budget) = &self.policy.rules[rule].kind else { return None };
            let limit = budget.moves_max.filter(|limit| count > *limit as usize)?;
            Some(Exceeded { rule: self.name(rule), count, limit })
        };
        counts.into_iter().filter_map(exceeded).collect()
    }

    /// The rule that lets nobody migrate `vm` at this moment, with when it will.
    pub(super) fn closed(&self, vm: &VmId, now: Timestamp) -> Option<(&'a str, Timestamp)> {
        let rules = &self.of_vm[self.roster.vm(vm)?];
        rules.iter().find_map(|&rule| {
            let RuleKind::Disruption(budget) = &self.policy.rules[rule].kind else { return None };
            let opens = budget.windows.iter().map(|window| window.opens(now)).min()?;
            (opens > now).then(|| (self.name(rule), opens))
        })
    }

    /// The rule that lets nobody migrate `vm` any more from some moment on, although it does at
    /// `now`, with that moment; the first of them.
    pub(super) fn closes(&self, vm: &VmId, now: Timestamp) -> Option<(&'a str, Timestamp)> {
        let rules = &self.of_vm[self.roster.vm(vm)?];
        let closing = rules.iter().filter_map(|&rule| {
            let RuleKind::Disruption(budget) = &self.policy.rules[rule].kind else { return None };
            Some((self.name(rule), budget.closes(now)?))
        });
        closing.min_by_key(|(_, closes)| *closes)
    }
}

/// Whether an arrival is held against `rule`: of those about the end, hard ones but affinity by
/// host, which lets domains travel one by one.
fn judged(rule: &Rule, when: When) -> bool {
    let continuous = rule.is_continuous();
    match when {
        When::Continuous => continuous,
        When::End => {
            rule.is_hard() && !continuous && rule.kind != RuleKind::Affinity { per: Per::Host }
        }
    }
}
