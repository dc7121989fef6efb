//! What a simulation costs: a drain as it is proved before it is shown, and a plan of 1,000
//! migrations, twenty at a time, with the engine ticking every second.
#![expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to measure")]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use whimbrel_benches::cluster::Cluster;
use whimbrel_core::units::Span;
use whimbrel_models::ReplayPredictor;
use whimbrel_simulator::{SimulationOptions, simulate};

fn drain(c: &mut Criterion) {
    let cluster = Cluster::new(3, 9);
    let predictor = ReplayPredictor::default();
    let request = cluster.request(Cluster::drain(), &predictor);
    let plan = whimbrel_planner::plan(&request).expect("every host can be drained");
    let options = SimulationOptions::default();
    let mut group = c.benchmark_group("simulate");
    group.sample_size(10).measurement_time(Duration::from_secs(3));
    group.bench_function("a drain of 3 hosts, 9 VMs", |b| {
        b.iter(|| simulate(black_box(&plan), &cluster.snapshot, &options));
    });
    group.finish();
}

fn thousand(c: &mut Criterion) {
    const MIGRATIONS: usize = 1000;
    let cluster = Cluster::new(20, MIGRATIONS);
    let plan = cluster.rotate(&ReplayPredictor::default()).expect("every VM has readings");
    let options = SimulationOptions {
        tick: Span::from_seconds(1),
        horizon: Span::from_seconds(2 * 3600),
        ..SimulationOptions::default()
    };
    let outcome = simulate(&plan, &cluster.snapshot, &options).expect("a plan of its snapshot");
    assert_eq!(outcome.arrived(), MIGRATIONS);
    let mut group = c.benchmark_group("simulate");
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(20))
        .throughput(Throughput::Elements(MIGRATIONS as u64));
    group.bench_function("1,000 migrations", |b| {
        b.iter(|| simulate(black_box(&plan), &cluster.snapshot, &options));
    });
    group.finish();
}

criterion_group!(benches, drain, thousand);
criterion_main!(benches);
