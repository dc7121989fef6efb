//! A model as an operator would have it: three hosts, nine VMs, one host drained.

use std::collections::BTreeMap;

use whimbrel_core::{
    Domain, DomainState, Goal, Host, HostId, HostState, MigrationSettings, Move, Plan, Prediction,
    Snapshot, VmId,
    cluster::{CompletedStats, DirtyReading},
    digest::Digest,
    migration::MoveState,
    plan::{AtOnce, Parent, PlanReport, Reason, Stay, Term},
    predict::Quantiles,
    settings::{Mode, Transport},
    telemetry::MigrationRecord,
    units::{Bytes, BytesPerSecond, MilliCores, Share, Span, Timestamp},
};
use whimbrel_engine::{Execution, MoveView};

use super::model::{ComparisonColumn, Happened, ReportModel};

const TAKEN_AT: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);
/// Name, host, memory in MiB, CPU in millicores, level of U(t) in MiB, its time constant in s.
const VMS: [(&str, &str, u64, u64, f64, f64); 9] = [
    ("web-1", "h1", 8192, 2100, 420.0, 6.0),
    ("web-2", "h2", 8192, 1900, 400.0, 6.0),
    ("postgres-orders", "h1", 24576, 6200, 5200.0, 14.0),
    ("postgres-replica", "h2", 24576, 3100, 3900.0, 20.0),
    ("redis-sessions", "h1", 6144, 1400, 2900.0, 2.5),
    ("build-runner-4", "h1", 12288, 7400, 7600.0, 9.0),
    ("mail", "h3", 4096, 500, 90.0, 30.0),
    ("metrics-store", "h3", 16384, 2600, 1500.0, 11.0),
    ("edge-proxy", "h3", 2048, 900, 60.0, 4.0),
];
/// VM, target, second at which it begins, predicted seconds, predicted downtime in ms, measured
/// over predicted.
const MOVES: [(&str, &str, f64, f64, f64, f64); 4] = [
    ("redis-sessions", "h3", 0.0, 14.2, 210.0, 1.08),
    ("web-1", "h2", 0.0, 11.8, 48.0, 0.93),
    ("postgres-orders", "h3", 11.8, 58.4, 265.0, 1.12),
    ("build-runner-4", "h2", 14.2, 41.0, 290.0, 1.62),
];

pub(crate) fn vm(name: &str) -> VmId {
    VmId::new(name).unwrap()
}

pub(crate) fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

fn hosts() -> BTreeMap<HostId, Host> {
    let one = |memory: u64, cores: u64| Host {
        state: HostState::Up,
        observed_at: TAKEN_AT,
        cpu: MilliCores::cores(cores),
        memory: Bytes::mib(memory),
        cpu_used: Some(MilliCores::cores(9)),
        migration_bandwidth: Some(BytesPerSecond::mib(1100)),
        qemu: None,
        tags: std::collections::BTreeSet::new(),
        offers: whimbrel_core::cluster::Offers::default(),
    };
    [("h1", one(65536, 24)), ("h2", one(65536, 24)), ("h3", one(98304, 32))]
        .map(|(name, h)| (host(name), h))
        .into()
}

fn domain(name: &str, on: &str, memory: u64, cpu: u64) -> Domain {
    Domain {
        vm: vm(name),
        uuid: "00000000-0000-4000-8000-000000000001".to_owned(),
        host: host(on),
        state: DomainState::Running,
        observed_at: TAKEN_AT,
        vcpus: 8,
        memory: Bytes::mib(memory),
        resident: None,
        cpu_used: Some(MilliCores::new(cpu)),
        dirty: Vec::new(),
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}

/// A snapshot of the sample's cluster, with the sample's moves done or not.
fn snapshot(moved: bool) -> Snapshot {
    let place = |name: &str, on: &'static str| {
        MOVES.iter().find(|m| moved && m.0 == name).map_or(on, |m| m.1)
    };
    let domains =
        VMS.iter().map(|(name, on, mem, cpu, _, _)| domain(name, place(name, on), *mem, *cpu));
    let mut snapshot =
        Snapshot { taken_at: TAKEN_AT, hosts: hosts(), domains: domains.collect(), orders: vec![] };
    if moved {
        snapshot.taken_at = TAKEN_AT + Span::from_seconds(200);
    }
    snapshot.normalise();
    snapshot
}

fn spread(median: f64) -> Quantiles<f64> {
    Quantiles::from_array([0.62, 0.70, 0.88, 1.0, 1.16, 1.45, 1.62].map(|m| m * median))
}

pub(crate) fn prediction(seconds: f64, mib: f64, downtime_ms: f64) -> Prediction {
    Prediction {
        model: "curve-replay 3".to_owned(),
        converges: Share::clamped(0.97),
        total_time: spread(seconds).map(Span::from_seconds_f64),
        transferred: spread(mib).map(|m| Bytes::new((m * 1_048_576.0) as u64)),
        downtime: spread(downtime_ms).map(|ms| Span::from_seconds_f64(ms / 1e3)),
        stall: None,
        caveats: Vec::new(),
        impact: None,
    }
}

