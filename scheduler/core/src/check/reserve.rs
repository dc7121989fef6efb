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

use super::{Problem, Replay};
use crate::{
    cluster::{Domain, HostState},
    ids::{HostId, VmId},
    plan::{Goal, Plan, Remark},
    policy::Rule,
};

/// VMs that would find no place after the failure of each host, as things are in `replay`, where
/// `away` takes nobody.
pub(super) fn stranded(replay: &Replay<'_>, away: &BTreeSet<&HostId>) -> BTreeMap<String, usize> {
    if replay.policy.limits.host_failures == 0 {
        return BTreeMap::new();
    }
    let mut found = BTreeMap::new();
    for failed in replay.snapshot.hosts.keys() {
        let mut here: Vec<&Domain> = replay
            .domains
            .values()
            .copied()
            .filter(|domain| replay.place.get(&domain.vm) == Some(&failed))
            .collect();
        here.sort_by_key(|domain| (Reverse((domain.memory, domain.vcpus)), &domain.vm));
        let room = Room::new(replay, failed, away);
        let picks: [Rank; 4] = [
            |free, _| i128::from(free),
            |_, _| 0,
            |free, _| -i128::from(free),
            |_, before| -i128::from(before),
        ];
        let left = picks.iter().map(|pick| room.clone().restart(&here, *pick)).min().unwrap_or(0);
        if left > 0 {
            found.insert(failed.to_string(), left);
        }
    }
    found
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
    if let Goal::Drain { host, .. } = &plan.goal {
        away.insert(host);
    }
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

/// Memory and vCPUs that are free on each host, and who is there.
#[derive(Clone)]
struct Room<'a> {
    free: BTreeMap<&'a HostId, (u64, f64)>,
    guests: BTreeMap<&'a HostId, BTreeSet<&'a VmId>>,
    rules: &'a [Rule],
}

impl<'a> Room<'a> {
    fn new(replay: &Replay<'a>, failed: &HostId, away: &BTreeSet<&HostId>) -> Self {
        let (limits, snapshot) = (&replay.policy.limits, replay.snapshot);
        let mut room =
            Self { free: BTreeMap::new(), guests: BTreeMap::new(), rules: &replay.policy.rules };
        for (id, host) in &snapshot.hosts {
            if id == failed || away.contains(id) || host.state != HostState::Up {
                continue;
            }
            let memory = (host.memory.as_f64() * (1.0 - limits.memory_reserve.get())) as u64;
            room.free.insert(id, (memory, host.cpu.as_cores_f64() * limits.cpu_overcommit));
        }
        let here =
            replay.domains.values().filter_map(|one| Some((*one, *replay.place.get(&one.vm)?)));
        // Those who pass through hold memory at this end too.
        let passing = snapshot.domains.iter().filter(|one| !one.state.lives_here());
        for (domain, host) in here.chain(passing.map(|one| (one, &one.host))) {
            if let Some(free) = room.free.get_mut(host) {
                free.0 = free.0.saturating_sub(domain.memory.get());
                free.1 -= f64::from(domain.vcpus);
            }
            room.guests.entry(host).or_default().insert(&domain.vm);
        }
        room
    }

    /// How many of `domains` find no place, where `rank` is least on the host to be taken.
    fn restart(&mut self, domains: &[&'a Domain], rank: Rank) -> usize {
        let before = self.free.clone();
        let mut left = 0;
        for domain in domains {
            let (memory, vcpus) = (domain.memory.get(), f64::from(domain.vcpus));
            let fits = |free: &(u64, f64)| free.0 >= memory && free.1 >= vcpus;
            let open =
                self.free.iter().filter(|(host, free)| fits(free) && self.allows(domain, host));
            let had = |host: &HostId| before.get(host).map_or(0, |free| free.0);
            let best = open.min_by_key(|(host, free)| (rank(free.0, had(host)), **host));
            let Some(host) = best.map(|(host, _)| *host) else {
                left += 1;
                continue;
            };
            if let Some(free) = self.free.get_mut(host) {
                *free = (free.0 - memory, free.1 - vcpus);
            }
            self.guests.entry(host).or_default().insert(&domain.vm);
        }
        left
    }

    fn allows(&self, domain: &Domain, host: &HostId) -> bool {
        let guests = self.guests.get(host);
        let meets = |vms: &[VmId]| {
            let there = |other: &VmId| guests.is_some_and(|guests| guests.contains(other));
            vms.iter().any(|other| *other != domain.vm && there(other))
        };
        self.rules.iter().all(|rule| match rule {
            Rule::AntiAffinity { vms, .. } => !vms.contains(&domain.vm) || !meets(vms),
            _ => rule.allows(&domain.vm, host),
        })
    }
}
