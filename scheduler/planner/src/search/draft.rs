//! A placement under construction: what one move would change, and the move.
//!
//! Keeps what every search keeps: limits, rules that hold, the number of moves. Affinity groups
//! that are together are moved by nobody here but as a whole. Chooses nothing.

use crate::{
    contention::Load,
    scope::{Context, Scope, scattered_now},
    view::{Occupancy, Spent},
};

/// The placement under construction.
#[derive(Clone)]
pub(crate) struct Draft<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) scope: &'a Scope,
    pub(crate) now: Occupancy,
    /// VMs on each host, in no order that matters.
    guests: Vec<Vec<usize>>,
    /// VMs away from home.
    moved: usize,
    /// What they use of the budgets of disruption.
    spent: Spent,
    /// Moves in the order in which they were made.
    pub(crate) sequence: Vec<usize>,
}

impl<'a> Draft<'a> {
    /// From the present placement.
    pub(crate) fn new(context: &'a Context<'a>, scope: &'a Scope) -> Self {
        Self::at(context, scope, context.start.clone())
    }

    /// From `now`.
    pub(crate) fn at(context: &'a Context<'a>, scope: &'a Scope, now: Occupancy) -> Self {
        let mut guests = vec![Vec::new(); context.view.hosts.len()];
        let mut moved = 0;
        let mut spent = Spent::new(context.view);
        for (vm, &host) in now.place.iter().enumerate() {
            guests[host].push(vm);
            if context.view.vms[vm].home != host {
                moved += 1;
                spent.add(context.view, vm);
            }
        }
        Self { context, scope, now, guests, moved, spent, sequence: Vec::new() }
    }

    /// VMs on `host`.
    pub(crate) fn guests(&self, host: usize) -> &[usize] {
        &self.guests[host]
    }

    /// Whether one more VM may leave its home.
    pub(crate) fn may_move_more(&self) -> bool {
        self.moved < self.context.view.policy.limits.moves_max as usize
    }

    /// Whether `vm` may leave its home beside those that have.
    fn may_leave(&self, vm: usize) -> bool {
        self.may_move_more() && self.spent.may_move(self.context.view, vm)
    }

    /// Whether `vm` may be moved on its own.
    pub(crate) fn single(&self, vm: usize) -> bool {
        self.scope.movable[vm] && self.context.view.vms[vm].together.is_empty()
    }

    /// Whether `vm`, away from its host, may come to `host` as things are.
    pub(crate) fn fits(&self, vm: usize, host: usize) -> bool {
        let view = self.context.view;
        if host != view.vms[vm].home {
            return self.now.keeps(view, vm, host);
        }
        // Back home, where it was although it may have broken limits or rules with those who were
        // there too; not with anyone who came since.
        let native = |&other: &usize| view.vms[other].home == host;
        let size = (view.vms[vm].memory(), view.vms[vm].vcpus());
        let alone = || self.guests[host].iter().all(native);
        let clash = || self.now.clash(view, vm, host);
        (self.now.within(view, host, size) && self.now.equips(view, vm, host) && clash().is_none())
            || (alone() && view.vms[vm].capped.is_empty())
    }

    /// Change of the objective by moving `vm` to `host`, room or not; `None` where it may not go.
    pub(crate) fn change(&self, vm: usize, host: usize) -> Option<f64> {
        let context = self.context;
        let at = self.now.place[vm];
        let price = context.price(self.scope, vm, host)?;
        // Where it must leave it has no price: what it saves by going is the same everywhere.
        let saved = context.price(self.scope, vm, at).unwrap_or(0.0);
        let rules = self.now.rule_change(context.view, vm, host);
        Some(price - saved + rules + context.contention.change(context.view, &self.now, vm, host))
    }

    /// The best of `hosts` for `vm`, with its change of the objective.
    pub(crate) fn best_of(
        &self,
        vm: usize,
        hosts: impl Iterator<Item = usize>,
    ) -> Option<(f64, usize)> {
        let (at, home) = (self.now.place[vm], self.context.view.vms[vm].home);
        let free = at != home || self.may_leave(vm);
        hosts
            .filter(|&host| host != at && (host == home || free))
            .filter_map(|host| Some((self.change(vm, host)?, host)))
            .filter(|&(_, host)| self.fits(vm, host))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
    }

