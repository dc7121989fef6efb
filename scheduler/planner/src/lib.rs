//! Pure planning: which VM moves where, in which order, at what predicted cost and why.
//!
//! Data flow of [`plan`]: a request is refused where it cannot be judged (`validate`); snapshot
//! and policy become numbered (`view`); the predictor prices moves (`costs`); one VM at a time is
//! asked where it could go (`options`); a linear program says what no placement can beat and what
//! would move in the best of all worlds, local search makes it real, and where something is left to
//! gain in a small cluster `HiGHS` solves it whole (`search`); goals that bring VMs together
//! (`packing`) and evenness by standard deviations (`even`) have searches of their own; no plan leaves more VMs without a place after a failure than
//! now have none (`reserve`); the placement becomes a stream of moves that holds limits
//! and rules at every moment (`ordering`); the result is sealed with reasons and figures (`report`), and what misses a
//! deadline is named (`deadline`).
//!
//! Costs and gains are guest-seconds of slow-down over the policy's horizon: contention on the
//! hosts (`contention`) against the weighted time and downtime of the moves. CPU demand is what the
//! request's outlook expects of each VM, and the last reading where it says nothing; a VM that was
//! moved lately rests (`rest`).
//!
//! A request as a value that can be kept and planned again is an [`input`](input::Input); [`formats`]
//! are its texts.
//!
//! Deterministic: equal requests give equal plans, byte for byte. Never here: input, output,
//! clocks, execution, and no code of the checker, which judges these plans on its own.

use std::collections::BTreeMap;

use whimbrel_core::{
    Outlook,
    cluster::Snapshot,
    plan::{Goal, Plan, Remark},
    policy::Policy,
    predict::Predictor,
    units::Timestamp,
};

pub mod baseline;
mod compare;
mod contention;
mod costs;
mod deadline;
mod even;
pub mod explain;
mod failure;
pub mod formats;
mod goal;
pub mod input;
mod moments;
mod options;
mod ordering;
mod packing;
pub mod placing;
pub mod relaxation;
mod report;
mod reserve;
mod rest;
mod restore;
mod scope;
mod search;
pub mod undo;
mod validate;
mod view;

pub use compare::evaluate;
pub use explain::{Explanation, explain, explain_all, explain_some};
pub use failure::{Held, NoReturn, PlanFailure, Rejected, Stalled, Unsound};
pub use relaxation::ways_out;

use crate::{
    contention::Contention, costs::Costs, scope::Context, search::Decision, view::Occupancy,
};

/// What to plan for. Everything that the plan may depend on is in here.
pub struct PlanRequest<'a> {
    /// The cluster as observed.
    pub snapshot: &'a Snapshot,
    /// What the operator wants.
    pub policy: &'a Policy,
    /// What the past says of the VMs; `Outlook::default()` where nothing is known of it.
    pub outlook: &'a Outlook,
    /// What the plan is for.
    pub goal: Goal,
    /// Who says what a migration costs.
    pub predictor: &'a dyn Predictor,
    /// The moment that the snapshot's age is judged against.
    pub now: Timestamp,
    /// Seed of the solver and of whatever the predictor draws.
    pub seed: u64,
}

/// A plan for the request; empty where nothing is worth a move.
///
/// # Errors
/// [`PlanFailure`] where the request is refused or the goal cannot be met; it names what stands in
/// the way.
pub fn plan(request: &PlanRequest<'_>) -> Result<Plan, PlanFailure> {
    let made = planned(request);
    let in_time = made.as_ref().is_ok_and(|plan| !deadline::missed(plan));
    if in_time || request.outlook.quieter.is_empty() {
        return made;
    }
    // Nobody waits for a quiet moment at the price of the deadline.
    let hurried = Outlook { quieter: BTreeMap::new(), ..request.outlook.clone() };
    planned(&PlanRequest { outlook: &hurried, goal: request.goal.clone(), ..*request })
}

fn planned(request: &PlanRequest<'_>) -> Result<Plan, PlanFailure> {
    study(request, |context| {
        if request.goal == Goal::Even {
            return even::plan(request, context);
        }
        let (decision, remarks) = decide(request, context)?;
        let end = Occupancy::new(context.view, &decision.place);
        let stays = match &request.goal {
            Goal::Balance | Goal::Even => report::balance_stays(context, &end),
            Goal::Drain { .. }
            | Goal::Restore { .. }
            | Goal::Defragment { .. }
            | Goal::Powersave => Vec::new(),
        };
        let plan = report::seal(request, context, decision, stays, |step| {
            report::reason(context, &request.goal, &end, step)
        })?;
        deadline::judged(plan, remarks, request.now)
    })
}

/// What moves, and what is to be said of it.
fn decide(
    request: &PlanRequest<'_>,
    context: &Context<'_>,
) -> Result<(Decision, Vec<Remark>), PlanFailure> {
    let decision = match &request.goal {
        Goal::Drain { .. } => goal::drain(context, &context.view.emptied(&request.goal))?,
        Goal::Balance | Goal::Even => goal::balance(context)?,
        Goal::Restore { places } => restore::decide(context, places)?,
        Goal::Defragment { flavours } => return packing::defragment(request, context, flavours),
        Goal::Powersave => return packing::powersave(context),
    };
    packing::keep(context, &request.goal, decision)
}

/// Validates the request and hands everything that a search reads to `work`.
fn study<T>(
    request: &PlanRequest<'_>,
    work: impl FnOnce(&Context<'_>) -> Result<T, PlanFailure>,
) -> Result<T, PlanFailure> {
    let view = validate::view(request)?;
    let costs = Costs::new(&view, request);
    let contention = Contention::new(&view);
    let start = Occupancy::new(&view, &view.present());
    work(&Context {
        view: &view,
        costs: &costs,
        contention: &contention,
        start: &start,
        seed: request.seed,
        now: request.now,
    })
}
