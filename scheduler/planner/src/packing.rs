//! Goals that bring VMs together: hosts that may be switched off, and room for VMs that are wanted.
//!
//! Data flow of `powersave`: hosts are chosen by sums alone, which is also the bound (`choose`);
//! their VMs are packed onto the others (`fill`); the reserve for failures is mended where the
//! packing broke it (`mend`). Where a choice cannot be packed, fewer hosts are chosen. Data flow of
//! `defragment`: the wanted VMs wait on a host that does not exist (`wanted`), room is made for one
//! after the other by the cheapest evictions (`evict`), and the planner's own search does better
//! where it can.
//!
//! Never here: switching anything off or on, and the order of moves.

mod choose;
mod evict;
mod exact;
mod fewest;
mod fill;
mod mend;
mod powersave;
mod sums;
mod waiting;
mod wake;
mod wanted;

pub(crate) use mend::keep;
pub(crate) use powersave::powersave;
pub(crate) use wanted::defragment;

use std::collections::BTreeSet;

use crate::{
    scope::{Context, Scope},
    search::draft::Draft,
    view::View,
};

/// CPU demand up to which `host` takes VMs, in cores.
fn cores_max(view: &View<'_>, host: usize) -> f64 {
    view.hosts[host].cores * view.policy.balance.overload_above.get()
}

/// Everything that may be moved, at its plain price.
fn scope(context: &Context<'_>) -> Scope {
    let movable = context.view.vms.iter().map(|vm| vm.held.is_none()).collect();
    Scope { movable, must_leave: BTreeSet::new(), price_factor: 1.0 }
}

/// Whether `vm`, which is elsewhere, may come to `host` as things are, without overloading it.
fn takes(draft: &Draft<'_>, vm: usize, host: usize) -> bool {
    let view = draft.context.view;
    let home = view.vms[vm].home == host;
    let demand = draft.now.demand(host) + view.vms[vm].demand_cores;
    (home || demand <= cores_max(view, host) + 1e-9)
        && draft.fits(vm, host)
        && draft.context.price(draft.scope, vm, host).is_some()
}

/// Memory that guests may still get on `host`, in bytes.
fn free(draft: &Draft<'_>, host: usize) -> u64 {
    draft.context.view.hosts[host].memory_limit.saturating_sub(draft.now.used(host).0)
}

/// Guest-seconds that the moves of `place` cost.
fn cost_seconds(context: &Context<'_>, scope: &Scope, place: &[usize]) -> f64 {
    let moved = scope.vms().filter(|&vm| place[vm] != context.view.vms[vm].home);
    let prices = moved.filter_map(|vm| context.price(scope, vm, place[vm]));
    // From 0 and not by `sum`, which says -0 of nothing.
    prices.fold(0.0, |sum, price| sum + price)
}
