//! Learning a calibration from migrations of a made-up cluster, and what it is worth on others.

#![expect(clippy::unwrap_used, reason = "test helpers may panic and tell")]

use whimbrel_core::{
    cluster::{CompletedStats, DirtyReading, Domain, DomainState},
    ids::{HostId, OrderId, PlanId, VmId},
    predict::{MigrationRequest, Predictor},
    settings::{MigrationSettings, Mode, QemuVersion, Transport},
    telemetry::{MigrationRecord, MigrationTrace},
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Share, Span, Timestamp},
};
use whimbrel_models::{
    Came, DirtyCurve, Evaluation, Model, ReplayPredictor, evaluate,
    replay::{Encoding, Method, Migration, replay},
    train::{learn, train},
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
        &Migration {
            non_zero: content,
            zero: memory.saturating_sub(content),
            stream: BytesPerSecond::new(stream as u64),
            line: BytesPerSecond::mib(300),
            queue: Bytes::ZERO,
            zeros_last: Share::clamped(0.0),
            capped: true,
            downtime_limit: Span::from_millis(300),
            method: Method::PreCopy,
            encoding: Encoding::Plain,
            channels: 1,
            qemu: QemuVersion::default(),
            patience: Span::from_seconds(86_400),
        },
        &curve,
    );
    assert!(run.converged(), "record {index}");
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
        arrived: true,
        resident: Some(Bytes::new(content.get() * 5 / 4)),
        dirty_before,
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
            ..CompletedStats::default()
        }),
        ..MigrationRecord::beginning(
            OrderId::of(&PlanId::new("p").unwrap(), index as usize),
            at,
            VmId::new(&format!("vm{}", index % 10)).unwrap(),
            HostId::new("h1").unwrap(),
            HostId::new("h2").unwrap(),
            settings(),
            memory,
        )
    }
}

fn settings() -> MigrationSettings {
    MigrationSettings {
        mode: Mode::PreCopy,
        transport: Transport::Tcp,
        bandwidth_limit: Some(LIMIT),
        downtime_limit: Span::from_millis(300),
        ..MigrationSettings::default()
    }
}

fn judged(model: &Model, records: &[MigrationRecord]) -> Evaluation {
    let predictor = ReplayPredictor { model: model.clone() };
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
                tags: std::collections::BTreeSet::new(),
                needs: whimbrel_core::cluster::Needs::default(),
            };
            let request = MigrationRequest {
                to: None,
                domain: &domain,
                settings: &r.settings,
                path_bandwidth: BytesPerSecond::mib(300),
                sharing: 1,
                now: r.at,
                seed: seed as u64,
                qemu: QemuVersion::default(),
            };
            (predictor.predict(&request).unwrap(), Came::Arrived(r.stats.unwrap()))
        })
        .collect();
    evaluate("replay", &pairs)
}

#[test]
fn constants_are_found_and_help_on_migrations_that_were_not_seen() {
    let records: Vec<MigrationRecord> = (0..90).map(record).collect();
    let (past, future) = records.split_at(45);
    let learnt = train(&traces(past), 1).model;
    assert_eq!(learnt.learnt_from, 45);
    let fixed = learnt.costs.fixed.as_seconds_f64();
    assert!((2.3..2.7).contains(&fixed), "{fixed}");

    let before = judged(&Model::default(), future);
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
    let learnt = learn(&traces(&records));
    assert_eq!(learnt.learnt_from, 0);
    assert_eq!(learnt.guests.len(), 4);
    let same = Model { guests: learnt.guests.clone(), ..Model::default() };
    assert_eq!(learnt, same);
    let vm0 = &learnt.guests[&records[0].vm];
    assert_eq!(vm0.non_zero, Some(Bytes::mib(512)));
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
    let learnt = learn(&traces(&records));
    assert_eq!(Model { guests: Model::default().guests, ..learnt }, Model::default());
    assert_eq!(learn(&[]), Model::default());
}

#[test]
fn a_model_is_a_file() {
    let learnt = train(&traces(&(0..60).map(record).collect::<Vec<_>>()), 1).model;
    let text = serde_json::to_string(&learnt).unwrap();
    assert_eq!(serde_json::from_str::<Model>(&text).unwrap(), learnt);
    assert!(serde_json::from_str::<Model>(r#"{"fixed_costs": "1 s"}"#).is_err());
}

fn traces(records: &[MigrationRecord]) -> Vec<MigrationTrace> {
    records.iter().cloned().map(MigrationTrace::from).collect()
}
