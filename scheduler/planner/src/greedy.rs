//! The incumbent: a placement that needs no solver, found in moments and reachable in the order
//! in which it was built.
//!
//! Drain: largest first, each to the host where it costs least. Balance: VMs that break a rule
//! first, then again and again the best single move away from the hottest host that can be
//! relieved. Never moves an affinity group apart, and moves it as a whole only when it drains.

use std::{cmp::Reverse, collections::BTreeSet};

use crate::{
    scope::{Context, Scope},
    view::Occupancy,
};

/// A placement with the order of moves that leads to it.
pub(crate) struct Incumbent {
    pub(crate) place: Vec<usize>,
    /// VMs in the order in which they may move one by one.
    pub(crate) sequence: Vec<usize>,
}

/// Gains below this, in guest-seconds, are rounding.
const GAIN_MIN_SECONDS: f64 = 1e-6;

/// The placement under construction.
struct Draft<'a> {
    context: &'a Context<'a>,
    scope: &'a Scope,
    occupancy: Occupancy,
    demands: Vec<f64>,
    sequence: Vec<usize>,
}

impl<'a> Draft<'a> {
    fn new(context: &'a Context<'a>, scope: &'a Scope) -> Self {
        Self {
            context,
            scope,
            occupancy: context.start.clone(),
            demands: context.view.demands(&context.start.place),
            sequence: Vec::new(),
        }
    }

    /// Change of the objective by moving `vm` to `host`, whether it fits or not.
    fn change(&self, vm: usize, host: usize, price: f64) -> f64 {
        let (view, home) = (self.context.view, self.occupancy.place[vm]);
        let from = (self.demands[home], view.hosts[home].cores);
        let to = (self.demands[host], view.hosts[host].cores);
        price + self.context.contention.change(view.vms[vm].demand_cores, from, to)
    }

    fn shift(&mut self, vm: usize, host: usize) {
        let (view, home) = (self.context.view, self.occupancy.place[vm]);
        self.demands[home] -= view.vms[vm].demand_cores;
        self.demands[host] += view.vms[vm].demand_cores;
        self.occupancy.shift(view, vm, host);
        self.sequence.push(vm);
    }

    /// The best target for `vm` at this moment, with its change of the objective.
    fn best_target(&self, vm: usize) -> Option<(f64, usize)> {
        let targets = self.scope.options.get(&vm)?;
        targets
            .iter()
            .filter(|(host, _)| self.occupancy.takes(self.context.view, vm, **host))
            .map(|(&host, &price)| (self.change(vm, host, price), host))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
    }

    fn done(self) -> Incumbent {
        Incumbent { place: self.occupancy.place, sequence: self.sequence }
    }
}

/// Empties the scope's host, if this simple way can.
pub(crate) fn drain(context: &Context<'_>, scope: &Scope) -> Option<Incumbent> {
    let view = context.view;
    let leaving: Vec<usize> = scope
        .options
        .keys()
        .copied()
        .filter(|&vm| scope.must_leave == Some(view.vms[vm].home))
        .collect();
    let size = |block: &[usize]| block.iter().map(|&vm| u128::from(view.vms[vm].memory())).sum();
    let mut blocks = blocks(context, &leaving);
    blocks.sort_by_key(|block| (Reverse::<u128>(size(block)), block.clone()));
    let mut draft = Draft::new(context, scope);
    for block in blocks {
        let (_, host) = (0..view.hosts.len())
            .filter_map(|host| Some((block_change(&draft, &block, host)?, host)))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))?;
        for vm in block {
            draft.shift(vm, host);
        }
    }
    Some(draft.done())
}

/// The VMs in sets that must travel to one host together.
fn blocks(context: &Context<'_>, leaving: &[usize]) -> Vec<Vec<usize>> {
    let mut blocks: Vec<BTreeSet<usize>> = leaving.iter().map(|&vm| BTreeSet::from([vm])).collect();
    for group in &context.view.together {
        if crate::scope::scattered_now(context.view, group) {
            continue;
        }
        let (joined, others): (Vec<_>, Vec<_>) =
            blocks.into_iter().partition(|block| group.vms.iter().any(|vm| block.contains(vm)));
        blocks = others;
        if !joined.is_empty() {
            blocks.push(joined.into_iter().flatten().collect());
        }
    }
    blocks.into_iter().map(|block| block.into_iter().collect()).collect()
}

