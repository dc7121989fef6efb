//! What an operator should know of a plan beyond its moves, as data with figures.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Flavour;
use crate::{
    ids::{HostId, VmId},
    units::{Bytes, Span},
};

/// What an operator should know of a plan beyond its moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "code", deny_unknown_fields)]
pub enum Remark {
    /// VMs would still be on the host when the deadline is over.
    DeadlineMissed {
        /// The deadline.
        deadline: Span,
        /// The VMs, the latest last.
        vms: Vec<Late>,
    },
    /// Moves that would end after their window closes; they are not begun then.
    WindowMissed {
        /// The VMs, with when they would have ended in 19 of 20 cases.
        vms: Vec<Late>,
    },
    /// What there is room for at the end.
    RoomFor {
        /// The VMs that were asked for.
        flavours: Vec<Flavour>,
        /// How many of them had room before the plan.
        before: u32,
        /// Moves of the plan.
        moves: u32,
        /// No plan makes this room with fewer moves.
        fewest: u32,
        /// Memory of the VMs that move.
        memory: Bytes,
        /// Predicted time of the plan.
        time: Span,
    },
    /// No more of the last flavour than these have room, whatever is moved.
    NoMoreRoom {
        /// How many have room at the end.
        found: u32,
        /// No placement has room for more than this many.
        most: u32,
    },
    /// Hosts that are empty at the end and may be switched off. The plan does not do that.
    SwitchOff {
        /// The hosts.
        hosts: Vec<HostId>,
        /// How many of them the plan empties; the others are empty already.
        emptied: u32,
        /// No plan under this policy can have more hosts off than this.
        most: u32,
        /// Guest-seconds of slow-down that their being off is worth.
        worth_seconds: f64,
        /// Guest-seconds of slow-down that the moves cost.
        cost_seconds: f64,
    },
    /// Hosts that must be woken, or taken out of maintenance, for the demand.
    Wake {
        /// Hosts that take no VMs now and are empty, the best first; as many as needed or as
        /// there are.
        hosts: Vec<HostId>,
        /// How many are needed.
        needed: u32,
        /// What the hosts that are on cannot carry.
        why: String,
    },
    /// What the failure of hosts would leave without a place.
    Reserve {
        /// Hosts that may fail at one time by the policy.
        failures: u32,
        /// As things stand.
        before: Exposed,
        /// At the end of the plan.
        after: Exposed,
    },
}

/// VMs that would find no place after a failure, in the worst cases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exposed {
    /// Failures after which some VM finds no place: single hosts, or sets of them.
    pub cases: u32,
    /// VMs without a place, added up over these.
    pub vms: u32,
}

/// A VM that leaves too late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Late {
    /// The VM.
    pub vm: VmId,
    /// When its migration would have ended, from the begin of the plan, at the median.
    pub after: Span,
}

impl Remark {
    /// Whether it warns of something that is not as it was asked for.
    pub fn warns(&self) -> bool {
        match self {
            Self::DeadlineMissed { .. } | Self::WindowMissed { .. } | Self::Wake { .. } => true,
            Self::Reserve { after, .. } => after.vms > 0,
            Self::RoomFor { .. } | Self::NoMoreRoom { .. } | Self::SwitchOff { .. } => false,
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeadlineMissed { deadline, vms } => {
                write!(
                    f,
                    "misses its deadline of {}: {} would not have left by then: {} \
                     (hint: more migrations at a time or a faster path, or begin earlier)",
                    deadline.human(),
                    counted(vms.len() as u64, "VM"),
                    late(vms)
                )
            }
            Self::WindowMissed { vms } => write!(
                f,
                "{} would end after the window closes and then {} not begin: {} (hint: begin \
                 earlier, lengthen the window or let more migrations run at a time)",
                counted(vms.len() as u64, "move"),
                if vms.len() == 1 { "does" } else { "do" },
                late(vms)
            ),
            Self::RoomFor { flavours, before, moves, fewest, memory, time } => {
                let wanted: Vec<String> = flavours.iter().map(ToString::to_string).collect();
                let wanted = wanted.join(" and ");
                if *moves == 0 {
                    return write!(f, "there is room for {wanted} without any move");
                }
                write!(
                    f,
                    "{} ({}, {}) {} room for {wanted}; {before} of them had room before; no plan \
                     does it with fewer than {}",
                    counted((*moves).into(), "move"),
                    memory.human(),
                    time.human(),
                    if *moves == 1 { "makes" } else { "make" },
                    fewest
                )
            }
            Self::NoMoreRoom { found, most } if most > found => {
                write!(f, "found room for {found}, no placement has room for more than {most}")
            }
            Self::NoMoreRoom { found, .. } => {
                write!(f, "no placement has room for more than {found}")
            }
            Self::SwitchOff { hosts, emptied, most, worth_seconds, cost_seconds } => {
                let names: Vec<&str> = hosts.iter().map(HostId::as_str).collect();
                let off = hosts.len();
                write!(
                    f,
                    "{} may be switched off: {} ({emptied} emptied by this plan, {}; no plan can \
                     have more than {most} off; worth {worth_seconds:.0} guest-seconds for \
                     {cost_seconds:.0} of migration)",
                    counted(off as u64, "host"),
                    if names.is_empty() { "none".to_owned() } else { names.join(", ") },
                    counted((off as u64).saturating_sub((*emptied).into()), "already empty"),
                )
            }
            Self::Wake { hosts, needed, why } => wake(f, hosts, *needed, why),
            Self::Reserve { failures, before, after } => reserve(f, *failures, *before, *after),
        }
    }
}

fn wake(f: &mut fmt::Formatter<'_>, hosts: &[HostId], needed: u32, why: &str) -> fmt::Result {
    let needed = counted(needed.into(), "more host");
    if hosts.is_empty() {
        let hint = "hint: no empty host in maintenance is known, add one";
        return write!(f, "{why}; wake {needed} ({hint})");
    }
    let names: Vec<&str> = hosts.iter().map(HostId::as_str).collect();
    write!(f, "{why}; wake {needed} (hint: {})", names.join(", "))
}

fn late(vms: &[Late]) -> String {
    let late: Vec<String> =
        vms.iter().map(|late| format!("{} after {}", late.vm, late.after.human())).collect();
    late.join(", ")
}

fn reserve(
    f: &mut fmt::Formatter<'_>,
    failures: u32,
    before: Exposed,
    after: Exposed,
) -> fmt::Result {
    match (before.vms, after.vms) {
        (0, 0) => write!(f, "N+{failures} holds before and after"),
        (_, 0) => write!(
            f,
            "restores N+{failures}: {} would have found no place in {} before",
            counted(before.vms.into(), "VM"),
            counted(before.cases.into(), "case")
        ),
        _ => write!(
            f,
            "N+{failures} does not hold: {} would find no place in {} ({} in {} before the plan) \
             (hint: free memory on other hosts, add a host or lower limits.host_failures)",
            counted(after.vms.into(), "VM"),
            counted(after.cases.into(), "case"),
            before.vms,
            before.cases
        ),
    }
}

/// `2 moves`, `1 move`; what is no noun stays as it is.
fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 || what.contains("already") { "" } else { "s" };
    format!("{count} {what}{plural}")
}
