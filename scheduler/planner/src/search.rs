//! One search: incumbent, solver, order; and back with a cut where no order exists.
//!
//! The incumbent is always there first where one exists, so a solver that fails, runs out of
//! nodes or finds worse costs quality and never the plan.

pub(crate) mod again;
pub(crate) mod draft;
mod floor;
mod local;
mod mend;
mod problem;
mod refine;
mod relax;
pub(crate) mod seed;
mod solve;
mod targets;

use std::collections::BTreeMap;

use crate::{
    costs::Price,
    ordering::{self, Order, Scheduled},
    scope::{Context, Scope},
    view::Occupancy,
};
use draft::Draft;
use floor::Floor;
use problem::{Cut, Options};
use seed::Incumbent;
use solve::Answer;

/// Most yes-or-no decisions, times the straight pieces that load is charged by, that go to the
/// solver whole where what was found without it is not within the solver's own tolerance of the
/// bound already. Above, the distance to the bound is told as it is: evenness for 40 hosts with
/// 210 VMs (8,400 decisions, 44 pieces) took `HiGHS` 23 s.
const WORK_MAX: usize = 100_000;

/// Most VMs of all rules among VMs, added up, that go to the solver: each is a row or more for every
/// place.
const MEMBERSHIPS_MAX: usize = 5_000;

/// Placements without a direct way that are cut off before the best so far is taken, and in a problem
/// of so few decisions that the solver takes milliseconds.
const CUTS_MAX: usize = 2;
const CUTS_MAX_SMALL: usize = 16;
const SMALL: usize = 200;

/// A placement with its moves.
pub(crate) struct Decision {
    pub(crate) place: Vec<usize>,
    pub(crate) order: Order,
    pub(crate) found_by: String,
    pub(crate) gap: Option<f64>,
}

impl Decision {
    /// Nothing moves, because the goal is met.
    pub(crate) fn stay(context: &Context<'_>) -> Self {
        let found_by = "present placement".to_owned();
        Self {
            place: context.view.present(),
            order: Order::none(context),
            found_by,
            gap: Some(0.0),
        }
    }
}

/// Why a search found nothing.
pub(crate) enum Dead {
    /// No placement, or none found.
    NoPlacement { proven: bool },
    /// Placements, but no way there; the VMs that wait for each other.
    Unreachable(Vec<usize>),
}

/// The best placement within `scope` that can be reached; from `seed` where the problem is small
/// enough for one, or nothing that can be reached came of the bound's dream.
///
/// A placement that cannot be reached, or only by a detour, is cut off and the next best is asked
/// for; a detour has its price, so the cheaper of the two wins.
pub(crate) fn search<'a>(
    context: &'a Context<'a>,
    scope: &'a Scope,
    seed: impl FnOnce() -> Option<Draft<'a>>,
) -> Result<Decision, Dead> {
    let floor = floor(context, scope);
    let relaxed = relax::relax(context, scope);
    let bound = relaxed.as_ref().map(|relaxed| relaxed.bound);
    let bound = bound.into_iter().chain(floor.as_ref().and_then(Floor::bound)).reduce(f64::max);
    let mut known = None;
    if let Some(mut draft) = relaxed.and_then(|relaxed| seed::round(context, scope, &relaxed)) {
        local::improve(&mut draft);
        known = route(context, scope, &Incumbent::of(draft));
    }
    // Moves of the seed are known to be possible one by one, which the better ones need not be.
    if (floor.is_some() || known.is_none())
        && let Some(mut draft) = seed()
    {
        known = better(known, route(context, scope, &Incumbent::of(draft.clone())));
        local::improve(&mut draft);
        known = better(known, route(context, scope, &Incumbent::of(draft)));
    }
    let proven = |route: &Route| bound.is_some_and(|bound| gap(route.value, bound) <= solve::GAP);
    if let Some(floor) = floor.filter(|_| !known.as_ref().is_some_and(proven)) {
        return exact(context, (scope, floor), known, bound);
    }
    let decision = known.map(|route| {
        let gap = bound.map(|bound| gap(route.value, bound));
        route.decision("local search".to_owned(), gap)
    });
    decision.ok_or(Dead::NoPlacement { proven: false })
}

/// What each VM costs at least on the hosts that the search needs, where the problem of these is
/// small enough for the solver.
fn floor(context: &Context<'_>, scope: &Scope) -> Option<Floor> {
    if context.view.memberships() > MEMBERSHIPS_MAX {
        return None;
    }
    let hosts = targets::needed(context, scope);
    let decisions = scope.vms().count().saturating_mul(hosts.len());
    let small = decisions.saturating_mul(context.contention.pieces()) <= WORK_MAX;
    small.then(|| Floor::new(context, scope, &hosts))
}

/// Hands the problem to the solver, without what is known to be in no better placement; the better
/// of its answer and `known`.
fn exact(
    context: &Context<'_>,
    (scope, floor): (&Scope, Floor),
    known: Option<Route>,
    relaxed: Option<f64>,
) -> Result<Decision, Dead> {
    let mut options = floor.options(context, known.as_ref().map(|route| route.value));
    let start = known.as_ref().map(|route| route.place.clone());
    if let Some(start) = &start {
        for (&vm, places) in &mut options {
            places.extend(context.price(scope, vm, start[vm]).map(|price| (start[vm], price)));
        }
    }
    let problem = (&options, start.as_deref());
    let mut found = reached(context, scope, problem, CutOff::Waiting);
    if known.is_none() && found.best.is_none() && matches!(found.dead, Dead::Unreachable(_)) {
        found = reached(context, scope, problem, CutOff::Placement);
    }
    let bound = relaxed.into_iter().chain(found.bound).reduce(f64::max);
    let solved_value = found.best.as_ref().map(|route| route.value);
    let route = better(found.best, known).ok_or(found.dead)?;
    let by_solver = solved_value.is_some_and(|value| value <= route.value);
    let found_by = if by_solver { "highs" } else { "local search" };
    let gap = bound.map(|bound| gap(route.value, bound));
    Ok(route.decision(found_by.to_owned(), gap))
}

