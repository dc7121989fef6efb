//! What planner and advisor say of the fake's one VM.

use whimbrel_core::{Goal, Outlook, Plan, Policy, VmId};
use whimbrel_models::Model;
use whimbrel_planner::{
    Explanation,
    undo::{self, Standing},
};

use super::{at, snapshot};
use crate::{
    Failure,
    advice::{Advisor, Asked, Situation},
    grpc::{Purpose, read_plan_text},
};

/// Who answers.
pub(super) fn advisor() -> Advisor {
    Advisor::new(Policy::default(), Model::default(), &[])
}

/// What is said of `plan` in the snapshot.
pub(in crate::grpc) fn explanations(
    plan: &Plan,
    asked: &Asked,
    part: (Option<&VmId>, usize),
) -> Result<Vec<Explanation>, Failure> {
    let (snapshot, now) = (snapshot(), at(4));
    let situation = Situation { snapshot, now, replay: None, outlook: Outlook::default() };
    advisor().tell_page(&situation, plan, asked, part)
}

/// The goal that is asked for.
pub(super) fn turned(purpose: &Purpose) -> Result<(Goal, Vec<Standing>), Failure> {
    let turned = match purpose {
        Purpose::Goal(goal) => return Ok((goal.clone(), Vec::new())),
        Purpose::Reverse { plan_text } => {
            undo::reverse(&read_plan_text("reverse.plan_text", plan_text)?, &snapshot())?
        }
        Purpose::Resume { plan_text } => {
            undo::resume(&read_plan_text("resume.plan_text", plan_text)?, &snapshot())?
        }
    };
    Ok((turned.goal, turned.standing))
}
