//! From a placement to waves that hold the limits and rules at every moment.
//!
//! While a wave runs, each of its VMs counts at both ends, for memory, vCPUs and rules. Moves that
//! take about equally long run together, because a wave lasts as long as its longest move: the
//! longest that fits opens a wave, the next longest join it.
//!
//! Where moves wait for each other, those are tried first in a new run; if they still block each
//! other, one passes over a third host that has room for it (a bounce). Where no host has, the
//! placement cannot be reached, and the VMs that wait are named. Never drops a move.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::units::Span;

use crate::{scope::Context, view::Occupancy};

/// Runs in which moves that blocked each other go first, before a bounce is tried.
const REORDERINGS_MAX: u32 = 4;

/// One migration of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) vm: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// It goes on from there later.
    pub(crate) bounce: bool,
}

/// Waves that lead to a placement.
pub(crate) struct Order {
    pub(crate) waves: Vec<Vec<Step>>,
    /// VMs that wait for each other unless one of them bounces; empty where none has to.
    pub(crate) waiting: Vec<usize>,
}

/// Waves that lead from the present placement to `place`.
///
/// `sequence`, where given, is an order in which the moves are known to be possible one by one.
/// Nothing passes over `avoid`, the host that is being emptied: there is a reason why it is.
///
/// # Errors
/// The VMs that wait for each other when there is no way.
pub(crate) fn order(
    context: &Context<'_>,
    place: &[usize],
    sequence: Option<&[usize]>,
    avoid: Option<usize>,
) -> Result<Order, Vec<usize>> {
    let direct = |waves| Order { waves, waiting: Vec::new() };
    let mut first: BTreeSet<usize> = BTreeSet::new();
    let mut waiting = Vec::new();
    for _ in 0..REORDERINGS_MAX {
        match Run::new(context, place, &first).finished(|_| None) {
            Ok(waves) => return Ok(direct(waves)),
            Err(stuck) => waiting = stuck,
        }
        if waiting.iter().all(|vm| first.contains(vm)) {
            break;
        }
        first.extend(&waiting);
    }
    if let Some(sequence) = sequence
        && let Ok(waves) = Run::new(context, place, &first).in_sequence(sequence)
    {
        return Ok(direct(waves));
    }
    let waves = Run::new(context, place, &BTreeSet::new())
        .finished(|run: &mut Run<'_>| run.bounce(avoid))?;
    Ok(Order { waves, waiting })
}

/// A walk through the plan.
struct Run<'a> {
    context: &'a Context<'a>,
    now: Occupancy,
    /// Moves that are left, the ones to try first at the front.
    left: Vec<Step>,
    waves: Vec<Vec<Step>>,
    bounced: BTreeSet<usize>,
    moves: usize,
}

impl<'a> Run<'a> {
    fn new(context: &'a Context<'a>, place: &[usize], first: &BTreeSet<usize>) -> Self {
        let mut left: Vec<Step> = place
            .iter()
            .enumerate()
            .map(|(vm, &to)| Step { vm, from: context.start.place[vm], to, bounce: false })
            .filter(|step| step.from != step.to)
            .collect();
        left.sort_by_key(|step| {
            (!first.contains(&step.vm), std::cmp::Reverse(duration(context, step)), step.vm)
        });
        let moves = left.len();
        let now = context.start.clone();
        Self { context, now, left, waves: Vec::new(), bounced: BTreeSet::new(), moves }
    }

    /// Walks to the end; where all that is left waits for each other, `way_out` may find a bounce.
    fn finished(
        mut self,
        way_out: impl Fn(&mut Self) -> Option<Step>,
    ) -> Result<Vec<Vec<Step>>, Vec<usize>> {
        while !self.left.is_empty() {
            let mut wave = Wave::new(self.context);
            for step in &self.left {
                if wave.takes(&self.now, step) {
                    wave.add(*step);
                }
            }
            if wave.steps.is_empty() {
                let Some(bounce) = way_out(&mut self) else { return Err(self.stuck()) };
                wave.add(bounce);
            }
            self.finish(wave);
        }
        Ok(self.waves)
    }

    /// Strictly in the given order: a wave ends before the first move that does not fit into it.
    fn in_sequence(mut self, sequence: &[usize]) -> Result<Vec<Vec<Step>>, Vec<usize>> {
        let position: BTreeMap<usize, usize> = sequence.iter().copied().zip(0..).collect();
        self.left.sort_by_key(|step| position.get(&step.vm).copied().unwrap_or(usize::MAX));
        while !self.left.is_empty() {
            let mut wave = Wave::new(self.context);
            for step in &self.left {
                if !wave.takes(&self.now, step) {
                    break;
                }
                wave.add(*step);
            }
            if wave.steps.is_empty() {
                return Err(self.stuck());
            }
            self.finish(wave);
        }
        Ok(self.waves)
    }

