//! Who is where at one moment, with the sums that change by one move in moments.

use whimbrel_core::units::Bytes;

use super::{
    Group, View,
    equipment::Equipment,
    tally::{Tally, When},
};

/// Who is where at one moment, with sums.
#[derive(Clone)]
pub(crate) struct Occupancy {
    pub(crate) place: Vec<usize>,
    memory: Vec<u64>,
    vcpus: Vec<u64>,
    /// CPU demand in cores.
    demand: Vec<f64>,
    tally: Tally,
    equipment: Equipment,
}

impl Occupancy {
    /// Under `place`.
    pub(crate) fn new(view: &View<'_>, place: &[usize]) -> Self {
        let mut occupancy = Self {
            place: place.to_vec(),
            memory: view.hosts.iter().map(|host| host.passing.0).collect(),
            vcpus: view.hosts.iter().map(|host| host.passing.1).collect(),
            demand: view.hosts.iter().map(|host| host.base_cores).collect(),
            tally: Tally::new(view),
            equipment: Equipment::new(view),
        };
        for (vm, &host) in place.iter().enumerate() {
            occupancy.add(view, vm, host);
        }
        occupancy
    }

    /// Counts `vm` on `host` too, wherever else it is.
    pub(crate) fn add(&mut self, view: &View<'_>, vm: usize, host: usize) {
        let one = &view.vms[vm];
        self.memory[host] = self.memory[host].saturating_add(one.memory());
        self.vcpus[host] = self.vcpus[host].saturating_add(one.vcpus());
        self.demand[host] += one.demand_cores;
        self.tally.add(view, vm, host);
        self.equipment.add(&one.domain.needs, host);
    }

    /// Counts `vm` no longer on `host`.
    pub(crate) fn remove(&mut self, view: &View<'_>, vm: usize, host: usize) {
        let one = &view.vms[vm];
        self.memory[host] = self.memory[host].saturating_sub(one.memory());
        self.vcpus[host] = self.vcpus[host].saturating_sub(one.vcpus());
        self.demand[host] -= one.demand_cores;
        self.tally.remove(view, vm, host);
        self.equipment.remove(&one.domain.needs, host);
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

    /// The hard rule that `vm` would break by being on `host` at the end, if any; without rules of
    /// single VMs and hosts and those that keep VMs on one host.
    pub(crate) fn clash<'a>(&self, view: &View<'a>, vm: usize, host: usize) -> Option<&'a str> {
        self.tally.clash(view, vm, (self.place[vm], host), When::End)
    }

    /// Whether `vm` may arrive on `host` at this moment, whether or not it may stay.
    pub(crate) fn takes(&self, view: &View<'_>, vm: usize, host: usize) -> bool {
        self.has_room(view, vm, host)
            && view.may_pass(vm, host)
            && self.tally.clash(view, vm, (self.place[vm], host), When::Now).is_none()
    }

    /// Whether `vm` may come to `host` and stay there.
    pub(crate) fn keeps(&self, view: &View<'_>, vm: usize, host: usize) -> bool {
        self.has_room(view, vm, host)
            && view.ban(vm, host).is_none()
            && self.clash(view, vm, host).is_none()
    }

    fn has_room(&self, view: &View<'_>, vm: usize, host: usize) -> bool {
        let one = &view.vms[vm];
        view.up(host)
            && self.within(view, host, (one.memory(), one.vcpus()))
            && self.equips(view, vm, host)
    }

    /// Whether `host` has the huge pages and the NUMA node that `vm` needs beside those on it.
    pub(crate) fn equips(&self, view: &View<'_>, vm: usize, host: usize) -> bool {
        let needs = &view.vms[vm].domain.needs;
        needs.is_empty() || self.equipment.takes(view, needs, host)
    }

    /// Whether `host`, with `vm` on it, is within its limits and has what `vm` needs beside the
    /// others.
    pub(crate) fn sound(&self, view: &View<'_>, vm: usize, host: usize) -> bool {
        self.within(view, host, (0, 0))
            && (view.vms[vm].domain.needs.is_empty() || self.equipment.holds(view, host))
    }

    /// A rule, hard or a preference, that `vm` has a part in breaking where it is.
    pub(crate) fn grievance<'a>(&self, view: &View<'a>, vm: usize) -> Option<&'a str> {
        let host = self.place[vm];
        let single = || view.ban(vm, host).or_else(|| view.dislike(vm, host));
        single().or_else(|| self.tally.grievance(view, vm, host))
    }

    /// Whether everybody on `host` who needs one NUMA node has one.
    pub(crate) fn has_nodes(&self, view: &View<'_>, host: usize) -> bool {
        self.equipment.has_node(view, host, None)
    }

    /// What breaches cost more when `vm` goes to `host`, in guest-seconds; without rules of single
    /// VMs and hosts and those that keep VMs on one host.
    pub(crate) fn rule_change(&self, view: &View<'_>, vm: usize, host: usize) -> f64 {
        self.tally.change(view, vm, (self.place[vm], host))
    }

    /// Every group with how often it is broken; without those that keep VMs on one host.
    pub(crate) fn breaches<'b, 'a>(
        &'b self,
        view: &'b View<'a>,
    ) -> impl Iterator<Item = (&'b Group<'a>, usize)> + 'b {
        self.tally.breaches(view)
    }

    /// Bytes that guests hold on `host` in huge pages of `size`.
    pub(crate) fn huge_pages(&self, host: usize, size: Bytes) -> u64 {
        self.equipment.pages(host, size)
    }

    /// How many VMs of each rule are where.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }
}
