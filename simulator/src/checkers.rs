//! What must hold whatever happens, looked for in the truth after every event.
//!
//! * Capacity: no host's processes, arriving and leaving ones included, exceed what guests may
//!   use, nor do its guests' vCPUs. What people themselves put there is theirs.
//! * One place: no guest runs on two hosts, no two processes write one image, and none is migrated
//!   twice at one time.
//! * Nothing lost: a guest that lived is alive somewhere, unless its host went or its people ended
//!   it; and no process is left behind by a migration that is over.
//! * Intent first: what the world took was in the journal before, and once; nothing was begun to a
//!   host that counted as unreachable; no host was switched off under its guests.
//! * The journal is true when it is written and at the end: a settled move's guest is at its
//!   target, a failed or cancelled one's at its source.
//!
//! After an event only what it touched is looked at, after each tick of the engine everything.
//! A violation is data in the outcome. Never here: mending, or an opinion about the plan.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    DomainState,
    ids::{HostId, OrderId, VmId},
    migration::MoveState,
    ports::{Entry, Order, Record},
    units::{Bytes, Share, Timestamp},
};

use crate::{
    cluster::SimCluster,
    limits::{most_vcpus, usable_memory},
};

mod breach;
mod mirror;

#[cfg(test)]
mod tests;

pub use breach::{Breach, Violation};

use mirror::Mirror;

/// Looks for violations; each is noted once, when it is first seen.
#[derive(Debug, Clone)]
pub(crate) struct Checkers {
    limits: Vec<Bytes>,
    /// Most vCPUs of each host, where the policy limits them.
    vcpu_limits: Option<Vec<u64>>,
    mirror: Mirror,
    lived: Vec<bool>,
    /// When people last changed something on each host, and each guest.
    changed_hosts: BTreeMap<usize, Timestamp>,
    changed_vms: BTreeMap<usize, Timestamp>,
    /// What the journal told so far.
    records_read: usize,
    orders: BTreeMap<OrderId, Order>,
    orders_seen: usize,
    taken: BTreeSet<OrderId>,
    seen: BTreeSet<Breach>,
    found: Vec<Violation>,
}

