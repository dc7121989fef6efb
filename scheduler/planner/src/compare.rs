//! What any final placement is worth, by the same terms as the planner's own: for reports that set
//! plans of different origin side by side.
//!
//! Judges no rule and no order; a placement that may not be is measured all the same.

use std::collections::BTreeMap;

use whimbrel_core::{
    ids::{HostId, VmId},
    plan::Term,
};

use crate::{
    PlanFailure, PlanRequest,
    ordering::Step,
    scope::{Context, broken_in, unwished_in},
    study,
    view::Occupancy,
};

/// The terms of `placement` beside those of the present one. VMs that it does not name stay.
///
/// In this order, each lower is better:
/// - `rules_broken`: VMs and groups whose place breaks a hard rule;
/// - `contention_guest_seconds`: slow-down by contention over the policy's horizon;
/// - `migration_guest_seconds`: what the moves cost, by the policy's weights;
/// - `overload_core_seconds`: CPU demand above the policy's threshold over its horizon;
/// - `utilisation_max_share` and `utilisation_deviation_share`: CPU demand by capacity of the
///   hosts that are up, the largest and the standard deviation; 1 is full;
/// - `moves`: migrations; `migration_seconds` and `migration_bytes`: predicted medians, added up
///   over all of them, with the path shared as the plan does, or else not shared;
/// - `preferences_guest_seconds`, where the policy has preferences: what those not met cost.
///
/// # Errors
/// [`PlanFailure`] where the request is refused, the placement names an unknown host, or a move
/// has no prediction.
pub fn evaluate(
    request: &PlanRequest<'_>,
    placement: &BTreeMap<VmId, HostId>,
) -> Result<Vec<Term>, PlanFailure> {
    study(request, |context| {
        let view = context.view;
        let index: BTreeMap<&HostId, usize> =
            view.hosts.iter().map(|host| host.id).zip(0..).collect();
        let mut place = view.present();
        for (vm, one) in view.vms.iter().enumerate() {
            let Some(host) = placement.get(&one.domain.vm) else { continue };
            place[vm] = *index.get(host).ok_or_else(|| PlanFailure::UnknownHost {
                host: host.clone(),
                known: index.keys().map(|id| id.as_str()).collect::<Vec<_>>().join(", "),
            })?;
        }
        let steps: Vec<(Step, u32)> = place
            .iter()
            .enumerate()
            .map(|(vm, &to)| Step { vm, from: view.vms[vm].home, to, bounce: false })
            .filter(|step| step.from != step.to)
            .map(|step| (step, 1))
            .collect();
        terms(context, &place, &steps)
    })
}

/// The terms of `place`, reached by `steps`, each with how many share its path.
pub(crate) fn terms(
    context: &Context<'_>,
    place: &[usize],
    steps: &[(Step, u32)],
) -> Result<Vec<Term>, PlanFailure> {
    let view = context.view;
    let (mut cost, mut seconds, mut bytes) = (0.0, 0.0, 0.0);
    for (step, sharing) in steps {
        let answer = context.costs.expected(step.vm, (step.from, step.to), *sharing);
        let prediction = answer.as_ref().as_ref().map_err(Clone::clone)?;
        cost += context.costs.seconds(step.vm, prediction);
        seconds += prediction.total_time.p50.as_seconds_f64();
        bytes += prediction.transferred.p50.as_f64();
    }
    let present = view.present();
    let (before, after) = (Load::of(context, &present), Load::of(context, place));
    let term = |name: &str, before, after| Term { name: name.to_owned(), before, after };
    let end = Occupancy::new(view, place);
    let broken = (broken_in(view, context.start) as f64, broken_in(view, &end) as f64);
    let mut terms = vec![
        term("rules_broken", broken.0, broken.1),
        term("contention_guest_seconds", before.contention, after.contention),
        term("migration_guest_seconds", 0.0, cost),
        term("overload_core_seconds", before.overload, after.overload),
        term("utilisation_max_share", before.highest, after.highest),
        term("utilisation_deviation_share", before.deviation, after.deviation),
        term("moves", 0.0, steps.len() as f64),
        term("migration_seconds", 0.0, seconds),
        term("migration_bytes", 0.0, bytes),
    ];
    if view.policy.rules.iter().any(|rule| !rule.is_hard()) {
        let (before, after) = (unwished_in(view, context.start), unwished_in(view, &end));
        terms.push(term("preferences_guest_seconds", before, after));
    }
    Ok(terms)
}

/// How a placement loads the hosts.
struct Load {
    contention: f64,
    overload: f64,
    highest: f64,
    deviation: f64,
}

impl Load {
    fn of(context: &Context<'_>, place: &[usize]) -> Self {
        let view = context.view;
        let balance = &view.policy.balance;
        let end = Occupancy::new(view, place);
        let demands: Vec<f64> = (0..view.hosts.len()).map(|host| end.demand(host)).collect();
        let above = |(host, demand): (&crate::view::HostView<'_>, &f64)| {
            (demand - host.cores * balance.overload_above.get()).max(0.0)
        };
        let overload: f64 = view.hosts.iter().zip(&demands).map(above).sum();
        let utilisations: Vec<f64> = (0..view.hosts.len())
            .filter(|&host| view.up(host) && view.hosts[host].cores > 0.0)
            .map(|host| demands[host] / view.hosts[host].cores)
            .collect();
        let count = utilisations.len().max(1) as f64;
        let mean = utilisations.iter().sum::<f64>() / count;
        let variance = utilisations.iter().map(|u| (u - mean).powi(2)).sum::<f64>() / count;
        Self {
            contention: context.contention.total(view, &end),
            overload: overload * balance.horizon.as_seconds_f64(),
            highest: utilisations.iter().copied().fold(0.0, f64::max),
            deviation: variance.sqrt(),
        }
    }
}
