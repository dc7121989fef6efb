//! Which migration begins next: hosts take part in so many at a time, a guest in one.
//!
//! A listed migration that cannot begin is parked where it was blocked, at a host or behind its
//! guest's own migration, and looked at again when that changes; nothing else is looked at. Of
//! those that are looked at the earliest that can begin does.
//!
//! Never here: how many migrations run at a time, or what they do (`course`).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::case::{Move, Orders, Storm};

/// A migration that may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Next {
    /// Its position in the list, or how many were drawn before it.
    pub(super) number: u32,
    pub(super) guest: u32,
    pub(super) from: u32,
    pub(super) to: u32,
}

/// Who waits, who is busy, and where guests are.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Queue {
    /// Where each guest is.
    places: Vec<u32>,
    moving: Vec<bool>,
    /// Migrations that each host takes part in.
    busy: Vec<u32>,
    per_host: u32,
    /// Next in the list, or to be drawn.
    next: u32,
    state: u64,
    /// Listed migrations that wait for a host, by host, and for a guest's own migration.
    parked: Vec<BTreeSet<u32>>,
    behind: BTreeMap<u32, BTreeSet<u32>>,
    /// Those whose guest is there again.
    again: BTreeSet<u32>,
    /// The first that is parked at each host that is no longer full.
    open: BTreeSet<(u32, u32)>,
}

/// Draws in vain after which a migration is put off until another one is over.
const DRAWS_MAX: u32 = 1 << 14;

impl Queue {
    pub(super) fn new(storm: &Storm) -> Self {
        let (hosts, guests) = (storm.hosts.len(), storm.guests.len());
        let state = match storm.orders {
            Orders::Listed(_) => 0,
            Orders::Drawn { state, .. } => state.max(1),
        };
        Self {
            places: storm.guests.iter().map(|guest| guest.host).collect(),
            moving: vec![false; guests],
            busy: vec![0; hosts],
            per_host: storm.per_host,
            next: 0,
            state,
            parked: vec![BTreeSet::new(); hosts],
            behind: BTreeMap::new(),
            again: BTreeSet::new(),
            open: BTreeSet::new(),
        }
    }

    /// Where each guest is.
    pub(super) fn places(&self) -> &[u32] {
        &self.places
    }

    /// Wanted migrations that were not given out.
    pub(super) fn left(&self, orders: &Orders) -> u32 {
        let waiting = self.parked.iter().chain(self.behind.values()).map(BTreeSet::len);
        let waiting = waiting.sum::<usize>() + self.again.len();
        let all = match orders {
            Orders::Listed(moves) => moves.len() as u32,
            Orders::Drawn { count, .. } => *count,
        };
        all.saturating_sub(self.next) + waiting as u32
    }

    /// The next migration that may begin, which begins now. One whose guest is at its target
    /// already is given out as well, and is over at once.
    pub(super) fn next(&mut self, orders: &Orders) -> Option<Next> {
        let next = match orders {
            Orders::Listed(moves) => self.listed(moves),
            Orders::Drawn { count, .. } if self.next < *count => self.drawn(),
            Orders::Drawn { .. } => None,
        }?;
        if next.from != next.to {
            self.moving[next.guest as usize] = true;
            for host in [next.from, next.to] {
                self.busy[host as usize] += 1;
                self.reopen(host);
            }
        }
        Some(next)
    }

    /// The migration is over, and its guest is at `place`.
    pub(super) fn over(&mut self, migration: Next, place: u32) {
        self.moving[migration.guest as usize] = false;
        self.places[migration.guest as usize] = place;
        for host in [migration.from, migration.to] {
            self.busy[host as usize] = self.busy[host as usize].saturating_sub(1);
            self.reopen(host);
        }
        if let Some(mut behind) = self.behind.remove(&migration.guest) {
            self.again.append(&mut behind);
        }
    }

