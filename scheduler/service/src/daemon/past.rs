//! What was kept of the past, read and written for the daemon.
//!
//! Telemetry makes answers better and is never a condition of them: what cannot be read or written
//! is said in the log, and the daemon goes on without.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use whimbrel_core::{
    Snapshot,
    telemetry::{MigrationRecord, MigrationTrace},
};
use whimbrel_datasets::{SnapshotSource, TelemetryStore};
use whimbrel_engine::Execution;

use super::board::locked;
use crate::{advice::Situation, scene};

/// How long telemetry that was read serves answers; as long as the collector buffers its own.
const READ_AGAIN_AFTER: Duration = Duration::from_mins(5);

/// The telemetry directory.
pub(super) struct Past {
    directory: PathBuf,
    read: Mutex<Option<(Instant, Option<Arc<SnapshotSource>>)>>,
}

impl Past {
    /// What is kept in `directory`, which need not exist.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self { directory, read: Mutex::new(None) }
    }

    /// Recorded migrations, with those of the last of `executions`: a program that was killed
    /// right after a plan ended did not come to store them.
    pub(super) fn history(&self, executions: &[Execution]) -> Vec<MigrationTrace> {
        let mut history = scene::history(&self.directory).unwrap_or_else(|failure| {
            tracing::warn!("past migrations teach nothing: {failure}");
            Vec::new()
        });
        let last = executions.last().filter(|last| last.ended);
        let known = |one: &MigrationRecord| {
            history.iter().any(|t| t.record.id == one.id && t.record.at == one.at)
        };
        let lost: Vec<MigrationRecord> = last
            .into_iter()
            .flat_map(|last| &last.records)
            .filter(|one| !known(one))
            .cloned()
            .collect();
        self.append(&lost);
        history.extend(lost.into_iter().map(MigrationTrace::from));
        history
    }

    /// Keeps records of migrations that have ended.
    pub(super) fn append(&self, records: &[MigrationRecord]) {
        if records.is_empty() {
            return;
        }
        let stored = TelemetryStore::create(&self.directory)
            .and_then(|mut store| store.append_migrations(records));
        if let Err(error) = stored {
            tracing::warn!("{} records of migrations are not kept: {error}", records.len());
        }
    }

    /// `snapshot` with what telemetry adds to it.
    pub(super) fn situation(&self, snapshot: &Snapshot) -> Situation {
        scene::live(snapshot.clone(), self.source(snapshot).as_deref())
    }

    /// Telemetry of the last day; whoever comes while it is being read waits for that.
    fn source(&self, snapshot: &Snapshot) -> Option<Arc<SnapshotSource>> {
        let mut read = locked(&self.read);
        if let Some((at, source)) = &*read
            && at.elapsed() < READ_AGAIN_AFTER
        {
            return source.clone();
        }
        let source = scene::kept(&self.directory, snapshot.taken_at).unwrap_or_else(|failure| {
            tracing::warn!("simulations follow no recording: {failure}");
            None
        });
        let source = source.map(Arc::new);
        *read = Some((Instant::now(), source.clone()));
        source
    }
}
