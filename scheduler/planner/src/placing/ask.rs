//! What can be asked, and why a question has no answer: typed, with figures and what to try.

use thiserror::Error;
use whimbrel_core::{
    cluster::{HostState, VCPUS_MAX},
    ids::{HostId, VmId},
    units::Bytes,
};

use super::{
    place::Unplaced,
    room::{Room, RoomError},
};
use crate::{failure::joined, validate::state_name};

/// Largest memory that a machine may ask for.
const MEMORY_MAX: Bytes = Bytes::mib(1 << 30);

/// Part of its vCPUs that a machine is taken to keep busy when nobody says: midway, as for domains
/// without a reading.
const BUSY: f64 = 0.5;

/// Why a question has no answer. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum PlacingFailure {
    /// The cluster cannot be asked, or names one that is not there.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// No machine.
    #[error("there is no domain to place (hint: name one with its vCPUs and memory)")]
    NothingToPlace,
    /// The same name twice.
    #[error("domain {0} is asked for twice (hint: give each its own name)")]
    Twice(VmId),
    /// No flavour.
    #[error("there is no flavour to count (hint: name one, for example 32 GiB with 8 vCPUs)")]
    NoFlavour,
    /// No failed host.
    #[error("no host has failed: all of them answer (hint: name the hosts to take for failed)")]
    NoneFailed,
    /// A size that no machine has.
    #[error("{what}: {fault}")]
    Absurd {
        /// The machine or flavour.
        what: String,
        /// What is wrong, with the limits and a hint.
        fault: String,
    },
    /// The cluster is empty.
    #[error("the cluster has no host (hint: add hosts to the configuration)")]
    NoHosts,
    /// Every host is out of service.
    #[error("no host takes domains: {0} (hint: bring a host up)")]
    NoHostUp(String),
    /// A machine that would not even fit on an empty host.
    #[error(
        "domain {vm} ({}, {vcpus} vCPUs) is larger than any host: guests may have {} and \
         {vcpus_max} vCPUs at most on one (hint: make it smaller, add a larger host, or change \
         limits.memory_reserve or limits.cpu_overcommit)", memory.human(), memory_max.human()
    )]
    TooLarge {
        /// The machine.
        vm: VmId,
        /// Its memory.
        memory: Bytes,
        /// Its vCPUs.
        vcpus: u64,
        /// Largest memory for guests on one host.
        memory_max: Bytes,
        /// Most vCPUs for guests on one host.
        vcpus_max: u64,
    },
    /// Some machines find no host.
    #[error(
        "{} (hint: free room, relax the rule that is named, or ask for as many as fit)", joined(.0)
    )]
    NoHost(Vec<Unplaced>),
}

impl std::fmt::Display for Unplaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { vm, memory, vcpus, together_with, refused } = self;
        write!(f, "domain {vm} ({}, {vcpus} vCPUs) finds no host", memory.human())?;
        if !together_with.is_empty() {
            let names: Vec<&str> = together_with.iter().map(VmId::as_str).collect();
            write!(f, " together with {}, as a rule wants", names.join(", "))?;
        }
        write!(f, ": {refused}")
    }
}

impl PlacingFailure {
    /// For machines that find no host: size before anything else.
    pub(super) fn no_host(room: &Room, vms: Vec<Unplaced>) -> Self {
        let most = room.largest();
        let large = |vm: &&Unplaced| vm.memory.get() > most.memory || vm.vcpus > most.vcpus;
        match vms.iter().find(large) {
            Some(vm) => Self::TooLarge {
                vm: vm.vm.clone(),
                memory: vm.memory,
                vcpus: vm.vcpus,
                memory_max: Bytes::new(most.memory),
                vcpus_max: most.vcpus,
            },
            None => Self::NoHost(vms),
        }
    }
}

/// Whether any host takes machines at all.
pub(super) fn some_host(room: &Room) -> Result<(), PlacingFailure> {
    if room.slots.is_empty() {
        return Err(PlacingFailure::NoHosts);
    }
    if room.slots.iter().any(|slot| slot.state == HostState::Up) {
        return Ok(());
    }
    let said = |id: &HostId, state| format!("{id} is {}", state_name(state));
    let listed: Vec<String> = room.slots.iter().map(|slot| said(&slot.id, slot.state)).collect();
    Err(PlacingFailure::NoHostUp(shortened(&listed)))
}

/// The first few of many, and how many more.
fn shortened(listed: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = listed.len().saturating_sub(SHOWN);
    let shown = listed.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// Whether a machine can have this size at all.
pub(super) fn check_size(
    what: impl Fn() -> String,
    memory: Bytes,
    vcpus: u64,
    demand_cores: Option<f64>,
) -> Result<(), PlacingFailure> {
    let absurd = |fault: String| Err(PlacingFailure::Absurd { what: what(), fault });
    if memory == Bytes::ZERO || memory > MEMORY_MAX {
        return absurd(format!(
            "memory is {} (hint: it takes 1 B to {})",
            memory.human(),
            MEMORY_MAX.human()
        ));
    }
    if vcpus == 0 || vcpus > VCPUS_MAX.into() {
        return absurd(format!("it has {vcpus} vCPUs (hint: it takes 1 to {VCPUS_MAX})"));
    }
    let most = vcpus as f64;
    match demand_cores {
        Some(cores) if !(0.0..=most).contains(&cores) => absurd(format!(
            "its CPU demand is {cores} cores (hint: it takes 0 to its {vcpus} vCPUs)"
        )),
        _ => Ok(()),
    }
}

/// The demand to reckon with, in cores.
pub(super) fn demand(expected: Option<f64>, vcpus: u32) -> f64 {
    expected.unwrap_or(f64::from(vcpus) * BUSY)
}
