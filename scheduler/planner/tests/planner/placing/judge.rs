//! Whether machines may be where an answer puts them, judged without the planner's code.

use std::collections::BTreeMap;

use whimbrel_core::{
    cluster::{Domain, DomainState, HostState},
    ids::{HostId, VmId},
    policy::{Per, Roster, RuleKind},
};
use whimbrel_planner::placing::NewVm;

use crate::support::*;

/// Memory and vCPUs.
pub(super) type Need = (u64, u64);

/// A new machine in a few words.
pub(super) fn new_vm(name: &str, memory_gib: u64, vcpus: u32) -> NewVm {
    NewVm {
        name: vm_id(name),
        vcpus,
        memory: gib(memory_gib),
        demand_cores: Some(0.5),
        exclude: Vec::new(),
    }
}

/// Where everybody is who is not on one of `lost`.
pub(super) fn places(cluster: &Cluster, lost: &[HostId]) -> BTreeMap<VmId, HostId> {
    let here = cluster.snapshot.domains.iter();
    let here = here.filter(|d| d.state.lives_here() && !lost.contains(&d.host));
    here.map(|d| (d.vm.clone(), d.host.clone())).collect()
}

/// What may not be: `came` on their hosts, beside those who are at `places`.
pub(super) fn faults(
    cluster: &Cluster,
    places: &BTreeMap<VmId, HostId>,
    came: &BTreeMap<VmId, (HostId, Need)>,
    lost: &[HostId],
) -> Vec<String> {
    let mut faults = Vec::new();
    for (vm, (host, _)) in came {
        let state = cluster.snapshot.hosts[host].state;
        if state != HostState::Up || lost.contains(host) {
            faults.push(format!("{vm} is on {host}, which takes nobody"));
        }
        for (law, rule) in cluster.policy.rules.iter().enumerate() {
            if breaks(law, vm, host, places, came, cluster) {
                faults.push(format!("{vm} on {host} breaks {}", rule.name()));
            }
        }
    }
    for host in came.values().map(|(host, _)| host) {
        let (memory, vcpus) = free(cluster, places, host);
        let here = || came.values().filter(|(on, _)| on == host).map(|(_, need)| need);
        if here().map(|need| need.0).sum::<u64>() > memory
            || here().map(|need| need.1).sum::<u64>() > vcpus
        {
            faults.push(format!("{host} is over its limits"));
        }
    }
    faults
}

/// Memory and vCPUs that are free on `host`.
pub(super) fn free(cluster: &Cluster, places: &BTreeMap<VmId, HostId>, host: &HostId) -> Need {
    let (limits, one) = (&cluster.policy.limits, &cluster.snapshot.hosts[host]);
    let memory = (one.memory.as_f64() * (1.0 - limits.memory_reserve.get())) as u64;
    let vcpus = (one.cpu.as_cores_f64() * limits.cpu_overcommit) as u64;
    let here = cluster.snapshot.domains.iter().filter(|d| {
        let passes = matches!(d.state, DomainState::Incoming | DomainState::Outgoing);
        d.host == *host && (passes || places.get(&d.vm) == Some(host))
    });
    here.fold((memory, vcpus), |(memory, vcpus), d| {
        (memory.saturating_sub(d.memory.get()), vcpus.saturating_sub(d.vcpus.into()))
    })
}

/// Whether `vm` on `host` breaks the rule of this number, if it is a hard one.
fn breaks(
    law: usize,
    vm: &VmId,
    host: &HostId,
    places: &BTreeMap<VmId, HostId>,
    came: &BTreeMap<VmId, (HostId, Need)>,
    cluster: &Cluster,
) -> bool {
    let (rule, roster) =
        (&cluster.policy.rules[law], Roster::new(&cluster.policy, &cluster.snapshot));
    let meant = &roster.meant[law];
    let member = |vm: &VmId| roster.vm(vm).is_some_and(|vm| meant.vms.contains(&vm));
    if !rule.is_hard() {
        return false;
    }
    let number = |host: &HostId| roster.host(host).unwrap();
    let per = match &rule.kind {
        RuleKind::AntiAffinity { per, .. } | RuleKind::Affinity { per } => per,
        _ => &Per::Host,
    };
    let area = whimbrel_core::policy::places(per, &cluster.snapshot);
    let place = |host: &HostId| area[number(host)];
    // Everybody else who is somewhere, those who pass by on both hosts.
    let mut others: Vec<(&VmId, &HostId)> =
        places.iter().chain(came.iter().map(|(vm, (host, _))| (vm, host))).collect();
    others.retain(|(other, _)| *other != vm);
    let arriving = cluster.snapshot.domains.iter().filter(|d| d.state == DomainState::Incoming);
    others.extend(arriving.map(|d| (&d.vm, &d.host)));
    let members = || others.iter().filter(|(other, _)| member(other));
    let listed = meant.hosts.contains(&number(host));
    match &rule.kind {
        RuleKind::AntiAffinity { most, .. } => {
            let there = members().filter(|(_, on)| place(on) == place(host)).count();
            member(vm) && there >= *most as usize
        }
        RuleKind::Affinity { .. } => {
            member(vm)
                && members().next().is_some()
                && !members().any(|(_, on)| place(on) == place(host))
        }
        RuleKind::Pin => member(vm) && !listed,
        RuleKind::Exclude => member(vm) && listed,
        RuleKind::HostsMax { most } => {
            let before = |on: &HostId| {
                let arrives = |d: &&Domain| d.state == DomainState::Incoming && d.host == *on;
                places.iter().any(|(other, at)| at == on && member(other))
                    || cluster.snapshot.domains.iter().filter(arrives).any(|d| member(&d.vm))
            };
            let mut used: Vec<usize> = members().map(|(_, on)| number(on)).collect();
            used.push(number(host));
            used.retain(|on| meant.hosts.contains(on));
            used.sort_unstable();
            used.dedup();
            member(vm) && listed && !before(host) && used.len() > *most as usize
        }
        RuleKind::Exclusive => {
            let leaving = cluster.snapshot.domains.iter();
            let leaving = leaving.filter(|d| d.state == DomainState::Outgoing && d.host == *host);
            let here = others.iter().filter(|(_, on)| *on == host);
            if member(vm) {
                here.into_iter().any(|(other, _)| !member(other)) || leaving.count() > 0
            } else {
                here.into_iter().any(|(other, _)| member(other))
            }
        }
        RuleKind::Disruption(_) => false,
    }
}

/// The most of `vms` that any choice of hosts holds, by trying all.
pub(super) fn most(
    cluster: &Cluster,
    places: &BTreeMap<VmId, HostId>,
    vms: &[(VmId, Need)],
    lost: &[HostId],
) -> usize {
    fn go(
        cluster: &Cluster,
        places: &BTreeMap<VmId, HostId>,
        left: &[(VmId, Need)],
        came: &mut BTreeMap<VmId, (HostId, Need)>,
        lost: &[HostId],
    ) -> usize {
        let Some(((vm, need), left)) = left.split_first() else {
            let holds = faults(cluster, places, came, lost).is_empty();
            return if holds { came.len() } else { 0 };
        };
        let mut best = go(cluster, places, left, came, lost);
        for host in cluster.snapshot.hosts.keys() {
            came.insert(vm.clone(), (host.clone(), *need));
            best = best.max(go(cluster, places, left, came, lost));
            came.remove(vm);
        }
        best
    }
    go(cluster, places, vms, &mut BTreeMap::new(), lost)
}
