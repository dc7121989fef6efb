//! `whimbrel plan`: plan, check, simulate; change nothing.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use whimbrel_core::{
    Goal, HostId,
    plan::{Emptied, Flavour},
    units::Span,
};
use whimbrel_planner::undo;

use super::{
    Common, Ending, Format, explained,
    input::{self, InputArguments},
    print_json,
    proposal::{self, ProposalJson},
    report::write_report,
    source::SourceArguments,
    turn::{self, TurnArguments},
};
use crate::{
    Failure,
    advice::{Asked, Proposal},
    files,
    report::Happened,
    scene::Scene,
};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArguments {
    #[command(subcommand)]
    goal: GoalArgument,
}

impl PlanArguments {
    /// What is asked for, and how.
    ///
    /// # Errors
    /// [`Failure`] where a drain names no host.
    pub(super) fn taken_apart(&self) -> Result<(Wanted<'_>, &GoalArguments), Failure> {
        let (goal, common) = match &self.goal {
            GoalArgument::Drain { hosts, deadline, strict, common } => {
                let hosts = Emptied::of(hosts.iter().cloned()).map_err(Failure::invalid)?;
                (Goal::Drain { hosts, deadline: *deadline, strict: *strict }, common)
            }
            GoalArgument::Balance { common } => (Goal::Balance, common),
            GoalArgument::Even { common } => (Goal::Even, common),
            GoalArgument::Defragment { flavours, common } => {
                (Goal::Defragment { flavours: flavours.clone() }, common)
            }
            GoalArgument::Powersave { common } => (Goal::Powersave, common),
            GoalArgument::Reverse(turn) => return Ok((Wanted::Reverse(&turn.plan), &turn.common)),
            GoalArgument::Resume(turn) => return Ok((Wanted::Resume(&turn.plan), &turn.common)),
        };
        Ok((Wanted::Goal(goal), common))
    }
}

