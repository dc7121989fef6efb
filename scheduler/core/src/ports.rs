//! The seams to the world: the cluster, the journal and the telemetry store.
//!
//! Real adapters and the simulator implement the same traits, and the engine cannot tell them
//! apart. [`Cluster::now`] is the only clock that the engine reads.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    cluster::{CompletedStats, Domain, Snapshot},
    ids::{HostId, OrderId, VmId},
    migration::MoveState,
    plan::Plan,
    settings::{MigrationSettings, QemuVersion},
    telemetry::Batch,
    units::{BytesPerSecond, Timestamp},
};

/// Everything that the engine may learn of a cluster or ask of it.
pub trait Cluster {
    /// The present.
    fn now(&self) -> Timestamp;

    /// What is known now. Never blocks on a host: an old reading is in it with its age.
    fn observe(&mut self) -> Snapshot;

    /// Asks for a migration. `Ok` means accepted, not finished: completion is seen in a later
    /// snapshot. Idempotent on the order's id.
    ///
    /// # Errors
    /// [`Refusal`] when nothing was begun.
    fn begin(&mut self, order: &Order) -> Result<(), Refusal>;

    /// Asks for an order to be given up. Repeatable; does nothing once it ended.
    ///
    /// # Errors
    /// [`Refusal`] when it is past its point of no return or the host cannot be asked.
    fn cancel(&mut self, id: &OrderId) -> Result<(), Refusal>;

    /// Asks for a host's power to be switched.
    ///
    /// # Errors
    /// [`Refusal`] when no power controller took the request.
    fn set_power(&mut self, host: &HostId, power: Power) -> Result<(), Refusal>;
}

/// One migration to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Its id; the same order is never begun twice.
    pub id: OrderId,
    /// The VM.
    pub vm: VmId,
    /// Its UUID, compared before acting.
    pub uuid: String,
    /// Where it is.
    pub from: HostId,
    /// Where it goes.
    pub to: HostId,
    /// How.
    pub settings: MigrationSettings,
    /// When it is given up, and cancelled while that is possible.
    pub deadline: Timestamp,
}

/// Power of a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Running.
    On,
    /// Off at once, without asking the operating system.
    Off,
}

/// Why the world would not take a request. Nothing was begun.
#[derive(Debug, Clone, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "code")]
pub enum Refusal {
    /// The host does not answer.
    #[error("host {host} does not answer")]
    HostUnreachable {
        /// The host.
        host: HostId,
    },
    /// No such domain there, or another one under its name.
    #[error("domain {vm} is not on {host} as planned: {detail}")]
    NotThere {
        /// The domain.
        vm: VmId,
        /// The host.
        host: HostId,
        /// What was found instead.
        detail: String,
    },
    /// Too late to cancel.
    #[error("order {id} is past its point of no return")]
    PastNoReturn {
        /// The order.
        id: OrderId,
    },
    /// This world cannot do that at all.
    #[error("{what} is not possible here")]
    Unsupported {
        /// What was asked.
        what: String,
    },
    /// The hypervisor said no.
    #[error("{host} refused: {message}")]
    Hypervisor {
        /// The host.
        host: HostId,
        /// Its words.
        message: String,
    },
}

/// A durable list of intents and outcomes. For recovery; people read the audit log.
pub trait Journal {
    /// Writes `record` and returns once it would survive a power cut.
    ///
    /// # Errors
    /// [`JournalError`]; then the act that it precedes must not happen.
    fn append(&mut self, record: &Record) -> Result<(), JournalError>;

    /// All records, oldest first.
    ///
    /// # Errors
    /// [`JournalError`] when they cannot be read whole.
    fn records(&self) -> Result<Vec<Record>, JournalError>;
}

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// When it was written.
    pub at: Timestamp,
    /// What was written.
    pub entry: Entry,
}

/// What a journal record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub enum Entry {
    /// Execution of a plan begins; the whole plan, so that a restart needs no file.
    PlanAccepted {
        /// The plan.
        plan: Box<Plan>,
    },
    /// `order` is about to be asked of the world.
    Intended {
        /// The order.
        order: Order,
        /// The domain as last seen before, readings included: what its record will say was known.
        before: Box<Domain>,
        /// Migrations under way on the same path, this one included.
        sharing: u32,
        /// What the path was known to carry.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path_bandwidth: Option<BytesPerSecond>,
        /// The older of the two hosts' QEMU, where both say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        qemu: Option<QemuVersion>,
    },
    /// The move changed its state.
    Became {
        /// The order.
        id: OrderId,
        /// Its new state.
        state: MoveState,
        /// Why, for people; empty where the state says all.
        detail: String,
        /// Figures, once they are known.
        stats: Option<CompletedStats>,
    },
    /// Nobody wants the rest of the plan any more.
    PlanCancelled,
    /// Every move has ended.
    PlanEnded,
}

/// Why the journal did not work.
#[derive(Debug, Error)]
#[error("journal {path}: {message} (hint: {hint})")]
pub struct JournalError {
    /// The journal's file.
    pub path: String,
    /// What failed.
    pub message: String,
    /// What to try.
    pub hint: &'static str,
}

/// Where telemetry goes.
pub trait TelemetrySink {
    /// Takes a batch of samples.
    ///
    /// # Errors
    /// [`SinkError`]; the collector reports it and goes on, the batch is lost and counted.
    fn record(&mut self, batch: &Batch) -> Result<(), SinkError>;
}

/// Why telemetry could not be stored.
#[derive(Debug, Error)]
#[error("telemetry {path}: {message} (hint: check free space and permissions)")]
pub struct SinkError {
    /// The file or directory.
    pub path: String,
    /// What failed.
    pub message: String,
}
