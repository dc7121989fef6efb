//! Learning a calibration from migrations of a made-up cluster, and what it is worth on others.

#![expect(clippy::unwrap_used, reason = "test helpers may panic and tell")]

use whimbrel_core::{
    cluster::{CompletedStats, DirtyReading, Domain, DomainState},
    ids::{HostId, OrderId, PlanId, VmId},
    predict::{MigrationRequest, MigrationSettings, Mode, Predictor, Transport},
    telemetry::MigrationRecord,
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span, Timestamp},
};
use whimbrel_models::{
    Calibration, DirtyCurve, Evaluation, ReplayPredictor, evaluate,
    replay::{PreCopy, SwitchRule, replay},
};

const LIMIT: BytesPerSecond = BytesPerSecond::mib(100);
const FIXED_SECONDS: f64 = 2.5;
const EFFICIENCY: f64 = 0.9;
const DOWNTIME_SECONDS: f64 = 0.12;

/// Evenly spread over -1..1 without a generator: the golden-ratio sequence.
fn spread(index: u64, salt: u64) -> f64 {
    let x = (index * 7 + salt * 3 + 1) as f64 * 0.618_033_988_749_895;
    x.fract() * 2.0 - 1.0
}

/// Migration `index` in a cluster that is slower than the defaults believe, with noise of 5 %.
fn record(index: u64) -> MigrationRecord {
    let memory = Bytes::mib(1024 + 256 * (index % 8));
    let content = Bytes::mib(memory.get() / 2 / 1_048_576);
    let working_set = Bytes::mib(256 + 16 * (index % 5));
    let curve = DirtyCurve::sweep(BytesPerSecond::mib(5 + 4 * (index % 9)), working_set);
    let at = Timestamp::from_micros(1_000_000_000 * (index + 1));
    let stream = LIMIT.as_f64() * EFFICIENCY * (1.0 + 0.02 * spread(index, 1));
    let run = replay(
        &PreCopy {
            non_zero: content,
            zero: memory.saturating_sub(content),
            stream: BytesPerSecond::new(stream as u64),
            line: BytesPerSecond::mib(300),
            capped: true,
            downtime_limit: Span::from_millis(300),
            rule: SwitchRule::Below,
        },
        &curve,
    );
    assert!(run.converged, "record {index}");
    let fixed = FIXED_SECONDS * (1.0 + 0.2 * spread(index, 2));
    let downtime = run.stopped.as_seconds_f64() + DOWNTIME_SECONDS * (1.0 + 0.3 * spread(index, 3));
    let total = fixed + run.copying.as_seconds_f64() * (1.0 + 0.05 * spread(index, 4)) + downtime;
    let dirty_before = [1, 2, 4, 8]
        .map(|seconds| DirtyReading {
            window: Span::from_seconds(seconds),
            unique: curve.unique(Span::from_seconds(seconds)),
            measured_at: at,
        })
        .to_vec();
    MigrationRecord {
        id: OrderId::of(&PlanId::new("p").unwrap(), index as usize),
        at,
        vm: VmId::new(&format!("vm{}", index % 10)).unwrap(),
        from: HostId::new("h1").unwrap(),
        to: HostId::new("h2").unwrap(),
        settings: settings(),
        arrived: true,
        failure: None,
        memory,
        resident: Some(Bytes::new(content.get() * 5 / 4)),
        dirty_before,
        sharing: 1,
        predicted: None,
        wall: Span::from_seconds_f64(total),
        stats: Some(CompletedStats {
            total_time: Span::from_seconds_f64(total),
            downtime: Span::from_seconds_f64(downtime),
            setup_time: Span::ZERO,
            transferred: run.transferred,
            normal_pages: run.transferred.get() / 4104,
            zero_pages: memory.saturating_sub(content).get() / GUEST_PAGE.get(),
            iterations: run.iterations,
            bandwidth: BytesPerSecond::new((run.transferred.as_f64() / (total - fixed)) as u64),
        }),
    }
}

