//! Points of U(t) out of traces of migrations: real ones and impossible ones.

#![expect(clippy::unwrap_used, reason = "test helpers may panic")]

use proptest::prelude::*;
use whimbrel_core::{
    cluster::{CompletedStats, JobProgress},
    ids::{HostId, OrderId, VmId},
    settings::{MigrationSettings, Mode},
    telemetry::{JobSample, MigrationRecord, MigrationTrace},
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span, Timestamp},
};
use whimbrel_models::{CurveFit, DirtyCurve, Evidence, GuestHistory, Prior, curve::samples};

/// Looks at a guest of 8 GiB whose 16 clients write to a database, through its first and its
/// seventh to twelfth read of the bitmap, with 128 MiB/s and 300 ms: milliseconds, bytes
/// remaining, bytes sent, bytes a second, reads, pages with content, zero pages.
///
/// From `LordWicked/live-migration-thesis-code` (MIT), run 1 of the scenario
/// `Precopy_Nonconvergent_16T`.
const SIXTEEN_CLIENTS: [[u64; 7]; 21] = [
    [200, 8_577_740_800, 27_060_112, 135_309_970, 1, 6592, 691],
    [12_252, 3_698_601_984, 1_663_543_099, 135_271_079, 1, 403_603, 794_876],
    [24_101, 84_869_120, 3_259_784_539, 135_268_019, 1, 791_466, 1_289_272],
    [24_302, 54_591_488, 3_289_990_025, 135_268_019, 1, 798_857, 1_289_272],
    [24_503, 1_162_207_232, 3_320_983_469, 135_268_019, 2, 806_409, 1_289_272],
    [42_183, 84_434_944, 5_708_199_707, 135_293_850, 8, 1_388_023, 1_305_015],
    [42_384, 57_118_720, 5_735_254_004, 135_273_780, 8, 1_394_615, 1_305_092],
    [42_585, 29_552_640, 5_762_308_850, 135_274_050, 8, 1_401_207, 1_305_230],
    [42_786, 100_483_072, 5_789_364_155, 135_274_680, 9, 1_407_799, 1_305_419],
    [42_987, 72_384_512, 5_816_420_171, 135_289_980, 9, 1_414_391, 1_305_687],
    [43_188, 44_429_312, 5_843_475_901, 135_274_610, 9, 1_420_983, 1_305_920],
    [43_389, 113_291_264, 5_870_529_748, 135_270_450, 10, 1_427_575, 1_305_947],
    [43_590, 86_286_336, 5_897_583_361, 135_268_019, 10, 1_434_167, 1_305_948],
    [43_792, 58_720_256, 5_924_638_207, 135_271_079, 10, 1_440_759, 1_306_086],
    [43_992, 31_277_056, 5_951_692_812, 135_274_680, 10, 1_447_351, 1_306_194],
    [44_194, 89_042_944, 5_978_748_720, 135_275_400, 11, 1_453_943, 1_306_450],
    [44_394, 61_472_768, 6_005_803_575, 135_280_530, 11, 1_460_535, 1_306_589],
    [44_595, 34_107_392, 6_032_857_980, 135_268_109, 11, 1_467_127, 1_306_678],
    [44_797, 79_159_296, 6_059_914_554, 135_280_350, 12, 1_473_719, 1_307_008],
    [44_998, 51_855_360, 6_086_968_853, 135_269_280, 12, 1_480_311, 1_307_082],
    [45_198, 95_510_528, 6_114_024_311, 135_283_769, 13, 1_486_903, 1_307_288],
];

const BEGUN: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn record(memory: Bytes, settings: MigrationSettings) -> MigrationRecord {
    MigrationRecord {
        arrived: true,
        wall: Span::from_seconds(60),
        ..MigrationRecord::beginning(
            OrderId::new("order-1").unwrap(),
            BEGUN,
            VmId::new("db").unwrap(),
            HostId::new("h1").unwrap(),
            HostId::new("h2").unwrap(),
            settings,
            memory,
        )
    }
}

fn sample(progress: JobProgress) -> JobSample {
    JobSample {
        at: BEGUN + progress.elapsed,
        host: HostId::new("h1").unwrap(),
        vm: VmId::new("db").unwrap(),
        progress,
    }
}

