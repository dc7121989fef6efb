//! Faults strike and pass.
//!
//! Never here: what follows for calls, streams and guests (`paths`), or power (`power`).

use super::{Event, Happening, SimCluster, trouble::Trouble};
use crate::fault::{Fault, Plane};

/// Counts a fault in or out.
fn count(counter: &mut u32, begins: bool) {
    *counter = if begins { counter.saturating_add(1) } else { counter.saturating_sub(1) };
}

impl SimCluster {
    /// A fault strikes.
    pub(super) fn strike(&mut self, index: usize) {
        let Some(fault) = self.faults.get(index).cloned() else { return };
        if !self.apply(index, &fault, true) {
            return;
        }
        if let Some(lasts) = fault.lasts() {
            self.agenda.after(lasts, Event::Pass { fault: index });
        }
        self.note(|| Happening::Struck { fault });
        self.rewire();
    }

    /// A fault passes.
    pub(super) fn pass(&mut self, index: usize) {
        let Some(fault) = self.faults.get(index).cloned() else { return };
        self.apply(index, &fault, false);
        self.note(|| Happening::Passed { fault });
        self.rewire();
    }

    /// Puts a fault in force or out of it; whether it strikes anything.
    fn apply(&mut self, index: usize, fault: &Fault, begins: bool) -> bool {
        if let Some(id) = fault.host() {
            let host = self.world.host(id);
            return host.is_some_and(|host| self.apply_to_host(index, fault, host, begins));
        }
        if let Some(id) = fault.vm() {
            let vm = self.world.vm(id);
            return vm.is_some_and(|vm| self.apply_to_guest(index, fault, vm, begins));
        }
        let trouble = &mut self.trouble;
        match fault {
            Fault::Partition { groups, networks, .. } if begins => {
                let mut group_of = vec![0; self.world.hosts.len()];
                for (group, hosts) in groups.iter().enumerate() {
                    for host in hosts.iter().filter_map(|id| self.world.host(id)) {
                        group_of[host] = group;
                    }
                }
                trouble.partitions.insert(index, (networks.clone(), group_of));
            }
            Fault::Partition { .. } => {
                trouble.partitions.remove(&index);
            }
            Fault::CephOutage { .. } => count(&mut trouble.ceph_outages, begins),
            Fault::SlowCeph { delay, .. } if begins => {
                trouble.ceph_delays.insert(index, *delay);
            }
            Fault::SlowCeph { .. } => {
                trouble.ceph_delays.remove(&index);
            }
            _ => return false,
        }
        true
    }

    fn apply_to_host(&mut self, index: usize, fault: &Fault, host: usize, begins: bool) -> bool {
        let trouble = &mut self.trouble.hosts[host];
        match fault {
            Fault::HostCrash { returns, .. } if begins => self.crash(host, *returns),
            Fault::PowerCut { .. } if begins => self.power_off(host),
            Fault::LinkCut { networks, .. } => {
                for plane in networks {
                    count(&mut trouble.cuts[*plane as usize], begins);
                }
            }
            Fault::SlowLink { bandwidth, .. } => {
                self.world.hosts[host].slowed_to = begins.then_some(*bandwidth);
                self.link_changes(host);
            }
            Fault::DaemonHang { .. } => count(&mut trouble.hangs, begins),
            Fault::RefuseArrivals { .. } => count(&mut trouble.refuses_arrivals, begins),
            Fault::StaleReadings { age, .. } if begins => {
                trouble.stale.insert(index, *age);
                let seen = self.readings[host].clone();
                self.trouble.hosts[host].late.push(seen);
            }
            Fault::StaleReadings { .. } => {
                trouble.stale.remove(&index);
                if trouble.stale.is_empty() {
                    trouble.late.clear();
                }
            }
            Fault::BmcFailure { silent: true, .. } => count(&mut trouble.bmc_ignores, begins),
            Fault::BmcFailure { .. } => count(&mut trouble.bmc_refuses, begins),
            _ => return false,
        }
        true
    }

    fn apply_to_guest(&mut self, index: usize, fault: &Fault, vm: usize, begins: bool) -> bool {
        let Trouble { lies, refusing, sticking, .. } = &mut self.trouble;
        match fault {
            Fault::RefuseMigration { .. } if begins => refusing.push(vm),
            Fault::StuckMigration { .. } if begins => sticking.push(vm),
            Fault::LyingReadings { dirty_percent, cpu_percent, .. } if begins => {
                lies.insert(index, (vm, *dirty_percent, *cpu_percent));
            }
            Fault::LyingReadings { .. } => {
                lies.remove(&index);
            }
            _ => return false,
        }
        true
    }

    /// Whether a host's daemon does what it is asked.
    pub(super) fn daemon_works(&self, host: usize) -> bool {
        self.world.hosts[host].powered && self.trouble.hosts[host].hangs == 0
    }

    /// Whether the controller hears a host that runs.
    pub(super) fn is_heard(&self, host: usize) -> bool {
        self.trouble.hosts[host].hangs == 0 && self.trouble.leads_home(host, Plane::Management)
    }
}
