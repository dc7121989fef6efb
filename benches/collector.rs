//! What reading hosts costs the controller: CPU time of one cycle over 10,000 VMs, and of one
//! record of bulk statistics.
//!
//! A cycle is from records of 155 keys to the snapshot and the rows of telemetry, on the worker
//! threads that the collector has for its hosts. Without libvirt's calls and the network.
#![expect(clippy::expect_used, reason = "a benchmark that cannot run has nothing to measure")]

use std::{hint::black_box, time::Duration};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use whimbrel_benches::{fleet::Fleet, record};
use whimbrel_collector::stats::parse_domain;

const HOSTS: usize = 250;
const VMS_PER_HOST: usize = 40;

/// Cycles measured together: the system counts CPU time in steps of 10 ms.
const CYCLES: u32 = 4;

/// CPU time over all threads, not time on the clock: the workers run beside each other.
fn cycle(c: &mut Criterion) {
    let fleet = Fleet::new(HOSTS, VMS_PER_HOST).expect("250 threads");
    let mut group = c.benchmark_group("collector");
    group
        .sampling_mode(SamplingMode::Flat)
        .sample_size(10)
        .warm_up_time(Duration::from_secs(2))
        .measurement_time(Duration::from_secs(21))
        .throughput(Throughput::Elements((HOSTS * VMS_PER_HOST) as u64));
    group.bench_function("cycle of 10,000 VMs, CPU time", |b| {
        b.iter_custom(|times| {
            let spent = fleet.cpu_time_of(times * u64::from(CYCLES));
            spent.expect("/proc/self/stat") / CYCLES
        });
    });
    group.finish();
}

fn one_record(c: &mut Criterion) {
    let record = record::record(1);
    let mut group = c.benchmark_group("collector");
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    group.throughput(Throughput::Elements(record.len() as u64));
    group.bench_function("parse one VM's record", |b| {
        b.iter(|| {
            parse_domain(black_box(&record).iter().map(|(key, value)| (key.as_str(), *value)))
        });
    });
    group.finish();
}

criterion_group!(benches, cycle, one_record);
criterion_main!(benches);
