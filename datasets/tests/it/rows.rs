//! Rows to write: full ones, bare ones and arbitrary ones within the documented ranges.

use proptest::{option, prelude::*};
use whimbrel_core::{
    cluster::{CompletedStats, DeltaCoding, DirtyReading, DomainState, HostState, JobProgress},
    predict::{Prediction, Quantiles, Stall},
    settings::{Compression, MigrationSettings, Mode, QemuVersion, Throttle, Transport},
    telemetry::*,
    units::*,
};

/// `seconds` after 2026-03-01T12:00:00Z.
pub(crate) fn at(seconds: u64) -> Timestamp {
    let noon: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
    noon + Span::from_seconds(seconds)
}

pub(crate) fn host(seconds: u64, host: &str) -> HostSample {
    HostSample {
        at: at(seconds),
        host: host.parse().unwrap(),
        state: HostState::Up,
        cpu_busy: Some(Span::from_seconds(1_000 + seconds)),
        cpu_used: Some(MilliCores::new(1500)),
        memory_total: Some(Bytes::mib(65_536)),
        memory_free: Some(Bytes::mib(10_000)),
        answered_in: Some(Span::from_millis(7)),
    }
}

pub(crate) fn silent(seconds: u64, name: &str) -> HostSample {
    HostSample {
        state: HostState::Unreachable,
        cpu_busy: None,
        cpu_used: None,
        memory_total: None,
        memory_free: None,
        answered_in: None,
        ..host(seconds, name)
    }
}

pub(crate) fn domain(seconds: u64, host: &str, vm: &str) -> DomainSample {
    DomainSample {
        at: at(seconds),
        host: host.parse().unwrap(),
        vm: vm.parse().unwrap(),
        uuid: format!("00000000-0000-0000-0000-{vm:0>12}"),
        state: DomainState::Running,
        vcpus: 4,
        memory_max: Bytes::mib(8192),
        memory: Bytes::mib(4096),
        resident: Some(Bytes::mib(3000)),
        cpu_time: Some(Span::from_seconds(seconds)),
        cpu_used: Some(MilliCores::new(700 + seconds)),
        block_read: None,
        block_written: Some(Bytes::ZERO),
        net_received: Some(Bytes::new(123_456_789)),
        net_sent: None,
    }
}

pub(crate) fn dirty(seconds: u64, vm: &str, window: Span, unique: Bytes) -> DirtySample {
    DirtySample {
        at: at(seconds),
        host: "h1".parse().unwrap(),
        vm: vm.parse().unwrap(),
        window,
        unique,
    }
}

pub(crate) fn job(seconds: u64, host: &str, vm: &str) -> JobSample {
    let progress = JobProgress {
        elapsed: Span::from_millis(2300),
        remaining: Bytes::mib(700),
        transferred: Bytes::mib(900),
        total: Bytes::mib(4096),
        bandwidth: BytesPerSecond::mib(110),
        dirty_rate: BytesPerSecond::mib(20),
        iteration: 3,
        normal_pages: 230_000,
        zero_pages: 12,
        throttle_percent: 30,
        post_copy_requests: 4,
        delta: DeltaCoding { pages: 5, bytes: 600, misses: 7 },
    };
    JobSample { at: at(seconds), host: host.parse().unwrap(), vm: vm.parse().unwrap(), progress }
}

pub(crate) fn migration(seconds: u64, vm: &str) -> MigrationRecord {
    MigrationRecord {
        cpu_used: Some(MilliCores::new(350)),
        path_bandwidth: Some(BytesPerSecond::mib(9)),
        qemu: Some(QemuVersion::new(10, 0)),
        id: format!("plan:{seconds}").parse().unwrap(),
        at: at(seconds),
        vm: vm.parse().unwrap(),
        from: "h1".parse().unwrap(),
        to: "h2".parse().unwrap(),
        settings: MigrationSettings {
            mode: Mode::PreCopy,
            transport: Transport::Tls,
            bandwidth_limit: Some(BytesPerSecond::mib(100)),
            downtime_limit: Span::from_millis(300),
            channels: 1,
            compression: Compression::Xbzrle { cache: Bytes::mib(64) },
            throttle: Throttle { initial_percent: 50, increment_percent: 20 },
            reads_before_post_copy: 3,
        },
        arrived: true,
        failure: None,
        memory: Bytes::mib(4096),
        resident: Some(Bytes::mib(3000)),
        dirty_before: vec![DirtyReading {
            window: Span::from_millis(400),
            unique: Bytes::mib(52),
            measured_at: at(seconds),
        }],
        sharing: 2,
        predicted: Some(prediction(0.9, Some(stall()))),
        wall: Span::from_seconds(40),
        stats: Some(stats()),
    }
}

