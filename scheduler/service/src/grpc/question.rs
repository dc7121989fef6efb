//! What may be asked of plans through the API, as values; texts of plans are read here and nowhere
//! else, so that a wrong one is named by its field.

use whimbrel_core::{Goal, Plan, PlanId};
use whimbrel_planner::{Explanation, undo::Standing};

use super::{Finding, SimulationSummary};
use crate::{Failure, advice::Asked, files};

/// A plan to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanQuestion {
    /// What it is for.
    pub purpose: Purpose,
    /// What was planned before, for a balance to keep to where that is nearly the best.
    pub previous: Previous,
    /// Seed of everything that is drawn.
    pub seed: u64,
}

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// A goal.
    Goal(Goal),
    /// To take back the plan of this file.
    Reverse {
        /// The file, exact.
        plan_text: String,
    },
    /// To plan for the goal of the plan of this file again.
    Resume {
        /// The file, exact.
        plan_text: String,
    },
}

/// What was planned before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Previous {
    /// The last balance that the backend planned, while it counts.
    Remembered,
    /// The plan of this file.
    Given {
        /// The file, exact.
        plan_text: String,
    },
    /// Nothing.
    Nothing,
}

/// Which plan is to be explained, and for whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainQuestion {
    /// The plan.
    pub of: Subject,
    /// The VMs.
    pub asked: Asked,
    /// Which part of many VMs.
    pub page: Page,
}

/// Which part of a long list is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Most entries; 0 where the backend may choose.
    pub size: u32,
    /// What the part before ended with; empty for the first.
    pub token: String,
}

/// Which plan is to be explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The one that this question gives.
    Question(PlanQuestion),
    /// The plan of this file.
    Given {
        /// The file, exact.
        plan_text: String,
    },
}

/// A plan with all that was found out about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plan.
    pub plan: Plan,
    /// The same as its exact file.
    pub text: String,
    /// What the checker found; it may run when none is fatal.
    pub findings: Vec<Finding>,
    /// How it went in the simulator.
    pub simulation: SimulationSummary,
    /// How the earlier plan stands that was to be taken back or gone on with.
    pub standing: Vec<Standing>,
    /// The previous plan that it was made with.
    pub previous: Option<PlanId>,
}

/// A plan and why it moves or leaves VMs.
#[derive(Debug, Clone, PartialEq)]
pub struct Explained {
    /// The plan.
    pub plan: Plan,
    /// The same as its exact file.
    pub text: String,
    /// One entry a VM, by name.
    pub explanations: Vec<Explanation>,
    /// The token of the next page; empty where this is the last.
    pub next_page_token: String,
}

impl PlanQuestion {
    /// A plan for `goal`.
    pub fn new(goal: Goal, seed: u64) -> Self {
        Self { purpose: Purpose::Goal(goal), previous: Previous::Remembered, seed }
    }
}

/// The plan whose file is `text`, which came in `field`.
///
/// # Errors
/// [`Failure`] naming the field, and what is wrong with the file.
pub fn read_plan_text(field: &str, text: &str) -> Result<Plan, Failure> {
    files::parse_plan(text).map_err(|failure| {
        let mut failure = failure.about(format_args!("field {field}"));
        failure
            .hint
            .get_or_insert_with(|| "send the plan's text exactly as Plan returned it".to_owned());
        failure
    })
}
