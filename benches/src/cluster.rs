//! Clusters of any size with readings of every VM, for planning and simulating.
//!
//! Drawn from a fixed seed: equal sizes give equal clusters. A quarter of the hosts is overloaded,
//! so that balancing finds something to do; every host can be drained.

use std::collections::BTreeMap;

use whimbrel_core::{
    Domain, DomainState, Goal, Host, HostId, HostState, Move, Outlook, Plan, Policy, Predictor,
    Snapshot, VmId,
    cluster::DirtyReading,
    digest::Digest,
    plan::{AtOnce, Parent, PlanReport, Reason},
    predict::{MigrationRequest, PredictError},
    settings::QemuVersion,
    units::{Bytes, MilliCores, Span, Timestamp},
};
use whimbrel_planner::PlanRequest;

use crate::draw::Draw;

/// The moment of every cluster.
pub const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// Seed of every choice.
const SEED: u64 = 7;

/// A cluster and what its operator wants.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// As it was observed.
    pub snapshot: Snapshot,
    /// The defaults, without a limit on the number of moves.
    pub policy: Policy,
    /// Nothing, unless it is changed.
    pub outlook: Outlook,
}

impl Cluster {
    /// `hosts` hosts with `vms` VMs of 1 to 6 GiB, evenly placed.
    pub fn new(hosts: usize, vms: usize) -> Self {
        let mut draw = Draw(SEED);
        let per_host = vms.div_ceil(hosts.max(1)) as u64;
        let host = Host {
            state: HostState::Up,
            observed_at: NOW,
            cpu: MilliCores::cores(2 * per_host),
            memory: Bytes::mib(per_host * 8 * 1024),
            cpu_used: None,
            migration_bandwidth: None,
            qemu: None,
            tags: std::collections::BTreeSet::new(),
            offers: whimbrel_core::cluster::Offers::default(),
        };
        let ids: Vec<HostId> = (0..hosts).map(host_id).collect();
        let overloaded = hosts.div_ceil(4);
        let domains = ids.iter().cycle().enumerate().take(vms);
        let mut snapshot = Snapshot {
            taken_at: NOW,
            domains: domains
                .map(|(vm, host)| domain(vm, host, vm % hosts < overloaded, &mut draw))
                .collect(),
            hosts: ids.iter().map(|id| (id.clone(), host.clone())).collect::<BTreeMap<_, _>>(),
            orders: Vec::new(),
        };
        snapshot.normalise();
        let mut policy = Policy::default();
        policy.limits.moves_max = 100_000;
        Self { snapshot, policy, outlook: Outlook::default() }
    }

    /// To empty the first host.
    pub fn drain() -> Goal {
        Goal::drain(host_id(0))
    }

    /// A request to plan for `goal`.
    pub fn request<'a>(&'a self, goal: Goal, predictor: &'a dyn Predictor) -> PlanRequest<'a> {
        PlanRequest {
            snapshot: &self.snapshot,
            policy: &self.policy,
            outlook: &self.outlook,
            goal,
            predictor,
            now: NOW,
            seed: SEED,
        }
    }

    /// A question about the migration of `domain` over a path of its own.
    pub fn migration<'a>(&'a self, domain: &'a Domain) -> MigrationRequest<'a> {
        MigrationRequest {
            to: None,
            domain,
            settings: &self.policy.migration,
            path_bandwidth: self.policy.limits.path_bandwidth,
            sharing: 1,
            now: NOW,
            seed: SEED,
            qemu: QemuVersion::default(),
        }
    }

