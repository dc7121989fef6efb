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
        let at_once = &self.at_once;
        let mut total = slots(at_once.total);
        let mut at: BTreeMap<(&HostId, Way), Vec<Span>> = BTreeMap::new();
        // Whoever goes alone needs all that touch the host before it gone, and keeps all after it.
        let mut touched: BTreeMap<&HostId, Span> = BTreeMap::new();
        let mut closed: BTreeMap<&HostId, Span> = BTreeMap::new();
        let mut ends: Vec<Span> = Vec::with_capacity(self.moves.len());
        for one in &self.moves {
            let before = one.after.iter().filter_map(|&place| ends.get(place as usize));
            let ready = before.max().copied().unwrap_or_default();
            let needs = [
                ((&one.from, Way::Either), at_once.per_host),
                ((&one.to, Way::Either), at_once.per_host),
                ((&one.from, Way::Out), at_once.leaving()),
                ((&one.to, Way::Into), at_once.entering()),
            ];
            let mut free: Vec<Span> = vec![ready, earliest(&total)];
            for (key, most) in needs {
                free.push(earliest(at.entry(key).or_insert_with(|| slots(most))));
            }
            for host in [&one.from, &one.to] {
                let waits_for = if one.alone { &touched } else { &closed };
                free.extend(waits_for.get(host));
            }
            let end = free.into_iter().max().unwrap_or_default() + lasts(one);
            take(&mut total, end);
            for (key, _) in needs {
                at.entry(key).and_modify(|slots| take(slots, end));
            }
            for host in [&one.from, &one.to] {
                let last = touched.entry(host).or_default();
                *last = end.max(*last);
                if one.alone {
                    closed.insert(host, end);
                }
            }
            ends.push(end);
        }
        ends.into_iter().max().unwrap_or_default()
    }
}

/// Which migrations a slot of a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Either,
    Out,
    Into,
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
