//! What people do while a scenario's plan runs.

use serde::Deserialize;
use whimbrel_core::{
    ids::{HostId, VmId},
    ports::Power,
    units::{Bytes, MilliCores, Span},
};

use super::world::ScenarioDomain;
use crate::change::Change;

/// Something that people do, and when, counted from the scenario's begin.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScenarioEvent {
    /// A new guest is started.
    Arrives {
        /// When.
        at: Span,
        /// Its name.
        vm: VmId,
        /// What it is, and where.
        domain: ScenarioDomain,
    },
    /// A guest's memory, vCPUs or load change.
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
    /// A guest is shut down from within.
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
    /// A host is shut down in order.
    ShutsDown {
        /// When.
        at: Span,
        /// Which host.
        host: HostId,
    },
}

impl ScenarioEvent {
    /// As the simulator plays it.
    pub(super) fn change(&self) -> Change {
        match self.clone() {
            Self::Arrives { at, vm, domain } => {
                Change::Arrives { at, domain: Box::new(domain.sighted(&vm)) }
            }
            Self::Resized { at, vm, memory, vcpus, cpu } => {
                Change::Resized { at, vm, memory, vcpus, cpu }
            }
            Self::Leaves { at, vm } => Change::Leaves { at, vm },
            Self::Started { at, vm, host } => Change::Started { at, vm, host },
            Self::Stopped { at, vm, host } => Change::Stopped { at, vm, host },
            Self::Power { at, host, power } => Change::Power { at, host, power },
            Self::ShutsDown { at, host } => Change::ShutsDown { at, host },
        }
    }

    /// The guest that comes with it, if one does.
    pub(super) fn arrival(&self) -> Option<(&VmId, &ScenarioDomain)> {
        match self {
            Self::Arrives { vm, domain, .. } => Some((vm, domain)),
            _ => None,
        }
    }
}
