//! Whether the reserve for failures is no worse after a plan than before it, by trying: the VMs of
//! every host that could fail are given places on the others.
//!
//! One VM after the other, the largest first, goes to the host with the least room that suffices, to
//! the first that suffices, to the one with the most room, or to the one that had the most room
//! before; the best of these counts. Sets of several hosts are not tried here: one host at a time is what every
//! reserve of one or more promises. Own code of the checker, on names instead of numbers.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use super::{Problem, Replay, rules::Whereabouts};
use crate::{
    cluster::{Domain, HostState},
    ids::{HostId, VmId},
    plan::{Plan, Remark},
};

/// VMs that would find no place after the failure of each host, as things are in `replay`, where
/// `away` takes nobody.
pub(super) fn stranded(replay: &Replay<'_>, away: &BTreeSet<&HostId>) -> BTreeMap<String, usize> {
    if replay.policy.limits.host_failures == 0 {
        return BTreeMap::new();
    }
    let mut guests: BTreeMap<&HostId, Vec<&Domain>> = BTreeMap::new();
    for (vm, host) in &replay.place {
        guests.entry(*host).or_default().extend(replay.domains.get(vm).copied());
    }
    let free = free(replay, away);
    let living = living(replay);
    let mut found = BTreeMap::new();
    for (failed, mut here) in guests {
        here.sort_by_key(|domain| (Reverse((domain.memory, domain.vcpus)), &domain.vm));
        let picks: [Rank; 4] = [
            |_, before| -i128::from(before),
            |free, _| i128::from(free),
            |_, _| 0,
            |free, _| -i128::from(free),
        ];
        let mut left = usize::MAX;
        for pick in picks {
            if left > 0 {
                left =
                    left.min(Room::without(replay, (&free, &living), failed).restart(&here, pick));
            }
        }
        if left > 0 {
            found.insert(failed.to_string(), left);
        }
    }
    found
}

/// Everybody on each host, those who pass through too.
fn living<'a>(replay: &Replay<'a>) -> BTreeMap<&'a HostId, Vec<&'a VmId>> {
    let mut living: BTreeMap<&HostId, Vec<&VmId>> = BTreeMap::new();
    for (vm, host) in &replay.place {
        living.entry(*host).or_default().push(*vm);
    }
    for domain in replay.snapshot.domains.iter().filter(|one| !one.state.lives_here()) {
        living.entry(&domain.host).or_default().push(&domain.vm);
    }
    living
}

/// Memory and vCPUs that are free on each host that takes VMs.
fn free<'a>(replay: &Replay<'a>, away: &BTreeSet<&HostId>) -> BTreeMap<&'a HostId, (u64, f64)> {
    let (limits, snapshot) = (&replay.policy.limits, replay.snapshot);
    let mut free = BTreeMap::new();
    for (id, host) in &snapshot.hosts {
        if !away.contains(id) && host.state == HostState::Up {
            let memory = (host.memory.as_f64() * (1.0 - limits.memory_reserve.get())) as u64;
            free.insert(id, (memory, host.cpu.as_cores_f64() * limits.cpu_overcommit));
        }
    }
    let here = replay.domains.values().filter_map(|one| Some((*one, *replay.place.get(&one.vm)?)));
    // Those who pass through hold memory at this end too.
    let passing = snapshot.domains.iter().filter(|one| !one.state.lives_here());
    for (domain, host) in here.chain(passing.map(|one| (one, &one.host))) {
        if let Some(free) = free.get_mut(host) {
            free.0 = free.0.saturating_sub(domain.memory.get());
            free.1 -= f64::from(domain.vcpus);
        }
    }
    free
}

