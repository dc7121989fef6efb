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
            for &arrival in &self.came[step.to] {
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
        let mut taken = Vec::new();
        for &gone in &self.gone[step.to] {
            if fits(&self.ever) {
                break;
            }
            self.ever.remove(view, moves[gone].step.vm, step.to);
            taken.push(gone);
        }
        let mut needed = Vec::new();
        for &gone in taken.iter().rev() {
            let vm = moves[gone].step.vm;
            self.ever.add(view, vm, step.to);
            if !fits(&self.ever) {
                self.ever.remove(view, vm, step.to);
                needed.push(gone);
            }
        }
        for &gone in &needed {
            self.ever.add(view, moves[gone].step.vm, step.to);
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

/// A place in the plan as it is written; no plan has more moves than its limit.
fn place_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
