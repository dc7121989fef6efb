//! Why there is no plan, typed and with figures.

use std::fmt;

use thiserror::Error;
use whimbrel_core::{
    cluster::PlacementError,
    ids::{HostId, VmId},
    plan::{Exposed, FlavourError, Reason, Remark},
    policy::{Contradiction, RangeError},
    predict::PredictError,
    units::{Bytes, Share, Span},
};

/// Why nothing can be said of a cluster under a policy, whatever is asked.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Unsound {
    /// The snapshot gives some VM no single place.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// A number of the policy is out of its range.
    #[error(transparent)]
    Range(#[from] RangeError),
    /// The policy's rules cannot hold on this cluster.
    #[error("{}", joined(.0))]
    Contradictions(Vec<Contradiction>),
}

/// Why a request has no plan. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlanFailure {
    /// The cluster may look different by now.
    #[error(
        "the snapshot is {} old, the limit is {} \
         (hint: take a new one, or raise limits.snapshot_age_max)",
        age.human(), limit.human()
    )]
    Stale {
        /// Age of the snapshot.
        age: Span,
        /// The policy's limit.
        limit: Span,
    },
    /// The cluster cannot be judged under the policy, for whatever goal.
    #[error(transparent)]
    Unsound(#[from] Unsound),
    /// The goal names a host that does not exist.
    #[error("host {host} is not in the snapshot (hint: hosts are {known})")]
    UnknownHost {
        /// The absent host.
        host: HostId,
        /// Hosts that exist, separated by commas.
        known: String,
    },
    /// Nothing can be moved away from a host that does not answer.
    #[error(
        "host {host} {}, so nothing can be moved away from it \
         (hint: bring it back, or treat it as failed)", silence(*silent)
    )]
    GoalHostUnreachable {
        /// The host.
        host: HostId,
        /// Time since its last answer.
        silent: Span,
    },
    /// Every other host is out of service.
    #[error("no host can take what leaves {host}: {others} (hint: bring another host up)")]
    NoTargetUp {
        /// The host to empty.
        host: HostId,
        /// The other hosts with their states.
        others: String,
    },
    /// VMs must move that may not be touched now.
    #[error("host {host} cannot be emptied: {} (hint: {})", joined(vms), advice(vms))]
    Immovable {
        /// The host to empty.
        host: HostId,
        /// The VMs, each with what holds it.
        vms: Vec<Held>,
    },
    /// VMs must move whose migration is not expected to end.
    #[error(
        "host {host} cannot be emptied: {} (hint: {})",
        joined(vms), stall_advice(vms, *downtime_limit)
    )]
    WouldStall {
        /// The host to empty.
        host: HostId,
        /// The VMs.
        vms: Vec<Stalled>,
        /// The policy's downtime limit.
        downtime_limit: Span,
    },
    /// VMs must move that no host may take, each host's refusal with them.
    #[error(
        "host {host} cannot be emptied: {} (hint: free room on another host or relax the rule)",
        joined(vms)
    )]
    NoTarget {
        /// The host to empty.
        host: HostId,
        /// The VMs, each with what every host says.
        vms: Vec<Rejected>,
    },
    /// More VMs must move than one plan may.
    #[error(
        "emptying {host} takes {needed} moves, the limit is {limit} (hint: raise limits.moves_max)"
    )]
    TooManyMoves {
        /// The host to empty.
        host: HostId,
        /// VMs on it.
        needed: usize,
        /// The policy's limit.
        limit: usize,
    },
    /// Each VM has a host that could take it, but not all of them together.
    #[error(
        "no placement empties {}: {vms} domains there have {}, the other hosts have {} free{} \
         (hint: add a host, lower limits.memory_reserve or move something by hand)",
        some(hosts), needed.human(), free.human(),
        if *proven { "" } else { "; the search ended before it could prove this" }
    )]
    NoPlacement {
        /// The hosts to empty.
        hosts: Vec<HostId>,
        /// VMs on them.
        vms: usize,
        /// Their memory.
        needed: Bytes,
        /// Memory that the other hosts may still give, added up.
        free: Bytes,
        /// Whether the solver proved that there is none.
        proven: bool,
    },
    /// A placement exists, but no order of moves leads to it.
    #[error(
        "the placement cannot be reached: {} wait for each other and no host has room to pass \
         (hint: free room on any host for one of them)", names(.0)
    )]
    Unreachable(
        /// The VMs that wait for each other.
        Vec<VmId>,
    ),
    /// The goal `even` with nothing to make even.
    #[error(
        "every weight of the policy's [even] is 0, so no placement is better than another \
         (hint: set even.cpu, even.memory, even.vcpus or the weight of an even.load)"
    )]
    NoWeight,
    /// VMs that are to be on given hosts and cannot.
    #[error(
        "not every domain can be where it is to be: {} \
         (hint: free room there, relax the rule, or leave these out)", joined(.0)
    )]
    CannotReturn(
        /// The VMs, each with what speaks against it.
        Vec<NoReturn>,
    ),
    /// The goal takes more moves than one plan may have.
    #[error("the goal takes {needed} moves, the limit is {limit} (hint: raise limits.moves_max)")]
    MovesMax {
        /// VMs to move.
        needed: usize,
        /// The policy's limit.
        limit: usize,
    },
    /// The plan would leave fewer VMs with a place after a failure than now have one.
    #[error(
        "{goal} would break N+{failures}: after {} VMs would find no place, {} now \
         (hint: free memory on other hosts, add a host or lower limits.host_failures)",
        cases(*after), cases(*before)
    )]
    Reserve {
        /// What was asked for.
        goal: String,
        /// Hosts that may fail by the policy.
        failures: u32,
        /// As things stand.
        before: Exposed,
        /// At the end of the best plan.
        after: Exposed,
    },
    /// What room is wanted for can be no VM.
    #[error(transparent)]
    Flavour(#[from] FlavourError),
    /// A VM of the size is wanted that is larger than any host.
    #[error(
        "no host is large enough for {flavour}, even empty: the largest that is up gives \
         VMs {} and {vcpus} vCPUs (hint: ask for a smaller size or add a larger host)",
        memory.human()
    )]
    FlavourTooLarge {
        /// The size.
        flavour: String,
        /// Most memory that a host gives VMs.
        memory: Bytes,
        /// Most vCPUs that a host gives VMs.
        vcpus: u64,
    },
    /// There is no room for all that is wanted, whatever is moved, or none was found.
    #[error(
        "no room for {wanted}: {found} of them fit at best, no placement has room for more than \
         {most}; in the way: {obstacles} (hint: ask for {found}, add a host or lower \
         limits.memory_reserve)"
    )]
    NoRoomFor {
        /// What was asked for.
        wanted: String,
        /// How many of them the search found room for.
        found: u32,
        /// How many have room by the sums of all hosts.
        most: u32,
        /// What stands in the way.
        obstacles: String,
    },
    /// The host cannot be empty in time, and the operator wants nothing less.
    #[error("the drain {0}")]
    Deadline(
        /// What would be late.
        Remark,
    ),
    /// A move must be predicted to be planned.
    #[error(transparent)]
    Predict(#[from] PredictError),
}

