//! What is free on every host, kept up to date by single changes.
//!
//! Built once from a snapshot and a policy; a machine that comes, goes or moves changes a few sums
//! in the time of some look-ups. All sums are whole numbers, so that a room that was kept up to
//! date equals one that is built anew. Chooses nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use thiserror::Error;
use whimbrel_core::{
    cluster::{HostState, Needs, Offers, Snapshot},
    ids::{HostId, VmId},
    policy::Policy,
    units::Share,
};

use super::{
    rulebook::{Law, Rulebook},
    size::{Size, parts},
    trial::Item,
};
use crate::{contention::Contention, failure::Unsound, validate, view::View};

/// A host with its limits and sums.
#[derive(Debug, Clone)]
pub(super) struct Slot {
    pub(super) id: HostId,
    pub(super) state: HostState,
    /// Before the reserve.
    memory_all: u64,
    /// Bytes that guests may have.
    pub(super) memory_limit: u64,
    /// vCPUs that guests may have.
    pub(super) vcpu_limit: u64,
    /// CPU in cores.
    pub(super) cores: f64,
    /// What is in use, by guests and by anything else.
    pub(super) used: Size,
    pub(super) guests: BTreeSet<usize>,
    pub(super) offers: Offers,
    /// What machines need that pass by on migrations.
    pub(super) passing_needs: Vec<Arc<Needs>>,
}

/// A machine that has a host.
#[derive(Debug, Clone)]
pub(super) struct Guest {
    pub(super) name: VmId,
    pub(super) size: Size,
    pub(super) host: usize,
    pub(super) laws: Vec<Law>,
    /// What it needs beside memory and vCPUs; nothing is known where absent.
    pub(super) needs: Option<Arc<Needs>>,
}

impl Guest {
    /// As something that needs a host.
    pub(super) fn item(&self) -> Item {
        Item {
            size: self.size,
            laws: self.laws.clone(),
            needs: self.needs.iter().cloned().collect(),
            excluded: BTreeSet::new(),
        }
    }
}

/// What is free on every host under one policy.
#[derive(Debug, Clone)]
pub struct Room {
    pub(super) slots: Vec<Slot>,
    index: BTreeMap<HostId, usize>,
    guests: Vec<Option<Guest>>,
    /// Numbers of guests that left.
    vacant: Vec<usize>,
    names: BTreeMap<VmId, usize>,
    pub(super) rules: Rulebook,
    pub(super) contention: Contention,
    /// How long load is expected to last: what scores are counted over.
    pub(super) horizon_seconds: f64,
    /// Hosts that are up, by free memory and by free vCPUs.
    pub(super) by_free: [BTreeSet<(u64, usize)>; 2],
}

/// Why there is no room to ask, or why a change of it is refused.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RoomError {
    /// The cluster cannot be judged under the policy, for whatever is asked.
    #[error(transparent)]
    Unsound(#[from] Unsound),
    /// No such host.
    #[error("host {0} is not in the cluster (hint: whimbrel inventory lists the hosts)")]
    UnknownHost(HostId),
    /// No such machine.
    #[error("domain {0} is not in the cluster (hint: whimbrel inventory lists the domains)")]
    UnknownVm(VmId),
    /// A machine of this name exists.
    #[error("domain {vm} exists already, on host {host} (hint: choose another name)")]
    Exists {
        /// The machine.
        vm: VmId,
        /// Where it is.
        host: HostId,
    },
}

/// `needs`, where there are any.
fn known(needs: &Needs) -> Option<Arc<Needs>> {
    (!needs.is_empty()).then(|| Arc::new(needs.clone()))
}

impl Slot {
    /// Memory and vCPUs that are free under the limits.
    pub(super) fn free(&self) -> (u64, u64) {
        let (memory, vcpus) = (self.used.memory, self.used.vcpus);
        (self.memory_limit.saturating_sub(memory), self.vcpu_limit.saturating_sub(vcpus))
    }
}

impl Room {
    /// Of what was observed, under `policy`.
    ///
    /// # Errors
    /// [`RoomError`] where the snapshot gives a machine no single place, or the policy cannot hold.
    pub fn new(snapshot: &Snapshot, policy: &Policy) -> Result<Self, RoomError> {
        let view = validate::sound(snapshot, policy)?;
        Ok(Self::at(&view, &view.present(), snapshot))
    }

