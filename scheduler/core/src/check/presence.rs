//! Who may be on a host when a move begins, however long the other moves take.
//!
//! A VM is on a host from the begin of the move that brings it to the end of the move that takes it
//! away. The order of two moves is certain only where one waits for the other, so a VM counts
//! unless the move in question waits for its going, or its coming waits for the move in question.
//! Whatever set of VMs shares a host at some moment, the one that came last finds all of them
//! counted here: it is enough to look at arrivals.

use std::collections::BTreeMap;

use crate::{
    ids::{HostId, VmId},
    plan::{Move, Plan},
};

/// Every stay of every VM.
pub(super) struct Presence<'a> {
    moves: &'a [Move],
    stays: BTreeMap<&'a HostId, Vec<Stay<'a>>>,
    /// For each move the one that moved its VM before.
    before: Vec<Option<usize>>,
}

/// A VM on one host.
struct Stay<'a> {
    vm: &'a VmId,
    /// The move that brings it; `None` when it is there from the begin.
    came: Option<usize>,
    /// The move that takes it away; `None` when it stays.
    goes: Option<usize>,
}

/// Whether `one` waits for the move at `index`.
pub(super) fn waits_for(one: &Move, index: usize) -> bool {
    u32::try_from(index).is_ok_and(|index| one.after.binary_search(&index).is_ok())
}

impl<'a> Presence<'a> {
    /// From the places `at` the begin.
    pub(super) fn new(plan: &'a Plan, at: &BTreeMap<&'a VmId, &'a HostId>) -> Self {
        let mut last: BTreeMap<&VmId, usize> = BTreeMap::new();
        let mut goes: BTreeMap<usize, usize> = BTreeMap::new();
        let mut first: BTreeMap<&VmId, usize> = BTreeMap::new();
        let mut before = Vec::with_capacity(plan.moves.len());
        for (index, one) in plan.moves.iter().enumerate() {
            let earlier = last.insert(&one.vm, index);
            match earlier {
                Some(earlier) => {
                    goes.insert(earlier, index);
                }
                None => {
                    first.insert(&one.vm, index);
                }
            }
            before.push(earlier);
        }
        let mut stays: BTreeMap<&HostId, Vec<Stay<'a>>> = BTreeMap::new();
        for (&vm, &host) in at {
            let stay = Stay { vm, came: None, goes: first.get(vm).copied() };
            stays.entry(host).or_default().push(stay);
        }
        for (index, one) in plan.moves.iter().enumerate() {
            let stay = Stay { vm: &one.vm, came: Some(index), goes: goes.get(&index).copied() };
            stays.entry(&one.to).or_default().push(stay);
        }
        Self { moves: &plan.moves, stays, before }
    }

    /// The move that moves the same VM before the one at `index`.
    pub(super) fn move_before(&self, index: usize) -> Option<usize> {
        self.before.get(index).copied().flatten()
    }

    /// Who may be on `host` when the move at `index` begins.
    pub(super) fn at(&self, host: &HostId, index: usize) -> impl Iterator<Item = &'a VmId> {
        let stays = self.stays.get(host).map_or(&[][..], Vec::as_slice);
        let gone = move |stay: &&Stay<'_>| {
            stay.goes.is_some_and(|goes| waits_for(&self.moves[index], goes))
        };
        let later = move |stay: &&Stay<'_>| {
            stay.came.is_some_and(|came| waits_for(&self.moves[came], index))
        };
        stays.iter().filter(move |stay| !gone(stay) && !later(stay)).map(|stay| stay.vm)
    }
}
