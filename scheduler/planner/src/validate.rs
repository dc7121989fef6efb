//! What is refused before anything is searched: "infeasible" explains nothing, a name does.
//!
//! Never changes or mends the request.

use std::collections::BTreeSet;

use whimbrel_core::{
    cluster::{HostState, Snapshot},
    ids::HostId,
    plan::Reason,
    policy::Policy,
};

use crate::{
    PlanRequest,
    failure::{Held, PlanFailure, Unsound},
    moments, rest,
    view::View,
};

/// The request by index, if it can be planned for at all.
pub(crate) fn view<'a>(request: &PlanRequest<'a>) -> Result<View<'a>, PlanFailure> {
    let (snapshot, policy) = (request.snapshot, request.policy);
    let (age, limit) = (request.now.since(snapshot.taken_at), policy.limits.snapshot_age_max);
    if age > limit {
        return Err(PlanFailure::Stale { age, limit });
    }
    let mut view = sound(snapshot, policy)?;
    rest::look_ahead(&mut view, request.outlook, request.now);
    moments::set(&mut view, request);
    for host in request.goal.emptied() {
        goal_host(request, host)?;
        some_target(request, host)?;
    }
    Ok(view)
}

/// Snapshot and policy by index, if anything can be said of them.
pub(crate) fn sound<'a>(snapshot: &'a Snapshot, policy: &'a Policy) -> Result<View<'a>, Unsound> {
    policy.check_ranges()?;
    snapshot.placement()?;
    let contradictions = policy.contradictions(snapshot);
    if !contradictions.is_empty() {
        return Err(Unsound::Contradictions(contradictions));
    }
    Ok(View::new(snapshot, policy)?)
}

/// A host in maintenance can be drained: that is what maintenance is for.
fn goal_host(request: &PlanRequest<'_>, id: &HostId) -> Result<(), PlanFailure> {
    let hosts = &request.snapshot.hosts;
    let Some(host) = hosts.get(id) else {
        let known = hosts.keys().map(HostId::as_str).collect::<Vec<_>>().join(", ");
        return Err(PlanFailure::UnknownHost { host: id.clone(), known });
    };
    if host.state == HostState::Unreachable {
        let silent = request.now.since(host.observed_at);
        return Err(PlanFailure::GoalHostUnreachable { host: id.clone(), silent });
    }
    Ok(())
}

fn some_target(request: &PlanRequest<'_>, id: &HostId) -> Result<(), PlanFailure> {
    let snapshot = request.snapshot;
    let emptied: BTreeSet<&HostId> = request.goal.emptied().collect();
    let others = || snapshot.hosts.iter().filter(|(other, _)| !emptied.contains(other));
    let empty = !snapshot.domains.iter().any(|d| d.host == *id && d.state.lives_here());
    if empty || others().any(|(_, host)| host.state == HostState::Up) {
        return Ok(());
    }
    let listed: Vec<String> =
        others().map(|(other, host)| format!("{other} is {}", state_name(host.state))).collect();
    let others = if listed.is_empty() { "there is no other".to_owned() } else { listed.join(", ") };
    Err(PlanFailure::NoTargetUp { host: id.clone(), others })
}

/// How messages call a host's state.
pub(crate) fn state_name(state: HostState) -> &'static str {
    match state {
        HostState::Up => "up",
        HostState::Maintenance => "in maintenance",
        HostState::Unreachable => "unreachable",
    }
}

/// The VMs on `hosts`, if none of them is held and none is arriving.
pub(crate) fn movable_on(
    view: &View<'_>,
    hosts: &BTreeSet<usize>,
) -> Result<Vec<usize>, PlanFailure> {
    let mut leaving = Vec::new();
    for &host in hosts {
        let id = view.hosts[host].id;
        let here = (0..view.vms.len()).filter(|&vm| view.vms[vm].home == host);
        let here: Vec<usize> = here.collect();
        let mut held: Vec<Held> = here
            .iter()
            .filter_map(|&vm| {
                let reason: Reason = view.vms[vm].held.clone()?;
                Some(Held { vm: view.vms[vm].domain.vm.clone(), reason })
            })
            .collect();
        // What is arriving would be there after the plan.
        let arriving = view.arriving.iter().filter(|(_, target)| **target == host);
        held.extend(arriving.map(|(vm, _)| Held { vm: (*vm).clone(), reason: Reason::Migrating }));
        if !held.is_empty() {
            return Err(PlanFailure::Immovable { host: id.clone(), vms: held });
        }
        leaving.extend(here);
        let limit = view.policy.limits.moves_max as usize;
        if leaving.len() > limit {
            let (host, needed) = (id.clone(), leaving.len());
            return Err(PlanFailure::TooManyMoves { host, needed, limit });
        }
    }
    leaving.sort_unstable();
    Ok(leaving)
}
