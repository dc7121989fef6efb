//! The reserve for failures: kept by packing, mended by single moves, and never made worse by a
//! plan of any goal.
//!
//! A move is taken where it leaves less memory without a place after failures; moves of VMs that
//! are under way anyway come first, since they cost nothing more.

use whimbrel_core::plan::{Goal, Remark};

use super::{scope, takes};
use crate::{
    failure::PlanFailure,
    ordering,
    reserve::{self, Standing},
    scope::{Context, Scope},
    search::{Decision, draft::Draft},
    view::Occupancy,
};

/// Trials of a failure, in VMs times hosts, after which mending ends.
const WORK_MAX: usize = 400_000_000;

/// Mends the reserve in `draft`, whose hosts in `off` take nobody, until it holds or no single move
/// makes it better; what is without a place then, in bytes.
pub(super) fn mend(draft: &mut Draft<'_>, off: &[bool]) -> u128 {
    let view = draft.context.view;
    let mut short = reserve::shortfall(view, &draft.now, off);
    let trial = view.vms.len().saturating_mul(4).max(1);
    let mut left = WORK_MAX / trial.saturating_mul(view.hosts.len().max(1));
    while short > 0 && left > 0 {
        let Some((vm, host, less)) = step(draft, off, short, &mut left) else { break };
        draft.shift(vm, host);
        short = less;
    }
    short
}

/// The best move: no dearer one is looked for where a free one helps.
fn step(
    draft: &mut Draft<'_>,
    off: &[bool],
    short: u128,
    left: &mut usize,
) -> Option<(usize, usize, u128)> {
    let view = draft.context.view;
    let exposures = reserve::exposures(view, &draft.now, off);
    // The host that fails must be less full, or the others must have larger holes.
    let failing: Vec<usize> = exposures.iter().flat_map(|one| one.failed.clone()).collect();
    for displaced in [true, false] {
        let mut best: Option<(u128, usize, usize)> = None;
        let mut vms: Vec<usize> = (0..view.vms.len())
            .filter(|&vm| {
                draft.single(vm) && displaced == (draft.now.place[vm] != view.vms[vm].home)
            })
            .filter(|&vm| !off[draft.now.place[vm]])
            .collect();
        vms.sort_by_key(|&vm| (!failing.contains(&draft.now.place[vm]), view.vms[vm].memory(), vm));
        for vm in vms {
            let from = draft.now.place[vm];
            for host in (0..view.hosts.len()).filter(|&host| host != from && !off[host]) {
                if *left == 0 || !(displaced || draft.may_move_more()) {
                    break;
                }
                if !takes(draft, vm, host) {
                    continue;
                }
                *left -= 1;
                draft.shift(vm, host);
                let after = reserve::shortfall(view, &draft.now, off);
                draft.take_back(&[(vm, from)]);
                if after < short && best.is_none_or(|(least, ..)| after < least) {
                    best = Some((after, vm, host));
                }
                if after == 0 {
                    return Some((vm, host, 0));
                }
            }
        }
        if let Some((after, vm, host)) = best {
            return Some((vm, host, after));
        }
    }
    None
}

/// `decision` with the reserve no worse than it is now: mended where it would be, refused where
/// that cannot be. Says how it is before and after.
pub(crate) fn keep(
    context: &Context<'_>,
    goal: &Goal,
    decision: Decision,
) -> Result<(Decision, Vec<Remark>), PlanFailure> {
    let view = context.view;
    let failures = view.policy.limits.host_failures;
    if failures == 0 {
        return Ok((decision, Vec::new()));
    }
    let none = vec![false; view.hosts.len()];
    let mut off = none.clone();
    let mut scope = scope(context);
    scope.must_leave = view.emptied(goal);
    for &host in &scope.must_leave {
        off[host] = true;
    }
    let before = Standing::of(view, context.start, &none);
    let end = Occupancy::new(view, &decision.place);
    let after = Standing::of(view, &end, &off);
    let remark =
        |after: Standing| vec![Remark::Reserve { failures, before: before.all, after: after.all }];
    if after.no_worse(before) {
        return Ok((decision, remark(after)));
    }
    // Who is to be on given hosts is nobody to be moved about, and evenness is not worth more.
    let fixed = matches!(goal, Goal::Restore { .. } | Goal::Even);
    if !fixed
        && let Some((mended, after)) = mended(context, &scope, &decision, &off)
        && after.no_worse(before)
    {
        return Ok((mended, remark(after)));
    }
    if matches!(goal, Goal::Balance | Goal::Even) {
        return Ok((Decision::stay(context), remark(before)));
    }
    let (before, after) = (before.all, after.all);
    Err(PlanFailure::Reserve { goal: goal.to_string(), failures, before, after })
}

/// `decision` with moves that bring the reserve nearer, if there are any.
pub(super) fn restore(context: &Context<'_>, decision: &Decision) -> Option<Decision> {
    let none = vec![false; context.view.hosts.len()];
    let end = Occupancy::new(context.view, &decision.place);
    let before = Standing::of(context.view, &end, &none);
    if before.all.vms == 0 {
        return None;
    }
    let (mended, after) = mended(context, &scope(context), decision, &none)?;
    let better = after.all.vms < before.all.vms && after.no_worse(before);
    better.then_some(mended)
}

fn mended(
    context: &Context<'_>,
    scope: &Scope,
    decision: &Decision,
    off: &[bool],
) -> Option<(Decision, Standing)> {
    let view = context.view;
    let mut draft = Draft::at(context, scope, Occupancy::new(view, &decision.place));
    mend(&mut draft, off);
    let after = Standing::of(view, &draft.now, off);
    let place = draft.now.place;
    if !context.feasible(scope, &place) {
        return None;
    }
    let order = ordering::order(context, &place, None, &scope.must_leave).ok()?;
    let found_by = format!("{}, reserve mended", decision.found_by);
    Some((Decision { place, order, found_by, gap: None }, after))
}
