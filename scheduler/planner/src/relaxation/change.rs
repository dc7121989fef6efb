//! One thing that an operator could give up, and the request without it.
//!
//! Knows what could be tried and in which order it hurts; whether it helps is for
//! [`search`](super::search) to find out by planning.

use std::{cmp::Reverse, collections::BTreeSet, fmt};

use serde::Serialize;
use whimbrel_core::{
    cluster::{HostState, Snapshot},
    ids::{HostId, VmId},
    plan::Goal,
    policy::Policy,
    units::{Share, Span},
};

use crate::{PlanFailure, PlanRequest};

/// Rules that are tried one by one.
const RULES_MAX: usize = 48;

/// VMs that are tried without.
const VMS_MAX: usize = 16;

/// Largest overcommit that a policy may have.
const OVERCOMMIT_MAX: f64 = 100.0;

/// One thing to give up.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Relaxation {
    /// Drop a rule.
    Rule {
        /// Its name.
        rule: String,
    },
    /// Let one plan have more moves.
    MovesMax {
        /// What it is.
        from: u32,
        /// What it has to be.
        to: u32,
    },
    /// Keep less memory free on every host.
    MemoryReserve {
        /// What it is, part of a host's memory.
        from: f64,
        /// What it has to be.
        to: f64,
    },
    /// Let a core carry more vCPUs.
    CpuOvercommit {
        /// What it is, vCPUs per core.
        from: f64,
        /// What it has to be.
        to: f64,
    },
    /// Let guests stand still for longer at the end of their migration.
    DowntimeLimit {
        /// What it is.
        from: Span,
        /// What it has to be.
        to: Span,
    },
    /// Take a host out of maintenance.
    HostInService {
        /// The host.
        host: HostId,
    },
    /// Shut a domain down.
    ShutDown {
        /// The domain.
        vm: VmId,
    },
}

impl Relaxation {
    /// Gives it up in `policy` and `snapshot`.
    pub(super) fn apply(&self, policy: &mut Policy, snapshot: &mut Snapshot) {
        match self {
            Self::Rule { rule } => policy.rules.retain(|one| one.name() != rule),
            Self::MovesMax { to, .. } => policy.limits.moves_max = *to,
            Self::MemoryReserve { to, .. } => policy.limits.memory_reserve = Share::clamped(*to),
            Self::CpuOvercommit { to, .. } => policy.limits.cpu_overcommit = *to,
            Self::DowntimeLimit { to, .. } => policy.migration.downtime_limit = *to,
            Self::HostInService { host } => {
                if let Some(host) = snapshot.hosts.get_mut(host) {
                    host.state = HostState::Up;
                }
            }
            Self::ShutDown { vm } => snapshot.domains.retain(|domain| domain.vm != *vm),
        }
    }

    /// What hurts least comes first.
    pub(super) fn rank(&self) -> u8 {
        match self {
            Self::MovesMax { .. } => 0,
            Self::Rule { .. } => 1,
            Self::MemoryReserve { .. } => 2,
            Self::CpuOvercommit { .. } => 3,
            Self::DowntimeLimit { .. } => 4,
            Self::HostInService { .. } => 5,
            Self::ShutDown { .. } => 6,
        }
    }

    /// The same, given up only `part` of the way from nothing, 0, to all of it, 1; `None` where it
    /// is all or nothing.
    pub(super) fn partly(&self, part: f64) -> Option<Self> {
        let between = |from: f64, to: f64, steps: f64| {
            let exact = from + (to - from) * part;
            let outward = if to < from { (exact * steps).floor() } else { (exact * steps).ceil() };
            outward / steps
        };
        match self {
            Self::MemoryReserve { from, to } => {
                Some(Self::MemoryReserve { from: *from, to: between(*from, *to, 100.0).max(*to) })
            }
            Self::CpuOvercommit { from, to } => {
                Some(Self::CpuOvercommit { from: *from, to: between(*from, *to, 10.0).min(*to) })
            }
            _ => None,
        }
    }
}

