//! The lab's guests without a recording: what a replay must hold, and that both resolutions agree.

use proptest::prelude::*;
use whimbrel_core::settings::Throttle;

use super::*;

/// A guest of 128 MiB with `words` as its load, over 30 MiB/s of a fast path.
pub(crate) fn case(words: &str) -> Case {
    Case {
        name: words.to_owned(),
        memory: Bytes::mib(128),
        load: words.parse().unwrap(),
        phase: Span::ZERO,
        settings: MigrationSettings {
            bandwidth_limit: Some(BytesPerSecond::mib(30)),
            ..MigrationSettings::default()
        },
        path: BytesPerSecond::mib(400),
        together: None,
        qemu: QemuVersion::new(10, 0),
        patience: Span::from_seconds(45),
        recorded: Ending::default(),
    }
}

fn ended(case: &Case, resolution: Resolution) -> Ending {
    replay(std::slice::from_ref(case), resolution, &Physics::laboratory(), 1)[0]
}

fn seconds(ending: &Ending) -> f64 {
    ending.total_time.as_seconds_f64()
}

const LOADS: [&str; 8] = [
    "rate=0 ws=60 zero=30 order=seq",
    "rate=2000 ws=40 zero=30 order=seq",
    "rate=9000 ws=40 zero=50 order=seq",
    "rate=4000 ws=80 zero=10 order=rand",
    "rate=16000 ws=20 zero=40 order=rand",
    "rate=9000 ws=60 hot_mib=8 hot_share=90 zero=20 order=rand",
    "rate=6000 ws=40 zero=30 order=rand shape=sine amp=4000 period=20000",
    "rate=6000 ws=40 zero=30 order=seq shape=square amp=4000 period=9000",
];

#[test]
fn classes_agree_with_pages() {
    for words in LOADS {
        let case = case(words);
        let (pages, classes) = (ended(&case, Resolution::Pages), ended(&case, Resolution::Classes));
        println!("{words}: {pages:?} {classes:?}");
        assert_eq!(pages.arrived, classes.arrived, "{words}");
        assert!((seconds(&classes) / seconds(&pages) - 1.0).abs() < 0.1, "{words}");
        let bytes = classes.transferred.as_f64() / pages.transferred.as_f64();
        assert!((bytes - 1.0).abs() < 0.1, "{words}: {bytes}");
    }
}

#[test]
fn an_idle_guest_is_sent_once_by_hand() {
    // 123 MiB of arena, of which 86.1 MiB and 132 other pages have content: 22173 pages. A period
    // carries 3 MiB and what is in the buffer: 768 pages, so 28 periods and a rest of 669 that is
    // below the threshold of 9 MiB with all zero pages once these are through.
    let ending = ended(&case("rate=0 ws=60 zero=30 order=seq"), Resolution::Pages);
    let content = (22_041.0 + 132.0) * 4104.0;
    let bytes = ending.transferred.as_f64() - content;
    assert!((80_000.0..200_000.0).contains(&bytes), "zero pages, device state, kernel: {bytes}");
    assert!((3.0..3.6).contains(&seconds(&ending)), "{ending:?}");
    assert_eq!(ending.iterations, 3);
}

#[test]
fn two_on_one_path_take_twice_as_long() {
    let words = "rate=0 ws=60 zero=30 order=seq";
    let alone = Case { path: BytesPerSecond::mib(20), ..case(words) };
    let pair = [0, 1].map(|n| Case { name: format!("{n}"), together: Some(7), ..alone.clone() });
    let both = replay(&pair, Resolution::Pages, &Physics::laboratory(), 1);
    let ratio = (seconds(&both[0]) - 0.43) / (seconds(&ended(&alone, Resolution::Pages)) - 0.43);
    assert!((1.85..2.1).contains(&ratio), "{ratio}");
    assert_eq!(both[0].iterations, both[1].iterations);
}

#[test]
fn modes_do_what_they_are_for() {
    let storm = "rate=60000 ws=40 zero=20 order=seq touch=64";
    let plain = case(storm);
    assert!(!ended(&plain, Resolution::Pages).arrived);
    let with = |change: fn(&mut MigrationSettings)| {
        let mut case = plain.clone();
        change(&mut case.settings);
        ended(&case, Resolution::Pages)
    };
    let moved = with(|s| s.mode = Mode::PostCopy);
    assert!(moved.arrived && moved.post_copy_requests > 500, "{moved:?}");
    assert!(moved.downtime < Span::from_millis(20));
    let deltas = with(|s| s.compression = Compression::Xbzrle { cache: Bytes::mib(64) });
    assert!(deltas.arrived, "differences of 64 bytes: {deltas:?}");
    let slowed = with(|s| {
        s.mode = Mode::AutoConverge;
        s.throttle = Throttle { initial_percent: 50, increment_percent: 20 };
    });
    assert!(slowed.throttle_percent >= 50, "{slowed:?}");
    let several = with(|s| s.channels = 4);
    assert!(several.transferred > Bytes::mib(100));
}

#[test]
fn the_same_seed_gives_the_same_endings() {
    let cases: Vec<Case> = LOADS.into_iter().map(case).collect();
    let run = |seed| replay(&cases, Resolution::Pages, &Physics::laboratory(), seed);
    assert_eq!(run(3), run(3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_the_load(
        rate in 0_u32..60_000,
        working_set in 1_u32..60,
        zero in 0_u32..90,
        random in any::<bool>(),
        cap in 5_u64..100,
        limit_millis in 20_u64..1000,
        mode in prop::sample::select(vec![Mode::PreCopy, Mode::AutoConverge, Mode::PostCopy]),
    ) {
        let order = if random { "rand" } else { "seq" };
        let words = format!("rate={rate} ws={working_set} zero={zero} order={order} touch=64");
        let mut case = Case { memory: Bytes::mib(72), ..case(&words) };
        case.settings.mode = mode;
        case.settings.bandwidth_limit = Some(BytesPerSecond::mib(cap));
        case.settings.downtime_limit = Span::from_millis(limit_millis);
        for resolution in [Resolution::Pages, Resolution::Classes] {
            let ending = ended(&case, resolution);
            if ending.arrived {
                // What changed since QEMU last knew its bandwidth, the device and the stale list.
                let most = limit_millis as f64 * 1.1 + 30.0;
                let stopped = ending.downtime.as_seconds_f64() * 1e3;
                prop_assert!(stopped <= most, "{resolution:?}: {ending:?}");
                prop_assert!(ending.transferred >= Bytes::mib(working_set.into()), "{ending:?}");
                let least = f64::from(working_set) / (cap as f64 * 1.05);
                prop_assert!(mode != Mode::PreCopy || seconds(&ending) >= least - 1.0);
            }
        }
    }
}
