//! What a plan costs, from the request to the sealed plan: predictions of the real predictor,
//! search, proof of the gap, and ordering.

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, SamplingMode, criterion_group, criterion_main};
use whimbrel_benches::cluster::Cluster;
use whimbrel_core::Goal;
use whimbrel_models::ReplayPredictor;

/// Hosts and VMs: a small office, and a rack.
const SIZES: [(usize, usize); 2] = [(3, 9), (20, 500)];

fn plan(c: &mut Criterion) {
    let predictor = ReplayPredictor::default();
    let mut group = c.benchmark_group("plan");
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    for (hosts, vms) in SIZES {
        let cluster = Cluster::new(hosts, vms);
        for (name, goal) in [("drain", Cluster::drain()), ("balance", Goal::Balance)] {
            let request = cluster.request(goal, &predictor);
            let id = BenchmarkId::new(name, format!("{hosts} hosts, {vms} VMs"));
            group.bench_function(id, |b| {
                b.iter(|| whimbrel_planner::plan(black_box(&request)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, plan);
criterion_main!(benches);
