//! `whimbrel plan`: plan, check, simulate; change nothing.

use std::path::PathBuf;

use clap::Subcommand;
use whimbrel_core::{Goal, HostId};

use super::{
    Common, Ending, Format, print_json,
    proposal::{self, ProposalJson},
    report::write_report,
    source::SourceArguments,
};
use crate::{Failure, files, report::Happened};

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub(super) struct PlanArguments {
    #[command(subcommand)]
    goal: GoalArgument,
}

impl PlanArguments {
    /// What is asked for, and how.
    pub(super) fn taken_apart(&self) -> (Goal, &GoalArguments) {
        match &self.goal {
            GoalArgument::Drain { host, common } => (Goal::Drain { host: host.clone() }, common),
            GoalArgument::Balance { common } => (Goal::Balance, common),
        }
    }
}

/// What for.
#[derive(Debug, Subcommand)]
enum GoalArgument {
    /// Move every domain away from a host
    Drain {
        /// The host to empty
        host: HostId,
        #[command(flatten)]
        common: GoalArguments,
    },
    /// Relieve overloaded hosts where that pays
    Balance {
        #[command(flatten)]
        common: GoalArguments,
    },
}

#[derive(Debug, clap::Args)]
pub(super) struct GoalArguments {
    /// Write the plan to a file, for `whimbrel apply`
    #[arg(long, short = 'f', value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Also write the snapshot that the plan was made from
    #[arg(long, value_name = "FILE")]
    pub(super) save_snapshot: Option<PathBuf>,
    /// Also write an HTML report
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// Seed of everything that is drawn
    #[arg(long, default_value_t = 1)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) source: SourceArguments,
}

impl GoalArguments {
    /// Says how the plan that was written is executed.
    pub(super) fn print_next_step(&self) {
        if let Some(path) = &self.out {
            say!("to execute it: whimbrel apply {} --execute", path.display());
        }
    }
}

pub(super) fn run(common: &Common, own: &PlanArguments) -> Result<Ending, Failure> {
    let (goal, own) = own.taken_apart();
    let scene = own.source.scene(common)?;
    let proposal = scene.advisor.propose(&scene.situation, goal, own.seed)?;
    if let Some(path) = &own.save_snapshot {
        files::write_snapshot(path, &scene.situation.snapshot)?;
    }
    if let Some(path) = &own.out {
        files::write(path, files::plan_text(&proposal.plan)?.as_bytes())?;
    }
    if let Some(path) = &own.report {
        let outcome = &proposal.proof.outcome;
        let happened = (Happened::Simulated, &outcome.execution, &outcome.snapshot);
        write_report(path, &scene, &proposal, happened, &[])?;
    }
    match common.output {
        Format::Json => print_json(&ProposalJson::of(&proposal))?,
        Format::Table => proposal::print(&proposal),
    }
    if common.output == Format::Table {
        own.print_next_step();
    }
    let pass = proposal.may_run() && !proposal.plan.is_empty();
    Ok(if pass { Ending::Done } else { Ending::No })
}
