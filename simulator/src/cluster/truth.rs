//! What the checkers and the outcome ask of the truth. The engine never sees this.
//!
//! Never here: change.

use std::collections::BTreeMap;

use whimbrel_core::{
    ids::VmId,
    ports::Order,
    units::{Bytes, Span, Timestamp},
};

use super::{PoweredOff, SimCluster};

impl SimCluster {
    /// Orders that the world took, in the order of their begin; one may be in it twice.
    pub(crate) fn taken(&self) -> impl Iterator<Item = &Order> {
        self.migrations.iter().map(|migration| &migration.order)
    }

    /// Memory and vCPUs that migrations under way will bring to `host` and that are not there yet.
    pub(crate) fn coming(&self, host: usize) -> (Bytes, u64) {
        let (mut memory, mut vcpus) = (Bytes::ZERO, 0u64);
        for index in self.active.iter().filter(|index| self.migrations[**index].to == host) {
            let vm = self.migrations[*index].vm;
            let guest = &self.world.vms[vm];
            if !self.world.hosts[host].processes.contains_key(&vm) {
                memory += guest.memory;
            }
            vcpus = vcpus.saturating_add(u64::from(guest.vcpus));
        }
        (memory, vcpus)
    }

    /// The present.
    pub(crate) fn present(&self) -> Timestamp {
        self.agenda.now()
    }

    /// Whether people ended `vm`.
    pub(crate) fn was_ended(&self, vm: usize) -> bool {
        self.ended.contains(&vm)
    }

    /// Whether people started or stopped `vm` by hand.
    pub(crate) fn was_handled(&self, vm: usize) -> bool {
        self.by_hand.contains(&vm)
    }

    /// Hosts that the engine had switched off while guests ran on them.
    pub(crate) fn powered_off(&self) -> &[PoweredOff] {
        &self.powered_off
    }

    /// Orders that were taken although their target counted as unreachable.
    pub(crate) fn begun_to_lost(&self) -> impl Iterator<Item = &Order> {
        self.begun_to_lost.iter().map(|index| &self.migrations[*index].order)
    }

    /// Whether a host's guests reach their images.
    pub(crate) fn serves(&self, host: usize) -> bool {
        self.trouble.serves(host)
    }

    /// How long each guest's I/O stood still, where it did.
    pub(crate) fn stalled(&self) -> BTreeMap<VmId, Span> {
        let mut stalled = self.stalled_for.clone();
        for (vm, since) in &self.stalled_since {
            *stalled.entry(*vm).or_default() += self.agenda.now().since(*since);
        }
        stalled.into_iter().map(|(vm, span)| (self.world.vms[vm].id.clone(), span)).collect()
    }

    /// Guests of which more than one migration is under way.
    pub(crate) fn moved_twice_at_once(&self) -> impl Iterator<Item = &VmId> {
        let twice = |(place, index): (usize, &usize)| {
            let vm = self.migrations[*index].vm;
            let doubled = self.active[..place].iter().any(|other| self.migrations[*other].vm == vm);
            doubled.then_some(&self.world.vms[vm].id)
        };
        self.active.iter().enumerate().filter_map(twice)
    }

    /// Whether `vm` is between its source and its target.
    pub(crate) fn is_on_its_way(&self, vm: usize) -> bool {
        self.active.iter().any(|index| self.migrations[*index].vm == vm)
    }
}
