//! Faults and power.

use super::{Event, Happening, SimCluster};
use crate::{fault::Fault, world::HostTruth};

impl SimCluster {
    /// A fault strikes.
    pub(super) fn strike(&mut self, index: usize) {
        let Some(fault) = self.faults.get(index).cloned() else { return };
        let host = fault.host().and_then(|id| self.world.host(id));
        let vm = fault.vm().and_then(|id| self.world.vm(id));
        match (&fault, host, vm) {
            (Fault::PowerCut { .. }, Some(host), _) => self.power_off(host),
            (Fault::LinkCut { .. }, Some(host), _) => {
                self.silence(host, |truth| truth.link_cuts += 1);
            }
            (Fault::SlowLink { bandwidth, .. }, Some(host), _) => {
                self.world.hosts[host].slowed_to = Some(*bandwidth);
                self.link_changes(host);
            }
            (Fault::RefuseMigration { .. }, _, Some(vm)) => self.refusing.push(vm),
            (Fault::StuckMigration { .. }, _, Some(vm)) => {
                self.sticking.push(vm);
                self.share_links();
            }
            _ => return,
        }
        if let Some(lasts) = fault.lasts() {
            self.agenda.after(lasts, Event::Pass { fault: index });
        }
        self.note(|| Happening::Struck { fault });
    }

    /// A fault passes.
    pub(super) fn pass(&mut self, index: usize) {
        let Some(fault) = self.faults.get(index).cloned() else { return };
        let Some(host) = fault.host().and_then(|id| self.world.host(id)) else { return };
        let truth = &mut self.world.hosts[host];
        match fault {
            Fault::LinkCut { .. } => {
                truth.link_cuts = truth.link_cuts.saturating_sub(1);
                if truth.answers() {
                    self.answer_again(host);
                }
            }
            Fault::SlowLink { .. } => {
                truth.slowed_to = None;
                self.link_changes(host);
            }
            Fault::PowerCut { .. }
            | Fault::RefuseMigration { .. }
            | Fault::StuckMigration { .. } => {}
        }
        self.note(|| Happening::Passed { fault });
    }

    /// The host's power goes, and every process on it.
    pub(super) fn power_off(&mut self, host: usize) {
        let truth = &mut self.world.hosts[host];
        truth.booting = None;
        if !truth.powered {
            return;
        }
        self.world.cut_power(host, self.agenda.now());
        self.silence(host, |truth| truth.powered = false);
    }

    /// The host's power comes; it answers, empty, when it has booted.
    pub(super) fn power_on(&mut self, host: usize) {
        let truth = &mut self.world.hosts[host];
        if !truth.powered && truth.booting.is_none() {
            truth.boots += 1;
            truth.booting = Some(truth.boots);
            let boot = truth.boots;
            self.agenda.after(self.physics.boot, Event::Booted { host, boot });
        }
    }

    pub(super) fn booted(&mut self, host: usize, boot: u32) {
        if self.world.hosts[host].booting != Some(boot) {
            return;
        }
        // Streams from before it went off have no process at this end any more.
        self.break_streams(host);
        let truth = &mut self.world.hosts[host];
        truth.powered = true;
        truth.booting = None;
        let id = truth.id.clone();
        if truth.answers() {
            self.answer_again(host);
        }
        self.note(|| Happening::Booted { host: id });
    }

    /// Takes the host's power or link. Nothing reaches it from then on; who talks to it finds out
    /// by the keepalive, counted from when it fell silent.
    fn silence(&mut self, host: usize, how: fn(&mut HostTruth)) {
        let truth = &mut self.world.hosts[host];
        let answered = truth.answers();
        how(truth);
        if answered {
            let silence = truth.silences;
            self.agenda.after(self.physics.keepalive, Event::Lost { host, silence });
        }
        self.link_changes(host);
    }

    fn answer_again(&mut self, host: usize) {
        let truth = &mut self.world.hosts[host];
        truth.silences += 1;
        truth.lost = false;
        self.link_changes(host);
        self.resume();
    }

    /// The keepalive runs out: calls and streams over the host's link fail.
    pub(super) fn lose(&mut self, host: usize, silence: u32) {
        let truth = &mut self.world.hosts[host];
        if truth.silences != silence {
            return;
        }
        truth.lost = true;
        let id = truth.id.clone();
        self.note(|| Happening::Lost { host: id });
        self.break_streams(host);
    }

    fn break_streams(&mut self, host: usize) {
        for index in self.active.clone() {
            let migration = &self.migrations[index];
            if migration.from == host || migration.to == host {
                self.fail(index, "operation failed: connection lost, keepalive timed out");
            }
        }
    }

    fn link_changes(&mut self, host: usize) {
        let capacity = self.world.hosts[host].nic(&self.physics);
        self.network.set_capacity(host, capacity);
        self.share_links();
    }
}