/// What the plan makes worse, as problems; what was already so is said too.
pub(super) fn judge(replay: &mut Replay<'_>, plan: &Plan, before: &BTreeMap<String, usize>) {
    let off: BTreeSet<&HostId> = plan
        .report
        .remarks
        .iter()
        .filter_map(|remark| match remark {
            Remark::SwitchOff { hosts, .. } => Some(hosts),
            _ => None,
        })
        .flatten()
        .collect();
    for host in &off {
        let left = replay.place.values().filter(|place| *place == host).count();
        if left > 0 {
            replay.note(host, Problem::NotEmpty { left });
        }
    }
    let mut away = BTreeSet::new();
    if !replay.policy.powersave.reserve_may_sleep {
        away.extend(off);
    }
    away.extend(plan.goal.emptied());
    let after = stranded(replay, &away);
    let (was, left): (usize, usize) = (before.values().sum(), after.values().sum());
    if left == 0 {
        return;
    }
    let hosts = after.keys().cloned().collect::<Vec<_>>().join(", ");
    replay.note("reserve", Problem::ReserveBroken { hosts, left, was });
}

/// What a host is chosen by, the least first: memory that is free there, and was at the beginning.
type Rank = fn(u64, u64) -> i128;

/// What is free on each host, and who is there.
type Cluster<'a, 'b> =
    (&'b BTreeMap<&'a HostId, (u64, f64)>, &'b BTreeMap<&'a HostId, Vec<&'a VmId>>);

/// The cluster after a failure.
struct Room<'a, 'b> {
    replay: &'b Replay<'a>,
    failed: &'b HostId,
    free: BTreeMap<&'a HostId, (u64, f64)>,
    /// Everybody before the failure.
    living: &'b BTreeMap<&'a HostId, Vec<&'a VmId>>,
    /// Where VMs have started again.
    started: BTreeMap<&'b VmId, &'a HostId>,
    /// The same by host.
    came: BTreeMap<&'a HostId, Vec<&'b VmId>>,
}

impl<'a, 'b> Room<'a, 'b> {
    fn without(
        replay: &'b Replay<'a>,
        (free, living): Cluster<'a, 'b>,
        failed: &'b HostId,
    ) -> Self {
        let mut free = free.clone();
        free.remove(failed);
        Self { replay, failed, free, living, started: BTreeMap::new(), came: BTreeMap::new() }
    }

    /// How many of `domains` find no place, where `rank` is least on the host to be taken.
    fn restart(&mut self, domains: &[&'b Domain], rank: Rank) -> usize {
        let before = self.free.clone();
        let mut left = 0;
        for domain in domains {
            let (memory, vcpus) = (domain.memory.get(), f64::from(domain.vcpus));
            let had = |host: &HostId| before.get(host).map_or(0, |free| free.0);
            let fits = |(_, free): &(&&HostId, &(u64, f64))| free.0 >= memory && free.1 >= vcpus;
            let open = self.free.iter().filter(fits);
            let mut open: Vec<(i128, &'a HostId)> =
                open.map(|(host, free)| (rank(free.0, had(host)), *host)).collect();
            open.sort_unstable();
            let best = open.into_iter().find(|(_, host)| self.allows(domain, host));
            let Some((_, host)) = best else {
                left += 1;
                continue;
            };
            if let Some(free) = self.free.get_mut(host) {
                *free = (free.0 - memory, free.1 - vcpus);
            }
            self.started.insert(&domain.vm, host);
            self.came.entry(host).or_default().push(&domain.vm);
        }
        left
    }

    /// Whether no rule keeps `domain` off `host`. Who waits for a place is nowhere.
    fn allows(&self, domain: &Domain, host: &HostId) -> bool {
        let rules = &self.replay.rules;
        rules.arrival_breaks(&domain.vm, (self.failed, host), self).is_empty()
    }
}

impl Whereabouts for Room<'_, '_> {
    fn on(&self, host: &HostId) -> Vec<&VmId> {
        let here = self.living.get(host).into_iter().flatten().copied();
        here.chain(self.came.get(host).into_iter().flatten().copied()).collect()
    }

    fn of(&self, vm: &VmId) -> Vec<&HostId> {
        let lived = self.replay.place.get(vm).copied().filter(|host| *host != self.failed);
        self.started.get(vm).copied().or(lived).into_iter().collect()
    }
}
