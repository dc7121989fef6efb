//! What a prediction costs: one answer with its bands, and the fit of a unique-dirty curve alone.
#![expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to measure")]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use whimbrel_benches::cluster::Cluster;
use whimbrel_core::Predictor;
use whimbrel_models::{CurveFit, Evidence, ReplayPredictor};

fn predict(c: &mut Criterion) {
    let cluster = Cluster::new(3, 9);
    let domain = &cluster.snapshot.domains[0];
    let request = cluster.migration(domain);
    let predictor = ReplayPredictor::default();
    let mut group = c.benchmark_group("models");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    group.bench_function("one prediction with bands", |b| {
        b.iter(|| predictor.predict(black_box(&request)).expect("it has readings"));
    });
    group.bench_function("fit of a curve to 4 readings", |b| {
        b.iter(|| {
            let fit =
                CurveFit::new(black_box(&Evidence::of_readings(&domain.dirty, domain.memory)));
            fit.expect("readings within its memory").curve(domain.memory)
        });
    });
    group.finish();
}

criterion_group!(benches, predict);
criterion_main!(benches);
