//! `whimbrel rescue`: where the domains of failed hosts would start again; starts nothing.

use whimbrel_core::{HostId, VmId, units::Share};
use whimbrel_planner::placing::Rescue;

use super::{
    Common, Ending, Format,
    place::{HEADS, cells},
    print_json,
    source::SourceArguments,
    table::table,
};
use crate::{Failure, advice::RescueQuestion};

/// Arguments of `rescue`.
#[derive(Debug, clap::Args)]
pub(super) struct RescueArguments {
    /// Hosts to take for failed; all that do not answer, if left out
    #[arg(value_name = "HOST")]
    failed: Vec<HostId>,
    /// Class of a domain, such as db=2: higher classes get their hosts first; 0 for all others
    #[arg(long, value_name = "DOMAIN=NUMBER", value_delimiter = ',', value_parser = priority)]
    priority: Vec<(VmId, i64)>,
    /// For domains that find no host otherwise: part of each host's memory kept free, 0 to 0.95
    #[arg(long, value_name = "SHARE", value_parser = share)]
    emergency_reserve: Option<Share>,
    /// For domains that find no host otherwise: vCPUs for each core, 0.1 to 100
    #[arg(long, value_name = "NUMBER")]
    emergency_overcommit: Option<f64>,
    #[command(flatten)]
    pub(super) source: SourceArguments,
}

impl RescueArguments {
    /// The question as the planner is asked.
    pub(super) fn asked(&self) -> RescueQuestion {
        RescueQuestion {
            failed: self.failed.clone(),
            priorities: self.priority.iter().cloned().collect(),
            emergency_reserve: self.emergency_reserve,
            emergency_overcommit: self.emergency_overcommit,
        }
    }
}

fn priority(text: &str) -> Result<(VmId, i64), String> {
    let wrong = || format!("{text:?} is not DOMAIN=NUMBER (hint: write for example db=2)");
    let (vm, class) = text.split_once('=').ok_or_else(wrong)?;
    let vm = vm.trim().parse::<VmId>().map_err(|error| error.to_string())?;
    Ok((vm, class.trim().parse().map_err(|_| wrong())?))
}

fn share(text: &str) -> Result<Share, String> {
    let wrong = || format!("{text:?} is not a share (hint: write for example 0.02)");
    Share::try_from(text.parse::<f64>().map_err(|_| wrong())?)
}

pub(super) fn run(common: &Common, own: &RescueArguments) -> Result<Ending, Failure> {
    let scene = own.source.scene(common)?;
    show(common, &scene.advisor.rescue(&scene.situation.snapshot, &own.asked())?)
}

/// Prints the answer in the form that was asked for.
pub(super) fn show(common: &Common, rescue: &Rescue) -> Result<Ending, Failure> {
    match common.output {
        Format::Json => print_json(rescue)?,
        Format::Table => print(rescue),
    }
    Ok(if rescue.unrescued.is_empty() { Ending::Done } else { Ending::No })
}

fn print(rescue: &Rescue) {
    let failed: Vec<&str> = rescue.failed.iter().map(HostId::as_str).collect();
    say!(
        "without {}: {} domains start again, {} do not",
        failed.join(", "),
        rescue.restarts.len(),
        rescue.unrescued.len()
    );
    let mut rows =
        table(&[&[">order", "domain", "from", ">class"], &HEADS[..], &["limits"]].concat());
    for (index, one) in rescue.restarts.iter().enumerate() {
        let mut row = vec![
            (index + 1).to_string(),
            one.vm.to_string(),
            one.from.to_string(),
            one.priority.to_string(),
        ];
        row.extend(cells(&one.on));
        row.push(if one.emergency { "emergency" } else { "policy" }.to_owned());
        rows.add_row(row);
    }
    if !rescue.restarts.is_empty() {
        say!("{rows}");
    }
    for one in &rescue.unrescued {
        say!("NO: {} of {} (class {}): {}", one.vm, one.from, one.priority, one.refused);
    }
}
