//! A situation and who can answer questions about it, from recorded telemetry or a live snapshot.
//!
//! Reads what a collector kept: past migrations to learn from, series for the simulator to follow,
//! dirty readings from before a restart. Never touches a host, and never looks past the moment
//! that is asked about.

use std::path::Path;

use whimbrel_core::{
    Outlook, Policy, Snapshot,
    telemetry::{DirtySample, MigrationRecord, MigrationTrace},
    units::{Span, Timestamp},
};
use whimbrel_datasets::{SnapshotSource, TelemetryReader};
use whimbrel_simulator::Replay;

use crate::{
    Failure,
    advice::{Advisor, Situation},
    teaching,
};

/// Readings of a domain that make an answer worth giving: two points of its curve.
pub const READINGS_ENOUGH: usize = 2;

/// How far back live answers look: the simulator replays this time yesterday.
const KEPT: Span = Span::from_seconds(24 * 3600);

/// A situation and who can answer questions about it.
pub struct Scene {
    /// The situation.
    pub situation: Situation,
    /// Who answers.
    pub advisor: Advisor,
    /// What the advisor learnt from.
    pub history: Vec<MigrationRecord>,
}

impl Scene {
    /// `situation` under `policy`, with a `past` to learn from and a `model` file, where one is
    /// named.
    ///
    /// # Errors
    /// [`Failure`] naming a model file that cannot be used.
    pub fn new(
        situation: Situation,
        policy: Policy,
        past: &[MigrationTrace],
        model: Option<&Path>,
    ) -> Result<Self, Failure> {
        let history: Vec<MigrationRecord> = past.iter().map(|t| t.record.clone()).collect();
        let advisor = Advisor::new(policy, teaching::model(model, past)?, &history);
        Ok(Self { situation: advisor.looking_ahead(situation), advisor, history })
    }

    /// A moment of recorded telemetry; its last one without `at`. Only migrations that were over
    /// by then teach: nothing from the moment's future may.
    ///
    /// # Errors
    /// [`Failure`] naming the directory or file that cannot be read.
    pub fn recorded(
        directory: &Path,
        at: Option<Timestamp>,
        policy: Policy,
        model: Option<&Path>,
    ) -> Result<Self, Failure> {
        let source = SnapshotSource::load(directory).map_err(Failure::invalid)?;
        let last = source.time_range().map(|(_, last)| last).ok_or_else(|| {
            Failure::invalid("holds no samples (hint: record some with whimbrel collect)")
                .about(directory.display())
        })?;
        let now = at.unwrap_or(last);
        let snapshot = source.at(now).map_err(Failure::invalid)?;
        let over = |trace: &MigrationTrace| trace.record.at + trace.record.wall <= now;
        let past: Vec<MigrationTrace> = history(directory)?.into_iter().filter(over).collect();
        let replay = Some(replay(&source, &snapshot));
        let outlook = Outlook::default();
        Self::new(Situation { snapshot, now, replay, outlook }, policy, &past, model)
    }
}

/// Migrations recorded in `directory` with what was seen of them, oldest first; none where it
/// does not exist.
///
/// # Errors
/// [`Failure`] naming the file that cannot be read.
pub fn history(directory: &Path) -> Result<Vec<MigrationTrace>, Failure> {
    if !directory.is_dir() {
        return Ok(Vec::new());
    }
    TelemetryReader::open(directory).and_then(|reader| reader.traces()).map_err(Failure::invalid)
}

/// What telemetry in `directory` says of the day before `now`; `None` where it does not exist.
///
/// # Errors
/// [`Failure`] naming the file that cannot be read.
pub fn kept(directory: &Path, now: Timestamp) -> Result<Option<SnapshotSource>, Failure> {
    if !directory.is_dir() {
        return Ok(None);
    }
    let from = Timestamp::from_micros(now.as_micros().saturating_sub(KEPT.as_micros()));
    SnapshotSource::load_since(directory, from).map(Some).map_err(Failure::invalid)
}

/// A live snapshot as a situation, with what `kept` telemetry adds to it.
pub fn live(mut snapshot: Snapshot, kept: Option<&SnapshotSource>) -> Situation {
    let replay = kept.map(|source| {
        fill_in(&mut snapshot, source);
        replay(source, &snapshot)
    });
    Situation { now: snapshot.taken_at, snapshot, replay, outlook: Outlook::default() }
}

/// Gives domains without readings of their own the recent ones that a collector kept.
pub fn fill_in(snapshot: &mut Snapshot, kept: &SnapshotSource) {
    let now = snapshot.taken_at;
    for domain in snapshot.domains.iter_mut().filter(|d| d.dirty.len() < READINGS_ENOUGH) {
        let earlier = kept.readings_at(&domain.vm, now);
        if earlier.len() > domain.dirty.len() {
            domain.dirty = earlier;
        }
    }
}

fn replay(source: &SnapshotSource, snapshot: &Snapshot) -> Replay {
    let mut replay = Replay::default();
    for domain in &snapshot.domains {
        replay.cpu.insert(domain.vm.clone(), source.load_series(&domain.vm));
        let samples = source.dirty_series(&domain.vm).into_iter().map(|reading| DirtySample {
            at: reading.measured_at,
            host: domain.host.clone(),
            vm: domain.vm.clone(),
            window: reading.window,
            unique: reading.unique,
        });
        replay.dirty.insert(domain.vm.clone(), samples.collect());
    }
    replay
}
