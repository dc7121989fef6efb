//! A placement under way to evenness: what a move or an exchange of two VMs' hosts would change,
//! and the doing of it where limits, rules and predictions allow.
//!
//! What is made small is the score times the hosts, plus a price for every VM away from home,
//! plus a penalty for every VM that breaks a rule. Chooses nothing.

use std::array;

use super::{
    resources::{Amounts, Resources},
    tally::Tally,
};
use crate::{scope::Context, search::draft::Draft};

/// What a broken rule weighs, in hosts used unevenly: more than any move can change.
const BROKEN_RULE_HOSTS: f64 = 1e4;

/// The placement with its sums.
#[derive(Clone)]
pub(super) struct Evening<'a> {
    context: &'a Context<'a>,
    pub(super) resources: &'a Resources,
    pub(super) draft: Draft<'a>,
    tally: Tally<'a>,
    /// The present score times the hosts.
    score: f64,
    /// VMs away from home.
    moved: usize,
    /// Price of a VM away from home.
    price: f64,
    broken_rule: f64,
    /// VMs that some rule names.
    pub(super) ruled: &'a [bool],
}

impl<'a> Evening<'a> {
    /// From `draft`.
    pub(super) fn new(draft: Draft<'a>, resources: &'a Resources, ruled: &'a [bool]) -> Self {
        let context = draft.context;
        let tally = Tally::of(resources, resources.shares(&draft.now));
        let away = |(vm, &host): (usize, &usize)| context.view.vms[vm].home != host;
        let moved = draft.now.place.iter().enumerate().filter(|&one| away(one)).count();
        let weight = resources.weight();
        Self {
            context,
            resources,
            score: tally.score(),
            tally,
            draft,
            moved,
            price: weight * context.view.policy.even.gain_min,
            broken_rule: weight * BROKEN_RULE_HOSTS,
            ruled,
        }
    }

    /// Where `vm` is, and where it was at first.
    pub(super) fn at(&self, vm: usize) -> (usize, usize) {
        (self.draft.now.place[vm], self.context.view.vms[vm].home)
    }

    /// What is made small.
    pub(super) fn value(&self) -> f64 {
        let view = self.context.view;
        let broken = (0..view.vms.len()).map(|vm| self.broken(vm, self.draft.now.place[vm]));
        self.score + self.price * self.moved as f64 + broken.sum::<f64>()
    }

    /// How the value changes when `vm` goes to `to`, allowed or not.
    pub(super) fn change(&self, vm: usize, to: usize) -> f64 {
        let (at, home) = self.at(vm);
        let score = self.tally.score_after(at, to, &self.resources.used[vm]);
        let moved = f64::from(to != home) - f64::from(at != home);
        score - self.score + self.price * moved + self.broken(vm, to) - self.broken(vm, at)
    }

    /// How the value changes when `vm` and `other` change places, allowed or not.
    pub(super) fn change_of_exchange(&self, vm: usize, other: usize) -> f64 {
        let ((at, home), (there, its_home)) = (self.at(vm), self.at(other));
        let score = self.tally.score_after(at, there, &self.difference(vm, other));
        let moved = f64::from(there != home) - f64::from(at != home) + f64::from(at != its_home)
            - f64::from(there != its_home);
        let rules = self.broken(vm, there) - self.broken(vm, at) + self.broken(other, at)
            - self.broken(other, there);
        score - self.score + self.price * moved + rules
    }

    fn difference(&self, vm: usize, other: usize) -> Amounts {
        let (one, other) = (&self.resources.used[vm], &self.resources.used[other]);
        array::from_fn(|k| one[k] - other[k])
    }

    /// The penalty for `vm` on `host`.
    fn broken(&self, vm: usize, host: usize) -> f64 {
        if !self.ruled[vm] {
            return 0.0;
        }
        let (view, now) = (self.context.view, &self.draft.now);
        let broken = u32::from(view.ban(vm, host).is_some())
            + u32::from(now.clash(view, vm, host).is_some());
        self.broken_rule * f64::from(broken)
    }

    /// Whether `vm` has a place on `host` in principle.
    fn may_be(&self, vm: usize, host: usize) -> bool {
        let priced = self.context.price(self.draft.scope, vm, host).is_some();
        priced && self.resources.takes_part(host)
    }

    /// Moves `vm` to `to` if it may go there now.
    pub(super) fn shift(&mut self, vm: usize, to: usize) -> bool {
        let (at, home) = self.at(vm);
        let more = at == home && !self.draft.may_move_more();
        if at == to || more || !self.may_be(vm, to) || !self.draft.fits(vm, to) {
            return false;
        }
        self.settle(vm, to);
        self.tally.shift(at, to, &self.resources.used[vm]);
        self.score = self.tally.score();
        true
    }

    /// Exchanges the places of `vm` and `other` if both may go there.
    pub(super) fn exchange(&mut self, vm: usize, other: usize) -> bool {
        let ((at, _), (there, _)) = (self.at(vm), self.at(other));
        if at == there || !self.may_be(vm, there) || !self.may_be(other, at) {
            return false;
        }
        let moved = self.moved;
        self.settle(vm, there);
        let fits = self.draft.fits(other, at);
        self.settle(other, at);
        let (view, now) = (self.context.view, &self.draft.now);
        let holds = fits
            && now.within(view, there, (0, 0))
            && now.clash(view, vm, there).is_none()
            && (self.moved <= moved || self.moved <= view.policy.limits.moves_max as usize);
        if !holds {
            self.settle(other, there);
            self.settle(vm, at);
            return false;
        }
        self.tally.shift(at, there, &self.difference(vm, other));
        self.score = self.tally.score();
        true
    }

    /// Puts `vm` on `to`; the sums follow separately.
    fn settle(&mut self, vm: usize, to: usize) {
        let (at, home) = self.at(vm);
        self.moved = self.moved + usize::from(to != home) - usize::from(at != home);
        self.draft.shift(vm, to);
        // Who moved when does not matter here, and the list would grow with every try.
        self.draft.sequence.clear();
    }

    /// What sending `vm` home would cost in score, times the hosts.
    pub(super) fn worth(&self, vm: usize) -> f64 {
        let (at, home) = self.at(vm);
        self.tally.score_after(at, home, &self.resources.used[vm]) - self.score
    }
}
