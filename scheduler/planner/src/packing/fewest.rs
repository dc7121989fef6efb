//! How many VMs must move at least so that wanted ones have room: a bound by single hosts.
//!
//! A host from which so many VMs go has no more room than its largest so many leave behind, whoever
//! comes to it; the best way to share the departures among hosts is found step by step over how
//! many of the wanted have room. Exact for the sums of each host; where the departed go is left out.

use std::cmp::Reverse;

use crate::scope::Context;

/// Departures from one host that are looked at.
const DEPARTURES_MAX: usize = 16;

/// The least number of moves after which `count` VMs of `memory` bytes or more have room.
pub(super) fn moves(context: &Context<'_>, memory: u64, count: usize) -> usize {
    let view = context.view;
    let mut guests: Vec<Vec<u64>> = vec![Vec::new(); view.hosts.len()];
    for vm in view.vms.iter().filter(|vm| vm.held.is_none()) {
        guests[vm.home].push(vm.memory());
    }
    // What is the fewest for each number of wanted ones so far.
    let mut fewest = vec![usize::MAX; count + 1];
    fewest[0] = 0;
    for host in (0..view.hosts.len()).filter(|&host| view.up(host)) {
        let here = &mut guests[host];
        here.sort_unstable_by_key(|&size| Reverse(size));
        let before = fewest.clone();
        for (takes, departures) in steps(context, host, memory, here) {
            for (have, &moves) in
                before.iter().enumerate().filter(|(_, moves)| **moves != usize::MAX)
            {
                let reached = (have + takes).min(count);
                fewest[reached] = fewest[reached].min(moves + departures);
            }
        }
    }
    // More may leave than is looked at; then nothing is promised.
    fewest.last().copied().filter(|&moves| moves != usize::MAX).unwrap_or(0)
}

/// How many of the wanted have room on `host`, with the fewest departures for that, rising.
fn steps(context: &Context<'_>, host: usize, memory: u64, guests: &[u64]) -> Vec<(usize, usize)> {
    let used = context.start.used(host).0;
    let limit = context.view.hosts[host].memory_limit;
    let mut steps: Vec<(usize, usize)> = Vec::new();
    let mut gone = 0u64;
    for departures in 0..=guests.len().min(DEPARTURES_MAX) {
        if let Some(last) = departures.checked_sub(1) {
            gone = gone.saturating_add(guests[last]);
        }
        // Beyond what is looked at, a host is taken to be empty.
        let more = if departures == DEPARTURES_MAX { used } else { gone };
        let free = limit.saturating_sub(used.saturating_sub(more));
        let takes = usize::try_from(free / memory.max(1)).unwrap_or(usize::MAX);
        if takes > 0 && steps.last().is_none_or(|step| takes > step.0) {
            steps.push((takes, departures));
        }
    }
    steps
}
