//! The goal of bringing VMs to given hosts: targets are fixed, the way there is planned as any.
//!
//! Moves nobody else, and does not weigh whether it pays: that was decided by whoever asks. Says of
//! every VM that cannot be where it is to be what speaks against it, instead of bringing half.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::ids::{HostId, VmId};

use crate::{
    explain::case::Case,
    failure::{NoReturn, PlanFailure},
    ordering,
    scope::{Context, Scope},
    search::Decision,
    view::Occupancy,
};

/// Every VM of `places` on its host.
pub(crate) fn decide(
    context: &Context<'_>,
    places: &BTreeMap<VmId, HostId>,
) -> Result<Decision, PlanFailure> {
    let view = context.view;
    let vms: BTreeMap<&VmId, usize> = view.vms.iter().map(|vm| &vm.domain.vm).zip(0..).collect();
    let hosts: BTreeMap<&HostId, usize> = view.hosts.iter().map(|host| host.id).zip(0..).collect();
    let mut place = view.present();
    let mut moving = Vec::new();
    let mut failed = Vec::new();
    for (vm, host) in places {
        let mut cannot = |why: String| {
            failed.push(NoReturn { vm: vm.clone(), host: host.clone(), why });
        };
        match (vms.get(vm), hosts.get(host)) {
            (None, _) => cannot("the domain is not in the snapshot".to_owned()),
            (_, None) => cannot("the host is not in the snapshot".to_owned()),
            (Some(&vm), Some(&host)) if place[vm] != host => {
                if let Some(held) = &view.vms[vm].held {
                    cannot(held.to_string());
                } else {
                    place[vm] = host;
                    moving.push(vm);
                }
            }
            (Some(_), Some(_)) => {}
        }
    }
    let movable = view.vms.iter().map(|vm| vm.held.is_none()).collect();
    let mut case = Case {
        context,
        scope: Scope { movable, must_leave: BTreeSet::new(), price_factor: 1.0 },
        end: Occupancy::new(view, &place),
        moved: moving.len(),
    };
    for &vm in &moving {
        let (home, to) = (view.vms[vm].home, place[vm]);
        // Asked of each with all others where they are to be.
        case.end.shift(view, vm, home);
        let refused = case.refusals(vm, to);
        case.end.shift(view, vm, to);
        if !refused.is_empty() {
            let why = refused.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let (vm, host) = (view.vms[vm].domain.vm.clone(), view.hosts[to].id.clone());
            failed.push(NoReturn { vm, host, why });
        }
    }
    if !failed.is_empty() {
        return Err(PlanFailure::CannotReturn(failed));
    }
    let limit = view.policy.limits.moves_max as usize;
    if moving.len() > limit {
        return Err(PlanFailure::MovesMax { needed: moving.len(), limit });
    }
    let order = ordering::order(context, &place, None, &BTreeSet::new()).map_err(|stuck| {
        PlanFailure::Unreachable(stuck.iter().map(|&vm| view.vms[vm].domain.vm.clone()).collect())
    })?;
    Ok(Decision { place, order, found_by: "as asked".to_owned(), gap: None })
}
