//! Moves in time: what runs, what has ended, and when the next one may begin.
//!
//! Time is the predicted median of each move at the number of migrations that will share its hosts.
//! Decides whether a move may begin now; which one is tried is the caller's choice.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    plan::{Full, Slots},
    units::Span,
};

use super::{
    Step,
    lanes::Lanes,
    pace::Pace,
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
    /// Whether its hosts are kept free of others meanwhile.
    pub(crate) alone: bool,
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
    pace: &'a Pace,
    slots: Slots<usize>,
    /// Moves that will have hosts to themselves and wait for those to be left, by host: nobody else
    /// begins there before them.
    held: BTreeMap<usize, usize>,
    /// Migrations at each host that have not ended, begun or not, and that share it.
    ahead: Vec<u32>,
    moves: Vec<Scheduled>,
    /// Whether each of them has ended.
    ended: Vec<bool>,
    waits: Waits,
    lanes: Lanes,
}

impl<'a> Stream<'a> {
    /// At the begin of `steps`.
    pub(super) fn new(context: &'a Context<'a>, pace: &'a Pace, steps: &[Step]) -> Self {
        let mut ahead = vec![0; context.view.hosts.len()];
        for step in steps.iter().filter(|step| !pace.alone(step.vm)) {
            ahead[step.from] += 1;
            ahead[step.to] += 1;
        }
        Self {
            context,
            clock: Span::ZERO,
            now: context.start.clone(),
            running: BTreeSet::new(),
            pace,
            slots: Slots::new(pace.at_once),
            held: BTreeMap::new(),
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

    /// Whoever keeps a host free for itself does so no longer.
    pub(super) fn release_held(&mut self) {
        self.held.clear();
    }

    /// The finished plan.
    pub(super) fn moves(self) -> Vec<Scheduled> {
        self.moves
    }

    /// When `vm` may begin at the earliest, counted from the begin of the plan.
    pub(super) fn opens(&self, vm: usize) -> Span {
        let opens = self.context.view.vms[vm].not_before;
        opens.map_or(Span::ZERO, |opens| opens.since(self.context.now))
    }

    /// The present moment.
    pub(super) fn clock(&self) -> Span {
        self.clock
    }

    /// Goes on to `moment`, where it has not come yet and nothing ends before.
    pub(super) fn wait_until(&mut self, moment: Span) -> bool {
        let before = self.running.first().is_none_or(|(ends, _)| moment < *ends);
        if before {
            self.clock = self.clock.max(moment);
        }
        before
    }

    /// Begins `step` if it may begin now.
    pub(super) fn begin(&mut self, step: Step) -> Verdict {
        let view = self.context.view;
        let by_other = |host: &usize| self.held.get(host).is_some_and(|&vm| vm != step.vm);
        if let Some(host) = [step.from, step.to].into_iter().find(by_other) {
            return Verdict::Waits { host };
        }
        let lacks = self.slots.lacks(self.pace.takes(&step));
        if let Some(Full::Cluster) = lacks {
            return Verdict::AllSlotsTaken;
        }
        let lacks =
            lacks.map(|full| if full == Full::Host(&step.from) { step.from } else { step.to });
        if let Some(host) = lacks.filter(|_| !self.pace.alone(step.vm)) {
            return Verdict::Waits { host };
        }
        self.held.retain(|_, vm| *vm != step.vm);
        let runs = |index: usize| !self.ended[index];
        if self.waits.last_of(step.vm).is_some_and(runs) {
            return Verdict::Waits { host: step.from };
        }
        if !self.now.takes(view, step.vm, step.to) {
            return Verdict::Waits { host: step.to };
        }
        if let Some(host) = lacks {
            self.held.extend([(step.from, step.vm), (step.to, step.vm)]);
            return Verdict::Waits { host };
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
        let view = self.context.view;
        let alone = self.pace.alone(step.vm);
        let ahead = self.ahead[step.from].max(self.ahead[step.to]);
        let sharing = if alone { 1 } else { ahead.min(self.pace.at_once.sharing_max()).max(1) };
        let expected = self.context.costs.expected(step.vm, (step.from, step.to), sharing);
        let lasts = expected.as_ref().as_ref().map(|one| one.total_time.p50).unwrap_or_default();
        let ends = self.clock + lasts;
        self.held.retain(|_, vm| *vm != step.vm);
        self.slots.take(self.pace.takes(&step));
        self.now.add(view, step.vm, step.to);
        self.now.place[step.vm] = step.to;
        self.running.insert((ends, self.moves.len()));
        self.waits.begun(view, &step, self.moves.len());
        let runs = |index: usize| !self.ended[index];
        self.lanes.begun(view, step.vm, self.moves.len(), runs);
        self.ended.push(false);
        self.moves.push(Scheduled { step, after, begins: self.clock, ends, sharing, alone });
    }

    /// Begins a move beyond those that were announced.
    pub(super) fn bounce(&mut self, step: Step) -> bool {
        if !self.pace.alone(step.vm) {
            for host in [step.from, step.to] {
                self.ahead[host] += 1;
            }
        }
        self.begin(step) == Verdict::Begun
    }

    /// Goes on to the moment at which the next move ends; `None` when nothing runs.
    pub(super) fn end_next(&mut self) -> Option<Step> {
        let (at, index) = self.running.pop_first()?;
        self.clock = at;
        self.ended[index] = true;
        let step = self.moves[index].step;
        self.slots.give_back(self.pace.takes(&step));
        if !self.pace.alone(step.vm) {
            for host in [step.from, step.to] {
                self.ahead[host] = self.ahead[host].saturating_sub(1);
            }
        }
        self.now.remove(self.context.view, step.vm, step.from);
        self.waits.ended(&step, index);
        Some(step)
    }
}
