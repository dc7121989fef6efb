//! What each goal lets move and what it does when a search finds nothing.
//!
//! Drain: first only the VMs of the host that empties; the others stay unless no placement exists
//! without moving some of them. Balance: VMs may move where that pays.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{policy::Balance, units::Bytes};

use crate::{
    failure::{PlanFailure, Rejected, Stalled},
    options::{self, Offer, Refusal},
    rest,
    scope::{Context, Scope, broken_in, unwished_in},
    search::{Dead, Decision, again, search, seed},
    validate::movable_on,
};

/// Empties `hosts`.
pub(crate) fn drain(
    context: &Context<'_>,
    hosts: &BTreeSet<usize>,
) -> Result<Decision, PlanFailure> {
    let leaving = movable_on(context.view, hosts)?;
    if leaving.is_empty() {
        return Ok(Decision::stay(context));
    }
    let offers: BTreeMap<usize, Vec<Offer<'_>>> =
        leaving.iter().map(|&vm| (vm, options::offers(context.view, context.costs, vm))).collect();
    refuse_hopeless(context, &offers)?;
    let mut movable = vec![false; context.view.vms.len()];
    for &vm in &leaving {
        movable[vm] = true;
    }
    let mut scope = Scope { movable, must_leave: hosts.clone(), price_factor: 1.0 };
    let first = match search(context, &scope, || seed::drain(context, &scope)) {
        Ok(decision) => return Ok(decision),
        Err(dead) => dead,
    };
    // Others make room: nothing moves onto the host that empties, nor only for the balance of
    // others.
    for (vm, one) in context.view.vms.iter().enumerate() {
        scope.movable[vm] = one.held.is_none();
    }
    search(context, &scope, || None).map_err(|second| failure(context, hosts, first, second))
}

/// Refuses a drain in which some VM can go nowhere, whatever else moves.
fn refuse_hopeless(
    context: &Context<'_>,
    offers: &BTreeMap<usize, Vec<Offer<'_>>>,
) -> Result<(), PlanFailure> {
    let view = context.view;
    let hopeless: Vec<_> =
        offers.iter().filter(|(_, offers)| offers.iter().all(|o| o.answer.is_err())).collect();
    let Some((first, _)) = hopeless.first() else { return Ok(()) };
    let id = view.hosts[view.vms[**first].home].id.clone();
    let mut stalled = Vec::new();
    let mut rejected = Vec::new();
    for (&vm, offers) in hopeless {
        let name = view.vms[vm].domain.vm.clone();
        let refusals = || offers.iter().filter_map(|offer| offer.answer.as_ref().err());
        let stall = refusals().find_map(|refusal| match refusal {
            Refusal::Stalls { converges, downtime_limit_needed } => {
                Some((*converges, *downtime_limit_needed))
            }
            _ => None,
        });
        let unknown = refusals().find_map(|refusal| match refusal {
            Refusal::Unknown(error) => Some(error.clone()),
            _ => None,
        });
        match (stall, unknown) {
            (Some((converges, downtime_limit_needed)), _) => {
                stalled.push(Stalled { vm: name, converges, downtime_limit_needed });
            }
            (None, Some(error)) => return Err(error.into()),
            (None, None) => rejected.push(Rejected { vm: name, by: options::listed(view, offers) }),
        }
    }
    if !rejected.is_empty() {
        return Err(PlanFailure::NoTarget { host: id, vms: rejected });
    }
    if !stalled.is_empty() {
        let downtime_limit = view.policy.migration.downtime_limit;
        return Err(PlanFailure::WouldStall { host: id, vms: stalled, downtime_limit });
    }
    Ok(())
}

/// The failure that says most: an unreachable placement is nearer to a plan than none.
fn failure(
    context: &Context<'_>,
    hosts: &BTreeSet<usize>,
    first: Dead,
    second: Dead,
) -> PlanFailure {
    let view = context.view;
    let proven = match (first, second) {
        (_, Dead::Unreachable(stuck)) | (Dead::Unreachable(stuck), _) => {
            let name = |&vm: &usize| view.vms[vm].domain.vm.clone();
            return PlanFailure::Unreachable(stuck.iter().map(name).collect());
        }
        (_, Dead::NoPlacement { proven }) => proven,
    };
    let here = view.vms.iter().filter(|vm| hosts.contains(&vm.home));
    let free = (0..view.hosts.len()).filter(|other| !hosts.contains(other) && view.up(*other));
    PlanFailure::NoPlacement {
        hosts: hosts.iter().map(|&host| view.hosts[host].id.clone()).collect(),
        vms: here.clone().count(),
        needed: here.map(|vm| vm.domain.memory).sum(),
        free: free
            .map(|other| {
                let used = context.start.used(other).0;
                Bytes::new(view.hosts[other].memory_limit.saturating_sub(used))
            })
            .sum(),
        proven,
    }
}

/// Relieves overloaded hosts and mends broken rules.
pub(crate) fn balance(context: &Context<'_>) -> Result<Decision, PlanFailure> {
    let view = context.view;
    let balance = &view.policy.balance;
    let hot = |host: usize| view.overloaded(host, context.start.demand(host));
    let broken_now = broken_in(view, context.start);
    let unwished_now = unwished_in(view, context.start);
    let ties = Balance::default();
    let even =
        balance.memory_evenness > ties.memory_evenness || balance.cpu_evenness > ties.cpu_evenness;
    if broken_now == 0 && unwished_now <= 0.0 && !even && !(0..view.hosts.len()).any(hot) {
        // Nothing in the goal is left to gain, so the present placement is the optimum.
        return Ok(Decision::stay(context));
    }
    let free = |vm: usize| view.vms[vm].held.is_none() && rest::resting(context, vm).is_none();
    let movable = (0..view.vms.len()).map(free).collect();
    let price_factor = balance.gain_factor;
    let scope = Scope { movable, must_leave: BTreeSet::new(), price_factor };
    let found = search(context, &scope, || Some(seed::balance(context, &scope)));
    found.map(|found| again::stable(context, &scope, found)).map_err(|dead| {
        let stuck = match dead {
            Dead::Unreachable(stuck) => stuck,
            // The incumbent is a placement, so this is never reached.
            Dead::NoPlacement { .. } => Vec::new(),
        };
        PlanFailure::Unreachable(stuck.iter().map(|&vm| view.vms[vm].domain.vm.clone()).collect())
    })
}
