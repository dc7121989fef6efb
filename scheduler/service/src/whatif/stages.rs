//! Places and moves for a changed cluster: what must move, planned by the planner.
//!
//! Hosts that hold more than they may are relieved (`relieve`). Hosts that go or are emptied are
//! drained, one after the other, with all of them closed. Where neither is needed, the plan is a
//! balance. Guests that find no place, or cannot get away, are named and left out of plan and
//! simulation, as if they had been stopped.
//!
//! Never here: a search of its own for better places.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use whimbrel_core::{
    Domain, Goal, HostId, Outlook, Plan, Policy, Snapshot, VmId,
    check::{self, Note},
    units::MilliCores,
};
use whimbrel_planner::PlanFailure;
use whimbrel_simulator::{
    SimulationOptions,
    whatif::{Changed, Homeless, Packed, Room, moved},
};

use crate::{
    Failure,
    advice::{Advisor, Situation},
    scene::Scene,
};

/// A changed cluster with its moves.
#[derive(Debug, Clone)]
pub struct Stages {
    /// The policy, with rules that hold for this plan only.
    pub policy: Policy,
    /// Hosts that are out of service.
    pub out: BTreeSet<HostId>,
    /// The cluster that the moves begin from: new guests are on it, homeless ones are not.
    pub start: Snapshot,
    /// All moves.
    pub plan: Plan,
    /// What the checker says of them.
    pub notes: Vec<Note>,
    /// The cluster after them.
    pub after: Snapshot,
    /// Guests that find no place.
    pub homeless: Vec<Homeless>,
    /// Whether it is certain that they find none.
    pub proven: bool,
    /// Guests that cannot get away, each with the reason.
    pub stuck: Vec<(VmId, String)>,
    /// New guests with the host that each starts on.
    pub started: Vec<(VmId, HostId)>,
    /// How the plan is simulated.
    pub options: SimulationOptions,
}

/// Finds places and plans moves for `changed`, a change of what `scene` shows.
///
/// # Errors
/// [`Failure`] when nothing can be planned at all.
pub(super) fn plan(
    advisor: &Advisor,
    scene: &Scene,
    changed: &Changed,
    seed: u64,
) -> Result<Stages, Failure> {
    let out = changed.out_of_service();
    let mut work = Work {
        policy: advisor.policy().clone(),
        out,
        situation: Situation {
            snapshot: changed.snapshot.clone(),
            now: scene.situation.now,
            replay: changed.replay.clone(),
            // The past is of a cluster that was not changed.
            outlook: Outlook::default(),
        },
        start: changed.snapshot.clone(),
        homeless: Vec::new(),
        proven: true,
        stuck: Vec::new(),
        plans: Vec::new(),
        seed,
    };
    let started = work.start_new(&changed.arriving);
    let as_asked =
        |policy: &Policy| Advisor::new(policy.clone(), advisor.model().clone(), &scene.history);
    let crowded = work.relieve(&as_asked)?;
    let advisor = as_asked(&work.policy);
    let full: Vec<HostId> = work.out.iter().filter(|host| work.lives_on(host)).cloned().collect();
    for host in &full {
        work.drain(&advisor, host)?;
    }
    if !crowded && full.is_empty() {
        work.balance(&advisor)?;
    }
    let plan = work.whole(&advisor)?;
    let situation = Situation { snapshot: work.start, ..work.situation };
    let mut options = advisor.simulation(&plan, &situation);
    if let Some(replay) = &mut options.replay {
        changed.complete(&scene.situation.snapshot, &mut replay.content);
    }
    let notes = check::check(&plan, &situation.snapshot, &work.policy, situation.now)
        .map_err(Failure::invalid)?;
    Ok(Stages {
        after: moved(&situation.snapshot, &plan),
        start: situation.snapshot,
        policy: work.policy,
        out: work.out,
        notes,
        plan,
        homeless: work.homeless,
        proven: work.proven,
        stuck: work.stuck,
        started,
        options,
    })
}