    /// Of `view`, which is of `snapshot`, with every machine where `place` says. Hosts and machines keep their numbers.
    pub(crate) fn at(view: &View<'_>, place: &[usize], snapshot: &Snapshot) -> Self {
        let index: BTreeMap<HostId, usize> =
            view.hosts.iter().map(|host| host.id.clone()).zip(0..).collect();
        let slots = view.hosts.iter().map(|host| {
            let (memory, vcpus) = host.passing();
            Slot {
                id: host.id.clone(),
                state: host.host.state,
                memory_all: host.host.memory.get(),
                memory_limit: host.memory_limit,
                vcpu_limit: host.vcpu_limit as u64,
                cores: host.cores,
                used: Size { memory, vcpus, demand: parts(host.base_cores) },
                guests: BTreeSet::new(),
                offers: host.host.offers.clone(),
                passing_needs: host
                    .passing_guests()
                    .1
                    .iter()
                    .filter_map(|one| known(one))
                    .collect(),
            }
        });
        let mut room = Self {
            slots: slots.collect(),
            rules: Rulebook::new(view.policy, snapshot),
            index,
            guests: Vec::with_capacity(view.vms.len()),
            vacant: Vec::new(),
            names: BTreeMap::new(),
            contention: Contention::of(&view.policy.balance),
            horizon_seconds: view.policy.balance.horizon.as_seconds_f64(),
            by_free: [BTreeSet::new(), BTreeSet::new()],
        };
        room.list_free();
        for (vm, &host) in view.vms.iter().zip(place) {
            let demand = parts(vm.demand_cores);
            let size = Size { memory: vm.memory(), vcpus: vm.vcpus(), demand };
            room.enter(Some(&vm.domain.vm), size, known(&vm.domain.needs), host);
        }
        for (vm, &host) in &view.arriving {
            let laws = room.rules.of(vm).to_vec();
            room.rules.count(&laws, host);
        }
        for (host, one) in view.hosts.iter().enumerate() {
            (0..one.passing_guests().0).for_each(|_| room.rules.pass(host));
        }
        room
    }

    /// The same with other limits: `reserve` of each host's memory kept free, `cpu_overcommit`
    /// vCPUs for each core.
    #[must_use]
    pub fn with_limits(&self, reserve: Share, cpu_overcommit: f64) -> Self {
        let mut room = self.clone();
        for slot in &mut room.slots {
            slot.memory_limit = (slot.memory_all as f64 * (1.0 - reserve.get())) as u64;
            slot.vcpu_limit = (slot.cores * cpu_overcommit) as u64;
        }
        room.list_free();
        room
    }

    fn list_free(&mut self) {
        let up = || self.slots.iter().enumerate().filter(|(_, one)| one.state == HostState::Up);
        let by_memory = up().map(|(host, one)| (one.free().0, host)).collect();
        let by_vcpus = up().map(|(host, one)| (one.free().1, host)).collect();
        self.by_free = [by_memory, by_vcpus];
    }

    /// A machine of `size` is on `host` now.
    ///
    /// # Errors
    /// [`RoomError`] where the host is unknown or the machine known.
    pub fn add(&mut self, vm: &VmId, size: Size, host: &HostId) -> Result<(), RoomError> {
        let host = self.number_of(host)?;
        if let Some(guest) = self.names.get(vm).and_then(|&guest| self.guest(guest)) {
            let host = self.slots[guest.host].id.clone();
            return Err(RoomError::Exists { vm: vm.clone(), host });
        }
        self.enter(Some(vm), size, None, host);
        Ok(())
    }

    /// A machine has ended.
    ///
    /// # Errors
    /// [`RoomError`] where it is unknown.
    pub fn remove(&mut self, vm: &VmId) -> Result<(), RoomError> {
        let unknown = || RoomError::UnknownVm(vm.clone());
        let guest = self.names.get(vm).copied().ok_or_else(unknown)?;
        self.leave(guest);
        Ok(())
    }

