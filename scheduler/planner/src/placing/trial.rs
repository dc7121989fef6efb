//! A room with some machines more on top, to try what fits. The room itself never changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use whimbrel_core::cluster::{HostState, Lack, Needs};

use super::{
    facts,
    room::Room,
    rulebook::{Law, Shift},
    size::Size,
};

/// One machine that needs a host, or several that rules keep together.
#[derive(Debug, Clone, Default)]
pub(super) struct Item {
    /// Of all of them.
    pub(super) size: Size,
    /// Rules that name them; one that names two of them is here twice.
    pub(super) laws: Vec<Law>,
    /// What they need beside memory and vCPUs.
    pub(super) needs: Vec<Arc<Needs>>,
    /// Hosts that they may not have whatever the rules say.
    pub(super) excluded: BTreeSet<usize>,
}

impl Item {
    /// Takes `other` in.
    pub(super) fn join(&mut self, other: Self) {
        self.size = self.size.plus(other.size);
        self.laws.extend(other.laws);
        self.needs.extend(other.needs);
        self.excluded.extend(other.excluded);
    }
}

/// Why a host does not take an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Refusal {
    /// It takes nobody.
    NotUp(&'static str),
    /// It is taken for lost.
    Lost,
    /// The question leaves it out.
    Excluded,
    /// A rule.
    Law(Law),
    /// It lacks something else.
    Lack(Lack),
    /// It has too little left: bytes and vCPUs that are missing, one of them above 0.
    Short { memory: u64, vcpus: u64 },
}

/// A room with arrivals, and hosts that are taken for lost.
#[derive(Debug, Clone)]
pub(super) struct Trial<'a> {
    pub(super) room: &'a Room,
    closed: BTreeSet<usize>,
    came: BTreeMap<usize, Size>,
    came_needs: BTreeMap<usize, Vec<Arc<Needs>>>,
    shift: Shift,
}

impl<'a> Trial<'a> {
    /// The room as it is.
    pub(super) fn new(room: &'a Room) -> Self {
        Self {
            room,
            closed: BTreeSet::new(),
            came: BTreeMap::new(),
            came_needs: BTreeMap::new(),
            shift: Shift::default(),
        }
    }

    /// The room without some hosts and all who are on them.
    pub(super) fn without(room: &'a Room, lost: &[usize]) -> Self {
        let mut trial = Self::new(room);
        for &host in lost {
            trial.closed.insert(host);
            for guest in room.slots[host].guests.iter().filter_map(|&one| room.guest(one)) {
                room.rules.note(&mut trial.shift, &guest.laws, host, -1);
            }
        }
        trial
    }

    /// Memory and vCPUs that are free on `host`.
    pub(super) fn free(&self, host: usize) -> (u64, u64) {
        let free = self.room.slots[host].free();
        self.came.get(&host).map_or(free, |came| {
            (free.0.saturating_sub(came.memory), free.1.saturating_sub(came.vcpus))
        })
    }

    /// What is in use on `host`, with arrivals.
    pub(super) fn used(&self, host: usize) -> Size {
        let used = self.room.slots[host].used;
        self.came.get(&host).map_or(used, |came| used.plus(*came))
    }

    /// Why `host` does not take `item`; `None` where it does.
    pub(super) fn refusal(&self, item: &Item, host: usize) -> Option<Refusal> {
        match self.room.slots[host].state {
            HostState::Up => {}
            HostState::Maintenance => return Some(Refusal::NotUp("in maintenance")),
            HostState::Unreachable => return Some(Refusal::NotUp("unreachable")),
        }
        if self.closed.contains(&host) {
            return Some(Refusal::Lost);
        }
        if item.excluded.contains(&host) {
            return Some(Refusal::Excluded);
        }
        if let Some(law) = self.room.rules.against(&self.shift, &item.laws, host) {
            return Some(Refusal::Law(law));
        }
        if let Some(lack) = self.lack(item, host) {
            return Some(Refusal::Lack(lack));
        }
        let (memory, vcpus) = self.free(host);
        let memory = item.size.memory.saturating_sub(memory);
        let vcpus = item.size.vcpus.saturating_sub(vcpus);
        (memory > 0 || vcpus > 0).then_some(Refusal::Short { memory, vcpus })
    }