pub(crate) fn settings() -> MigrationSettings {
    MigrationSettings {
        mode: Mode::PreCopy,
        transport: Transport::Tls,
        bandwidth_limit: None,
        downtime_limit: Span::from_millis(300),
        ..MigrationSettings::default()
    }
}

fn memory_of(name: &str) -> u64 {
    VMS.iter().find(|v| v.0 == name).map_or(0, |v| v.2)
}

fn planned(&(name, to, begins, seconds, downtime, _): &(&str, &str, f64, f64, f64, f64)) -> Move {
    let mut predicted = prediction(seconds, memory_of(name) as f64 * 1.25, downtime);
    if name == "build-runner-4" {
        predicted.converges = Share::clamped(0.71);
        predicted.caveats = vec!["newest dirty reading is 9 min old".to_owned()];
    }
    Move {
        vm: vm(name),
        uuid: "00000000-0000-4000-8000-000000000001".to_owned(),
        from: host("h1"),
        to: host(to),
        after: Vec::new(),
        alone: false,
        not_before: None,
        ends_before: None,
        begins: Span::from_seconds_f64(begins),
        timeout: Span::from_seconds(300),
        reason: Reason::HostDrained,
        settings: settings(),
        predicted,
    }
}

pub(crate) fn seal(moves: Vec<Move>, stays: Vec<Stay>) -> Plan {
    let term = |name: &str, before, after| Term { name: name.to_owned(), before, after };
    Plan::seal(
        Goal::drain(host("h1")),
        Parent {
            snapshot: Digest::of_bytes(b"snapshot"),
            snapshot_taken_at: TAKEN_AT,
            policy: Digest::of_bytes(b"policy"),
            seed: 7,
        },
        PlanReport {
            found_by: "highs".to_owned(),
            gap: Some(0.0),
            makespan: Span::from_seconds_f64(70.2),
            terms: vec![
                term("contention_guest_seconds", 0.0, 0.0),
                term("migration_guest_seconds", 0.0, 38.2),
                term("utilisation_max_share", 0.78125, 0.8125),
                term("utilisation_deviation_share", 0.2261, 0.3347),
                term("migration_bytes", 0.0, 67_108_864_000.0),
            ],
            remarks: Vec::new(),
        },
        (AtOnce::new(2, 4), moves),
        stays,
    )
}

fn plan() -> Plan {
    let stay = |name: &str, reason| Stay { vm: vm(name), reason };
    let stays = vec![
        stay("edge-proxy", Reason::WellPlaced),
        stay("mail", Reason::HeldByRule { rule: "mail stays in room 3".to_owned() }),
        stay(
            "metrics-store",
            Reason::GainTooSmall { gain_seconds: 4.1, cost_seconds: 6.3, gain_factor: 2.0 },
        ),
    ];
    seal(MOVES.iter().map(planned).collect(), stays)
}

fn stats(predicted: &Prediction, factor: f64) -> CompletedStats {
    let total_time = Span::from_seconds_f64(predicted.total_time.p50.as_seconds_f64() * factor);
    CompletedStats {
        total_time,
        downtime: Span::from_seconds_f64(
            predicted.downtime.p50.as_seconds_f64() * (2.0 - factor).max(0.4),
        ),
        setup_time: Span::from_millis(30),
        transferred: Bytes::new((predicted.transferred.p50.as_f64() * factor.sqrt()) as u64),
        ..CompletedStats::default()
    }
}

pub(crate) fn record(id: &str, predicted: Prediction, factor: f64) -> MigrationRecord {
    let stats = stats(&predicted, factor);
    MigrationRecord {
        id: id.parse().unwrap(),
        at: TAKEN_AT,
        vm: vm("web-1"),
        from: host("h1"),
        to: host("h2"),
        settings: settings(),
        arrived: true,
        failure: None,
        memory: Bytes::mib(8192),
        resident: None,
        dirty_before: Vec::new(),
        sharing: 1,
        predicted: Some(predicted),
        wall: stats.total_time,
        stats: Some(stats),
        cpu_used: None,
        path_bandwidth: None,
        qemu: None,
    }
}

fn history() -> Vec<MigrationRecord> {
    (0..24i32)
        .map(|k| {
            let size = 1.35f64.powi(k % 16);
            let factor =
                0.74 + f64::from(k * 37 % 24) / 24.0 * 0.62 + if k == 19 { 0.5 } else { 0.0 };
            let predicted = prediction(2.1 * size, 900.0 * size, 22.0 * 1.18f64.powi(k % 16));
            record(&format!("earlier:{k}"), predicted, factor)
        })
        .collect()
}