/// A VM that must move and may not be touched.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The VM.
    pub vm: VmId,
    /// What holds it.
    pub reason: Reason,
}

/// A VM that must move and whose migration would hang.
#[derive(Debug, Clone, PartialEq)]
pub struct Stalled {
    /// The VM.
    pub vm: VmId,
    /// Probability that its migration ends by itself, at the best target.
    pub converges: Share,
    /// The smallest downtime limit that would let it switch over, where known.
    pub downtime_limit_needed: Option<Span>,
}

/// A VM that must move and that every host refuses.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// The VM.
    pub vm: VmId,
    /// Every other host with its refusal, separated by commas.
    pub by: String,
}

/// A VM that is to be on a host and cannot.
#[derive(Debug, Clone, PartialEq)]
pub struct NoReturn {
    /// The VM.
    pub vm: VmId,
    /// Where it is to be.
    pub host: HostId,
    /// Everything that speaks against it, separated by semicolons.
    pub why: String,
}

impl fmt::Display for NoReturn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}: {}", self.vm, self.host, self.why)
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.vm, self.reason)
    }
}

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "migration of {} would end with a probability of {} only",
            self.vm, self.converges
        )
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} can go nowhere ({})", self.vm, self.by)
    }
}

fn cases(exposed: Exposed) -> String {
    format!("{} failures {}", exposed.cases, exposed.vms)
}

pub(crate) fn joined(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn names(vms: &[VmId]) -> String {
    vms.iter().map(VmId::as_str).collect::<Vec<_>>().join(", ")
}

fn advice(vms: &[Held]) -> &'static str {
    if vms.iter().any(|held| held.reason == Reason::NeedsHuman) {
        "mend or destroy the broken domain by hand first"
    } else if vms.iter().any(|held| matches!(held.reason, Reason::OutsideWindow { .. })) {
        "plan again when the window opens, or lengthen it in the rule"
    } else {
        "wait until these migrations have ended, or cancel them"
    }
}

fn stall_advice(vms: &[Stalled], downtime_limit: Span) -> String {
    match vms.iter().filter_map(|stalled| stalled.downtime_limit_needed).max() {
        Some(needed) if needed > downtime_limit => format!(
            "migration.downtime_limit is {}, {} would let them switch over",
            downtime_limit.human(),
            needed.human()
        ),
        _ => {
            "raise migration.downtime_limit or the path's bandwidth, or move them when they write \
              less"
                .to_owned()
        }
    }
}

/// How long a host has been silent; one that was never seen has been since the epoch.
fn silence(silent: Span) -> String {
    const YEAR: Span = Span::from_seconds(366 * 86_400);
    if silent > YEAR {
        "has never answered".to_owned()
    } else {
        format!("does not answer since {}", silent.human())
    }
}

/// The first of `hosts` by name, and how many more there are.
fn some(hosts: &[HostId]) -> String {
    const NAMED: usize = 3;
    let named: Vec<&str> = hosts.iter().take(NAMED).map(HostId::as_str).collect();
    match hosts.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more hosts", named.join(", ")),
    }
}
