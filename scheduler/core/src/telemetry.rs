//! Rows of telemetry: what the collector writes and models learn from.
//!
//! The Parquet layout that stores them is documented, column by column, in `datasets/README.md`.
//! Counters are cumulative as the source gives them; a missing value stays missing.

use serde::{Deserialize, Serialize};

use crate::{
    cluster::{CompletedStats, DirtyReading, DomainState, HostState, JobProgress},
    ids::{HostId, OrderId, VmId},
    predict::Prediction,
    settings::{MigrationSettings, QemuVersion},
    units::{Bytes, BytesPerSecond, MilliCores, Span, Timestamp},
};

/// Samples taken together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch {
    /// One row a host and collection.
    pub hosts: Vec<HostSample>,
    /// One row a sighted domain and collection.
    pub domains: Vec<DomainSample>,
    /// One row a finished dirty-rate window.
    pub dirty: Vec<DirtySample>,
    /// One row a look at a running migration.
    pub jobs: Vec<JobSample>,
}

impl Batch {
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
            && self.domains.is_empty()
            && self.dirty.is_empty()
            && self.jobs.is_empty()
    }
}

/// A host at one moment. Written for hosts that do not answer too: the gap is the fact.
#[derive(Debug, Clone, PartialEq)]
pub struct HostSample {
    /// When.
    pub at: Timestamp,
    /// Which.
    pub host: HostId,
    /// Whether it answered.
    pub state: HostState,
    /// CPU time that was not idle since its boot, over all CPUs.
    pub cpu_busy: Option<Span>,
    /// CPU in use since the sample before.
    pub cpu_used: Option<MilliCores>,
    /// Memory of the machine.
    pub memory_total: Option<Bytes>,
    /// Memory not in use, caches counted as free.
    pub memory_free: Option<Bytes>,
    /// How long the host took to answer.
    pub answered_in: Option<Span>,
}

/// A domain on one host at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainSample {
    /// When.
    pub at: Timestamp,
    /// Where it was sighted.
    pub host: HostId,
    /// Which.
    pub vm: VmId,
    /// Its UUID.
    pub uuid: String,
    /// What the host says of it.
    pub state: DomainState,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Most memory that the balloon may give it.
    pub memory_max: Bytes,
    /// Memory that the balloon gives it now.
    pub memory: Bytes,
    /// Memory of its process on the host.
    pub resident: Option<Bytes>,
    /// CPU time of its process since it started, emulation included.
    pub cpu_time: Option<Span>,
    /// CPU in use since the sample before; absent after a restart of its counter.
    pub cpu_used: Option<MilliCores>,
    /// Read from its disks since it started.
    pub block_read: Option<Bytes>,
    /// Written to its disks since it started.
    pub block_written: Option<Bytes>,
    /// Received by its networks since it started.
    pub net_received: Option<Bytes>,
    /// Sent by its networks since it started.
    pub net_sent: Option<Bytes>,
}

/// One dirty-rate measurement: a point of the unique-dirty curve U(t).
#[derive(Debug, Clone, PartialEq)]
pub struct DirtySample {
    /// End of the window.
    pub at: Timestamp,
    /// Where the domain was.
    pub host: HostId,
    /// Which domain.
    pub vm: VmId,
    /// Length of the window.
    pub window: Span,
    /// Distinct memory dirtied in it.
    pub unique: Bytes,
}

/// A look at a running migration.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSample {
    /// When.
    pub at: Timestamp,
    /// Source.
    pub host: HostId,
    /// Which domain.
    pub vm: VmId,
    /// What QEMU reports.
    pub progress: JobProgress,
}

/// One migration from beginning to end: what was known before, what was asked, what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrationRecord {
    /// Its order.
    pub id: OrderId,
    /// Begun at.
    pub at: Timestamp,
    /// Which domain.
    pub vm: VmId,
    /// From.
    pub from: HostId,
    /// To.
    pub to: HostId,
    /// How.
    pub settings: MigrationSettings,
    /// Whether the VM runs at the target.
    pub arrived: bool,
    /// Why not, where it does not.
    pub failure: Option<String>,
    /// The guest's memory before the start.
    pub memory: Bytes,
    /// Its process's memory before the start.
    pub resident: Option<Bytes>,
    /// CPU that it used before the start.
    #[serde(default)]
    pub cpu_used: Option<MilliCores>,
    /// Readings that were known before the start.
    pub dirty_before: Vec<DirtyReading>,
    /// What the path was known to carry before the start; `None` where nobody knew.
    #[serde(default)]
    pub path_bandwidth: Option<BytesPerSecond>,
    /// Migrations on the same path at its start, this one included.
    pub sharing: u32,
    /// The older of the two hosts' QEMU, where they say.
    #[serde(default)]
    pub qemu: Option<QemuVersion>,
    /// What was predicted before the start.
    pub predicted: Option<Prediction>,
    /// Wall time from `begin` to the observation that ended it.
    pub wall: Span,
    /// QEMU's own figures, where it kept them.
    pub stats: Option<CompletedStats>,
}

impl MigrationRecord {
    /// Of a migration that begins at `at`: of the guest only its `memory` is known, and nothing
    /// has come of it.
    pub fn beginning(
        id: OrderId,
        at: Timestamp,
        vm: VmId,
        from: HostId,
        to: HostId,
        settings: MigrationSettings,
        memory: Bytes,
    ) -> Self {
        Self {
            id,
            at,
            vm,
            from,
            to,
            settings,
            arrived: false,
            failure: None,
            memory,
            resident: None,
            cpu_used: None,
            dirty_before: Vec::new(),
            path_bandwidth: None,
            sharing: 1,
            qemu: None,
            predicted: None,
            wall: Span::ZERO,
            stats: None,
        }
    }
}

/// A migration with what was seen of it while it ran.
#[derive(Debug, Clone, PartialEq)]
pub struct MigrationTrace {
    /// Beginning, settings and end.
    pub record: MigrationRecord,
    /// Looks at it, in order of time.
    pub samples: Vec<JobSample>,
}

impl From<MigrationRecord> for MigrationTrace {
    /// One that nobody looked at while it ran.
    fn from(record: MigrationRecord) -> Self {
        Self { record, samples: Vec::new() }
    }
}
