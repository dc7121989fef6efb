//! The planner on made-up clusters of hundreds of hosts: how near to the bound, how long, and how
//! well the moves of an evacuation fill the links.

use std::{collections::BTreeMap, error::Error};

use whimbrel_benches::{cluster::Cluster, cpu_time};
use whimbrel_core::{
    Goal, HostId, Plan, Predictor, check,
    plan::Emptied,
    predict::{MigrationRequest, PredictError, Prediction, Quantiles},
    units::{BytesPerSecond, Share, Span},
};

use crate::figure::Found;

/// What a network of 10 Gb/s carries of guests' memory, each way.
const LINK: BytesPerSecond = BytesPerSecond::mib(1111);

/// Hosts that are emptied at one time, of how many, and guests of all.
const EMPTIED: usize = 50;
const HOSTS: usize = 500;
const GUESTS: usize = 12_500;

/// A migration takes as long as its guest's memory takes over the link.
pub(crate) struct ByMemory;

impl Predictor for ByMemory {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let bandwidth = request.path_bandwidth.as_f64() / f64::from(request.sharing.max(1));
        let seconds = request.domain.memory.as_f64() / bandwidth;
        Ok(lasting(Span::from_seconds_f64(seconds), request))
    }
}

/// A migration of just this length, which sends the guest's memory once and stops nobody.
pub(crate) fn lasting(total: Span, request: &MigrationRequest<'_>) -> Prediction {
    Prediction {
        model: "made up".to_owned(),
        converges: Share::ONE,
        total_time: Quantiles::from_array([total; 7]),
        transferred: Quantiles::from_array([request.domain.memory; 7]),
        downtime: Quantiles::from_array([Span::ZERO; 7]),
        impact: None,
        stall: None,
        caveats: Vec::new(),
    }
}

pub(crate) fn measure(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let drains = whimbrel_benches::pace::race()?;
    let ratios = drains.iter().filter_map(whimbrel_benches::pace::Raced::over_best_fixed);
    found.put("drain_40_over_best_fixed_worst", ratios.fold(0.0, f64::max));
    let cluster = Cluster::new(1000, 10_000);
    let (plan, seconds) = planned(&cluster, Goal::Balance)?;
    found.put("planner_gap_1000_hosts", plan.report.gap.ok_or("the plan has no bound")?);
    found.put("planner_seconds_1000_hosts", seconds);

    let (cluster, goal) = evacuation()?;
    let (plan, seconds) = planned(&cluster, goal)?;
    found.put("evacuate_seconds", seconds);
    found.put("evacuate_makespan_over_bound", plan.report.makespan.as_seconds_f64() / bound(&plan));
    Ok(())
}

/// A plan that the checker lets pass, and the CPU seconds of the planner.
pub(crate) fn planned(cluster: &Cluster, goal: Goal) -> Result<(Plan, f64), Box<dyn Error>> {
    let request = cluster.request(goal, &ByMemory);
    let before = cpu_time::of_this_process()?;
    let plan = whimbrel_planner::plan(&request)?;
    let seconds = cpu_time::of_this_process()?.saturating_sub(before).as_secs_f64();
    let notes = check::check(&plan, request.snapshot, request.policy, request.now)?;
    match notes.first() {
        Some(note) if !check::passes(&notes) => Err(note.to_string().into()),
        _ => Ok((plan, seconds)),
    }
}

/// A tenth of the hosts, with about twice as many guests as others, is to be emptied; one migration
/// at a time on each host.
fn evacuation() -> Result<(Cluster, Goal), Box<dyn Error>> {
    let mut cluster = Cluster::new(HOSTS, GUESTS);
    let hosts: Vec<HostId> = cluster.snapshot.hosts.keys().cloned().collect();
    for (number, domain) in cluster.snapshot.domains.iter_mut().enumerate() {
        let host = if number % 10 == 0 { number / 10 % EMPTIED } else { number % HOSTS };
        domain.host = hosts[host].clone();
    }
    cluster.snapshot.normalise();
    let limits = &mut cluster.policy.limits;
    (limits.migrations_per_host, limits.migrations_total) = (1, 1024);
    limits.path_bandwidth = LINK;
    let hosts = Emptied::of(hosts.into_iter().take(EMPTIED))?;
    Ok((cluster, Goal::Drain { hosts, deadline: None, strict: false }))
}

/// No schedule of these moves ends sooner, in seconds: the busiest link in its busier direction.
fn bound(plan: &Plan) -> f64 {
    let (mut out, mut into): (BTreeMap<&HostId, f64>, BTreeMap<&HostId, f64>) = Default::default();
    for one in &plan.moves {
        let seconds = one.predicted.transferred.p50.as_f64() / LINK.as_f64();
        *out.entry(&one.from).or_default() += seconds;
        *into.entry(&one.to).or_default() += seconds;
    }
    out.into_values().chain(into.into_values()).fold(0.0, f64::max)
}
