//! Whether machines may be where an answer puts them, judged without the planner's code.

use std::collections::BTreeMap;

use whimbrel_core::{
    cluster::{DomainState, HostState},
    ids::{HostId, VmId},
    policy::Rule,
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
        for rule in &cluster.policy.rules {
            if breaks(rule, vm, host, places, came, cluster) {
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

fn breaks(
    rule: &Rule,
    vm: &VmId,
    host: &HostId,
    places: &BTreeMap<VmId, HostId>,
    came: &BTreeMap<VmId, (HostId, Need)>,
    cluster: &Cluster,
) -> bool {
    if !rule.vms().contains(vm) {
        return false;
    }
    let at = |other: &VmId| came.get(other).map(|one| &one.0).or_else(|| places.get(other));
    let others = || rule.vms().iter().filter(|other| *other != vm);
    let arriving = || {
        let passing = |d: &&whimbrel_core::Domain| {
            d.state == DomainState::Incoming && rule.vms().contains(&d.vm)
        };
        cluster.snapshot.domains.iter().filter(passing).map(|d| &d.host)
    };
    match rule {
        Rule::AntiAffinity { .. } => {
            others().any(|other| at(other) == Some(host)) || arriving().any(|on| on == host)
        }
        Rule::Affinity { .. } => {
            let mut hosts = others().filter_map(at).chain(arriving()).peekable();
            hosts.peek().is_some() && !hosts.any(|on| on == host)
        }
        Rule::Pin { .. } | Rule::Exclude { .. } => !rule.allows(vm, host),
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