    /// Moves `vm` to `host`.
    pub(crate) fn shift(&mut self, vm: usize, host: usize) {
        let from = self.now.place[vm];
        let home = self.context.view.vms[vm].home;
        self.guests[from].retain(|&other| other != vm);
        self.guests[host].push(vm);
        self.moved = self.moved + usize::from(host != home) - usize::from(from != home);
        match (from == home, host == home) {
            (true, false) => self.spent.add(self.context.view, vm),
            (false, true) => self.spent.remove(self.context.view, vm),
            _ => {}
        }
        self.now.shift(self.context.view, vm, host);
        self.sequence.push(vm);
    }

    /// About what an exchange of two VMs' hosts would change: without rules among VMs.
    pub(crate) fn change_of_exchange(&self, vm: usize, partner: usize) -> Option<f64> {
        let (context, place) = (self.context, &self.now.place);
        let price = |vm: usize, host: usize| context.price(self.scope, vm, host);
        let moves = price(vm, place[partner])? + price(partner, place[vm])?
            - price(vm, place[vm]).unwrap_or(0.0)
            - price(partner, place[partner]).unwrap_or(0.0);
        let side = |goes: usize, comes: usize| {
            let host = place[goes];
            let before = Load::of(context.view, &self.now, host);
            let after = before
                .plus(Load::by(context.view, goes, host), -1.0)
                .plus(Load::by(context.view, comes, host), 1.0);
            let limits = &context.view.hosts[host];
            context.contention.at(limits, after) - context.contention.at(limits, before)
        };
        Some(moves + side(vm, partner) + side(partner, vm))
    }

    /// Exchanges two VMs' hosts if that is possible and makes the objective better; by how much.
    pub(crate) fn exchange(&mut self, vm: usize, partner: usize) -> Option<f64> {
        let (one, other) = (self.now.place[vm], self.now.place[partner]);
        let there = self.change(vm, other)?;
        self.shift(vm, other);
        let back = self.change(partner, one).filter(|_| self.fits(partner, one));
        let Some(change) = back.map(|back| there + back).filter(|change| *change < 0.0) else {
            self.take_back(&[(vm, one)]);
            return None;
        };
        self.shift(partner, one);
        let view = self.context.view;
        let holds = self.now.sound(view, vm, other)
            && view.ban(vm, other).is_none()
            && self.now.clash(view, vm, other).is_none()
            && self.now.clash(view, partner, one).is_none()
            && self.spent.kept(view)
            && self.moved <= view.policy.limits.moves_max as usize;
        if holds {
            return Some(change);
        }
        self.take_back(&[(vm, one), (partner, other)]);
        None
    }

    /// Moves all of `block` to `host`; the change of the objective, or `None` with nothing moved
    /// where they do not fit together.
    pub(crate) fn shift_block(&mut self, block: &[usize], host: usize) -> Option<f64> {
        let mut change = 0.0;
        let mut came: Vec<(usize, usize)> = Vec::new();
        for &vm in block {
            if self.now.place[vm] == host {
                continue;
            }
            let from = self.now.place[vm];
            let view = self.context.view;
            let one_more = from != view.vms[vm].home || self.may_leave(vm);
            let Some(one) = self.change(vm, host).filter(|_| one_more && self.fits(vm, host))
            else {
                self.take_back(&came);
                return None;
            };
            change += one;
            self.shift(vm, host);
            came.push((vm, from));
        }
        Some(change)
    }

    /// Undoes the last shifts, each given with where the VM was before.
    pub(crate) fn take_back(&mut self, shifts: &[(usize, usize)]) {
        for &(vm, from) in shifts.iter().rev() {
            self.shift(vm, from);
            self.sequence.truncate(self.sequence.len().saturating_sub(2));
        }
    }

    /// How much one more VM of the usual size would cost on `host`: what hosts are cold by.
    pub(crate) fn heat(&self, host: usize, usual: usize) -> f64 {
        let context = self.context;
        context.contention.change_at(context.view, &self.now, usual, (host, 1.0))
    }

    /// Affinity groups that could be moved, each with whether it is apart at present.
    pub(crate) fn blocks(&self) -> Vec<(Vec<usize>, bool)> {
        let view = self.context.view;
        let movable = |vms: &[usize]| vms.iter().all(|&vm| self.scope.movable[vm]);
        let groups = view.together.iter().filter(|group| movable(&group.vms));
        groups.map(|group| (group.vms.clone(), scattered_now(view, group))).collect()
    }
}