/// What is cut off of a placement that cannot be reached.
#[derive(Clone, Copy)]
enum CutOff {
    /// The VMs that wait for each other are not where it has them: leads away from it at once, but
    /// may cut off what can be reached.
    Waiting,
    /// It alone.
    Placement,
}

impl CutOff {
    fn cut(self, context: &Context<'_>, place: &[usize], waiting: &[usize]) -> Cut {
        match self {
            Self::Waiting => waiting.iter().map(|&vm| (vm, place[vm])).collect(),
            Self::Placement => {
                let moved = |vm: &usize| place[*vm] != context.view.vms[*vm].home;
                (0..place.len()).filter(moved).map(|vm| (vm, place[vm])).collect()
            }
        }
    }
}

/// What the solver finds.
struct Reached {
    best: Option<Route>,
    /// What no placement can beat, in guest-seconds, where known.
    bound: Option<f64>,
    /// Why there is nothing, where there is nothing.
    dead: Dead,
}

/// The best placement of the options that can be reached, if any is found.
fn reached(
    context: &Context<'_>,
    scope: &Scope,
    (options, start): (&Options, Option<&[usize]>),
    cut_off: CutOff,
) -> Reached {
    let mut cuts: Vec<Cut> = Vec::new();
    let mut found = Reached { best: None, bound: None, dead: Dead::NoPlacement { proven: false } };
    let decisions: usize = options.values().map(BTreeMap::len).sum();
    let cuts_max = if decisions <= SMALL { CUTS_MAX_SMALL } else { CUTS_MAX };
    while cuts.len() <= cuts_max {
        let solved = match solve::solve(context, scope, options, (start, &cuts)) {
            Answer::Found(solved) => solved,
            Answer::Infeasible if cuts.is_empty() => {
                found.dead = Dead::NoPlacement { proven: true };
                break;
            }
            Answer::Infeasible | Answer::Nothing => break,
        };
        if cuts.is_empty() {
            let proven = |slack| context.objective(scope, &solved.place) - slack;
            found.bound = solved.slack_seconds.map(proven);
        }
        let place = polish(context, scope, &solved.place);
        match ordering::order(context, &place, None, &scope.must_leave) {
            Ok(order) => {
                let waiting = order.waiting.clone();
                let cut = cut_off.cut(context, &place, &waiting);
                found.best = better(found.best, Some(Route::new(context, scope, place, order)));
                if waiting.is_empty() {
                    break;
                }
                cuts.push(cut);
            }
            Err(waiting) => {
                cuts.push(cut_off.cut(context, &place, &waiting));
                found.dead = Dead::Unreachable(waiting);
            }
        }
    }
    found
}

/// Takes back moves without which the placement is better: each move that is left pays on its own
/// or makes room for one that does. The solver stops within a gap of the optimum; this removes
/// what the gap let through.
fn polish(context: &Context<'_>, scope: &Scope, place: &[usize]) -> Vec<usize> {
    let mut draft = Draft::at(context, scope, Occupancy::new(context.view, place));
    while local::returns(&mut draft) > 0.0 {}
    draft.now.place
}

/// A placement with the way to it and what both cost together.
struct Route {
    place: Vec<usize>,
    order: Order,
    value: f64,
}

impl Route {
    fn new(context: &Context<'_>, scope: &Scope, place: Vec<usize>, order: Order) -> Self {
        let value = context.objective(scope, &place)
            + scope.price_factor * detour_seconds(context, &place, &order.moves);
        Self { place, order, value }
    }

    fn decision(self, found_by: String, gap: Option<f64>) -> Decision {
        Decision { place: self.place, order: self.order, found_by, gap }
    }
}

fn route(context: &Context<'_>, scope: &Scope, incumbent: &Incumbent) -> Option<Route> {
    let known = !incumbent.sequence.is_empty();
    let sequence = known.then_some(incumbent.sequence.as_slice());
    let order = ordering::order(context, &incumbent.place, sequence, &scope.must_leave).ok()?;
    Some(Route::new(context, scope, incumbent.place.clone(), order))
}

/// The cheaper one, the first if they cost the same.
fn better(first: Option<Route>, second: Option<Route>) -> Option<Route> {
    match (first, second) {
        (Some(first), Some(second)) if second.value < first.value => Some(second),
        (Some(first), _) => Some(first),
        (None, second) => second,
    }
}

/// Guest-seconds that bounces cost beyond the direct moves.
fn detour_seconds(context: &Context<'_>, place: &[usize], moves: &[Scheduled]) -> f64 {
    let price = |vm, from, to| match context.costs.price(vm, from, to) {
        Price::Seconds(seconds) => seconds,
        Price::Stalls { .. } | Price::Unknown(_) => 0.0,
    };
    let bounces = moves.iter().map(|one| one.step).filter(|step| step.bounce);
    bounces
        .map(|step| {
            let end = place[step.vm];
            price(step.vm, step.from, step.to) + price(step.vm, step.to, end)
                - price(step.vm, step.from, end)
        })
        .sum()
}

/// Relative distance of `value` to `bound`, 0 or more, to six digits.
pub(crate) fn gap(value: f64, bound: f64) -> f64 {
    let distance = (value - bound).max(0.0);
    if distance < 1e-6 {
        return 0.0;
    }
    (distance / value.abs().max(1e-9) * 1e6).round() / 1e6
}
