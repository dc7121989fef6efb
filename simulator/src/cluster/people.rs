//! What people do to guests and hosts, and what a host takes from a migration.
//!
//! Never here: the plan or its engine.

use whimbrel_core::{
    DomainState,
    ids::{HostId, VmId},
    units::{Bytes, MilliCores, Span},
};

use super::{Event, Happening, SimCluster, migration::Phase};
use crate::change::{Change, Guest};

/// A guest that is between its hosts cannot be shut down; its people try again after this.
const TRY_AGAIN: Span = Span::from_seconds(1);

impl SimCluster {
    /// People do what was scripted.
    pub(super) fn change(&mut self, index: usize) {
        let Some(change) = self.changes.get(index).cloned() else { return };
        match change {
            Change::Arrives { vm, domain, .. } => self.guest_arrives(&vm, &domain),
            Change::Resized { vm, memory, vcpus, cpu, .. } => self.resize(&vm, memory, vcpus, cpu),
            Change::Leaves { vm, .. } => self.guest_leaves(index, &vm),
            Change::Started { vm, host, .. } => self.start_by_hand(&vm, &host),
            Change::Stopped { vm, host, .. } => self.stop_by_hand(&vm, &host),
            Change::Power { host, power, .. } => {
                // A refusal is the power controller's; people see it, nobody else.
                let _ = self.switch_power(&host, power, true);
            }
            Change::ShutsDown { host, .. } => {
                if let Some(host) = self.world.host(&host) {
                    let wait = self.facts[host].shutdown;
                    let boots = self.world.hosts[host].boots;
                    self.agenda.after(wait, Event::ShutDown { host, boots });
                }
            }
        }
        self.settle_stalls();
    }

    fn guest_arrives(&mut self, vm: &VmId, domain: &Guest) {
        let Some(host) = self.world.host(&domain.host) else { return };
        if self.world.vm(vm).is_some() {
            return self.turn_away(vm, "a guest of this name exists".to_owned());
        }
        if let Err(why) = self.takes(host, domain.memory) {
            return self.turn_away(vm, why);
        }
        let guest = self.world.add(&domain.sighted(vm, self.agenda.now()));
        self.needs.insert(vm.clone(), domain.needs());
        self.begin_recording(guest);
        self.put(guest, host);
    }

    fn put(&mut self, vm: usize, host: usize) {
        self.world.place(host, vm, DomainState::Running, self.agenda.now());
        self.by_people.push((host, vm));
        let (vm, host) = (self.world.vms[vm].id.clone(), self.world.hosts[host].id.clone());
        self.note(|| Happening::Started { vm, host });
    }

    /// Whether a host runs and has `memory` more.
    fn takes(&self, host: usize, memory: Bytes) -> Result<(), String> {
        let truth = &self.world.hosts[host];
        if !truth.powered {
            return Err(format!("{} is down", truth.id));
        }
        let needed = self.world.memory_used(host) + memory;
        if needed > truth.memory {
            let (has, id) = (truth.memory.human(), &truth.id);
            return Err(format!(
                "cannot allocate memory: {id} has {has}, {} needed",
                needed.human()
            ));
        }
        Ok(())
    }

    fn resize(
        &mut self,
        id: &VmId,
        memory: Option<Bytes>,
        vcpus: Option<u32>,
        cpu: Option<MilliCores>,
    ) {
        let Some(vm) = self.world.vm(id) else { return };
        if let Some(memory) = memory {
            if let Err(why) = self.fits_resized(vm, memory) {
                return self.turn_away(id, why);
            }
            self.world.vms[vm].memory = memory;
            self.rewrite(vm);
        }
        if let Some(vcpus) = vcpus {
            self.world.vms[vm].vcpus = vcpus;
        }
        if let Some(cpu) = cpu {
            self.world.set_cpu(vm, cpu, self.agenda.now());
        }
        for host in 0..self.world.hosts.len() {
            if self.world.hosts[host].processes.contains_key(&vm) {
                self.world.touched.push((host, vm));
                self.by_people.push((host, vm));
            }
        }
        self.note(|| Happening::Resized { vm: id.clone() });
    }