fn sixteen_clients() -> MigrationTrace {
    let total = Bytes::new(8_607_571_968);
    let look = |row: &[u64; 7]| {
        let [millis, remaining, transferred, bandwidth, iteration, normal_pages, zero_pages] = *row;
        sample(JobProgress {
            elapsed: Span::from_millis(millis),
            remaining: Bytes::new(remaining),
            transferred: Bytes::new(transferred),
            total,
            bandwidth: BytesPerSecond::new(bandwidth),
            iteration,
            normal_pages,
            zero_pages,
            ..JobProgress::default()
        })
    };
    MigrationTrace {
        record: MigrationRecord { arrived: false, ..record(total, MigrationSettings::default()) },
        samples: SIXTEEN_CLIENTS.iter().map(look).collect(),
    }
}

/// A guest of `pages` pages that rewrites `hot` of them in order every `period` seconds, sent at
/// `rate` pages a second and read once nothing remains; looks every `every` seconds.
fn simulated(pages: f64, hot: f64, period: f64, rate: f64, every: f64) -> MigrationTrace {
    let memory = Bytes::new((pages * 4096.0) as u64);
    let page = |n: f64| Bytes::new((n.max(0.0).round() * 4096.0) as u64);
    let (mut reads, mut now, mut sent, mut remaining) = (1, 0.0, 0.0, pages);
    let mut round_began = 0.0;
    let mut samples = Vec::new();
    let step: f64 = 0.1;
    while samples.len() < 60 {
        now += step;
        let went = (rate * step).min(remaining);
        sent += went;
        remaining -= went;
        if remaining < 1.0 {
            remaining = hot * ((now - round_began) / period).min(1.0);
            round_began = now;
            reads += 1;
        }
        if (now / every).floor() > ((now - step) / every).floor() {
            samples.push(sample(JobProgress {
                elapsed: Span::from_seconds_f64(now),
                remaining: page(remaining),
                transferred: page(sent),
                total: memory,
                bandwidth: BytesPerSecond::new((rate * 4096.0) as u64),
                iteration: reads,
                // The identity holds to the page.
                normal_pages: sent.round() as u64,
                ..JobProgress::default()
            }));
        }
    }
    let settings =
        MigrationSettings { downtime_limit: Span::from_millis(50), ..MigrationSettings::default() };
    MigrationTrace { record: record(memory, settings), samples }
}

fn mb(bytes: Bytes) -> f64 {
    bytes.as_f64() / 1e6
}

#[test]
fn a_real_migration_gives_points_from_a_fifth_of_a_second_to_a_pass() {
    let points = samples::points(&sixteen_clients());
    // New pages are 1138.5 MB after the pass of 24 s over eight chunks: half of it on the mean.
    let first = points.first().unwrap();
    assert!((12.5..16.0).contains(&first.window.as_seconds_f64()), "{first:?}");
    assert!((1138.0..1142.0).contains(&mb(first.unique)), "{first:?}");
    // Rounds of 0.4 to 0.8 s found 99, 97, 86, 73 and 71 MB, of 30 to 40 MB that waited some too.
    let rounds: Vec<_> =
        points.iter().filter(|p| p.window < Span::from_millis(900)).copied().collect();
    assert!(rounds.len() >= 4, "{points:?}");
    for round in &rounds {
        assert!((70.0..125.0).contains(&mb(round.unique)), "{round:?}");
        assert!(round.error.as_f64() < 0.35 * round.unique.as_f64(), "{round:?}");
    }
}

#[test]
fn a_guest_remembers_its_migration() {
    let trace = sixteen_clients();
    let mut guest = GuestHistory::new(trace.record.memory);
    guest.remember(&trace);
    let text = serde_json::to_string(&guest).unwrap();
    let read: GuestHistory = serde_json::from_str(&text).unwrap();
    assert_eq!(read, guest);
    // 8608 MB less 5281 MB of zero pages, less at most what no look saw of the first pass.
    let content = mb(guest.content(trace.record.memory).unwrap());
    assert!((3270.0..3330.0).contains(&content), "{content}");
    assert_eq!(guest.content(Bytes::mib(4096)), None, "a resize makes it unknown");
    let past = guest.past(BEGUN);
    let evidence = Evidence { past: Some(&past), ..Evidence::of_readings(&[], Bytes::mib(8192)) };
    let curve = CurveFit::new(&evidence).unwrap().curve(Bytes::mib(8192));
    let at_5 = mb(curve.unique(Span::from_seconds(5)));
    assert!((300.0..650.0).contains(&at_5), "{at_5}");
    for _ in 0..300 {
        guest.remember(&trace);
    }
    assert!(serde_json::to_string(&guest).unwrap().len() < 8192, "bounded");
}

