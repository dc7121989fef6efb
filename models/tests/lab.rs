//! The replay predictor against migrations measured on real QEMU 10.0 and libvirt 9 and 11.
//!
//! A guest of 256 MiB, 184 MiB of it with content, rewrites a working set of 128 MiB in order at
//! a constant rate: U(t) = min(rate x t, 128 MiB). Limits of downtime are 300 ms.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "test helpers may panic and tell")]

use whimbrel_core::{
    cluster::{CompletedStats, DirtyReading, Domain, DomainState},
    ids::{HostId, VmId},
    predict::{MigrationRequest, Prediction, Predictor},
    settings::{MigrationSettings, Mode, QemuVersion, Transport},
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};
use whimbrel_models::{
    Came, Evaluation, GuestHistory, Model, ReplayPredictor,
    baseline::{GeometricRounds, MemoryOverBandwidth},
    evaluate,
};

/// Dirty rate and limit in MiB/s (no limit: a link of 27.5 MiB/s), total time in milliseconds,
/// MiB on the wire, downtime in milliseconds. Repeated settings are repeated runs.
const MEASURED: [(u64, Option<u64>, u64, u64, u64); 16] = [
    (0, Some(30), 7591, 184, 135),
    (5, Some(30), 9604, 221, 62),
    (20, Some(30), 18_773, 532, 58),
    (20, Some(30), 19_340, 541, 47),
    (20, Some(30), 18_910, 540, 40),
    (0, Some(60), 4348, 184, 82),
    (0, Some(60), 3690, 184, 41),
    (5, Some(60), 4452, 197, 182),
    (5, Some(60), 3990, 199, 70),
    (20, Some(60), 6294, 273, 84),
    (20, Some(60), 5020, 267, 57),
    (50, Some(60), 15_333, 848, 77),
    (50, Some(60), 14_880, 860, 81),
    (20, None, 25_370, 639, 418),
    (20, None, 25_220, 661, 401),
    (20, None, 23_510, 619, 427),
];

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn guest(rate_mib: u64) -> Domain {
    let dirty = [1, 2, 4, 8]
        .map(|seconds| DirtyReading {
            window: Span::from_seconds(seconds),
            // QEMU samples, then cuts to whole MiB/s: every second time it is the number below.
            unique: Bytes::mib(
                ((rate_mib * seconds).min(128) / seconds)
                    .saturating_sub(u64::from(matches!(seconds, 2 | 8)))
                    * seconds,
            ),
            measured_at: NOW,
        })
        .to_vec();
    Domain {
        vm: VmId::new("g2").unwrap(),
        uuid: String::new(),
        host: HostId::new("h1").unwrap(),
        state: DomainState::Running,
        observed_at: NOW,
        vcpus: 1,
        memory: Bytes::mib(256),
        resident: None,
        cpu_used: None,
        dirty,
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}

fn knowing_the_guest() -> ReplayPredictor {
    let mut model = Model::default();
    let mut guest = GuestHistory::new(Bytes::mib(256));
    guest.non_zero = Some(Bytes::mib(184));
    model.guests.insert(VmId::new("g2").unwrap(), guest);
    ReplayPredictor { model }
}

fn predict(predictor: &dyn Predictor, domain: &Domain, limit_mib: Option<u64>) -> Prediction {
    let settings = MigrationSettings {
        mode: Mode::PreCopy,
        transport: Transport::Tcp,
        bandwidth_limit: limit_mib.map(BytesPerSecond::mib),
        downtime_limit: Span::from_millis(300),
        ..MigrationSettings::default()
    };
    let path_bandwidth = if limit_mib.is_some() {
        BytesPerSecond::mib(200)
    } else {
        BytesPerSecond::new(28_835_840)
    };
    predictor
        .predict(&MigrationRequest {
            to: None,
            domain,
            settings: &settings,
            path_bandwidth,
            sharing: 1,
            now: NOW,
            seed: 1,
            qemu: QemuVersion::default(),
        })
        .unwrap()
}

fn judged(name: &str, predictor: &dyn Predictor) -> Evaluation {
    let pairs: Vec<_> = MEASURED
        .iter()
        .map(|(rate, limit, total, mib, downtime)| {
            let prediction = predict(predictor, &guest(*rate), *limit);
            println!(
                "{name} D={rate} R={limit:?}: {} [{}, {}] (measured {total} ms), {} (measured {mib} MiB), \
                 {} (measured {downtime} ms), converges {}",
                prediction.total_time.p50.human(),
                prediction.total_time.p05.human(),
                prediction.total_time.p95.human(),
                prediction.transferred.p50.human(),
                prediction.downtime.p50.human(),
                prediction.converges,
            );
            let actual = CompletedStats {
                total_time: Span::from_millis(*total),
                transferred: Bytes::mib(*mib),
                downtime: Span::from_millis(*downtime),
                ..CompletedStats::default()
            };
            (prediction, Came::Arrived(actual))
        })
        .collect();
    let evaluation = evaluate(name, &pairs);
    println!("{evaluation:#?}");
    evaluation
}

#[test]
fn measured_times_are_met_within_a_tenth() {
    let evaluation = judged("replay", &knowing_the_guest());
    assert!(evaluation.time_error_median.unwrap() < 0.10);
    assert!(evaluation.bytes_error_median.unwrap() < 0.05);
    assert_eq!(evaluation.false_stalls, 0);
    assert!(evaluation.coverage.band90.unwrap() > 0.8);
}

#[test]
fn the_naive_predictors_are_worse() {
    let replay = judged("replay", &knowing_the_guest());
    for naive in [
        judged("memory-over-bandwidth", &MemoryOverBandwidth::default()),
        judged("geometric-rounds", &GeometricRounds::default()),
    ] {
        assert!(naive.time_error_median > replay.time_error_median, "{naive:?}");
    }
}

#[test]
fn a_working_set_that_outruns_the_limit_hangs_and_says_what_would_help() {
    let prediction = predict(&knowing_the_guest(), &guest(50), Some(30));
    println!("{prediction:#?}");
    assert!(prediction.converges.get() < 0.05, "{}", prediction.converges);
    // It rewrites all of its 128 MiB in every round of 4.3 s.
    let stall = prediction.stall.unwrap();
    assert!((3.5..5.0).contains(&stall.round.as_seconds_f64()), "{stall:?}");
    assert!((120.0..140.0).contains(&(stall.remaining.as_f64() / 1_048_576.0)), "{stall:?}");
}

#[test]
fn near_the_limit_it_still_converges() {
    let prediction = predict(&knowing_the_guest(), &guest(50), Some(60));
    assert!(prediction.converges.get() > 0.6, "{}", prediction.converges);
    let total = prediction.total_time.p50.as_seconds_f64();
    // Here 1 MiB/s, less than a reading tells, is 3 s.
    assert!((13.5..16.5).contains(&total), "measured 14.9 and 15.3 s, predicted {total:.1} s");
}
