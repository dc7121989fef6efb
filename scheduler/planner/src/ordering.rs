//! From a placement to a stream of moves that holds the limits and rules at every moment.
//!
//! Each move begins as soon as both of its hosts have a slot free and its target has room, the one
//! with the most work behind it on one of its hosts first: on a host that is emptied its longest
//! moves, and of all hosts the one that has most left. A move counts at both ends while it runs.
//! What a move waits for is said by name and not by time, so that the plan is safe however long
//! moves really take (`waits`). How many run at one time is chosen by trying (`pace`): the fewest
//! with which the plan ends as soon as with any number that the policy allows.
//!
//! Where moves wait for each other, those are tried first in a new run; if they still block each
//! other, one passes over a third host that has room for it (a bounce). Where no host has, the
//! placement cannot be reached, and the VMs that wait are named. Never drops a move.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    plan::AtOnce,
    units::{Span, Timestamp},
};

use crate::scope::Context;

mod lanes;
mod pace;
mod stream;
mod waits;

use pace::Pace;
pub(crate) use stream::Scheduled;
use stream::{Stream, Verdict};

/// Runs in which moves that blocked each other go first, before a bounce is tried.
const REORDERINGS_MAX: u32 = 4;

/// A plan that runs more moves at one time must end sooner by at least this part: each guest feels
/// its own migration for longer when it shares the link.
const SOONER_MIN: f64 = 0.02;

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
    /// How many of them may run at one time.
    pub(crate) at_once: AtOnce,
}

impl Order {
    /// Nothing moves.
    pub(crate) fn none(context: &Context<'_>) -> Self {
        let at_once = context.view.policy.limits.at_once();
        Self { moves: Vec::new(), waiting: Vec::new(), at_once }
    }

    /// When the last one is expected to have ended.
    pub(crate) fn ends(&self) -> Span {
        self.moves.iter().map(|one| one.ends).max().unwrap_or_default()
    }

    /// How much is wrong with it, less is better: bounces, then moves that run into the close of
    /// their window.
    fn faults(&self, context: &Context<'_>) -> (usize, usize) {
        let over = |one: &&Scheduled| {
            let Step { vm, from, to, .. } = one.step;
            let Some(closes) = context.view.vms[vm].ends_before else { return false };
            let expected = context.costs.expected(vm, (from, to), one.sharing);
            let lasts = expected.as_ref().as_ref().map(|p| p.total_time.p95).unwrap_or_default();
            context.now + one.begins + lasts > closes
        };
        let bounces = self.moves.iter().filter(|one| one.step.bounce).count();
        (bounces, self.moves.iter().filter(over).count())
    }
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
    let steps = steps_to(context, place);
    let mut found: Vec<Order> = Vec::new();
    let mut stuck = Vec::new();
    for pace in pace::paces(context, &steps) {
        let soonest = found.iter().map(Order::ends).min();
        if soonest.is_some_and(|soonest| pace.bound(context, &steps) > soonest) {
            continue;
        }
        match at_pace(context, &pace, (&steps, sequence), avoid) {
            Ok(order) => found.push(order),
            Err(waiting) => stuck = waiting,
        }
    }
    let fewest = found.iter().map(|order| order.faults(context)).min().ok_or(stuck)?;
    found.retain(|order| order.faults(context) == fewest);
    let soonest = found.iter().map(Order::ends).min().unwrap_or_default().as_seconds_f64();
    let good = |order: &Order| order.ends().as_seconds_f64() * (1.0 - SOONER_MIN) <= soonest;
    found.into_iter().find(good).ok_or_else(Vec::new)
}

/// Direct moves from the present placement to `place`.
fn steps_to(context: &Context<'_>, place: &[usize]) -> Vec<Step> {
    let homes = context.start.place.iter().enumerate().zip(place);
    homes
        .map(|((vm, &from), &to)| Step { vm, from, to, bounce: false })
        .filter(|step| step.from != step.to)
        .collect()
}

