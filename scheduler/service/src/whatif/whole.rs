//! Stages that were planned one after the other, as one plan.
//!
//! Never here: another order, or another move.

use whimbrel_core::{
    Goal, Move, Plan,
    digest::Digest,
    plan::{AtOnce, Parent, PlanReport, Term},
    units::Span,
};
use whimbrel_planner::baseline;

use super::stages::Work;
use crate::{
    Failure,
    advice::{Advisor, Situation},
};

impl Work {
    /// All stages as one plan that begins from `start`.
    pub(super) fn whole(&mut self, advisor: &Advisor) -> Result<Plan, Failure> {
        let begin = Situation { snapshot: self.start.clone(), ..self.situation.clone() };
        let (first, last) = match self.plans.as_slice() {
            [only] if only.parent.snapshot == Digest::of(&self.start) => return Ok(only.clone()),
            [first, .., last] => (first, last),
            [only] => (only, only),
            [] => {
                return advisor.planned_by(&begin, Goal::Balance, self.seed, baseline::do_nothing);
            }
        };
        let mut found_by: Vec<&str> = Vec::new();
        for plan in &self.plans {
            if !found_by.contains(&plan.report.found_by.as_str()) {
                found_by.push(&plan.report.found_by);
            }
        }
        let gaps: Option<Vec<f64>> = self.plans.iter().map(|plan| plan.report.gap).collect();
        let report = PlanReport {
            found_by: found_by.join(", then "),
            gap: gaps.and_then(|gaps| gaps.into_iter().reduce(f64::max)),
            makespan: self.plans.iter().map(|plan| plan.report.makespan).sum(),
            terms: joined_terms(&first.report.terms, &last.report.terms),
            remarks: self.plans.iter().flat_map(|plan| plan.report.remarks.clone()).collect(),
        };
        let parent = Parent {
            snapshot: Digest::of(&self.start),
            snapshot_taken_at: self.start.taken_at,
            policy: Digest::of(&self.policy),
            seed: self.seed,
        };
        let moves = one_after_the_other(&self.plans);
        let at_once = self.plans.iter().map(|plan| plan.at_once).max_by_key(AtOnce::sharing_max);
        let at_once = at_once.unwrap_or(last.at_once);
        let goal = if self.plans.len() == 1 { first.goal.clone() } else { Goal::Balance };
        Ok(Plan::seal(goal, parent, report, (at_once, moves), last.stays.clone()))
    }
}

/// The moves of all plans, where each plan begins once those before it have ended.
fn one_after_the_other(plans: &[Plan]) -> Vec<Move> {
    let mut moves: Vec<Move> = Vec::new();
    let mut begins = Span::ZERO;
    for plan in plans {
        let earlier = u32::try_from(moves.len()).unwrap_or(u32::MAX);
        moves.extend(plan.moves.iter().map(|one| Move {
            after: (0..earlier).chain(one.after.iter().map(|place| place + earlier)).collect(),
            begins: begins + one.begins,
            ..one.clone()
        }));
        begins += plan.report.makespan;
    }
    moves
}

/// Each term from before the first stage to after the last.
fn joined_terms(first: &[Term], last: &[Term]) -> Vec<Term> {
    let before = |name: &str| first.iter().find(|term| term.name == name).map(|term| term.before);
    let joined = last
        .iter()
        .map(|term| Term { before: before(&term.name).unwrap_or(term.before), ..term.clone() });
    joined.collect()
}