    fn lack(&self, item: &Item, host: usize) -> Option<Lack> {
        if item.needs.is_empty() {
            return None;
        }
        let slot = &self.room.slots[host];
        let guests = slot.guests.iter().filter_map(|&guest| self.room.guest(guest));
        let there = guests.filter_map(|guest| guest.needs.as_ref()).chain(&slot.passing_needs);
        let came = self.came_needs.get(&host).into_iter().flatten();
        facts::lack(&slot.offers, &there.chain(came), &item.needs)
    }

    /// What it costs by preference to put `item` on `host`, in guest-seconds.
    pub(super) fn unwelcome(&self, item: &Item, host: usize) -> f64 {
        self.room.rules.unwelcome(&self.shift, &item.laws, host)
    }

    /// Whether `host` takes `item`.
    pub(super) fn takes(&self, item: &Item, host: usize) -> bool {
        let (memory, vcpus) = self.free(host);
        item.size.memory <= memory && item.size.vcpus <= vcpus && self.refusal(item, host).is_none()
    }

    /// `item` comes to `host`.
    pub(super) fn put(&mut self, item: &Item, host: usize) {
        let came = self.came.entry(host).or_default();
        *came = came.plus(item.size);
        if !item.needs.is_empty() {
            self.came_needs.entry(host).or_default().extend(item.needs.iter().cloned());
        }
        self.room.rules.note(&mut self.shift, &item.laws, host, 1);
    }

    /// `item`, which came to `host`, goes again.
    pub(super) fn take_back(&mut self, item: &Item, host: usize) {
        if let Some(came) = self.came.get_mut(&host) {
            *came = came.minus(item.size);
            for needs in &item.needs {
                let here = self.came_needs.entry(host).or_default();
                if let Some(at) = here.iter().position(|one| Arc::ptr_eq(one, needs)) {
                    here.swap_remove(at);
                }
            }
            self.room.rules.note(&mut self.shift, &item.laws, host, -1);
        }
    }

    /// The host with the most free memory of those that take `item`, the last of equals.
    pub(super) fn roomiest(&self, item: &Item) -> Option<usize> {
        let listed = self.room.by_free[0].range((item.size.memory, 0)..).rev();
        let as_it_was = listed
            .copied()
            .find(|(_, host)| !self.came.contains_key(host) && self.takes(item, *host));
        let changed = self.came.keys().filter(|&&host| self.takes(item, host));
        let changed = changed.map(|&host| (self.free(host).0, host)).max();
        as_it_was.into_iter().chain(changed).max().map(|(_, host)| host)
    }

    /// The host that takes `item` and keeps the least of what is scarce: memory (`scarce` 0) or
    /// vCPUs (1). In the time of a few look-ups where the first hosts that are large enough do.
    pub(super) fn tightest(&self, item: &Item, scarce: Scarce) -> Option<usize> {
        let which = |(memory, vcpus): (u64, u64)| match scarce {
            Scarce::Memory => memory,
            Scarce::Vcpus => vcpus,
        };
        let need = which((item.size.memory, item.size.vcpus));
        let listed = &self.room.by_free[usize::from(scarce == Scarce::Vcpus)];
        let as_it_was = listed
            .range((need, 0)..)
            .find(|(_, host)| !self.came.contains_key(host) && self.takes(item, *host));
        let changed = self.came.keys().filter(|&&host| self.takes(item, host));
        let changed = changed.map(|&host| (which(self.free(host)), host)).min();
        as_it_was.copied().into_iter().chain(changed).min().map(|(_, host)| host)
    }
}

/// What a host should keep little of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scarce {
    Memory,
    Vcpus,
}
