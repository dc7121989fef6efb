//! What a simulation found out.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer, ser::SerializeStruct};
use whimbrel_core::{
    Snapshot,
    cluster::CompletedStats,
    ids::{HostId, OrderId, VmId},
    migration::MoveState,
    ports::Record,
    units::{Bytes, MilliCores, Span, Timestamp},
};
use whimbrel_engine::{Execution, MoveView};

use crate::{
    checkers::Violation,
    cluster::{Happening, HostPower},
    fault::Fault,
    kernel::Log,
    run::Restart,
};

/// What a simulation found out. Equal inputs give equal outcomes, to the byte.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// Seed of everything that was drawn.
    pub seed: u64,
    /// When the simulation began.
    pub started_at: Timestamp,
    /// How the engine saw it.
    #[serde(serialize_with = "execution")]
    pub execution: Execution,
    /// From the start to the end of the last move; `None` when no move ended.
    pub makespan: Option<Span>,
    /// Hosts by name.
    pub hosts: Vec<HostOutcome>,
    /// Energy that each host took over the horizon, where its power curve is known.
    pub energy_kilowatt_hours: BTreeMap<HostId, f64>,
    /// How each host stands at the end.
    pub power: BTreeMap<HostId, HostPower>,
    /// How long guests' I/O stood still because nobody served their images.
    pub io_stalled: BTreeMap<VmId, Span>,
    /// Bytes that migrations put on the wire, failed ones included.
    pub bytes_on_the_wire: Bytes,
    /// What must never happen, and did.
    pub violations: Vec<Violation>,
    /// The cluster at the end of the horizon, every host freshly read if it answers.
    pub snapshot: Snapshot,
    /// What the engine wrote down.
    pub journal: Vec<Record>,
    /// What went wrong, as a script: what was scripted, then what was drawn.
    pub faults: Vec<Fault>,
    /// Deaths of the controller, scripted ones first.
    pub restarts: Vec<Restart>,
    /// What happened, where it was asked for.
    pub log: Log<Happening>,
    /// Events handled.
    pub events: u64,
}

/// One host over the horizon.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostOutcome {
    /// The host.
    pub host: HostId,
    /// CPU that guests and migrations wanted and did not get, in core-seconds; lower is better.
    pub contention_core_seconds: f64,
    /// CPU that sending and receiving migrations took, in core-seconds; lower is better.
    pub migration_core_seconds: f64,
    /// What guests felt of the contention while they ran here, by guest, in core-seconds; those
    /// that lacked nothing are not in it.
    pub steal_core_seconds: BTreeMap<VmId, f64>,
    /// Time with more wanted than there was; lower is better.
    pub overload: Span,
    /// Use over time, in steps of equal length (the last may be shorter); at most
    /// [`USE_POINTS_MAX`].
    pub used: Vec<UsePoint>,
}

/// Mean CPU of one host over the step that ends at `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct UsePoint {
    /// End of the step.
    pub at: Timestamp,
    /// What guests and migrations wanted.
    pub cpu_wanted: MilliCores,
    /// What they got.
    pub cpu_used: MilliCores,
}

/// Steps of a host's use over time, whatever the horizon: enough for five minutes of a day.
pub const USE_POINTS_MAX: u32 = 288;

impl Outcome {
    /// Contention of all hosts, in core-seconds; lower is better.
    pub fn contention_core_seconds(&self) -> f64 {
        self.hosts.iter().map(|host| host.contention_core_seconds).sum()
    }

    /// The longest downtime of a move that arrived.
    pub fn longest_downtime(&self) -> Option<Span> {
        let moves = self.execution.moves.iter();
        moves.filter_map(|one| one.stats.map(|stats| stats.downtime)).max()
    }

    /// Moves that arrived.
    pub fn arrived(&self) -> usize {
        self.execution.count(MoveState::Settled)
    }
}

/// The engine's view, field by field: it is a value of another package, which knows no format.
fn execution<S: Serializer>(value: &Execution, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Line {
        order: OrderId,
        vm: VmId,
        from: HostId,
        to: HostId,
        state: MoveState,
        detail: String,
        begun_at: Option<Timestamp>,
        ended_at: Option<Timestamp>,
        stats: Option<CompletedStats>,
    }
    let line = |one: &MoveView| Line {
        order: one.id.clone(),
        vm: one.vm.clone(),
        from: one.from.clone(),
        to: one.to.clone(),
        state: one.state,
        detail: one.detail.clone(),
        begun_at: one.begun_at,
        ended_at: one.ended_at,
        stats: one.stats,
    };
    let moves: Vec<Line> = value.moves.iter().map(line).collect();
    let mut fields = serializer.serialize_struct("Execution", 5)?;
    fields.serialize_field("plan", &value.plan)?;
    fields.serialize_field("moves", &moves)?;
    fields.serialize_field("cancelled", &value.cancelled)?;
    fields.serialize_field("ended", &value.ended)?;
    fields.serialize_field("records", &value.records)?;
    fields.end()
}
