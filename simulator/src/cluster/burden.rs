//! What migrations and guests cost each other in CPU.
//!
//! A stream is charged to both its hosts; whoever runs on an overcommitted host gets less, and so
//! writes less. Never here: the meters (`world`), or what a stream needs (`copy`).

use super::{SimCluster, migration::Phase};

impl SimCluster {
    /// Brings what a migration is charged for up to what it does now.
    pub(super) fn charge(&mut self, index: usize) {
        let now = self.agenda.now();
        let migration = &mut self.migrations[index];
        let cores = migration.cores();
        let charged = std::mem::replace(&mut migration.charged, cores);
        if charged == cores {
            return;
        }
        for (place, host) in [migration.from, migration.to].into_iter().enumerate() {
            self.world.hosts[host].meter.charge(charged[place], cores[place], now);
            self.cpu_changes(host);
        }
    }

    /// Makes a guest's vCPUs sleep for `percent` of the time.
    pub(super) fn throttle(&mut self, vm: usize, percent: u8) {
        self.world.throttle(vm, percent, self.agenda.now());
        self.cpu_follows(vm);
    }

    /// What a guest asks for has changed: its host may give others another part.
    pub(super) fn cpu_follows(&mut self, vm: usize) {
        let hosts: Vec<usize> = self.world.runs_on(vm).collect();
        for host in hosts {
            self.cpu_changes(host);
        }
    }

    /// What is asked of `host` has changed: guests in the midst of a copy write as fast as they
    /// are now given CPU.
    pub(super) fn cpu_changes(&mut self, host: usize) {
        let truth = &mut self.world.hosts[host];
        let share = truth.meter.share();
        let before = std::mem::replace(&mut truth.share_told, share);
        if (before - share).abs() <= f64::EPSILON {
            return;
        }
        for place in 0..self.active.len() {
            let index = self.active[place];
            let migration = &self.migrations[index];
            let copies = matches!(migration.phase, Phase::Copying | Phase::Serving);
            if copies && migration.guest_host() == host {
                self.settle(index);
                self.migrations[index].copy.host_gives(share);
                self.schedule_check(index);
            }
        }
    }
}
