//! What people do to the cluster while a plan runs: they start guests, resize and end them, and
//! switch hosts. Nobody tells the controller; it finds out by reading.
//!
//! Never here: faults, or anything that the engine does.

use serde::Deserialize;
use whimbrel_core::{
    ids::{HostId, VmId},
    ports::Power,
    units::{Bytes, MilliCores, Span},
};

mod guest;

pub(crate) use guest::uuid;
pub use guest::{Guest, GuestNeeds, GuestReading};

/// Something that people do, and when, counted from the simulation's start.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Change {
    /// A new guest is started on the host that it names, if that has room.
    Arrives {
        /// When.
        at: Span,
        /// Its name.
        vm: VmId,
        /// What it is, and where.
        domain: Guest,
    },
    /// A guest's memory, vCPUs or load change. Its memory does not while it is being migrated, as
    /// libvirt has it, nor beyond what its host has.
    Resized {
        /// When.
        at: Span,
        /// Which guest.
        vm: VmId,
        /// To this memory.
        memory: Option<Bytes>,
        /// To this many vCPUs.
        vcpus: Option<u32>,
        /// To this load.
        cpu: Option<MilliCores>,
    },
    /// A guest is shut down from within; a migration of it fails. One that is switching over is
    /// shut down after that.
    Leaves {
        /// When.
        at: Span,
        /// Which guest.
        vm: VmId,
    },
    /// A guest is started on a host by hand, whether or not it runs elsewhere.
    Started {
        /// When.
        at: Span,
        /// Which guest.
        vm: VmId,
        /// Where.
        host: HostId,
    },
    /// A guest's process on one host is ended by hand.
    Stopped {
        /// When.
        at: Span,
        /// Which guest.
        vm: VmId,
        /// Where.
        host: HostId,
    },
    /// A host's power controller is asked.
    Power {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
        /// For what.
        power: Power,
    },
    /// A host is shut down in order: its power goes when that is over.
    ShutsDown {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
    },
}

impl Change {
    /// When it happens.
    pub fn at(&self) -> Span {
        match self {
            Self::Arrives { at, .. }
            | Self::Resized { at, .. }
            | Self::Leaves { at, .. }
            | Self::Started { at, .. }
            | Self::Stopped { at, .. }
            | Self::Power { at, .. }
            | Self::ShutsDown { at, .. } => *at,
        }
    }

    /// The guest that comes with it, if one does.
    pub(crate) fn arrival(&self) -> Option<(&VmId, &Guest)> {
        match self {
            Self::Arrives { vm, domain, .. } => Some((vm, domain)),
            _ => None,
        }
    }
}

/// What is known of a host beside what a snapshot tells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostFacts {
    /// Power when nothing runs, in watts.
    pub idle_watts: Option<f64>,
    /// Power when every core is busy, in watts.
    pub max_watts: Option<f64>,
    /// From power on until it answers; the physics' default when absent.
    pub boot: Option<Span>,
    /// From an orderly shutdown's begin until its power goes.
    pub shutdown: Span,
    /// The CPU model that it can show to guests.
    pub cpu_model: Option<String>,
    /// Memory of its NUMA nodes; none when it is one.
    pub numa: Vec<Bytes>,
}
