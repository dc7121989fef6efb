//! Makes room for VMs one after the other, each where that displaces least.
//!
//! A host that has room takes the VM where least stays free. Otherwise the roomiest hosts are asked
//! which of their VMs would have to go, and whether those find a place: the fewest, then the
//! cheapest.

use std::cmp::Reverse;

use super::{free, takes};
use crate::search::draft::Draft;

/// Roomiest hosts that are asked what would have to go.
const ASKED: usize = 32;

/// VMs that one host may lose for one that comes.
const EVICTED_MAX: usize = 16;

/// What makes room on one host: VMs with where they go.
struct Eviction {
    host: usize,
    shifts: Vec<(usize, usize)>,
    seconds: f64,
}

/// Places as many of `wanted`, largest first, as it can; those that found no place.
pub(super) fn make_room(draft: &mut Draft<'_>, wanted: &[usize]) -> Vec<usize> {
    let view = draft.context.view;
    let mut order = wanted.to_vec();
    order.sort_by_key(|&vm| (Reverse(view.vms[vm].memory()), Reverse(view.vms[vm].vcpus()), vm));
    let mut left = Vec::new();
    for vm in order {
        // What is as large as one that found no place finds none either.
        let size = (view.vms[vm].memory(), view.vms[vm].vcpus());
        let hopeless = left.iter().any(|&other: &usize| {
            view.vms[other].memory() <= size.0 && view.vms[other].vcpus() <= size.1
        });
        if hopeless || !(place(draft, vm) || displace(draft, vm)) {
            left.push(vm);
        }
    }
    left
}

/// Puts `vm` where it fits as things are.
fn place(draft: &mut Draft<'_>, vm: usize) -> bool {
    let view = draft.context.view;
    let others = (0..view.hosts.len()).filter(|&host| host != view.vms[vm].home);
    let open = others.filter(|&host| draft.fits(vm, host));
    let Some(host) = open.min_by_key(|&host| (free(draft, host), host)) else { return false };
    draft.shift(vm, host);
    true
}

fn displace(draft: &mut Draft<'_>, vm: usize) -> bool {
    let view = draft.context.view;
    let mut hosts: Vec<usize> = (0..view.hosts.len()).filter(|&host| view.up(host)).collect();
    hosts.sort_by_key(|&host| (Reverse(free(draft, host)), host));
    let mut best: Option<Eviction> = None;
    for host in hosts.into_iter().take(ASKED) {
        let Some(found) = eviction(draft, vm, host) else { continue };
        let rank = |one: &Eviction| (one.shifts.len(), one.seconds);
        if best.as_ref().is_none_or(|best| rank(&found) < rank(best)) {
            best = Some(found);
        }
    }
    let Some(best) = best else { return false };
    for (other, to) in best.shifts {
        draft.shift(other, to);
    }
    draft.shift(vm, best.host);
    true
}

/// What `host` would lose for `vm`; `draft` is as before afterwards.
fn eviction(draft: &mut Draft<'_>, vm: usize, host: usize) -> Option<Eviction> {
    let view = draft.context.view;
    let mut shifts: Vec<(usize, usize)> = Vec::new();
    let mut back: Vec<(usize, usize)> = Vec::new();
    while shifts.len() < EVICTED_MAX && !draft.fits(vm, host) {
        let Some((other, to)) = leaver(draft, vm, host) else { break };
        draft.shift(other, to);
        shifts.push((other, to));
        back.push((other, host));
    }
    let enough = draft.fits(vm, host);
    // Whoever left before a larger one did may not have had to.
    let mut needless = Vec::new();
    for (index, &(other, to)) in shifts.iter().enumerate() {
        if !enough || index + 1 == shifts.len() {
            break;
        }
        draft.shift(other, host);
        if draft.fits(vm, host) {
            needless.push(other);
        } else {
            draft.shift(other, to);
        }
    }
    shifts.retain(|(other, _)| !needless.contains(other));
    back.retain(|(other, _)| !needless.contains(other));
    let price = |&(other, to): &(usize, usize)| {
        let from_home = host == view.vms[other].home;
        if from_home { draft.context.price(draft.scope, other, to).unwrap_or(0.0) } else { 0.0 }
    };
    let seconds = shifts.iter().map(price).sum();
    for &(other, from) in back.iter().rev() {
        draft.shift(other, from);
    }
    draft.sequence.clear();
    enough.then_some(Eviction { host, shifts, seconds })
}

/// The VM that goes next from `host`: the smallest that is large enough alone, else the largest,
/// with the tightest place for it.
fn leaver(draft: &Draft<'_>, vm: usize, host: usize) -> Option<(usize, usize)> {
    let view = draft.context.view;
    let memory = view.vms[vm].memory().saturating_sub(free(draft, host));
    let (_, vcpus_used) = draft.now.used(host);
    let vcpus =
        (vcpus_used as f64 + view.vms[vm].vcpus() as f64 - view.hosts[host].vcpu_limit).max(0.0);
    let mut here: Vec<usize> = draft.guests(host).to_vec();
    here.retain(|&other| draft.single(other) && view.vms[other].home != view.vms[vm].home);
    here.sort_by_key(|&other| {
        let one = &view.vms[other];
        let alone = one.memory() >= memory && one.vcpus() as f64 >= vcpus;
        // The enough first, smallest first; then the others, largest first.
        let size = if alone { one.memory() } else { u64::MAX - one.memory() };
        (!alone, size, other)
    });
    here.into_iter().find_map(|other| {
        if !draft.may_move_more() && draft.now.place[other] == view.vms[other].home {
            return None;
        }
        let targets = (0..view.hosts.len()).filter(|&to| to != host && takes(draft, other, to));
        let tightest = targets.min_by_key(|&to| (free(draft, to), to))?;
        Some((other, tightest))
    })
}