impl Checkers {
    /// For the cluster as it is. A host that already holds more than `reserve` leaves, or more
    /// vCPUs than `overcommit` times its cores, is held to what it holds.
    pub(crate) fn new(cluster: &SimCluster, reserve: Share, overcommit: Option<f64>) -> Self {
        let world = &cluster.world;
        let mirror = Mirror::of(world);
        let limit = |(index, host): (usize, &crate::world::HostTruth)| {
            usable_memory(host.memory, reserve).max(mirror.memory(index))
        };
        let vcpu_limit = |(index, host): (usize, &crate::world::HostTruth), factor: f64| {
            most_vcpus(host.cpu, factor).max(mirror.vcpus(index))
        };
        let hosts = || world.hosts.iter().enumerate();
        let lives = |vm| mirror.processes(vm).any(|(_, process)| process.state.lives_here());
        Self {
            limits: hosts().map(limit).collect(),
            vcpu_limits: overcommit.map(|f| hosts().map(|host| vcpu_limit(host, f)).collect()),
            lived: (0..mirror.vms()).map(lives).collect(),
            mirror,
            changed_hosts: BTreeMap::new(),
            changed_vms: BTreeMap::new(),
            records_read: 0,
            orders: BTreeMap::new(),
            orders_seen: 0,
            taken: BTreeSet::new(),
            seen: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// Looks at what was touched since the last look.
    pub(crate) fn glance(&mut self, cluster: &mut SimCluster) {
        if cluster.world.touched.is_empty() && cluster.by_people.is_empty() {
            return;
        }
        let touched = std::mem::take(&mut cluster.world.touched);
        for (host, vm) in &touched {
            self.mirror.update(&cluster.world, *host, *vm);
        }
        self.grant_people(cluster);
        for (host, vm) in &touched {
            self.capacity(cluster, *host);
            self.place(cluster, *vm);
        }
        // Its room is used again.
        cluster.world.touched = touched;
        cluster.forget_touched();
    }

    /// What people put on a host themselves is not held against anybody, nor is what was already
    /// on its way there.
    fn grant_people(&mut self, cluster: &SimCluster) {
        for (host, vm) in &cluster.by_people {
            self.changed_hosts.insert(*host, cluster.present());
            self.changed_vms.insert(*vm, cluster.present());
            self.grant(cluster, *host);
        }
    }

    fn grant(&mut self, cluster: &SimCluster, host: usize) {
        let (memory, vcpus) = cluster.coming(host);
        self.limits[host] = self.limits[host].max(self.mirror.memory(host) + memory);
        if let Some(limits) = &mut self.vcpu_limits {
            limits[host] = limits[host].max(self.mirror.vcpus(host).saturating_add(vcpus));
        }
    }

    /// Nor is an order held against the engine that it gave before it could have seen what people
    /// changed.
    fn grant_what_was_not_seen(&mut self, cluster: &SimCluster, order: &Order) {
        let world = &cluster.world;
        let ends = (world.host(&order.from), world.host(&order.to), world.vm(&order.vm));
        let (Some(from), Some(to), Some(vm)) = ends else { return };
        let unseen = |changed: Option<&Timestamp>, host: usize| {
            changed.is_some_and(|at| cluster.seen_at(host) < *at)
        };
        if unseen(self.changed_hosts.get(&to), to) || unseen(self.changed_vms.get(&vm), from) {
            self.grant(cluster, to);
        }
    }

    /// Looks at everything.
    pub(crate) fn look(&mut self, cluster: &mut SimCluster, records: &[Record]) {
        self.glance(cluster);
        debug_assert_eq!(self.mirror, Mirror::of(&cluster.world), "the mirror is true");
        for host in 0..self.mirror.hosts() {
            self.capacity(cluster, host);
        }
        for vm in 0..self.mirror.vms() {
            self.place(cluster, vm);
        }
        let now = cluster.present();
        for vm in cluster.moved_twice_at_once() {
            self.note(now, Breach::MovedTwiceAtOnce { vm: vm.clone() });
        }
        for order in cluster.begun_to_lost() {
            let (order, host) = (order.id.clone(), order.to.clone());
            self.note(now, Breach::BegunToLostHost { order, host });
        }
        for off in cluster.powered_off() {
            let host = cluster.world.hosts[off.host].id.clone();
            self.note(off.at, Breach::PoweredOffGuests { host, guests: off.guests });
        }
        self.read(cluster, records, now);
        self.intents(cluster, now);
    }

    fn capacity(&mut self, cluster: &SimCluster, index: usize) {
        let (now, limit) = (cluster.present(), self.limits[index]);
        let host = || cluster.world.hosts[index].id.clone();
        if self.mirror.memory(index) > limit {
            self.note(now, Breach::MemoryExceeded { host: host(), limit });
        }
        let limit = self.vcpu_limits.as_ref().map(|limits| limits[index]);
        if let Some(limit) = limit.filter(|limit| self.mirror.vcpus(index) > *limit) {
            self.note(now, Breach::VcpusExceeded { host: host(), limit });
        }
    }

    fn place(&mut self, cluster: &SimCluster, index: usize) {
        let (mut lives, mut writes, mut alive) = (0, 0, false);
        let mut left_behind = Vec::new();
        for (host, process) in self.mirror.processes(index) {
            let state = process.state;
            let between = matches!(state, DomainState::Incoming | DomainState::Outgoing);
            if between && !cluster.is_on_its_way(index) {
                left_behind.push(host);
                continue;
            }
            lives += u32::from(state.lives_here());
            writes += u32::from(state == DomainState::Running && cluster.serves(host));
            alive |= state.lives_here() || state == DomainState::Outgoing;
        }
        let (now, world) = (cluster.present(), &cluster.world);
        let vm = || world.vms[index].id.clone();
        for host in left_behind {
            let host = world.hosts[host].id.clone();
            self.note(now, Breach::LeftBehind { vm: vm(), host });
        }
        if lives > 1 {
            self.note(now, Breach::TwoPlaces { vm: vm() });
        }
        if writes > 1 {
            self.note(now, Breach::TwoWriters { vm: vm() });
        }
        if self.lived.len() <= index {
            self.lived.resize(index + 1, false);
        }
        self.lived[index] |= lives > 0;
        let explained = world.vms[index].lost_to_power || cluster.was_ended(index);
        if self.lived[index] && !alive && !explained {
            self.note(now, Breach::Lost { vm: vm() });
        }
    }

    /// Reads what the journal says anew, and compares each outcome with the truth of its moment.
    fn read(&mut self, cluster: &SimCluster, records: &[Record], now: Timestamp) {
        for record in records.iter().skip(self.records_read) {
            match &record.entry {
                Entry::Intended { order, .. } => {
                    self.orders.insert(order.id.clone(), order.clone());
                }
                Entry::Became { id, state, .. } => {
                    let Some(order) = self.orders.get(id).cloned() else { continue };
                    if let Some(host) = claimed(&order, *state) {
                        self.claim(cluster, &order, host, now);
                    }
                }
                _ => {}
            }
        }
        self.records_read = records.len();
    }

    fn claim(&mut self, cluster: &SimCluster, order: &Order, host: &HostId, now: Timestamp) {
        let world = &cluster.world;
        let (Some(vm), Some(place)) = (world.vm(&order.vm), world.host(host)) else { return };
        let state = world.hosts[place].processes.get(&vm);
        let there = state.is_some_and(|state| state.lives_here());
        let explained = world.vms[vm].lost_to_power || cluster.was_ended(vm);
        if !there && !explained && !cluster.was_handled(vm) {
            let host = host.clone();
            self.note(now, Breach::JournalDisagrees { order: order.id.clone(), host });
        }
    }

    fn intents(&mut self, cluster: &SimCluster, now: Timestamp) {
        for order in cluster.taken().skip(self.orders_seen) {
            self.orders_seen += 1;
            self.grant_what_was_not_seen(cluster, order);
            let id = order.id.clone();
            if !self.orders.contains_key(&id) {
                self.note(now, Breach::NoIntent { order: id.clone() });
            }
            if !self.taken.insert(id.clone()) {
                self.note(now, Breach::BegunTwice { order: id });
            }
        }
    }

    /// Compares the journal with the end, and hands over what was found.
    pub(crate) fn finish(mut self, cluster: &mut SimCluster, records: &[Record]) -> Vec<Violation> {
        self.look(cluster, records);
        let now = cluster.present();
        for (order, host) in outcomes(records) {
            self.claim(cluster, order, host, now);
        }
        self.found
    }

    fn note(&mut self, at: Timestamp, breach: Breach) {
        if self.seen.insert(breach.clone()) {
            self.found.push(Violation { at, breach });
        }
    }
}

/// Where a state says that an order's guest is, if it says so.
fn claimed(order: &Order, state: MoveState) -> Option<&HostId> {
    match state {
        MoveState::Settled => Some(&order.to),
        MoveState::Failed | MoveState::Cancelled => Some(&order.from),
        _ => None,
    }
}

/// Where the journal says that guests are now, by the newest order of each that it closes. An
/// unknown outcome claims nothing, and neither does an order that has not ended.
fn outcomes(records: &[Record]) -> Vec<(&Order, &HostId)> {
    let mut orders: BTreeMap<&OrderId, &Order> = BTreeMap::new();
    let mut claims: BTreeMap<&VmId, (&Order, &HostId)> = BTreeMap::new();
    for record in records {
        match &record.entry {
            Entry::Intended { order, .. } => {
                orders.insert(&order.id, order);
                claims.remove(&order.vm);
            }
            Entry::Became { id, state, .. } => {
                let Some(order) = orders.get(id).copied() else { continue };
                if let Some(host) = claimed(order, *state) {
                    claims.insert(&order.vm, (order, host));
                }
            }
            _ => {}
        }
    }
    claims.into_values().collect()
}
