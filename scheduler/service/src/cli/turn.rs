//! `whimbrel plan reverse` and `whimbrel plan resume`: from an earlier plan and what is there now
//! to a new plan, checked and simulated as any.

use std::path::PathBuf;

use whimbrel_core::{Goal, Plan, Snapshot};
use whimbrel_planner::undo::{Turned, UndoFailure};

use super::{
    Common, Ending, Format,
    plan::{GoalArguments, finish, proposed},
    print_json,
};
use crate::{Failure, files};

/// Arguments of both.
#[derive(Debug, clap::Args)]
pub(super) struct TurnArguments {
    /// The earlier plan's file
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    #[command(flatten)]
    common: GoalArguments,
}

pub(super) fn run(
    common: &Common,
    own: &TurnArguments,
    turn: impl Fn(&Plan, &Snapshot) -> Result<Turned, UndoFailure>,
) -> Result<Ending, Failure> {
    let plan = files::read_plan(&own.plan)?;
    if own.common.input.input.is_some() {
        return Err(Failure::invalid(
            "--input is for drain and balance: what is taken back or gone on with depends on where \
             every domain is now (hint: --snapshot FILE plans from a saved snapshot)",
        ));
    }
    let scene = own.common.source.scene(common)?;
    let turned = turn(&plan, &scene.situation.snapshot)
        .map_err(|failure| Failure::invalid(failure).about(own.plan.display()))?;
    let Turned { goal, standing } = &turned;
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
        Format::Json if nothing => print_json(&turned)?,
        Format::Json => {}
    }
    if nothing {
        return Ok(Ending::No);
    }
    let proposal = proposed(&scene, goal, &own.common)?;
    finish(common, &own.common, &scene, &proposal)
}
