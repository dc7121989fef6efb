//! A decision as a sealed plan: predictions, time-outs, reasons, and what stays and why.
//!
//! Chooses nothing.

use whimbrel_core::{
    digest::Digest,
    plan::{Goal, Move, Parent, Plan, PlanReport, Reason, Stay},
};

use crate::{
    PlanFailure, PlanRequest,
    compare::terms,
    even,
    options::{self, Offer},
    ordering::{Order, Scheduled, Step},
    rest,
    scope::{Context, scattered, scattered_now},
    search::Decision,
    view::Occupancy,
};

/// Seals `decision`; `reason` says why each step is made.
pub(crate) fn seal(
    request: &PlanRequest<'_>,
    context: &Context<'_>,
    decision: Decision,
    stays: Vec<Stay>,
    reason: impl Fn(&Step) -> Reason,
) -> Result<Plan, PlanFailure> {
    let Decision { place, order: Order { moves: scheduled, at_once, .. }, found_by, gap } =
        decision;
    let steps: Vec<(Step, u32)> = scheduled.iter().map(|one| (one.step, one.sharing)).collect();
    let mut terms = terms(context, &place, &steps)?;
    if request.goal == Goal::Even {
        terms.extend(even::terms(context, &place));
    }
    let moves = scheduled
        .into_iter()
        .map(|one| {
            let why = reason(&one.step);
            one_move(context, one, why)
        })
        .collect::<Result<Vec<Move>, PlanFailure>>()?;
    let ends = moves.iter().map(|one| one.begins + one.predicted.total_time.p50);
    let makespan = ends.max().unwrap_or_default();
    let parent = Parent {
        snapshot: Digest::of(request.snapshot),
        snapshot_taken_at: request.snapshot.taken_at,
        policy: Digest::of(request.policy),
        seed: request.seed,
    };
    let report = PlanReport { found_by, gap, makespan, terms, remarks: Vec::new() };
    Ok(Plan::seal(request.goal.clone(), parent, report, (at_once, moves), stays))
}

fn one_move(
    context: &Context<'_>,
    scheduled: Scheduled,
    reason: Reason,
) -> Result<Move, PlanFailure> {
    let view = context.view;
    let Scheduled { step, after, begins, sharing, alone, .. } = scheduled;
    let domain = view.vms[step.vm].domain;
    let expected = context.costs.expected(step.vm, (step.from, step.to), sharing);
    let predicted = (*expected).clone()?;
    Ok(Move {
        vm: domain.vm.clone(),
        uuid: domain.uuid.clone(),
        from: view.hosts[step.from].id.clone(),
        to: view.hosts[step.to].id.clone(),
        after,
        alone,
        not_before: view.vms[step.vm].not_before,
        ends_before: view.vms[step.vm].ends_before,
        begins,
        timeout: predicted.timeout(),
        reason,
        settings: view.policy.migration.clone(),
        predicted,
    })
}

/// What the planner's own moves are for.
pub(crate) fn reason(context: &Context<'_>, goal: &Goal, end: &Occupancy, step: &Step) -> Reason {
    let view = context.view;
    let home = view.vms[step.vm].home;
    if step.bounce {
        return Reason::MakesRoom { host: view.hosts[step.from].id.clone() };
    }
    if let Goal::Drain { .. } = goal {
        return if goal.emptied().any(|host| host == view.hosts[home].id) {
            Reason::HostDrained
        } else {
            Reason::MakesRoom { host: view.hosts[home].id.clone() }
        };
    }
    if matches!(goal, Goal::Restore { .. }) {
        return Reason::Restored;
    }
    if let Goal::Powersave | Goal::Defragment { .. } = goal {
        let emptied = *goal == Goal::Powersave && !end.place.contains(&home);
        let host = view.hosts[home].id.clone();
        return if emptied { Reason::HostDrained } else { Reason::MakesRoom { host } };
    }
    let mended = || {
        let groups = view.vms[step.vm].together.iter().map(|&group| &view.together[group]);
        let mended = |group: &&crate::view::Group<'_>| {
            scattered_now(view, group) && scattered(group, &end.place) == 0
        };
        groups.into_iter().find(mended).map(|group| group.name)
    };
    let before = context.start.grievance(view, step.vm);
    let rule = before.filter(|rule| end.grievance(view, step.vm) != Some(*rule)).or_else(mended);
    if let Some(rule) = rule {
        return Reason::RuleBroken { rule: rule.to_owned() };
    }
    match relieves(context, end, step.vm) {
        Reason::Relieves { host, gain_seconds, cost_seconds } if gain_seconds < cost_seconds => {
            Reason::MakesRoom { host }
        }
        relieves => relieves,
    }
}

