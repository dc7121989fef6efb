//! Which few of the candidates help: each set is tried by planning without it.
//!
//! All of them together first: where that does not help, nothing here does. Then one alone, then
//! two, until a size has helped; beyond two, candidates are taken away from the whole as long as
//! the rest still helps (a deletion filter: Chinneck and Dravnieks, Locating minimal infeasible
//! constraint sets, 1991), which is minimal but need not be the smallest. Values are given up no
//! further than needed, found by bisection.
//!
//! Bounded by a number of plans, because nothing here has a clock.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use whimbrel_core::{
    ids::VmId,
    plan::Plan,
    predict::{MigrationRequest, PredictError, Prediction, Predictor},
    settings::QemuVersion,
    units::Span,
};

use super::{Relaxation, WayOut};
use crate::{PlanRequest, plan};

/// Halvings that a value is found by: tenths of the widest range of an overcommit.
const HALVINGS: u32 = 10;

/// Shut-downs among the answers: one is as good as another.
const SHUT_DOWNS_MAX: usize = 2;

/// A request whose relaxations are tried.
pub(super) struct Search<'a> {
    request: &'a PlanRequest<'a>,
    predictor: Memory<'a>,
    candidates: &'a [Relaxation],
    plans_max: usize,
    ways_max: usize,
    plans: Cell<usize>,
}

impl<'a> Search<'a> {
    pub(super) fn new(
        request: &'a PlanRequest<'a>,
        candidates: &'a [Relaxation],
        (plans_max, ways_max): (usize, usize),
    ) -> Self {
        let predictor = Memory { inner: request.predictor, known: RefCell::default() };
        Self { request, predictor, candidates, plans_max, ways_max, plans: Cell::new(0) }
    }

    /// Plans that were made.
    pub(super) fn plans(&self) -> usize {
        self.plans.get()
    }

    /// Whether nothing more may be tried.
    pub(super) fn spent(&self) -> bool {
        self.plans.get() >= self.plans_max
    }

    /// The plan without all of `changes`, if there is one and it may still be looked for.
    fn plan(&self, changes: &[Relaxation]) -> Option<Plan> {
        if self.spent() {
            return None;
        }
        self.plans.set(self.plans.get() + 1);
        let (mut policy, mut snapshot) =
            (self.request.policy.clone(), self.request.snapshot.clone());
        for change in changes {
            change.apply(&mut policy, &mut snapshot);
        }
        let request = PlanRequest {
            snapshot: &snapshot,
            policy: &policy,
            goal: self.request.goal.clone(),
            predictor: &self.predictor,
            ..*self.request
        };
        plan(&request).ok()
    }

    /// The sets that help, the smallest there are.
    pub(super) fn run(&self) -> Vec<WayOut> {
        let all = self.candidates;
        if all.is_empty() || self.plan(all).is_none() {
            return Vec::new();
        }
        let single = self.of_sets(all.iter().map(|one| vec![one.clone()]));
        if !single.is_empty() {
            return single;
        }
        let pairs = all.iter().enumerate().flat_map(|(index, one)| {
            all[index + 1..].iter().map(move |other| vec![one.clone(), other.clone()])
        });
        // What is left must do for the deletion filter.
        let reserved = all.len() + HALVINGS as usize * 2;
        let pairs = pairs.take(self.plans_max.saturating_sub(self.plans() + reserved));
        let double = self.of_sets(pairs);
        if !double.is_empty() {
            return double;
        }
        self.filtered().into_iter().collect()
    }

    /// Those of `sets` that help, until there are enough.
    fn of_sets(&self, sets: impl Iterator<Item = Vec<Relaxation>>) -> Vec<WayOut> {
        let mut ways: Vec<WayOut> = Vec::new();
        let mut shut_downs = 0;
        for set in sets {
            let shuts = set.iter().any(|one| matches!(one, Relaxation::ShutDown { .. }));
            if ways.len() >= self.ways_max || self.spent() {
                break;
            }
            if shuts && shut_downs >= SHUT_DOWNS_MAX {
                continue;
            }
            if let Some(plan) = self.plan(&set) {
                shut_downs += usize::from(shuts);
                ways.push(self.sparing(set, plan));
            }
        }
        ways
    }

    /// A set without anything that it does not need, from all candidates.
    fn filtered(&self) -> Option<WayOut> {
        let mut kept = self.candidates.to_vec();
        let mut best = None;
        // What hurts most goes first.
        for index in (0..kept.len()).rev() {
            let mut without = kept.clone();
            without.remove(index);
            if let Some(plan) = self.plan(&without) {
                kept = without;
                best = Some(plan);
            }
        }
        let plan = best.or_else(|| self.plan(&kept))?;
        Some(self.sparing(kept, plan))
    }

    /// `changes` with each value given up no further than needed, `plan` being what they allow.
    fn sparing(&self, mut changes: Vec<Relaxation>, mut plan: Plan) -> WayOut {
        for index in 0..changes.len() {
            if let Relaxation::MovesMax { from, .. } = changes[index] {
                let to = u32::try_from(plan.moves().count()).unwrap_or(u32::MAX).max(from);
                self.try_instead(&mut changes, index, Relaxation::MovesMax { from, to }, &mut plan);
                continue;
            }
            let whole = changes[index].clone();
            let (mut none, mut enough) = (0.0, 1.0);
            // Values have few digits: the same one again is no new question.
            let mut failed = None;
            for _ in 0..HALVINGS {
                let middle = f64::midpoint(none, enough);
                let Some(part) = whole.partly(middle) else { break };
                let known = failed.as_ref() == Some(&part);
                let helps = part == changes[index]
                    || (!known && self.try_instead(&mut changes, index, part.clone(), &mut plan));
                if helps {
                    enough = middle;
                } else {
                    none = middle;
                    failed = Some(part);
                }
            }
        }
        WayOut::new(changes, &plan)
    }

    /// Puts `other` in the place of one change if that still helps.
    fn try_instead(
        &self,
        changes: &mut [Relaxation],
        index: usize,
        other: Relaxation,
        plan: &mut Plan,
    ) -> bool {
        let before = std::mem::replace(&mut changes[index], other);
        let helps = self.plan(changes);
        if let Some(better) = helps {
            *plan = better;
            return true;
        }
        changes[index] = before;
        false
    }
}

/// What a prediction depends on that differs between these requests.
type Asked = (VmId, u64, u32, QemuVersion, Span);

/// A predictor that is asked the same many times.
struct Memory<'a> {
    inner: &'a dyn Predictor,
    known: RefCell<BTreeMap<Asked, Result<Prediction, PredictError>>>,
}

impl Predictor for Memory<'_> {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let asked = (
            request.domain.vm.clone(),
            request.path_bandwidth.get(),
            request.sharing,
            request.qemu,
            request.settings.downtime_limit,
        );
        if let Some(known) = self.known.borrow().get(&asked) {
            return known.clone();
        }
        let answer = self.inner.predict(request);
        self.known.borrow_mut().insert(asked, answer.clone());
        answer
    }
}
