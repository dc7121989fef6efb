//! Parts of the program on made-up input: the functions that the benchmarks time, in the build
//! that this program is.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use whimbrel_benches::{cluster::Cluster, fleet::Fleet};
use whimbrel_core::Predictor;
use whimbrel_models::ReplayPredictor;

use crate::figure::Found;

/// Cycles of the collection: the first ones have no rates to compute yet.
const CYCLES_BEFORE: u64 = 2;
const CYCLES: u64 = 10;

pub(crate) fn measure(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let fleet = Fleet::new(250, 40)?;
    fleet.cpu_time_of(CYCLES_BEFORE)?;
    let cycle = fleet.cpu_time_of(CYCLES)?.as_secs_f64() / CYCLES as f64;
    found.put("collection_cycle_10000_vms_milliseconds", cycle * 1e3);
    drop(fleet);

    let predictor = ReplayPredictor::default();
    let cluster = Cluster::new(3, 9);
    let request = cluster.migration(&cluster.snapshot.domains[0]);
    predictor.predict(&request)?;
    let predict = median(21, || drop(black_box(predictor.predict(&request))));
    found.put("predict_microseconds", predict.as_secs_f64() * 1e6);

    let request = cluster.request(Cluster::drain(), &predictor);
    whimbrel_planner::plan(&request)?;
    let plan = median(5, || drop(black_box(whimbrel_planner::plan(&request))));
    found.put("planner_drain_milliseconds", plan.as_secs_f64() * 1e3);
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
