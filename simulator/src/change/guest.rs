//! A guest as it is started: what it is, where, and what it asks of hosts.
//!
//! Never here: what becomes of it.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    Domain, DomainState,
    cluster::DirtyReading,
    ids::{HostId, VmId},
    units::{Bytes, MilliCores, Span, Timestamp},
};

/// A guest as whoever starts it describes it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guest {
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
    pub dirty: Vec<GuestReading>,
    /// The CPU model that it is started with; a host that says another one refuses it.
    pub cpu_model: Option<String>,
    /// All of its memory comes from one NUMA node; a host whose largest is smaller refuses it.
    #[serde(default)]
    pub one_numa_node: bool,
}

/// One point of a guest's unique-dirty curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestReading {
    /// Length of the window.
    pub window: Span,
    /// Distinct memory dirtied in it.
    pub unique: Bytes,
}

fn one_vcpu() -> u32 {
    1
}

/// What a guest asks of the host that it comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GuestNeeds {
    /// The CPU model that it was started with; a host that says another one refuses it.
    pub cpu_model: Option<String>,
    /// All of its memory comes from one NUMA node; a host whose largest is smaller refuses it.
    pub one_numa_node: bool,
}

impl Guest {
    /// Its sighting while it runs, with its writes as measured `at` that moment.
    pub(crate) fn sighted(&self, vm: &VmId, at: Timestamp) -> Domain {
        let reading =
            |r: &GuestReading| DirtyReading { window: r.window, unique: r.unique, measured_at: at };
        Domain {
            vm: vm.clone(),
            uuid: uuid(vm),
            host: self.host.clone(),
            state: DomainState::Running,
            observed_at: at,
            vcpus: self.vcpus,
            memory: self.memory,
            resident: self.resident,
            cpu_used: Some(self.cpu),
            dirty: self.dirty.iter().map(reading).collect(),
            job: None,
            tags: std::collections::BTreeSet::new(),
            needs: whimbrel_core::cluster::Needs::default(),
        }
    }

    /// What it asks of hosts.
    pub(crate) fn needs(&self) -> GuestNeeds {
        GuestNeeds { cpu_model: self.cpu_model.clone(), one_numa_node: self.one_numa_node }
    }
}

/// The identity of the guest `vm`: names are given once.
pub(crate) fn uuid(vm: &VmId) -> String {
    format!("uuid-of-{vm}")
}
