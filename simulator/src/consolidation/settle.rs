//! Where guests are at the beginning: each where the host's power would be least if it wanted all
//! that it may, the reference's way.

use std::collections::{BTreeMap, BTreeSet};

use super::{guest::Guests, host::Host, run::StudyError, setup::Setup};

/// What is left of a host while guests are placed. Hosts with as much left are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Room {
    kind: usize,
    /// Bits of a number above 0, which are in the numbers' order.
    mips: u64,
    memory_mb: u32,
    bandwidth: u32,
}

/// Places all guests. One does not join others on a host of which it alone wants more than
/// `share_max`.
pub(super) fn settle(
    setup: &Setup,
    hosts: &mut [Host],
    guests: &mut Guests,
    share_max: f64,
) -> Result<(), StudyError> {
    let mut rooms: BTreeMap<Room, BTreeSet<u32>> = BTreeMap::new();
    for (number, host) in hosts.iter().enumerate() {
        let kind = &setup.host_kinds[host.kind];
        let room = Room {
            kind: host.kind,
            mips: host.mips.to_bits(),
            memory_mb: kind.memory_mb,
            bandwidth: kind.bandwidth,
        };
        rooms.entry(room).or_default().insert(number as u32);
    }
    for (number, guest) in guests.list.iter_mut().enumerate() {
        let mut best: Option<(f64, u32, Room)> = None;
        for (room, alike) in &rooms {
            let Some(first) = alike.first().copied() else { continue };
            let host = &hosts[first as usize];
            let mips = f64::from_bits(room.mips);
            let fits = host.core_mips >= guest.mips
                && mips >= guest.mips
                && room.memory_mb >= guest.memory_mb
                && room.bandwidth >= guest.bandwidth;
            let used = host.mips - mips;
            if !fits || used > 0.0 && guest.mips / host.mips > share_max {
                continue;
            }
            let curve = &setup.curves[room.kind];
            let rise = curve.watts_at((used + guest.mips) / host.mips) - curve.watts_at(0.0);
            if best.is_none_or(|(least, at, _)| (rise, first) < (least, at)) {
                best = Some((rise, first, *room));
            }
        }
        let (_, at, room) = best.ok_or(StudyError::NoRoom { guest: number })?;
        if let Some(alike) = rooms.get_mut(&room) {
            alike.remove(&at);
            if alike.is_empty() {
                rooms.remove(&room);
            }
        }
        let left = Room {
            kind: room.kind,
            mips: (f64::from_bits(room.mips) - guest.mips).to_bits(),
            memory_mb: room.memory_mb - guest.memory_mb,
            bandwidth: room.bandwidth - guest.bandwidth,
        };
        rooms.entry(left).or_default().insert(at);
        guest.host = Some(at);
        hosts[at as usize].guests.push(number as u32);
    }
    Ok(())
}
