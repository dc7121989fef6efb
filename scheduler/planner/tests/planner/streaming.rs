//! A plan is safe however long its moves take: executed with moves that begin and end in any order
//! that it allows, no host is ever over its limits and no machine meets one that it may not meet.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use whimbrel_core::{
    cluster::DomainState,
    ids::{HostId, VmId},
    plan::{Goal, Plan},
    policy::{Per, Roster, RuleKind},
};

use crate::{properties::some_cluster, support::*};

/// Where machines may be at one moment: at both ends while they are on their way.
struct Walk<'a> {
    cluster: &'a Cluster,
    plan: &'a Plan,
    at: BTreeMap<&'a HostId, BTreeSet<&'a VmId>>,
    running: BTreeSet<usize>,
    ended: BTreeSet<usize>,
}

impl<'a> Walk<'a> {
    fn new(cluster: &'a Cluster, plan: &'a Plan) -> Self {
        let mut at: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let counts = |state: DomainState| state.lives_here() || state == DomainState::Incoming;
        for domain in cluster.snapshot.domains.iter().filter(|d| counts(d.state)) {
            at.entry(&domain.host).or_default().insert(&domain.vm);
        }
        Self { cluster, plan, at, running: BTreeSet::new(), ended: BTreeSet::new() }
    }

    /// Moves that may begin now.
    fn ready(&self) -> Vec<usize> {
        let limits = self.plan.at_once;
        let free = |host: &HostId, alone: bool| {
            let moves = self.running.iter().map(|&index| &self.plan.moves[index]);
            let here = moves.filter(|m| m.from == *host || m.to == *host);
            let (count, lonely) =
                here.fold((0, alone), |(count, lonely), m| (count + 1, lonely || m.alone));
            if lonely { count == 0 } else { count < limits.per_host as usize }
        };
        (0..self.plan.moves.len())
            .filter(|index| !self.running.contains(index) && !self.ended.contains(index))
            .filter(|&index| {
                let one = &self.plan.moves[index];
                self.running.len() < limits.total as usize
                    && free(&one.from, one.alone)
                    && free(&one.to, one.alone)
                    && one.after.iter().all(|&before| self.ended.contains(&(before as usize)))
            })
            .collect()
    }

    fn begin(&mut self, index: usize) {
        let one = &self.plan.moves[index];
        self.at.entry(&one.to).or_default().insert(&one.vm);
        self.running.insert(index);
        self.judge(&one.to);
    }

    fn end(&mut self, index: usize) {
        let one = &self.plan.moves[index];
        self.at.entry(&one.from).or_default().remove(&one.vm);
        self.running.remove(&index);
        self.ended.insert(index);
    }

    fn judge(&self, host: &HostId) {
        let here = &self.at[host];
        let policy = &self.cluster.policy;
        let limits = &self.cluster.snapshot.hosts[host];
        let of = |vm: &VmId| self.cluster.snapshot.sightings(vm).next().unwrap();
        let memory: f64 = here.iter().map(|vm| of(vm).memory.as_f64()).sum();
        let usable = limits.memory.as_f64() * (1.0 - policy.limits.memory_reserve.get());
        assert!(memory <= usable, "{host} holds {here:?}");
        let vcpus: f64 = here.iter().map(|vm| f64::from(of(vm).vcpus)).sum();
        assert!(vcpus <= limits.cpu.as_cores_f64() * policy.limits.cpu_overcommit, "{host}");
        let roster = Roster::new(policy, &self.cluster.snapshot);
        let running: Vec<&VmId> =
            self.running.iter().map(|&index| &self.plan.moves[index].vm).collect();
        for (rule, meant) in policy.rules.iter().zip(&roster.meant) {
            let vms: BTreeSet<&VmId> = meant.vms.iter().map(|&vm| roster.vms[vm]).collect();
            let moving = running.iter().filter(|vm| vms.contains(*vm)).count();
            match &rule.kind {
                RuleKind::AntiAffinity { per: Per::Host, most } if rule.is_continuous() => {
                    let together: BTreeSet<_> = here.intersection(&vms).collect();
                    let newcomer = running.iter().any(|vm| together.contains(vm));
                    let crowd = together.len() > *most as usize;
                    assert!(!crowd || !newcomer, "{together:?} meet on {host}");
                }
                RuleKind::Disruption(budget) => {
                    let most = budget.at_once.unwrap_or(u32::MAX);
                    assert!(moving <= most as usize, "{moving} of {:?} at once", rule.name);
                }
                _ => {}
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_timing_no_host_is_over_its_limits(
        cluster in some_cluster(),
        drains in any::<bool>(),
        turns in prop::collection::vec(any::<prop::sample::Index>(), 64),
    ) {
        let goal = if drains { drain("h0") } else { Goal::Balance };
        let Ok(plan) = cluster.plan(goal) else { return Ok(()) };
        let mut walk = Walk::new(&cluster, &plan);
        let mut turns = turns.iter().cycle();
        while walk.ended.len() < plan.moves.len() {
            let ready = walk.ready();
            let running: Vec<usize> = walk.running.iter().copied().collect();
            prop_assert!(!ready.is_empty() || !running.is_empty(), "the plan stands still");
            let choice = turns.next().unwrap().index(ready.len() + running.len());
            match ready.get(choice) {
                Some(&index) => walk.begin(index),
                None => walk.end(running[choice - ready.len()]),
            }
        }
    }
}
