//! The incumbent: a placement that needs no solver, found in moments and reachable in the order
//! in which it was built.
//!
//! Drain: largest first, each to the host where it costs least. Balance: VMs that break a rule
//! first, then again and again the best single move away from the hottest host that can be
//! relieved. Never moves an affinity group apart, and moves it as a whole only when it drains.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{draft::Draft, relax::Relaxed};
use crate::{
    contention::Load,
    scope::{Context, Scope, scattered_now},
};

/// A placement with the order of moves that leads to it.
pub(crate) struct Incumbent {
    pub(crate) place: Vec<usize>,
    /// VMs in the order in which they may move one by one; empty where none is known.
    pub(crate) sequence: Vec<usize>,
}

impl Incumbent {
    pub(crate) fn of(draft: Draft<'_>) -> Self {
        let each_once: BTreeSet<usize> = draft.sequence.iter().copied().collect();
        let once = each_once.len() == draft.sequence.len();
        let sequence = if once { draft.sequence } else { Vec::new() };
        Self { place: draft.now.place, sequence }
    }
}

/// Gains below this, in guest-seconds, are rounding.
pub(crate) const GAIN_MIN_SECONDS: f64 = 1e-6;

/// Empties the scope's hosts, if this simple way can.
pub(crate) fn drain<'a>(context: &'a Context<'a>, scope: &'a Scope) -> Option<Draft<'a>> {
    let view = context.view;
    let leaving: Vec<usize> = scope.vms().filter(|&vm| scope.empties(view.vms[vm].home)).collect();
    let size = |block: &[usize]| block.iter().map(|&vm| u128::from(view.vms[vm].memory())).sum();
    let mut blocks = blocks(context, &leaving);
    blocks.sort_by_key(|block| (Reverse::<u128>(size(block)), block.clone()));
    let mut draft = Draft::new(context, scope);
    for block in blocks {
        let mut best: Option<(f64, usize)> = None;
        for host in (0..view.hosts.len()).filter(|&host| !scope.empties(host)) {
            let before = draft.sequence.len();
            let Some(change) = draft.shift_block(&block, host) else { continue };
            let came: Vec<_> =
                draft.sequence[before..].iter().map(|&vm| (vm, view.vms[vm].home)).collect();
            draft.take_back(&came);
            if best.is_none_or(|(least, _)| change < least) {
                best = Some((change, host));
            }
        }
        draft.shift_block(&block, best?.1)?;
    }
    Some(draft)
}

/// The VMs in sets that must travel to one host together.
pub(crate) fn blocks(context: &Context<'_>, leaving: &[usize]) -> Vec<Vec<usize>> {
    let mut blocks: Vec<BTreeSet<usize>> = leaving.iter().map(|&vm| BTreeSet::from([vm])).collect();
    for group in &context.view.together {
        if scattered_now(context.view, group) {
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

/// Mends what single moves can mend and relieves overloaded hosts while that pays: once by the
/// largest gain, which is best where moves are few, and once by the largest gain for its price,
/// which is best where they are not. The better of the two.
pub(crate) fn balance<'a>(context: &'a Context<'a>, scope: &'a Scope) -> Draft<'a> {
    let [by_gain, by_value] = [Order::Gain, Order::GainForPrice].map(|order| {
        let draft = relieve(context, scope, order);
        (context.objective(scope, &draft.now.place), draft)
    });
    if by_value.0 < by_gain.0 { by_value.1 } else { by_gain.1 }
}

/// The dream of `relaxed` made real: what mostly leaves in it goes, largest first, each to the host
/// where it costs least. `None` where something that must leave finds no room.
pub(crate) fn round<'a>(
    context: &'a Context<'a>,
    scope: &'a Scope,
    relaxed: &Relaxed,
) -> Option<Draft<'a>> {
    let view = context.view;
    let mut draft = Draft::new(context, scope);
    let leaves = |vm: usize| relaxed.leaves[vm] > 0.5;
    let mut leaving: Vec<usize> =
        scope.vms().filter(|&vm| draft.single(vm) && leaves(vm)).collect();
    let hosts = 0..view.hosts.len();
    let size = |vm: usize| {
        let one = &view.vms[vm];
        let host = &view.hosts[one.home];
        one.demand_cores.max(host.memory_as_cores(one.memory()))
    };
    leaving.sort_by(|&a, &b| size(b).total_cmp(&size(a)).then(a.cmp(&b)));
    for vm in leaving {
        let home = view.vms[vm].home;
        match draft.best_of(vm, hosts.clone().filter(|&host| host != home)) {
            Some((_, host)) => draft.shift(vm, host),
            None if scope.empties(home) => return None,
            None => {}
        }
    }
    let left = |vm: usize| scope.empties(draft.now.place[vm]);
    (!scope.vms().any(left)).then_some(draft)
}

/// Which move is the best one.
#[derive(Clone, Copy)]
enum Order {
    Gain,
    GainForPrice,
}

fn relieve<'a>(context: &'a Context<'a>, scope: &'a Scope, order: Order) -> Draft<'a> {
    let view = context.view;
    let mut draft = Draft::new(context, scope);
    let all = || 0..view.hosts.len();
    let singles: Vec<usize> = scope.vms().filter(|&vm| draft.single(vm)).collect();
    for &vm in &singles {
        let home = view.vms[vm].home;
        let breaks = view.ban(vm, home).is_some()
            || view.unwelcome(vm, home) > 0.0
            || draft.now.clash(view, vm, home).is_some();
        if breaks && let Some((_, host)) = draft.best_of(vm, all()) {
            draft.shift(vm, host);
        }
    }
    while draft.may_move_more() {
        let Some((vm, host)) = relief(&draft, order) else { break };
        draft.shift(vm, host);
    }
    draft
}

/// The best paying move away from the hottest host that has one.
fn relief(draft: &Draft<'_>, order: Order) -> Option<(usize, usize)> {
    let context = draft.context;
    let view = context.view;
    let heat =
        |host: usize| context.contention.at(&view.hosts[host], Load::of(view, &draft.now, host));
    let mut hot: Vec<usize> = (0..view.hosts.len())
        .filter(|&host| view.overloaded(host, draft.now.demand(host)))
        .collect();
    hot.sort_by(|&a, &b| heat(b).total_cmp(&heat(a)).then(a.cmp(&b)));
    let worth = |change: f64, vm: usize, to: usize| match order {
        Order::Gain => -change,
        Order::GainForPrice => {
            -change / context.price(draft.scope, vm, to).unwrap_or(0.0).max(1e-3)
        }
    };
    let movable = |vm: usize| draft.single(vm) && draft.now.place[vm] == view.vms[vm].home;
    hot.into_iter().find_map(|host| {
        let guests = draft.guests(host).iter().copied();
        guests
            .filter(|&vm| movable(vm))
            .filter_map(|vm| {
                draft.best_of(vm, 0..view.hosts.len()).map(|(change, to)| (change, vm, to))
            })
            .filter(|(change, ..)| *change < -GAIN_MIN_SECONDS)
            .map(|(change, vm, to)| (worth(change, vm, to), vm, to))
            .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)))
            .map(|(_, vm, to)| (vm, to))
    })
}
