//! Room for VMs that do not run yet.
//!
//! They are put on a host of their own that does not exist, in maintenance, with migrations that
//! cost nothing; to make room for them is then to empty that host, and everything that is known of
//! emptying a host holds: the fewest others move, at the least cost, by the same search with the
//! same bound. The plan has only the moves of VMs that exist.
//!
//! Without a flavour, room is made for as many as possible of the size of the largest VM present:
//! what fits least easily, and what must restart when a host fails.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    ids::{HostId, VmId},
    plan::{Flavour, Goal, Remark},
    units::Bytes,
};

use super::{
    evict, fewest, mend,
    sums::{Size, free, largest, most, refuse_too_large, room_now, shrunk, sizes},
    waiting::{Free, Waiting},
};
use crate::{
    PlanRequest,
    failure::PlanFailure,
    ordering, reserve,
    scope::{Context, Scope},
    search::{self, Decision, draft::Draft},
    study,
    view::{Occupancy, VmView},
};

/// Numbers of VMs that are tried one by one downwards; below, they are halved.
const TRIES_BY_ONE: usize = 8;

/// Relative distance to the bound above which it says nothing.
const TELLING_GAP: f64 = 0.5;

/// A place of every VM that exists, and what is known of it.
struct Found {
    place: BTreeMap<VmId, HostId>,
    by: String,
    gap: Option<f64>,
}

/// The plan, and what there is room for.
pub(crate) fn defragment(
    request: &PlanRequest<'_>,
    context: &Context<'_>,
    flavours: &[Flavour],
) -> Result<(Decision, Vec<Remark>), PlanFailure> {
    Flavour::check_all(flavours)?;
    let unasked = flavours.is_empty();
    let flavours = if unasked { largest(context) } else { flavours.to_vec() };
    if flavours.is_empty() {
        return Ok((Decision::stay(context), Vec::new()));
    }
    for flavour in &flavours {
        refuse_too_large(context.view, flavour)?;
    }
    let wanted = sizes(&flavours);
    let most = most(context, &wanted);
    let none = vec![false; context.view.hosts.len()];
    let short = reserve::shortfall(context.view, context.start, &none);
    let mut count = wanted.len().min(most);
    let mut tries = 0;
    let mut found = None;
    while count > 0 && found.is_none() {
        found = with_room(request, &wanted[..count], short)?;
        if found.is_none() {
            tries += 1;
            count = if tries < TRIES_BY_ONE { count - 1 } else { count / 2 };
        }
    }
    if !unasked && count < wanted.len() {
        return Err(no_room(context, &flavours, &wanted, (count, most)));
    }
    let Some(found) = found else { return Ok((Decision::stay(context), no_more(count, most))) };
    finish(context, &flavours, &wanted[..count], found, unasked.then_some((count, most)))
}

