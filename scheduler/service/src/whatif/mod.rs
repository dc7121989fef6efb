//! "What if": a question about a changed cluster, answered by planner, predictor and simulator.
//!
//! Data flow: a [`Question`] changes what a [`Scene`] shows; `stages` finds places and plans the
//! moves that the change needs; `trials` simulates them under many seeds, beside the cluster left
//! as it is today; the [`Answer`] holds both sides and what speaks against the change.
//!
//! Never here: printing, a change of any host, or an opinion that is not in a figure.

mod answer;
mod asked;
pub mod describe;
mod file;
mod recorded;
mod relieve;
mod stages;
#[cfg(test)]
pub(crate) mod tests;
mod trials;
mod whole;

use std::collections::BTreeSet;

use whimbrel_core::{Goal, Policy, check::Severity, digest::Digest, units::Span};
use whimbrel_planner::baseline;
use whimbrel_simulator::{
    Outcome,
    whatif::{Changes, Headroom, Spread, Trial, losses},
};

pub use answer::{Answer, MoveLine, Side, lack};
pub use file::QuestionFile;
pub use recorded::recorded;
pub use stages::Stages;
pub use trials::jobs_by_default;

use crate::{Failure, advice::Advisor, scene::Scene};

/// Simulated after a host is lost at least.
const AFTER_LOSS: Span = Span::from_seconds(60);

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What it is about, in a sentence; empty where nobody said.
    pub intent: String,
    /// What is different from today.
    pub changes: Changes,
    /// The policy then; today's when absent.
    pub policy: Option<Policy>,
    /// How long both sides are simulated; the policy's horizon when absent. Never less than the
    /// moves may take.
    pub horizon: Option<Span>,
    /// Simulated runs. Range 1..=[`SEEDS_MAX`].
    pub seeds: u64,
    /// Seed of the plan and of the first run; the others follow it.
    pub seed: u64,
    /// Threads that simulate, 1 or more.
    pub jobs: usize,
}

/// Most runs of one question.
pub const SEEDS_MAX: u64 = 100_000;

/// A question whose moves are planned, ready to be simulated under any seed.
pub struct Prepared {
    stages: Stages,
    question: Question,
    horizon: Span,
}

/// Changes what `scene` shows and plans the moves that this needs.
///
/// # Errors
/// [`Failure`] when the change names what does not exist, or nothing can be planned.
pub fn prepare(scene: &Scene, question: Question) -> Result<Prepared, Failure> {
    let situation = &scene.situation;
    asked::check(&question)?;
    let policy = question.policy.as_ref().unwrap_or(scene.advisor.policy());
    let advisor = Advisor::new(policy.clone(), scene.advisor.model().clone(), &scene.history);
    let changed = question
        .changes
        .apply(&situation.snapshot, situation.replay.as_ref())
        .map_err(Failure::invalid)?;
    let stages = stages::plan(&advisor, scene, &changed, question.seed)?;
    let asked = question.horizon.unwrap_or(policy.balance.horizon);
    let needed = stages.options.horizon;
    let after_loss = question.changes.lose.as_ref().map(|loss| loss.at + AFTER_LOSS);
    let horizon = asked.max(needed).max(after_loss.unwrap_or_default());
    Ok(Prepared { stages, question, horizon })
}

impl Prepared {
    /// Simulates one run.
    ///
    /// # Errors
    /// [`Failure`] when it cannot be simulated.
    pub fn trial(&self, seed: u64) -> Result<Trial, Failure> {
        self.run(seed).map(|(trial, _)| trial)
    }

    fn run(&self, seed: u64) -> Result<(Trial, Outcome), Failure> {
        trials::run(&self.stages, self.question.changes.lose.as_ref(), self.horizon, seed)
    }

    /// The figures of `trial` with those of the change itself, each named with its unit last.
    pub fn figures(&self, trial: &Trial) -> Vec<(&'static str, f64)> {
        let stages = &self.stages;
        let free = Headroom::new(&stages.after, &stages.policy, &stages.out);
        let lost = losses(&stages.after, &stages.policy, &stages.out);
        let strand = lost.iter().filter(|loss| !loss.stranded.is_empty()).count();
        let mut figures = trial.figures();
        figures.extend([
            ("guests_without_place", stages.homeless.len() as f64),
            ("guests_stuck", stages.stuck.len() as f64),
            ("hosts_whose_loss_strands", strand as f64),
            ("memory_free_bytes", free.memory_free.as_f64()),
            ("cpu_free_cores", free.cpu_free.as_cores_f64()),
        ]);
        figures
    }

    /// Simulates every run and draws the answer; `progress` is called after each.
    ///
    /// # Errors
    /// [`Failure`] when something cannot be simulated.
    pub fn answer(self, scene: &Scene, progress: &mut dyn FnMut()) -> Result<Answer, Failure> {
        let seed = self.question.seed;
        let today = left_alone(scene, self.horizon, seed)?;
        let seeds = seed.wrapping_add(1)..seed.wrapping_add(self.question.seeds);
        let (first, outcome) = self.run(seed)?;
        progress();
        let mut all = vec![first];
        all.extend(trials::many(&self, seeds, progress)?);
        let Self { stages, question, horizon } = self;
        let spread = Spread::of(&all, question.changes.deadline);
        let then = Side {
            headroom: Headroom::new(&stages.after, &stages.policy, &stages.out),
            losses: losses(&stages.after, &stages.policy, &stages.out),
            hosts: outcome.hosts.clone(),
        };
        let mut answer = Answer {
            intent: question.intent,
            changes: question.changes,
            policy_changed: question
                .policy
                .is_some_and(|policy| Digest::of(&policy) != Digest::of(scene.advisor.policy())),
            against: Vec::new(),
            homeless: stages.homeless,
            proven: stages.proven,
            stuck: stages.stuck,
            started: stages.started,
            out_of_service: stages.out,
            horizon,
            today,
            then,
            plan: stages.plan,
            notes: stages.notes.iter().map(ToString::to_string).collect(),
            moves: answer::move_lines(&outcome, scene.situation.snapshot.taken_at),
            trials: all,
            spread,
        };
        let refused = stages.notes.iter().filter(|note| note.severity() == Severity::Fatal);
        answer.against = answer::against(&answer, refused);
        Ok(answer)
    }
}

/// Today's cluster over `horizon` without any move.
fn left_alone(scene: &Scene, horizon: Span, seed: u64) -> Result<Side, Failure> {
    let (advisor, situation) = (&scene.advisor, &scene.situation);
    let nothing = advisor.planned_by(situation, Goal::Balance, seed, baseline::do_nothing)?;
    let mut options = advisor.simulation(&nothing, situation);
    options.horizon = horizon;
    let outcome = whimbrel_simulator::simulate(&nothing, &situation.snapshot, &options)
        .map_err(Failure::invalid)?;
    let nobody = BTreeSet::new();
    Ok(Side {
        headroom: Headroom::new(&situation.snapshot, advisor.policy(), &nobody),
        losses: losses(&situation.snapshot, advisor.policy(), &nobody),
        hosts: outcome.hosts,
    })
}
