//! Small clusters in a few words, and a predictor whose answers can be computed by hand.

use std::collections::BTreeMap;

use whimbrel_core::{
    check::{self, Note},
    cluster::{DirtyReading, Domain, DomainState, Host, HostState, Snapshot},
    ids::{HostId, VmId},
    outlook::{Demand, DemandSource, Outlook},
    plan::{Goal, Plan},
    policy::{Policy, Rule},
    predict::{MigrationRequest, PredictError, Prediction, Predictor, Quantiles, Stall},
    units::{Bytes, MilliCores, Share, Span, Timestamp},
};
use whimbrel_planner::{PlanFailure, PlanRequest};

/// The moment of every test.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// Memory over bandwidth, and a stall where a second's dirtying fills the path.
pub(crate) struct Simple;

impl Predictor for Simple {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let bandwidth = request.path_bandwidth.as_f64() / f64::from(request.sharing);
        if bandwidth < 1.0 {
            return Err(PredictError::NoBandwidth { vm: request.domain.vm.clone() });
        }
        let seconds = 1.0 + request.domain.memory.as_f64() / bandwidth;
        let dirty = request.domain.dirty.first().map_or(0.0, |r| r.unique.as_f64());
        let stalls = dirty > bandwidth;
        let spread = |scale: f64, value: f64| {
            Quantiles::from_array([0.7, 0.8, 0.9, 1.0, 1.1, 1.3, 1.4])
                .map(|k: f64| Span::from_seconds_f64(k * value * scale).rounded())
        };
        Ok(Prediction {
            model: "simple".to_owned(),
            converges: if stalls { Share::ZERO } else { Share::ONE },
            total_time: spread(1.0, seconds),
            transferred: Quantiles::from_array([request.domain.memory; 7]),
            downtime: spread(0.01, 1.0),
            stall: stalls.then_some(Stall {
                round: Span::from_seconds(1),
                remaining: Bytes::new(dirty as u64),
                downtime_limit_needed: Span::from_millis(900),
            }),
            caveats: Vec::new(),
            impact: None,
        })
    }
}

pub(crate) fn host_id(name: &str) -> HostId {
    HostId::new(name).unwrap_or_else(|_| HostId::unnamed())
}

pub(crate) fn vm_id(name: &str) -> VmId {
    VmId::new(name).unwrap_or_else(|_| VmId::unnamed())
}

pub(crate) fn drain(host: &str) -> Goal {
    Goal::drain(host_id(host))
}

pub(crate) fn anti(vms: &[&str]) -> Rule {
    Rule::anti_affinity("apart", vms.iter().map(|v| vm_id(v)).collect())
}

pub(crate) fn pin(vms: &[&str], hosts: &[&str]) -> Rule {
    let vms = vms.iter().map(|v| vm_id(v)).collect();
    Rule::pin("pin", vms, hosts.iter().map(|h| host_id(h)).collect())
}

pub(crate) fn affinity(vms: &[&str]) -> Rule {
    Rule::affinity("together", vms.iter().map(|v| vm_id(v)).collect())
}

macro_rules! json {
    ($value:expr) => {
        serde_json::to_string($value).unwrap_or_default()
    };
}

/// A cluster under construction with its policy.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) snapshot: Snapshot,
    pub(crate) policy: Policy,
    pub(crate) outlook: Outlook,
}

impl std::fmt::Debug for Cluster {
    /// What tells one drawn cluster from another, a line each.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "limits {}", json!(&self.policy.limits))?;
        for (id, host) in &self.snapshot.hosts {
            writeln!(f, "{id}: {}", json!(host))?;
        }
        for domain in &self.snapshot.domains {
            writeln!(f, "{}", json!(domain))?;
        }
        self.policy.rules.iter().try_for_each(|rule| writeln!(f, "{}", json!(rule)))
    }
}

impl Cluster {
    /// Hosts of 10 cores and 100 GiB, of which guests may have all.
    pub(crate) fn of(hosts: &[&str]) -> Self {
        let mut policy = Policy::default();
        policy.limits.memory_reserve = Share::ZERO;
        let host = Host {
            state: HostState::Up,
            observed_at: NOW,
            cpu: MilliCores::cores(10),
            memory: gib(100),
            cpu_used: None,
            migration_bandwidth: None,
            qemu: None,
            tags: std::collections::BTreeSet::new(),
            offers: whimbrel_core::cluster::Offers::default(),
        };
        let hosts: BTreeMap<HostId, Host> =
            hosts.iter().map(|name| (host_id(name), host.clone())).collect();
        let snapshot = Snapshot { taken_at: NOW, hosts, domains: Vec::new(), orders: Vec::new() };
        Self { snapshot, policy, outlook: Outlook::default() }
    }

    /// A domain with 4 vCPUs, `memory_gib` and `cores` in use.
    pub(crate) fn vm(mut self, name: &str, host: &str, memory_gib: u64, cores: f64) -> Self {
        self.push(name, host, memory_gib, cores);
        self.snapshot.normalise();
        self
    }