/// The gain and the cost of having moved `vm` away from home, at the end of the plan.
pub(crate) fn relieves(context: &Context<'_>, end: &Occupancy, vm: usize) -> Reason {
    let view = context.view;
    let (home, to) = (view.vms[vm].home, end.place[vm]);
    // What its going home would cost is what its leaving gained.
    let gain_seconds = context.contention.change(view, end, vm, home);
    let answer = context.costs.predict(vm, home, to, 1);
    let cost_seconds =
        answer.as_ref().as_ref().map_or(0.0, |prediction| context.costs.seconds(vm, prediction));
    Reason::Relieves { host: view.hosts[home].id.clone(), gain_seconds, cost_seconds }
}

/// VMs that a balance leaves although it could have moved them: those on hosts that were
/// overloaded and those that rules name.
pub(crate) fn balance_stays(context: &Context<'_>, end: &Occupancy) -> Vec<Stay> {
    let view = context.view;
    let moves = (0..view.vms.len()).filter(|&vm| end.place[vm] != view.vms[vm].home).count();
    let hot = |vm: usize| {
        let home = view.vms[vm].home;
        view.overloaded(home, context.start.demand(home))
    };
    (0..view.vms.len())
        .filter(|&vm| end.place[vm] == view.vms[vm].home)
        .filter(|&vm| hot(vm) || view.vms[vm].ruled)
        .map(|vm| Stay {
            vm: view.vms[vm].domain.vm.clone(),
            reason: stay_reason(context, end, vm, hot(vm), moves),
        })
        .collect()
}

/// Why `vm` stays; `hot`: its host is overloaded; `moves`: how many the plan has.
pub(crate) fn stay_reason(
    context: &Context<'_>,
    end: &Occupancy,
    vm: usize,
    hot: bool,
    moves: usize,
) -> Reason {
    let view = context.view;
    if let Some(held) = &view.vms[vm].held {
        return held.clone();
    }
    if !hot && view.ban(vm, view.vms[vm].home).is_none() {
        return Reason::WellPlaced;
    }
    if let Some(until) = rest::resting(context, vm) {
        return Reason::Resting { until };
    }
    let offers = options::offers(view, context.costs, vm);
    if offers.iter().all(|offer| offer.answer.is_err()) {
        return options::summary(&offers);
    }
    if let Some(&group) = view.vms[vm].together.first() {
        return Reason::HeldByRule { rule: view.together[group].name.to_owned() };
    }
    let Some((gain_seconds, cost_seconds)) = best_offer(context, end, vm, &offers) else {
        let clash = offers.iter().find_map(|offer| end.clash(view, vm, offer.host));
        return clash.map_or(Reason::NoRoom, |rule| Reason::HeldByRule { rule: rule.to_owned() });
    };
    let gain_factor = view.policy.balance.gain_factor;
    let limit = view.policy.limits.moves_max;
    if gain_seconds > gain_factor * cost_seconds && moves >= limit as usize {
        return Reason::MovesLimit { limit };
    }
    Reason::GainTooSmall { gain_seconds, cost_seconds, gain_factor }
}

/// Gain and cost of the best single move of `vm` that there is room for at the end of the plan.
fn best_offer(
    context: &Context<'_>,
    end: &Occupancy,
    vm: usize,
    offers: &[Offer<'_>],
) -> Option<(f64, f64)> {
    let view = context.view;
    let net = |(gain, cost): &(f64, f64)| gain - view.policy.balance.gain_factor * cost;
    offers
        .iter()
        .filter(|offer| end.keeps(view, vm, offer.host))
        .filter_map(|offer| {
            let cost = *offer.answer.as_ref().ok()?;
            let gain = -context.contention.change(view, end, vm, offer.host);
            Some((gain, cost))
        })
        .max_by(|a, b| net(a).total_cmp(&net(b)))
}
