//! What is wanted, size by size, and how much of it has room by the sums of all hosts: no placement
//! has room for more.
//!
//! Never here: placements.

use std::cmp::Reverse;

use whimbrel_core::{plan::Flavour, units::Bytes};

use crate::{
    failure::PlanFailure,
    scope::Context,
    view::{HostView, View},
};

/// Most VMs that room is made for where no flavour is given.
const UNASKED_MAX: u64 = 1_000;

/// As many as the sums allow of the size of the largest VM present.
pub(super) fn largest(context: &Context<'_>) -> Vec<Flavour> {
    let sizes = context.view.vms.iter().map(|vm| (vm.domain.memory, vm.domain.vcpus));
    let Some((memory, vcpus)) = sizes.max() else { return Vec::new() };
    let one = Size { memory: memory.get(), vcpus };
    let free = free(context).0 / u128::from(one.memory.max(1));
    let count = u64::try_from(free).unwrap_or(u64::MAX).clamp(1, UNASKED_MAX);
    vec![Flavour { name: None, vcpus, memory, count: u32::try_from(count).unwrap_or(1) }]
}

/// The size of one VM that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size {
    pub(super) memory: u64,
    pub(super) vcpus: u32,
}

/// Every VM that is wanted, the smallest first: the first so many are what fits best.
pub(super) fn sizes(flavours: &[Flavour]) -> Vec<Size> {
    let one = |flavour: &Flavour| Size { memory: flavour.memory.get(), vcpus: flavour.vcpus };
    let mut all: Vec<Size> = flavours
        .iter()
        .flat_map(|flavour| std::iter::repeat_n(one(flavour), flavour.count as usize))
        .collect();
    all.sort_unstable();
    all
}

/// Refuses a size that no host has room for, even empty.
pub(super) fn refuse_too_large(view: &View<'_>, flavour: &Flavour) -> Result<(), PlanFailure> {
    let up = || (0..view.hosts.len()).filter(|&host| view.up(host)).map(|host| &view.hosts[host]);
    let fits = |host: &HostView<'_>| {
        flavour.memory.get() <= host.memory_limit && f64::from(flavour.vcpus) <= host.vcpu_limit
    };
    if up().any(fits) {
        return Ok(());
    }
    let largest = up().map(|host| (host.memory_limit, host.vcpu_limit as u64)).max();
    let (memory, vcpus) = largest.unwrap_or_default();
    let flavour = flavour.to_string();
    Err(PlanFailure::FlavourTooLarge { flavour, memory: Bytes::new(memory), vcpus })
}

/// Free memory and vCPUs of all hosts that are up, without the largest that may fail.
pub(super) fn free(context: &Context<'_>) -> (u128, u128) {
    let view = context.view;
    let up = || (0..view.hosts.len()).filter(|&host| view.up(host));
    let sum = |limit: &dyn Fn(usize) -> u64, used: &dyn Fn(usize) -> u64| {
        let mut limits: Vec<u64> = up().map(|host| limit(host).max(used(host))).collect();
        limits.sort_unstable_by_key(|&limit| Reverse(limit));
        let failures = view.policy.limits.host_failures as usize;
        let left: u128 = limits.iter().skip(failures).map(|&one| u128::from(one)).sum();
        left.saturating_sub(up().map(|host| u128::from(used(host))).sum())
    };
    let memory = sum(&|host| view.hosts[host].memory_limit, &|host| context.start.used(host).0);
    let vcpus = sum(&|host| view.hosts[host].vcpu_limit as u64, &|host| context.start.used(host).1);
    (memory, vcpus)
}

/// How many of `wanted` have room by the sums: no placement has room for more.
pub(super) fn most(context: &Context<'_>, wanted: &[Size]) -> usize {
    let view = context.view;
    let (memory, vcpus) = free(context);
    let fit = |sizes: Vec<u128>, free: u128| {
        let sums = sizes.into_iter().scan(0u128, |sum, size| {
            *sum += size;
            Some(*sum)
        });
        sums.take_while(|sum| *sum <= free).count()
    };
    let by_memory = fit(wanted.iter().map(|one| u128::from(one.memory)).collect(), memory);
    let mut by_vcpus: Vec<u128> = wanted.iter().map(|one| u128::from(one.vcpus)).collect();
    by_vcpus.sort_unstable();
    let by_vcpus = fit(by_vcpus, vcpus);
    // Whole ones on whole hosts, where all are as large as the smallest.
    let whole = wanted.first().map_or(0u128, |one| {
        let up = (0..view.hosts.len()).filter(|&host| view.up(host));
        up.map(|host| u128::from(view.hosts[host].memory_limit / one.memory.max(1))).sum()
    });
    by_memory.min(by_vcpus).min(usize::try_from(whole).unwrap_or(usize::MAX))
}

/// `flavours` with as many of each as are among `wanted`.
pub(super) fn shrunk(flavours: &[Flavour], wanted: &[Size]) -> Vec<Flavour> {
    let mut left = wanted.to_vec();
    let mut shrunk = Vec::new();
    for flavour in flavours {
        let mut count = 0;
        left.retain(|one| {
            let is = one.memory == flavour.memory.get() && one.vcpus == flavour.vcpus;
            let takes = is && count < flavour.count;
            count += u32::from(takes);
            !takes
        });
        if count > 0 {
            shrunk.push(Flavour { count, ..flavour.clone() });
        }
    }
    shrunk
}

/// How many of `wanted` have room as things are, the largest first, each where least stays free.
pub(super) fn room_now(context: &Context<'_>, wanted: &[Size]) -> usize {
    let view = context.view;
    let mut free: Vec<(u64, u64)> = (0..view.hosts.len())
        .filter(|&host| view.up(host))
        .map(|host| {
            let (memory, vcpus) = context.start.used(host);
            let limits = &view.hosts[host];
            let vcpus = (limits.vcpu_limit as u64).saturating_sub(vcpus);
            (limits.memory_limit.saturating_sub(memory), vcpus)
        })
        .collect();
    let mut fit = 0;
    for one in wanted.iter().rev() {
        let (memory, vcpus) = (one.memory, u64::from(one.vcpus));
        let open = free.iter_mut().filter(|free| free.0 >= memory && free.1 >= vcpus);
        if let Some(tightest) = open.min_by_key(|free| free.0) {
            *tightest = (tightest.0 - memory, tightest.1 - vcpus);
            fit += 1;
        }
    }
    fit
}