#[test]
fn a_known_sweep_is_found_through_looks_of_any_pace() {
    for every in [0.2, 1.0, 2.5] {
        // 256 MiB, 100 MiB of it rewritten in 10 s, sent at 40 MiB/s: rounds get shorter and end
        // after the working set was caught up with.
        let trace = simulated(65_536.0, 25_600.0, 10.0, 10_240.0, every);
        let mut guest = GuestHistory::new(trace.record.memory);
        guest.remember(&trace);
        let past = guest.past(BEGUN);
        let evidence =
            Evidence { past: Some(&past), ..Evidence::of_readings(&[], trace.record.memory) };
        let curve = CurveFit::new(&evidence).unwrap().curve(trace.record.memory);
        for seconds in [1.0, 2.0, 5.0] {
            let ratio = mb(curve.unique(Span::from_seconds_f64(seconds))) / (seconds * 10.486);
            assert!((0.75..1.35).contains(&ratio), "{ratio} at {seconds} s, looks every {every} s");
        }
    }
}

#[test]
fn throttled_windows_are_left_out_and_tell_how_far_writes_follow_the_cpu() {
    let mut trace = simulated(65_536.0, 25_600.0, 10.0, 10_240.0, 0.5);
    let half = trace.samples.len() / 2;
    let free = samples::points(&trace).len();
    for sample in trace.samples.iter_mut().skip(half) {
        sample.progress.throttle_percent = 40;
    }
    trace.record.settings.mode = Mode::AutoConverge;
    assert!(samples::points(&trace).len() < free);
    assert!(!samples::throttled(&trace).is_empty());
    let mut guest = GuestHistory::new(trace.record.memory);
    guest.remember(&trace);
    // It wrote on as before.
    assert!(guest.cpu_bound.mean().unwrap() < 0.5, "{guest:?}");
}

#[test]
fn post_copy_clock_jumps_and_counters_that_fall_give_no_points() {
    let mut trace = sixteen_clients();
    trace.record.settings.mode = Mode::PostCopy;
    trace.record.settings.reads_before_post_copy = 0;
    assert_eq!(samples::points(&trace), Vec::new());
    let mut trace = sixteen_clients();
    for (index, sample) in trace.samples.iter_mut().enumerate() {
        sample.at = BEGUN + Span::from_seconds(index as u64 * 3600);
    }
    assert!(samples::points(&trace).is_empty());
    let mut trace = sixteen_clients();
    for sample in &mut trace.samples {
        sample.progress.normal_pages = u64::MAX - sample.progress.normal_pages;
    }
    assert!(samples::points(&trace).is_empty());
}

#[test]
fn looks_that_count_no_pages_say_nothing_of_what_was_dirtied() {
    let mut trace = sixteen_clients();
    for look in &mut trace.samples {
        (look.progress.normal_pages, look.progress.zero_pages) = (0, 0);
    }
    trace.record.stats = Some(CompletedStats {
        total_time: Span::from_seconds(46),
        downtime: Span::from_millis(100),
        transferred: Bytes::new(6_200_000_000),
        normal_pages: 1_500_000,
        zero_pages: 1_307_288,
        iterations: 14,
        ..CompletedStats::default()
    });
    assert_eq!(samples::points(&trace), Vec::new(), "all pages seem to come at the end");
}

