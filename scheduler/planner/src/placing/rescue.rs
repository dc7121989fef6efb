//! Where the machines of failed hosts start again, in which order.
//!
//! Classes of priority one after the other, the highest first: a lower class never takes what a
//! higher one could have had. Within a class as many as are found a host for, largest first. What
//! finds none within the limits gets a second chance within those for emergencies, before the next
//! class is asked. Machines that a rule keeps together belong to the highest class of any of them.
//!
//! Decides only; fencing and starting are for whoever executes. It takes for granted that the
//! failed hosts run nothing any more.

use std::collections::BTreeMap;

use serde::Serialize;
use whimbrel_core::{
    cluster::HostState,
    ids::{HostId, VmId},
    policy::RangeError,
    units::Share,
};

use super::{
    ask::{PlacingFailure, some_host},
    place::{Candidate, candidate},
    refusal::Refused,
    room::{Room, RoomError},
    seats::{Block, blocks, seat},
    trial::Trial,
};
use crate::failure::Unsound;

/// Which machines need to start again, and what may be done for them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RescueRequest {
    /// The failed hosts; all that do not answer where none is named.
    pub failed: Vec<HostId>,
    /// Higher is restarted first; 0 for machines that are not named.
    pub priorities: BTreeMap<VmId, i64>,
    /// Wider limits for machines that find no host otherwise.
    pub emergency: Option<Emergency>,
}

/// Limits for the time after a failure, in place of the policy's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Emergency {
    /// Part of each host's memory kept free of guests. Range 0..=0.95.
    pub memory_reserve: Share,
    /// vCPUs that one core may carry. Range 0.1..=100.
    pub cpu_overcommit: f64,
}

/// A machine with the host where it starts again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Restarted {
    /// The machine.
    pub vm: VmId,
    /// The failed host that it was on.
    pub from: HostId,
    /// Its class; higher came first.
    pub priority: i64,
    /// Its host, and how that stands with all who start there before it.
    pub on: Candidate,
    /// Whether it found a host only within the limits for emergencies.
    pub emergency: bool,
}

/// A machine that stays down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unrescued {
    /// The machine.
    pub vm: VmId,
    /// The failed host that it was on.
    pub from: HostId,
    /// Its class.
    pub priority: i64,
    /// What the hosts say when its class has its hosts.
    pub refused: Refused,
}

/// What starts where, in order, and what does not.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rescue {
    /// The failed hosts, by name.
    pub failed: Vec<HostId>,
    /// Restarts in their order.
    pub restarts: Vec<Restarted>,
    /// Who finds no host, the highest class first.
    pub unrescued: Vec<Unrescued>,
}

/// Hosts for the machines of failed ones.
///
/// # Errors
/// [`PlacingFailure`] where no host has failed, none is left, or a host or limit is impossible.
pub fn rescue(room: &Room, request: &RescueRequest) -> Result<Rescue, PlacingFailure> {
    let failed = failed(room, request)?;
    some_host(room)?;
    let wider = request.emergency.map(|limits| wider(room, limits)).transpose()?;
    let mut work = Work {
        room,
        wider: wider.as_ref(),
        priorities: &request.priorities,
        trial: Trial::without(room, &failed),
        rescue: Rescue {
            failed: failed.iter().map(|&host| room.slots[host].id.clone()).collect(),
            restarts: Vec::new(),
            unrescued: Vec::new(),
        },
    };
    let guests = failed.iter().flat_map(|&host| &room.slots[host].guests);
    let items = guests.filter_map(|&guest| Some((guest, room.guest(guest)?.item())));
    let mut classes: BTreeMap<i64, Vec<Block>> = BTreeMap::new();
    for block in blocks(room, items.collect()) {
        let highest = block.members.iter().map(|&guest| work.priority(guest)).max();
        classes.entry(highest.unwrap_or(0)).or_default().push(block);
    }
    for (_, class) in classes.into_iter().rev() {
        work.class(class);
    }
    Ok(work.rescue)
}

/// The failed hosts by number, rising.
fn failed(room: &Room, request: &RescueRequest) -> Result<Vec<usize>, PlacingFailure> {
    let mut failed = request
        .failed
        .iter()
        .map(|host| room.number_of(host))
        .collect::<Result<Vec<usize>, RoomError>>()?;
    if failed.is_empty() {
        let silent = |host: &usize| room.slots[*host].state == HostState::Unreachable;
        failed = (0..room.slots.len()).filter(silent).collect();
    }
    failed.sort_unstable();
    failed.dedup();
    if failed.is_empty() { Err(PlacingFailure::NoneFailed) } else { Ok(failed) }
}

/// The room under limits for emergencies.
fn wider(room: &Room, limits: Emergency) -> Result<Room, PlacingFailure> {
    let (reserve, overcommit) = (limits.memory_reserve.get(), limits.cpu_overcommit);
    let refused = |key, value, range| {
        let range = RangeError::Number { key, value, range };
        Err(PlacingFailure::Room(Unsound::from(range).into()))
    };
    if reserve > 0.95 {
        return refused("the emergency's memory reserve", reserve, "0 to 0.95");
    }
    // Written so that NaN is out of range.
    if !(0.1..=100.0).contains(&overcommit) {
        return refused("the emergency's CPU overcommit", overcommit, "0.1 to 100");
    }
    Ok(room.with_limits(limits.memory_reserve, overcommit))
}

/// A rescue under way.
struct Work<'a> {
    room: &'a Room,
    wider: Option<&'a Room>,
    priorities: &'a BTreeMap<VmId, i64>,
    trial: Trial<'a>,
    rescue: Rescue,
}

impl Work<'_> {
    fn priority(&self, guest: usize) -> i64 {
        let name = self.room.guest(guest).map(|one| &one.name);
        name.and_then(|name| self.priorities.get(name)).copied().unwrap_or(0)
    }

    /// Hosts for one class.
    fn class(&mut self, blocks: Vec<Block>) {
        let left = self.seated(blocks, false);
        let left = match self.wider {
            Some(wider) if !left.is_empty() => {
                self.trial.room = wider;
                let left = self.seated(left, true);
                self.trial.room = self.room;
                left
            }
            _ => left,
        };
        // The widest limits say best what is missing.
        self.trial.room = self.wider.unwrap_or(self.room);
        for block in &left {
            let refused = Refused::of(&self.trial, &block.item);
            for &guest in &block.members {
                let priority = self.priority(guest);
                let Some(one) = self.room.guest(guest) else { continue };
                self.rescue.unrescued.push(Unrescued {
                    vm: one.name.clone(),
                    from: self.room.slots[one.host].id.clone(),
                    priority,
                    refused: refused.clone(),
                });
            }
        }
        self.trial.room = self.room;
    }

    /// Notes those that get a host; gives back the others.
    fn seated(&mut self, blocks: Vec<Block>, emergency: bool) -> Vec<Block> {
        let before = self.trial.clone();
        let hosts = seat(&mut self.trial, &blocks);
        // Each is shown with those before it, and not with those that follow.
        let mut shown = before;
        let mut left = Vec::new();
        for (block, host) in blocks.into_iter().zip(hosts) {
            let Some(host) = host else {
                left.push(block);
                continue;
            };
            for &guest in &block.members {
                let priority = self.priority(guest);
                let Some(one) = self.room.guest(guest) else { continue };
                let item = one.item();
                self.rescue.restarts.push(Restarted {
                    vm: one.name.clone(),
                    from: self.room.slots[one.host].id.clone(),
                    priority,
                    on: candidate(&shown, &item, host),
                    emergency,
                });
                shown.put(&item, host);
            }
        }
        left
    }
}
