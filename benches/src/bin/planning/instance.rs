//! The plain form of a cluster, as `peers/README.md` documents it, as a planner's request.
//!
//! What a move costs is what the file says, so that all planners minimise the same sum.

use std::{collections::BTreeMap, error::Error};

use serde::Deserialize;
use whimbrel_core::{
    Domain, DomainState, Goal, Host, HostId, HostState, Policy, Predictor, Snapshot, VmId,
    policy::Rule,
    predict::{MigrationRequest, PredictError, Prediction, Quantiles},
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span, Timestamp},
};

/// The moment of every instance.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plain {
    name: String,
    #[serde(default)]
    goal: Option<String>,
    hosts: Vec<PlainHost>,
    vms: Vec<PlainVm>,
    #[serde(default)]
    rules: Vec<Rule>,
    #[serde(default)]
    drain: Vec<HostId>,
    #[serde(default)]
    limits: PlainLimits,
    objective: PlainObjective,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainHost {
    name: HostId,
    cores: f64,
    memory_mib: u64,
    #[serde(default)]
    system_memory_mib: u64,
    #[serde(default = "ten_gigabit")]
    migration_mib_per_second: f64,
    #[serde(default)]
    state: Option<HostState>,
}

fn ten_gigabit() -> f64 {
    1111.0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "keys that other planners read are documented and accepted here too")]
struct PlainVm {
    name: VmId,
    memory_mib: u64,
    vcpus: u32,
    use_cores: f64,
    host: Option<HostId>,
    #[serde(default)]
    move_cost_seconds: f64,
    #[serde(default)]
    dirty_mib_per_second: f64,
    #[serde(default)]
    priority: i64,
    #[serde(default)]
    disk_mb_per_second: f64,
    #[serde(default)]
    network_mb_per_second: f64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainLimits {
    cpu_overcommit: f64,
    memory_reserve: f64,
}

impl Default for PlainLimits {
    fn default() -> Self {
        Self { cpu_overcommit: 4.0, memory_reserve: 0.0 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the chords are the judge's; ours follow from the threshold")]
struct PlainObjective {
    chords: Vec<[f64; 2]>,
    horizon_seconds: f64,
}

/// An instance, ready to be planned for.
pub(crate) struct Instance {
    pub(crate) name: String,
    pub(crate) snapshot: Snapshot,
    pub(crate) policy: Policy,
    pub(crate) goal: Goal,
    pub(crate) costs: Costs,
}

/// Says of every migration what the file says.
pub(crate) struct Costs(BTreeMap<VmId, f64>);

impl Predictor for Costs {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let domain = request.domain;
        let busy = domain.cpu_used.map_or(0.0, MilliCores::as_cores_f64).max(1.0);
        let seconds = self.0.get(&domain.vm).copied().unwrap_or(0.0) / busy;
        Ok(Prediction {
            model: "instance".to_owned(),
            converges: Share::ONE,
            total_time: Quantiles::from_array([Span::from_seconds_f64(seconds); 7]),
            transferred: Quantiles::from_array([domain.memory; 7]),
            downtime: Quantiles::from_array([Span::ZERO; 7]),
            impact: None,
            stall: None,
            caveats: Vec::new(),
        })
    }
}

impl Instance {
    /// Reads `text`.
    pub(crate) fn read(text: &str) -> Result<Self, Box<dyn Error>> {
        let plain: Plain = serde_json::from_str(text)?;
        let mut policy = Policy::default();
        policy.limits.cpu_overcommit = plain.limits.cpu_overcommit;
        policy.limits.memory_reserve = Share::clamped(plain.limits.memory_reserve);
        policy.limits.moves_max = 100_000;
        policy.balance.horizon = Span::from_seconds_f64(plain.objective.horizon_seconds);
        // One guest-second of a move weighs as much as one of contention.
        policy.balance.gain_factor = 1.0;
        policy.rules = plain.rules;
        let goal = match (plain.goal.as_deref(), plain.drain.as_slice()) {
            (None | Some("balance"), []) => Goal::Balance,
            (Some("drain"), [host]) => Goal::Drain { host: host.clone() },
            (goal, drain) => {
                return Err(format!("goal {goal:?} with {} hosts to drain", drain.len()).into());
            }
        };
        let costs = plain.vms.iter().map(|vm| (vm.name.clone(), vm.move_cost_seconds)).collect();
        let domains = plain.vms.iter().map(domain).collect::<Result<_, _>>()?;
        let hosts = plain.hosts.iter().map(|one| (one.name.clone(), host(one))).collect();
        let mut snapshot = Snapshot { taken_at: NOW, hosts, domains, orders: Vec::new() };
        snapshot.normalise();
        Ok(Self { name: plain.name, snapshot, policy, goal, costs: Costs(costs) })
    }
}

fn host(plain: &PlainHost) -> Host {
    Host {
        state: plain.state.unwrap_or(HostState::Up),
        observed_at: NOW,
        cpu: MilliCores::new((plain.cores * 1000.0) as u64),
        memory: Bytes::mib(plain.memory_mib.saturating_sub(plain.system_memory_mib)),
        cpu_used: None,
        migration_bandwidth: Some(BytesPerSecond::mib(plain.migration_mib_per_second as u64)),
        qemu: None,
    }
}

fn domain(plain: &PlainVm) -> Result<Domain, Box<dyn Error>> {
    let host = plain.host.clone().ok_or_else(|| format!("{} waits for a place", plain.name))?;
    Ok(Domain {
        vm: plain.name.clone(),
        uuid: format!("uuid-of-{}", plain.name),
        host,
        state: DomainState::Running,
        observed_at: NOW,
        vcpus: plain.vcpus,
        memory: Bytes::mib(plain.memory_mib),
        resident: None,
        cpu_used: Some(MilliCores::new((plain.use_cores * 1000.0).round() as u64)),
        dirty: Vec::new(),
        job: None,
    })
}
