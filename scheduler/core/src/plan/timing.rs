//! When a plan would end, if its moves lasted as long as somebody says.

use std::collections::BTreeMap;

use super::{Move, Plan};
use crate::{ids::HostId, units::Span};

impl Plan {
    /// When the last move would end, counted from the begin of the first, if each lasted as `lasts`
    /// says and began in the plan's order as soon as what it waits for has ended and slots are free.
    pub fn ends_if(&self, lasts: impl Fn(&Move) -> Span) -> Span {
        // No slots at all stand for as many as there are moves.
        let limit = |most: u32| if (most as usize) < self.moves.len() { most as usize } else { 0 };
        let slots = |most: u32| vec![Span::ZERO; limit(most)];
        let mut total = slots(self.at_once.total);
        let mut at: BTreeMap<&HostId, Vec<Span>> = BTreeMap::new();
        let mut ends: Vec<Span> = Vec::with_capacity(self.moves.len());
        for one in &self.moves {
            let before = one.after.iter().filter_map(|&place| ends.get(place as usize));
            let ready = before.max().copied().unwrap_or_default();
            let hosts = [&one.from, &one.to];
            let mut free: Vec<Span> = vec![ready, earliest(&total)];
            for host in hosts {
                free.push(earliest(at.entry(host).or_insert_with(|| slots(self.at_once.per_host))));
            }
            let end = free.into_iter().max().unwrap_or_default() + lasts(one);
            take(&mut total, end);
            for host in hosts {
                at.entry(host).and_modify(|slots| take(slots, end));
            }
            ends.push(end);
        }
        ends.into_iter().max().unwrap_or_default()
    }
}

fn earliest(slots: &[Span]) -> Span {
    slots.iter().min().copied().unwrap_or_default()
}

/// Occupies the slot that is free first until `end`.
fn take(slots: &mut [Span], end: Span) {
    if let Some(slot) = slots.iter_mut().min() {
        *slot = end;
    }
}
