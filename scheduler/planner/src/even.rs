//! The goal `even`: the used parts of the hosts' resources as equal as their moves are worth.
//!
//! The score of a placement is the standard deviation over the hosts of each resource's used part,
//! weighted and added up. Each VM away from home has a price, what a move must be worth; what is
//! made small is the score and the prices together, so that a longer plan is always a better one.
//! First by drawing (`anneal`), then by descent to a placement that no single move and no exchange
//! of two VMs makes better (`descend`).
//!
//! Hosts take part that are up; VMs elsewhere stay, as do those of affinity rules: balancing and
//! draining are for them. Asks nobody how long moves take.

use std::collections::BTreeSet;

use whimbrel_core::plan::{Plan, Reason, Stay, Term};

use crate::{
    PlanFailure, PlanRequest, deadline,
    ordering::{self, Step},
    packing, report,
    scope::{Context, Scope},
    search::{Decision, draft::Draft},
    view::Occupancy,
};
use evening::Evening;
use resources::Resources;
use tally::Tally;

mod anneal;
mod descend;
mod evening;
mod resources;
mod tally;
#[cfg(test)]
mod tests;

/// Plans for evenness.
pub(crate) fn plan(request: &PlanRequest<'_>, context: &Context<'_>) -> Result<Plan, PlanFailure> {
    let view = context.view;
    if view.policy.even.weights() <= 0.0 {
        return Err(PlanFailure::NoWeight);
    }
    let resources = Resources::of(context);
    let free = |vm: &crate::view::VmView<'_>| vm.held.is_none() && resources.takes_part(vm.home);
    let movable = view.vms.iter().map(free).collect();
    let scope = Scope { movable, must_leave: BTreeSet::new(), price_factor: 1.0 };
    let start = Draft::new(context, &scope);
    let vms: Vec<usize> = scope.vms().filter(|&vm| start.single(vm)).collect();
    let ruled: Vec<bool> = (0..view.vms.len())
        .map(|vm| !view.vms[vm].apart.is_empty() || view.ban(vm, view.vms[vm].home).is_some())
        .collect();
    let start = Evening::new(start, &resources, &ruled);
    let (decision, end) = search(context, start, &vms)?;
    let (decision, remarks) = packing::keep(context, &request.goal, decision)?;
    let stays = stays(context, &decision.place, &vms);
    let plan = report::seal(request, context, decision, stays, |step| reason(context, &end, step))?;
    deadline::judged(plan, remarks, request.now)
}

/// The best placement that was found and can be reached.
fn search<'a>(
    context: &Context<'_>,
    start: Evening<'a>,
    vms: &[usize],
) -> Result<(Decision, Evening<'a>), PlanFailure> {
    let mut best = start.clone();
    anneal::anneal(&mut best, vms, context.seed);
    descend::descend(&mut best, vms);
    let (now, sequence) = one_by_one(context, &best.draft.now.place);
    if now.place != best.draft.now.place {
        let draft = Draft::at(best.draft.context, best.draft.scope, now);
        best = Evening::new(draft, best.resources, best.ruled);
    }
    if best.value() >= start.value() {
        return Ok((Decision::stay(context), start));
    }
    let place = best.draft.now.place.clone();
    match ordering::order(context, &place, Some(&sequence), &BTreeSet::new()) {
        Ok(order) => {
            let found_by = "local search".to_owned();
            Ok((Decision { place, order, found_by, gap: None }, best))
        }
        Err(stuck) => {
            let name = |&vm: &usize| context.view.vms[vm].domain.vm.clone();
            Err(PlanFailure::Unreachable(stuck.iter().map(name).collect()))
        }
    }
}

/// As near to `place` as moves come that are made one at a time, and their order: VMs that wait for
/// each other stay, for evenness is not worth a detour.
fn one_by_one(context: &Context<'_>, place: &[usize]) -> (Occupancy, Vec<usize>) {
    let (view, mut now, mut sequence) = (context.view, context.start.clone(), Vec::new());
    let mut left: Vec<usize> = (0..place.len()).filter(|&vm| place[vm] != now.place[vm]).collect();
    loop {
        let before = left.len();
        left.retain(|&vm| {
            let goes = now.takes(view, vm, place[vm]);
            if goes {
                now.shift(view, vm, place[vm]);
                sequence.push(vm);
            }
            !goes
        });
        if left.is_empty() || left.len() == before {
            return (now, sequence);
        }
    }
}

/// Why a step of the plan is made.
fn reason(context: &Context<'_>, end: &Evening<'_>, step: &Step) -> Reason {
    let (view, vm) = (context.view, step.vm);
    let home = view.vms[vm].home;
    let makes_room = Reason::MakesRoom { host: view.hosts[step.from].id.clone() };
    if step.bounce {
        return makes_room;
    }
    if let Some(rule) = view.ban(vm, home).or_else(|| context.start.clash(view, vm, home)) {
        return Reason::RuleBroken { rule: rule.to_owned() };
    }
    let gain = end.worth(vm) / end.resources.weight();
    let gain_min = view.policy.even.gain_min;
    // It costs less to send it home than its move does, so there is no room for it at home.
    if gain < gain_min - 1e-6 { makes_room } else { Reason::EvensOut { gain, gain_min } }
}

/// VMs that may not move, or that affinity rules keep from moving on their own.
fn stays(context: &Context<'_>, place: &[usize], vms: &[usize]) -> Vec<Stay> {
    let view = context.view;
    let mut single = vec![false; place.len()];
    for &vm in vms {
        single[vm] = true;
    }
    let why = |vm: usize| {
        let one = &view.vms[vm];
        let group = || one.together.first().and_then(|&group| view.together.get(group));
        let by_rule = || group().map(|group| Reason::HeldByRule { rule: group.name.to_owned() });
        let reason = one.held.clone().or_else(by_rule)?;
        Some(Stay { vm: one.domain.vm.clone(), reason })
    };
    (0..place.len()).filter(|&vm| !single[vm]).filter_map(why).collect()
}

/// The score and each resource's deviation, at present and under `place`.
pub(crate) fn terms(context: &Context<'_>, place: &[usize]) -> Vec<Term> {
    let resources = Resources::of(context);
    let tally = |now: &Occupancy| Tally::of(&resources, resources.shares(now));
    let (before, after) = (tally(context.start), tally(&Occupancy::new(context.view, place)));
    let hosts = resources.hosts.len().max(1) as f64;
    let score = Term {
        name: "unevenness_score".to_owned(),
        before: before.score() / hosts,
        after: after.score() / hosts,
    };
    let (before, after) = (before.deviations(), after.deviations());
    let deviations = resources.names.iter().enumerate().map(|(k, name)| Term {
        name: format!("{name}_deviation_share"),
        before: before[k],
        after: after[k],
    });
    std::iter::once(score).chain(deviations).collect()
}
