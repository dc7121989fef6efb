//! Drains of forty guests with the number at one time that the planner chooses, and with fixed
//! numbers, in the simulator.
//!
//! A fixed number runs the same moves in the same order, none of them alone, and has all the time
//! that it wants. A way that leaves a guest behind is no way. Drawn from a fixed seed.

use std::error::Error;

use whimbrel_core::{
    Domain, Goal, HostId, Outlook, Plan, Policy, Snapshot, VmId,
    cluster::DirtyReading,
    units::{Bytes, BytesPerSecond, MilliCores, Span},
};
use whimbrel_models::ReplayPredictor;
use whimbrel_planner::PlanRequest;
use whimbrel_simulator::{Physics, SimulationOptions, simulate_many};

use crate::{
    cluster::{Cluster, NOW},
    draw::Draw,
};

/// Guests that leave, and hosts that take them.
const GUESTS: usize = 40;
const TARGETS: usize = 5;

/// What links of 1 and of 10 Gb/s carry of guests' memory.
const SLOW: BytesPerSecond = BytesPerSecond::mib(112);
const FAST: BytesPerSecond = BytesPerSecond::mib(1111);

/// Memory that a QEMU process has beside its guest's, all of which is in use.
const QEMU_OWN: Bytes = Bytes::mib(46);

/// Most migrations at a time that the policy lets the planner choose from.
const AT_ONCE_MAX: u32 = 8;

/// The fixed numbers.
pub const FIXED: [u32; 3] = [1, 2, 4];

/// Simulations of each way.
const SEEDS: u64 = 5;

/// What a fixed number's move may take.
const PATIENCE: Span = Span::from_seconds(1800);

/// What the guests are like: a name, and memory in MiB and dirty rate in MiB/s of the guest with
/// this number.
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What the link of each host carries.
    pub link: BytesPerSecond,
    guest: fn(usize, &mut Draw) -> (u64, u64),
}

/// Guests of several kinds.
pub const FAMILIES: [Family; 5] = [
    Family {
        name: "small and idle",
        link: FAST,
        guest: |_, draw| (64 + draw.below(448), draw.below(2)),
    },
    Family {
        name: "small and idle",
        link: SLOW,
        guest: |_, draw| (64 + draw.below(448), draw.below(2)),
    },
    Family {
        name: "large and idle",
        link: SLOW,
        guest: |_, draw| (1024 + draw.below(3072), draw.below(2)),
    },
    Family {
        name: "busy",
        link: SLOW,
        guest: |_, draw| (512 + draw.below(1536), 5 + draw.below(20)),
    },
    Family {
        name: "mixed",
        link: SLOW,
        guest: |number, draw| match number % 10 {
            0 => (512 + draw.below(512), 30 + draw.below(15)),
            1..=3 => (256 + draw.below(768), 2 + draw.below(6)),
            _ => (64 + draw.below(448), draw.below(2)),
        },
    },
];

/// How long one way took.
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// Migrations at a time on a host.
    pub at_once: u32,
    /// From the first begin to the last end, the median of the simulations; `None` where a guest
    /// was left behind in one of them.
    pub makespan: Option<Span>,
}

/// One family's drains.
#[derive(Debug, Clone)]
pub struct Raced {
    /// The family.
    pub name: &'static str,
    /// What the link of each host carries.
    pub link: BytesPerSecond,
    /// What the link takes for all memory sent once: no way is shorter by much.
    pub link_seconds: f64,
    /// As the planner chose.
    pub chosen: Way,
    /// What it predicted of that.
    pub predicted: Span,
    /// Moves that go alone.
    pub alone: usize,
    /// With fixed numbers.
    pub fixed: [Way; FIXED.len()],
}

impl Raced {
    /// The chosen way's time as a part of the best fixed number's; below 1 the choice is better.
    pub fn over_best_fixed(&self) -> Option<f64> {
        let best = self.fixed.iter().filter_map(|way| way.makespan).min()?;
        Some(self.chosen.makespan?.as_seconds_f64() / best.as_seconds_f64())
    }
}