fn settings() -> MigrationSettings {
    MigrationSettings {
        mode: Mode::PreCopy,
        transport: Transport::Tcp,
        bandwidth_limit: Some(LIMIT),
        downtime_limit: Span::from_millis(300),
    }
}

fn judged(calibration: &Calibration, records: &[MigrationRecord]) -> Evaluation {
    let predictor = ReplayPredictor { calibration: calibration.clone() };
    let pairs: Vec<_> = records
        .iter()
        .enumerate()
        .map(|(seed, r)| {
            let domain = Domain {
                vm: VmId::new("newcomer").unwrap(),
                uuid: String::new(),
                host: r.from.clone(),
                state: DomainState::Running,
                observed_at: r.at,
                vcpus: 1,
                memory: r.memory,
                resident: r.resident,
                cpu_used: None,
                dirty: r.dirty_before.clone(),
                job: None,
            };
            let request = MigrationRequest {
                domain: &domain,
                settings: &r.settings,
                path_bandwidth: BytesPerSecond::mib(300),
                sharing: 1,
                now: r.at,
                seed: seed as u64,
            };
            (predictor.predict(&request).unwrap(), r.stats)
        })
        .collect();
    evaluate("replay", &pairs)
}

#[test]
fn constants_are_found_and_help_on_migrations_that_were_not_seen() {
    let records: Vec<MigrationRecord> = (0..90).map(record).collect();
    let (past, future) = records.split_at(45);
    let learnt = Calibration::fit(past);
    println!("{learnt:#?}");
    assert_eq!(learnt.learnt_from, 45);
    let fixed = learnt.fixed_cost.as_seconds_f64();
    assert!((2.3..2.7).contains(&fixed), "{fixed}");
    assert!((0.85..0.95).contains(&learnt.efficiency), "{}", learnt.efficiency);
    let constant = learnt.downtime_constant.as_seconds_f64();
    assert!((0.08..0.16).contains(&constant), "{constant}");
    // Content is 4 of 5 resident parts, and some of the fifth is taken as overhead.
    assert!((0.8..1.0).contains(&learnt.non_zero_of_resident), "{}", learnt.non_zero_of_resident);

    let before = judged(&Calibration::default(), future);
    let after = judged(&learnt, future);
    println!("{before:#?}\n{after:#?}");
    assert!(after.time_error_median < before.time_error_median);
    assert!(after.time_error_median.unwrap() < 0.05);
    let covered = after.coverage.band90.unwrap();
    assert!((0.8..=1.0).contains(&covered), "{covered}");
}

#[test]
fn too_few_records_leave_the_defaults_but_remember_the_guest() {
    let records: Vec<MigrationRecord> = (0..4).map(record).collect();
    let learnt = Calibration::fit(&records);
    assert_eq!(learnt.learnt_from, 0);
    assert_eq!(learnt.guests.len(), 4);
    let same = Calibration { guests: learnt.guests.clone(), ..Calibration::default() };
    assert_eq!(learnt, same);
    let vm0 = learnt.guests[&records[0].vm];
    assert_eq!(vm0.non_zero, Bytes::mib(512));
}

#[test]
fn failures_and_missing_figures_teach_nothing() {
    let mut records: Vec<MigrationRecord> = (0..12).map(record).collect();
    for (index, r) in records.iter_mut().enumerate() {
        match index % 3 {
            0 => r.arrived = false,
            1 => r.stats = None,
            _ => r.stats = Some(CompletedStats::default()),
        }
    }
    assert_eq!(Calibration::fit(&records), Calibration::default());
    assert_eq!(Calibration::fit(&[]), Calibration::default());
}

#[test]
fn a_calibration_is_a_file() {
    let learnt = Calibration::fit(&(0..20).map(record).collect::<Vec<_>>());
    let text = serde_json::to_string_pretty(&learnt).unwrap();
    assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), learnt);
    assert!(serde_json::from_str::<Calibration>(r#"{"fixed_costs": "1 s"}"#).is_err());
}
