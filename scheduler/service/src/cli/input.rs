//! Planning inputs on the command line: `--save-input` keeps all that a plan is made from, `--input`
//! plans from it again.
#![expect(clippy::print_stderr, reason = "notes about a file are not the answer")]

use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

use whimbrel_core::Goal;
use whimbrel_planner::{
    formats,
    input::{self, Decided, Input, Replay},
};

use super::Common;
use crate::{
    Failure,
    advice::{Proposal, Situation},
    instance,
    scene::Scene,
};

/// Which input to plan from, and where to keep it.
#[derive(Debug, clap::Args)]
pub(super) struct InputArguments {
    /// Plan from a saved input, the plain form or Ganeti's text instead of live hosts
    #[arg(long, value_name = "FILE", conflicts_with_all = ["snapshot", "telemetry", "at", "watch"])]
    pub(super) input: Option<PathBuf>,
    /// Also write all that the plan is made from, refused or not, for --input
    #[arg(long, value_name = "FILE")]
    save_input: Option<PathBuf>,
}

impl InputArguments {
    /// The option of these that was given, if any.
    #[cfg(feature = "serve")]
    pub(super) fn given(&self) -> Option<&'static str> {
        let given = [("--input", &self.input), ("--save-input", &self.save_input)];
        given.into_iter().find_map(|(name, path)| path.is_some().then_some(name))
    }

    fn save(&self, input: &Input) -> Result<(), Failure> {
        let Some(path) = &self.save_input else { return Ok(()) };
        let written = formats::write(input).map_err(|error| instance::located(&error, path))?;
        instance::write(path, &written).map(drop)
    }
}

/// Plans in `scene`, and keeps the input where that is asked for, also of what is refused.
pub(super) fn recorded(
    scene: &Scene,
    goal: Goal,
    seed: u64,
    own: &InputArguments,
) -> Result<Proposal, Failure> {
    let (situation, advisor) = (&scene.situation, &scene.advisor);
    if own.save_input.is_none() {
        return advisor.propose(situation, goal, seed);
    }
    let kept = Cell::new(None);
    let plan = advisor.planned_by(situation, goal, seed, |request| {
        let (outcome, input) = input::record(request);
        kept.set(Some(input));
        outcome
    });
    if let Some(input) = kept.take() {
        own.save(&input)?;
    }
    advisor.judged(plan?, situation)
}

/// Plans from the input in `path` again and says whether it comes out as before.
pub(super) fn replayed(
    common: &Common,
    path: &Path,
    goal: &Goal,
    seed: Option<u64>,
    own: &InputArguments,
) -> Result<(Scene, Proposal), Failure> {
    let mut input = read(common, path, goal, seed, own)?;
    let Replay { outcome, unanswered } = input.replay();
    if let Some(first) = unanswered.first() {
        eprintln!(
            "note: {} predictions were not asked for when the input was saved, so these moves count as \
             impossible; the first is for {} {first}",
            unanswered.len(),
            first.vm
        );
    }
    let decided = Decided::of(&outcome);
    if let Some(before) = &input.decided {
        eprintln!("{}", compared(before, &decided));
    }
    input.decided = Some(decided);
    own.save(&input)?;
    let Input { snapshot, outlook, now, policy, .. } = input;
    let situation = Situation { snapshot, outlook, now, replay: None };
    let scene = Scene::new(situation, policy, &[], None)?;
    let proposal = scene.advisor.judged(outcome.map_err(Failure::invalid)?, &scene.situation)?;
    Ok((scene, proposal))
}

/// The input, if it agrees with the rest of the command line.
fn read(
    common: &Common,
    path: &Path,
    goal: &Goal,
    seed: Option<u64>,
    own: &InputArguments,
) -> Result<Input, Failure> {
    let clash = |what: String| Failure::invalid(what).about(path.display());
    if own.save_input.as_deref() == Some(path) {
        let hint = "(hint: name another file for --save-input)";
        return Err(clash(format!("it would be read and overwritten {hint}")));
    }
    let theirs = [("--policy", "WHIMBREL_POLICY"), ("--model", "WHIMBREL_MODEL")];
    let given = [common.policy.is_some(), common.model.is_some()];
    if let Some(((option, variable), _)) = theirs.iter().zip(given).find(|(_, given)| *given) {
        return Err(clash(format!(
            "an input has its own policy and predictions, and {option} is given too \
             (hint: leave out {option} and {variable}, or leave out --input)"
        )));
    }
    let read = instance::read(path)?;
    for left_out in &read.left_out {
        eprintln!("note: {}: not read: {left_out}", path.display());
    }
    let saved = matches!(read.problem, formats::Problem::Whole(_));
    let (mut input, stated) = read.input().map_err(|error| instance::located(&error, path))?;
    if stated && input.goal != *goal {
        return Err(clash(format!(
            "it asks to {}, the command line to {goal} (hint: whimbrel plan {0} --input {1})",
            input.goal,
            path.display()
        )));
    }
    if let Some(seed) = seed {
        if saved && seed != input.seed {
            return Err(clash(format!(
                "its seed is {}, the command line's is {seed} (hint: leave out --seed)",
                input.seed
            )));
        }
        input.seed = seed;
    }
    input.goal = goal.clone();
    Ok(input)
}

/// What became of a decision.
fn compared(before: &Decided, now: &Decided) -> String {
    let told = |decided: &Decided| match decided {
        Decided::Planned { plan, moves, objective } => {
            format!("plan {} of {moves} moves at {objective:.1} guest-seconds", plan.short())
        }
        Decided::Refused(why) => format!("no plan: {why}"),
    };
    if before == now {
        "note: the same as when the input was saved, byte for byte".to_owned()
    } else {
        format!("note: not as when the input was saved; it was {}", told(before))
    }
}
