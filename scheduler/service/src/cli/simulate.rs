//! `whimbrel simulate`: a plan in the simulator.

use std::path::PathBuf;

use super::{
    Common, Ending, Format, print_json,
    proposal::{self, ProposalJson},
    source::SourceArguments,
};
use crate::{Failure, advice::Proposal, files};

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct SimulateArguments {
    /// The plan's file
    pub(super) plan: PathBuf,
    #[command(flatten)]
    pub(super) source: SourceArguments,
}

pub(super) fn run(common: &Common, own: &SimulateArguments) -> Result<Ending, Failure> {
    let plan = files::read_plan(&own.plan)?;
    let scene = own.source.scene(common)?;
    let notes = scene.advisor.check(&plan, &scene.situation)?;
    let proof = scene.advisor.prove(&plan, &scene.situation)?;
    let proposal = Proposal { plan, notes, proof };
    match common.output {
        Format::Json => print_json(&ProposalJson::of(&proposal))?,
        Format::Table => proposal::print(&proposal),
    }
    Ok(if proposal.may_run() { Ending::Done } else { Ending::No })
}
