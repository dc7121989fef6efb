//! Who is where, kept up to date by what each event touched.
//!
//! A host's sums and a guest's places are at hand without a walk over the cluster, so that a look
//! after every event costs what the event touched.

use std::collections::BTreeMap;

use whimbrel_core::{DomainState, units::Bytes};

use crate::world::World;

/// The processes of the world, summed up.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Mirror {
    hosts: Vec<HostSums>,
    /// Hosts with a process of each guest, in order.
    places: Vec<Vec<usize>>,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct HostSums {
    processes: BTreeMap<usize, Process>,
    memory: Bytes,
    vcpus: u64,
}

/// A process as it counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Process {
    pub(super) state: DomainState,
    memory: Bytes,
    vcpus: u64,
}

impl Mirror {
    pub(super) fn of(world: &World) -> Self {
        let mut mirror = Self {
            hosts: vec![HostSums::default(); world.hosts.len()],
            places: vec![Vec::new(); world.vms.len()],
        };
        for (host, truth) in world.hosts.iter().enumerate() {
            for vm in truth.processes.keys() {
                mirror.update(world, host, *vm);
            }
        }
        mirror
    }

    /// Takes over what the world says of a guest's process on a host.
    pub(super) fn update(&mut self, world: &World, host: usize, vm: usize) {
        if self.places.len() <= vm {
            self.places.resize(vm + 1, Vec::new());
        }
        let sums = &mut self.hosts[host];
        if let Some(before) = sums.processes.remove(&vm) {
            sums.memory = sums.memory.saturating_sub(before.memory);
            sums.vcpus = sums.vcpus.saturating_sub(before.vcpus);
            self.places[vm].retain(|other| *other != host);
        }
        let Some(&state) = world.hosts[host].processes.get(&vm) else { return };
        let guest = &world.vms[vm];
        let holds = state != DomainState::ShutOff;
        let process = Process {
            state,
            memory: if holds { guest.memory } else { Bytes::ZERO },
            vcpus: if state.lives_here() { u64::from(guest.vcpus) } else { 0 },
        };
        sums.memory += process.memory;
        sums.vcpus = sums.vcpus.saturating_add(process.vcpus);
        sums.processes.insert(vm, process);
        self.places[vm].push(host);
        self.places[vm].sort_unstable();
    }

    pub(super) fn hosts(&self) -> usize {
        self.hosts.len()
    }

    pub(super) fn vms(&self) -> usize {
        self.places.len()
    }

    /// Memory of all processes on a host.
    pub(super) fn memory(&self, host: usize) -> Bytes {
        self.hosts[host].memory
    }

    /// vCPUs that live on a host.
    pub(super) fn vcpus(&self, host: usize) -> u64 {
        self.hosts[host].vcpus
    }

    /// A guest's processes, each with its host.
    pub(super) fn processes(&self, vm: usize) -> impl Iterator<Item = (usize, Process)> {
        let places = self.places.get(vm).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(move |host| Some((*host, *self.hosts[*host].processes.get(&vm)?)))
    }
}