/// Change of the objective by moving all of `block` to `host`; `None` where it does not fit.
fn block_change(draft: &Draft<'_>, block: &[usize], host: usize) -> Option<f64> {
    let view = draft.context.view;
    let mut occupancy = draft.occupancy.clone();
    let (mut demand, mut price) = (0.0, 0.0);
    for &vm in block {
        price += draft.scope.price(vm, host)?;
        if !occupancy.takes(view, vm, host) {
            return None;
        }
        occupancy.shift(view, vm, host);
        demand += view.vms[vm].demand_cores;
    }
    let home = view.vms[*block.first()?].home;
    let from = (draft.demands[home], view.hosts[home].cores);
    let to = (draft.demands[host], view.hosts[host].cores);
    Some(price + draft.context.contention.change(demand, from, to))
}

/// Mends what single moves can mend and relieves overloaded hosts while that pays: once by the
/// largest gain, which is best where moves are few, and once by the largest gain for its price,
/// which is best where they are not. The better of the two.
pub(crate) fn balance(context: &Context<'_>, scope: &Scope) -> Incumbent {
    let [by_gain, by_value] = [Order::Gain, Order::GainForPrice].map(|order| {
        let incumbent = relieve(context, scope, order);
        (context.objective(scope, &incumbent.place), incumbent)
    });
    if by_value.0 < by_gain.0 { by_value.1 } else { by_gain.1 }
}

/// Which move is the best one.
#[derive(Clone, Copy)]
enum Order {
    Gain,
    GainForPrice,
}

fn relieve(context: &Context<'_>, scope: &Scope, order: Order) -> Incumbent {
    let view = context.view;
    let grouped: BTreeSet<usize> = view.together.iter().flat_map(|g| g.vms.clone()).collect();
    let mut free: BTreeSet<usize> =
        scope.options.keys().copied().filter(|vm| !grouped.contains(vm)).collect();
    let moves_max = view.policy.limits.moves_max as usize;
    let mut draft = Draft::new(context, scope);
    for vm in free.clone() {
        let home = view.vms[vm].home;
        let breaks =
            view.ban(vm, home).is_some() || draft.occupancy.clash(view, vm, home).is_some();
        if breaks
            && draft.sequence.len() < moves_max
            && let Some((_, host)) = draft.best_target(vm)
        {
            draft.shift(vm, host);
            free.remove(&vm);
        }
    }
    while draft.sequence.len() < moves_max {
        let Some((vm, host)) = relief(&draft, &free, order) else { break };
        draft.shift(vm, host);
        free.remove(&vm);
    }
    draft.done()
}

/// The best paying move away from the hottest host that has one.
fn relief(draft: &Draft<'_>, free: &BTreeSet<usize>, order: Order) -> Option<(usize, usize)> {
    let view = draft.context.view;
    let heat =
        |host: usize| draft.context.contention.at(draft.demands[host], view.hosts[host].cores);
    let mut hot: Vec<usize> =
        (0..view.hosts.len()).filter(|&host| view.overloaded(host, draft.demands[host])).collect();
    hot.sort_by(|&a, &b| heat(b).total_cmp(&heat(a)).then(a.cmp(&b)));
    let worth = |change: f64, vm: usize, to: usize| match order {
        Order::Gain => -change,
        Order::GainForPrice => -change / draft.scope.price(vm, to).unwrap_or(0.0).max(1e-3),
    };
    hot.into_iter().find_map(|host| {
        free.iter()
            .filter(|&&vm| draft.occupancy.place[vm] == host)
            .filter_map(|&vm| draft.best_target(vm).map(|(change, to)| (change, vm, to)))
            .filter(|(change, ..)| *change < -GAIN_MIN_SECONDS)
            .map(|(change, vm, to)| (worth(change, vm, to), vm, to))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
            .map(|(_, vm, to)| (vm, to))
    })
}

/// Takes back moves without which the placement is better: each move that is left pays on its own
/// or makes room for one that does. The solver stops within a gap of the optimum; this removes
/// what the gap let through.
pub(crate) fn polish(context: &Context<'_>, scope: &Scope, mut place: Vec<usize>) -> Vec<usize> {
    let mut value = context.objective(scope, &place);
    loop {
        let mut best: Option<(f64, Vec<usize>)> = None;
        for &vm in scope.options.keys() {
            let home = context.view.vms[vm].home;
            if place[vm] == home || scope.must_leave == Some(home) {
                continue;
            }
            let mut without = place.clone();
            without[vm] = home;
            let changed = context.objective(scope, &without);
            let better = best.as_ref().map_or(value - GAIN_MIN_SECONDS, |(least, _)| *least);
            if changed < better && context.feasible(scope, &without) {
                best = Some((changed, without));
            }
        }
        match best {
            Some((changed, without)) => (value, place) = (changed, without),
            None => return place,
        }
    }
}
