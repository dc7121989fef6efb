//! How many hosts are missing for the demand, and which may be woken.
//!
//! A host that is switched off is known as one in maintenance that runs nothing: no state of its
//! own says that it could be on. Advice only; no plan wakes a host.

use std::cmp::Reverse;

use whimbrel_core::{cluster::HostState, plan::Remark};

use crate::scope::Context;

/// Most hosts that are said to be missing.
const NEEDED_MAX: usize = 10_000;

/// What the hosts that are on cannot carry, if anything.
pub(super) fn advice(context: &Context<'_>) -> Option<Remark> {
    let asleep = asleep(context);
    let sleeping: Vec<Gives> = asleep.iter().map(|&host| Gives::of(context, host)).collect();
    let up = (0..context.view.hosts.len()).filter(|&host| context.view.up(host));
    let on: Vec<Gives> = up.map(|host| Gives::of(context, host)).collect();
    let largest = on.iter().chain(&sleeping).copied().reduce(Gives::larger)?;
    let why = missing(context, &on)?;
    let mut with = on;
    let mut needed = 0;
    while needed < NEEDED_MAX && missing(context, &with).is_some() {
        with.push(sleeping.get(needed).copied().unwrap_or(largest));
        needed += 1;
    }
    let hosts = asleep.iter().take(needed).map(|&host| context.view.hosts[host].id.clone());
    let needed = u32::try_from(needed).unwrap_or(u32::MAX);
    Some(Remark::Wake { hosts: hosts.collect(), needed, why })
}

/// Hosts in maintenance that run nothing, the largest first.
fn asleep(context: &Context<'_>) -> Vec<usize> {
    let view = context.view;
    let empty = |host: usize| view.vms.iter().all(|vm| vm.home != host);
    let mut asleep: Vec<usize> = (0..view.hosts.len())
        .filter(|&host| view.hosts[host].host.state == HostState::Maintenance && empty(host))
        .collect();
    asleep.sort_by_key(|&host| {
        let one = &view.hosts[host];
        (Reverse(one.memory_limit), Reverse(one.host.cpu), host)
    });
    asleep
}

/// What a host carries.
#[derive(Debug, Clone, Copy)]
struct Gives {
    memory: u64,
    cores: f64,
}

impl Gives {
    fn of(context: &Context<'_>, host: usize) -> Self {
        let one = &context.view.hosts[host];
        Self { memory: one.memory_limit, cores: one.cores }
    }

    fn larger(self, other: Self) -> Self {
        Self { memory: self.memory.max(other.memory), cores: self.cores.max(other.cores) }
    }
}

/// In words, what hosts that give `on` cannot carry.
fn missing(context: &Context<'_>, on: &[Gives]) -> Option<String> {
    let view = context.view;
    let (powersave, failures) = (&view.policy.powersave, view.policy.limits.host_failures);
    let up = || (0..view.hosts.len()).filter(|&host| view.up(host));
    let demand: f64 = up().map(|host| context.start.demand(host)).sum();
    let cores: f64 = on.iter().map(|one| one.cores).sum();
    let carried = cores * (1.0 - powersave.headroom.get());
    if demand > carried {
        return Some(format!(
            "demand is {demand:.1} cores, the {} hosts that are on carry {carried:.1} with a \
             headroom of {}",
            up().count(),
            powersave.headroom
        ));
    }
    let memory: u128 = up().map(|host| u128::from(context.start.used(host).0)).sum();
    let mut sizes: Vec<u64> = on.iter().map(|one| one.memory).collect();
    sizes.sort_unstable_by_key(|&size| Reverse(size));
    let left: u128 = sizes.iter().skip(failures as usize).map(|&size| u128::from(size)).sum();
    let gib = |bytes: u128| bytes as f64 / (1u64 << 30) as f64;
    (memory > left).then(|| {
        format!(
            "VMs have {:.0} GiB, the {} hosts that are on keep {:.0} GiB after {failures} failures",
            gib(memory),
            up().count(),
            gib(left)
        )
    })
}
