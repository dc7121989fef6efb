//! `whimbrel inventory`: hosts and domains as they are.

use whimbrel_core::{
    Domain, Host, HostId, Snapshot,
    units::{Bytes, BytesPerSecond, Timestamp},
};

use super::{
    Common, Ending, Format, print_json,
    source::SourceArguments,
    table::{or_dash, table},
};
use crate::Failure;

/// Arguments of `inventory`.
#[derive(Debug, clap::Args)]
pub(super) struct InventoryArguments {
    #[command(flatten)]
    pub(super) source: SourceArguments,
    /// Also write the snapshot to a file, to plan from it later
    #[arg(long, value_name = "FILE")]
    save: Option<std::path::PathBuf>,
}

pub(super) fn run(common: &Common, own: &InventoryArguments) -> Result<Ending, Failure> {
    let snapshot = own.source.scene(common)?.situation.snapshot;
    show(common, own, &snapshot)
}

/// Saves the snapshot if that was asked for, and prints it in the form that was asked for.
pub(super) fn show(
    common: &Common,
    own: &InventoryArguments,
    snapshot: &Snapshot,
) -> Result<Ending, Failure> {
    if let Some(path) = &own.save {
        crate::files::write_snapshot(path, snapshot)?;
    }
    match common.output {
        Format::Json => print_json(snapshot)?,
        Format::Table => print(snapshot),
    }
    Ok(Ending::Done)
}

/// Prints the two tables.
pub(super) fn print(snapshot: &Snapshot) {
    say!("{}\n\n{}", hosts(snapshot), domains(snapshot));
}

/// One row a host.
pub(super) fn hosts(snapshot: &Snapshot) -> comfy_table::Table {
    let heads = [
        "host",
        "state",
        ">cpu used",
        ">cpu",
        ">guest memory",
        ">memory",
        ">domains",
        ">link",
        ">age",
    ];
    let mut hosts = table(&heads);
    for (id, host) in &snapshot.hosts {
        hosts.add_row(host_row(id, host, snapshot));
    }
    hosts
}

fn host_row(id: &HostId, host: &Host, snapshot: &Snapshot) -> [String; 9] {
    let here: Vec<&Domain> =
        snapshot.domains.iter().filter(|d| d.host == *id && d.state.lives_here()).collect();
    [
        id.to_string(),
        format!("{:?}", host.state).to_lowercase(),
        or_dash(host.cpu_used, |cpu| format!("{:.2}", cpu.as_cores_f64())),
        format!("{:.2}", host.cpu.as_cores_f64()),
        here.iter().map(|d| d.memory).sum::<Bytes>().human(),
        host.memory.human(),
        here.len().to_string(),
        or_dash(host.migration_bandwidth, BytesPerSecond::human),
        age(snapshot, host),
    ]
}

/// Time since the host last answered.
fn age(snapshot: &Snapshot, host: &Host) -> String {
    if host.observed_at == Timestamp::default() {
        return "never seen".to_owned();
    }
    snapshot.taken_at.since(host.observed_at).human()
}

/// One row a sighting.
pub(super) fn domains(snapshot: &Snapshot) -> comfy_table::Table {
    let heads = [
        "domain",
        "host",
        "state",
        ">vcpus",
        ">memory",
        ">resident",
        ">cpu used",
        "dirty in window",
    ];
    let mut domains = table(&heads);
    for domain in &snapshot.domains {
        let state = if domain.job.is_some() {
            "migrating".to_owned()
        } else {
            format!("{:?}", domain.state).to_lowercase()
        };
        domains.add_row([
            domain.vm.to_string(),
            domain.host.to_string(),
            state,
            domain.vcpus.to_string(),
            domain.memory.human(),
            or_dash(domain.resident, Bytes::human),
            or_dash(domain.cpu_used, |cpu| format!("{:.2}", cpu.as_cores_f64())),
            readings(domain),
        ]);
    }
    domains
}

/// The newest reading of each window, shortest first.
fn readings(domain: &Domain) -> String {
    let mut newest = std::collections::BTreeMap::new();
    for reading in &domain.dirty {
        newest.insert(reading.window, reading.unique);
    }
    let texts: Vec<String> =
        newest.iter().map(|(window, unique)| format!("{} in {window}", unique.human())).collect();
    if texts.is_empty() { "not measured".to_owned() } else { texts.join(", ") }
}