/// Drains the host of every family in every way.
///
/// # Errors
/// Where no plan can be made or simulated.
pub fn race() -> Result<Vec<Raced>, Box<dyn Error>> {
    FAMILIES.iter().map(one).collect()
}

fn one(family: &Family) -> Result<Raced, Box<dyn Error>> {
    let (snapshot, policy) = cluster(family);
    let source = snapshot.hosts.keys().next().cloned().unwrap_or_else(HostId::unnamed);
    let memory: Bytes = snapshot.domains.iter().map(|domain| domain.memory).sum();
    let plan = whimbrel_planner::plan(&PlanRequest {
        snapshot: &snapshot,
        policy: &policy,
        outlook: &Outlook::default(),
        goal: Goal::drain(source),
        predictor: &ReplayPredictor::default(),
        now: NOW,
        seed: 7,
    })?;
    let way = |plan: &Plan| {
        let at_once = plan.at_once.per_host;
        simulated(plan, &snapshot, &policy).map(|makespan| Way { at_once, makespan })
    };
    let fixed = FIXED.map(|number| way(&plan.at_fixed_pace(number, PATIENCE)));
    let [first, second, third] = fixed;
    Ok(Raced {
        name: family.name,
        link: family.link,
        link_seconds: memory.as_f64() / family.link.as_f64(),
        chosen: way(&plan)?,
        predicted: plan.report.makespan,
        alone: plan.moves.iter().filter(|one| one.alone).count(),
        fixed: [first?, second?, third?],
    })
}

fn simulated(
    plan: &Plan,
    snapshot: &Snapshot,
    policy: &Policy,
) -> Result<Option<Span>, Box<dyn Error>> {
    let options = SimulationOptions {
        horizon: plan.ends_if(|one| one.timeout) + PATIENCE,
        physics: Physics { link_bandwidth: policy.limits.path_bandwidth, ..Physics::default() },
        ..SimulationOptions::default()
    };
    let bands = simulate_many(plan, snapshot, &options, 0..SEEDS)?;
    let whole = bands.succeeded.get() >= 1.0;
    Ok(bands.makespan.filter(|_| whole).map(|band| band.median))
}

/// All guests on the first host.
fn cluster(family: &Family) -> (Snapshot, Policy) {
    let Cluster { mut snapshot, mut policy, .. } = Cluster::new(TARGETS + 1, GUESTS);
    let mut draw = Draw(7);
    let source = snapshot.hosts.keys().next().cloned().unwrap_or_else(HostId::unnamed);
    for host in snapshot.hosts.values_mut() {
        (host.cpu, host.memory) = (MilliCores::cores(128), Bytes::mib(512 << 10));
    }
    for (number, domain) in snapshot.domains.iter_mut().enumerate() {
        let (memory_mib, rate_mib) = (family.guest)(number, &mut draw);
        let memory = Bytes::mib(memory_mib);
        let unique = |seconds: u64| rate_mib as f64 * (seconds as f64).powf(0.8);
        let reading = |seconds: u64| DirtyReading {
            window: Span::from_seconds(seconds),
            unique: Bytes::mib(unique(seconds) as u64).min(memory),
            measured_at: NOW,
        };
        let dirty = [1, 2, 4, 8].map(reading).to_vec();
        let vm = VmId::new(&format!("vm-{number:02}")).unwrap_or_else(|_| VmId::unnamed());
        *domain = Domain {
            vm,
            host: source.clone(),
            memory,
            resident: Some(memory + QEMU_OWN),
            dirty,
            ..domain.clone()
        };
    }
    snapshot.normalise();
    policy.limits.migrations_per_host = AT_ONCE_MAX;
    policy.limits.migrations_total = 64;
    policy.limits.path_bandwidth = family.link;
    (snapshot, policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_guests_leave_in_every_family() {
        let (snapshot, policy) = cluster(&FAMILIES[0]);
        assert_eq!(snapshot.domains.len(), GUESTS);
        policy.check_ranges().unwrap();
        let raced = one(&FAMILIES[0]).unwrap();
        assert!(raced.chosen.makespan.is_some());
        assert!(raced.over_best_fixed().unwrap() < 1.1, "{raced:?}");
    }
}
