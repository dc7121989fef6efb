//! Plans that clients ask for: what for, what they were planned with before, and why they are as
//! they are.
//!
//! Everything is said of one snapshot, the last one when the call came. Decides nothing that the
//! local command line would not, but for which earlier balance the next one is shown (`previous`).

use std::sync::Arc;

use whimbrel_core::{Goal, Plan, PlanId};
use whimbrel_planner::undo::{self, Standing, Turned};

use super::Handle;
use crate::{
    Failure,
    advice::{Advisor, Proposal, Situation},
    grpc::{
        ExplainQuestion, Explained, PlanQuestion, Planned, Previous, Purpose, Subject, explained,
        read_plan_text,
    },
};

/// Hosts times domains up to which a goal that cannot be met is answered with what to give up: that
/// takes as long as dozens of plans, and a call is answered within a limit.
const WAYS_OUT_MAX: usize = 20_000;

/// All that a plan is made from.
struct Prepared {
    advisor: Arc<Advisor>,
    situation: Situation,
    goal: Goal,
    seed: u64,
    standing: Vec<Standing>,
    previous: Option<PlanId>,
}

impl Prepared {
    fn new(handle: &Handle, question: &PlanQuestion) -> Result<Self, Failure> {
        let advisor = handle.board.advisor();
        let mut situation = advisor.looking_ahead(handle.situation()?);
        let Turned { goal, standing } = turned(&question.purpose, &situation)?;
        let previous = match &question.previous {
            Previous::Nothing => None,
            Previous::Given { plan_text } => {
                Some(Arc::new(read_plan_text("previous_plan_text", plan_text)?))
            }
            Previous::Remembered => {
                handle.board.previous().at(situation.now, advisor.policy().balance.horizon)
            }
        };
        let previous = previous.filter(|_| goal == Goal::Balance);
        if let Some(plan) = &previous {
            situation.keep_to(plan);
        }
        let previous = previous.map(|plan| plan.id());
        Ok(Self { advisor, situation, goal, seed: question.seed, standing, previous })
    }

    /// `failure` of planning, with what to give up for a plan where that is found soon enough.
    fn with_ways_out(&self, failure: Failure) -> Failure {
        let snapshot = &self.situation.snapshot;
        if snapshot.hosts.len() * snapshot.domains.len() > WAYS_OUT_MAX {
            return failure;
        }
        self.advisor.with_ways_out(&self.situation, &self.goal, self.seed, failure)
    }
}

/// The goal that somebody asks for, and what it rests on.
fn turned(purpose: &Purpose, situation: &Situation) -> Result<Turned, Failure> {
    let snapshot = &situation.snapshot;
    let turned = match purpose {
        Purpose::Goal(goal) => Turned { goal: goal.clone(), standing: Vec::new() },
        Purpose::Reverse { plan_text } => {
            undo::reverse(&read_plan_text("reverse.plan_text", plan_text)?, snapshot)?
        }
        Purpose::Resume { plan_text } => {
            undo::resume(&read_plan_text("resume.plan_text", plan_text)?, snapshot)?
        }
    };
    Ok(turned)
}

impl Handle {
    /// A plan, checked and simulated, and remembered if it is a balance.
    pub(super) fn planned(&self, question: &PlanQuestion) -> Result<Planned, Failure> {
        let prepared = Prepared::new(self, question)?;
        let Prepared { advisor, situation, goal, seed, .. } = &prepared;
        let proposal: Proposal = advisor
            .propose(situation, goal.clone(), *seed)
            .map_err(|failure| prepared.with_ways_out(failure))?;
        let planned = Planned::try_from(&proposal)?;
        self.board.previous().note(&proposal);
        Ok(Planned { standing: prepared.standing, previous: prepared.previous, ..planned })
    }

    /// Why a plan moves or leaves VMs.
    pub(super) fn explained(&self, question: &ExplainQuestion) -> Result<Explained, Failure> {
        let (advisor, situation, plan) = match &question.of {
            Subject::Given { plan_text } => {
                let plan = read_plan_text("plan_text", plan_text)?;
                let advisor = self.board.advisor();
                let situation = advisor.looking_ahead(self.situation()?);
                (advisor, situation, plan)
            }
            Subject::Question(question) => {
                let prepared = Prepared::new(self, question)?;
                let plan: Plan = prepared
                    .advisor
                    .planned_by(
                        &prepared.situation,
                        prepared.goal.clone(),
                        prepared.seed,
                        whimbrel_planner::plan,
                    )
                    .map_err(|failure| prepared.with_ways_out(failure))?;
                (prepared.advisor, prepared.situation, plan)
            }
        };
        explained(plan, &question.page, |plan, after, most| {
            advisor.tell_page(&situation, plan, &question.asked, (after, most))
        })
    }
}
