//! Our own planner as a balancer: each question becomes a snapshot with its outlook, as a daemon
//! would see it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use whimbrel_core::{
    Domain, DomainState, Goal, Host, HostId, HostState, Policy, Snapshot, VmId,
    cluster::{Needs, Offers},
    ids::NameError,
    outlook::Outlook,
    policy::Balance,
    predict::{MigrationRequest, PredictError, Prediction, Predictor, Quantiles},
    units::{BytesPerSecond, MilliCores, Share, Span, Timestamp},
};
use whimbrel_models::demand::{self, Readings};
use whimbrel_planner::PlanRequest;
use whimbrel_simulator::balancing::{Balancer, INTERVAL, PlayOptions, Seen, Step};

use crate::Failure;

/// The moment of the trace's begin.
const BEGIN: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// Downtime of a move.
const DOWNTIME: Span = Span::from_millis(100);

/// What the planner goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Demand {
    /// The last reading of each guest.
    Last,
    /// The quantile of its readings over the horizon.
    #[default]
    Readings,
    /// The same, and of a forecast where it matters.
    Forecast,
}

/// The policy with `balance`: of limits only memory binds, as for every balancer.
pub(super) fn policy(balance: &Balance) -> Policy {
    let mut policy = Policy { balance: balance.clone(), ..Policy::default() };
    policy.limits.memory_reserve = Share::ZERO;
    policy.limits.cpu_overcommit = 100.0;
    policy
}

/// Our own planner.
pub(super) struct Whimbrel {
    policy: Policy,
    demand: Demand,
    options: PlayOptions,
    /// Names of hosts and guests.
    names: Option<(Vec<HostId>, Vec<VmId>)>,
    failed: Option<Failure>,
}

impl Whimbrel {
    pub(super) fn new(balance: &Balance, demand: Demand, options: PlayOptions) -> Self {
        let policy = policy(balance);
        Self { policy, demand, options, names: None, failed: None }
    }

    /// Whether every question could be answered.
    pub(super) fn ended(self) -> Result<(), Failure> {
        self.failed.map_or(Ok(()), Err)
    }

    fn answer(&mut self, seen: &Seen<'_>) -> Result<Vec<Step>, Failure> {
        let names = match self.names.take() {
            Some(names) => names,
            None => names(seen).map_err(Failure::invalid)?,
        };
        let now = BEGIN + seen.now();
        let snapshot = snapshot(seen, &names, now);
        let begun = seen.begun().filter_map(|(guest, times)| {
            let times = times.into_iter().map(|at| BEGIN + at).collect();
            Some((names.1.get(guest)?.clone(), times))
        });
        let outlook = Outlook {
            demands: self.demands(seen, &names.1, &snapshot),
            moves: begun.collect(),
            ..Outlook::default()
        };
        let plan = whimbrel_planner::plan(&PlanRequest {
            snapshot: &snapshot,
            policy: &self.policy,
            outlook: &outlook,
            goal: Goal::Balance,
            predictor: self,
            now,
            seed: self.options.seed,
        });
        let plan = plan.map_err(Failure::invalid)?;
        let mut steps = Vec::new();
        for (_, one) in plan.moves() {
            let guest = names.1.iter().position(|vm| *vm == one.vm);
            let to = names.0.iter().position(|host| *host == one.to);
            steps.extend(guest.zip(to).map(|(guest, to)| Step { guest, to }));
        }
        self.names = Some(names);
        Ok(steps)
    }

    fn demands(
        &self,
        seen: &Seen<'_>,
        vms: &[VmId],
        snapshot: &Snapshot,
    ) -> BTreeMap<VmId, whimbrel_core::outlook::Demand> {
        let balance = &self.policy.balance;
        let (back, forecasts) = match self.demand {
            Demand::Last => return BTreeMap::new(),
            Demand::Readings => {
                ((balance.horizon.as_micros() / INTERVAL.as_micros()) as usize + 1, 0)
            }
            Demand::Forecast => (usize::MAX, demand::FORECASTS_MAX),
        };
        let now = snapshot.taken_at;
        let of = |guest: usize| {
            let known = seen.readings(guest);
            let known = &known[known.len().saturating_sub(back)..];
            let last = known.len().saturating_sub(1);
            let at = |index: usize| {
                let before = INTERVAL.as_micros().saturating_mul((last - index) as u64);
                Timestamp::from_micros(now.as_micros().saturating_sub(before))
            };
            known
                .iter()
                .enumerate()
                .map(|(index, want)| (at(index), MilliCores::new((*want).into())))
                .collect()
        };
        let readings: Readings = vms.iter().cloned().zip((0..vms.len()).map(of)).collect();
        demand::demands(snapshot, &readings, balance, now, forecasts)
    }
}

impl Balancer for Whimbrel {
    fn decide(&mut self, seen: &Seen<'_>) -> Vec<Step> {
        if self.failed.is_some() {
            return Vec::new();
        }
        self.answer(seen).unwrap_or_else(|failure| {
            self.failed = Some(failure);
            Vec::new()
        })
    }
}

impl Predictor for Whimbrel {
    /// What the study's moves take.
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let memory = request.domain.memory;
        let time = Span::from_seconds_f64(self.options.move_seconds(memory));
        Ok(Prediction {
            model: "study".to_owned(),
            converges: Share::ONE,
            total_time: Quantiles::from_array([time; 7]),
            transferred: Quantiles::from_array([memory; 7]),
            downtime: Quantiles::from_array([DOWNTIME; 7]),
            impact: None,
            stall: None,
            caveats: Vec::new(),
        })
    }
}

fn names(seen: &Seen<'_>) -> Result<(Vec<HostId>, Vec<VmId>), NameError> {
    let hosts = (0..seen.hosts().len()).map(|host| HostId::new(&format!("host-{host:04}")));
    let vms = (0..seen.guests().len()).map(|guest| VmId::new(&format!("guest-{guest:05}")));
    Ok((hosts.collect::<Result<_, _>>()?, vms.collect::<Result<_, _>>()?))
}

fn snapshot(seen: &Seen<'_>, names: &(Vec<HostId>, Vec<VmId>), now: Timestamp) -> Snapshot {
    let host = |size: &whimbrel_simulator::balancing::HostSize| Host {
        state: HostState::Up,
        observed_at: now,
        cpu: size.cpu,
        memory: size.memory,
        cpu_used: None,
        migration_bandwidth: Some(BytesPerSecond::mib(1000)),
        qemu: None,
        tags: BTreeSet::new(),
        offers: Offers::default(),
    };
    let domain = |(guest, vm): (usize, &VmId)| {
        let (size, host) = (seen.guests()[guest], seen.place()[guest] as usize);
        Domain {
            vm: vm.clone(),
            uuid: vm.to_string(),
            host: names.0[host].clone(),
            state: DomainState::Running,
            observed_at: now,
            vcpus: u32::try_from(size.cpu.get().div_ceil(1000)).unwrap_or(u32::MAX),
            memory: size.memory,
            resident: None,
            cpu_used: Some(MilliCores::new((seen.last(guest) * 1000.0).round() as u64)),
            dirty: Vec::new(),
            job: None,
            tags: BTreeSet::new(),
            needs: Needs::default(),
        }
    };
    let mut snapshot = Snapshot {
        taken_at: now,
        hosts: names.0.iter().cloned().zip(seen.hosts().iter().map(host)).collect(),
        domains: names.1.iter().enumerate().map(domain).collect(),
        orders: Vec::new(),
    };
    snapshot.normalise();
    snapshot
}
