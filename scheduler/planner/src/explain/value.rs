//! An explanation as data: what was compared with what, in figures.
//!
//! Computes nothing and has no words; [`text`](super::text) has them.

use serde::Serialize;
use whimbrel_core::{
    cluster::HostState,
    ids::{HostId, VmId},
    plan::Reason,
    units::{Bytes, Share, Span},
};

/// Why one VM moves or stays, with everything else where the plan leaves it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The VM.
    pub vm: VmId,
    /// Where it is.
    pub home: HostId,
    /// Where the plan leaves it; its home if it stays.
    pub end: HostId,
    /// Why.
    pub why: Why,
    /// How loaded the hosts are that it is about: its home, its end, and the best alternative.
    pub loads: Vec<HostLoad>,
    /// What its move costs; of a VM that stays, what its best move would.
    pub price: Option<MovePrice>,
    /// Every other host, best first, as far as they were asked for.
    pub alternatives: Vec<Alternative>,
    /// Hosts beyond `alternatives`.
    pub left_out: usize,
    /// What would change the answer, each alone, all else as planned.
    pub thresholds: Vec<Threshold>,
    /// Whether such changes were looked for: only of single VMs, where the goal weighs what pays.
    pub thresholds_sought: bool,
    /// How long the present load is expected to last: what contention is counted over.
    pub horizon: Span,
}

/// Why a VM is where the plan leaves it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Why {
    /// As the plan says, or would of every VM.
    Planned {
        /// What it says.
        reason: Reason,
    },
    /// Nothing has to move but what is elsewhere.
    NotAsked {
        /// The plan's goal in words.
        goal: String,
    },
}

/// One host's load at three placements.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostLoad {
    /// The host.
    pub host: HostId,
    /// Its CPU, in cores.
    pub cores: f64,
    /// Memory that guests may have.
    pub memory_limit: Bytes,
    /// As it is.
    pub now: LoadAt,
    /// At the end of the plan.
    pub planned: LoadAt,
    /// At the end of the plan with the VM on the best alternative, where there is one.
    pub otherwise: Option<LoadAt>,
}

/// A host's load at one placement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LoadAt {
    /// CPU demand in cores.
    pub cpu_cores: f64,
    /// Memory of its guests.
    pub memory: Bytes,
    /// Guest-seconds of slow-down over the horizon.
    pub contention_seconds: f64,
}

/// What a move costs, in guest-seconds: `busy_cores * (migration_weight * total_time +
/// downtime_weight * downtime)`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MovePrice {
    /// Where to.
    pub to: HostId,
    /// The guest's busy vCPUs, at least one.
    pub busy_cores: f64,
    /// Median time that the migration takes.
    pub total_time: Span,
    /// Median time that the guest stands still.
    pub downtime: Span,
    /// `balance.migration_weight`.
    pub migration_weight: f64,
    /// `balance.downtime_weight`.
    pub downtime_weight: f64,
    /// The part that slow-down during the migration is charged, guest-seconds.
    pub brown_out_seconds: f64,
    /// The part that the standstill is charged, guest-seconds.
    pub downtime_seconds: f64,
    /// How many times its price a move must gain under this goal.
    pub factor: f64,
}

/// One other host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alternative {
    /// The host.
    pub host: HostId,
    /// Whether the VM is there now.
    pub home: bool,
    /// What its ending there would change, or why it cannot.
    #[serde(flatten)]
    pub answer: Answer,
}

/// What ending on another host would be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Possible, at this difference.
    Possible(Difference),
    /// Refused, by all of these; the first is the hardest to change.
    Refused(Vec<Refused>),
}

/// What the objective would change by, in guest-seconds; above 0 is worse than the plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// The sum of the others.
    pub total_seconds: f64,
    /// Contention on all hosts.
    pub contention_seconds: f64,
    /// Price of the migrations, times the factor.
    pub price_seconds: f64,
    /// Rules broken or mended, each at what a broken rule is charged.
    pub rules_seconds: f64,
    /// What is charged for moving a VM that the goal need not move.
    pub displaced_seconds: f64,
}

/// Why a VM cannot end on a host.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Refused {
    /// The host is to be emptied.
    Emptied,
    /// It takes no new domains.
    NotUp {
        /// What it is.
        state: HostState,
    },
    /// A rule forbids it.
    Rule {
        /// The rule's name.
        rule: String,
        /// The VM there that it is about, for rules among VMs.
        with: Option<VmId>,
    },
    /// Guests have no memory left there.
    MemoryShort {
        /// What is missing.
        short: Bytes,
    },
    /// Guests have no vCPUs left there under `limits.cpu_overcommit`.
    VcpusShort {
        /// What is missing.
        short: f64,
    },
    /// The migration is not expected to end.
    Stalls {
        /// Probability that it would.
        converges: Share,
        /// The smallest downtime limit that would let it switch over, where known.
        downtime_limit_needed: Option<Span>,
    },
    /// What the migration would cost cannot be said.
    Unpredictable {
        /// What the predictor says.
        why: String,
    },
    /// Something else that the planner knows of.
    Unfit,
}

/// A change after which the answer would be another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// What would have to change.
    #[serde(flatten)]
    pub change: Change,
    /// Where the VM would end then.
    pub host: HostId,
    /// Whether a whole new plan under it, in which everything may move, really leaves the VM
    /// elsewhere; `None` where none was made.
    pub confirmed: Option<bool>,
}

/// What would have to change.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Change {
    /// A value of the policy.
    Value {
        /// Its key.
        key: Key,
        /// What it is, in the key's own unit; spans in seconds.
        now: f64,
        /// From where on the answer is another.
        at: f64,
        /// Whether that holds below `at` rather than above it.
        below: bool,
    },
    /// A rule that would have to go.
    WithoutRule {
        /// The rule's name.
        rule: String,
    },
}

/// Values of the policy that are asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Key {
    /// How many times its cost a move must gain.
    #[serde(rename = "balance.gain_factor")]
    GainFactor,
    /// Above this part of its CPU a host counts as overloaded.
    #[serde(rename = "balance.overload_above")]
    OverloadAbove,
    /// How long the load is expected to last, in seconds.
    #[serde(rename = "balance.horizon")]
    Horizon,
    /// Part of a host's memory that is kept free.
    #[serde(rename = "limits.memory_reserve")]
    MemoryReserve,
    /// vCPUs that one core may carry.
    #[serde(rename = "limits.cpu_overcommit")]
    CpuOvercommit,
    /// Most moves in one plan.
    #[serde(rename = "limits.moves_max")]
    MovesMax,
    /// What a guest may stand still at the end of its migration, in seconds.
    #[serde(rename = "migration.downtime_limit")]
    DowntimeLimit,
}
