//! `whimbrel place`: hosts for new domains; changes nothing.

use whimbrel_core::{HostId, VmId, units::Bytes};
use whimbrel_planner::placing::{self, Batch, Candidate, NewVm, Placed, Placement, Room};

use super::{
    Common, Ending, Format, flavour::Size, print_json, source::SourceArguments, table::table,
};
use crate::{Failure, scene::Scene};

/// Arguments of `place`.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceArguments {
    /// New domains, such as web-7="4 GiB,2": memory and vCPUs; a third figure is the number of
    /// cores that it is expected to keep busy, half of its vCPUs if left out
    #[arg(required = true, value_name = "NAME=MEMORY,VCPUS[,CORES]", value_parser = new_domain)]
    pub(super) domains: Vec<NewDomain>,
    /// Hosts that none of them may get, whatever the rules say
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    pub(super) exclude: Vec<HostId>,
    /// Place as many as find a host, rather than all or none
    #[arg(long)]
    pub(super) as_many_as_fit: bool,
    #[command(flatten)]
    pub(super) source: SourceArguments,
}

/// A domain that needs a host.
#[derive(Debug, Clone)]
pub(super) struct NewDomain {
    name: VmId,
    size: Size,
}

fn new_domain(text: &str) -> Result<NewDomain, String> {
    const EXAMPLE: &str = "web-7=\"4 GiB,2\"";
    let (name, size) = text.split_once('=').ok_or_else(|| {
        format!("{text:?} is not NAME=MEMORY,VCPUS (hint: write for example {EXAMPLE})")
    })?;
    let name = name.trim().parse::<VmId>().map_err(|error| error.to_string())?;
    Ok(NewDomain { name, size: size.parse()? })
}

impl PlaceArguments {
    /// The domains as the planner is asked for them.
    pub(super) fn asked(&self) -> (Vec<NewVm>, Batch) {
        let vm = |one: &NewDomain| NewVm {
            name: one.name.clone(),
            vcpus: one.size.vcpus,
            memory: one.size.memory,
            demand_cores: one.size.cores,
            exclude: self.exclude.clone(),
        };
        let batch = if self.as_many_as_fit { Batch::AsManyAsFit } else { Batch::AllOrNothing };
        (self.domains.iter().map(vm).collect(), batch)
    }
}

pub(super) fn run(common: &Common, own: &PlaceArguments) -> Result<Ending, Failure> {
    let room = room(common, &own.source)?;
    let (vms, batch) = own.asked();
    let placement = placing::place(&room, &vms, batch)?;
    show(common, &placement)
}

/// What is free on every host of the situation that is looked at.
pub(super) fn room(common: &Common, source: &SourceArguments) -> Result<Room, Failure> {
    room_of(&source.scene(common)?)
}

/// What is free on every host of `scene`.
pub(super) fn room_of(scene: &Scene) -> Result<Room, Failure> {
    Room::new(&scene.situation.snapshot, scene.advisor.policy()).map_err(Failure::invalid)
}

/// Prints the answer in the form that was asked for.
pub(super) fn show(common: &Common, placement: &Placement) -> Result<Ending, Failure> {
    match common.output {
        Format::Json => print_json(placement)?,
        Format::Table => print(placement),
    }
    Ok(if placement.unplaced.is_empty() { Ending::Done } else { Ending::No })
}

/// The columns of a host that a domain gets or could get.
pub(super) const HEADS: [&str; 5] = ["host", ">cost", ">cpu after", ">memory left", ">vcpus left"];

/// The cells of these columns.
pub(super) fn cells(on: &Candidate) -> [String; 5] {
    [
        on.host.to_string(),
        format!("{:.3} s", on.score_seconds),
        format!("{:.0} %", on.cpu_after * 100.0),
        on.memory_left.human(),
        on.vcpus_left.to_string(),
    ]
}

fn print(placement: &Placement) {
    let mut rows = table(&[&["domain"], &HEADS[..], &["next best"]].concat());
    for one in &placement.placed {
        let others: Vec<String> = one.runners_up.iter().map(runner_up).collect();
        let mut row = vec![one.vm.to_string()];
        row.extend(cells(&one.on));
        row.push(if others.is_empty() { "-".to_owned() } else { others.join(", ") });
        rows.add_row(row);
    }
    if !placement.placed.is_empty() {
        say!("{rows}");
        say!(
            "cost: guest-seconds of slow-down over the policy's horizon, with what it costs to break into free room"
        );
    }
    for Placed { vm, refused, .. } in &placement.placed {
        if !refused.reasons.is_empty() {
            say!("{vm}: not elsewhere: {refused}");
        }
    }
    for one in &placement.unplaced {
        say!("NO: {one}");
    }
}

fn runner_up(on: &Candidate) -> String {
    format!("{} ({:.3} s)", on.host, on.score_seconds)
}

/// Memory that is left, for people.
pub(super) fn left(memory: Bytes, vcpus: u64) -> String {
    format!("{} and {vcpus} vCPUs", memory.human())
}
