//! Hosts and guests of a scenario.

use serde::Deserialize;
use whimbrel_core::{
    Domain, DomainState,
    cluster::DirtyReading,
    ids::{HostId, VmId},
    units::{Bytes, BytesPerSecond, MilliCores, Span},
};

use super::BEGIN;
use crate::change::{GuestNeeds, HostFacts};

/// A host of a scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioHost {
    /// CPU that guests may use.
    pub cpu: MilliCores,
    /// Memory that guests may use.
    pub memory: Bytes,
    /// What its NIC carries in each direction; the physics' default when absent.
    pub bandwidth: Option<BytesPerSecond>,
    /// Memory of its NUMA nodes; one node when absent.
    #[serde(default)]
    pub numa: Vec<Bytes>,
    /// The CPU model that it can show to guests.
    pub cpu_model: Option<String>,
    /// Power when nothing runs, in watts. Range 0..=1e6; goes with `max_watts`.
    pub idle_watts: Option<f64>,
    /// Power when every core is busy, in watts. Range `idle_watts`..=1e6.
    pub max_watts: Option<f64>,
    /// From power on until it answers; the physics' default when absent.
    pub boot: Option<Span>,
    /// From an orderly shutdown's begin until its power goes.
    #[serde(default)]
    pub shutdown: Span,
}

/// A guest of a scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioDomain {
    /// Where it runs.
    pub host: HostId,
    /// Its memory.
    pub memory: Bytes,
    /// The part of it with content; all of it when absent.
    pub resident: Option<Bytes>,
    /// Virtual CPUs.
    #[serde(default = "one_vcpu")]
    pub vcpus: u32,
    /// CPU that it wants.
    #[serde(default)]
    pub cpu: MilliCores,
    /// What it dirties within windows of several lengths.
    #[serde(default)]
    pub dirty: Vec<ScenarioReading>,
    /// The CPU model that it was started with; a host that says another one refuses it.
    pub cpu_model: Option<String>,
    /// All of its memory comes from one NUMA node; a host whose largest is smaller refuses it.
    #[serde(default)]
    pub one_numa_node: bool,
}

/// One point of a guest's unique-dirty curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioReading {
    /// Length of the window.
    pub window: Span,
    /// Distinct memory dirtied in it.
    pub unique: Bytes,
}

fn one_vcpu() -> u32 {
    1
}

impl ScenarioHost {
    pub(super) fn facts(&self) -> HostFacts {
        HostFacts {
            idle_watts: self.idle_watts,
            max_watts: self.max_watts,
            boot: self.boot,
            shutdown: self.shutdown,
            cpu_model: self.cpu_model.clone(),
            numa: self.numa.clone(),
        }
    }
}

impl ScenarioDomain {
    pub(super) fn sighted(&self, vm: &VmId) -> Domain {
        let reading = |r: &ScenarioReading| DirtyReading {
            window: r.window,
            unique: r.unique,
            measured_at: BEGIN,
        };
        Domain {
            vm: vm.clone(),
            uuid: uuid(vm),
            host: self.host.clone(),
            state: DomainState::Running,
            observed_at: BEGIN,
            vcpus: self.vcpus,
            memory: self.memory,
            resident: self.resident,
            cpu_used: Some(self.cpu),
            dirty: self.dirty.iter().map(reading).collect(),
            job: None,
        }
    }

    pub(super) fn needs(&self) -> GuestNeeds {
        GuestNeeds { cpu_model: self.cpu_model.clone(), one_numa_node: self.one_numa_node }
    }
}

pub(super) fn uuid(vm: &VmId) -> String {
    format!("uuid-of-{vm}")
}
