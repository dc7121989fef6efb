//! Empties as many hosts as pays, and says how many no plan could.
//!
//! From the most that the sums allow downwards, hosts are chosen, packed and judged; the first
//! number of hosts that can be packed, keeps the reserve, can be reached and pays is taken.

use std::collections::BTreeSet;

use whimbrel_core::{
    ids::HostId,
    plan::{Goal, Remark},
};

use super::{
    choose::{Ask, Choices, Chosen},
    cost_seconds, exact,
    fill::{self, WAYS},
    mend, scope, takes, wake,
};
use crate::{
    failure::PlanFailure,
    ordering, reserve,
    scope::{Context, Scope},
    search::{Decision, draft::Draft, gap},
    view::Occupancy,
};

/// Numbers of hosts that are tried one by one from the most downwards; below, they are halved.
const TRIES_BY_ONE: usize = 12;

/// A choice that was packed.
struct Packed {
    place: Vec<usize>,
    off: Vec<bool>,
    cost_seconds: f64,
}

/// The same with the moves that lead to it.
type Realised = (Packed, ordering::Order);

/// The plan, and what may be switched off or must be woken.
pub(crate) fn powersave(context: &Context<'_>) -> Result<(Decision, Vec<Remark>), PlanFailure> {
    let scope = scope(context);
    if let Some(wake) = wake::advice(context) {
        let mut remarks = vec![wake];
        let (decision, reserve) = mend::keep(context, &Goal::Powersave, Decision::stay(context))?;
        remarks.extend(reserve);
        return Ok((decision, remarks));
    }
    let choices = Choices::new(context, &scope);
    let most = choices.solve(Ask::Most).map_or(0, |chosen| (-chosen.bound + 1e-6).floor() as usize);
    let best = choices.solve(Ask::Pays(usize::MAX));
    let bound = best.as_ref().map_or(0.0, |chosen| chosen.bound);
    let mut packed = None;
    let mut left = best.map_or(0, |chosen| count(&chosen.off));
    let mut tries = 0;
    while packed.is_none() && left > 0 {
        let Some(chosen) = choices.solve(Ask::Pays(left)) else { break };
        left = count(&chosen.off);
        packed = realise(context, &scope, &choices, &chosen);
        tries += 1;
        left = if tries < TRIES_BY_ONE { left.saturating_sub(1) } else { left / 2 };
    }
    let (decision, off) = if let Some((packed, order)) = packed {
        let gap = Some(gap(value(&choices, &packed), bound));
        let found_by = "choice of hosts and best fit".to_owned();
        (Decision { place: packed.place, order, found_by, gap }, packed.off)
    } else {
        let decision = restored(context);
        // What was empty may not be any more where moves restore the reserve.
        let stays = decision.order.moves.is_empty();
        let off = stays.then(|| already_empty(context, &choices));
        (decision, off.unwrap_or_else(|| vec![false; context.view.hosts.len()]))
    };
    let remarks = remarks(context, &choices, &decision, &off, most);
    Ok((decision, remarks))
}

/// Nothing emptied; where the reserve does not hold as things are, moves that bring it nearer.
fn restored(context: &Context<'_>) -> Decision {
    let stay = Decision::stay(context);
    mend::restore(context, &stay).unwrap_or(stay)
}

fn count(off: &[bool]) -> usize {
    off.iter().filter(|&&off| off).count()
}

