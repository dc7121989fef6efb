//! From a placement to a stream of moves that holds the limits and rules at every moment.
//!
//! Each move begins as soon as both of its hosts have a slot free and its target has room, the one
//! with the most work behind it on one of its hosts first: on a host that is emptied its longest
//! moves, and of all hosts the one that has most left. A move counts at both ends while it runs.
//! What a move waits for is said by name and not by time, so that the plan is safe however long
//! moves really take (`waits`).
//!
//! Where moves wait for each other, those are tried first in a new run; if they still block each
//! other, one passes over a third host that has room for it (a bounce). Where no host has, the
//! placement cannot be reached, and the VMs that wait are named. Never drops a move.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::units::Span;

use crate::scope::Context;

mod lanes;
mod stream;
mod waits;

pub(crate) use stream::Scheduled;
use stream::{Stream, Verdict};

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

/// Moves that lead to a placement.
pub(crate) struct Order {
    /// In the order in which they begin.
    pub(crate) moves: Vec<Scheduled>,
    /// VMs that wait for each other unless one of them bounces; empty where none has to.
    pub(crate) waiting: Vec<usize>,
}

/// Moves that lead from the present placement to `place`.
///
/// `sequence`, where given, is an order in which the moves are known to be possible one by one.
/// Nothing passes over `avoid`, the hosts that are being emptied: there is a reason why they are.
///
/// # Errors
/// The VMs that wait for each other when there is no way.
pub(crate) fn order(
    context: &Context<'_>,
    place: &[usize],
    sequence: Option<&[usize]>,
    avoid: &BTreeSet<usize>,
) -> Result<Order, Vec<usize>> {
    let direct = |moves| Order { moves, waiting: Vec::new() };
    let mut first: BTreeSet<usize> = BTreeSet::new();
    let mut waiting = Vec::new();
    for _ in 0..REORDERINGS_MAX {
        match Run::new(context, place, &first).finished(|_| None) {
            Ok(moves) => return Ok(direct(moves)),
            Err(stuck) => waiting = stuck,
        }
        if waiting.iter().all(|vm| first.contains(vm)) {
            break;
        }
        first.extend(&waiting);
    }
    if let Some(sequence) = sequence
        && let Ok(moves) = Run::new(context, place, &first).in_sequence(sequence)
    {
        return Ok(direct(moves));
    }
    let moves = Run::new(context, place, &BTreeSet::new())
        .finished(|run: &mut Run<'_>| run.bounce(avoid))?;
    Ok(Order { moves, waiting })
}

/// `steps` one after the other, each only once the one before has arrived.
pub(crate) fn one_by_one(context: &Context<'_>, steps: Vec<Step>) -> Vec<Scheduled> {
    let mut clock = Span::ZERO;
    let mut moves: Vec<Scheduled> = Vec::with_capacity(steps.len());
    for step in steps {
        let after = u32::try_from(moves.len()).ok().and_then(|place| place.checked_sub(1));
        let ends = clock + duration(context, &step);
        let after = after.into_iter().collect();
        moves.push(Scheduled { step, after, begins: clock, ends, sharing: 1 });
        clock = ends;
    }
    moves
}

/// A walk through the plan.
struct Run<'a> {
    context: &'a Context<'a>,
    stream: Stream<'a>,
    /// Moves that are left, by their place in the order in which they are tried.
    left: BTreeMap<usize, Step>,
    /// Those of them that are worth a try now.
    ready: BTreeSet<usize>,
    /// Those that wait until something changes on a host.
    blocked: Vec<Vec<usize>>,
    bounced: BTreeSet<usize>,
}

impl<'a> Run<'a> {
    fn new(context: &'a Context<'a>, place: &[usize], first: &BTreeSet<usize>) -> Self {
        let steps: Vec<Step> = place
            .iter()
            .enumerate()
            .map(|(vm, &to)| Step { vm, from: context.start.place[vm], to, bounce: false })
            .filter(|step| step.from != step.to)
            .collect();
        let stream = Stream::new(context, &steps);
        let mut ranked: Vec<(bool, std::cmp::Reverse<Span>, usize, Step)> = steps
            .iter()
            .zip(work_behind(context, &steps))
            .map(|(step, work)| {
                (!first.contains(&step.vm), std::cmp::Reverse(work), step.vm, *step)
            })
            .collect();
        ranked.sort_by_key(|(later, work, vm, _)| (*later, *work, *vm));
        let left: BTreeMap<usize, Step> =
            ranked.into_iter().map(|(.., step)| step).enumerate().collect();
        let ready = left.keys().copied().collect();
        let blocked = vec![Vec::new(); context.view.hosts.len()];
        Self { context, stream, left, ready, blocked, bounced: BTreeSet::new() }
    }

