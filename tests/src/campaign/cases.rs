//! A recorded campaign as cases that the simulator replays: what each guest's load did, where it was
//! in its rhythm, who shared a path with whom, and for how long one waited.
//!
//! Never here: a judgement, or a constant that was fitted.

use std::path::Path;

use whimbrel_core::{
    telemetry::MigrationRecord,
    units::{Bytes, GUEST_PAGE, Span, Timestamp},
};
use whimbrel_datasets::{Campaign, CampaignSet};
use whimbrel_simulator::fidelity::{Case, Ending, Load};

use super::{
    error::CampaignError, ledger::Ledger, recorder::begin::patience, settings::REPLICATE_PLACES,
};

/// Migrations of two guests that are to share a path begin within this.
const TOGETHER: Span = Span::from_seconds(3);

/// A recorded migration with what its guest is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// As the simulator takes it.
    pub case: Case,
    /// Whether its guest teaches or judges.
    pub set: CampaignSet,
    /// The kind of its guest's load.
    pub family: String,
}

/// Every migration of the campaign in `directory`, by its beginning.
///
/// # Errors
/// [`CampaignError`] naming what cannot be read.
pub fn cases(directory: &Path) -> Result<Vec<Recorded>, CampaignError> {
    let campaign = Campaign::read(directory)?;
    let ledger = Ledger::read(directory)?;
    let records: Vec<&MigrationRecord> = campaign.traces.iter().map(|t| &t.record).collect();
    let case = |(at, record): (usize, &&MigrationRecord)| {
        let behaviour = campaign.behaviours.get(&record.vm)?;
        let load: Load = behaviour.load.parse().ok()?;
        let phase = phase(record, &records, &ledger, &load);
        let case = Case {
            name: record.id.to_string(),
            memory: record.memory,
            phase,
            settings: record.settings.clone(),
            path: record.path_bandwidth.unwrap_or_default(),
            together: partner(record, &records).map(|other| other.min(at) as u32),
            qemu: record.qemu.unwrap_or_default(),
            patience: patience(
                &record.settings,
                first_pass(record.memory, &load).as_f64(),
                record.path_bandwidth.unwrap_or_default(),
                record.sharing,
            ),
            recorded: ending(record),
            load,
        };
        Some(Recorded { case, set: behaviour.set, family: behaviour.family.clone() })
    };
    Ok(records.iter().enumerate().filter_map(case).collect())
}

/// How far the load is into its rhythm at the begin: it was noted for the rows that are alike, and
/// is reckoned from the nearest of them.
fn phase(
    record: &MigrationRecord,
    records: &[&MigrationRecord],
    ledger: &Ledger,
    load: &Load,
) -> Span {
    let Some(known) = ledger.repeat(&record.vm).and_then(|repeat| repeat.phase_millis) else {
        return Span::ZERO;
    };
    let alike = |other: &&&MigrationRecord| {
        let place = other.id.as_str().rsplit('-').next().and_then(|place| place.parse().ok());
        other.vm == record.vm && place.is_some_and(|place| REPLICATE_PLACES.contains(&place))
    };
    let nearest = records.iter().filter(alike).min_by_key(|other| apart(other.at, record.at));
    nearest.map_or(Span::ZERO, |other| load.phase(Span::from_millis(known), other.at, record.at))
}

/// The place of the migration that shares this one's path from its begin.
fn partner(record: &MigrationRecord, records: &[&MigrationRecord]) -> Option<usize> {
    let shares = |other: &&MigrationRecord| {
        other.id != record.id && other.from == record.from && apart(other.at, record.at) < TOGETHER
    };
    (record.sharing > 1).then(|| records.iter().position(shares)).flatten()
}

fn apart(one: Timestamp, other: Timestamp) -> Span {
    one.since(other).max(other.since(one))
}

/// What the recorder took for the guest's first pass.
fn first_pass(memory: Bytes, load: &Load) -> Bytes {
    let mib = memory.get() >> 20;
    let filled = mib * u64::from(100u32.saturating_sub(load.zero_percent)) / 100;
    Bytes::mib(filled.max((load.working_set as u64 * GUEST_PAGE.get()) >> 20))
}

fn ending(record: &MigrationRecord) -> Ending {
    let stats = record.stats.unwrap_or_default();
    Ending {
        arrived: record.arrived,
        total_time: stats.total_time,
        transferred: stats.transferred,
        downtime: stats.downtime,
        iterations: stats.iterations,
        throttle_percent: stats.throttle_percent,
        post_copy_requests: stats.post_copy_requests,
    }
}
