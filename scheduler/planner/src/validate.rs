//! What is refused before anything is searched: "infeasible" explains nothing, a name does.
//!
//! Never changes or mends the request.

use std::collections::BTreeSet;

use whimbrel_core::{
    Domain,
    cluster::HostState,
    ids::HostId,
    plan::{Goal, Reason},
    predict::MigrationRequest,
    units::Span,
};

use crate::{
    PlanRequest,
    failure::{Held, PlanFailure},
    rest,
    view::View,
};

/// The request by index, if it can be planned for at all.
pub(crate) fn view<'a>(request: &PlanRequest<'a>) -> Result<View<'a>, PlanFailure> {
    let (snapshot, policy) = (request.snapshot, request.policy);
    policy.check_ranges()?;
    let (age, limit) = (request.now.since(snapshot.taken_at), policy.limits.snapshot_age_max);
    if age > limit {
        return Err(PlanFailure::Stale { age, limit });
    }
    snapshot.placement()?;
    let contradictions = policy.contradictions(snapshot);
    if !contradictions.is_empty() {
        return Err(PlanFailure::Contradictions(contradictions));
    }
    let mut view = View::new(snapshot, policy)?;
    rest::look_ahead(&mut view, request.outlook, request.now);
    view.hold_outside_windows(request.now, |domain| lasts(request, domain));
    wait_for_quiet(&mut view, request);
    for host in request.goal.emptied() {
        goal_host(request, host)?;
        some_target(request, host)?;
    }
    Ok(view)
}

/// Lets VMs that leave hosts with a deadline begin when they are quieter, as far as deadline and
/// windows leave time for that.
fn wait_for_quiet(view: &mut View<'_>, request: &PlanRequest<'_>) {
    let Goal::Drain { deadline: Some(deadline), .. } = &request.goal else { return };
    let emptied = view.emptied(&request.goal);
    for vm in view.vms.iter_mut().filter(|vm| emptied.contains(&vm.home)) {
        let Some(quieter) = request.outlook.quieter.get(&vm.domain.vm) else { continue };
        let domain = Domain { dirty: quieter.dirty.clone(), ..vm.domain.clone() };
        let Some(lasts) = lasts(request, &domain) else { continue };
        let ends = quieter.at + lasts;
        let closes = vm.ends_before.is_some_and(|closes| ends > closes);
        if quieter.at > request.now && ends <= request.now + *deadline && !closes {
            vm.not_before = Some(quieter.at);
        }
    }
}

/// How long a migration of `domain` takes in 19 of 20 cases on a path that it has to itself; `None`
/// where nobody knows.
fn lasts(request: &PlanRequest<'_>, domain: &Domain) -> Option<Span> {
    let host = request.snapshot.hosts.get(&domain.host)?;
    let usual = request.policy.limits.path_bandwidth;
    let question = MigrationRequest {
        domain,
        to: None,
        settings: &request.policy.migration,
        path_bandwidth: host.migration_bandwidth.unwrap_or(usual),
        sharing: 1,
        qemu: host.qemu.unwrap_or_default(),
        now: request.now,
        seed: request.seed,
    };
    let answer = request.predictor.predict(&question).ok()?;
    answer.likely_converges().then_some(answer.total_time.p95)
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
