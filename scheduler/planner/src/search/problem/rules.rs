//! Rules as rows of the program.
//!
//! A hard rule that holds now is hard here. One that is broken now is charged for as long as it
//! stays so, and nothing may break it further. A preference is charged whenever it is not met.

use std::collections::{BTreeMap, BTreeSet};

use good_lp::{Constraint, Expression, Variable};

use super::{Builder, GIB};
use crate::{
    scope::{BROKEN_RULE_SECONDS, scattered, scattered_now},
    view::Group,
};

/// Who of a rule may be in a place: VMs that may end there, and how many are there for sure.
#[derive(Default)]
struct There {
    /// Decisions of those who are there now.
    stay: Expression,
    /// Decisions of those who come from elsewhere.
    come: Expression,
    decisions: Vec<(usize, Variable)>,
    /// VMs there that do not move, arriving ones included.
    fixed: usize,
    /// VMs there now, arriving ones included.
    now: usize,
}

impl Builder<'_> {
    /// Rules among VMs.
    pub(super) fn rules(&mut self) {
        let view = self.context.view;
        for group in &view.apart {
            self.apart(group);
        }
        for group in &view.together {
            self.together(group);
        }
        for group in &view.capped {
            self.capped(group);
        }
        for group in &view.alone {
            self.alone(group);
        }
    }

    /// The places of `group` where one of it may end or is, each with who.
    fn there(&self, group: &Group<'_>) -> Vec<(usize, There)> {
        let mut places: BTreeMap<usize, There> = BTreeMap::new();
        for place in group.arriving.iter().filter_map(|&host| group.place(host)) {
            let there = places.entry(place).or_default();
            there.fixed += 1;
            there.now += 1;
        }
        for &vm in &group.vms {
            let home = group.place(self.home(vm));
            if let Some(home) = home {
                let there = places.entry(home).or_default();
                there.now += 1;
                there.fixed += usize::from(!self.movable(vm));
            }
            let Some(options) = self.options.get(&vm) else { continue };
            for &host in options.keys() {
                let (Some(place), Some(&x)) = (group.place(host), self.x.get(&(vm, host))) else {
                    continue;
                };
                let there = places.entry(place).or_default();
                let side = if home == Some(place) { &mut there.stay } else { &mut there.come };
                side.add_mul(1, x);
                there.decisions.push((vm, x));
            }
        }
        places.into_iter().collect()
    }

    /// At most so many of the group in each place. Where more are now, others may come once the
    /// rule holds there.
    fn apart(&mut self, group: &Group<'_>) {
        let most = f64::from(group.most);
        for (place, there) in self.there(group) {
            let (fixed, now) = (there.fixed as f64, there.now as f64);
            let start = |at: &[usize]| {
                let own = group.vms.iter().filter(|vm| group.place(at[**vm]) == Some(place));
                let arriving = group.arriving.iter().filter(|h| group.place(**h) == Some(place));
                ((own.count() + arriving.count()) as f64 - most).max(0.0)
            };
            if group.hard && fixed > 0.0 {
                self.rows.push(there.come.clone().leq((most - fixed).max(0.0)));
            }
            if group.hard && now <= most {
                self.rows.push((there.stay + there.come).leq(most - fixed));
                continue;
            }
            let excess = self.column(false, start);
            self.rows.push((there.stay + there.come.clone() - excess).leq(most - fixed));
            self.objective.add_mul(group.weight, excess);
            if group.hard {
                let broken = self.column(true, |at| start(at).min(1.0));
                self.rows.push((excess - now * broken).leq(0));
                self.rows.push((there.come + most * broken).leq(most));
            }
        }
    }

    /// The group is in at most so many places. Where it is in more now, it goes to none that it is
    /// not in as long as that lasts.
    fn capped(&mut self, group: &Group<'_>) {
        let most = f64::from(group.most);
        let places = self.there(group);
        let used_in = |at: &[usize]| {
            let own = group.vms.iter().map(|&vm| at[vm]).chain(group.arriving.iter().copied());
            own.filter_map(|host| group.place(host)).collect::<BTreeSet<_>>()
        };
        let now = places.iter().filter(|(_, there)| there.now > 0).count() as f64;
        let over = |at: &[usize]| (used_in(at).len() as f64 - most).max(0.0);
        let excess = (!group.hard || now > most).then(|| self.column(false, over));
        let broken = (group.hard && now > most).then(|| self.column(true, |at| over(at).min(1.0)));
        let mut sum = excess.map_or(Expression::default(), |excess| -1.0 * excess);
        if let Some(excess) = excess {
            self.objective.add_mul(group.weight, excess);
            if let Some(broken) = broken {
                self.rows.push((excess - (now - most) * broken).leq(0));
            }
        }
        let mut fixed = 0.0;
        for (place, there) in places {
            if there.fixed > 0 {
                fixed += 1.0;
                continue;
            }
            let is_used = |at: &[usize]| f64::from(u8::from(used_in(at).contains(&place)));
            let used = self.column(true, is_used);
            for (_, x) in there.decisions {
                self.rows.push((Expression::from(x) - used).leq(0));
            }
            if let Some(broken) = broken.filter(|_| there.now == 0) {
                self.rows.push((used + broken).leq(1));
            }
            sum.add_mul(1, used);
        }
        self.rows.push(sum.leq(most - fixed));
    }

    /// Where the group is, nobody else is. A host that is shared now takes nobody as long as that
    /// lasts.
    fn alone(&mut self, group: &Group<'_>) {
        let (view, start) = (self.context.view, self.context.start);
        for (host, own) in self.there(group) {
            let member = |vm: &usize| group.vms.binary_search(vm).is_ok();
            let strangers: Vec<(usize, Variable)> =
                self.candidates(host).into_iter().filter(|(vm, _)| !member(vm)).collect();
            let strangers_now = start.tally().guests(host) as usize - own.now;
            // Who may move and may not stay is none who stays.
            let homes = self.options.keys().filter(|vm| view.vms[**vm].home == host);
            let leave = homes.filter(|vm| !member(vm)).count();
            let fixed = strangers_now - leave;
            let shared = |at: &[usize]| {
                let (mut inside, mut outside) = (own.fixed, fixed);
                inside += own.decisions.iter().filter(|(vm, _)| at[*vm] == host).count();
                outside += strangers.iter().filter(|(vm, _)| at[*vm] == host).count();
                (inside, inside > 0 && outside > 0)
            };
            if (own.decisions.is_empty() && own.fixed == 0) || (strangers.is_empty() && fixed == 0)
            {
                continue;
            }
            let taken = self.column(true, |at| f64::from(u8::from(shared(at).0 > 0)));
            let may_be_shared = !group.hard || (own.now > 0 && strangers_now > 0);
            let broken =
                may_be_shared.then(|| self.column(true, |at| f64::from(u8::from(shared(at).1))));
            let (inside, outside) = (own.decisions.len() as f64, strangers.len() as f64);
            self.rows.push((own.stay + own.come.clone() - inside * taken).leq(0));
            if own.fixed > 0 {
                self.rows.push(Expression::from(taken).geq(1));
            }
            let mut others = Expression::default();
            for (_, x) in &strangers {
                others.add_mul(1, *x);
            }
            let kept = broken.map_or(Expression::from(taken), |broken| taken - broken);
            self.rows.push((others + outside.max(1.0) * kept.clone()).leq(outside.max(1.0)));
            if fixed > 0 {
                self.rows.push(kept.leq(0));
            }
            let Some(broken) = broken else { continue };
            self.objective.add_mul(group.weight, broken);
            if group.hard {
                let mut come = own.come;
                let arriving = strangers.iter().filter(|(vm, _)| view.vms[*vm].home != host);
                arriving.for_each(|(_, x)| come.add_mul(1, *x));
                self.rows.push((come + (inside + outside) * broken).leq(inside + outside));
            }
        }
    }

    /// The group stays together if it is; otherwise getting it together saves a penalty.
    fn together(&mut self, group: &Group<'_>) {
        let fixed: Vec<usize> = group
            .vms
            .iter()
            .filter(|&&vm| !self.movable(vm))
            .map(|&vm| self.home(vm))
            .chain(group.arriving.iter().copied())
            .collect();
        let apart_now = scattered_now(self.context.view, group);
        if fixed.windows(2).any(|pair| pair[0] != pair[1]) {
            return;
        }
        let mended = apart_now.then(|| {
            let mended = self.column(true, |place| 1.0 - scattered(group, place) as f64);
            self.objective.add_mul(-BROKEN_RULE_SECONDS, mended);
            mended
        });
        let movable: Vec<usize> =
            group.vms.iter().copied().filter(|&vm| self.movable(vm)).collect();
        let Some((&first, others)) = movable.split_first() else { return };
        for host in 0..self.context.view.hosts.len() {
            let there = |vm: usize| -> Expression {
                self.x.get(&(vm, host)).map_or(Expression::default(), |&x| x.into())
            };
            let (anchor, compared) = match fixed.first() {
                Some(&at) => (Expression::from(f64::from(u8::from(at == host))), &movable[..]),
                None => (there(first), others),
            };
            let rows: Vec<Constraint> = compared
                .iter()
                .flat_map(|&vm| {
                    let slack = || mended.map_or(Expression::default(), |b| 1.0 - b);
                    [
                        (there(vm) - anchor.clone()).leq(slack()),
                        (anchor.clone() - there(vm)).leq(slack()),
                    ]
                })
                .collect();
            self.rows.extend(rows);
        }
    }

    /// Huge pages of a host that may receive. Where guests hold more than there are, it takes none
    /// that needs more of them.
    pub(super) fn pages(&mut self, host: usize, candidates: &[(usize, Variable)]) {
        let (view, start) = (self.context.view, self.context.start);
        let Some(offered) = &view.hosts[host].host.offers.huge_pages else { return };
        let held = |vm: usize, size| {
            view.vms[vm].domain.needs.huge_pages.get(size).map_or(0.0, |b| b.as_f64() / GIB)
        };
        for (size, all) in offered {
            let mut fixed = start.huge_pages(host, *size) as f64 / GIB;
            let (mut sum, mut come) = (Expression::default(), Expression::default());
            for &(vm, x) in candidates.iter().filter(|(vm, _)| held(*vm, size) > 0.0) {
                sum.add_mul(held(vm, size), x);
                if view.vms[vm].home == host {
                    fixed -= held(vm, size);
                } else {
                    come.add_mul(1, x);
                }
            }
            let all = all.as_f64() / GIB;
            if start.huge_pages(host, *size) as f64 / GIB <= all {
                self.rows.push(sum.leq(all - fixed));
            } else {
                self.rows.push(come.leq(0));
            }
        }
    }

    /// A NUMA node for everybody on a host that needs one. Where guests that are there now have none,
    /// it takes none that needs one.
    pub(super) fn nodes(&mut self, host: usize, candidates: &[(usize, Variable)]) {
        let view = self.context.view;
        let numa = &view.hosts[host].host.offers.numa;
        let need = |vm: usize| view.vms[vm].domain.needs.one_node;
        let all: Vec<(usize, Variable)> =
            candidates.iter().copied().filter(|(vm, _)| need(*vm).is_some()).collect();
        if numa.is_empty() || all.is_empty() {
            return;
        }
        if !self.context.start.has_nodes(view, host) {
            let come = all.iter().filter(|(vm, _)| view.vms[*vm].home != host);
            self.rows.extend(come.map(|(_, x)| Expression::from(*x).leq(0)));
            return;
        }
        let mut fixed = view.hosts[host].passing_nodes();
        let stays = |vm: &usize| view.vms[*vm].home == host && !self.movable(*vm);
        fixed.extend((0..view.vms.len()).filter(stays).filter_map(need));
        let mut memory = vec![Expression::default(); numa.len()];
        let mut cpus = memory.clone();
        let moving = all.iter().filter_map(|&(vm, x)| Some((need(vm)?, Expression::from(x))));
        let fixed = fixed.into_iter().map(|need| (need, Expression::from(1.0)));
        for (need, there) in moving.chain(fixed).collect::<Vec<_>>() {
            let mut sum = Expression::default();
            for node in 0..numa.len() {
                // The incumbent does not say which node; the solver finds one.
                let on = self.column(true, |_| 0.0);
                sum.add_mul(1, on);
                memory[node].add_mul(need.memory.as_f64() / GIB, on);
                cpus[node].add_mul(need.cpus, on);
            }
            self.rows.push((sum - there).eq(0));
        }
        for (node, (memory, cpus)) in numa.iter().zip(memory.into_iter().zip(cpus)) {
            self.rows.push(memory.leq(node.memory.as_f64() / GIB));
            self.rows.push(cpus.leq(node.cpus));
        }
    }

    /// Moves that budgets of disruption leave.
    pub(super) fn budgets(&mut self) {
        let view = self.context.view;
        let mut sums = vec![Expression::default(); view.budgets.len()];
        for (&(vm, host), &x) in &self.x {
            if host != self.home(vm) {
                view.vms[vm].budgets.iter().for_each(|&budget| sums[budget].add_mul(1, x));
            }
        }
        for (sum, one) in sums.into_iter().zip(&view.budgets) {
            if let Some(most) = one.budget.moves_max {
                self.rows.push(sum.leq(most));
            }
        }
    }
}
