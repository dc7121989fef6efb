//! When the migration of each VM may begin, and by when it must have ended: the windows of
//! disruption budgets, and quieter moments that a drain with a deadline has the time to wait for.
//!
//! Says what may be; which moves are made, and in which order, is decided elsewhere.

use whimbrel_core::{Domain, plan::Goal, predict::MigrationRequest, units::Span};

use crate::{PlanRequest, view::View};

/// Tells every VM of `view` its moments, and holds those whose windows are closed.
pub(crate) fn set(view: &mut View<'_>, request: &PlanRequest<'_>) {
    view.hold_outside_windows(request.now, |domain| lasts(request, domain));
    wait_for_quiet(view, request);
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
