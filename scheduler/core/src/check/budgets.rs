//! How many moves of a selection may run side by side, however long each takes.
//!
//! Moves of which each waits for the one before never run together. The fewest such chains that
//! hold all moves of a selection are therefore a limit on how many of them run at one time; they
//! are found by matching each move with one that it waits for (Fulkerson, Note on Dilworth's
//! decomposition theorem, 1956).

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::Plan;

/// The fewest chains that the moves at these places of `plan` fall into.
pub(super) fn side_by_side(plan: &Plan, moves: &[usize]) -> usize {
    let selected: BTreeSet<usize> = moves.iter().copied().collect();
    let mut chains = Chains { plan, selected, follower: BTreeMap::new() };
    let mut matched = 0;
    for &index in moves {
        matched += usize::from(chains.follow(index, &mut BTreeSet::new()));
    }
    moves.len() - matched
}

struct Chains<'a> {
    plan: &'a Plan,
    selected: BTreeSet<usize>,
    /// The move that follows each in its chain.
    follower: BTreeMap<usize, usize>,
}

impl Chains<'_> {
    /// Finds the move at `index` one to follow, where need be by giving others another.
    fn follow(&mut self, index: usize, seen: &mut BTreeSet<usize>) -> bool {
        let mut open = vec![(index, self.waits_for(index))];
        // The way of moves that would each take the place of the next.
        let mut way: Vec<(usize, usize)> = Vec::new();
        while let Some((mover, candidates)) = open.last_mut() {
            let mover = *mover;
            let Some(before) = candidates.pop() else {
                open.pop();
                way.pop();
                continue;
            };
            if !seen.insert(before) {
                continue;
            }
            way.push((before, mover));
            let Some(&other) = self.follower.get(&before) else {
                self.follower.extend(way);
                return true;
            };
            open.push((other, self.waits_for(other)));
        }
        false
    }

    fn waits_for(&self, index: usize) -> Vec<usize> {
        let after = self.plan.moves[index].after.iter().map(|&before| before as usize);
        after.filter(|before| self.selected.contains(before)).collect()
    }
}
