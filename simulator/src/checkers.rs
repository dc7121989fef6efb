//! What must hold whatever happens, looked for in the truth after every tick of the engine.
//!
//! * Memory: no host's processes, arriving and leaving ones included, exceed what guests may use.
//! * One place: no guest runs on two hosts, and none is migrated twice at one time.
//! * Nothing lost: a guest that lived is alive somewhere, unless its host's power went; and no
//!   process is left behind by a migration that is over.
//! * Intent first: what the world took was in the journal before, and once.
//! * The journal is true at the end: a settled move's guest is at its target, a failed or
//!   cancelled one's at its source.
//!
//! A violation is data in the outcome. Never here: mending, or an opinion about the plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;
use whimbrel_core::{
    DomainState,
    ids::{HostId, OrderId, VmId},
    migration::MoveState,
    ports::{Entry, Order, Record},
    units::{Bytes, Share, Timestamp},
};

use crate::cluster::SimCluster;

/// Something that must never happen, and did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Violation {
    /// When it was first seen.
    pub at: Timestamp,
    /// What.
    pub breach: Breach,
}

/// What must never happen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "breach", rename_all = "kebab-case")]
pub enum Breach {
    /// A host holds more than its guests may use.
    MemoryExceeded {
        /// The host.
        host: HostId,
        /// What its guests may use.
        limit: Bytes,
    },
    /// A guest runs on more than one host.
    TwoPlaces {
        /// The guest.
        vm: VmId,
    },
    /// A guest is alive nowhere and no power cut explains it.
    Lost {
        /// The guest.
        vm: VmId,
    },
    /// A process that waits for a migration, or has left in one, although none is under way.
    LeftBehind {
        /// The guest.
        vm: VmId,
        /// Where the process is.
        host: HostId,
    },
    /// Two migrations of one guest were under way at one time.
    MovedTwiceAtOnce {
        /// The guest.
        vm: VmId,
    },
    /// The world was asked for an order more than once and took it.
    BegunTwice {
        /// The order.
        order: OrderId,
    },
    /// The world took an order whose intent is not in the journal.
    NoIntent {
        /// The order.
        order: OrderId,
    },
    /// The journal says that a guest is on a host where it does not run.
    JournalDisagrees {
        /// The order whose outcome the journal states.
        order: OrderId,
        /// Where its guest should be.
        host: HostId,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemoryExceeded { host, limit } => {
                write!(f, "{host} held more than its {} for guests", limit.human())
            }
            Self::TwoPlaces { vm } => write!(f, "{vm} ran in two places"),
            Self::Lost { vm } => write!(f, "{vm} was lost"),
            Self::LeftBehind { vm, host } => {
                write!(f, "a process of {vm} was left behind on {host}")
            }
            Self::MovedTwiceAtOnce { vm } => write!(f, "{vm} was migrated twice at one time"),
            Self::BegunTwice { order } => write!(f, "order {order} was begun twice"),
            Self::NoIntent { order } => write!(f, "order {order} was begun before it was written"),
            Self::JournalDisagrees { order, host } => {
                write!(f, "the journal puts the guest of order {order} on {host}, it is not there")
            }
        }
    }
}

/// Looks for violations; each is noted once, when it is first seen.
#[derive(Debug, Clone)]
pub(crate) struct Checkers {
    limits: Vec<Bytes>,
    lived: Vec<bool>,
    seen: BTreeSet<Breach>,
    found: Vec<Violation>,
}

impl Checkers {
    /// For the cluster as it is. A host that already holds more than `reserve` leaves is held to
    /// what it holds.
    pub(crate) fn new(cluster: &SimCluster, reserve: Share) -> Self {
        let world = &cluster.world;
        let limit = |(index, host): (usize, &crate::world::HostTruth)| {
            let usable = Bytes::new((host.memory.as_f64() * (1.0 - reserve.get())) as u64);
            usable.max(world.memory_used(index))
        };
        let lives = |vm| world.hosts.iter().any(|h| is_at(h.processes.get(&vm)));
        Self {
            limits: world.hosts.iter().enumerate().map(limit).collect(),
            lived: (0..world.vms.len()).map(lives).collect(),
            seen: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    /// Looks at the present.
    pub(crate) fn look(&mut self, cluster: &SimCluster, now: Timestamp) {
        let world = &cluster.world;
        let mut places = vec![0u32; world.vms.len()];
        let mut alive = vec![false; world.vms.len()];
        for (index, host) in world.hosts.iter().enumerate() {
            if world.memory_used(index) > self.limits[index] {
                let limit = self.limits[index];
                self.note(now, Breach::MemoryExceeded { host: host.id.clone(), limit });
            }
            for (&vm, &state) in &host.processes {
                let between = matches!(state, DomainState::Incoming | DomainState::Outgoing);
                if between && !cluster.is_on_its_way(vm) {
                    let (vm, host) = (world.vms[vm].id.clone(), host.id.clone());
                    self.note(now, Breach::LeftBehind { vm, host });
                    continue;
                }
                places[vm] += u32::from(state.lives_here());
                alive[vm] |= state.lives_here() || state == DomainState::Outgoing;
            }
        }
        for (vm, truth) in world.vms.iter().enumerate() {
            if places[vm] > 1 {
                self.note(now, Breach::TwoPlaces { vm: truth.id.clone() });
            }
            if self.lived[vm] && !alive[vm] && !truth.lost_to_power {
                self.note(now, Breach::Lost { vm: truth.id.clone() });
            }
        }
        for vm in cluster.moved_twice_at_once() {
            self.note(now, Breach::MovedTwiceAtOnce { vm: vm.clone() });
        }
    }

    /// Compares the journal with the end, and hands over what was found.
    pub(crate) fn finish(
        mut self,
        cluster: &SimCluster,
        records: &[Record],
        now: Timestamp,
    ) -> Vec<Violation> {
        self.look(cluster, now);
        self.intents(cluster, records, now);
        for (order, host) in outcomes(records) {
            let world = &cluster.world;
            let (Some(vm), Some(place)) = (world.vm(&order.vm), world.host(host)) else { continue };
            let there = is_at(world.hosts[place].processes.get(&vm));
            if !there && !world.vms[vm].lost_to_power {
                let host = host.clone();
                self.note(now, Breach::JournalDisagrees { order: order.id.clone(), host });
            }
        }
        self.found
    }

    fn intents(&mut self, cluster: &SimCluster, records: &[Record], now: Timestamp) {
        let intended: BTreeSet<&OrderId> = records
            .iter()
            .filter_map(|record| match &record.entry {
                Entry::Intended { order, .. } => Some(&order.id),
                _ => None,
            })
            .collect();
        let mut taken = BTreeSet::new();
        for order in cluster.taken() {
            if !taken.insert(order) {
                self.note(now, Breach::BegunTwice { order: order.clone() });
            }
            if !intended.contains(order) {
                self.note(now, Breach::NoIntent { order: order.clone() });
            }
        }
    }

    fn note(&mut self, at: Timestamp, breach: Breach) {
        if self.seen.insert(breach.clone()) {
            self.found.push(Violation { at, breach });
        }
    }
}

fn is_at(state: Option<&DomainState>) -> bool {
    state.is_some_and(|state| state.lives_here())
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
                let host = match state {
                    MoveState::Settled => &order.to,
                    MoveState::Failed | MoveState::Cancelled => &order.from,
                    _ => continue,
                };
                claims.insert(&order.vm, (order, host));
            }
            _ => {}
        }
    }
    claims.into_values().collect()
}
