//! Drains that were measured, simulated again from what was known before each began.

use std::{fs, path::Path};

use whimbrel::{advice::Situation, files, scene::Scene};
use whimbrel_core::{
    Outlook,
    ids::VmId,
    telemetry::{MigrationRecord, MigrationTrace},
    units::{Bytes, Span, Timestamp},
};
use whimbrel_datasets::TelemetryReader;

use super::{PLAN, POLICY, SNAPSHOT, TELEMETRY};
use crate::campaign::error::CampaignError;

/// A figure as simulated, in the median of several seeds, and as measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair<T> {
    /// In the simulator.
    pub simulated: T,
    /// On real hosts.
    pub measured: T,
}

/// A drain, simulated and measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Compared {
    /// Its name.
    pub name: String,
    /// Migrations at a time.
    pub at_once: u32,
    /// Whether the planner chose that.
    pub chosen: bool,
    /// Migrations that were seen before it.
    pub taught_by: usize,
    /// From the first begin to the last end.
    pub makespan: Pair<Span>,
    /// Of each guest that arrived.
    pub moves: Vec<Moved>,
    /// Migrations that did not arrive.
    pub failed: usize,
}

/// A guest's move, simulated and measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The guest.
    pub vm: VmId,
    /// From begin to end as QEMU counts it.
    pub total_time: Pair<Span>,
    /// Bytes on the wire.
    pub transferred: Pair<Bytes>,
    /// vCPUs stopped.
    pub downtime: Pair<Span>,
}

impl Pair<Span> {
    /// By which part of what was measured the simulated figure is off, 0 up.
    pub fn error(&self) -> f64 {
        off(self.simulated.as_seconds_f64(), self.measured.as_seconds_f64())
    }
}

impl Pair<Bytes> {
    /// By which part of what was measured the simulated figure is off, 0 up.
    pub fn error(&self) -> f64 {
        off(self.simulated.as_f64(), self.measured.as_f64())
    }
}

fn off(simulated: f64, measured: f64) -> f64 {
    if measured > 0.0 { (simulated - measured).abs() / measured } else { 0.0 }
}

/// Every drain in `directory`, in the order of their names. What came before a drain teaches its
/// simulation, what came after does not.
///
/// # Errors
/// [`CampaignError`] naming what cannot be read.
pub fn drains(directory: &Path) -> Result<Vec<Compared>, CampaignError> {
    let past = TelemetryReader::open(&directory.join(TELEMETRY))?.traces()?;
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(|e| CampaignError::facts(directory, &e))? {
        let entry = entry.map_err(|e| CampaignError::facts(directory, &e))?;
        if entry.path().join(PLAN).is_file() {
            names.extend(entry.file_name().into_string().ok());
        }
    }
    names.sort_unstable();
    names.iter().map(|name| drain(&directory.join(name), name, &past)).collect()
}

fn drain(place: &Path, name: &str, past: &[MigrationTrace]) -> Result<Compared, CampaignError> {
    let policy = files::read_policy(Some(&place.join(POLICY)))?;
    let plan = files::read_plan(&place.join(PLAN))?;
    let snapshot = files::read_snapshot(&place.join(SNAPSHOT))?;
    let at_once = plan.at_once.per_host.min(plan.at_once.total);
    let now = snapshot.taken_at;
    let before: Vec<MigrationTrace> =
        past.iter().filter(|trace| end(&trace.record) <= now).cloned().collect();
    let situation = Situation { snapshot, now, replay: None, outlook: Outlook::default() };
    let scene = Scene::new(situation, policy, &before, None)?;
    let proof = scene.advisor.prove(&plan, &scene.situation)?;
    let latest = now + plan.ends_if(|one| one.timeout);
    let during = |record: &&MigrationRecord| record.at >= now && record.at <= latest;
    let real: Vec<&MigrationRecord> = plan
        .moves
        .iter()
        .filter_map(|one| {
            let records = past.iter().map(|trace| &trace.record).filter(during);
            let way = (&one.vm, &one.from, &one.to);
            let own = records.filter(|record| (&record.vm, &record.from, &record.to) == way);
            own.min_by_key(|record| record.at)
        })
        .collect();
    let first = real.iter().map(|record| record.at).min().unwrap_or(now);
    let last = real.iter().map(|record| end(record)).max().unwrap_or(now);
    let moves = real.iter().filter_map(|record| {
        let (stats, bands) = (record.stats?, proof.bands.moves.get(&record.vm)?);
        Some(Moved {
            vm: record.vm.clone(),
            total_time: Pair { simulated: bands.total_time?.median, measured: stats.total_time },
            transferred: Pair { simulated: bands.transferred?.median, measured: stats.transferred },
            downtime: Pair { simulated: bands.downtime?.median, measured: stats.downtime },
        })
    });
    Ok(Compared {
        name: name.to_owned(),
        at_once,
        chosen: name.ends_with("-chosen"),
        taught_by: before.len(),
        makespan: Pair {
            simulated: proof.bands.makespan.map(|band| band.median).unwrap_or_default(),
            measured: last.since(first),
        },
        moves: moves.collect(),
        failed: real.iter().filter(|record| !record.arrived).count(),
    })
}

fn end(record: &MigrationRecord) -> Timestamp {
    record.at + record.wall
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_a_part_of_what_was_measured() {
        let seconds = Span::from_seconds;
        let pair = Pair { simulated: seconds(8), measured: seconds(10) };
        assert!((pair.error() - 0.2).abs() < 1e-12);
        let pair = Pair { simulated: Bytes::mib(3), measured: Bytes::mib(2) };
        assert!((pair.error() - 0.5).abs() < 1e-12);
        assert!(off(1.0, 0.0).abs() < 1e-12);
    }
}
