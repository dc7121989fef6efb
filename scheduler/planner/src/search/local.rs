//! Local search: single moves, exchanges and returns, as long as one of them makes the placement
//! better.
//!
//! Each pass walks the hosts from the hottest to the coldest and looks for targets among the
//! coldest, so that its cost grows with the VMs and not with VMs times hosts. What is left is a
//! move or makes room for one: a VM whose move does not pay goes home. Deterministic.

use super::{draft::Draft, mend::mend, seed::GAIN_MIN_SECONDS};
use crate::scope::BROKEN_RULE_SECONDS;

/// Coldest hosts that a VM is offered.
const TARGETS: usize = 24;

/// Coldest hosts whose guests are tried in exchange.
const PARTNERS: usize = 4;

/// Passes after which the search ends, improved or not.
const PASSES_MAX: usize = 12;

/// Affinity groups that are apart, times hosts that each is tried on.
const GATHER_LOOKS_MAX: usize = 1_000_000;

/// A pass that improves the objective by less than this part of it is the last.
const PASS_GAIN_LEAST: f64 = 1e-4;

/// Improves `draft` in place.
pub(super) fn improve(draft: &mut Draft<'_>) {
    let Some(usual) = usual(draft) else { return };
    gather(draft);
    mend(draft);
    let scale = draft.context.contention.total(draft.context.view, &draft.now).max(1.0);
    for _ in 0..PASSES_MAX {
        let gained = moves(draft, usual) + exchanges(draft, usual) + returns(draft);
        if gained < PASS_GAIN_LEAST * scale {
            break;
        }
    }
}

/// The VM with the median demand: what hosts are told hot and cold by.
fn usual(draft: &Draft<'_>) -> Option<usize> {
    let vms = &draft.context.view.vms;
    let mut by_demand: Vec<usize> = (0..vms.len()).collect();
    by_demand.sort_by(|&a, &b| vms[a].demand_cores.total_cmp(&vms[b].demand_cores));
    by_demand.get(by_demand.len() / 2).copied()
}

/// Hosts from the coldest to the hottest.
fn coldest(draft: &Draft<'_>, usual: usize) -> Vec<usize> {
    let view = draft.context.view;
    let mut heat: Vec<(f64, usize)> =
        (0..view.hosts.len()).map(|host| (draft.heat(host, usual), host)).collect();
    heat.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    heat.into_iter().map(|(_, host)| host).collect()
}

/// Moves away from each host, hottest first, the best for its price first.
fn moves(draft: &mut Draft<'_>, usual: usize) -> f64 {
    let mut gained = 0.0;
    let cold = coldest(draft, usual);
    for &host in cold.iter().rev() {
        let targets = coldest_now(draft, &cold, usual);
        while let Some((change, vm, to)) = best_away(draft, host, &targets) {
            draft.shift(vm, to);
            gained -= change;
        }
    }
    gained
}

/// The coldest of `cold` as they are by now.
fn coldest_now(draft: &Draft<'_>, cold: &[usize], usual: usize) -> Vec<usize> {
    let up = |&&host: &&usize| draft.context.view.up(host);
    let mut near: Vec<(f64, usize)> = cold
        .iter()
        .filter(up)
        .take(TARGETS * 4)
        .map(|&host| (draft.heat(host, usual), host))
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    near.into_iter().take(TARGETS).map(|(_, host)| host).collect()
}

/// The paying move away from `host` that gains most beyond what it costs.
fn best_away(draft: &Draft<'_>, host: usize, targets: &[usize]) -> Option<(f64, usize, usize)> {
    let singles = draft.guests(host).iter().copied().filter(|&vm| draft.single(vm));
    singles
        .filter_map(|vm| {
            let (change, to) = draft.best_of(vm, targets.iter().copied())?;
            (change < -GAIN_MIN_SECONDS).then_some((change, vm, to))
        })
        .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
}

/// Exchanges a guest of a hot host for one of a cold host.
fn exchanges(draft: &mut Draft<'_>, usual: usize) -> f64 {
    let mut gained = 0.0;
    let cold = coldest(draft, usual);
    let hot = cold.len() / 2;
    for (rank, &host) in cold.iter().enumerate().skip(hot).rev() {
        for partner in 0..PARTNERS.min(hot) {
            gained += exchange(draft, host, cold[(rank + partner) % hot]);
        }
    }
    gained
}

/// For each guest of `one` the first exchange with a guest of `other` that pays.
fn exchange(draft: &mut Draft<'_>, one: usize, other: usize) -> f64 {
    let single = |draft: &Draft<'_>, host: usize| -> Vec<usize> {
        draft.guests(host).iter().copied().filter(|&vm| draft.single(vm)).collect()
    };
    let mut gained = 0.0;
    for vm in single(draft, one) {
        for partner in single(draft, other) {
            let promising = draft.change_of_exchange(vm, partner);
            if promising.is_some_and(|change| change < -GAIN_MIN_SECONDS)
                && let Some(change) = draft.exchange(vm, partner)
            {
                gained -= change;
                break;
            }
        }
    }
    gained
}

/// Brings affinity groups together that are apart, each where that costs least.
fn gather(draft: &mut Draft<'_>) {
    let hosts = draft.context.view.hosts.len();
    let apart = draft.blocks().into_iter().filter_map(|(block, apart)| apart.then_some(block));
    for block in apart.take(GATHER_LOOKS_MAX / hosts.max(1)) {
        let before: Vec<(usize, usize)> =
            block.iter().map(|&vm| (vm, draft.now.place[vm])).collect();
        let mut best: Option<(f64, usize)> = None;
        for host in 0..draft.context.view.hosts.len() {
            let Some(change) = draft.shift_block(&block, host) else { continue };
            let came: Vec<_> = before.iter().copied().filter(|one| one.1 != host).collect();
            draft.take_back(&came);
            if best.is_none_or(|(least, _)| change < least) {
                best = Some((change, host));
            }
        }
        if let Some((change, host)) = best
            && change < BROKEN_RULE_SECONDS
        {
            draft.shift_block(&block, host);
        }
    }
}

/// Sends home whose move does not pay any more; what that gains.
pub(super) fn returns(draft: &mut Draft<'_>) -> f64 {
    let mut gained = 0.0;
    let vms: Vec<usize> = draft.scope.vms().filter(|&vm| draft.single(vm)).collect();
    for vm in vms {
        let home = draft.context.view.vms[vm].home;
        if let Some((change, host)) = draft.best_of(vm, std::iter::once(home))
            && change < -GAIN_MIN_SECONDS
        {
            draft.shift(vm, host);
            gained -= change;
        }
    }
    gained
}
