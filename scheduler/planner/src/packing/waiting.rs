//! VMs that do not run yet as VMs on a host that does not exist, so that they can be planned for.
//!
//! Their names are no one's: neither the cluster nor a rule of the policy knows them.

use std::collections::BTreeSet;

use whimbrel_core::{
    cluster::{Domain, DomainState, Host, HostState, Needs, Offers, Snapshot},
    ids::{HostId, VmId},
    policy::{Policy, Rule},
    predict::{MigrationRequest, PredictError, Prediction, Predictor, Quantiles},
    units::{Bytes, MilliCores, Share, Span},
};

use super::sums::Size;
use crate::PlanRequest;

/// VMs that are wanted, on a host that does not exist.
pub(super) struct Waiting {
    pub(super) snapshot: Snapshot,
    pub(super) policy: Policy,
    pub(super) host: HostId,
    pub(super) vms: BTreeSet<VmId>,
}

impl Waiting {
    pub(super) fn new(request: &PlanRequest<'_>, wanted: &[Size]) -> Self {
        let mut snapshot = request.snapshot.clone();
        let host =
            unused(|name| HostId::new(name).ok().filter(|id| !snapshot.hosts.contains_key(id)));
        let host = host.unwrap_or_else(HostId::unnamed);
        // So large that nothing about it is scarce.
        snapshot.hosts.insert(
            host.clone(),
            Host {
                state: HostState::Maintenance,
                observed_at: request.now,
                cpu: MilliCores::cores(1_000_000),
                memory: Bytes::mib(1 << 40),
                cpu_used: None,
                migration_bandwidth: None,
                qemu: None,
                tags: BTreeSet::new(),
                offers: Offers::default(),
            },
        );
        let known: BTreeSet<VmId> = snapshot.domains.iter().map(|one| one.vm.clone()).collect();
        let named: BTreeSet<&VmId> = request.policy.rules.iter().flat_map(Rule::vms).collect();
        let mut vms = BTreeSet::new();
        for (number, size) in wanted.iter().enumerate() {
            let free = |prefix: &str| {
                let vm = VmId::new(&format!("{prefix}-{number:05}")).ok()?;
                (!known.contains(&vm) && !named.contains(&vm)).then_some(vm)
            };
            let Some(vm) = unused(free) else { continue };
            snapshot.domains.push(Domain {
                vm: vm.clone(),
                uuid: String::new(),
                host: host.clone(),
                state: DomainState::Running,
                observed_at: request.now,
                vcpus: size.vcpus,
                memory: Bytes::new(size.memory),
                resident: None,
                cpu_used: None,
                dirty: Vec::new(),
                job: None,
                tags: BTreeSet::new(),
                needs: Needs::default(),
            });
            vms.insert(vm);
        }
        snapshot.normalise();
        let mut policy = request.policy.clone();
        // Their own moves are none.
        let moves_max =
            policy.limits.moves_max.saturating_add(u32::try_from(wanted.len()).unwrap_or(u32::MAX));
        policy.limits.moves_max = moves_max.min(100_000);
        Self { snapshot, policy, host, vms }
    }
}

/// What `free` makes of the first name that it accepts.
fn unused<T>(free: impl Fn(&str) -> Option<T>) -> Option<T> {
    (0..1_000_000u32).find_map(|number| free(&format!("wanted.{number}")))
}

/// Says that VMs which do not run yet migrate for nothing.
pub(super) struct Free<'a> {
    pub(super) inner: &'a dyn Predictor,
    pub(super) vms: &'a BTreeSet<VmId>,
}

impl Predictor for Free<'_> {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        if !self.vms.contains(&request.domain.vm) {
            return self.inner.predict(request);
        }
        Ok(Prediction {
            model: "start".to_owned(),
            converges: Share::ONE,
            total_time: Quantiles::from_array([Span::ZERO; 7]),
            transferred: Quantiles::from_array([Bytes::ZERO; 7]),
            downtime: Quantiles::from_array([Span::ZERO; 7]),
            impact: None,
            stall: None,
            caveats: Vec::new(),
        })
    }
}