    /// A machine is on `host` now.
    ///
    /// # Errors
    /// [`RoomError`] where one of the two is unknown.
    pub fn shift(&mut self, vm: &VmId, host: &HostId) -> Result<(), RoomError> {
        let unknown = || RoomError::UnknownVm(vm.clone());
        let host = self.number_of(host)?;
        let guest = self.names.get(vm).copied().ok_or_else(unknown)?;
        self.shift_guest(guest, host);
        Ok(())
    }

    /// The machine with this number is on `host` now; it keeps its number.
    pub(crate) fn shift_guest(&mut self, number: usize, host: usize) {
        let Some(Guest { name, size, needs, .. }) = self.guest(number).cloned() else { return };
        let named = self.names.get(&name) == Some(&number);
        self.leave(number);
        self.enter(named.then_some(&name), size, needs, host);
    }

    /// # Errors
    /// [`RoomError::UnknownHost`].
    pub(super) fn number_of(&self, host: &HostId) -> Result<usize, RoomError> {
        self.index.get(host).copied().ok_or_else(|| RoomError::UnknownHost(host.clone()))
    }

    /// Where the machine is.
    pub fn host_of(&self, vm: &VmId) -> Option<&HostId> {
        let guest = self.guest(*self.names.get(vm)?)?;
        self.slots.get(guest.host).map(|slot| &slot.id)
    }

    pub(super) fn guest(&self, number: usize) -> Option<&Guest> {
        self.guests.get(number).and_then(Option::as_ref)
    }

    /// The largest limits of any host that is up.
    pub(super) fn largest(&self) -> Size {
        let up = || self.slots.iter().filter(|slot| slot.state == HostState::Up);
        let memory = up().map(|slot| slot.memory_limit).max().unwrap_or(0);
        let vcpus = up().map(|slot| slot.vcpu_limit).max().unwrap_or(0);
        Size { memory, vcpus, demand: 0 }
    }

    /// Memory in bytes and vCPUs that are free on all hosts that are up.
    pub(super) fn free_in_all(&self) -> (u64, u64) {
        let up = self.slots.iter().filter(|slot| slot.state == HostState::Up);
        up.map(Slot::free)
            .fold((0, 0), |sum, free| (sum.0.saturating_add(free.0), sum.1.saturating_add(free.1)))
    }

    /// A machine comes to `host`; its number. A newly left number is given again.
    pub(super) fn enter(
        &mut self,
        vm: Option<&VmId>,
        size: Size,
        needs: Option<Arc<Needs>>,
        host: usize,
    ) -> usize {
        let laws = vm.map_or(Vec::new(), |vm| self.rules.of(vm).to_vec());
        self.rules.arrive(&laws, host);
        let name = vm.cloned().unwrap_or_else(VmId::unnamed);
        let guest = Guest { name, size, host, laws, needs };
        let number = self.vacant.pop().unwrap_or(self.guests.len());
        if number == self.guests.len() {
            self.guests.push(Some(guest));
        } else {
            self.guests[number] = Some(guest);
        }
        if let Some(vm) = vm {
            self.names.insert(vm.clone(), number);
        }
        self.slots[host].guests.insert(number);
        self.resize(host, |used| used.plus(size));
        number
    }

    /// The machine with this number goes.
    pub(super) fn leave(&mut self, number: usize) {
        let Some(guest) = self.guests.get_mut(number).and_then(Option::take) else { return };
        self.vacant.push(number);
        if self.names.get(&guest.name) == Some(&number) {
            self.names.remove(&guest.name);
        }
        self.rules.leave(&guest.laws, guest.host);
        self.slots[guest.host].guests.remove(&number);
        self.resize(guest.host, |used| used.minus(guest.size));
    }

    fn resize(&mut self, host: usize, change: impl Fn(Size) -> Size) {
        let slot = &mut self.slots[host];
        let before = slot.free();
        slot.used = change(slot.used);
        if slot.state == HostState::Up {
            let after = slot.free();
            self.by_free[0].remove(&(before.0, host));
            self.by_free[0].insert((after.0, host));
            self.by_free[1].remove(&(before.1, host));
            self.by_free[1].insert((after.1, host));
        }
    }
}
