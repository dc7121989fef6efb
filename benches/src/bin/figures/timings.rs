//! Parts of the program on made-up input: the functions that the benchmarks time, in the build
//! that this program is.
//!
//! Predictions are made as in production, by a model that the campaign's guests taught; each guest
//! of the made-up cluster is asked about in turn, so that no answer is like the one before.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use whimbrel_benches::{cluster::Cluster, cpu_time, fleet::Fleet, placing};
use whimbrel_core::{Predictor, predict::MigrationRequest, telemetry::MigrationTrace};
use whimbrel_datasets::{Campaign, CampaignSet};
use whimbrel_models::{
    Model, Priorities, ReplayPredictor,
    choose::{Space, choose},
    train::train,
};
use whimbrel_planner::placing::Room;

use crate::{figure::Found, goals, hbal, places::Places, planner};

/// Cycles of the collection: the first ones have no rates to compute yet.
const CYCLES_BEFORE: u64 = 2;
const CYCLES: u64 = 10;

/// Seed of the training.
const SEED: u64 = 1;

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::new(250, 40)?;
    fleet.cpu_time_of(CYCLES_BEFORE)?;
    let cycle = fleet.cpu_time_of(CYCLES)?.as_secs_f64() / CYCLES as f64;
    found.put("collection_cycle_10000_vms_milliseconds", cycle * 1e3);
    drop(fleet);

    let predictor = ReplayPredictor { model: trained(places)? };
    let cluster = Cluster::new(3, 9);
    predictions(&predictor, &cluster, found)?;

    let request = cluster.request(Cluster::drain(), &predictor);
    whimbrel_planner::plan(&request)?;
    let plan = median(5, || drop(black_box(whimbrel_planner::plan(&request))));
    found.put("planner_drain_milliseconds", plan.as_secs_f64() * 1e3);
    planner::measure(found)?;
    goals::measure(found)?;
    new_machines(found)?;
    // Last: where hbal is not here, the other figures have been found.
    hbal::measure(found)
}

/// New machines in large clusters, and how many more a small one holds.
fn new_machines(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let p99 = |hosts| placing::place_each(hosts, 10 * hosts).map(|took| took.p99.as_secs_f64());
    found.put("place_p99_ms_1000_hosts", p99(1000)? * 1e3);
    found.put("place_p99_ms_10000_hosts", p99(10_000)? * 1e3);
    let cluster = Cluster::new(100, 2500);
    let room = Room::new(&cluster.snapshot, &cluster.policy)?;
    let flavour = placing::flavour(4096, 2);
    let counted = cpu_time::seconds_each(3, || placing::count(&room, &flavour))?;
    found.put("capacity_seconds_100_hosts", counted);
    Ok(())
}

/// What the campaign's guests that teach teach.
fn trained(places: &Places) -> Result<Model, Box<dyn Error>> {
    let campaign = Campaign::read(&places.campaign())?;
    let learn: Vec<MigrationTrace> = campaign.of(CampaignSet::Learn).cloned().collect();
    Ok(train(&learn, SEED).model)
}

/// One prediction with its bands, and one choice among all settings.
fn predictions(
    predictor: &ReplayPredictor,
    cluster: &Cluster,
    found: &mut Found,
) -> Result<(), Box<dyn Error>> {
    let domains = &cluster.snapshot.domains;
    let requests: Vec<MigrationRequest<'_>> =
        domains.iter().map(|domain| cluster.migration(domain)).collect();
    let (space, priorities) = (Space::default(), Priorities::default());
    let choice = |request| choose(predictor, request, false, &priorities, &space);
    for request in &requests {
        predictor.predict(request)?;
        choice(request)?;
    }
    let mut asked = requests.iter().cycle();
    let predict = median(27, || drop(black_box(asked.next().map(|r| predictor.predict(r)))));
    found.put("predict_microseconds", predict.as_secs_f64() * 1e6);
    let mut asked = requests.iter().cycle();
    let search = median(9, || drop(black_box(asked.next().map(choice))));
    found.put("mode_search_milliseconds", search.as_secs_f64() * 1e3);
    Ok(())
}

/// Median time on the clock of an odd number of runs.
fn median(runs: usize, mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed()
        })
        .collect();
    times.sort();
    times.get(runs / 2).copied().unwrap_or_default()
}