    fn finish(&mut self, wave: Wave<'_>) {
        let mut steps = wave.steps;
        for step in &steps {
            self.now.shift(self.context.view, step.vm, step.to);
        }
        let done = |left: &Step| steps.contains(left);
        self.left.retain(|left| !done(left));
        for left in &mut self.left {
            left.from = self.now.place[left.vm];
        }
        steps.sort_by_key(|step| step.vm);
        self.waves.push(steps);
    }

    /// A stuck VM and a third host whose room lets another stuck VM go. The shortest migration
    /// that does so.
    fn bounce(&mut self, avoid: Option<usize>) -> Option<Step> {
        if self.moves >= self.context.view.policy.limits.moves_max as usize {
            return None;
        }
        let view = self.context.view;
        let mut best: Option<(Span, Step)> = None;
        for step in self.left.iter().filter(|step| !self.bounced.contains(&step.vm)) {
            for via in (0..view.hosts.len()).filter(|via| *via != step.to && *via != step.from) {
                if avoid == Some(via) || !self.now.takes(view, step.vm, via) {
                    continue;
                }
                let costs = self.context.costs;
                let legs = (
                    costs.duration(step.vm, step.from, via),
                    costs.duration(step.vm, via, step.to),
                );
                let (Some(there), Some(on)) = legs else { continue };
                let longer = best.as_ref().is_some_and(|(least, _)| there + on >= *least);
                if !longer && self.frees(step.vm, via) {
                    best = Some((there + on, Step { to: via, bounce: true, ..*step }));
                }
            }
        }
        let (_, step) = best?;
        self.bounced.insert(step.vm);
        self.moves += 1;
        Some(step)
    }

    /// Whether another stuck move becomes possible once `vm` is on `via`.
    fn frees(&self, vm: usize, via: usize) -> bool {
        let mut after = self.now.clone();
        after.shift(self.context.view, vm, via);
        let others = self.left.iter().filter(|step| step.vm != vm);
        others.into_iter().any(|step| after.takes(self.context.view, step.vm, step.to))
    }

    fn stuck(&self) -> Vec<usize> {
        self.left.iter().map(|step| step.vm).collect()
    }
}

/// A wave under construction.
struct Wave<'a> {
    context: &'a Context<'a>,
    steps: Vec<Step>,
    /// Memory and vCPUs that arrive at each host.
    arrivals: BTreeMap<usize, (u64, u64)>,
    /// Migrations that leave or enter each host.
    busy: BTreeMap<usize, u32>,
}

impl<'a> Wave<'a> {
    fn new(context: &'a Context<'a>) -> Self {
        Self { context, steps: Vec::new(), arrivals: BTreeMap::new(), busy: BTreeMap::new() }
    }

    /// Whether `step` can run beside the others, from where everything is `now`.
    fn takes(&self, now: &Occupancy, step: &Step) -> bool {
        let (view, limits) = (self.context.view, &self.context.view.policy.limits);
        let at = |host| self.busy.get(&host).copied().unwrap_or(0);
        if self.steps.len() >= limits.migrations_total as usize
            || at(step.from) >= limits.migrations_per_host
            || at(step.to) >= limits.migrations_per_host
        {
            return false;
        }
        let (memory, vcpus) = self.arrivals.get(&step.to).copied().unwrap_or_default();
        let vm = &view.vms[step.vm];
        let size = (memory.saturating_add(vm.memory()), vcpus.saturating_add(vm.vcpus()));
        let meets_other = || {
            let groups = vm.apart.iter().map(|&group| &view.apart[group]);
            groups.into_iter().any(|group| {
                self.steps.iter().any(|other| other.to == step.to && group.vms.contains(&other.vm))
            })
        };
        now.takes(view, step.vm, step.to) && now.within(view, step.to, size) && !meets_other()
    }

    fn add(&mut self, step: Step) {
        let vm = &self.context.view.vms[step.vm];
        let (memory, vcpus) = self.arrivals.entry(step.to).or_default();
        *memory = memory.saturating_add(vm.memory());
        *vcpus = vcpus.saturating_add(vm.vcpus());
        *self.busy.entry(step.from).or_default() += 1;
        *self.busy.entry(step.to).or_default() += 1;
        self.steps.push(step);
    }
}

fn duration(context: &Context<'_>, step: &Step) -> Span {
    context.costs.duration(step.vm, step.from, step.to).unwrap_or_default()
}
