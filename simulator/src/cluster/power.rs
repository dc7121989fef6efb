//! Power of hosts: crashes, cuts, boots, and the power controllers that are asked.
//!
//! Never here: who may ask.

use whimbrel_core::{
    DomainState,
    ids::HostId,
    ports::{Power, Refusal},
    units::{Span, Timestamp},
};

use super::{Event, Happening, SimCluster};

/// A host's power was taken by a request while guests ran on it.
#[derive(Debug, Clone)]
pub(crate) struct PoweredOff {
    pub(crate) at: Timestamp,
    pub(crate) host: usize,
    /// Running guests at that moment.
    pub(crate) guests: usize,
}

/// How a host stands, as its power controller and its console show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostPower {
    /// It runs.
    On,
    /// It has power and has not booted yet.
    Booting,
    /// It has power and its kernel is dead.
    Crashed,
    /// It has no power.
    Off,
}

impl SimCluster {
    /// Asks a host's power controller. `by_people`: not by the engine.
    pub(super) fn switch_power(
        &mut self,
        id: &HostId,
        power: Power,
        by_people: bool,
    ) -> Result<(), Refusal> {
        let unknown = || Refusal::HostUnreachable { host: id.clone() };
        let host = self.world.host(id).ok_or_else(unknown)?;
        let line = || Happening::PowerAsked { host: id.clone(), power };
        self.log.note(self.agenda.now(), line);
        let trouble = &self.trouble.hosts[host];
        if trouble.bmc_refuses > 0 {
            let message = "its power controller does not answer".to_owned();
            return Err(Refusal::Hypervisor { host: id.clone(), message });
        }
        if trouble.bmc_ignores > 0 {
            return Ok(());
        }
        match power {
            Power::On => self.power_on(host),
            Power::Off => {
                let guests = self.running_guests(host);
                if guests > 0 && !by_people {
                    let at = self.agenda.now();
                    self.powered_off.push(PoweredOff { at, host, guests });
                }
                self.power_off(host);
            }
        }
        Ok(())
    }

    fn running_guests(&self, host: usize) -> usize {
        let processes = self.world.hosts[host].processes.values();
        processes.filter(|state| **state == DomainState::Running).count()
    }

    /// The host's kernel dies, and every process with it.
    pub(super) fn crash(&mut self, host: usize, returns: Option<Span>) {
        if !self.world.hosts[host].powered {
            return;
        }
        self.end_processes(host);
        self.trouble.hosts[host].crashed = true;
        if let Some(wait) = returns {
            self.boot_in(host, wait);
        }
    }

    /// The host's power goes, and every process on it.
    pub(super) fn power_off(&mut self, host: usize) {
        self.meter_power(host);
        self.trouble.hosts[host].crashed = false;
        self.world.hosts[host].booting = None;
        if self.world.hosts[host].powered {
            self.end_processes(host);
        }
    }

    fn end_processes(&mut self, host: usize) {
        self.meter_power(host);
        self.world.cut_power(host, self.agenda.now());
        self.change_host(host, |truth| truth.powered = false);
        self.rewire();
    }

    /// The host's power comes; it answers, empty, when it has booted. One that has power already
    /// does nothing, dead or not.
    pub(super) fn power_on(&mut self, host: usize) {
        let truth = &self.world.hosts[host];
        if !truth.powered && truth.booting.is_none() && !self.trouble.hosts[host].crashed {
            self.meter_power(host);
            let boot = self.facts[host].boot.unwrap_or(self.physics.boot);
            self.boot_in(host, boot);
        }
    }

    fn boot_in(&mut self, host: usize, wait: Span) {
        let truth = &mut self.world.hosts[host];
        truth.boots += 1;
        truth.booting = Some(truth.boots);
        let boot = truth.boots;
        self.agenda.after(wait, Event::Booted { host, boot });
    }

    pub(super) fn booted(&mut self, host: usize, boot: u32) {
        if self.world.hosts[host].booting != Some(boot) {
            return;
        }
        self.meter_power(host);
        // Streams from before it went off have no process at this end any more.
        self.break_streams(host);
        self.trouble.hosts[host].crashed = false;
        self.world.hosts[host].booting = None;
        self.change_host(host, |truth| truth.powered = true);
        let id = self.world.hosts[host].id.clone();
        self.note(|| Happening::Booted { host: id });
        self.rewire();
    }

    /// How a host stands.
    pub(crate) fn power_of(&self, host: usize) -> HostPower {
        let truth = &self.world.hosts[host];
        if truth.powered {
            HostPower::On
        } else if truth.booting.is_some() {
            HostPower::Booting
        } else if self.trouble.hosts[host].crashed {
            HostPower::Crashed
        } else {
            HostPower::Off
        }
    }

    /// Brings the time that a host drew power up to the present; before each change.
    fn meter_power(&mut self, host: usize) {
        let (now, draws) = (self.agenda.now(), self.power_of(host) != HostPower::Off);
        let trouble = &mut self.trouble.hosts[host];
        if draws {
            trouble.powered_for += now.since(trouble.power_since);
        }
        trouble.power_since = now;
    }

    /// Energy that a host took so far, in kilowatt-hours, where its power curve is known: idle
    /// power while it has power, and the rest in proportion to its use of CPU (Fan, Weber and
    /// Barroso, *Power provisioning for a warehouse-sized computer*, ISCA 2007).
    pub(crate) fn energy_kilowatt_hours(&mut self, host: usize) -> Option<f64> {
        let (idle, most) = (self.facts[host].idle_watts?, self.facts[host].max_watts?);
        self.meter_power(host);
        let truth = &mut self.world.hosts[host];
        let used = truth.meter.read(self.agenda.now()).used as f64 / 1e9;
        let cores = truth.cpu.get() as f64 / 1e3;
        let busy_seconds = if cores > 0.0 { used / cores } else { 0.0 };
        let powered_seconds = self.trouble.hosts[host].powered_for.as_seconds_f64();
        Some((idle * powered_seconds + (most - idle) * busy_seconds) / 3.6e6)
    }
}
