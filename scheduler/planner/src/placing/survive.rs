//! Whether the guests of a host survive its loss: every one of them is given a host on what is
//! left, by memory, vCPUs and rules, not by a sum. A sum says yes where a large guest finds only
//! small holes.
//!
//! Guests are placed largest first, each on the roomiest host: new machines are packed into small
//! holes, so that a way over large ones holds longest. One that finds no host changes places with
//! one that does. Where that fails, guests are placed anew, each where it leaves the least memory,
//! then where it leaves the fewest vCPUs. A way that is found is a proof. None found is no proof
//! that there is none: the question is bin packing, and the answer errs on the side of caution.
//!
//! [`survives`] asks once; [`Survival`] keeps a way out for the loss of each host and looks again
//! only where a change concerns it. One host is lost at a time.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use whimbrel_core::{
    cluster::HostState,
    ids::{HostId, VmId},
};

use super::{
    refusal::Refused,
    room::{Room, RoomError},
    seats::{Block, Pick, blocks, fill},
    size::Size,
    trial::Trial,
};

/// A machine with the host where it can start again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restart {
    /// The machine.
    pub vm: VmId,
    /// Its new host.
    pub host: HostId,
}

/// A machine that no host would take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stranded {
    /// The machine.
    pub vm: VmId,
    /// What the hosts say, when all that could be placed is.
    pub refused: Refused,
}

/// Where the guests of `lost` start again when it fails.
///
/// # Errors
/// The machines that cannot be restarted, or [`RoomError::UnknownHost`].
pub fn survives(
    room: &Room,
    lost: &HostId,
) -> Result<Result<Vec<Restart>, Vec<Stranded>>, RoomError> {
    let lost = room.number_of(lost)?;
    Ok(restarts(room, lost, None).map(|way| {
        let named = |(&guest, &host): (&usize, &usize)| {
            let vm = room.guest(guest)?.name.clone();
            Some(Restart { vm, host: room.slots[host].id.clone() })
        };
        way.iter().filter_map(named).collect()
    }))
}

/// A new host for each guest of a lost one, by numbers.
type Way = BTreeMap<usize, usize>;

/// A way out for the loss of each host.
#[derive(Debug, Clone)]
pub struct Survival {
    ways: Vec<Way>,
    /// For each host, what it would receive on each loss.
    promised: Vec<BTreeMap<usize, Size>>,
    stranded: BTreeMap<usize, Vec<Stranded>>,
}

/// A loss that is not survived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The host.
    pub host: HostId,
    /// Its guests that cannot be restarted.
    pub stranded: Vec<Stranded>,
}

impl Survival {
    /// Looks at the loss of every host that can still be lost.
    pub fn new(room: &Room) -> Self {
        let hosts = room.slots.len();
        let mut survival = Self {
            ways: vec![Way::new(); hosts],
            promised: vec![BTreeMap::new(); hosts],
            stranded: BTreeMap::new(),
        };
        for host in (0..hosts).filter(|&host| room.slots[host].state != HostState::Unreachable) {
            match restarts(room, host, None) {
                Ok(way) => survival.keep(room, host, way),
                Err(stranded) => {
                    survival.stranded.insert(host, stranded);
                }
            }
        }
        survival
    }

    /// The losses that are not survived, ordered by host.
    pub fn unsafe_losses(&self, room: &Room) -> Vec<Loss> {
        let loss = |(&host, stranded): (&usize, &Vec<Stranded>)| {
            Some(Loss { host: room.slots.get(host)?.id.clone(), stranded: stranded.clone() })
        };
        self.stranded.iter().filter_map(loss).collect()
    }

    /// Whether every loss that was survived is still, after `guests` came to the hosts `touched` or
    /// left them. If so, the change is taken over; otherwise nothing is, and whoever made it undoes
    /// it.
    ///
    /// # Errors
    /// The first [`Loss`] that would no longer be survived.
    pub(crate) fn still(
        &mut self,
        room: &Room,
        touched: &[usize],
        guests: &[usize],
    ) -> Result<(), Loss> {
        let mut found: Vec<(usize, Way)> = Vec::new();
        for lost in self.concerned(room, touched, guests) {
            match restarts(room, lost, Some(&self.ways[lost])) {
                Ok(way) => found.push((lost, way)),
                Err(_) if self.stranded.contains_key(&lost) => {}
                Err(stranded) => {
                    return Err(Loss { host: room.slots[lost].id.clone(), stranded });
                }
            }
        }
        for (lost, way) in found {
            self.stranded.remove(&lost);
            self.keep(room, lost, way);
        }
        Ok(())
    }