/// The moves at one pace; see [`order`].
fn at_pace(
    context: &Context<'_>,
    pace: &Pace,
    (steps, sequence): (&[Step], Option<&[usize]>),
    avoid: &BTreeSet<usize>,
) -> Result<Order, Vec<usize>> {
    let at_once = pace.at_once;
    let direct = |moves| Order { moves, waiting: Vec::new(), at_once };
    let run = |first: &BTreeSet<usize>| Run::new(context, pace, steps, first);
    let mut first: BTreeSet<usize> = BTreeSet::new();
    let mut waiting = Vec::new();
    for _ in 0..REORDERINGS_MAX {
        match run(&first).finished(|_| None) {
            Ok(moves) => return Ok(direct(moves)),
            Err(stuck) => waiting = stuck,
        }
        if waiting.iter().all(|vm| first.contains(vm)) {
            break;
        }
        first.extend(&waiting);
    }
    if let Some(sequence) = sequence
        && let Ok(moves) = run(&first).in_sequence(sequence)
    {
        return Ok(direct(moves));
    }
    let moves = run(&BTreeSet::new()).finished(|run: &mut Run<'_>| run.bounce(avoid))?;
    Ok(Order { moves, waiting, at_once })
}

/// `steps` one after the other, each only once the one before has arrived.
pub(crate) fn one_by_one(context: &Context<'_>, steps: Vec<Step>) -> Order {
    let mut clock = Span::ZERO;
    let mut moves: Vec<Scheduled> = Vec::with_capacity(steps.len());
    for step in steps {
        let after = u32::try_from(moves.len()).ok().and_then(|place| place.checked_sub(1));
        let lasts = context.costs.duration(step.vm, (step.from, step.to), 1).unwrap_or_default();
        let ends = clock + lasts;
        let after = after.into_iter().collect();
        moves.push(Scheduled { step, after, begins: clock, ends, sharing: 1, alone: false });
        clock = ends;
    }
    Order { moves, ..Order::none(context) }
}

/// A walk through the plan.
struct Run<'a> {
    context: &'a Context<'a>,
    pace: &'a Pace,
    stream: Stream<'a>,
    /// Moves that are left, by their place in the order in which they are tried.
    left: BTreeMap<usize, Step>,
    /// Those of them that are worth a try now.
    ready: BTreeSet<usize>,
    /// Those that wait until something changes on a host.
    blocked: Vec<Vec<usize>>,
    /// Those that wait for a moment.
    asleep: BTreeSet<(Span, usize)>,
    bounced: BTreeSet<usize>,
}

impl<'a> Run<'a> {
    fn new(
        context: &'a Context<'a>,
        pace: &'a Pace,
        steps: &[Step],
        first: &BTreeSet<usize>,
    ) -> Self {
        let stream = Stream::new(context, pace, steps);
        let work = pace.work_behind(context, steps);
        let mut ranked: Vec<(usize, &Step)> = steps.iter().enumerate().collect();
        // Those that blocked others, those whose windows close, those with most behind them.
        ranked.sort_by_key(|(index, step)| {
            let closes = context.view.vms[step.vm].ends_before;
            let closes = closes.map_or(u64::MAX, Timestamp::as_micros);
            (!first.contains(&step.vm), closes, std::cmp::Reverse(work[*index]), step.vm)
        });
        let left: BTreeMap<usize, Step> =
            ranked.into_iter().map(|(_, step)| *step).enumerate().collect();
        let ready = left.keys().copied().collect();
        let blocked = vec![Vec::new(); context.view.hosts.len()];
        let asleep = BTreeSet::new();
        Self { context, pace, stream, left, ready, blocked, asleep, bounced: BTreeSet::new() }
    }

    /// Walks to the end; where all that is left waits for each other, `way_out` may find a bounce.
    fn finished(
        mut self,
        way_out: impl Fn(&mut Self) -> Option<Step>,
    ) -> Result<Vec<Scheduled>, Vec<usize>> {
        loop {
            self.begin_ready();
            if let Some(&(moment, rank)) = self.asleep.first()
                && self.stream.wait_until(moment)
            {
                self.asleep.remove(&(moment, rank));
                self.ready.insert(rank);
            } else if let Some(ended) = self.stream.end_next() {
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
            let opens = self.stream.opens(step.vm);
            if opens > self.stream.clock() {
                self.asleep.insert((opens, rank));
                self.ready.remove(&rank);
                continue;
            }
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
        self.stream.release_held();
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
            let opens = self.stream.opens(step.vm);
            while opens > self.stream.clock() && !self.stream.wait_until(opens) {
                self.stream.end_next();
            }
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
                let lasts = |from, to| self.pace.lasts(self.context, &Step { from, to, ..*step });
                let legs = (lasts(step.from, via), lasts(via, step.to));
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
