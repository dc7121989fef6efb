//! What a move waits for, so that the plan is safe however long moves really take.
//!
//! A move that would fit even if nobody had left its target waits for nobody. Otherwise it waits
//! for as few departures as make it fit, and for every arrival at its target that does not wait
//! for the same departures: such an arrival may find the VM there while those have not left yet.

use std::collections::BTreeMap;

use super::{Scheduled, Step};
use crate::view::{Occupancy, View};

/// Whatever may be anywhere, and who has left.
pub(super) struct Waits {
    /// Everything that is or comes on each host, as if nobody ever left.
    ever: Occupancy,
    /// Moves that have left each host, in the order of their ends.
    gone: Vec<Vec<usize>>,
    /// Moves to each host that have begun.
    came: Vec<Vec<usize>>,
    /// The last move of each VM that has moved.
    last: BTreeMap<usize, usize>,
}

impl Waits {
    pub(super) fn new(start: Occupancy, hosts: usize) -> Self {
        Self {
            ever: start,
            gone: vec![Vec::new(); hosts],
            came: vec![Vec::new(); hosts],
            last: BTreeMap::new(),
        }
    }

    /// The places in the plan that `step` waits for, ascending; `None` while it would have to wait
    /// for a move that is still `running`.
    pub(super) fn of(
        &mut self,
        view: &View<'_>,
        step: &Step,
        moves: &[Scheduled],
        running: impl Fn(usize) -> bool,
    ) -> Option<Vec<u32>> {
        let departures = self.departures(view, step, moves);
        let mut after = departures.clone();
        if !departures.is_empty() {
            let begun = if ruled(view, step.vm) { moves } else { &[] };
            let begun = begun.iter().enumerate();
            let of_mates = begun.filter(|(_, one)| mates(view, step.vm, one.step.vm));
            let of_mates = of_mates.map(|(index, _)| index);
            let mut met: Vec<usize> = self.came[step.to].iter().copied().chain(of_mates).collect();
            met.sort_unstable();
            met.dedup();
            for arrival in met {
                let known = &moves[arrival].after;
                if departures.iter().all(|one| known.binary_search(&place_of(*one)).is_ok()) {
                    continue;
                }
                if running(arrival) {
                    return None;
                }
                after.push(arrival);
            }
        }
        after.extend(self.last_of(step.vm));
        after.sort_unstable();
        after.dedup();
        Some(after.into_iter().map(place_of).collect())
    }

    /// As few of the moves that have left the target as must have, so that `step` fits.
    fn departures(&mut self, view: &View<'_>, step: &Step, moves: &[Scheduled]) -> Vec<usize> {
        let fits = |ever: &Occupancy| ever.takes(view, step.vm, step.to);
        if fits(&self.ever) {
            return Vec::new();
        }
        let all = if ruled(view, step.vm) { self.gone.as_slice() } else { &[] };
        let elsewhere = all.iter().enumerate().filter(|(host, _)| *host != step.to);
        let elsewhere = elsewhere.flat_map(|(_, gone)| gone);
        let elsewhere = elsewhere.filter(|&&gone| mates(view, step.vm, moves[gone].step.vm));
        let candidates: Vec<usize> = self.gone[step.to].iter().chain(elsewhere).copied().collect();
        let mut taken = Vec::new();
        for gone in candidates {
            if fits(&self.ever) {
                break;
            }
            self.ever.remove(view, moves[gone].step.vm, moves[gone].step.from);
            taken.push(gone);
        }
        let mut needed = Vec::new();
        for &gone in taken.iter().rev() {
            let Step { vm, from, .. } = moves[gone].step;
            self.ever.add(view, vm, from);
            if !fits(&self.ever) {
                self.ever.remove(view, vm, from);
                needed.push(gone);
            }
        }
        for &gone in &needed {
            self.ever.add(view, moves[gone].step.vm, moves[gone].step.from);
        }
        needed
    }

    /// The last move of `vm` that has begun.
    pub(super) fn last_of(&self, vm: usize) -> Option<usize> {
        self.last.get(&vm).copied()
    }

    /// `step` has begun as the move at `index`.
    pub(super) fn begun(&mut self, view: &View<'_>, step: &Step, index: usize) {
        self.ever.add(view, step.vm, step.to);
        self.came[step.to].push(index);
        self.last.insert(step.vm, index);
    }

    /// The move at `index` has ended.
    pub(super) fn ended(&mut self, step: &Step, index: usize) {
        self.gone[step.from].push(index);
    }
}

/// Whether a rule about places larger than a host, or about the number of hosts, names `vm`.
fn ruled(view: &View<'_>, vm: usize) -> bool {
    !view.vms[vm].apart.is_empty() || !view.vms[vm].capped.is_empty()
}

/// Whether one rule names both.
fn mates(view: &View<'_>, vm: usize, other: usize) -> bool {
    let (one, other) = (&view.vms[vm], &view.vms[other]);
    one.apart.iter().any(|group| other.apart.contains(group))
        || one.capped.iter().any(|group| other.capped.contains(group))
}

/// A place in the plan as it is written; no plan has more moves than its limit.
pub(super) fn place_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
