//! What is wrong at the moment: the sum of all faults that are in force.
//!
//! Never here: what follows from it.

use std::collections::BTreeMap;

use whimbrel_core::units::{Span, Timestamp};

use super::observe::Reading;
use crate::fault::Plane;

/// What is wrong at the moment. Hosts and guests are positions in the world.
#[derive(Debug, Clone, Default)]
pub(super) struct Trouble {
    pub(super) hosts: Vec<HostTrouble>,
    /// Partitions in force by their fault: the networks, and the group of each host. Group 0 has
    /// the controller and Ceph.
    pub(super) partitions: BTreeMap<usize, (Vec<Plane>, Vec<usize>)>,
    /// Ceph outages in force.
    pub(super) ceph_outages: u32,
    /// What slow Ceph adds, by fault.
    pub(super) ceph_delays: BTreeMap<usize, Span>,
    /// Wrong readings by fault: guest, percent of its dirty memory, percent of its CPU.
    pub(super) lies: BTreeMap<usize, (usize, u32, u32)>,
    /// Guests that the hypervisor refuses to migrate, and those whose migration stands still.
    pub(super) refusing: Vec<usize>,
    pub(super) sticking: Vec<usize>,
    /// Connections of migrations that are broken at the moment, each with the number of its wait
    /// for the end of patience.
    pub(super) broken: BTreeMap<(usize, Plane), u32>,
    pub(super) waits: u32,
}

/// What is wrong with one host.
#[derive(Debug, Clone, Default)]
pub(super) struct HostTrouble {
    /// Cuts in force, by network.
    pub(super) cuts: [u32; 3],
    pub(super) hangs: u32,
    pub(super) refuses_arrivals: u32,
    pub(super) bmc_refuses: u32,
    pub(super) bmc_ignores: u32,
    /// Its kernel is dead; its power is on.
    pub(super) crashed: bool,
    /// Least age of what is seen of it, by fault.
    pub(super) stale: BTreeMap<usize, Span>,
    /// Readings that are not seen yet, and the one that is; only while it is stale.
    pub(super) late: Vec<Reading>,
    /// Time that it drew power until `power_since`.
    pub(super) powered_for: Span,
    pub(super) power_since: Timestamp,
}

impl Trouble {
    pub(super) fn new(hosts: usize, now: Timestamp) -> Self {
        let calm = HostTrouble { power_since: now, ..HostTrouble::default() };
        Self { hosts: vec![calm; hosts], ..Self::default() }
    }

    /// Whether a host is cut off from a network altogether.
    pub(super) fn is_cut(&self, host: usize, plane: Plane) -> bool {
        self.hosts[host].cuts[plane as usize] > 0
    }

    /// Whether a network leads from a host to the controller and to Ceph.
    pub(super) fn leads_home(&self, host: usize, plane: Plane) -> bool {
        let near = |(planes, groups): &(Vec<Plane>, Vec<usize>)| {
            !planes.contains(&plane) || groups[host] == 0
        };
        !self.is_cut(host, plane) && self.partitions.values().all(near)
    }

    /// Whether a network joins two hosts.
    pub(super) fn joins(&self, one: usize, other: usize, plane: Plane) -> bool {
        let together = |(planes, groups): &(Vec<Plane>, Vec<usize>)| {
            !planes.contains(&plane) || groups[one] == groups[other]
        };
        !self.is_cut(one, plane)
            && !self.is_cut(other, plane)
            && self.partitions.values().all(together)
    }

    /// Whether a host's guests reach their images.
    pub(super) fn serves(&self, host: usize) -> bool {
        self.ceph_outages == 0 && self.leads_home(host, Plane::Storage)
    }

    /// Whether some guests may not reach their images.
    pub(super) fn disturbs_storage(&self) -> bool {
        self.ceph_outages > 0
            || !self.partitions.is_empty()
            || self.hosts.iter().any(|host| host.cuts[Plane::Storage as usize] > 0)
    }

    /// What opening or handing over an image takes longer than usual.
    pub(super) fn image_delay(&self) -> Span {
        self.ceph_delays.values().copied().max().unwrap_or(Span::ZERO)
    }

    /// Least age of what is seen of a host; `None` when it is seen as read.
    pub(super) fn staleness(&self, host: usize) -> Option<Span> {
        self.hosts[host].stale.values().copied().max()
    }
}
