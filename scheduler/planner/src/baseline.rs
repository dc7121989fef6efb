//! What one would do without a planner, as plans of the same kind: the yardsticks.
//!
//! They know capacity and rules, as any script that asks its hypervisors does, and look at no
//! prediction before they choose. Their plans carry predictions so that they can be compared, and
//! may therefore fail the checker: a yardstick is measured, not mended.

use std::collections::BTreeSet;

use whimbrel_core::plan::{Goal, Plan, Reason, Stay};

use crate::{
    PlanFailure, PlanRequest,
    ordering::{self, Order, Step},
    report,
    scope::Context,
    search::Decision,
    study,
    view::{Occupancy, View},
};

/// The empty plan.
///
/// # Errors
/// [`PlanFailure`] where the request is refused.
pub fn do_nothing(request: &PlanRequest<'_>) -> Result<Plan, PlanFailure> {
    study(request, |context| {
        let found_by = "do nothing".to_owned();
        let place = context.view.present();
        let decision = Decision { place, order: Order::none(context), found_by, gap: None };
        report::seal(request, context, decision, Vec::new(), |_| Reason::WellPlaced)
    })
}

/// The usual script, one move at a time. Drain: in name order, each to the least loaded host with
/// room. Balance: from the hottest host its hottest VM to the coldest host with room, until no
/// host is over the threshold.
///
/// # Errors
/// [`PlanFailure`] where the request is refused or a move has no prediction.
pub fn greedy_by_load(request: &PlanRequest<'_>) -> Result<Plan, PlanFailure> {
    study(request, |context| {
        let mut script =
            Script { context, now: context.start.clone(), steps: Vec::new(), stays: Vec::new() };
        match &request.goal {
            Goal::Drain { .. } => script.drain(&context.view.emptied(&request.goal)),
            Goal::Balance | Goal::Even => script.balance(),
            // Nobody does these by hand in a way that could be told in a line.
            Goal::Restore { .. } | Goal::Defragment { .. } | Goal::Powersave => {}
        }
        let Script { now: end, steps, stays, .. } = script;
        let decision = Decision {
            place: end.place.clone(),
            order: ordering::one_by_one(context, steps),
            found_by: "greedy by load".to_owned(),
            gap: None,
        };
        report::seal(request, context, decision, stays, |step| match &request.goal {
            Goal::Drain { .. } => Reason::HostDrained,
            Goal::Restore { .. } => Reason::Restored,
            Goal::Balance | Goal::Even | Goal::Defragment { .. } | Goal::Powersave => {
                report::relieves(context, &end, step.vm)
            }
        })
    })
}

struct Script<'a> {
    context: &'a Context<'a>,
    now: Occupancy,
    steps: Vec<Step>,
    stays: Vec<Stay>,
}

impl Script<'_> {
    fn drain(&mut self, hosts: &BTreeSet<usize>) {
        let view = self.context.view;
        for vm in (0..view.vms.len()).filter(|&vm| hosts.contains(&view.vms[vm].home)) {
            let reason = match (&view.vms[vm].held, self.coldest(vm)) {
                (Some(held), _) => held.clone(),
                (None, Some(to)) => {
                    self.step(vm, to);
                    continue;
                }
                (None, None) => Reason::NoRoom,
            };
            self.stays.push(Stay { vm: view.vms[vm].domain.vm.clone(), reason });
        }
    }

    fn balance(&mut self) {
        let view = self.context.view;
        let mut moved: BTreeSet<usize> = BTreeSet::new();
        while self.steps.len() < view.policy.limits.moves_max as usize {
            let hottest = (0..view.hosts.len())
                .filter(|&host| view.overloaded(host, self.now.demand(host)))
                .max_by(|&a, &b| self.utilisation(view, a).total_cmp(&self.utilisation(view, b)));
            let Some(hottest) = hottest else { break };
            let next = (0..view.vms.len())
                .filter(|vm| self.now.place[*vm] == hottest && !moved.contains(vm))
                .filter(|&vm| view.vms[vm].held.is_none())
                .filter_map(|vm| Some((vm, self.coldest(vm)?)))
                .max_by(|a, b| view.vms[a.0].demand_cores.total_cmp(&view.vms[b.0].demand_cores));
            let Some((vm, to)) = next else { break };
            self.step(vm, to);
            moved.insert(vm);
        }
    }

    fn utilisation(&self, view: &View<'_>, host: usize) -> f64 {
        self.now.demand(host) / view.hosts[host].cores.max(f64::MIN_POSITIVE)
    }

    /// The least loaded host that can take `vm` now.
    fn coldest(&self, vm: usize) -> Option<usize> {
        let view = self.context.view;
        (0..view.hosts.len())
            .filter(|&host| host != self.now.place[vm] && self.now.keeps(view, vm, host))
            .min_by(|&a, &b| self.utilisation(view, a).total_cmp(&self.utilisation(view, b)))
    }

    fn step(&mut self, vm: usize, to: usize) {
        let view = self.context.view;
        let from = self.now.place[vm];
        self.steps.push(Step { vm, from, to, bounce: false });
        self.now.shift(view, vm, to);
    }
}
