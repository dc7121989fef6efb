//! How many VMs of each rule are in each place, what that breaks, and what one move would change.
//!
//! Never here: memory, vCPUs and CPU demand.

use std::collections::BTreeMap;

use super::{Group, View};

/// Counts by place.
type Counts = BTreeMap<usize, u32>;

/// VMs of each rule by place.
#[derive(Clone)]
pub(crate) struct Tally {
    apart: Vec<Counts>,
    capped: Vec<Counts>,
    /// Of exclusive rules: those with VMs on each host, with how many.
    alone: Vec<Counts>,
    /// VMs on each host, those that pass by included.
    guests: Vec<u32>,
}

/// What a VM would break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum When {
    /// By ending there.
    End,
    /// By being there for a while.
    Now,
}

impl When {
    fn judges(self, group: &Group<'_>) -> bool {
        match self {
            Self::End => group.hard,
            Self::Now => group.continuous,
        }
    }
}

impl Tally {
    /// With nobody but those who pass by on migrations outside the plan.
    pub(super) fn new(view: &View<'_>) -> Self {
        let arriving = |group: &Group<'_>| {
            let mut counts = Counts::new();
            let places = group.arriving.iter().filter_map(|&host| group.place(host));
            places.for_each(|place| *counts.entry(place).or_default() += 1);
            counts
        };
        let mut alone = vec![Counts::new(); view.hosts.len()];
        for (group, one) in view.alone.iter().enumerate() {
            one.arriving.iter().for_each(|&host| *alone[host].entry(group).or_default() += 1);
        }
        Self {
            apart: view.apart.iter().map(arriving).collect(),
            capped: view.capped.iter().map(arriving).collect(),
            alone,
            guests: view.hosts.iter().map(|host| host.passing_guests).collect(),
        }
    }

    /// Counts `vm` on `host` too.
    pub(super) fn add(&mut self, view: &View<'_>, vm: usize, host: usize) {
        let one = &view.vms[vm];
        count(&mut self.apart, &view.apart, (&one.apart, host), 1);
        count(&mut self.capped, &view.capped, (&one.capped, host), 1);
        self.guests[host] += 1;
        one.alone.iter().for_each(|&group| change(&mut self.alone[host], group, 1));
    }

    /// Counts `vm` no longer on `host`.
    pub(super) fn remove(&mut self, view: &View<'_>, vm: usize, host: usize) {
        let one = &view.vms[vm];
        count(&mut self.apart, &view.apart, (&one.apart, host), -1);
        count(&mut self.capped, &view.capped, (&one.capped, host), -1);
        self.guests[host] = self.guests[host].saturating_sub(1);
        one.alone.iter().for_each(|&group| change(&mut self.alone[host], group, -1));
    }

    /// The hard rule that `vm`, which is at `at`, would break on `host`, if any.
    pub(super) fn clash<'a>(
        &self,
        view: &View<'a>,
        vm: usize,
        (at, host): (usize, usize),
        when: When,
    ) -> Option<&'a str> {
        let one = &view.vms[vm];
        let crowded = |&&index: &&usize| {
            let group = &view.apart[index];
            let itself = u32::from(group.place(at) == group.place(host));
            when.judges(group) && at_place(&self.apart[index], group, host) >= group.most + itself
        };
        let spread = |&&index: &&usize| {
            let group = &view.capped[index];
            when.judges(group) && spreads(group, &self.capped[index], (at, host))
        };
        let beside =
            |&&group: &&usize| when.judges(&view.alone[group]) && self.strangers(group, host) > 0;
        let intrudes = |group: &&usize| {
            when.judges(&view.alone[**group]) && one.alone.binary_search(group).is_err()
        };
        let apart = one.apart.iter().find(crowded).map(|&group| view.apart[group].name);
        apart
            .or_else(|| one.capped.iter().find(spread).map(|&group| view.capped[group].name))
            .or_else(|| one.alone.iter().find(beside).map(|&group| view.alone[group].name))
            .or_else(|| self.alone[host].keys().find(intrudes).map(|&group| view.alone[group].name))
    }

    /// A rule, hard or a preference, that `vm` on `host`, where it is, has a part in breaking.
    pub(super) fn grievance<'a>(&self, view: &View<'a>, vm: usize, host: usize) -> Option<&'a str> {
        let one = &view.vms[vm];
        let crowded = |group: &&usize| {
            let (group, counts) = (&view.apart[**group], &self.apart[**group]);
            at_place(counts, group, host) > group.most
        };
        let spread =
            |group: &&usize| self.capped[**group].len() > view.capped[**group].most as usize;
        let beside = |group: &&usize| self.strangers(**group, host) > 0;
        let apart = one.apart.iter().find(crowded).map(|&group| view.apart[group].name);
        apart
            .or_else(|| one.capped.iter().find(spread).map(|&group| view.capped[group].name))
            .or_else(|| one.alone.iter().find(beside).map(|&group| view.alone[group].name))
            .or_else(|| {
                let foreign = |group: &&usize| one.alone.binary_search(group).is_err();
                self.alone[host].keys().find(foreign).map(|&group| view.alone[group].name)
            })
    }

    /// VMs on `host` that are not of the exclusive rule `group`.
    fn strangers(&self, group: usize, host: usize) -> u32 {
        let own = self.alone[host].get(&group).copied().unwrap_or(0);
        self.guests[host].saturating_sub(own)
    }

    /// What breaches cost more when `vm` goes from `from` to `to`, in guest-seconds; without rules
    /// of single VMs and hosts and those that keep VMs on one host.
    pub(super) fn change(&self, view: &View<'_>, vm: usize, (from, to): (usize, usize)) -> f64 {
        if from == to {
            return 0.0;
        }
        let one = &view.vms[vm];
        let apart = one.apart.iter().map(|&index| {
            let (group, counts) = (&view.apart[index], &self.apart[index]);
            if group.place(from) == group.place(to) {
                return 0.0;
            }
            let relieved = at_place(counts, group, from) > group.most;
            let crowded = at_place(counts, group, to) >= group.most;
            group.weight * (f64::from(u8::from(crowded)) - f64::from(u8::from(relieved)))
        });
        let capped = one.capped.iter().map(|&index| {
            let (group, counts) = (&view.capped[index], &self.capped[index]);
            let (own, place) = (group.place(from), group.place(to));
            if own == place {
                return 0.0;
            }
            let vacated = own.is_some_and(|own| counts.get(&own) == Some(&1));
            let opened = place.is_some_and(|place| !counts.contains_key(&place));
            let after = counts.len() + usize::from(opened) - usize::from(vacated);
            let over = |used: usize| used.saturating_sub(group.most as usize) as f64;
            group.weight * (over(after) - over(counts.len()))
        });
        apart.chain(capped).sum::<f64>() + self.intrusion(view, vm, (from, to))
    }

    /// The same for exclusive rules.
    fn intrusion(&self, view: &View<'_>, vm: usize, (from, to): (usize, usize)) -> f64 {
        let one = &view.vms[vm];
        let mut seconds = 0.0;
        for &group in &one.alone {
            let weight = view.alone[group].weight;
            let own = |host: usize| self.alone[host].get(&group).copied().unwrap_or(0);
            if own(from) == 1 && self.strangers(group, from) > 0 {
                seconds -= weight;
            }
            if own(to) == 0 && self.strangers(group, to) > 0 {
                seconds += weight;
            }
        }
        let foreign = |group: &&usize| one.alone.binary_search(group).is_err();
        for &group in self.alone[from].keys().filter(foreign) {
            if self.strangers(group, from) == 1 {
                seconds -= view.alone[group].weight;
            }
        }
        for &group in self.alone[to].keys().filter(foreign) {
            if self.strangers(group, to) == 0 {
                seconds += view.alone[group].weight;
            }
        }
        seconds
    }

    /// Every group with how often it is broken: VMs too many in a place, places too many, hosts
    /// shared with others. Without those that keep VMs on one host.
    pub(super) fn breaches<'b, 'a>(
        &'b self,
        view: &'b View<'a>,
    ) -> impl Iterator<Item = (&'b Group<'a>, usize)> + 'b {
        let crowded = |(group, counts): (&'b Group<'a>, &'b Counts)| {
            (group, counts.values().map(|n| n.saturating_sub(group.most) as usize).sum())
        };
        let spread = |(group, counts): (&'b Group<'a>, &'b Counts)| {
            (group, counts.len().saturating_sub(group.most as usize))
        };
        let shared = self.alone.iter().zip(&self.guests).flat_map(|(own, guests)| {
            own.iter().filter(|(_, count)| **count < *guests).map(|(group, _)| *group)
        });
        let apart = view.apart.iter().zip(&self.apart).map(crowded);
        let capped = view.capped.iter().zip(&self.capped).map(spread);
        apart.chain(capped).chain(shared.map(|group| (&view.alone[group], 1)))
    }

    /// Places too many of each capped group, in their order.
    pub(crate) fn excesses<'b>(&'b self, view: &'b View<'_>) -> impl Iterator<Item = usize> + 'b {
        let groups = view.capped.iter().zip(&self.capped);
        groups.map(|(group, counts)| counts.len().saturating_sub(group.most as usize))
    }

    /// Places that VMs of the capped group `group` are in, each with how many.
    pub(crate) fn used(&self, group: usize) -> &BTreeMap<usize, u32> {
        &self.capped[group]
    }

    /// VMs on `host`, those that pass by included.
    pub(crate) fn guests(&self, host: usize) -> u32 {
        self.guests[host]
    }
}

/// Whether one of a capped group that is at `at` would make `host` a place too many.
fn spreads(group: &Group<'_>, counts: &Counts, (at, host): (usize, usize)) -> bool {
    let Some(place) = group.place(host) else { return false };
    let own = group.place(at);
    // Where the rule holds at every moment, the place that it leaves counts until it has left.
    let leaves = !group.continuous && own.is_some_and(|own| counts.get(&own) == Some(&1));
    own != Some(place)
        && !counts.contains_key(&place)
        && counts.len() + 1 - usize::from(leaves) > group.most as usize
}

fn at_place(counts: &Counts, group: &Group<'_>, host: usize) -> u32 {
    group.place(host).and_then(|place| counts.get(&place).copied()).unwrap_or(0)
}

fn change(counts: &mut Counts, place: usize, by: i32) {
    let count = counts.entry(place).or_default();
    *count = count.saturating_add_signed(by);
    if *count == 0 {
        counts.remove(&place);
    }
}

/// Counts one VM of `own` groups at `host`.
fn count(all: &mut [Counts], groups: &[Group<'_>], (own, host): (&[usize], usize), by: i32) {
    for &index in own {
        if let Some(place) = groups[index].place(host) {
            change(&mut all[index], place, by);
        }
    }
}
