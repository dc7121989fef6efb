//! The independent checker: replays a plan on its snapshot without any of the planner's code.
//!
//! It walks the moves in order and asks of each who may be on its target when it begins, however
//! long the other moves take: a VM counts at both ends of its move, and it counts as gone only for
//! moves that wait for its going. It decides whether a plan may run; it never mends one.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    cluster::{Domain, DomainState, HostState, PlacementError, Snapshot},
    digest::Digest,
    ids::{HostId, VmId},
    plan::{Goal, Move, Plan, PlanError},
    policy::Policy,
    units::{Bytes, Timestamp},
};

mod budgets;
mod note;
mod presence;
mod reserve;
mod rules;

pub use note::{Note, Problem, Severity};
use presence::{Begin, Presence};
use rules::{Broken, Rules};

/// Every note on `plan`; it may run when none is fatal.
///
/// `snapshot` need not be the plan's parent: before a plan is applied it is replayed on the cluster
/// as it is then, and every difference that matters is a note.
///
/// `now` is compared with the age of the snapshot that the plan was made from.
///
/// # Errors
/// [`CheckError`] when the plan's file or the snapshot cannot be judged at all.
pub fn check(
    plan: &Plan,
    snapshot: &Snapshot,
    policy: &Policy,
    now: Timestamp,
) -> Result<Vec<Note>, CheckError> {
    plan.verify()?;
    let mut replay = Replay::new(snapshot, policy)?;
    replay.parents(plan, now);
    let before = replay.rules.broken_at_end(&replay.place);
    replay.budgets(plan, now);
    let stranded = reserve::stranded(&replay, &BTreeSet::new());
    replay.at_once(plan);
    let incoming = replay.incoming.values().flatten();
    let strangers = incoming.map(|domain| (&domain.vm, &domain.host)).collect();
    let presence = Presence::new(plan, &replay.place, strangers);
    for (index, one) in plan.moves.iter().enumerate() {
        replay.one_move(one);
        replay.waits(index, plan, &presence);
        let begin = presence.when(index);
        replay.capacity_with(one, &begin);
        replay.rules_with(one, &begin);
        if let Some((vm, _)) = replay.domains.get_key_value(&one.vm) {
            replay.place.insert(vm, &one.to);
        }
    }
    replay.end(plan, &before);
    reserve::judge(&mut replay, plan, &stranded);
    Ok(replay.notes)
}

/// Whether no note forbids the plan.
pub fn passes(notes: &[Note]) -> bool {
    notes.iter().all(|note| note.severity() != Severity::Fatal)
}

/// Why a plan could not be judged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// The plan itself is not to be trusted.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The snapshot has no single place for a VM.
    #[error(transparent)]
    Placement(#[from] PlacementError),
}

/// The cluster as it would be at one moment of the plan.
struct Replay<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    domains: BTreeMap<&'a VmId, &'a Domain>,
    place: BTreeMap<&'a VmId, &'a HostId>,
    /// Domains that arrive on each host by migrations outside the plan.
    incoming: BTreeMap<&'a HostId, Vec<&'a Domain>>,
    rules: Rules<'a>,
    notes: Vec<Note>,
}

impl<'a> Replay<'a> {
    fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Result<Self, PlacementError> {
        let domains = snapshot.placement()?;
        let place = domains.iter().map(|(vm, domain)| (*vm, &domain.host)).collect();
        let mut incoming: BTreeMap<&HostId, Vec<&Domain>> = BTreeMap::new();
        for domain in snapshot.domains.iter().filter(|d| d.state == DomainState::Incoming) {
            incoming.entry(&domain.host).or_default().push(domain);
        }
        let rules = Rules::new(policy, snapshot, &domains);
        Ok(Self { snapshot, policy, domains, place, incoming, rules, notes: Vec::new() })
    }

    fn note(&mut self, subject: impl fmt::Display, problem: Problem) {
        self.notes.push(Note { subject: subject.to_string(), problem });
    }

    fn parents(&mut self, plan: &Plan, now: Timestamp) {
        if plan.parent.policy != Digest::of(self.policy) {
            self.note("policy", Problem::OtherPolicy);
        }
        let age = now.since(plan.parent.snapshot_taken_at);
        let limit = self.policy.limits.snapshot_age_max;
        if age > limit {
            self.note("snapshot", Problem::Stale { age, limit });
        }
    }