/// A plan in the making.
pub(super) struct Work {
    pub(super) policy: Policy,
    pub(super) out: BTreeSet<HostId>,
    /// The cluster after the stages so far.
    pub(super) situation: Situation,
    /// The cluster before the first.
    pub(super) start: Snapshot,
    pub(super) homeless: Vec<Homeless>,
    pub(super) proven: bool,
    pub(super) stuck: Vec<(VmId, String)>,
    pub(super) plans: Vec<Plan>,
    pub(super) seed: u64,
}

impl Work {
    fn lives_on(&self, host: &HostId) -> bool {
        self.start.domains.iter().any(|d| d.host == *host && d.state.lives_here())
    }

    /// Places for `guests` and for everybody on hosts that are out of service, together.
    fn places(&self, guests: &[Domain]) -> Packed {
        let leaving = |d: &&Domain| d.state.lives_here() && self.out.contains(&d.host);
        let snapshot = &self.situation.snapshot;
        let all: Vec<&Domain> = snapshot.domains.iter().filter(leaving).chain(guests).collect();
        Room::new(snapshot, &self.policy, &self.out).place(&all)
    }

    /// Starts `new` guests where there is room for them and for those who must move.
    fn start_new(&mut self, new: &[Domain]) -> Vec<(VmId, HostId)> {
        let packed = self.places(new);
        let places: BTreeMap<VmId, HostId> = packed.placed.into_iter().collect();
        let mut started = Vec::new();
        for guest in new {
            let Some(host) = places.get(&guest.vm) else { continue };
            started.push((guest.vm.clone(), host.clone()));
            self.situation.snapshot.domains.push(Domain { host: host.clone(), ..guest.clone() });
            if let Some(one) = self.situation.snapshot.hosts.get_mut(host) {
                one.cpu_used = one.cpu_used.map(|all| all + guest.cpu_used.unwrap_or_default());
            }
        }
        let none = |one: &Homeless| new.iter().any(|guest| guest.vm == one.vm);
        let without: Vec<Homeless> = packed.homeless.into_iter().filter(none).collect();
        self.proven &= without.is_empty() || packed.proven;
        self.homeless.extend(without);
        self.situation.snapshot.normalise();
        self.start = self.situation.snapshot.clone();
        started
    }

    pub(super) fn balance(&mut self, advisor: &Advisor) -> Result<(), Failure> {
        let plan = advisor.planned_by(
            &self.situation,
            Goal::Balance,
            self.seed,
            whimbrel_planner::plan,
        )?;
        self.take(plan);
        Ok(())
    }