/// Everything that could be given up for `request`, which failed with `failure`, what hurts least
/// first; and whether that is all of it.
pub(super) fn candidates(
    request: &PlanRequest<'_>,
    failure: &PlanFailure,
) -> (Vec<Relaxation>, bool) {
    let (policy, snapshot) = (request.policy, request.snapshot);
    let concerned = concerned(request);
    let mut all = Vec::new();
    let most = u32::try_from(snapshot.domains.len().clamp(1, 100_000)).unwrap_or(100_000);
    let limits = &policy.limits;
    if limits.moves_max < most {
        all.push(Relaxation::MovesMax { from: limits.moves_max, to: most });
    }
    let (rules, whole) = rules(policy, &concerned, &failure.to_string());
    all.extend(rules);
    let reserve = limits.memory_reserve.get();
    if reserve > 0.0 {
        all.push(Relaxation::MemoryReserve { from: reserve, to: 0.0 });
    }
    if limits.cpu_overcommit < OVERCOMMIT_MAX {
        let from = limits.cpu_overcommit;
        all.push(Relaxation::CpuOvercommit { from, to: OVERCOMMIT_MAX });
    }
    if let PlanFailure::WouldStall { vms, downtime_limit, .. } = failure
        && let Some(needed) = vms.iter().filter_map(|vm| vm.downtime_limit_needed).max()
        && needed > *downtime_limit
    {
        all.push(Relaxation::DowntimeLimit { from: *downtime_limit, to: needed });
    }
    let emptied: BTreeSet<&HostId> = request.goal.emptied().collect();
    let resting = snapshot
        .hosts
        .iter()
        .filter(|(id, host)| host.state == HostState::Maintenance && !emptied.contains(*id));
    all.extend(resting.map(|(id, _)| Relaxation::HostInService { host: id.clone() }));
    let mut vms: Vec<_> = snapshot
        .domains
        .iter()
        .filter(|domain| concerned.contains(&domain.vm) && domain.job.is_none())
        .filter(|domain| domain.state.lives_here())
        .collect();
    // The largest make most room; those that are tried are few.
    vms.sort_by_key(|domain| (Reverse(domain.memory), &domain.vm));
    let whole = whole && vms.len() <= VMS_MAX;
    all.extend(vms.iter().take(VMS_MAX).map(|one| Relaxation::ShutDown { vm: one.vm.clone() }));
    (all, whole)
}

/// VMs that the goal has to move.
fn concerned<'a>(request: &'a PlanRequest<'_>) -> BTreeSet<&'a VmId> {
    match &request.goal {
        Goal::Drain { .. } => {
            let hosts: BTreeSet<&HostId> = request.goal.emptied().collect();
            let domains = request.snapshot.domains.iter();
            domains.filter(|one| hosts.contains(&one.host)).map(|one| &one.vm).collect()
        }
        Goal::Restore { places } => places.keys().collect(),
        Goal::Balance | Goal::Even | Goal::Defragment { .. } | Goal::Powersave => BTreeSet::new(),
    }
}

/// Rules, each by its name: first those that the failure names, then those about VMs that have to
/// move, then others.
fn rules(policy: &Policy, concerned: &BTreeSet<&VmId>, failure: &str) -> (Vec<Relaxation>, bool) {
    let near =
        |rule: &&whimbrel_core::policy::Rule| rule.vms().iter().any(|vm| concerned.contains(vm));
    let named: Vec<bool> =
        policy.rules.iter().map(|rule| failure.contains(&format!("{:?}", rule.name()))).collect();
    let first = policy.rules.iter().zip(&named).filter(|(_, named)| **named).map(|(rule, _)| rule);
    let then = policy.rules.iter().filter(near);
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut rules = Vec::new();
    for rule in first.chain(then).chain(&policy.rules) {
        if !seen.insert(rule.name()) {
            continue;
        }
        if rules.len() == RULES_MAX {
            return (rules, false);
        }
        rules.push(Relaxation::Rule { rule: rule.name().to_owned() });
    }
    (rules, true)
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { rule } => write!(f, "relax rule {rule:?}"),
            Self::MovesMax { from, to } => write!(f, "raise limits.moves_max from {from} to {to}"),
            Self::MemoryReserve { from, to } => {
                write!(f, "lower limits.memory_reserve from {from} to {to}")
            }
            Self::CpuOvercommit { from, to } => {
                write!(f, "raise limits.cpu_overcommit from {from} to {to}")
            }
            Self::DowntimeLimit { from, to } => {
                write!(f, "raise migration.downtime_limit from {} to {}", from.human(), to.human())
            }
            Self::HostInService { host } => write!(f, "take host {host} out of maintenance"),
            Self::ShutDown { vm } => write!(f, "shut {vm} down"),
        }
    }
}
