//! The independent checker: replays a plan on its snapshot without any of the planner's code.
//!
//! It walks the waves in order. While a wave runs, each of its VMs counts at both ends, for
//! memory and for rules, because that is where it may be. It decides whether a plan may run; it
//! never mends one.

use std::{collections::BTreeMap, fmt};

use crate::{
    cluster::{Domain, DomainState, HostState, PlacementError, Snapshot},
    digest::Digest,
    ids::{HostId, VmId},
    plan::{Goal, Move, Plan, PlanError, Wave},
    policy::{Policy, Rule},
    units::{Bytes, Timestamp},
};

mod note;

pub use note::{Note, Problem, Severity};

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
    let before = replay.broken_rules();
    for (index, wave) in plan.waves.iter().enumerate() {
        replay.wave(index, wave);
    }
    replay.end(plan, &before);
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
    notes: Vec<Note>,
}

impl<'a> Replay<'a> {
    fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Result<Self, PlacementError> {
        let domains = snapshot.placement()?;
        let place = domains.iter().map(|(vm, domain)| (*vm, &domain.host)).collect();
        Ok(Self { snapshot, policy, domains, place, notes: Vec::new() })
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

    fn wave(&mut self, index: usize, wave: &'a Wave) {
        let name = format!("wave {}", index + 1);
        let mut moved: BTreeMap<&VmId, &Move> = BTreeMap::new();
        for one in &wave.moves {
            self.one_move(one);
            if moved.insert(&one.vm, one).is_some() {
                self.note(&one.vm, Problem::MovedTwiceInWave);
            }
        }
        self.concurrency(&name, wave);
        self.capacity_with(&name, &moved);
        self.rules_with(&moved);
        for one in &wave.moves {
            if let Some((vm, _)) = self.domains.get_key_value(&one.vm) {
                self.place.insert(vm, &one.to);
            }
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

    fn concurrency(&mut self, name: &str, wave: &Wave) {
        let mut per_host: BTreeMap<&HostId, u32> = BTreeMap::new();
        for one in &wave.moves {
            *per_host.entry(&one.from).or_default() += 1;
            *per_host.entry(&one.to).or_default() += 1;
        }
        let limits = &self.policy.limits;
        let (per_host_max, total_max) = (limits.migrations_per_host, limits.migrations_total);
        for (host, count) in per_host {
            if count > per_host_max {
                self.note(
                    name,
                    Problem::TooManyAtHost { host: host.clone(), count, limit: per_host_max },
                );
            }
        }
        let count = u32::try_from(wave.moves.len()).unwrap_or(u32::MAX);
        if count > total_max {
            self.note(name, Problem::TooManyAtOnce { count, limit: total_max });
        }
    }

    /// Memory and vCPUs of every host that receives in this wave, with its arrivals and without
    /// any departure.
    fn capacity_with(&mut self, name: &str, moved: &BTreeMap<&VmId, &Move>) {
        let mut receivers: Vec<&HostId> = moved.values().map(|one| &one.to).collect();
        receivers.sort_unstable();
        receivers.dedup();
        for id in receivers {
            let Some(host) = self.snapshot.hosts.get(id) else {
                continue;
            };
            let here = self.domains.values().filter(|d| {
                self.place.get(&d.vm).is_some_and(|place| *place == id)
                    || moved.get(&d.vm).is_some_and(|one| one.to == *id)
            });
            // Strangers on their way in hold memory too.
            let arriving = self
                .snapshot
                .domains
                .iter()
                .filter(|d| d.host == *id && d.state == DomainState::Incoming);
            let (mut memory, mut vcpus) = (Bytes::ZERO, 0u64);
            for domain in here.copied().chain(arriving) {
                memory += domain.memory;
                vcpus += u64::from(domain.vcpus);
            }
            let usable = 1.0 - self.policy.limits.memory_reserve.get();
            let memory_limit = Bytes::new((host.memory.as_f64() * usable) as u64);
            let vcpu_limit = host.cpu.as_cores_f64() * self.policy.limits.cpu_overcommit;
            if memory > memory_limit {
                self.note(
                    name,
                    Problem::MemoryOver { host: id.clone(), memory, limit: memory_limit },
                );
            }
            if vcpus as f64 > vcpu_limit {
                self.note(name, Problem::VcpusOver { host: id.clone(), vcpus, limit: vcpu_limit });
            }
        }
    }

    /// Rules that a wave breaks while it runs: arrivals against everything that is or comes there.
    fn rules_with(&mut self, moved: &BTreeMap<&VmId, &Move>) {
        for one in moved.values() {
            for rule in &self.policy.rules {
                let broken = match rule {
                    Rule::AntiAffinity { vms, .. } if vms.contains(&one.vm) => {
                        vms.iter().any(|other| {
                            *other != one.vm
                                && (self.place.get(other).is_some_and(|place| **place == one.to)
                                    || moved.get(other).is_some_and(|m| m.to == one.to))
                        })
                    }
                    _ => !rule.allows(&one.vm, &one.to),
                };
                if broken {
                    let problem =
                        Problem::BreaksRule { rule: rule.name().to_owned(), host: one.to.clone() };
                    self.notes.push(Note { subject: one.vm.to_string(), problem });
                }
            }
        }
    }

    /// Names of rules that the present moment breaks.
    fn broken_rules(&self) -> Vec<&'a str> {
        let at = |vm: &VmId| self.place.get(vm).copied();
        let broken = |rule: &&Rule| match rule {
            Rule::AntiAffinity { vms, .. } => vms.iter().enumerate().any(|(index, vm)| {
                at(vm).is_some()
                    && vms[index + 1..].iter().any(|other| other != vm && at(other) == at(vm))
            }),
            Rule::Affinity { vms, .. } => {
                let mut places = vms.iter().filter_map(at);
                let first = places.next();
                places.any(|place| Some(place) != first)
            }
            Rule::Pin { vms, .. } | Rule::Exclude { vms, .. } => {
                vms.iter().any(|vm| at(vm).is_some_and(|host| !rule.allows(vm, host)))
            }
        };
        self.policy.rules.iter().filter(broken).map(Rule::name).collect()
    }

    fn end(&mut self, plan: &Plan, broken_before: &[&str]) {
        for rule in self.broken_rules() {
            let already = broken_before.contains(&rule);
            self.note("end", Problem::RuleBrokenAtEnd { rule: rule.to_owned(), already });
        }
        let count = plan.moves().count();
        let limit = self.policy.limits.moves_max as usize;
        if count > limit {
            self.note("plan", Problem::TooManyMoves { count, limit });
        }
        if let Goal::Drain { host } = &plan.goal {
            let left = self.place.values().filter(|place| **place == host).count();
            if left > 0 {
                self.note(host, Problem::NotDrained { left });
            }
        }
    }
}