    /// Empties `host`; who cannot leave is named and left out.
    fn drain(&mut self, advisor: &Advisor, host: &HostId) -> Result<(), Failure> {
        // Every round leaves somebody out or ends.
        while self.lives_on(host) {
            let why = RefCell::new(None);
            let goal = Goal::drain(host.clone());
            let planner = |request: &whimbrel_planner::PlanRequest<'_>| {
                whimbrel_planner::plan(request)
                    .inspect_err(|failure| *why.borrow_mut() = Some(failure.clone()))
            };
            let failure = match advisor.planned_by(&self.situation, goal, self.seed, planner) {
                Ok(plan) => {
                    self.take(plan);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            let reason = why.into_inner().ok_or_else(|| failure.clone())?;
            if !self.give_way(host, reason) {
                return Err(failure);
            }
        }
        Ok(())
    }

    /// Leaves out whoever `failure` speaks of; whether there is anybody.
    fn give_way(&mut self, host: &HostId, failure: PlanFailure) -> bool {
        let before = self.homeless.len() + self.stuck.len();
        match failure {
            PlanFailure::NoTarget { vms, .. } => {
                for one in &vms {
                    self.without_place(&one.vm);
                }
            }
            PlanFailure::NoPlacement { proven, .. } => {
                for one in self.packed_out(host) {
                    self.leave_out(&one.vm);
                    self.homeless.push(one);
                    self.proven &= proven;
                }
            }
            PlanFailure::WouldStall { vms, .. } => {
                let why = |one: &whimbrel_planner::Stalled| {
                    let helps = one.downtime_limit_needed.map_or_else(String::new, |limit| {
                        format!(", with a downtime limit of {} it would", limit.human())
                    });
                    let often = one.converges;
                    (one.vm.clone(), format!("its migration would end with {often} only{helps}"))
                };
                let vms: Vec<_> = vms.iter().map(why).collect();
                self.cannot_leave(vms);
            }
            PlanFailure::Immovable { vms, .. } => {
                let why = |one: whimbrel_planner::Held| (one.vm, one.reason.to_string());
                self.cannot_leave(vms.into_iter().map(why));
            }
            PlanFailure::Unreachable(vms) => {
                let why = "it waits for others, and no host has room to pass";
                self.cannot_leave(vms.into_iter().map(|vm| (vm, why.to_owned())));
            }
            silent @ PlanFailure::GoalHostUnreachable { .. } => {
                let why = Failure::invalid(silent).message;
                let here = self.living_on(host);
                self.cannot_leave(here.into_iter().map(|vm| (vm, why.clone())));
            }
            _ => {}
        }
        self.homeless.len() + self.stuck.len() > before
    }

    fn living_on(&self, host: &HostId) -> Vec<VmId> {
        let domains = self.situation.snapshot.domains.iter();
        let here = domains.filter(|d| d.host == *host && d.state.lives_here());
        here.map(|domain| domain.vm.clone()).collect()
    }

    /// Guests of `host` that no place is left for; its largest where packing finds one for all.
    fn packed_out(&self, host: &HostId) -> Vec<Homeless> {
        let here = self.living_on(host);
        let homeless = self.places(&[]).homeless.into_iter();
        let found: Vec<Homeless> = homeless.filter(|one| here.contains(&one.vm)).collect();
        if !found.is_empty() {
            return found;
        }
        let snapshot = &self.situation.snapshot;
        let living = snapshot.domains.iter().filter(|d| here.contains(&d.vm));
        let largest = living.max_by_key(|domain| domain.memory);
        let room = Room::new(snapshot, &self.policy, &self.out);
        largest.map(|domain| room.homeless(domain)).into_iter().collect()
    }

    fn without_place(&mut self, vm: &VmId) {
        let lives = |d: &&Domain| d.vm == *vm && d.state.lives_here();
        if let Some(guest) = self.situation.snapshot.domains.iter().find(lives) {
            let room = Room::new(&self.situation.snapshot, &self.policy, &self.out);
            self.homeless.push(room.homeless(guest));
            self.leave_out(vm);
        }
    }

    fn cannot_leave(&mut self, vms: impl IntoIterator<Item = (VmId, String)>) {
        for (vm, why) in vms {
            self.leave_out(&vm);
            self.stuck.push((vm, why));
        }
    }

    pub(super) fn leave_out(&mut self, vm: &VmId) {
        stop(&mut self.start, vm);
        stop(&mut self.situation.snapshot, vm);
    }

    fn take(&mut self, plan: Plan) {
        self.situation.snapshot = moved(&self.situation.snapshot, &plan);
        self.plans.push(plan);
    }
}

/// Takes `vm` out of `snapshot`, and the CPU that it uses off its host.
fn stop(snapshot: &mut Snapshot, vm: &VmId) {
    for domain in snapshot.domains.iter().filter(|d| d.vm == *vm && d.state.lives_here()) {
        let used = domain.cpu_used.unwrap_or_default().get();
        if let Some(host) = snapshot.hosts.get_mut(&domain.host) {
            let rest = |all: MilliCores| MilliCores::new(all.get().saturating_sub(used));
            host.cpu_used = host.cpu_used.map(rest);
        }
    }
    snapshot.domains.retain(|domain| domain.vm != *vm);
}
