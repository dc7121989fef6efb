//! What hosts may still take under a policy, and places for guests that have none.
//!
//! Memory below the policy's reserve, vCPUs within its overcommitment, and its rules are hard; CPU
//! is not: among hosts that can take a guest the least busy one does. Guests that are placed stay
//! where they are.
//!
//! [`Room::place`] spreads first, the largest guest first. Where that leaves guests without a
//! place, every way of packing them is tried, in bounded time: the answer says whether it is proven.
//!
//! Never here: moves, their order, or what a migration costs; those are the planner's.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use serde::Serialize;
use whimbrel_core::{
    Domain, HostState, Policy, Snapshot,
    ids::{HostId, VmId},
    units::{Bytes, MilliCores},
};

use crate::limits::{most_vcpus, usable_memory};

/// Partial packings that are looked at before the search is given up.
const TRIES_MAX: u32 = 20_000;

/// Guests that are packed in every way; more are only spread.
const PACKED_MAX: usize = 200;

/// Hosts with what they hold and may hold.
#[derive(Debug, Clone)]
pub struct Room<'a> {
    rules: Rc<RoomRules<'a>>,
    hosts: Vec<HostRoom<'a>>,
    /// Where guests are, by position in `hosts`.
    place: BTreeMap<&'a VmId, usize>,
}

#[derive(Debug, Clone)]
pub(super) struct HostRoom<'a> {
    pub(super) id: &'a HostId,
    /// Its position among all hosts of the snapshot.
    number: usize,
    /// Whether it takes guests.
    pub(super) open: bool,
    pub(super) memory_limit: u64,
    pub(super) memory: u64,
    pub(super) vcpus_limit: u64,
    pub(super) vcpus: u64,
    pub(super) cpu: u64,
    pub(super) cpu_used: u64,
}

mod barred;

use barred::RoomRules;

/// Places for guests that had none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Packed {
    /// Guests with the host that takes each.
    pub placed: Vec<(VmId, HostId)>,
    /// Guests that no host takes once the others are placed; empty where everything fits.
    pub homeless: Vec<Homeless>,
    /// Whether it is certain that no packing places all; true where all are placed.
    pub proven: bool,
}

/// A guest without a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Homeless {
    /// The guest.
    pub vm: VmId,
    /// Its memory.
    pub memory: Bytes,
    /// Its vCPUs.
    pub vcpus: u32,
    /// Memory that the host which comes nearest lacks for it.
    pub memory_short: Bytes,
    /// vCPUs that the same host lacks for it.
    pub vcpus_short: u64,
    /// Rules that keep it off hosts, by name.
    pub rules: Vec<String>,
}

impl<'a> Room<'a> {
    /// Of the hosts of `snapshot` that are not `out` of service, with the guests that live there.
    /// Hosts that are not up keep theirs and take no others.
    pub fn new(snapshot: &'a Snapshot, policy: &'a Policy, out: &BTreeSet<HostId>) -> Self {
        let hosts: Vec<HostRoom<'a>> = snapshot
            .hosts
            .iter()
            .enumerate()
            .filter(|(_, (id, _))| !out.contains(*id))
            .map(|(number, (id, host))| {
                let limits = &policy.limits;
                HostRoom {
                    id,
                    number,
                    open: host.state == HostState::Up,
                    memory_limit: usable_memory(host.memory, limits.memory_reserve).get(),
                    memory: 0,
                    vcpus_limit: most_vcpus(host.cpu, limits.cpu_overcommit),
                    vcpus: 0,
                    cpu: host.cpu.get(),
                    cpu_used: 0,
                }
            })
            .collect();
        let index: BTreeMap<&HostId, usize> = hosts.iter().map(|host| host.id).zip(0..).collect();
        let rules = Rc::new(RoomRules::new(policy, snapshot, &hosts));
        let mut room = Self { rules, hosts, place: BTreeMap::new() };
        for domain in snapshot.domains.iter().filter(|d| d.state.lives_here()) {
            if let Some(&host) = index.get(&domain.host) {
                room.put(domain, host);
            }
        }
        // What a host uses beyond its guests stays with it.
        for host in &mut room.hosts {
            let measured = snapshot.hosts.get(host.id).and_then(|host| host.cpu_used);
            host.cpu_used = host.cpu_used.max(measured.unwrap_or_default().get());
        }
        room
    }