    /// The same for many; they are put into their order by whoever adds the last.
    pub(crate) fn push(&mut self, name: &str, host: &str, memory_gib: u64, cores: f64) {
        self.snapshot.domains.push(Domain {
            vm: vm_id(name),
            uuid: format!("uuid-of-{name}"),
            host: host_id(host),
            state: DomainState::Running,
            observed_at: NOW,
            vcpus: 4,
            memory: gib(memory_gib),
            resident: None,
            cpu_used: Some(MilliCores::new((cores * 1000.0) as u64)),
            dirty: Vec::new(),
            job: None,
            tags: std::collections::BTreeSet::new(),
            needs: whimbrel_core::cluster::Needs::default(),
        });
    }

    /// With guests of these names and `memory_gib` each on `host`, which do next to nothing.
    pub(crate) fn crowd(mut self, names: &[&str], host: &str, memory_gib: u64) -> Self {
        for name in names {
            self.push(name, host, memory_gib, 0.1);
        }
        self.snapshot.normalise();
        self
    }

    /// With other names for its hosts.
    pub(crate) fn renamed(&self, rename: impl Fn(&str) -> String) -> Self {
        let other = |id: &HostId| host_id(&rename(id.as_str()));
        let mut renamed = self.clone();
        let hosts = std::mem::take(&mut renamed.snapshot.hosts);
        renamed.snapshot.hosts = hosts.into_iter().map(|(id, host)| (other(&id), host)).collect();
        for domain in &mut renamed.snapshot.domains {
            domain.host = other(&domain.host);
        }
        for rule in &mut renamed.policy.rules {
            rule.hosts = rule.hosts.iter().map(&other).collect();
        }
        renamed.snapshot.normalise();
        renamed
    }

    /// Changes the domain `name`.
    pub(crate) fn with(mut self, name: &str, change: impl Fn(&mut Domain)) -> Self {
        self.snapshot.domains.iter_mut().filter(|d| d.vm.as_str() == name).for_each(change);
        self
    }

    /// Changes the host `name`.
    pub(crate) fn host(mut self, name: &str, change: impl Fn(&mut Host)) -> Self {
        self.snapshot.hosts.get_mut(&host_id(name)).into_iter().for_each(change);
        self
    }

    /// Lets `name` be planned for by `cores`.
    pub(crate) fn expecting(mut self, name: &str, cores: f64) -> Self {
        let cpu = MilliCores::new((cores * 1000.0) as u64);
        let demand = Demand { cpu, from: DemandSource::Forecast };
        self.outlook.demands.insert(vm_id(name), demand);
        self
    }

    /// Lets `name` have been moved so many minutes before now.
    pub(crate) fn moved(mut self, name: &str, minutes_ago: u64) -> Self {
        let at = Timestamp::from_micros(NOW.as_micros() - minutes_ago * 60_000_000);
        self.outlook.moves.entry(vm_id(name)).or_default().push(at);
        self
    }

    pub(crate) fn rule(mut self, rule: Rule) -> Self {
        self.policy.rules.push(rule);
        self
    }

    pub(crate) fn policy(mut self, change: impl Fn(&mut Policy)) -> Self {
        change(&mut self.policy);
        self
    }

    pub(crate) fn request(&self, goal: Goal) -> PlanRequest<'_> {
        PlanRequest {
            snapshot: &self.snapshot,
            policy: &self.policy,
            outlook: &self.outlook,
            goal,
            predictor: &Simple,
            now: NOW,
            seed: 7,
        }
    }

    pub(crate) fn plan(&self, goal: Goal) -> Result<Plan, PlanFailure> {
        whimbrel_planner::plan(&self.request(goal))
    }

    /// Notes that forbid `plan`.
    pub(crate) fn faults(&self, plan: &Plan) -> Vec<String> {
        let fatal = |note: &Note| note.severity() == check::Severity::Fatal;
        match check::check(plan, &self.snapshot, &self.policy, NOW) {
            Ok(notes) => notes.iter().filter(|n| fatal(n)).map(ToString::to_string).collect(),
            Err(error) => vec![error.to_string()],
        }
    }
}

pub(crate) fn gib(gib: u64) -> Bytes {
    Bytes::mib(gib * 1024)
}

/// Makes a domain write `mib` a second.
pub(crate) fn writes(mib: u64) -> impl Fn(&mut Domain) {
    move |domain| {
        domain.dirty = vec![DirtyReading {
            window: Span::from_seconds(1),
            unique: Bytes::mib(mib),
            measured_at: NOW,
        }];
    }
}

/// `vm: from -> to` of every move in order.
pub(crate) fn moves(plan: &Plan) -> Vec<String> {
    plan.moves.iter().map(|m| format!("{}: {} -> {}", m.vm, m.from, m.to)).collect()
}

/// The term `name` before and after.
pub(crate) fn term(terms: &[whimbrel_core::plan::Term], name: &str) -> (f64, f64) {
    let found = terms.iter().find(|term| term.name == name);
    found.map_or((f64::NAN, f64::NAN), |term| (term.before, term.after))
}
