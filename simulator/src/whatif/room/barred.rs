//! Which rule keeps a guest off a host while others are where they are.
//!
//! Preferences and budgets of disruption keep nobody off.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    Domain, Policy, Snapshot,
    ids::VmId,
    policy::{Per, Roster, RuleKind, places},
};

use super::{HostRoom, Room};

/// The hard rules of a policy by the guests that they name.
#[derive(Debug)]
pub(super) struct RoomRules<'a> {
    policy: &'a Policy,
    snapshot: &'a Snapshot,
    roster: Roster<'a>,
    of_vm: Vec<Vec<usize>>,
    /// The place of each host, by key of a tag.
    places: BTreeMap<&'a str, Vec<usize>>,
    /// Positions among all hosts of those that count.
    numbers: Vec<usize>,
    any_exclusive: bool,
}

impl<'a> RoomRules<'a> {
    pub(super) fn new(policy: &'a Policy, snapshot: &'a Snapshot, hosts: &[HostRoom<'_>]) -> Self {
        let roster = Roster::new(policy, snapshot);
        let mut of_vm = vec![Vec::new(); roster.vms.len()];
        let mut by_key = BTreeMap::new();
        for (index, (rule, meant)) in policy.rules.iter().zip(&roster.meant).enumerate() {
            if let RuleKind::AntiAffinity { per, .. } | RuleKind::Affinity { per } = &rule.kind
                && let Per::Tag(key) = per
            {
                by_key.entry(key.as_str()).or_insert_with(|| places(per, snapshot));
            }
            for &vm in meant.vms.iter().filter(|_| rule.is_hard()) {
                of_vm[vm].push(index);
            }
        }
        let numbers = hosts.iter().map(|host| host.number).collect();
        let any_exclusive = policy.rules.iter().any(|rule| rule.kind == RuleKind::Exclusive);
        Self { policy, snapshot, roster, of_vm, places: by_key, numbers, any_exclusive }
    }

    fn place(&self, per: &Per, number: usize) -> usize {
        match per {
            Per::Host => number,
            Per::Tag(key) => {
                let places = self.places.get(key.as_str());
                places.and_then(|places| places.get(number).copied()).unwrap_or(number)
            }
        }
    }

    /// The rule that keeps `guest` off the host at `at`, the `number`th of all, if one does.
    pub(super) fn barring(
        &self,
        guest: &Domain,
        (at, number): (usize, usize),
        room: &Room<'_>,
    ) -> Option<&'a str> {
        let offers = self.snapshot.hosts.get(*self.roster.hosts.get(number)?).map(|h| &h.offers);
        if let Some(lack) = offers.and_then(|offers| offers.lacks(&guest.needs)) {
            return Some(lack.name());
        }
        let own = self.roster.vm(&guest.vm);
        let rules = own.map_or(&[][..], |own| &self.of_vm[own]);
        let breaks = |rule: &&usize| self.breaks(**rule, &guest.vm, (at, number), room);
        let rule = rules.iter().find(breaks).copied();
        let rule = rule.or_else(|| self.intrudes(own, at, room));
        rule.map(|rule| self.policy.rules[rule].name())
    }

    fn breaks(
        &self,
        rule: usize,
        vm: &VmId,
        (at, number): (usize, usize),
        room: &Room<'_>,
    ) -> bool {
        let meant = &self.roster.meant[rule];
        let others = || {
            let others = meant.vms.iter().map(|&other| self.roster.vms[other]);
            let others = others.filter(|other| *other != vm);
            others.filter_map(|other| room.place.get(other)).map(|&host| self.numbers[host])
        };
        let listed = |number: usize| meant.hosts.binary_search(&number).is_ok();
        let spread = |per: &Per, most: u32, counts: &dyn Fn(usize) -> bool| {
            let used = others().filter(|number| counts(*number));
            let used: BTreeSet<usize> = used.map(|number| self.place(per, number)).collect();
            let place = self.place(per, number);
            counts(number) && !used.contains(&place) && used.len() >= most as usize
        };
        match &self.policy.rules[rule].kind {
            RuleKind::Pin => !listed(number),
            RuleKind::Exclude => listed(number),
            RuleKind::AntiAffinity { per, most } => {
                let same = |other: &usize| self.place(per, *other) == self.place(per, number);
                others().filter(same).count() >= *most as usize
            }
            RuleKind::Affinity { per } => spread(per, 1, &|_| true),
            RuleKind::HostsMax { most } => spread(&Per::Host, *most, &listed),
            RuleKind::Exclusive => room.place.iter().any(|(other, host)| {
                *host == at
                    && *other != vm
                    && self.roster.vm(other).is_none_or(|o| meant.vms.binary_search(&o).is_err())
            }),
            RuleKind::Disruption(_) => false,
        }
    }

    /// The exclusive rule of somebody at `at` that does not name `own`.
    fn intrudes(&self, own: Option<usize>, at: usize, room: &Room<'_>) -> Option<usize> {
        if !self.any_exclusive {
            return None;
        }
        let there = room.place.iter().filter(|(_, host)| **host == at);
        let there = there.filter_map(|(other, _)| self.roster.vm(other));
        there.flat_map(|other| self.of_vm[other].iter().copied()).find(|&rule| {
            self.policy.rules[rule].kind == RuleKind::Exclusive
                && own.is_none_or(|own| self.roster.meant[rule].vms.binary_search(&own).is_err())
        })
    }
}
