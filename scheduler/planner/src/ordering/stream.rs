//! Moves in time: what runs, what has ended, and when the next one may begin.
//!
//! Time is the predicted median of each move at the number of migrations that will share its hosts.
//! Decides whether a move may begin now; which one is tried is the caller's choice.

use std::collections::BTreeSet;

use whimbrel_core::units::Span;

use super::{
    Step,
    lanes::Lanes,
    waits::{Waits, place_of},
};
use crate::{scope::Context, view::Occupancy};

/// A move in its place in the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scheduled {
    pub(crate) step: Step,
    /// Places in the plan of the moves that must have arrived before it begins, ascending.
    pub(crate) after: Vec<u32>,
    /// When it is expected to begin, counted from the first.
    pub(crate) begins: Span,
    /// When it is expected to have ended.
    pub(crate) ends: Span,
    /// Migrations that are expected to share one of its hosts, itself among them.
    pub(crate) sharing: u32,
}

/// Whether a move has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Begun,
    /// Something must change on this host first.
    Waits {
        host: usize,
    },
    /// The cluster runs as many migrations as it may.
    AllSlotsTaken,
}

/// The plan so far.
pub(super) struct Stream<'a> {
    context: &'a Context<'a>,
    clock: Span,
    /// A move that runs counts at both ends.
    now: Occupancy,
    /// End and place in the plan of what runs.
    running: BTreeSet<(Span, usize)>,
    /// Migrations that run at each host.
    busy: Vec<u32>,
    /// Migrations at each host that have not ended, begun or not.
    ahead: Vec<u32>,
    moves: Vec<Scheduled>,
    /// Whether each of them has ended.
    ended: Vec<bool>,
    waits: Waits,
    lanes: Lanes,
}

impl<'a> Stream<'a> {
    /// At the begin of `steps`.
    pub(super) fn new(context: &'a Context<'a>, steps: &[Step]) -> Self {
        let mut ahead = vec![0; context.view.hosts.len()];
        for step in steps {
            ahead[step.from] += 1;
            ahead[step.to] += 1;
        }
        Self {
            context,
            clock: Span::ZERO,
            now: context.start.clone(),
            running: BTreeSet::new(),
            busy: vec![0; context.view.hosts.len()],
            ahead,
            moves: Vec::new(),
            ended: Vec::new(),
            waits: Waits::new(context.start.clone(), context.view.hosts.len()),
            lanes: Lanes::new(context.view),
        }
    }

    /// Who is where at this moment, what runs at both ends.
    pub(super) fn now(&self) -> &Occupancy {
        &self.now
    }

    /// Moves begun so far.
    pub(super) fn begun(&self) -> usize {
        self.moves.len()
    }

    /// The finished plan.
    pub(super) fn moves(self) -> Vec<Scheduled> {
        self.moves
    }

    /// Begins `step` if it may begin now.
    pub(super) fn begin(&mut self, step: Step) -> Verdict {
        let (view, limits) = (self.context.view, &self.context.view.policy.limits);
        if self.running.len() >= limits.migrations_total as usize {
            return Verdict::AllSlotsTaken;
        }
        let full = |host: &usize| self.busy[*host] >= limits.migrations_per_host;
        if let Some(host) = [step.from, step.to].into_iter().find(full) {
            return Verdict::Waits { host };
        }
        let runs = |index: usize| !self.ended[index];
        if self.waits.last_of(step.vm).is_some_and(runs) {
            return Verdict::Waits { host: step.from };
        }
        if !self.now.takes(view, step.vm, step.to) {
            return Verdict::Waits { host: step.to };
        }
        let before = match self.lanes.before(view, step.vm, runs) {
            Ok(before) => before,
            Err(Some(running)) => return Verdict::Waits { host: self.moves[running].step.to },
            Err(None) => return Verdict::Waits { host: step.to },
        };
        let Some(mut after) = self.waits.of(view, &step, &self.moves, runs) else {
            return Verdict::Waits { host: step.to };
        };
        after.extend(before.into_iter().map(place_of));
        after.sort_unstable();
        after.dedup();
        self.start(step, after);
        Verdict::Begun
    }

    fn start(&mut self, step: Step, after: Vec<u32>) {
        let (view, limits) = (self.context.view, &self.context.view.policy.limits);
        let ahead = self.ahead[step.from].max(self.ahead[step.to]);
        let sharing = ahead.min(limits.migrations_per_host).min(limits.migrations_total).max(1);
        let expected = self.context.costs.expected(step.vm, (step.from, step.to), sharing);
        let lasts = expected.as_ref().as_ref().map(|one| one.total_time.p50).unwrap_or_default();
        let ends = self.clock + lasts;
        for host in [step.from, step.to] {
            self.busy[host] += 1;
        }
        self.now.add(view, step.vm, step.to);
        self.now.place[step.vm] = step.to;
        self.running.insert((ends, self.moves.len()));
        self.waits.begun(view, &step, self.moves.len());
        let runs = |index: usize| !self.ended[index];
        self.lanes.begun(view, step.vm, self.moves.len(), runs);
        self.ended.push(false);
        self.moves.push(Scheduled { step, after, begins: self.clock, ends, sharing });
    }

    /// Begins a move beyond those that were announced.
    pub(super) fn bounce(&mut self, step: Step) -> bool {
        for host in [step.from, step.to] {
            self.ahead[host] += 1;
        }
        self.begin(step) == Verdict::Begun
    }

    /// Goes on to the moment at which the next move ends; `None` when nothing runs.
    pub(super) fn end_next(&mut self) -> Option<Step> {
        let (at, index) = self.running.pop_first()?;
        self.clock = at;
        self.ended[index] = true;
        let step = self.moves[index].step;
        for host in [step.from, step.to] {
            self.busy[host] -= 1;
            self.ahead[host] = self.ahead[host].saturating_sub(1);
        }
        self.now.remove(self.context.view, step.vm, step.from);
        self.waits.ended(&step, index);
        Some(step)
    }
}
