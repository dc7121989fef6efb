//! Who may be on a host when a move begins, however long the other moves take.
//!
//! A VM is on a host from the begin of the move that brings it to the end of the move that takes it
//! away. The order of two moves is certain only where one waits for the other, so a VM counts
//! unless the move in question waits for its going, or its coming waits for the move in question.
//! Whatever set of VMs shares a host at some moment, the one that came last finds all of them
//! counted here: it is enough to look at arrivals.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::Whereabouts;
use crate::{
    ids::{HostId, VmId},
    plan::{Move, Plan},
};

/// Every stay of every VM.
pub(super) struct Presence<'a> {
    moves: &'a [Move],
    stays: BTreeMap<&'a HostId, Vec<Stay<'a>>>,
    /// The same by VM.
    of: BTreeMap<&'a VmId, Vec<Stay<'a>>>,
    /// Who arrives where by migrations outside the plan.
    strangers: BTreeMap<&'a HostId, Vec<&'a VmId>>,
    /// For each move the one that moved its VM before.
    before: Vec<Option<usize>>,
}

/// A VM on one host.
#[derive(Clone, Copy)]
struct Stay<'a> {
    vm: &'a VmId,
    host: &'a HostId,
    /// The move that brings it; `None` when it is there from the begin.
    came: Option<usize>,
    /// The move that takes it away; `None` when it stays.
    goes: Option<usize>,
}

/// The moment at which one move begins.
pub(super) struct Begin<'a, 'b> {
    presence: &'b Presence<'a>,
    index: usize,
}

/// Whether `one` waits for the move at `index`.
pub(super) fn waits_for(one: &Move, index: usize) -> bool {
    u32::try_from(index).is_ok_and(|index| one.after.binary_search(&index).is_ok())
}

impl<'a> Presence<'a> {
    /// From the places `at` the begin; `strangers` arrive by migrations outside the plan.
    pub(super) fn new(
        plan: &'a Plan,
        at: &BTreeMap<&'a VmId, &'a HostId>,
        strangers: Vec<(&'a VmId, &'a HostId)>,
    ) -> Self {
        let mut last: BTreeMap<&VmId, usize> = BTreeMap::new();
        let mut goes: BTreeMap<usize, usize> = BTreeMap::new();
        let mut first: BTreeMap<&VmId, usize> = BTreeMap::new();
        let mut before = Vec::with_capacity(plan.moves.len());
        for (index, one) in plan.moves.iter().enumerate() {
            let earlier = last.insert(&one.vm, index);
            match earlier {
                Some(earlier) => goes.insert(earlier, index),
                None => first.insert(&one.vm, index),
            };
            before.push(earlier);
        }
        let mut presence = Self { moves: &plan.moves, before, ..Self::at_rest(&BTreeMap::new()) };
        for (&vm, &host) in at {
            presence.add(vm, host, None, first.get(vm).copied());
        }
        for (index, one) in plan.moves.iter().enumerate() {
            presence.add(&one.vm, &one.to, Some(index), goes.get(&index).copied());
        }
        for (vm, host) in strangers {
            presence.strangers.entry(host).or_default().push(vm);
        }
        presence
    }

    /// Where nothing moves.
    pub(super) fn at_rest(at: &BTreeMap<&'a VmId, &'a HostId>) -> Self {
        let (stays, of, strangers) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut rest = Self { moves: &[], stays, of, strangers, before: Vec::new() };
        for (&vm, &host) in at {
            rest.add(vm, host, None, None);
        }
        rest
    }

    fn add(&mut self, vm: &'a VmId, host: &'a HostId, came: Option<usize>, goes: Option<usize>) {
        let stay = Stay { vm, host, came, goes };
        self.stays.entry(host).or_default().push(stay);
        self.of.entry(vm).or_default().push(stay);
    }

    /// The move that moves the same VM before the one at `index`.
    pub(super) fn move_before(&self, index: usize) -> Option<usize> {
        self.before.get(index).copied().flatten()
    }

    /// When the move at `index` begins.
    pub(super) fn when(&self, index: usize) -> Begin<'a, '_> {
        Begin { presence: self, index }
    }
}

impl<'a> Begin<'a, '_> {
    /// Who of the plan's cluster may be on `host`, each once.
    pub(super) fn living(&self, host: &HostId) -> BTreeSet<&'a VmId> {
        let stays = self.presence.stays.get(host).map_or(&[][..], Vec::as_slice);
        let here = stays.iter().filter(|stay| self.counts(stay));
        here.map(|stay| stay.vm).collect()
    }

    /// Whether a stay may overlap this moment: this move does not wait for its end, and its begin
    /// does not wait for this move.
    fn counts(&self, stay: &Stay<'_>) -> bool {
        let Stay { came, goes, .. } = *stay;
        let moves = self.presence.moves;
        let one = moves.get(self.index);
        let gone = goes.is_some_and(|goes| one.is_some_and(|one| waits_for(one, goes)));
        let later = came.and_then(|came| moves.get(came));
        !gone && !later.is_some_and(|later| waits_for(later, self.index))
    }
}

impl Whereabouts for Begin<'_, '_> {
    fn on(&self, host: &HostId) -> Vec<&VmId> {
        let strangers = self.presence.strangers.get(host).into_iter().flatten().copied();
        self.living(host).into_iter().chain(strangers).collect()
    }

    fn of(&self, vm: &VmId) -> Vec<&HostId> {
        let stays = self.presence.of.get(vm).map_or(&[][..], Vec::as_slice);
        let here = stays.iter().filter(|stay| self.counts(stay));
        here.map(|stay| stay.host).collect()
    }
}
