//! Migrations with the looks at them while they ran.
//!
//! Records and looks are kept apart, since they are written at different times.

use std::collections::BTreeMap;

use whimbrel_core::{
    cluster::CompletedStats,
    ids::VmId,
    telemetry::{JobSample, MigrationRecord, MigrationTrace},
    units::Bytes,
};

use crate::{error::DatasetError, reader::TelemetryReader};

impl TelemetryReader {
    /// Migrations with the looks at them, by their beginning, oldest first.
    ///
    /// # Errors
    /// As [`TelemetryReader::hosts`].
    pub fn traces(&self) -> Result<Vec<MigrationTrace>, DatasetError> {
        Ok(join(self.migrations()?, self.jobs()?))
    }
}

/// Gives each migration the looks at its guest from its beginning to its end, both included.
fn join(migrations: Vec<MigrationRecord>, jobs: Vec<JobSample>) -> Vec<MigrationTrace> {
    let mut by_guest: BTreeMap<VmId, Vec<JobSample>> = BTreeMap::new();
    for sample in jobs {
        by_guest.entry(sample.vm.clone()).or_default().push(sample);
    }
    let trace = |record: MigrationRecord| {
        let end = record.at + record.wall;
        // Before its stream runs a job counts nothing.
        let during = |sample: &&JobSample| {
            (record.at..=end).contains(&sample.at) && sample.progress.total > Bytes::ZERO
        };
        let of_guest = by_guest.get(&record.vm).map(Vec::as_slice).unwrap_or_default();
        let samples: Vec<_> = of_guest.iter().filter(during).cloned().collect();
        let record = MigrationRecord { stats: with_throttle(record.stats, &samples), ..record };
        MigrationTrace { record, samples }
    };
    migrations.into_iter().map(trace).collect()
}

/// The figures with the throttle of the last look: QEMU tells it only while a migration runs
/// (`query-migrate`, `cpu-throttle-percentage`).
fn with_throttle(stats: Option<CompletedStats>, samples: &[JobSample]) -> Option<CompletedStats> {
    let last = samples.last().map_or(0, |sample| sample.progress.throttle_percent);
    stats.map(|s| CompletedStats { throttle_percent: s.throttle_percent.max(last), ..s })
}