    /// The plan may not run more moves at one time than the policy lets it.
    fn at_once(&mut self, plan: &Plan) {
        let (planned, allowed) = (plan.at_once, self.policy.limits.at_once());
        let at_host = [
            (planned.per_host, allowed.per_host),
            (planned.leaving(), allowed.leaving()),
            (planned.entering(), allowed.entering()),
        ];
        if let Some((count, limit)) = at_host.into_iter().find(|(count, limit)| count > limit) {
            self.note("plan", Problem::TooManyAtHost { count, limit });
        }
        let (count, limit) = (planned.total, allowed.total);
        if count > limit {
            self.note("plan", Problem::TooManyAtOnce { count, limit });
        }
        if [count, planned.per_host, planned.leaving(), planned.entering()].contains(&0) {
            self.note("plan", Problem::NoneAtOnce);
        }
    }

    /// What a move waits for comes before it, its VM's move before it included.
    fn waits(&mut self, index: usize, plan: &Plan, presence: &Presence<'_>) {
        let one = &plan.moves[index];
        let ascending = one.after.windows(2).all(|pair| pair[0] < pair[1]);
        if !ascending || one.after.last().is_some_and(|&last| last as usize >= index) {
            self.note(&one.vm, Problem::WaitsForLater);
        }
        if let Some(earlier) = presence.move_before(index)
            && !presence::waits_for(one, earlier)
        {
            self.note(&one.vm, Problem::DoesNotWaitForItself);
        }
    }

    fn one_move(&mut self, one: &Move) {
        let Some(domain) = self.domains.get(&one.vm).copied() else {
            return self.note(&one.vm, Problem::UnknownDomain);
        };
        if domain.uuid != one.uuid {
            self.note(
                &one.vm,
                Problem::OtherMachine { planned: one.uuid.clone(), found: domain.uuid.clone() },
            );
        }
        if domain.job.is_some() {
            self.note(&one.vm, Problem::AlreadyMigrating);
        }
        if domain.state != DomainState::Running {
            self.note(&one.vm, Problem::NotRunning { state: domain.state });
        }
        match self.place.get(&one.vm) {
            Some(place) if **place == one.from => {}
            place => {
                let found = place.map_or("nowhere".to_owned(), ToString::to_string);
                self.note(&one.vm, Problem::NotAtSource { planned: one.from.clone(), found });
            }
        }
        if one.from == one.to {
            self.note(&one.vm, Problem::GoesNowhere);
        }
        match self.snapshot.hosts.get(&one.to).map(|host| host.state) {
            None => self.note(&one.vm, Problem::UnknownHost { host: one.to.clone() }),
            Some(HostState::Up) => {}
            Some(state) => self.note(&one.vm, Problem::TargetNotUp { host: one.to.clone(), state }),
        }
        let qemu = self.snapshot.qemu_between(&one.from, &one.to);
        if let Err(conflict) = one.settings.check(qemu) {
            self.note(&one.vm, Problem::Settings { conflict });
        }
        if !one.predicted.likely_converges() {
            self.note(&one.vm, Problem::WouldStall { converges: one.predicted.converges });
        }
    }

    /// Memory and vCPUs of the target with everybody who may be there.
    fn capacity_with(&mut self, one: &Move, begin: &Begin<'_, '_>) {
        let Some(host) = self.snapshot.hosts.get(&one.to) else {
            return;
        };
        let here = begin.living(&one.to);
        let here = here.iter().filter_map(|vm| self.domains.get(*vm).copied());
        // Strangers on their way in hold memory too.
        let arriving = self.incoming.get(&one.to).into_iter().flatten().copied();
        let (mut memory, mut vcpus) = (Bytes::ZERO, 0u64);
        for domain in here.chain(arriving) {
            memory += domain.memory;
            vcpus += u64::from(domain.vcpus);
        }
        let usable = 1.0 - self.policy.limits.memory_reserve.get();
        let limit = Bytes::new((host.memory.as_f64() * usable) as u64);
        if memory > limit {
            self.note(&one.vm, Problem::MemoryOver { host: one.to.clone(), memory, limit });
        }
        let limit = host.cpu.as_cores_f64() * self.policy.limits.cpu_overcommit;
        if vcpus as f64 > limit {
            self.note(&one.vm, Problem::VcpusOver { host: one.to.clone(), vcpus, limit });
        }
    }