/// What a plan is to be for.
pub(super) enum Wanted<'a> {
    /// A goal.
    Goal(Goal),
    /// To take back the plan in this file.
    Reverse(&'a Path),
    /// To go on with the plan in this file.
    Resume(&'a Path),
}

/// What for.
#[derive(Debug, Subcommand)]
enum GoalArgument {
    /// Move every domain away from a host, or from several
    Drain {
        /// The hosts to empty
        #[arg(required = true, value_name = "HOST")]
        hosts: Vec<HostId>,
        /// When the last domain is to have left, from now; the plan says what would be late
        #[arg(long, value_name = "SPAN")]
        deadline: Option<Span>,
        /// No plan where one would be late
        #[arg(long, requires = "deadline")]
        strict: bool,
        #[command(flatten)]
        common: GoalArguments,
    },
    /// Relieve overloaded hosts where that pays
    Balance {
        #[command(flatten)]
        common: GoalArguments,
    },
    /// Make the hosts evenly used, by the weights in the policy's [even]
    Even {
        #[command(flatten)]
        common: GoalArguments,
    },
    /// Make room for domains that do not run yet, by the fewest and cheapest moves
    Defragment {
        /// What room is wanted for: [NAME=]MEMORY,VCPUS[xCOUNT], for example 64GiB,8x3; more than
        /// once for several sizes; without it as many as possible of the largest domain's size
        #[arg(long = "flavour", value_name = "FLAVOUR")]
        flavours: Vec<Flavour>,
        #[command(flatten)]
        common: GoalArguments,
    },
    /// Empty as many hosts as pays, so that they may be switched off
    Powersave {
        #[command(flatten)]
        common: GoalArguments,
    },
    /// Take back what a plan has moved, as far as that is still where the plan put it
    Reverse(TurnArguments),
    /// Plan for the goal of another plan again, from what is there now
    Resume(TurnArguments),
}

#[derive(Debug, clap::Args)]
pub(super) struct GoalArguments {
    /// Write the plan to a file, for `whimbrel apply`
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Also write the snapshot that the plan was made from
    #[arg(long, value_name = "FILE")]
    pub(super) save_snapshot: Option<PathBuf>,
    /// A balance that was planned before and not executed: where it is nearly the best still, the
    /// new plan keeps to it
    #[arg(long, value_name = "FILE")]
    pub(super) previous: Option<PathBuf>,
    /// Keep to no earlier plan; only a daemon (--endpoint) remembers one by itself
    #[arg(long, conflicts_with = "previous")]
    pub(super) anew: bool,
    /// Also write an HTML report
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Also explain why a domain moves or stays: its name, `all`, or `stays`
    #[arg(long, value_name = "DOMAIN|all|stays")]
    pub(super) explain: Option<Asked>,
    /// Seed of everything that is drawn; 1, or what a saved input says
    #[arg(long)]
    seed: Option<u64>,
    #[command(flatten)]
    pub(super) input: InputArguments,
    #[command(flatten)]
    pub(super) source: SourceArguments,
}

impl GoalArguments {
    /// The seed, where no saved input has its own.
    pub(super) fn seed(&self) -> u64 {
        self.seed.unwrap_or(1)
    }

    /// Says how the plan that was written is executed.
    pub(super) fn print_next_step(&self) {
        if let Some(path) = &self.out {
            say!("to execute it: whimbrel apply {} --execute", path.display());
        }
    }
}

pub(super) fn run(common: &Common, own: &PlanArguments) -> Result<Ending, Failure> {
    let (wanted, own) = own.taken_apart()?;
    let goal = match wanted {
        Wanted::Goal(goal) => goal,
        Wanted::Reverse(path) => return turn::run(common, path, own, undo::reverse),
        Wanted::Resume(path) => return turn::run(common, path, own, undo::resume),
    };
    let (scene, proposal) = if let Some(path) = &own.input.input {
        input::replayed(common, path, &goal, own.seed, &own.input)?
    } else {
        let scene = scene(common, own)?;
        let proposal = proposed(&scene, &goal, own)?;
        (scene, proposal)
    };
    finish(common, own, &scene, &proposal)
}

/// What to plan in, with the earlier plan to keep to.
pub(super) fn scene(common: &Common, own: &GoalArguments) -> Result<Scene, Failure> {
    let mut scene = own.source.scene(common)?;
    if let Some(path) = &own.previous {
        scene.situation.keep_to(&files::read_plan(path)?);
    }
    Ok(scene)
}

/// A proposal, or why there is none and what to give up for one.
pub(super) fn proposed(
    scene: &Scene,
    goal: &Goal,
    own: &GoalArguments,
) -> Result<Proposal, Failure> {
    let proposed = input::recorded(scene, goal.clone(), own.seed(), &own.input);
    proposed
        .map_err(|failure| scene.advisor.with_ways_out(&scene.situation, goal, own.seed(), failure))
}

/// Writes and prints what was asked for.
pub(super) fn finish(
    common: &Common,
    own: &GoalArguments,
    scene: &Scene,
    proposal: &Proposal,
) -> Result<Ending, Failure> {
    if let Some(path) = &own.save_snapshot {
        files::write_snapshot(path, &scene.situation.snapshot)?;
    }
    if let Some(path) = &own.out {
        files::write(path, files::plan_text(&proposal.plan)?.as_bytes())?;
    }
    if let Some(path) = &own.report {
        let outcome = &proposal.proof.outcome;
        let happened = (Happened::Simulated, &outcome.execution, &outcome.snapshot);
        write_report(path, scene, proposal, happened, &[])?;
    }
    let asked = own.explain.as_ref();
    let explanations = explained::told(scene, &proposal.plan, asked)?;
    match common.output {
        Format::Json => print_json(&ProposalJson::of(proposal).explained(explanations))?,
        Format::Table => {
            proposal::print(proposal);
            explained::print(asked, &explanations, &proposal.plan);
            own.print_next_step();
        }
    }
    let pass = proposal.may_run() && !proposal.plan.is_empty();
    Ok(if pass { Ending::Done } else { Ending::No })
}
