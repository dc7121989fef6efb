//! Packs the VMs of hosts that are to be empty onto the others, the hardest to place first.
//!
//! Several ways of choosing a host are tried; each is simple, and which one fits best depends on
//! what is scarce. A VM that finds no place may push out a smaller one that does.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{free, takes};
use crate::search::{draft::Draft, seed};

/// How a host is chosen among those that have room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The one that keeps least memory free: holes stay large.
    Tightest,
    /// The cheapest migration, then the tightest.
    Cheapest,
    /// The one whose CPU and memory are used most evenly afterwards.
    Evenest,
}

pub(super) const WAYS: [Way; 3] = [Way::Tightest, Way::Cheapest, Way::Evenest];

/// VMs that may be pushed out to let in one that found no place.
const PUSHES_MAX: usize = 100;

/// Roomiest hosts that are asked to push one out.
const PUSHED: usize = 32;

/// Empties the hosts of `off` in `draft`; `false` where something found no place.
pub(super) fn fill(draft: &mut Draft<'_>, off: &[bool], way: Way) -> bool {
    let view = draft.context.view;
    let leaving: Vec<usize> = (0..view.vms.len()).filter(|&vm| off[draft.now.place[vm]]).collect();
    let targets: Vec<usize> =
        (0..view.hosts.len()).filter(|&host| !off[host] && view.up(host)).collect();
    let mut blocks = seed::blocks(draft.context, &leaving);
    let size = |block: &[usize]| -> u128 {
        block.iter().map(|&vm| u128::from(view.vms[vm].memory())).sum()
    };
    blocks.sort_by_key(|block| (Reverse(size(block)), block.clone()));
    let mut pushes = PUSHES_MAX;
    for block in blocks {
        let done = match block.as_slice() {
            &[vm] => single(draft, &targets, vm, way) || push(draft, &targets, vm, &mut pushes),
            many => together(draft, &targets, many),
        };
        if !done {
            return false;
        }
    }
    true
}

fn single(draft: &mut Draft<'_>, targets: &[usize], vm: usize, way: Way) -> bool {
    let chosen = best(draft, targets, vm, way);
    if let Some(host) = chosen {
        draft.shift(vm, host);
    }
    chosen.is_some()
}

fn best(draft: &Draft<'_>, targets: &[usize], vm: usize, way: Way) -> Option<usize> {
    let price = |host: usize| {
        let seconds = draft.context.price(draft.scope, vm, host).unwrap_or(f64::INFINITY);
        (seconds * 1e3).round() as u64
    };
    let rank = |host: usize| match way {
        Way::Tightest => (free(draft, host), 0),
        Way::Cheapest => (price(host), free(draft, host)),
        Way::Evenest => (unevenness(draft, vm, host), free(draft, host)),
    };
    let one_more = draft.now.place[vm] != draft.context.view.vms[vm].home || draft.may_move_more();
    let open = targets.iter().copied().filter(|&host| one_more && takes(draft, vm, host));
    open.min_by_key(|&host| (rank(host), host))
}

/// By how many thousandths the CPU and the memory of `host` would be used differently with `vm`.
fn unevenness(draft: &Draft<'_>, vm: usize, host: usize) -> u64 {
    let (view, limits) = (draft.context.view, &draft.context.view.hosts[host]);
    let one = &view.vms[vm];
    let memory = (draft.now.used(host).0 as f64 + one.memory() as f64)
        / (limits.memory_limit as f64).max(1.0);
    let cpu = (draft.now.demand(host) + one.demand_cores)
        / super::cores_max(view, host).max(f64::MIN_POSITIVE);
    ((memory - cpu).abs() * 1e3).round() as u64
}

/// Pushes a smaller VM out of a host so that `vm` has room there; the cheapest such push.
fn push(draft: &mut Draft<'_>, targets: &[usize], vm: usize, pushes: &mut usize) -> bool {
    if *pushes == 0 {
        return false;
    }
    *pushes -= 1;
    let view = draft.context.view;
    let mut best: Option<(u64, usize, usize, usize)> = None;
    let mut roomy = targets.to_vec();
    roomy.sort_by_key(|&host| (Reverse(free(draft, host)), host));
    for host in roomy.into_iter().take(PUSHED) {
        let small: Vec<usize> = draft
            .guests(host)
            .iter()
            .copied()
            .filter(|&other| {
                draft.single(other) && view.vms[other].memory() < view.vms[vm].memory()
            })
            .collect();
        for other in small {
            let from = draft.now.place[other];
            let extra = if from == view.vms[other].home {
                draft.context.price(draft.scope, other, host).unwrap_or(0.0).max(1.0)
                    + view.vms[other].memory() as f64 / 1e9
            } else {
                0.0
            };
            let rank = (extra * 1e3).round() as u64;
            if best.is_some_and(|(least, ..)| rank >= least) {
                continue;
            }
            // Where it goes may depend on nothing but itself: `vm` comes to where it was.
            let to = targets.iter().copied().find(|&to| to != host && takes(draft, other, to));
            let Some(to) = to else { continue };
            draft.shift(other, to);
            let fits = takes(draft, vm, host) && draft.may_move_more();
            draft.take_back(&[(other, from)]);
            if fits {
                best = Some((rank, other, to, host));
            }
        }
    }
    let Some((_, other, to, host)) = best else { return false };
    draft.shift(other, to);
    draft.shift(vm, host);
    true
}

/// Moves VMs that travel together to the first host that takes them all.
fn together(draft: &mut Draft<'_>, targets: &[usize], block: &[usize]) -> bool {
    let view = draft.context.view;
    let demand: f64 = block.iter().map(|&vm| view.vms[vm].demand_cores).sum();
    let mut tightest: BTreeSet<(u64, usize)> = BTreeSet::new();
    tightest.extend(targets.iter().map(|&host| (free(draft, host), host)));
    tightest.into_iter().any(|(_, host)| {
        draft.now.demand(host) + demand <= super::cores_max(view, host) + 1e-9
            && draft.shift_block(block, host).is_some()
    })
}