fn figure(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn no_more(found: usize, most: usize) -> Vec<Remark> {
    vec![Remark::NoMoreRoom { found: figure(found), most: figure(most) }]
}

/// A placement in which there is room for all of `wanted` and the reserve is no worse. Where the
/// reserve has no hole that is large enough for them, one more is made room for and left empty.
fn with_room(
    request: &PlanRequest<'_>,
    wanted: &[Size],
    short: u128,
) -> Result<Option<Found>, PlanFailure> {
    let failures = request.policy.limits.host_failures as usize;
    let most = if failures == 0 { 0 } else { failures + 1 };
    for spare in (0..=most).filter(|spare| *spare == 0 || *spare >= failures) {
        let mut all = wanted.to_vec();
        all.extend(wanted.last().map(|largest| vec![*largest; spare]).unwrap_or_default());
        if let Some(found) = with_holes(request, &all, spare, short)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A placement in which all of `wanted` have room, of which the last `spare` do not come.
fn with_holes(
    request: &PlanRequest<'_>,
    wanted: &[Size],
    spare: usize,
    short: u128,
) -> Result<Option<Found>, PlanFailure> {
    let waiting = Waiting::new(request, wanted);
    let request = PlanRequest {
        snapshot: &waiting.snapshot,
        policy: &waiting.policy,
        goal: Goal::drain(waiting.host.clone()),
        predictor: &Free { inner: request.predictor, vms: &waiting.vms },
        ..*request
    };
    study(&request, |context| Ok(searched(context, &waiting, spare, short)))
}

fn searched(context: &Context<'_>, waiting: &Waiting, spare: usize, short: u128) -> Option<Found> {
    let view = context.view;
    let outside = view.hosts.iter().position(|host| *host.id == waiting.host)?;
    let mut off = vec![false; view.hosts.len()];
    off[outside] = true;
    let movable = view.vms.iter().map(|vm| vm.held.is_none()).collect();
    let scope = Scope { movable, must_leave: BTreeSet::from([outside]), price_factor: 1.0 };
    let first: Vec<usize> =
        (0..view.vms.len()).filter(|&vm| view.vms[vm].home == outside).collect();
    let seed = || {
        let mut draft = Draft::new(context, &scope);
        evict::make_room(&mut draft, &first).is_empty().then_some(draft)
    };
    let decision = search::search(context, &scope, seed).ok()?;
    let mut end = Occupancy::new(view, &decision.place);
    // They are named in their order, so the last ones are those that do not come.
    for &vm in first.iter().rev().take(spare) {
        end.shift(view, vm, outside);
    }
    let mut draft = Draft::at(context, &scope, end);
    let gap = if reserve::shortfall(view, &draft.now, &off) > short {
        if mend::mend(&mut draft, &off) > short {
            return None;
        }
        None
    } else {
        decision.gap
    };
    let place = view.vms.iter().zip(&draft.now.place).filter(|(vm, _)| vm.home != outside);
    let place = place.map(|(vm, &host)| (vm.domain.vm.clone(), view.hosts[host].id.clone()));
    Some(Found { place: place.collect(), by: decision.found_by, gap })
}

/// The plan that leads to what was found.
fn finish(
    context: &Context<'_>,
    flavours: &[Flavour],
    wanted: &[Size],
    found: Found,
    unasked: Option<(usize, usize)>,
) -> Result<(Decision, Vec<Remark>), PlanFailure> {
    let view = context.view;
    let index: BTreeMap<&HostId, usize> = view.hosts.iter().map(|host| host.id).zip(0..).collect();
    let ends = |vm: &VmView<'_>| {
        found.place.get(&vm.domain.vm).and_then(|host| index.get(host)).copied().unwrap_or(vm.home)
    };
    let place: Vec<usize> = view.vms.iter().map(ends).collect();
    let order = ordering::order(context, &place, None, &BTreeSet::new()).map_err(|stuck| {
        let name = |&vm: &usize| view.vms[vm].domain.vm.clone();
        PlanFailure::Unreachable(stuck.iter().map(name).collect())
    })?;
    let moved = view.vms.iter().zip(&place).filter(|(vm, host)| vm.home != **host);
    let mut remarks = vec![Remark::RoomFor {
        flavours: shrunk(flavours, wanted),
        before: figure(room_now(context, wanted)),
        moves: figure(order.moves.len()),
        fewest: figure(
            wanted.first().map_or(0, |one| fewest::moves(context, one.memory, wanted.len())),
        ),
        memory: moved.map(|(vm, _)| vm.domain.memory).sum(),
        time: order.ends(),
    }];
    if let Some((count, most)) = unasked {
        remarks.extend(no_more(count, most));
    }
    let none = vec![false; view.hosts.len()];
    let failures = view.policy.limits.host_failures;
    if failures > 0 {
        let before = reserve::exposed(view, context.start, &none);
        let end = Occupancy::new(view, &place);
        let after = reserve::exposed(view, &end, &none);
        remarks.push(Remark::Reserve { failures, before, after });
    }
    let Found { by: found_by, gap, .. } = found;
    // A larger one says nothing: the bound of the search lets VMs leave in part.
    let gap = gap.filter(|gap| *gap < TELLING_GAP);
    Ok((Decision { place, order, found_by, gap }, remarks))
}

fn no_room(
    context: &Context<'_>,
    flavours: &[Flavour],
    wanted: &[Size],
    (found, most): (usize, usize),
) -> PlanFailure {
    let view = context.view;
    let (memory, vcpus) = free(context);
    let needed: u128 = wanted.iter().map(|one| u128::from(one.memory)).sum();
    let human = |bytes: u128| Bytes::new(u64::try_from(bytes).unwrap_or(u64::MAX)).human();
    let mut obstacles = vec![format!(
        "{} and {vcpus} vCPUs are free on all hosts that are up, {} and {} vCPUs are wanted",
        human(memory),
        human(needed),
        wanted.iter().map(|one| u64::from(one.vcpus)).sum::<u64>()
    )];
    let held = view.vms.iter().filter(|vm| vm.held.is_some()).count();
    if held > 0 {
        obstacles.push(format!("{held} VMs may not be moved now"));
    }
    if !view.policy.rules.is_empty() {
        let rules = view.policy.rules.len();
        let (plural, say) = if rules == 1 { ("", "says") } else { ("s", "say") };
        obstacles.push(format!("{rules} rule{plural} {say} what may be where"));
    }
    if view.policy.limits.host_failures > 0 {
        obstacles.push(format!(
            "limits.host_failures = {} keeps room for restarts",
            view.policy.limits.host_failures
        ));
    }
    let names: Vec<String> = flavours.iter().map(ToString::to_string).collect();
    PlanFailure::NoRoomFor {
        wanted: names.join(" and "),
        found: figure(found),
        most: figure(most),
        obstacles: obstacles.join("; "),
    }
}