    pub(super) fn hosts(&self) -> &[HostRoom<'a>] {
        &self.hosts
    }

    /// Finds places for `guests`, which live nowhere that counts here, and lets them live there.
    pub fn place(&mut self, guests: &[&'a Domain]) -> Packed {
        let mut order: Vec<&'a Domain> = guests.to_vec();
        order.sort_by_key(|guest| (std::cmp::Reverse((guest.memory, guest.vcpus)), &guest.vm));
        let before = self.clone();
        let homeless = self.spread(&order);
        if homeless.is_empty() {
            return self.packed(&order, Vec::new(), true);
        }
        let needed: u128 = order.iter().map(|guest| u128::from(guest.memory.get())).sum();
        let open = before.hosts.iter().filter(|host| host.open);
        if needed > open.map(|host| u128::from(host.memory_free())).sum() {
            return self.packed(&order, homeless, true);
        }
        let mut packing = before;
        let mut tries = if order.len() <= PACKED_MAX { TRIES_MAX } else { 0 };
        if packing.pack(&order, &mut tries) {
            *self = packing;
            return self.packed(&order, Vec::new(), true);
        }
        self.packed(&order, homeless, tries > 0)
    }

    fn packed(&self, guests: &[&Domain], homeless: Vec<Homeless>, proven: bool) -> Packed {
        let place = |guest: &&Domain| {
            let host = self.hosts.get(*self.place.get(&guest.vm)?)?;
            Some((guest.vm.clone(), host.id.clone()))
        };
        let mut placed: Vec<_> = guests.iter().filter_map(place).collect();
        placed.sort();
        Packed { placed, homeless, proven }
    }

    /// Each guest to the least busy host that takes it.
    fn spread(&mut self, order: &[&'a Domain]) -> Vec<Homeless> {
        let mut homeless = Vec::new();
        for guest in order {
            let busy = |host: &HostRoom<'_>| {
                (host.cpu_used + demand(guest).get()) as f64 / host.cpu.max(1) as f64
            };
            let best = (0..self.hosts.len())
                .filter(|&host| self.takes(guest, host))
                .min_by(|&a, &b| busy(&self.hosts[a]).total_cmp(&busy(&self.hosts[b])));
            match best {
                Some(host) => self.put(guest, host),
                None => homeless.push(self.homeless(guest)),
            }
        }
        homeless
    }

    /// Places all of `order`, fullest hosts first, or nothing.
    fn pack(&mut self, order: &[&'a Domain], tries: &mut u32) -> bool {
        let Some((guest, rest)) = order.split_first() else { return true };
        let mut hosts: Vec<usize> =
            (0..self.hosts.len()).filter(|&host| self.takes(guest, host)).collect();
        hosts.sort_by_key(|&host| self.hosts[host].memory_free());
        for host in hosts {
            if *tries == 0 {
                return false;
            }
            *tries -= 1;
            self.put(guest, host);
            if self.pack(rest, tries) {
                return true;
            }
            self.take_away(guest, host);
        }
        false
    }

    /// Whether a host may take `guest` now.
    pub(super) fn takes(&self, guest: &Domain, host: usize) -> bool {
        let Some(one) = self.hosts.get(host).filter(|one| one.open) else { return false };
        let (memory, vcpus) = one.short(guest);
        memory == 0 && vcpus == 0 && self.barred(guest, host).is_none()
    }

    /// The rule that keeps `guest` off a host, if one does.
    fn barred(&self, guest: &Domain, host: usize) -> Option<&'a str> {
        let number = self.hosts.get(host)?.number;
        self.rules.barring(guest, (host, number), self)
    }

    /// What `guest`, which no host takes, lacks where it lacks least.
    pub fn homeless(&self, guest: &Domain) -> Homeless {
        let open = || (0..self.hosts.len()).filter(|&host| self.hosts[host].open);
        let rules: BTreeSet<&str> = open().filter_map(|host| self.barred(guest, host)).collect();
        let allowed = open().filter(|&host| self.barred(guest, host).is_none());
        let nearest = allowed.map(|host| self.hosts[host].short(guest)).min();
        let (memory_short, vcpus_short) = nearest.unwrap_or_default();
        Homeless {
            vm: guest.vm.clone(),
            memory: guest.memory,
            vcpus: guest.vcpus,
            memory_short: Bytes::new(memory_short),
            vcpus_short,
            rules: rules.into_iter().map(str::to_owned).collect(),
        }
    }

    /// Guests that must leave hosts that hold more than they may, and hosts that stay too full
    /// because nobody else has room. The fewest guests leave, of the smallest that do, and none of
    /// those that are `held`.
    pub fn crowded_out(
        &self,
        snapshot: &'a Snapshot,
        held: &BTreeSet<VmId>,
    ) -> (Vec<(VmId, HostId)>, Vec<Homeless>) {
        let (mut leaving, mut stuck) = (Vec::new(), Vec::new());
        let mut room = self.clone();
        for host in 0..self.hosts.len() {
            let here = |d: &&Domain| d.state.lives_here() && d.host == *self.hosts[host].id;
            let mut guests: Vec<&'a Domain> = snapshot.domains.iter().filter(here).collect();
            guests.sort_by_key(|guest| (guest.memory, &guest.vm));
            while let (memory, vcpus) = room.hosts[host].over()
                && (memory > 0 || vcpus > 0)
            {
                let enough = |d: &Domain| d.memory.get() >= memory && u64::from(d.vcpus) >= vcpus;
                let elsewhere = |room: &Self, guest: &Domain| {
                    (0..room.hosts.len()).find(|&to| to != host && room.takes(guest, to))
                };
                // The smallest that is enough, or else the largest.
                let rank = |&at: &usize| {
                    if enough(guests[at]) { (0, at) } else { (1, guests.len() - at) }
                };
                let goes = (0..guests.len())
                    .filter(|&at| !held.contains(&guests[at].vm))
                    .filter(|&at| elsewhere(&room, guests[at]).is_some())
                    .min_by_key(rank);
                let Some(guest) = goes.map(|at| guests.remove(at)) else {
                    stuck.extend(guests.last().map(|guest| Homeless {
                        memory_short: Bytes::new(memory),
                        vcpus_short: vcpus,
                        ..room.homeless(guest)
                    }));
                    break;
                };
                let Some(to) = elsewhere(&room, guest) else { break };
                room.take_away(guest, host);
                room.put(guest, to);
                leaving.push((guest.vm.clone(), self.hosts[host].id.clone()));
            }
        }
        (leaving, stuck)
    }

    fn put(&mut self, guest: &'a Domain, host: usize) {
        let Some(one) = self.hosts.get_mut(host) else { return };
        one.memory = one.memory.saturating_add(guest.memory.get());
        one.vcpus = one.vcpus.saturating_add(guest.vcpus.into());
        one.cpu_used = one.cpu_used.saturating_add(demand(guest).get());
        self.place.insert(&guest.vm, host);
    }

    fn take_away(&mut self, guest: &Domain, host: usize) {
        let Some(one) = self.hosts.get_mut(host) else { return };
        one.memory = one.memory.saturating_sub(guest.memory.get());
        one.vcpus = one.vcpus.saturating_sub(guest.vcpus.into());
        one.cpu_used = one.cpu_used.saturating_sub(demand(guest).get());
        self.place.remove(&guest.vm);
    }
}

impl HostRoom<'_> {
    /// Memory that guests may still have.
    pub(super) fn memory_free(&self) -> u64 {
        self.memory_limit.saturating_sub(self.memory)
    }

    /// vCPUs that guests may still have.
    pub(super) fn vcpus_free(&self) -> u64 {
        self.vcpus_limit.saturating_sub(self.vcpus)
    }

    /// Memory and vCPUs that are missing for `guest`.
    fn short(&self, guest: &Domain) -> (u64, u64) {
        (
            guest.memory.get().saturating_sub(self.memory_free()),
            u64::from(guest.vcpus).saturating_sub(self.vcpus_free()),
        )
    }

    /// Memory and vCPUs above what it may hold.
    fn over(&self) -> (u64, u64) {
        (self.memory.saturating_sub(self.memory_limit), self.vcpus.saturating_sub(self.vcpus_limit))
    }
}

/// CPU that a guest wants; without a reading half of its vCPUs, as the planner takes it.
fn demand(guest: &Domain) -> MilliCores {
    guest.cpu_used.unwrap_or(MilliCores::new(u64::from(guest.vcpus) * 500))
}