/// Packs `chosen` in every way, and a small cluster as a whole; the cheapest that keeps the reserve,
/// can be reached and pays.
fn realise<'a>(
    context: &'a Context<'a>,
    scope: &'a Scope,
    choices: &Choices<'_>,
    chosen: &Chosen,
) -> Option<Realised> {
    let idle = -choices.worth_seconds() * count(&already_empty(context, choices)) as f64;
    let mut drafts: Vec<(Draft<'a>, Vec<bool>)> = Vec::new();
    for way in WAYS {
        let mut draft = Draft::new(context, scope);
        if fill::fill(&mut draft, &chosen.off, way) {
            drafts.push((draft, chosen.off.clone()));
        }
    }
    let whole = exact::solve(context, scope, choices, count(&chosen.off));
    drafts.extend(whole.map(|(place, off)| {
        (Draft::at(context, scope, Occupancy::new(context.view, &place)), off)
    }));
    let mut best: Option<(f64, Realised)> = None;
    for (mut draft, off) in drafts {
        let asleep = asleep(context, &off);
        if mend::mend(&mut draft, &asleep) > 0 {
            continue;
        }
        return_home(&mut draft, &off, &asleep);
        if !context.feasible(scope, &draft.now.place) {
            continue;
        }
        let cost_seconds = cost_seconds(context, scope, &draft.now.place);
        let packed = Packed { place: draft.now.place, off, cost_seconds };
        let value = value(choices, &packed);
        if value >= idle || best.as_ref().is_some_and(|(least, _)| value >= *least) {
            continue;
        }
        if let Ok(order) = ordering::order(context, &packed.place, None, &BTreeSet::new()) {
            best = Some((value, (packed, order)));
        }
    }
    best.map(|(_, realised)| realised)
}

/// Guest-seconds by which the cluster is better or worse off; below 0 it pays.
fn value(choices: &Choices<'_>, packed: &Packed) -> f64 {
    choices.gain_factor() * packed.cost_seconds
        - choices.worth_seconds() * count(&packed.off) as f64
}

/// Hosts that take nobody after a failure, where `off` is switched off.
fn asleep(context: &Context<'_>, off: &[bool]) -> Vec<bool> {
    if context.view.policy.powersave.reserve_may_sleep {
        vec![false; off.len()]
    } else {
        off.to_vec()
    }
}

/// Sends home who made way for others and need not have.
fn return_home(draft: &mut Draft<'_>, off: &[bool], asleep: &[bool]) {
    let view = draft.context.view;
    for vm in 0..view.vms.len() {
        let (at, home) = (draft.now.place[vm], view.vms[vm].home);
        if at == home || off[home] || !takes(draft, vm, home) || !draft.single(vm) {
            continue;
        }
        draft.shift(vm, home);
        if reserve::shortfall(view, &draft.now, asleep) > 0 {
            draft.take_back(&[(vm, at)]);
        }
    }
}

/// Hosts that run nothing as it is, as far as the reserve and the policy let them go.
fn already_empty(context: &Context<'_>, choices: &Choices<'_>) -> Vec<bool> {
    let none = vec![false; context.view.hosts.len()];
    let Some(chosen) = choices.solve(Ask::Idle) else { return none };
    let asleep = asleep(context, &chosen.off);
    let short = |off: &[bool]| reserve::shortfall(context.view, context.start, off);
    if short(&asleep) > short(&none) { none } else { chosen.off }
}

/// What may be switched off and what that means.
fn remarks(
    context: &Context<'_>,
    choices: &Choices<'_>,
    decision: &Decision,
    off: &[bool],
    most: usize,
) -> Vec<Remark> {
    let view = context.view;
    let hosts: Vec<HostId> =
        (0..off.len()).filter(|&host| off[host]).map(|host| view.hosts[host].id.clone()).collect();
    let emptied = (0..off.len()).filter(|&host| off[host] && !choices.is_empty(host)).count();
    let figure = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let mut remarks = vec![Remark::SwitchOff {
        emptied: figure(emptied),
        most: figure(most.max(hosts.len())),
        worth_seconds: choices.worth_seconds() * hosts.len() as f64,
        cost_seconds: cost_seconds(context, &scope(context), &decision.place),
        hosts,
    }];
    let failures = view.policy.limits.host_failures;
    if failures > 0 {
        let none = vec![false; off.len()];
        let before = reserve::exposed(view, context.start, &none);
        let end = Occupancy::new(view, &decision.place);
        let after = reserve::exposed(view, &end, &asleep(context, off));
        remarks.push(Remark::Reserve { failures, before, after });
    }
    remarks
}
