//! What guests want of their hosts' CPU, and what was kept from them.

use std::collections::BTreeMap;

use whimbrel_core::{
    ids::VmId,
    units::{MilliCores, Timestamp},
};

use super::{Meter, VmTruth, World};

impl World {
    /// Adds what was withheld from a guest until `now` to what its hosts have taken from it.
    pub(super) fn take_steal(&mut self, vm: usize, now: Timestamp) {
        let truth = &mut self.vms[vm];
        let wants = u128::from(truth.metered.get());
        for (host, since) in &mut truth.runs_on {
            let host = &mut self.hosts[*host];
            let withheld = host.meter.read(now).withheld;
            let stolen = wants * (withheld - *since);
            *since = withheld;
            if stolen > 0 {
                *host.stolen.entry(vm).or_default() += stolen;
            }
        }
    }

    /// Changes what a guest wants of its host's CPU.
    pub(crate) fn set_cpu(&mut self, vm: usize, cpu: MilliCores, now: Timestamp) {
        self.change_wish(vm, now, |truth| truth.cpu = cpu);
    }

    /// Makes a guest's vCPUs sleep for `percent` of the time.
    pub(crate) fn throttle(&mut self, vm: usize, percent: u8, now: Timestamp) {
        self.change_wish(vm, now, |truth| truth.throttle_percent = percent);
    }

    fn change_wish(&mut self, vm: usize, now: Timestamp, change: impl FnOnce(&mut VmTruth)) {
        self.take_steal(vm, now);
        let truth = &mut self.vms[vm];
        change(truth);
        let (before, after) = (truth.metered, truth.wants());
        truth.metered = after;
        for (host, _) in &truth.runs_on {
            self.hosts[*host].meter.change_demand(before, after);
        }
    }

    /// Hosts where a guest runs.
    pub(crate) fn runs_on(&self, vm: usize) -> impl Iterator<Item = usize> + use<'_> {
        self.vms[vm].runs_on.iter().map(|(host, _)| *host)
    }

    /// CPU that each guest wanted on `host` and did not get until `now`, in core-seconds; guests
    /// that lacked nothing are left out.
    pub(crate) fn steal(&mut self, host: usize, now: Timestamp) -> BTreeMap<VmId, f64> {
        let running: Vec<usize> = self.hosts[host].processes.keys().copied().collect();
        for vm in running {
            self.take_steal(vm, now);
        }
        let stolen = self.hosts[host].stolen.iter();
        stolen.map(|(vm, one)| (self.vms[*vm].id.clone(), Meter::core_seconds(*one))).collect()
    }
}
