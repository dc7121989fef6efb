//! `whimbrel plan reverse` and `whimbrel plan resume`: from an earlier plan and what is there now
//! to a new plan, checked and simulated as any.

use std::path::{Path, PathBuf};

use whimbrel_core::{Goal, Plan, Snapshot};
use whimbrel_planner::undo::{Turned, UndoFailure};

use super::{
    Common, Ending, Format,
    plan::{GoalArguments, finish, proposed, scene},
    print_json,
};
use crate::{Failure, files};

/// Arguments of both.
#[derive(Debug, clap::Args)]
pub(super) struct TurnArguments {
    /// The earlier plan's file
    #[arg(long, value_name = "FILE")]
    pub(super) plan: PathBuf,
    #[command(flatten)]
    pub(super) common: GoalArguments,
}

pub(super) fn run(
    common: &Common,
    path: &Path,
    own: &GoalArguments,
    turn: impl Fn(&Plan, &Snapshot) -> Result<Turned, UndoFailure>,
) -> Result<Ending, Failure> {
    let plan = files::read_plan(path)?;
    if own.input.input.is_some() {
        return Err(Failure::invalid(
            "--input is for drain and balance: what is taken back or gone on with depends on where \
             every domain is now (hint: --snapshot FILE plans from a saved snapshot)",
        ));
    }
    let scene = scene(common, own)?;
    let turned = turn(&plan, &scene.situation.snapshot)
        .map_err(|failure| Failure::from(failure).about(path.display()))?;
    if !anything(common, &plan, &turned)? {
        return Ok(Ending::No);
    }
    let proposal = proposed(&scene, &turned.goal, own)?;
    finish(common, own, &scene, &proposal)
}

/// Says how `plan` stands, and whether anything is left to plan for.
pub(super) fn anything(common: &Common, plan: &Plan, turned: &Turned) -> Result<bool, Failure> {
    let Turned { goal, standing } = turned;
    let nothing = matches!(goal, Goal::Restore { places } if places.is_empty());
    match common.output {
        Format::Table => {
            say!("plan {} ({}) as it stands:", plan.id(), plan.goal);
            for one in standing {
                say!("  {one}");
            }
            if nothing {
                say!("nothing to take back: no domain is where the plan put it");
            }
        }
        Format::Json if nothing => print_json(turned)?,
        Format::Json => {}
    }
    Ok(!nothing)
}