    /// Losses whose way out may no longer be one.
    fn concerned(&self, room: &Room, touched: &[usize], guests: &[usize]) -> BTreeSet<usize> {
        let ruled = |&guest: &usize| {
            room.guest(guest).is_some_and(|one| !one.laws.is_empty() || one.needs.is_some())
        };
        if guests.iter().any(ruled) {
            // A rule may join guests of any two hosts.
            let there = |&one: &usize| room.slots[one].state != HostState::Unreachable;
            return (0..room.slots.len()).filter(there).collect();
        }
        let mut concerned = BTreeSet::new();
        for &host in touched {
            if room.slots[host].state != HostState::Unreachable {
                concerned.insert(host);
            }
            if room.rules.any_alone() {
                concerned.extend(self.promised[host].keys());
            }
            let (memory, vcpus) = room.slots[host].free();
            let broken = self.promised[host].iter();
            let broken = broken.filter(|(_, size)| size.memory > memory || size.vcpus > vcpus);
            concerned.extend(broken.map(|(lost, _)| *lost));
        }
        concerned
    }

    fn keep(&mut self, room: &Room, lost: usize, way: Way) {
        for host in self.ways[lost].values() {
            self.promised[*host].remove(&lost);
        }
        for (&guest, &host) in &way {
            let size = room.guest(guest).map_or(Size::default(), |one| one.size);
            let promised = self.promised[host].entry(lost).or_default();
            *promised = promised.plus(size);
        }
        self.ways[lost] = way;
    }
}

/// A host for every guest of `lost`; `before` is a way that may still hold for most of them.
fn restarts(room: &Room, lost: usize, before: Option<&Way>) -> Result<Way, Vec<Stranded>> {
    let guests = room.slots[lost].guests.iter();
    let guests = guests.filter_map(|&guest| Some((guest, room.guest(guest)?.item())));
    let blocks = blocks(room, guests.collect());
    let mut trial = Trial::without(room, &[lost]);
    let mut hosts = vec![None; blocks.len()];
    if let Some(before) = before {
        take_over(&mut trial, &blocks, &mut hosts, before);
    }
    fill(&mut trial, &blocks, &mut hosts, Pick::MostMemory);
    for pick in [Pick::MostMemory, Pick::LeastMemory, Pick::FewestVcpus] {
        if hosts.iter().all(Option::is_some) {
            break;
        }
        let (mut again, mut others) = (Trial::without(room, &[lost]), vec![None; blocks.len()]);
        fill(&mut again, &blocks, &mut others, pick);
        let left = |hosts: &[Option<usize>]| hosts.iter().filter(|host| host.is_none()).count();
        if left(&others) < left(&hosts) {
            (trial, hosts) = (again, others);
        }
    }
    let mut way = Way::new();
    let mut stranded = Vec::new();
    for (block, host) in blocks.iter().zip(&hosts) {
        for &guest in &block.members {
            match host {
                Some(host) => {
                    way.insert(guest, *host);
                }
                None => stranded.extend(room.guest(guest).map(|one| Stranded {
                    vm: one.name.clone(),
                    refused: Refused::of(&trial, &block.item),
                })),
            }
        }
    }
    if stranded.is_empty() { Ok(way) } else { Err(stranded) }
}

/// Gives `blocks` the hosts of a way found earlier, where they still take them.
fn take_over(trial: &mut Trial<'_>, blocks: &[Block], hosts: &mut [Option<usize>], before: &Way) {
    for (block, seat) in blocks.iter().zip(hosts) {
        let host = block.members.first().and_then(|guest| before.get(guest)).copied();
        *seat = host.filter(|&host| trial.takes(&block.item, host));
        if let Some(host) = *seat {
            trial.put(&block.item, host);
        }
    }
}
