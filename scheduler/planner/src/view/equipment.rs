//! Huge pages and NUMA nodes of hosts, and the guests that hold them.
//!
//! Huge pages are added up. Guests that need one NUMA node are put on nodes one by one, the largest
//! first, each on the fullest node that holds it: where that fails the host is taken to be full,
//! although another order might fit.
//!
//! Never here: what a host lacks for a guest even if nobody else were there.

use std::{cmp::Reverse, collections::BTreeMap};

use whimbrel_core::{
    cluster::{Needs, NumaNode},
    units::Bytes,
};

use super::{HostView, View};

/// What is held of each host.
#[derive(Clone)]
pub(super) struct Equipment {
    /// Bytes in huge pages, by size of the page.
    pages: Vec<BTreeMap<Bytes, u64>>,
    /// What guests hold of one node each.
    bound: Vec<Vec<NumaNode>>,
}

impl HostView<'_> {
    /// What those who pass by on migrations outside the plan hold of one NUMA node each.
    pub(crate) fn passing_nodes(&self) -> Vec<NumaNode> {
        self.passing_needs.iter().filter_map(|needs| needs.one_node).collect()
    }
}

impl Equipment {
    /// With nobody but those who pass by on migrations outside the plan.
    pub(super) fn new(view: &View<'_>) -> Self {
        let hosts = view.hosts.len();
        let mut held = Self { pages: vec![BTreeMap::new(); hosts], bound: vec![Vec::new(); hosts] };
        for (host, one) in view.hosts.iter().enumerate() {
            one.passing_needs.iter().for_each(|needs| held.add(needs, host));
        }
        held
    }

    /// Somebody with `needs` comes to `host`.
    pub(super) fn add(&mut self, needs: &Needs, host: usize) {
        for (size, bytes) in &needs.huge_pages {
            let held = self.pages[host].entry(*size).or_default();
            *held = held.saturating_add(bytes.get());
        }
        self.bound[host].extend(needs.one_node);
    }

    /// Somebody with `needs` leaves `host`.
    pub(super) fn remove(&mut self, needs: &Needs, host: usize) {
        for (size, bytes) in &needs.huge_pages {
            let held = self.pages[host].entry(*size).or_default();
            *held = held.saturating_sub(bytes.get());
        }
        if let Some(own) = needs.one_node
            && let Some(at) = self.bound[host].iter().position(|node| *node == own)
        {
            self.bound[host].swap_remove(at);
        }
    }

    /// Bytes held on `host` in huge pages of `size`.
    pub(super) fn pages(&self, host: usize, size: Bytes) -> u64 {
        self.pages[host].get(&size).copied().unwrap_or(0)
    }

    /// Whether `host` has what its guests and one more with `needs` hold together, as far as that
    /// one's needs are concerned.
    pub(super) fn takes(&self, view: &View<'_>, needs: &Needs, host: usize) -> bool {
        let offers = &view.hosts[host].host.offers;
        let enough = |(size, bytes): (&Bytes, &Bytes)| {
            let held = self.pages[host].get(size).copied().unwrap_or(0);
            offers.huge_pages.as_ref().is_none_or(|pages| {
                pages.get(size).is_some_and(|all| held.saturating_add(bytes.get()) <= all.get())
            })
        };
        needs.huge_pages.iter().all(enough)
            && needs
                .one_node
                .is_none_or(|own| offers.numa.is_empty() || self.has_node(view, host, Some(own)))
    }

    /// Whether `host` has what its guests hold together.
    pub(super) fn holds(&self, view: &View<'_>, host: usize) -> bool {
        let offers = &view.hosts[host].host.offers;
        let enough = |(size, held): (&Bytes, &u64)| {
            let all = offers.huge_pages.as_ref().and_then(|pages| pages.get(size));
            offers.huge_pages.is_none() || *held <= all.map_or(0, |all| all.get())
        };
        self.pages[host].iter().all(enough)
            && (offers.numa.is_empty() || self.has_node(view, host, None))
    }

    /// Whether everybody on `host` who needs a NUMA node has one, and so would `more`.
    pub(super) fn has_node(&self, view: &View<'_>, host: usize, more: Option<NumaNode>) -> bool {
        let guests = self.bound[host].iter().copied().chain(more).collect();
        nodes_hold(view.hosts[host].host.offers.numa.clone(), guests)
    }
}

/// Whether each of `guests` finds a node in `free`.
pub(crate) fn nodes_hold(mut free: Vec<NumaNode>, mut guests: Vec<NumaNode>) -> bool {
    guests.sort_unstable_by_key(|guest| Reverse((guest.memory, guest.cpus)));
    guests.into_iter().all(|guest| {
        let fullest = free.iter_mut().filter(|node| node.holds(guest));
        let Some(node) = fullest.min_by_key(|node| node.memory) else { return false };
        node.memory = node.memory.saturating_sub(guest.memory);
        node.cpus = node.cpus.saturating_sub(guest.cpus);
        true
    })
}