/// A migration of which little is known: every column that may be null is null.
pub(crate) fn bare_migration(seconds: u64) -> MigrationRecord {
    let full = migration(seconds, "bare");
    MigrationRecord {
        settings: MigrationSettings {
            mode: Mode::PostCopy,
            bandwidth_limit: None,
            channels: 4,
            compression: Compression::Zstd,
            ..full.settings
        },
        arrived: false,
        failure: Some("the host's \"socket\" closed\n".to_owned()),
        resident: None,
        cpu_used: None,
        path_bandwidth: None,
        qemu: None,
        dirty_before: vec![],
        predicted: None,
        stats: None,
        ..full
    }
}

fn prediction(converges: f64, stall: Option<Stall>) -> Prediction {
    let ladder = Quantiles::from_array([1, 2, 3, 4, 5, 6, 7]);
    Prediction {
        model: "replay 1".to_owned(),
        converges: Share::clamped(converges),
        total_time: ladder.map(Span::from_seconds),
        transferred: ladder.map(Bytes::mib),
        downtime: ladder.map(Span::from_millis),
        stall,
        caveats: vec!["no reading below 1 s".to_owned(), "quotes \" and ü".to_owned()],
        impact: None,
    }
}

fn stall() -> Stall {
    Stall {
        round: Span::from_millis(900),
        remaining: Bytes::mib(90),
        downtime_limit_needed: Span::from_millis(880),
    }
}

fn stats() -> CompletedStats {
    CompletedStats {
        total_time: Span::from_millis(38_123),
        downtime: Span::from_millis(57),
        setup_time: Span::from_millis(4),
        transferred: Bytes::mib(5000),
        normal_pages: 1_200_000,
        zero_pages: 90_000,
        iterations: 9,
        bandwidth: BytesPerSecond::mib(131),
        throttle_percent: 99,
        post_copy_requests: 1,
        delta: DeltaCoding { pages: 2, bytes: 3, misses: 4 },
    }
}

fn instants() -> impl Strategy<Value = Timestamp> {
    (946_684_800_000_000u64..7_258_118_400_000_000).prop_map(Timestamp::from_micros)
}

fn sizes() -> impl Strategy<Value = Bytes> {
    (0u64..=1 << 50).prop_map(Bytes::new)
}

fn spans() -> impl Strategy<Value = Span> {
    (0u64..=366 * 86_400_000_000).prop_map(Span::from_micros)
}

prop_compose! {
    pub(crate) fn any_host()(
        at in instants(),
        name in "[a-z0-9._-]{1,20}",
        up in any::<bool>(),
        cpu_busy in option::of(spans()),
        cpu_used in option::of((0u64..=1_000_000_000).prop_map(MilliCores::new)),
        memory_total in option::of(sizes()),
        memory_free in option::of(sizes()),
        answered_in in option::of(spans()),
    ) -> HostSample {
        let state = if up { HostState::Maintenance } else { HostState::Unreachable };
        let host = name.parse().unwrap();
        HostSample { at, host, state, cpu_busy, cpu_used, memory_total, memory_free, answered_in }
    }
}

prop_compose! {
    pub(crate) fn any_domain()(
        at in instants(),
        uuid in "\\PC{0,40}",
        vcpus in 0u32..=1_000_000,
        (memory_max, memory) in (sizes(), sizes()),
        resident in option::of(sizes()),
        cpu_time in option::of((0u64..=1 << 60).prop_map(Span::from_micros)),
        block_read in option::of((0u64..=1 << 60).prop_map(Bytes::new)),
        net_sent in option::of(sizes()),
    ) -> DomainSample {
        DomainSample {
            at, uuid, vcpus, memory_max, memory, resident, cpu_time, block_read, net_sent,
            ..domain(0, "h1", "a")
        }
    }
}

prop_compose! {
    pub(crate) fn any_migration()(
        at in instants(),
        readings in proptest::collection::vec((spans(), sizes(), instants()), 0..4),
        converges in option::of(0.0..=1.0f64),
        stalls in any::<bool>(),
        with_stats in any::<bool>(),
        failure in option::of("\\PC{0,30}"),
        resident in option::of(sizes()),
        wall in spans(),
    ) -> MigrationRecord {
        let reading = |(window, unique, measured_at)| DirtyReading { window, unique, measured_at };
        MigrationRecord {
            at,
            dirty_before: readings.into_iter().map(reading).collect(),
            predicted: converges.map(|share| prediction(share, stalls.then(stall))),
            stats: with_stats.then(stats),
            failure,
            resident,
            wall,
            ..migration(0, "a")
        }
    }
}