    /// Walks to the end; where all that is left waits for each other, `way_out` may find a bounce.
    fn finished(
        mut self,
        way_out: impl Fn(&mut Self) -> Option<Step>,
    ) -> Result<Vec<Scheduled>, Vec<usize>> {
        loop {
            self.begin_ready();
            if let Some(ended) = self.stream.end_next() {
                for host in [ended.from, ended.to] {
                    self.ready.extend(self.blocked[host].drain(..));
                }
            } else if self.left.is_empty() {
                return Ok(self.stream.moves());
            } else if !self.wake_all() {
                let Some(bounce) = way_out(&mut self) else { return Err(self.stuck()) };
                if !self.stream.bounce(bounce) {
                    return Err(self.stuck());
                }
                for step in self.left.values_mut().filter(|step| step.vm == bounce.vm) {
                    step.from = bounce.to;
                }
            }
        }
    }

    /// Begins every move that can begin, the most urgent first.
    fn begin_ready(&mut self) {
        let tried: Vec<usize> = self.ready.iter().copied().collect();
        for rank in tried {
            let Some(&step) = self.left.get(&rank) else { continue };
            match self.stream.begin(step) {
                Verdict::Begun => {
                    self.left.remove(&rank);
                }
                Verdict::Waits { host } => self.blocked[host].push(rank),
                Verdict::AllSlotsTaken => break,
            }
            self.ready.remove(&rank);
        }
    }

    /// Looks at every blocked move again, once nothing runs any more: a rule may have been waiting
    /// for a change on another host. Whether one of them can begin.
    fn wake_all(&mut self) -> bool {
        for blocked in &mut self.blocked {
            self.ready.extend(blocked.drain(..));
        }
        let before = self.left.len();
        self.begin_ready();
        self.left.len() < before
    }

    /// Strictly in the given order: no move begins before the one before it.
    fn in_sequence(mut self, sequence: &[usize]) -> Result<Vec<Scheduled>, Vec<usize>> {
        let position: BTreeMap<usize, usize> = sequence.iter().copied().zip(0..).collect();
        let mut steps: Vec<Step> = self.left.values().copied().collect();
        steps.sort_by_key(|step| position.get(&step.vm).copied().unwrap_or(usize::MAX));
        for step in steps {
            while self.stream.begin(step) != Verdict::Begun {
                if self.stream.end_next().is_none() {
                    return Err(self.stuck());
                }
            }
        }
        while self.stream.end_next().is_some() {}
        self.left.clear();
        Ok(self.stream.moves())
    }

    /// A stuck VM and a third host whose room lets another stuck VM go. The shortest migration
    /// that does so.
    fn bounce(&mut self, avoid: &BTreeSet<usize>) -> Option<Step> {
        let (view, now) = (self.context.view, self.stream.now());
        if self.left.len() + self.stream.begun() >= view.policy.limits.moves_max as usize {
            return None;
        }
        let mut best: Option<(Span, Step)> = None;
        let once = |step: &&Step| !self.bounced.contains(&step.vm) && view.may_move_twice(step.vm);
        for step in self.left.values().filter(once) {
            for via in (0..view.hosts.len()).filter(|via| *via != step.to && *via != step.from) {
                if avoid.contains(&via) || !now.takes(view, step.vm, via) {
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
        Some(step)
    }

    /// Whether another stuck move becomes possible once `vm` is on `via`.
    fn frees(&self, vm: usize, via: usize) -> bool {
        let mut after = self.stream.now().clone();
        after.shift(self.context.view, vm, via);
        let mut others = self.left.values().filter(|step| step.vm != vm);
        others.any(|step| after.takes(self.context.view, step.vm, step.to))
    }

    fn stuck(&self) -> Vec<usize> {
        self.left.values().map(|step| step.vm).collect()
    }
}

/// For each step the time that its source or its target, whichever is more, is busy from it on,
/// when the longest of its moves go first: the longest way to the end leads through there.
fn work_behind(context: &Context<'_>, steps: &[Step]) -> Vec<Span> {
    let lasting: Vec<Span> = steps.iter().map(|step| duration(context, step)).collect();
    let mut shortest_first: Vec<usize> = (0..steps.len()).collect();
    shortest_first.sort_by_key(|&index| (lasting[index], std::cmp::Reverse(steps[index].vm)));
    let hosts = context.view.hosts.len();
    let (mut leaving, mut coming) = (vec![Span::ZERO; hosts], vec![Span::ZERO; hosts]);
    let mut work = vec![Span::ZERO; steps.len()];
    for index in shortest_first {
        let step = &steps[index];
        leaving[step.from] += lasting[index];
        coming[step.to] += lasting[index];
        work[index] = leaving[step.from].max(coming[step.to]);
    }
    work
}

fn duration(context: &Context<'_>, step: &Step) -> Span {
    context.costs.duration(step.vm, step.from, step.to).unwrap_or_default()
}