    /// Moves every VM to the next host, one from each host at a time, each once its target has sent
    /// one on, whether or not that is of any use.
    ///
    /// # Errors
    /// [`PredictError`] of a VM that cannot be predicted.
    pub fn rotate(&self, predictor: &dyn Predictor) -> Result<Plan, PredictError> {
        let hosts: Vec<&HostId> = self.snapshot.hosts.keys().collect();
        let mut moves: Vec<Move> = Vec::new();
        // The moves that left each host.
        let mut left: Vec<Vec<u32>> = vec![Vec::new(); hosts.len()];
        for domain in &self.snapshot.domains {
            let from = hosts.iter().position(|host| **host == domain.host).unwrap_or_default();
            let to = (from + 1) % hosts.len();
            let turn = left[from].len();
            let before = turn.checked_sub(1);
            let mut after: Vec<u32> =
                [from, to].iter().filter_map(|&host| left[host].get(before?).copied()).collect();
            after.sort_unstable();
            after.dedup();
            left[from].push(u32::try_from(moves.len()).unwrap_or(u32::MAX));
            moves.push(Move {
                vm: domain.vm.clone(),
                uuid: domain.uuid.clone(),
                from: domain.host.clone(),
                to: hosts[to].clone(),
                after,
                alone: false,
                not_before: None,
                ends_before: None,
                begins: Span::ZERO,
                timeout: Span::from_seconds(600),
                reason: Reason::HostDrained,
                settings: self.policy.migration.clone(),
                predicted: predictor.predict(&self.migration(domain))?,
            });
        }
        let parent = Parent {
            snapshot: Digest::of(&self.snapshot),
            snapshot_taken_at: NOW,
            policy: Digest::of(&self.policy),
            seed: SEED,
        };
        let report = PlanReport {
            found_by: "rotation".to_owned(),
            gap: None,
            makespan: Span::ZERO,
            terms: Vec::new(),
            remarks: Vec::new(),
        };
        let at_once = AtOnce::new(2, u32::MAX);
        Ok(Plan::seal(Self::drain(), parent, report, (at_once, moves), Vec::new()))
    }
}

fn host_id(number: usize) -> HostId {
    HostId::new(&format!("host-{number:02}")).unwrap_or_else(|_| HostId::unnamed())
}

/// A running VM. On an overloaded host it uses twice the CPU.
fn domain(number: usize, host: &HostId, overloaded: bool, draw: &mut Draw) -> Domain {
    let rate_mib = 1 + draw.below(24);
    // Most guests dirty less and less anew, the longer the window (U ~ t^0.8).
    let unique = |seconds: u64| rate_mib as f64 * (seconds as f64).powf(0.8);
    let reading = |seconds: u64| DirtyReading {
        window: Span::from_seconds(seconds),
        unique: Bytes::mib(unique(seconds) as u64),
        measured_at: NOW,
    };
    let memory = Bytes::mib(1024 * (1 + draw.below(6)));
    let millicores = 200 + draw.below(1200);
    Domain {
        vm: VmId::new(&format!("vm-{number:05}")).unwrap_or_else(|_| VmId::unnamed()),
        uuid: format!("00000000-0000-4000-8000-{number:012}"),
        host: host.clone(),
        state: DomainState::Running,
        observed_at: NOW,
        vcpus: 4,
        memory,
        resident: Some(memory),
        cpu_used: Some(MilliCores::new(if overloaded { 2 * millicores } else { millicores })),
        dirty: [1, 2, 4, 8].map(reading).to_vec(),
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_models::ReplayPredictor;
    use whimbrel_simulator::{SimulationOptions, simulate};

    use super::*;

    #[test]
    fn small_clusters_drain_balance_and_rotate() {
        let cluster = Cluster::new(3, 9);
        let predictor = ReplayPredictor::default();
        let plan = whimbrel_planner::plan(&cluster.request(Cluster::drain(), &predictor)).unwrap();
        assert_eq!(plan.moves().count(), 3);
        let plan = whimbrel_planner::plan(&cluster.request(Goal::Balance, &predictor)).unwrap();
        assert!(!plan.is_empty(), "nothing to balance");
        let plan = cluster.rotate(&predictor).unwrap();
        assert_eq!(plan.moves().count(), 9);
        let outcome = simulate(&plan, &cluster.snapshot, &SimulationOptions::default()).unwrap();
        assert_eq!((outcome.arrived(), outcome.violations.as_slice()), (9, [].as_slice()));
    }
}
