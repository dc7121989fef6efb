//! What must never happen, by name.

use std::fmt;

use serde::Serialize;
use whimbrel_core::{
    ids::{HostId, OrderId, VmId},
    units::{Bytes, Timestamp},
};

/// Something that must never happen, and did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// When it was first seen.
    pub at: Timestamp,
    /// What.
    pub breach: Breach,
}

/// What must never happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "breach", rename_all = "kebab-case")]
pub enum Breach {
    /// A host holds more than its guests may use.
    MemoryExceeded {
        /// The host.
        host: HostId,
        /// What its guests may use.
        limit: Bytes,
    },
    /// A guest runs on more than one host.
    TwoPlaces {
        /// The guest.
        vm: VmId,
    },
    /// A guest is alive nowhere and no power cut explains it.
    Lost {
        /// The guest.
        vm: VmId,
    },
    /// A process that waits for a migration, or has left in one, although none is under way.
    LeftBehind {
        /// The guest.
        vm: VmId,
        /// Where the process is.
        host: HostId,
    },
    /// Two migrations of one guest were under way at one time.
    MovedTwiceAtOnce {
        /// The guest.
        vm: VmId,
    },
    /// The world was asked for an order more than once and took it.
    BegunTwice {
        /// The order.
        order: OrderId,
    },
    /// The world took an order whose intent is not in the journal.
    NoIntent {
        /// The order.
        order: OrderId,
    },
    /// A host carries more vCPUs than the policy allows for its cores.
    VcpusExceeded {
        /// The host.
        host: HostId,
        /// Most vCPUs.
        limit: u64,
    },
    /// Two processes of one guest ran and both reached its image: split brain.
    TwoWriters {
        /// The guest.
        vm: VmId,
    },
    /// A migration was begun to a host that counted as unreachable.
    BegunToLostHost {
        /// The order.
        order: OrderId,
        /// Its target.
        host: HostId,
    },
    /// The engine had a host switched off while guests ran on it.
    PoweredOffGuests {
        /// The host.
        host: HostId,
        /// Running guests at that moment.
        guests: usize,
    },
    /// The journal says that a guest is on a host where it does not run.
    JournalDisagrees {
        /// The order whose outcome the journal states.
        order: OrderId,
        /// Where its guest should be.
        host: HostId,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryExceeded { host, limit } => {
                write!(f, "{host} held more than its {} for guests", limit.human())
            }
            Self::TwoPlaces { vm } => write!(f, "{vm} ran in two places"),
            Self::Lost { vm } => write!(f, "{vm} was lost"),
            Self::LeftBehind { vm, host } => {
                write!(f, "a process of {vm} was left behind on {host}")
            }
            Self::MovedTwiceAtOnce { vm } => write!(f, "{vm} was migrated twice at one time"),
            Self::BegunTwice { order } => write!(f, "order {order} was begun twice"),
            Self::NoIntent { order } => write!(f, "order {order} was begun before it was written"),
            Self::VcpusExceeded { host, limit } => {
                write!(f, "{host} carried more than its {limit} vCPUs")
            }
            Self::TwoWriters { vm } => write!(f, "two processes of {vm} wrote one image"),
            Self::BegunToLostHost { order, host } => {
                write!(f, "order {order} was begun although {host} was unreachable")
            }
            Self::PoweredOffGuests { host, guests } => {
                write!(f, "{host} was switched off with {guests} guests on it")
            }
            Self::JournalDisagrees { order, host } => {
                write!(f, "the journal puts the guest of order {order} on {host}, it is not there")
            }
        }
    }
}

impl Breach {
    /// Its kind, as outcomes and scenario files write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::MemoryExceeded { .. } => "memory-exceeded",
            Self::TwoPlaces { .. } => "two-places",
            Self::Lost { .. } => "lost",
            Self::LeftBehind { .. } => "left-behind",
            Self::MovedTwiceAtOnce { .. } => "moved-twice-at-once",
            Self::BegunTwice { .. } => "begun-twice",
            Self::NoIntent { .. } => "no-intent",
            Self::VcpusExceeded { .. } => "vcpus-exceeded",
            Self::TwoWriters { .. } => "two-writers",
            Self::BegunToLostHost { .. } => "begun-to-lost-host",
            Self::PoweredOffGuests { .. } => "powered-off-guests",
            Self::JournalDisagrees { .. } => "journal-disagrees",
        }
    }

    /// Every kind that there is.
    pub const KINDS: [&'static str; 12] = [
        "memory-exceeded",
        "two-places",
        "lost",
        "left-behind",
        "moved-twice-at-once",
        "begun-twice",
        "no-intent",
        "vcpus-exceeded",
        "two-writers",
        "begun-to-lost-host",
        "powered-off-guests",
        "journal-disagrees",
    ];
}