    fn listed(&mut self, moves: &[Move]) -> Option<Next> {
        loop {
            let number = self.unpark().unwrap_or(self.next);
            let Move { guest, to } = *moves.get(number as usize)?;
            self.next += u32::from(number == self.next);
            let from = self.places[guest as usize];
            let full = |host: &u32| self.busy[*host as usize] >= self.per_host;
            if self.moving[guest as usize] {
                self.behind.entry(guest).or_default().insert(number);
            } else if from == to {
                return Some(Next { number, guest, from, to });
            } else if let Some(host) = [from, to].into_iter().find(full) {
                self.parked[host as usize].insert(number);
            } else {
                return Some(Next { number, guest, from, to });
            }
        }
    }

    /// The earliest of those that were parked and need not be.
    fn unpark(&mut self) -> Option<u32> {
        let parked = self.open.first().copied();
        let again = self.again.first().copied();
        match parked {
            Some((number, host)) if again.is_none_or(|again| number < again) => {
                self.open.pop_first();
                self.parked[host as usize].remove(&number);
                self.reopen(host);
                Some(number)
            }
            _ => self.again.pop_first(),
        }
    }

    /// What changed at `host` may let the first that is parked there go on, or hold it.
    fn reopen(&mut self, host: u32) {
        let at = host as usize;
        let room = self.busy[at] < self.per_host;
        if let Some(first) = self.parked[at].first() {
            if room {
                self.open.insert((*first, host));
            } else {
                self.open.remove(&(*first, host));
            }
        }
    }

    fn drawn(&mut self) -> Option<Next> {
        let (guests, hosts) = (self.places.len() as u64, self.busy.len() as u64);
        if guests == 0 {
            return None;
        }
        for _ in 0..DRAWS_MAX {
            let guest = (self.draw() % guests) as u32;
            let from = self.places[guest as usize];
            if self.moving[guest as usize] || self.busy[from as usize] >= self.per_host {
                continue;
            }
            for _ in 0..DRAWS_MAX {
                let to = (self.draw() % hosts) as u32;
                if to != from && self.busy[to as usize] < self.per_host {
                    let number = self.next;
                    self.next += 1;
                    return Some(Next { number, guest, from, to });
                }
            }
            return None;
        }
        None
    }

    fn draw(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::storm::{Model, Star, star};

    /// The earliest that can begin, by looking at all.
    fn plain(queue: &Queue, moves: &[Move], waiting: &BTreeSet<u32>) -> Option<u32> {
        let free = |host: u32| queue.busy[host as usize] < queue.per_host;
        let can = |number: &&u32| {
            let Move { guest, to } = moves[**number as usize];
            let from = queue.places[guest as usize];
            !queue.moving[guest as usize] && (from == to || free(from) && free(to))
        };
        waiting.iter().find(can).copied()
    }

    proptest! {
        #[test]
        fn the_earliest_that_can_begin_does(
            targets in prop::collection::vec(0..6_u32, 1..40),
            per_host in 1..3_u32,
            ends in prop::collection::vec((any::<bool>(), 0..64_usize), 0..120),
        ) {
            let guests = targets.len() as u32;
            let size = Star { hosts: 6, guests, migrations: 0, in_flight: 1 };
            let mut storm = star(size, Model::Qemu(Box::default()));
            let moves: Vec<Move> =
                (0..).zip(targets).map(|(guest, to)| Move { guest, to }).collect();
            storm.orders = Orders::Listed(moves.clone());
            storm.per_host = per_host;
            let mut queue = Queue::new(&storm);
            let mut waiting: BTreeSet<u32> = (0..guests).collect();
            let mut running: Vec<Next> = Vec::new();
            for (ends, which) in ends {
                if ends && !running.is_empty() {
                    let one = running.swap_remove(which % running.len());
                    queue.over(one, if which % 2 == 0 { one.to } else { one.from });
                    continue;
                }
                let next = queue.next(&storm.orders);
                let number = next.map(|next| next.number);
                // What is given out now was not counted as busy a moment ago.
                let mut before = queue.clone();
                if let Some(next) = next.filter(|next| next.from != next.to) {
                    before.over(next, next.from);
                }
                prop_assert_eq!(number, plain(&before, &moves, &waiting));
                if let Some(next) = next {
                    waiting.remove(&next.number);
                    running.extend((next.from != next.to).then_some(next));
                }
                prop_assert_eq!(queue.left(&storm.orders) as usize, waiting.len());
            }
        }
    }
}
