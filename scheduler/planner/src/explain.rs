//! Why a plan moves a VM or leaves it, with the figures that it was weighed by.
//!
//! Everything is computed at the end of the plan: one VM is put on another host, all others stay
//! where the plan leaves them (`case`), and what would change is told in the objective's own terms
//! or the refusal with what is missing. For single VMs also from which value of the policy on the
//! answer would be another (`threshold`, and `confirm` by a whole new plan). Texts are in `text`.
//!
//! Chooses nothing, and judges the plan as it is given: a plan of another cluster is refused.

use std::collections::BTreeMap;

use thiserror::Error;
use whimbrel_core::{
    ids::{HostId, VmId},
    plan::{Goal, Move, Plan, Reason},
};

use crate::{
    PlanFailure, PlanRequest, report,
    scope::{Context, Scope},
    study,
    view::Occupancy,
};
use case::Case;

pub(crate) mod case;
mod confirm;
mod text;
mod threshold;
mod value;

pub use confirm::confirm;
pub use value::{
    Alternative, Answer, Change, Difference, Explanation, HostLoad, Key, LoadAt, MovePrice,
    Refused, Threshold, Why,
};

/// Alternatives that a list of many VMs tells of each.
const FEW: usize = 3;

/// Why there is no explanation.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ExplainFailure {
    /// The request itself is refused.
    #[error(transparent)]
    Request(#[from] PlanFailure),
    /// No such VM.
    #[error("domain {vm} is not in the snapshot (hint: {hint})")]
    UnknownVm {
        /// The absent VM.
        vm: VmId,
        /// What to ask for instead.
        hint: String,
    },
    /// The plan does not begin where the cluster is.
    #[error(
        "the plan is not of this cluster as it is: {what} \
         (hint: name the snapshot that the plan was made from, or plan again)"
    )]
    OtherCluster {
        /// The first difference.
        what: String,
    },
}

/// Why `plan` moves `vm` or leaves it, with every other host and every threshold.
///
/// # Errors
/// [`ExplainFailure`] where the request is refused, the VM unknown, or the plan of another cluster.
pub fn explain(
    request: &PlanRequest<'_>,
    plan: &Plan,
    vm: &VmId,
) -> Result<Explanation, ExplainFailure> {
    asked(request, plan, |told| {
        let known = told.context().view.vms.iter().position(|one| one.domain.vm == *vm);
        let index = known.ok_or_else(|| unknown(told.context(), vm))?;
        let mut explanation = told.one(index);
        let alternatives = told.alternatives(index, usize::MAX);
        // Other goals do not weigh whether a move pays.
        if plan.goal == Goal::Balance && !alternatives.is_empty() {
            explanation.thresholds = told.case.thresholds(request, index, &alternatives);
            explanation.thresholds_sought = true;
        }
        told.compare(index, &mut explanation, alternatives);
        Ok(explanation)
    })
}

/// The same for every VM, or for those only that stay, in the order of their names: with the few
/// best other hosts of each and no thresholds.
///
/// # Errors
/// [`ExplainFailure`] where the request is refused or the plan is of another cluster.
pub fn explain_all(
    request: &PlanRequest<'_>,
    plan: &Plan,
    stays_only: bool,
) -> Result<Vec<Explanation>, ExplainFailure> {
    explain_some(request, plan, stays_only, None, usize::MAX)
}

/// The same for `most` of them, those whose names come next after `after`: a long list in parts.
///
/// # Errors
/// [`ExplainFailure`] as of [`explain_all`].
pub fn explain_some(
    request: &PlanRequest<'_>,
    plan: &Plan,
    stays_only: bool,
    after: Option<&VmId>,
    most: usize,
) -> Result<Vec<Explanation>, ExplainFailure> {
    asked(request, plan, |told| {
        let known = &told.context().view.vms;
        let vms = (0..known.len())
            .filter(|&vm| after.is_none_or(|after| known[vm].domain.vm > *after))
            .filter(|&vm| !stays_only || told.moves[vm].is_empty());
        let all = vms.take(most).map(|vm| {
            let mut explanation = told.one(vm);
            told.compare(vm, &mut explanation, told.alternatives(vm, FEW));
            explanation
        });
        Ok(all.collect())
    })
}

/// A plan beside the cluster that it is for.
struct Told<'a> {
    case: Case<'a>,
    goal: &'a Goal,
    /// Moves of each VM, in their order.
    moves: Vec<Vec<&'a Move>>,
    stays: BTreeMap<&'a VmId, &'a Reason>,
}

