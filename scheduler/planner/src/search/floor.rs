//! What VMs that move cost at least, each as if the others were not there, and which hosts that
//! rules out for each of them.
//!
//! Contention is convex and no rule is broken less for one more VM, so no placement costs less than
//! the VMs that stay and, for each of the others, its cheapest host. A host that is dearer for one
//! VM by more than what is known is above that sum is in no better placement (fixing by reduced
//! cost: Nemhauser and Wolsey, Integer and Combinatorial Optimization, 1988, II.2).
//!
//! Never here: what VMs that move cost each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    problem::{self, Options},
    relax::kept_broken,
};
use crate::{
    scope::{Context, Scope},
    view::Occupancy,
};

/// Part of a value that sums of it may be off by.
const ROUNDING: f64 = 1e-9;

/// Lower bounds by VM and host.
pub(super) struct Floor {
    /// What VMs that stay cost, in guest-seconds.
    stay: f64,
    /// The price of each place.
    options: Options,
    /// The same with the contention that the VM alone brings.
    alone: Options,
}

impl Floor {
    /// Of the VMs of `scope` on `hosts`.
    pub(super) fn new(context: &Context<'_>, scope: &Scope, hosts: &BTreeSet<usize>) -> Self {
        let view = context.view;
        let mut rest: Occupancy = context.start.clone();
        scope.vms().for_each(|vm| rest.remove(view, vm, view.vms[vm].home));
        let mut options = problem::options(context, scope, hosts);
        for (&vm, places) in &mut options {
            let one = &view.vms[vm];
            let size = (one.memory(), one.vcpus());
            places.retain(|&host, _| host == one.home || rest.within(view, host, size));
        }
        let brings = |vm, host| context.contention.change_at(view, &rest, vm, (host, 1.0));
        let mut alone = options.clone();
        for (&vm, places) in &mut alone {
            for (&host, cost) in places.iter_mut() {
                *cost += brings(vm, host);
            }
        }
        let fixed = (0..view.vms.len()).filter(|&vm| !scope.movable[vm]);
        let unwelcome: f64 = fixed.map(|vm| view.unwelcome(vm, view.vms[vm].home)).sum();
        let breaches = rest.breaches(view).map(|(group, times)| group.weight * times as f64);
        let stay = context.contention.total(view, &rest)
            + kept_broken(context, scope)
            + breaches.sum::<f64>()
            + unwelcome;
        Self { stay, options, alone }
    }

    /// No placement costs less, in guest-seconds; `None` where a VM has no place at all.
    pub(super) fn bound(&self) -> Option<f64> {
        let sum = self.alone.values().map(cheapest).sum::<Option<f64>>()?;
        let bound = self.stay + sum;
        Some(bound - ROUNDING * bound.abs())
    }

    /// The options that a placement better than one that costs `known` may use, and home: rows of
    /// the program tell by it who leaves.
    pub(super) fn options(self, context: &Context<'_>, known: Option<f64>) -> Options {
        let (Some(known), Some(bound)) = (known, self.bound()) else { return self.options };
        let most = (known - bound).max(0.0) + ROUNDING * known.abs();
        let mut options = self.options;
        for ((vm, places), alone) in options.iter_mut().zip(self.alone.values()) {
            let home = context.view.vms[*vm].home;
            let least = cheapest(alone).unwrap_or(f64::INFINITY);
            let near = |host: &usize| alone.get(host).is_some_and(|cost| *cost - least <= most);
            places.retain(|host, _| *host == home || near(host));
        }
        options
    }
}

fn cheapest(places: &BTreeMap<usize, f64>) -> Option<f64> {
    places.values().copied().min_by(f64::total_cmp)
}