#[test]
fn similar_guests_stand_in_widely_and_say_so() {
    let trace = sixteen_clients();
    let prior = Prior::learn(std::slice::from_ref(&trace));
    let domain = |vm: &str| whimbrel_core::cluster::Domain {
        vm: VmId::new(vm).unwrap(),
        uuid: String::new(),
        host: HostId::new("h1").unwrap(),
        state: whimbrel_core::cluster::DomainState::Running,
        observed_at: BEGUN,
        vcpus: 4,
        memory: Bytes::mib(4096),
        resident: None,
        cpu_used: None,
        dirty: Vec::new(),
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    };
    let likely = prior.points(&domain("other"));
    assert_eq!(likely.guests, 1);
    assert!(likely.spread >= 0.6);
    assert_eq!(prior.points(&domain("db")).guests, 0, "itself is no neighbour");
    assert!(prior.points(&domain("db")).spread > likely.spread);
    let evidence =
        Evidence { likely: Some(&likely), ..Evidence::of_readings(&[], Bytes::mib(4096)) };
    let fit = CurveFit::new(&evidence).unwrap();
    assert_eq!(fit.basis(), whimbrel_models::Basis::Similar { guests: 1 });
    assert!(fit.level_spread() >= 0.6);
    let text = serde_json::to_string(&prior).unwrap();
    assert_eq!(serde_json::from_str::<Prior>(&text).unwrap(), prior);
}

fn garbage() -> impl Strategy<Value = JobProgress> {
    let number = || prop_oneof![0u64..100, 0u64..1 << 34, any::<u64>()];
    (number(), number(), number(), number(), number(), number(), 0u64..6, any::<u8>()).prop_map(
        |(
            elapsed,
            remaining,
            transferred,
            bandwidth,
            normal_pages,
            zero_pages,
            iteration,
            slow,
        )| {
            JobProgress {
                elapsed: Span::from_micros(elapsed),
                remaining: Bytes::new(remaining),
                transferred: Bytes::new(transferred),
                total: Bytes::mib(1 << 14),
                bandwidth: BytesPerSecond::new(bandwidth),
                iteration,
                normal_pages,
                zero_pages,
                throttle_percent: slow,
                ..JobProgress::default()
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a source reports, there is no panic, no point beyond memory, and the same again.
    #[test]
    fn impossible_looks_do_no_harm(
        looks in prop::collection::vec(garbage(), 0..12),
        iterations in 0u64..9,
        pages in any::<u64>(),
        memory in 0u64..1 << 40,
    ) {
        let stats = CompletedStats {
            total_time: Span::from_seconds(iterations),
            iterations,
            normal_pages: pages,
            ..CompletedStats::default()
        };
        let settings = MigrationSettings::default();
        let trace = MigrationTrace {
            record: MigrationRecord { stats: Some(stats), ..record(Bytes::new(memory), settings) },
            samples: looks.into_iter().map(sample).collect(),
        };
        for point in samples::points(&trace) {
            prop_assert!(point.window > Span::ZERO && point.error >= GUEST_PAGE);
            prop_assert!(point.unique <= Bytes::mib(1 << 14).max(Bytes::new(memory)));
        }
        let mut guest = GuestHistory::new(Bytes::new(memory));
        guest.remember(&trace);
        guest.remember(&trace);
        let text = serde_json::to_string(&guest).unwrap();
        prop_assert_eq!(&serde_json::from_str::<GuestHistory>(&text).unwrap(), &guest);
        let past = guest.past(BEGUN);
        let ceiling = Bytes::new(memory.max(1));
        let evidence = Evidence { past: Some(&past), ..Evidence::of_readings(&[], ceiling) };
        let curve = CurveFit::new(&evidence).map_or(DirtyCurve::still(), |fit| fit.curve(ceiling));
        prop_assert!(curve.saturation() <= ceiling);
        prop_assert!(Prior::learn(&[trace]).points(&domain_of(ceiling)).spread >= 0.6);
    }
}

fn domain_of(memory: Bytes) -> whimbrel_core::cluster::Domain {
    whimbrel_core::cluster::Domain {
        vm: VmId::new("new").unwrap(),
        uuid: String::new(),
        host: HostId::new("h1").unwrap(),
        state: whimbrel_core::cluster::DomainState::Running,
        observed_at: BEGUN,
        vcpus: 1,
        memory,
        resident: None,
        cpu_used: None,
        dirty: Vec::new(),
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}