fn asked<T>(
    request: &PlanRequest<'_>,
    plan: &Plan,
    work: impl FnOnce(&Told<'_>) -> Result<T, ExplainFailure>,
) -> Result<T, ExplainFailure> {
    let request = PlanRequest { goal: plan.goal.clone(), ..*request };
    // A request that is refused is one failure, a plan that does not fit it another.
    study(&request, |context| Ok(Told::new(context, plan).and_then(|told| work(&told))))?
}

fn unknown(context: &Context<'_>, vm: &VmId) -> ExplainFailure {
    let names = || context.view.vms.iter().map(|one| one.domain.vm.as_str());
    let hint = match names().count() {
        0 => "there are no domains".to_owned(),
        count => {
            let some: Vec<&str> = names().take(20).collect();
            let more = if count > some.len() { ", ..." } else { "" };
            format!("domains are {}{more}", some.join(", "))
        }
    };
    ExplainFailure::UnknownVm { vm: vm.clone(), hint }
}

impl<'a> Told<'a> {
    fn new(context: &'a Context<'a>, plan: &'a Plan) -> Result<Self, ExplainFailure> {
        let view = context.view;
        let vms: BTreeMap<&VmId, usize> =
            view.vms.iter().map(|vm| &vm.domain.vm).zip(0..).collect();
        let hosts: BTreeMap<&HostId, usize> = view.hosts.iter().map(|h| h.id).zip(0..).collect();
        let other = |what: String| ExplainFailure::OtherCluster { what };
        let mut place = view.present();
        let mut moves: Vec<Vec<&Move>> = vec![Vec::new(); view.vms.len()];
        for (_, one) in plan.moves() {
            let vm = *vms.get(&one.vm).ok_or_else(|| other(format!("{} is not there", one.vm)))?;
            let host = |id: &HostId| {
                hosts.get(id).copied().ok_or_else(|| other(format!("host {id} is not there")))
            };
            let (from, to) = (host(&one.from)?, host(&one.to)?);
            if place[vm] != from {
                let found = view.hosts[place[vm]].id;
                return Err(other(format!("{} is on {found}, not on {}", one.vm, one.from)));
            }
            if view.vms[vm].domain.uuid != one.uuid {
                return Err(other(format!("{} is another machine", one.vm)));
            }
            place[vm] = to;
            moves[vm].push(one);
        }
        let moved = place.iter().zip(&view.vms).filter(|(host, vm)| **host != vm.home).count();
        let case = Case {
            context,
            scope: scope(context, &plan.goal),
            end: Occupancy::new(view, &place),
            moved,
        };
        let stays = plan.stays.iter().map(|stay| (&stay.vm, &stay.reason)).collect();
        Ok(Self { case, goal: &plan.goal, moves, stays })
    }

    fn context(&self) -> &'a Context<'a> {
        self.case.context
    }

    /// What is said of `vm` before any other host is looked at.
    fn one(&self, vm: usize) -> Explanation {
        let view = self.context().view;
        let id = |host: usize| view.hosts[host].id.clone();
        Explanation {
            vm: view.vms[vm].domain.vm.clone(),
            home: id(view.vms[vm].home),
            end: id(self.case.end.place[vm]),
            why: self.why(vm),
            loads: Vec::new(),
            price: None,
            alternatives: Vec::new(),
            left_out: 0,
            thresholds: Vec::new(),
            thresholds_sought: false,
            horizon: view.policy.balance.horizon,
        }
    }

    fn why(&self, vm: usize) -> Why {
        let (context, view) = (self.context(), self.context().view);
        let one = &view.vms[vm];
        if let Some(last) = self.moves[vm].last() {
            return Why::Planned { reason: last.reason.clone() };
        }
        if let Some(&reason) = self.stays.get(&one.domain.vm) {
            return Why::Planned { reason: reason.clone() };
        }
        if let Some(held) = &one.held {
            return Why::Planned { reason: held.clone() };
        }
        if *self.goal != Goal::Balance {
            return Why::NotAsked { goal: self.goal.to_string() };
        }
        let hot = view.overloaded(one.home, context.start.demand(one.home));
        let moves = self.case.moved;
        Why::Planned { reason: report::stay_reason(context, &self.case.end, vm, hot, moves) }
    }

    /// The best other hosts; none for a VM that nobody may touch.
    fn alternatives(&self, vm: usize, most: usize) -> Vec<(usize, Alternative)> {
        let touchable = self.context().view.vms[vm].held.is_none();
        if touchable { self.case.alternatives(vm, most) } else { Vec::new() }
    }

    /// Adds `alternatives`, and the loads and the price that belong to the best.
    fn compare(
        &self,
        vm: usize,
        explanation: &mut Explanation,
        alternatives: Vec<(usize, Alternative)>,
    ) {
        let (home, end) = (self.context().view.vms[vm].home, self.case.end.place[vm]);
        let possible = |one: &&(usize, Alternative)| matches!(one.1.answer, Answer::Possible(_));
        let best = alternatives.iter().find(possible).map(|one| one.0);
        let mut hosts = vec![home];
        hosts.extend([Some(end), best].into_iter().flatten().filter(|&host| host != home));
        hosts.dedup();
        explanation.loads = hosts.into_iter().map(|host| self.case.load(host, vm, best)).collect();
        let to = if end == home { best } else { Some(end) };
        explanation.price = to.and_then(|to| self.case.price(vm, to));
        let others = self.context().view.hosts.len().saturating_sub(1);
        if !alternatives.is_empty() {
            explanation.left_out = others.saturating_sub(alternatives.len());
        }
        explanation.alternatives = alternatives.into_iter().map(|(_, one)| one).collect();
    }
}

/// What moves are weighed by under `goal`.
fn scope(context: &Context<'_>, goal: &Goal) -> Scope {
    let view = context.view;
    let movable = view.vms.iter().map(|vm| vm.held.is_none()).collect();
    let must_leave = view.emptied(goal);
    let drains = matches!(goal, Goal::Drain { .. });
    let price_factor = if drains { 1.0 } else { view.policy.balance.gain_factor };
    Scope { movable, must_leave, price_factor }
}
