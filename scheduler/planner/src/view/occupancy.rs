//! Who is where at one moment, with the sums that change by one move in moments.

use std::collections::BTreeMap;

use super::{Group, View, VmView};

/// Who is where at one moment, with sums.
#[derive(Clone)]
pub(crate) struct Occupancy {
    pub(crate) place: Vec<usize>,
    memory: Vec<u64>,
    vcpus: Vec<u64>,
    /// CPU demand in cores.
    demand: Vec<f64>,
    /// How many of each anti-affinity group are on each host.
    apart: Vec<BTreeMap<usize, u32>>,
}

impl Occupancy {
    /// Under `place`.
    pub(crate) fn new(view: &View<'_>, place: &[usize]) -> Self {
        let arriving = |group: &Group<'_>| group.arriving.iter().map(|&host| (host, 1)).collect();
        let mut occupancy = Self {
            place: place.to_vec(),
            memory: view.hosts.iter().map(|host| host.passing.0).collect(),
            vcpus: view.hosts.iter().map(|host| host.passing.1).collect(),
            demand: view.hosts.iter().map(|host| host.base_cores).collect(),
            apart: view.apart.iter().map(arriving).collect(),
        };
        for (vm, &host) in view.vms.iter().zip(place) {
            occupancy.count(vm, host);
        }
        occupancy
    }

    fn count(&mut self, vm: &VmView<'_>, host: usize) {
        self.memory[host] = self.memory[host].saturating_add(vm.memory());
        self.vcpus[host] = self.vcpus[host].saturating_add(vm.vcpus());
        self.demand[host] += vm.demand_cores;
        for &group in &vm.apart {
            *self.apart[group].entry(host).or_default() += 1;
        }
    }

    /// Counts `vm` on `host` too, wherever else it is.
    pub(crate) fn add(&mut self, view: &View<'_>, vm: usize, host: usize) {
        self.count(&view.vms[vm], host);
    }

    /// Counts `vm` no longer on `host`.
    pub(crate) fn remove(&mut self, view: &View<'_>, vm: usize, host: usize) {
        let one = &view.vms[vm];
        self.memory[host] = self.memory[host].saturating_sub(one.memory());
        self.vcpus[host] = self.vcpus[host].saturating_sub(one.vcpus());
        self.demand[host] -= one.demand_cores;
        for &group in &one.apart {
            if let Some(count) = self.apart[group].get_mut(&host) {
                *count = count.saturating_sub(1);
            }
        }
    }

    /// Moves `vm` to `to`.
    pub(crate) fn shift(&mut self, view: &View<'_>, vm: usize, to: usize) {
        let from = std::mem::replace(&mut self.place[vm], to);
        self.remove(view, vm, from);
        self.add(view, vm, to);
    }

    /// Memory in bytes and vCPUs on `host`.
    pub(crate) fn used(&self, host: usize) -> (u64, u64) {
        (self.memory[host], self.vcpus[host])
    }

    /// CPU demand on `host`, in cores.
    pub(crate) fn demand(&self, host: usize) -> f64 {
        self.demand[host]
    }

    /// Whether `host` is within its limits with `extra` memory and vCPUs on top.
    pub(crate) fn within(&self, view: &View<'_>, host: usize, extra: (u64, u64)) -> bool {
        let limits = &view.hosts[host];
        self.memory[host].saturating_add(extra.0) <= limits.memory_limit
            && self.vcpus[host].saturating_add(extra.1) as f64 <= limits.vcpu_limit
    }

    /// How many of the anti-affinity group `group` are on `host`.
    pub(crate) fn members(&self, group: usize, host: usize) -> u32 {
        self.apart[group].get(&host).copied().unwrap_or(0)
    }

    /// The anti-affinity group that `vm` would break by being on `host`, if any.
    pub(crate) fn clashing(&self, view: &View<'_>, vm: usize, host: usize) -> Option<usize> {
        let itself = u32::from(self.place[vm] == host);
        view.vms[vm].apart.iter().copied().find(|&group| self.members(group, host) > itself)
    }

    /// The name of the rule that `vm` would break by arriving on `host`, if any.
    pub(crate) fn clash<'a>(&self, view: &View<'a>, vm: usize, host: usize) -> Option<&'a str> {
        self.clashing(view, vm, host).map(|group| view.apart[group].name)
    }

    /// Whether `vm` may arrive on `host` at this moment.
    pub(crate) fn takes(&self, view: &View<'_>, vm: usize, host: usize) -> bool {
        let size = (view.vms[vm].memory(), view.vms[vm].vcpus());
        view.up(host)
            && self.within(view, host, size)
            && view.ban(vm, host).is_none()
            && self.clashing(view, vm, host).is_none()
    }
}
