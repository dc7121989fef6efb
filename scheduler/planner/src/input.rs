//! A decision as a value: all that a plan was made from, every prediction that was asked for, and
//! what came of it. Planning from it again gives the same plan, byte for byte.
//!
//! A further part of [`PlanRequest`] is one more field of [`Input`], with a default for what was
//! saved before it existed.
//!
//! Never here: files and their layout ([`formats`](crate::formats)), and no planning of its own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    Outlook,
    cluster::Snapshot,
    digest::Digest,
    ids::VmId,
    plan::{Goal, Plan},
    policy::Policy,
    units::Timestamp,
};

use crate::{PlanFailure, PlanRequest, plan};

mod answers;

pub use answers::{Answer, Question, Told};

use answers::{Known, Recorder, Usual};

/// Everything that one decision depends on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// What the plan is for.
    pub goal: Goal,
    /// Seed of whatever is drawn.
    pub seed: u64,
    /// The moment that ages are judged against.
    pub now: Timestamp,
    /// What came of it when it was saved; `None` where nobody planned yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<Decided>,
    /// What the operator wants.
    pub policy: Policy,
    /// The cluster as observed.
    pub snapshot: Snapshot,
    /// What was known of guests besides.
    #[serde(default, skip_serializing_if = "Outlook::is_empty")]
    pub outlook: Outlook,
    /// What the planner asked the predictor, and what it was told.
    #[serde(default)]
    pub answers: Vec<Answer>,
    /// What every migration of a VM costs wherever it goes, in guest-seconds: for problems that come
    /// without a predictor. Range 0..=1e9.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub costs: BTreeMap<VmId, f64>,
}

/// What came of planning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Decided {
    /// A plan.
    Planned {
        /// Its digest.
        plan: Digest,
        /// Its moves.
        moves: u64,
        /// [`objective`] of it.
        objective: f64,
    },
    /// None, for this reason.
    Refused(String),
}

/// What came of planning from an [`Input`] again.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The plan, or why there is none.
    pub outcome: Result<Plan, PlanFailure>,
    /// What was asked that the input has no answer for: then the outcome is not what it would have
    /// been, because these moves counted as impossible.
    pub unanswered: Vec<Question>,
}

/// What `plan` leaves to suffer, in guest-seconds over the policy's horizon: contention and the
/// moves themselves, by the plan's own report. Less is better.
pub fn objective(plan: &Plan) -> f64 {
    let counted = ["contention_guest_seconds", "migration_guest_seconds"];
    let terms = plan.report.terms.iter();
    terms.filter(|term| counted.contains(&term.name.as_str())).map(|term| term.after).sum()
}

impl Decided {
    /// What `outcome` is.
    pub fn of(outcome: &Result<Plan, PlanFailure>) -> Self {
        match outcome {
            Ok(plan) => Self::Planned {
                plan: plan.digest.clone(),
                moves: plan.moves().count() as u64,
                objective: objective(plan),
            },
            Err(failure) => Self::Refused(failure.to_string()),
        }
    }
}

/// Plans for `request` and keeps all that the plan depends on.
pub fn record(request: &PlanRequest<'_>) -> (Result<Plan, PlanFailure>, Input) {
    let usual = Usual::new(request.snapshot, request.policy, request.now, request.seed);
    let recorder = Recorder::new(request.predictor, usual);
    let outcome =
        plan(&PlanRequest { predictor: &recorder, goal: request.goal.clone(), ..*request });
    let input = Input {
        goal: request.goal.clone(),
        seed: request.seed,
        now: request.now,
        decided: Some(Decided::of(&outcome)),
        policy: request.policy.clone(),
        snapshot: request.snapshot.clone(),
        outlook: request.outlook.clone(),
        answers: recorder.into_answers(),
        costs: BTreeMap::new(),
    };
    (outcome, input)
}

impl Input {
    /// Plans again.
    pub fn replay(&self) -> Replay {
        let (outcome, unanswered) = self.ask(plan);
        Replay { outcome, unanswered }
    }

    /// Hands the request to `work`; with its answer comes what it asked that is not known.
    pub fn ask<T>(&self, work: impl FnOnce(&PlanRequest<'_>) -> T) -> (T, Vec<Question>) {
        let usual = Usual::new(&self.snapshot, &self.policy, self.now, self.seed);
        let known = Known::new(&self.answers, &self.costs, usual);
        let answer = work(&PlanRequest {
            snapshot: &self.snapshot,
            outlook: &self.outlook,
            policy: &self.policy,
            goal: self.goal.clone(),
            predictor: &known,
            now: self.now,
            seed: self.seed,
        });
        (answer, known.into_unanswered())
    }
}
