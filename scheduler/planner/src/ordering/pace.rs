//! How many moves run at one time, and which of them have their hosts to themselves.
//!
//! Migrations that share a link hide each other's preparation and hand-over, but each pass of each
//! takes longer, so that guests dirty more meanwhile: few quiet guests or many end soonest at
//! different numbers. A guest that would keep its part of the link busier shared than alone goes
//! alone: where `d(n)` is its predicted time with `n` on the link, that is `d(1) < d(n) / n`, and so
//! does one that would not end otherwise.
//!
//! Decides which numbers are worth trying; which one ends soonest is seen by ordering the moves.

use whimbrel_core::{
    plan::{AtOnce, Takes},
    units::Span,
};

use super::Step;
use crate::scope::Context;

/// Numbers per host that are tried, next to the policy's limit itself.
const NUMBERS: [u32; 10] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32];

/// One way to run the moves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) at_once: AtOnce,
    /// Whether each VM goes alone.
    alone: Vec<bool>,
}

impl Pace {
    /// Whether `vm` has its hosts to itself while it moves.
    pub(super) fn alone(&self, vm: usize) -> bool {
        self.alone[vm]
    }

    /// The slots that `step` takes.
    pub(super) fn takes<'s>(&self, step: &'s Step) -> Takes<'s, usize> {
        Takes { from: &step.from, to: &step.to, alone: self.alone[step.vm] }
    }

    /// How long `step` takes at most, by the median; nothing where it would not end.
    pub(super) fn lasts(&self, context: &Context<'_>, step: &Step) -> Option<Span> {
        let sharing = if self.alone[step.vm] { 1 } else { self.at_once.sharing_max() };
        context.costs.duration(step.vm, (step.from, step.to), sharing)
    }

    /// No plan of `steps` at this pace ends before: what the busiest host has to do.
    pub(super) fn bound(&self, context: &Context<'_>, steps: &[Step]) -> Span {
        let mut busy = vec![0.0; context.view.hosts.len()];
        let mut total = 0.0;
        for step in steps {
            let lasts = self.lasts(context, step).unwrap_or_default().as_seconds_f64();
            total += lasts;
            let slots = if self.alone[step.vm] { 1.0 } else { f64::from(self.at_once.per_host) };
            for host in [step.from, step.to] {
                busy[host] += lasts / slots;
            }
        }
        let busiest = busy.into_iter().fold(0.0, f64::max);
        Span::from_seconds_f64(busiest.max(total / f64::from(self.at_once.total.max(1))))
    }

    /// For each step the time that its source or its target, whichever is more, is busy from it on,
    /// when the longest of its moves go first: the longest way to the end leads through there.
    pub(super) fn work_behind(&self, context: &Context<'_>, steps: &[Step]) -> Vec<Span> {
        let lasting: Vec<Span> =
            steps.iter().map(|step| self.lasts(context, step).unwrap_or_default()).collect();
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
}

/// Paces worth trying for `steps`, those with fewer moves at one time first.
pub(super) fn paces(context: &Context<'_>, steps: &[Step]) -> Vec<Pace> {
    let limits = context.view.policy.limits.at_once();
    let most = limits.per_host.min(busiest(context, steps)).max(1);
    let numbers = NUMBERS.into_iter().filter(|&number| number < most).chain([most]);
    let mut paces = Vec::new();
    for per_host in numbers {
        let within = |limit: Option<u32>| limit.map(|limit| limit.min(per_host));
        let at_once = AtOnce {
            per_host,
            total: limits.total,
            out_of_host: within(limits.out_of_host),
            into_host: within(limits.into_host),
        };
        let bare = Pace { at_once, alone: vec![false; context.view.vms.len()] };
        let (mut forced, mut wise) = (bare.clone(), bare);
        for step in steps {
            let alone = context.costs.duration(step.vm, (step.from, step.to), 1);
            let Some(alone) = alone.filter(|_| at_once.sharing_max() > 1) else { continue };
            let shared = forced.lasts(context, step);
            forced.alone[step.vm] = shared.is_none();
            wise.alone[step.vm] = shared.is_none_or(|shared| {
                alone.as_seconds_f64() < shared.as_seconds_f64() / f64::from(at_once.sharing_max())
            });
        }
        let differ = forced != wise;
        paces.push(forced);
        if differ {
            paces.push(wise);
        }
    }
    paces
}

/// Moves at the host that has most of them.
fn busiest(context: &Context<'_>, steps: &[Step]) -> u32 {
    let mut moves = vec![0; context.view.hosts.len()];
    for step in steps {
        moves[step.from] += 1;
        moves[step.to] += 1;
    }
    moves.into_iter().max().unwrap_or(0)
}