/// How the moves of `plan` went; the last one failed where `whole` is false.
fn execution(plan: &Plan, whole: bool) -> Execution {
    let mut moves = Vec::new();
    let mut records = Vec::new();
    for ((id, one), (name, .., factor)) in plan.moves().zip(MOVES) {
        let arrived = whole || name != "build-runner-4";
        let figures = stats(&one.predicted, factor);
        let begun_at = TAKEN_AT + one.begins + Span::from_millis(1200);
        let ended_at = begun_at + figures.total_time + Span::from_millis(800);
        moves.push(MoveView {
            id: id.clone(),
            vm: one.vm.clone(),
            from: one.from.clone(),
            to: one.to.clone(),
            state: if arrived { MoveState::Settled } else { MoveState::Failed },
            detail: if arrived { String::new() } else { "gave up after 5 min 00 s".to_owned() },
            begun_at: Some(begun_at),
            ended_at: Some(ended_at),
            progress: None,
            stats: arrived.then_some(figures),
            predicted: one.predicted.clone(),
        });
        let mut record = record(id.as_str(), one.predicted.clone(), factor);
        record.arrived = arrived;
        records.push(record);
    }
    Execution { plan: plan.id(), moves, cancelled: false, ended: true, records }
}

fn unique(level_mib: f64, constant: f64, window: f64) -> Bytes {
    let fast = 0.3 * (1.0 - (-window * 12.0 / constant).exp());
    let slow = 0.7 * (1.0 - (-window / constant).exp());
    Bytes::new((level_mib * 1_048_576.0 * (fast + slow)) as u64)
}

fn comparison() -> Vec<ComparisonColumn> {
    let column = |name: &str, values: [f64; 5]| {
        let names = [
            "moves",
            "makespan_seconds",
            "migration_bytes",
            "worst_downtime_milliseconds",
            "utilisation_deviation_share",
        ];
        let terms = names.iter().zip(values).map(|(n, v)| ((*n).to_owned(), v)).collect();
        ComparisonColumn { name: name.to_owned(), terms }
    };
    vec![
        column("this plan", [4.0, 113.6, 67_108_864_000.0, 290.0, 0.3347]),
        column("first fit", [4.0, 171.2, 84_718_230_000.0, 1420.0, 0.3712]),
        column("round robin", [5.0, 148.0, 87_295_210_000.0, 880.0, 0.3347]),
    ]
}

/// The drained cluster, executed: wholly, or with the last move failed.
pub(crate) fn executed(happened: Happened, whole: bool) -> ReportModel {
    let plan = plan();
    let (mut dirty, mut curves) = (BTreeMap::new(), BTreeMap::new());
    for (name, _, _, _, level, constant) in VMS {
        let noise = [1.06, 0.95, 1.02, 0.91, 1.04];
        let readings =
            [0.4, 1.0, 4.0, 12.0, 25.0].iter().zip(noise).map(|(window, noise)| DirtyReading {
                window: Span::from_seconds_f64(*window),
                unique: unique(level * noise, constant, *window),
                measured_at: TAKEN_AT,
            });
        dirty.insert(vm(name), readings.collect());
        let windows = (0..60).map(|k| 0.2 * 1.1f64.powi(k));
        let points = windows.map(|w| (Span::from_seconds_f64(w), unique(level, constant, w)));
        curves.insert(vm(name), points.collect());
    }
    ReportModel {
        title: "Drain h1 before its memory is replaced".to_owned(),
        command: "whimbrel drain h1 --inventory cluster.toml --policy policy.toml --seed 7 --report drain-h1.html".to_owned(),
        happened,
        before: snapshot(false),
        after: snapshot(true),
        memory_reserve: Share::clamped(0.08),
        overload_above: Share::clamped(0.8),
        execution: Some(execution(&plan, whole)),
        plan,
        comparison: comparison(),
        history: history(),
        dirty,
        curves,
        checker_notes: vec!["h2 stands at 83 % of its memory at the end; its reserve is kept".to_owned()],
        simulation: vec![
            "200 runs, seeds 0 to 199: 198 settle every move, 2 give build-runner-4 up at its time-out".to_owned(),
            "makespan: median 1 min 57 s, p95 2 min 41 s".to_owned(),
            "no run exceeds a reserve at any moment".to_owned(),
        ],
    }
}

/// The same, not executed.
pub(crate) fn planned_only() -> ReportModel {
    ReportModel { execution: None, ..executed(Happened::Simulated, true) }
}

/// Nothing moves, nothing is known, no hosts.
pub(crate) fn empty() -> ReportModel {
    let none =
        || Snapshot { taken_at: TAKEN_AT, hosts: BTreeMap::new(), domains: vec![], orders: vec![] };
    let mut plan = seal(vec![], vec![]);
    plan.report.terms.clear();
    ReportModel {
        before: none(),
        after: none(),
        plan,
        comparison: vec![],
        history: vec![],
        dirty: BTreeMap::new(),
        curves: BTreeMap::new(),
        checker_notes: vec![],
        simulation: vec![],
        ..planned_only()
    }
}