    fn fits_resized(&self, vm: usize, memory: Bytes) -> Result<(), String> {
        if self.is_on_its_way(vm) {
            return Err("another job is active".to_owned());
        }
        let more = memory.saturating_sub(self.world.vms[vm].memory);
        let hosts = self.world.hosts.iter().enumerate();
        let mut homes =
            hosts.filter(|(_, h)| h.processes.contains_key(&vm)).map(|(index, _)| index);
        homes.try_for_each(|host| self.takes(host, more))
    }

    fn guest_leaves(&mut self, change: usize, id: &VmId) {
        let Some(vm) = self.world.vm(id) else { return };
        let migration = self.active.iter().find(|index| self.migrations[**index].vm == vm).copied();
        if let Some(index) = migration {
            let phase = self.migrations[index].phase;
            if matches!(phase, Phase::SwitchingOver | Phase::Moving | Phase::Serving) {
                self.agenda.after(TRY_AGAIN, Event::Change { change });
                return;
            }
            self.fail(index, "operation failed: domain is not running");
        }
        self.ended.insert(vm);
        for host in 0..self.world.hosts.len() {
            if self.world.hosts[host].processes.contains_key(&vm) {
                self.world.remove(host, vm, self.agenda.now());
            }
        }
        self.note(|| Happening::Ended { vm: id.clone() });
    }

    fn start_by_hand(&mut self, id: &VmId, host: &HostId) {
        let (Some(vm), Some(host)) = (self.world.vm(id), self.world.host(host)) else { return };
        let runs_here = self.world.hosts[host].processes.contains_key(&vm);
        match self.takes(host, self.world.vms[vm].memory) {
            Ok(()) if !runs_here => {
                self.ended.remove(&vm);
                self.by_hand.insert(vm);
                self.put(vm, host);
            }
            Ok(()) => self.turn_away(id, "it has a process there".to_owned()),
            Err(why) => self.turn_away(id, why),
        }
    }

    fn stop_by_hand(&mut self, id: &VmId, host: &HostId) {
        let (Some(vm), Some(host)) = (self.world.vm(id), self.world.host(host)) else { return };
        if self.world.hosts[host].processes.get(&vm) == Some(&DomainState::Running) {
            self.world.remove(host, vm, self.agenda.now());
            self.by_hand.insert(vm);
            if !self.world.hosts.iter().any(|h| h.processes.contains_key(&vm)) {
                self.ended.insert(vm);
            }
            self.note(|| Happening::Ended { vm: id.clone() });
        }
    }

    /// An orderly shutdown is over, unless the host was booted anew since.
    pub(super) fn shut_down(&mut self, host: usize, boots: u32) {
        if self.world.hosts[host].boots == boots {
            self.power_off(host);
        }
    }

    fn turn_away(&mut self, id: &VmId, why: String) {
        self.note(|| Happening::TurnedAway { vm: id.clone(), why });
    }

    /// Why a host refuses a guest that a migration brings.
    pub(super) fn refuses_arrival(&self, vm: usize, host: usize) -> Option<String> {
        if self.trouble.hosts[host].refuses_arrivals > 0 {
            return Some("internal error: process exited while connecting to monitor".to_owned());
        }
        let (guest, facts) = (&self.world.vms[vm], &self.facts[host]);
        if let Some(lack) = self.world.hosts[host].offers.lacks(&guest.needs) {
            return Some(format!("unsupported configuration: {lack} of the guest is not there"));
        }
        if let Some(needs) = self.needs.get(&guest.id) {
            if let (Some(model), Some(shown)) = (&needs.cpu_model, &facts.cpu_model)
                && model != shown
            {
                return Some(format!(
                    "unsupported configuration: guest CPU {model} is not compatible with host CPU \
                     {shown}"
                ));
            }
            let largest = facts.numa.iter().max();
            if needs.one_numa_node && largest.is_some_and(|node| *node < guest.memory) {
                return Some("cannot allocate memory on one NUMA node".to_owned());
            }
        }
        self.takes(host, guest.memory).err()
    }
}