    /// Rules that an arrival breaks beside everybody who may be there.
    fn rules_with(&mut self, one: &Move, begin: &Begin<'_, '_>) {
        for broken in self.rules.arrival_breaks(&one.vm, (&one.from, &one.to), begin) {
            let host = one.to.clone();
            let problem = match broken {
                Broken::Rule(rule) => Problem::BreaksRule { rule: rule.to_owned(), host },
                Broken::Lacks(lack) => Problem::Lacks { host, lack },
            };
            self.notes.push(Note { subject: one.vm.to_string(), problem });
        }
    }

    /// Budgets of disruption that the plan exceeds, if it begins `now`.
    fn budgets(&mut self, plan: &Plan, now: Timestamp) {
        let moved: Vec<&VmId> = plan.moves.iter().map(|one| &one.vm).collect();
        for over in self.rules.too_many_moves(&moved) {
            let (rule, count, limit) = (over.rule.to_owned(), over.count, over.limit);
            self.note("plan", Problem::BudgetMoves { rule, count, limit });
        }
        for over in self.rules.too_many_at_once(plan) {
            let (rule, count, limit) = (over.rule.to_owned(), over.count, over.limit);
            self.note("plan", Problem::BudgetAtOnce { rule, count, limit });
        }
        for one in &plan.moves {
            let begin = one.not_before.unwrap_or(now).max(now);
            if let Some((rule, opens)) = self.rules.closed(&one.vm, begin) {
                let rule = rule.to_owned();
                self.note(&one.vm, Problem::OutsideWindow { rule, opens });
            } else if let Some((rule, closes)) = self.rules.closes(&one.vm, begin)
                && one.ends_before.is_none_or(|ends| ends > closes)
            {
                self.note(&one.vm, Problem::OverWindow { rule: rule.to_owned(), closes });
            }
        }
    }

    /// Rules about the end that moves break by where they bring their VM, broken before or not.
    fn moved_at_end(&mut self, plan: &Plan) {
        if !self.rules.any_about_end() {
            return;
        }
        let ended = Presence::at_rest(&self.place);
        let ended = ended.when(0);
        let moved: BTreeSet<&VmId> = plan.moves.iter().map(|one| &one.vm).collect();
        let mut found = Vec::new();
        for vm in moved {
            let Some(host) = self.place.get(vm) else { continue };
            for broken in self.rules.end_breaks(vm, host, &ended) {
                let Broken::Rule(rule) = broken else { continue };
                let (rule, host) = (rule.to_owned(), (*host).clone());
                found.push((vm.clone(), Problem::BreaksRule { rule, host }));
            }
        }
        for (vm, problem) in found {
            self.note(vm, problem);
        }
    }

    fn end(&mut self, plan: &Plan, before: &BTreeMap<&str, bool>) {
        self.moved_at_end(plan);
        for (rule, hard) in self.rules.broken_at_end(&self.place) {
            let (already, rule) = (before.contains_key(rule), rule.to_owned());
            self.note(
                "end",
                if hard {
                    Problem::RuleBrokenAtEnd { rule, already }
                } else {
                    Problem::PreferenceBrokenAtEnd { rule, already }
                },
            );
        }
        let count = plan.moves().count();
        let limit = self.policy.limits.moves_max as usize;
        if count > limit {
            self.note("plan", Problem::TooManyMoves { count, limit });
        }
        let emptied: BTreeSet<&HostId> = plan.goal.emptied().collect();
        let mut left: BTreeMap<&HostId, usize> = BTreeMap::new();
        for place in self.place.values().filter(|place| emptied.contains(*place)) {
            *left.entry(place).or_default() += 1;
        }
        for (host, left) in left {
            self.note(host, Problem::NotDrained { left });
        }
        if let Goal::Restore { places } = &plan.goal {
            for (vm, host) in places {
                if self.place.get(vm) != Some(&host) {
                    self.note(vm, Problem::NotRestored { host: host.clone() });
                }
            }
        }
    }
}
