//! Where guests are at the beginning: each where the host's power would be least if it wanted all
//! that it may, the reference's way.
//!
//! Never here: what they want, which nobody knows yet.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    guest::{Guest, Guests},
    host::Host,
    run::StudyError,
    setup::Setup,
};

/// What is left of a host while guests are placed. Hosts with as much left are alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Room {
    kind: usize,
    /// Bits of a number above 0, which are in the numbers' order.
    mips: u64,
    memory_mb: u32,
    bandwidth: u32,
}

/// Hosts by what is left of them.
struct Rooms<'a> {
    setup: &'a Setup,
    alike: BTreeMap<Room, BTreeSet<u32>>,
    /// Part of a host that a guest may want of it alone where it is not the first there.
    share_max: f64,
}

/// Places all guests. One does not join others on a host of which it alone wants more than
/// `share_max`.
pub(super) fn settle(
    setup: &Setup,
    hosts: &mut [Host],
    guests: &mut Guests,
    share_max: f64,
) -> Result<(), StudyError> {
    let mut rooms = Rooms { setup, alike: BTreeMap::new(), share_max };
    for (number, host) in hosts.iter().enumerate() {
        let kind = &setup.host_kinds[host.kind];
        let room = Room {
            kind: host.kind,
            mips: host.mips.to_bits(),
            memory_mb: kind.memory_mb,
            bandwidth: kind.bandwidth,
        };
        rooms.alike.entry(room).or_default().insert(number as u32);
    }
    for number in 0..guests.len() {
        let guest = guests.of_mut(number as u32);
        let at = rooms.take(guest).ok_or(StudyError::NoRoom { guest: number })?;
        guest.host = Some(at);
        hosts[at as usize].guests.push(number as u32);
    }
    Ok(())
}

impl Rooms<'_> {
    /// Takes what `guest` may want from the best host, if there is one; of equal ones the first.
    fn take(&mut self, guest: &Guest) -> Option<u32> {
        let mut best: Option<(f64, u32, Room)> = None;
        for (room, alike) in &self.alike {
            let Some(first) = alike.first().copied() else { continue };
            if let Some(rise) = self.rise(room, guest)
                && best.is_none_or(|(least, at, _)| (rise, first) < (least, at))
            {
                best = Some((rise, first, *room));
            }
        }
        let (_, host, room) = best?;
        if let Some(alike) = self.alike.get_mut(&room) {
            alike.remove(&host);
            if alike.is_empty() {
                self.alike.remove(&room);
            }
        }
        let left = Room {
            kind: room.kind,
            mips: (f64::from_bits(room.mips) - guest.mips).to_bits(),
            memory_mb: room.memory_mb - guest.memory_mb,
            bandwidth: room.bandwidth - guest.bandwidth,
        };
        self.alike.entry(left).or_default().insert(host);
        Some(host)
    }

    /// Power of a host with that much room once `guest` is there, above that of an idle one; `None`
    /// where it does not fit.
    fn rise(&self, room: &Room, guest: &Guest) -> Option<f64> {
        let (kind, curve) = (&self.setup.host_kinds[room.kind], &self.setup.curves[room.kind]);
        let free = f64::from_bits(room.mips);
        let fits = kind.core_mips >= guest.mips
            && free >= guest.mips
            && room.memory_mb >= guest.memory_mb
            && room.bandwidth >= guest.bandwidth;
        let used = kind.mips() - free;
        let crowds = used > 0.0 && guest.mips / kind.mips() > self.share_max;
        (fits && !crowds)
            .then(|| curve.watts_at((used + guest.mips) / kind.mips()) - curve.watts_at(0.0))
    }
}
