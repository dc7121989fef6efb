//! Runs the program in `HiGHS`, deterministically, and checks what comes back.
//!
//! One thread, a fixed seed, and limits in nodes and gap rather than in seconds, so that the same
//! request gives the same plan on every machine. The limit in seconds is a backstop for hosts so
//! slow that an operator would wait in vain; a plan that it cuts short says so by its gap.

use highs::HighsModelStatus;

use super::problem::{self, Cut, Options, Problem};
use crate::scope::{Context, Scope};

/// Branch-and-bound nodes after which the best solution so far is taken: many for problems of up to
/// [`SMALL`] decisions; in a larger one a node takes a hundred times longer.
const NODES_MAX_SMALL: i32 = 2_000;
const NODES_MAX_LARGE: i32 = 50;
const SMALL: usize = 4_000;

/// Relative distance to the bound at which the search ends.
pub(super) const GAP: f64 = 1e-4;

/// Distance to the bound in guest-seconds at which the search ends.
const GAP_SECONDS: f64 = 1e-3;

/// The backstop, in seconds.
const SECONDS_MAX: f64 = 60.0;

/// What the solver says.
pub(crate) enum Answer {
    /// A placement that was checked.
    Found(Solved),
    /// It proved that there is none.
    Infeasible,
    /// It gave up, failed, or gave something that does not hold.
    Nothing,
}

/// A placement from the solver.
pub(crate) struct Solved {
    pub(crate) place: Vec<usize>,
    /// Distance of its objective to the proven bound, in guest-seconds, where known.
    pub(crate) slack_seconds: Option<f64>,
}

/// Solves `options`, those of `scope`, from `incumbent` without `cuts`.
pub(crate) fn solve(
    context: &Context<'_>,
    scope: &Scope,
    options: &Options,
    (incumbent, cuts): (Option<&[usize]>, &[Cut]),
) -> Answer {
    let Problem { program, decisions, start } = problem::build(context, options, incumbent, cuts);
    let Ok(mut model) = program.try_into_inner() else { return Answer::Nothing };
    let seed = i32::try_from(context.seed % (i32::MAX as u64)).unwrap_or(0);
    let nodes_max = if decisions.len() <= SMALL { NODES_MAX_SMALL } else { NODES_MAX_LARGE };
    let set = model
        .try_set_option("threads", 1)
        .and_then(|()| model.try_set_option("parallel", "off"))
        .and_then(|()| model.try_set_option("random_seed", seed))
        .and_then(|()| model.try_set_option("mip_max_nodes", nodes_max))
        .and_then(|()| model.try_set_option("mip_rel_gap", GAP))
        .and_then(|()| model.try_set_option("mip_abs_gap", GAP_SECONDS))
        .and_then(|()| model.try_set_option("time_limit", SECONDS_MAX));
    if set.is_err() {
        return Answer::Nothing;
    }
    if let Some(start) = start {
        // A start that HiGHS does not accept costs time, not correctness.
        let _ = model.try_set_solution(Some(&start), None, None, None);
    }
    let Ok(solved) = model.try_solve() else { return Answer::Nothing };
    if matches!(
        solved.status(),
        HighsModelStatus::Infeasible | HighsModelStatus::UnboundedOrInfeasible
    ) {
        return Answer::Infeasible;
    }
    let solution = solved.get_solution();
    let mut place = context.view.present();
    for (&(vm, host), &column) in &decisions {
        if solution.columns().get(column).is_some_and(|value| *value > 0.5) {
            place[vm] = host;
        }
    }
    if !context.feasible(scope, &place) {
        return Answer::Nothing;
    }
    let slack = solved.mip_gap() * solved.objective_value().abs();
    Answer::Found(Solved { place, slack_seconds: slack.is_finite().then_some(slack) })
}
