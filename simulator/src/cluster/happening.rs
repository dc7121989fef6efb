//! Lines of the event log.

use serde::Serialize;
use whimbrel_core::{
    ids::{HostId, OrderId, VmId},
    ports::Power,
    units::{Bytes, Span},
};

use crate::fault::Fault;

/// A line of the event log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Happening {
    /// The world took an order.
    Begun {
        /// The order.
        order: OrderId,
    },
    /// The world would not take an order.
    Refused {
        /// The order.
        order: OrderId,
        /// Its words.
        refusal: String,
    },
    /// Preparation is over and pages flow.
    Copying {
        /// The order.
        order: OrderId,
    },
    /// QEMU looked at its bitmap and went on.
    Synchronised {
        /// The order.
        order: OrderId,
        /// To send after it.
        remaining: Bytes,
    },
    /// The guest stands still.
    SwitchingOver {
        /// The order.
        order: OrderId,
        /// For how long, if nothing comes in between.
        downtime: Span,
    },
    /// Post-copy moved the guest: it runs at its target and cannot go back.
    Moved {
        /// The order.
        order: OrderId,
        /// Memory that is still at the source.
        remaining: Bytes,
    },
    /// The guest runs at its target.
    Arrived {
        /// The order.
        order: OrderId,
    },
    /// The migration ended with the guest at its source, if that still runs.
    Failed {
        /// The order.
        order: OrderId,
        /// libvirt's words.
        message: String,
    },
    /// What the guest and its users felt of a migration that arrived.
    Felt {
        /// The order.
        order: OrderId,
        /// Gap that users saw: the downtime, and until the network knew the guest's new place.
        service_gap: Span,
        /// Time of its writing that the guest lost to throttle, contention and missing pages.
        work_lost: Span,
        /// Pages that it waited for after a switch to post-copy.
        faults: u64,
    },
    /// Post-copy broke: the guest stands still at its target, without a part of its memory.
    Broken {
        /// The order.
        order: OrderId,
        /// libvirt's words.
        message: String,
    },
    /// Somebody asked for an end.
    CancelAsked {
        /// The order.
        order: OrderId,
    },
    /// A fault struck.
    Struck {
        /// The fault.
        fault: Fault,
    },
    /// A fault passed.
    Passed {
        /// The fault.
        fault: Fault,
    },
    /// A host's keepalive ran out.
    Lost {
        /// The host.
        host: HostId,
    },
    /// A host answers again after it was off.
    Booted {
        /// The host.
        host: HostId,
    },
    /// A power controller was asked.
    PowerAsked {
        /// The host.
        host: HostId,
        /// For what.
        power: Power,
    },
    /// People started a guest.
    Started {
        /// The guest.
        vm: VmId,
        /// Where.
        host: HostId,
    },
    /// People changed a guest's size or load.
    Resized {
        /// The guest.
        vm: VmId,
    },
    /// People ended a guest, or its process on one host.
    Ended {
        /// The guest.
        vm: VmId,
    },
    /// What people asked for was not possible.
    TurnedAway {
        /// The guest.
        vm: VmId,
        /// Why.
        why: String,
    },
    /// The controller died.
    ControllerDied,
    /// The controller is back.
    ControllerReturned,
}

impl Happening {
    /// Its kind, as logs and scenario files write it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Begun { .. } => "begun",
            Self::Refused { .. } => "refused",
            Self::Copying { .. } => "copying",
            Self::Synchronised { .. } => "synchronised",
            Self::SwitchingOver { .. } => "switching-over",
            Self::Moved { .. } => "moved",
            Self::Arrived { .. } => "arrived",
            Self::Felt { .. } => "felt",
            Self::Failed { .. } => "failed",
            Self::Broken { .. } => "broken",
            Self::CancelAsked { .. } => "cancel-asked",
            Self::Struck { .. } => "struck",
            Self::Passed { .. } => "passed",
            Self::Lost { .. } => "lost",
            Self::Booted { .. } => "booted",
            Self::PowerAsked { .. } => "power-asked",
            Self::Started { .. } => "started",
            Self::Resized { .. } => "resized",
            Self::Ended { .. } => "ended",
            Self::TurnedAway { .. } => "turned-away",
            Self::ControllerDied => "controller-died",
            Self::ControllerReturned => "controller-returned",
        }
    }

    /// Every kind that there is.
    pub const KINDS: [&'static str; 22] = [
        "begun",
        "refused",
        "copying",
        "synchronised",
        "switching-over",
        "moved",
        "arrived",
        "felt",
        "failed",
        "broken",
        "cancel-asked",
        "struck",
        "passed",
        "lost",
        "booted",
        "power-asked",
        "started",
        "resized",
        "ended",
        "turned-away",
        "controller-died",
        "controller-returned",
    ];

    /// The order that it is about, where it is about one.
    pub fn order(&self) -> Option<&OrderId> {
        match self {
            Self::Begun { order }
            | Self::Refused { order, .. }
            | Self::Copying { order }
            | Self::Synchronised { order, .. }
            | Self::SwitchingOver { order, .. }
            | Self::Moved { order, .. }
            | Self::Arrived { order }
            | Self::Felt { order, .. }
            | Self::Failed { order, .. }
            | Self::Broken { order, .. }
            | Self::CancelAsked { order } => Some(order),
            _ => None,
        }
    }

    /// Whether it is about this host or guest by name.
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::Struck { fault } | Self::Passed { fault } => {
                fault.hosts().any(|host| host.as_str() == name)
                    || fault.vm().is_some_and(|vm| vm.as_str() == name)
            }
            Self::Lost { host } | Self::Booted { host } | Self::PowerAsked { host, .. } => {
                host.as_str() == name
            }
            Self::Started { vm, host } => vm.as_str() == name || host.as_str() == name,
            Self::Resized { vm } | Self::Ended { vm } | Self::TurnedAway { vm, .. } => {
                vm.as_str() == name
            }
            _ => false,
        }
    }

    /// What was said with it: libvirt's words, or a reason.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Refused { refusal, .. } => Some(refusal),
            Self::Failed { message, .. } | Self::Broken { message, .. } => Some(message),
            Self::TurnedAway { why, .. } => Some(why),
            _ => None,
        }
    }
}
