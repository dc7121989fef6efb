//! Hosts for several machines at once: those that a rule keeps together as one, largest first,
//! with a simple repair.
//!
//! Whoever finds no host changes places with one that was placed and finds another. Where some are
//! left over all the same, other ways to choose are tried from the start, and the one that leaves
//! the fewest counts. Deterministic; no proof that what is left over fits nowhere.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    room::Room,
    rulebook::Law,
    trial::{Item, Scarce, Trial},
};

/// Machines that get one host together.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    /// What the caller numbers them by.
    pub(super) members: Vec<usize>,
    /// All of them as one.
    pub(super) item: Item,
}

/// How a host is chosen among those that take a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pick {
    /// The lowest score.
    Score,
    /// The one that has the most free memory.
    MostMemory,
    /// The one that keeps the least free memory.
    LeastMemory,
    /// The one that keeps the fewest free vCPUs.
    FewestVcpus,
}

impl Pick {
    fn host(self, trial: &Trial<'_>, item: &Item) -> Option<usize> {
        match self {
            Self::Score => trial.best(item).map(|(_, host)| host),
            Self::MostMemory => trial.roomiest(item),
            Self::LeastMemory => trial.tightest(item, Scarce::Memory),
            Self::FewestVcpus => trial.tightest(item, Scarce::Vcpus),
        }
    }
}

/// Joins those of `singles` that rules keep together; the largest first, by the part of the largest
/// host that they take.
pub(super) fn blocks(room: &Room, singles: Vec<(usize, Item)>) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::with_capacity(singles.len());
    let mut block_of: BTreeMap<Law, usize> = BTreeMap::new();
    for (member, item) in singles {
        let binding: Vec<Law> =
            item.laws.iter().copied().filter(|&law| room.rules.keeps_together(law)).collect();
        let joined: BTreeSet<usize> =
            binding.iter().filter_map(|law| block_of.get(law).copied()).collect();
        let target = joined.first().copied().unwrap_or(blocks.len());
        if target == blocks.len() {
            blocks.push(Block::default());
        }
        for &other in joined.iter().skip(1) {
            let moved = std::mem::take(&mut blocks[other]);
            blocks[target].members.extend(moved.members);
            blocks[target].item.join(moved.item);
            for block in block_of.values_mut().filter(|block| **block == other) {
                *block = target;
            }
        }
        blocks[target].members.push(member);
        blocks[target].item.join(item);
        block_of.extend(binding.into_iter().map(|law| (law, target)));
    }
    blocks.retain(|block| !block.members.is_empty());
    let largest = room.largest();
    blocks.sort_by(|a, b| {
        let part = |block: &Block| block.item.size.dominant(largest);
        part(b).total_cmp(&part(a)).then_with(|| a.members.cmp(&b.members))
    });
    blocks
}

/// Hosts for as many of `blocks` as are found any, on top of `trial`, which has them afterwards.
pub(super) fn seat<'a>(trial: &mut Trial<'a>, blocks: &[Block]) -> Vec<Option<usize>> {
    let mut best: Option<(usize, Trial<'a>, Vec<Option<usize>>)> = None;
    for (pick, smallest_first) in [
        (Pick::Score, false),
        (Pick::LeastMemory, false),
        (Pick::FewestVcpus, false),
        (Pick::LeastMemory, true),
    ] {
        let mut tried = trial.clone();
        let mut hosts = vec![None; blocks.len()];
        if smallest_first {
            let reversed: Vec<Block> = blocks.iter().rev().cloned().collect();
            fill(&mut tried, &reversed, &mut hosts, pick);
            hosts.reverse();
        } else {
            fill(&mut tried, blocks, &mut hosts, pick);
        }
        let seats = blocks.iter().zip(&hosts).filter(|(_, host)| host.is_some());
        let seated: usize = seats.map(|(block, _)| block.members.len()).sum();
        if best.as_ref().is_none_or(|(most, ..)| seated > *most) {
            best = Some((seated, tried, hosts));
        }
        if best.as_ref().is_some_and(|(_, _, hosts)| hosts.iter().all(Option::is_some)) {
            break;
        }
    }
    let Some((_, tried, hosts)) = best else { return vec![None; blocks.len()] };
    *trial = tried;
    hosts
}

/// Gives each of `blocks` without a host in `hosts` one, in their order; whoever finds none changes
/// places with another.
pub(super) fn fill(
    trial: &mut Trial<'_>,
    blocks: &[Block],
    hosts: &mut [Option<usize>],
    pick: Pick,
) {
    for (block, seat) in blocks.iter().zip(hosts.iter_mut()).filter(|(_, seat)| seat.is_none()) {
        *seat = pick.host(trial, &block.item);
        if let Some(host) = *seat {
            trial.put(&block.item, host);
        }
    }
    for at in 0..hosts.len() {
        if hosts[at].is_none() {
            make_way(trial, blocks, hosts, (at, pick));
        }
    }
}

/// Moves one that has a host to another so that the block `at` gets its place; the last that can,
/// which is the smallest where the largest come first.
fn make_way(
    trial: &mut Trial<'_>,
    blocks: &[Block],
    hosts: &mut [Option<usize>],
    (at, pick): (usize, Pick),
) {
    let item = &blocks[at].item;
    for other in (0..hosts.len()).rev() {
        let Some(host) = hosts[other] else { continue };
        let moved = &blocks[other].item;
        trial.take_back(moved, host);
        if trial.takes(item, host) {
            trial.put(item, host);
            if let Some(elsewhere) = pick.host(trial, moved) {
                trial.put(moved, elsewhere);
                hosts[other] = Some(elsewhere);
                hosts[at] = Some(host);
                return;
            }
            trial.take_back(item, host);
        }
        trial.put(moved, host);
    }
}
