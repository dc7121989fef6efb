//! What the replay predictor promises, whatever the guest.

#![expect(clippy::unwrap_used, reason = "test helpers may panic and tell")]

use proptest::prelude::*;
use whimbrel_core::{
    cluster::{DirtyReading, Domain, DomainState},
    ids::{HostId, VmId},
    predict::{MigrationRequest, PredictError, Prediction, Predictor},
    settings::{MigrationSettings, Mode, QemuVersion, Transport},
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};
use whimbrel_models::ReplayPredictor;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// A guest of 4 GiB that was read `age` ago: MiB dirtied within 1, 2, 4 and 8 s.
fn guest(unique_mib: &[u64], age: Span) -> Domain {
    let measured_at = Timestamp::from_micros(NOW.as_micros() - age.as_micros());
    let dirty = [1, 2, 4, 8]
        .iter()
        .zip(unique_mib)
        .map(|(seconds, mib)| DirtyReading {
            window: Span::from_seconds(*seconds),
            unique: Bytes::mib(*mib),
            measured_at,
        })
        .collect();
    Domain {
        vm: VmId::new("db1").unwrap(),
        uuid: String::new(),
        host: HostId::new("h1").unwrap(),
        state: DomainState::Running,
        observed_at: NOW,
        vcpus: 4,
        memory: Bytes::mib(4096),
        resident: Some(Bytes::mib(3000)),
        cpu_used: None,
        dirty,
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}

fn settings(limit_mib: Option<u64>) -> MigrationSettings {
    MigrationSettings {
        mode: Mode::PreCopy,
        transport: Transport::Tcp,
        bandwidth_limit: limit_mib.map(BytesPerSecond::mib),
        downtime_limit: Span::from_millis(300),
        ..MigrationSettings::default()
    }
}

fn ask(
    domain: &Domain,
    settings: &MigrationSettings,
    path_mib: u64,
    sharing: u32,
    seed: u64,
) -> Result<Prediction, PredictError> {
    ReplayPredictor::default().predict(&MigrationRequest {
        to: None,
        domain,
        settings,
        path_bandwidth: BytesPerSecond::mib(path_mib),
        sharing,
        now: NOW,
        seed,
        qemu: QemuVersion::default(),
    })
}

fn predict(domain: &Domain) -> Prediction {
    ask(domain, &settings(None), 100, 1, 1).unwrap()
}

/// Width of the 90 % band of total time, relative to its median.
fn width(prediction: &Prediction) -> f64 {
    let q = prediction.total_time.map(Span::as_seconds_f64);
    (q.p95 - q.p05) / q.p50
}

#[test]
fn the_same_request_gives_the_same_answer_and_another_seed_nearly_so() {
    let domain = guest(&[20, 40, 80, 150], Span::ZERO);
    let answer = |seed| ask(&domain, &settings(None), 100, 1, seed).unwrap();
    assert_eq!(answer(5), answer(5));
    let (one, other) = (answer(5), answer(6));
    assert_ne!(one, other);
    let ratio = one.total_time.p50.as_seconds_f64() / other.total_time.p50.as_seconds_f64();
    assert!((0.93..1.07).contains(&ratio), "{ratio}");
}

#[test]
fn no_reading_widens_the_band_and_is_said() {
    let read = predict(&guest(&[20, 40, 80, 150], Span::ZERO));
    let unread = predict(&guest(&[], Span::ZERO));
    // A busier guest than it is taken for would not converge at all.
    assert!(width(&unread) > width(&read), "{} {}", width(&unread), width(&read));
    assert!(unread.converges < read.converges, "{unread:?}");
    assert!(unread.caveats.iter().any(|c| c.starts_with("no dirty reading:")), "{unread:?}");
}

#[test]
fn old_readings_widen_the_band_and_are_said() {
    let mib = [60, 110, 200, 350];
    let fresh = predict(&guest(&mib, Span::ZERO));
    let old = predict(&guest(&mib, Span::from_seconds(14 * 60 * 10)));
    assert!(width(&old) > 1.1 * width(&fresh), "{} {}", width(&old), width(&fresh));
    assert!(old.caveats.iter().any(|c| c == "dirty readings are 2 h 20 min old"), "{old:?}");
    assert!(!fresh.caveats.iter().any(|c| c.contains("old")), "{fresh:?}");
}

#[test]
fn sharing_the_path_takes_longer() {
    let domain = guest(&[5, 10, 20, 40], Span::ZERO);
    let alone = ask(&domain, &settings(None), 100, 1, 1).unwrap().total_time.p50.as_seconds_f64();
    let four = ask(&domain, &settings(None), 100, 4, 1).unwrap().total_time.p50.as_seconds_f64();
    assert!((3.0..5.5).contains(&(four / alone)), "{alone} {four}");
}

#[test]
fn a_paused_guest_is_sent_once() {
    let mut domain = guest(&[2000, 2500, 2600, 2700], Span::ZERO);
    let running = predict(&domain);
    domain.state = DomainState::Paused;
    let paused = predict(&domain);
    assert!(running.converges.get() < 0.05, "{running:?}");
    assert!((paused.converges.get() - 1.0).abs() < f64::EPSILON);
    assert!(paused.transferred.p50 < Bytes::mib(3000), "{paused:?}");
}

#[test]
fn what_never_converges_still_gets_figures_with_the_limit_that_they_need() {
    let prediction = predict(&guest(&[500, 900, 1500, 2300], Span::ZERO));
    assert!(prediction.converges.get() < 0.05);
    let stall = prediction.stall.unwrap();
    assert!(stall.downtime_limit_needed > Span::from_millis(300));
    assert!(prediction.caveats.iter().any(|c| c.starts_with("does not converge")));
    // Two gigabytes and more must travel, and most of the hot set with the guest stopped.
    assert!(prediction.total_time.p05 > Span::from_seconds(20), "{prediction:?}");
    assert!(prediction.downtime.p50 > Span::from_seconds(5), "{prediction:?}");
}

#[test]
fn nonsense_is_refused() {
    let domain = guest(&[20, 40, 80, 150], Span::ZERO);
    let refused = |limit, path| ask(&domain, &settings(limit), path, 1, 1).unwrap_err();
    assert!(matches!(refused(None, 0), PredictError::NoBandwidth { .. }));
    assert!(matches!(refused(Some(0), 10), PredictError::NoBandwidth { .. }));
    let absurd = guest(&[9000], Span::ZERO);
    let fault = ask(&absurd, &settings(None), 100, 1, 1).unwrap_err().to_string();
    assert!(fault.contains("9000 MiB dirtied within 1 s"), "{fault}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bands_are_ordered_and_figures_finite(
        unique in prop::collection::vec(0u64..4096, 0..5),
        age_seconds in 0u64..1_000_000,
        path_mib in 1u64..5000,
        limit in prop::option::of(1u64..5000),
        sharing in 0u32..50,
        resident in prop::option::of(0u64..1 << 34),
        memory_mib in 1u64..1 << 16,
        seed in any::<u64>(),
    ) {
        let mut domain = guest(&unique, Span::from_seconds(age_seconds));
        domain.resident = resident.map(Bytes::new);
        domain.memory = Bytes::mib(memory_mib);
        if let Ok(p) = ask(&domain, &settings(limit), path_mib, sharing, seed) {
            prop_assert!(p.total_time.to_array().is_sorted());
            prop_assert!(p.transferred.to_array().is_sorted());
            prop_assert!(p.downtime.to_array().is_sorted());
            prop_assert!(p.total_time.p50 > Span::ZERO);
            prop_assert!(p.stall.is_some() || p.converges.get() > 0.9);
        }
    }
}
