//! What the replay promises, whatever the migration.

use proptest::prelude::*;
use whimbrel_core::{
    settings::{QemuVersion, Throttle},
    units::{Bytes, BytesPerSecond, Share, Span},
};

use super::{
    AutoConverge, Encoding, Method, Migration, PostCopy, Replay, Verdict, replay, replay_shared,
    stall,
};
use crate::curve::{Access, Class, DirtyCurve};

const MIB: f64 = 1_048_576.0;

/// 184 MiB with content over 60 MiB/s with 300 ms: T = 18 MiB, 6 MiB a quantum.
pub(super) fn migration() -> Migration {
    Migration {
        zeros_last: Share::clamped(0.0),
        queue: Bytes::new(1_572_864),
        non_zero: Bytes::mib(184),
        zero: Bytes::ZERO,
        stream: BytesPerSecond::mib(60),
        line: BytesPerSecond::mib(200),
        capped: true,
        downtime_limit: Span::from_millis(300),
        method: Method::PreCopy,
        encoding: Encoding::Plain,
        channels: 1,
        qemu: QemuVersion::new(10, 0),
        patience: Span::from_seconds(86_400),
    }
}

pub(super) fn auto_converge(initial: u8, step: u8, cpu_need: f64) -> Method {
    let throttle = Throttle { initial_percent: initial, increment_percent: step };
    Method::AutoConverge(AutoConverge { throttle, cpu_need: Share::clamped(cpu_need) })
}

pub(super) fn post_copy(reads: u32, background: BytesPerSecond) -> Method {
    let fault_wait = Span::from_micros(300);
    Method::PostCopy(PostCopy { reads, background, vcpus: 1, fault_wait })
}

pub(super) fn sweep(rate_mib: u64) -> DirtyCurve {
    DirtyCurve::sweep(BytesPerSecond::mib(rate_mib), Bytes::mib(128))
}

#[test]
fn a_still_guest_is_sent_once_and_switched_before_the_end() {
    let run = replay(&migration(), &DirtyCurve::still());
    assert_eq!(run.verdict, Verdict::SwitchedOver);
    // 28 quanta leave less than 18 MiB; setup, the end of the pass and the switch read the
    // bitmap.
    assert_eq!(run.copying.rounded(), Span::from_millis(2800));
    assert_eq!(run.iterations, 3);
    let wire = 184.0 * 4104.0 / 4096.0;
    assert!((run.transferred.as_f64() / MIB - wire).abs() < 0.01);
}

#[test]
fn the_stall_is_the_fixed_point() {
    // Faster than the stream until all 128 MiB are dirty: U(t) = 30 t at t = 128 / 30 s.
    let slow = Migration { stream: BytesPerSecond::mib(30), ..migration() };
    let stall = stall(&slow, &sweep(50)).unwrap();
    assert!((4.0..4.5).contains(&stall.round.as_seconds_f64()), "{stall:?}");
    assert!((118.0..130.0).contains(&(stall.remaining.as_f64() / MIB)), "{stall:?}");
    let enough = Migration { downtime_limit: stall.downtime_limit_needed, ..slow };
    assert!(replay(&enough, &sweep(50)).converged());
    let short = Span::from_micros(stall.downtime_limit_needed.as_micros() * 97 / 100);
    assert!(!replay(&Migration { downtime_limit: short, ..slow }, &sweep(50)).converged());
}

#[test]
fn patience_ends_a_replay_on_the_second() {
    let patience = Span::from_seconds(5);
    let slow = Migration { stream: BytesPerSecond::mib(30), patience, ..migration() };
    let run = replay(&slow, &sweep(50));
    assert_eq!((run.verdict, run.copying), (Verdict::OutOfPatience, patience));
    assert!((run.transferred.as_f64() / MIB - 150.0).abs() < 1.0, "{run:?}");
}

#[test]
fn equality_is_enough_for_newer_versions_only() {
    // Writes 6 MiB a quantum into 6 MiB: the rest stays at what a limit of 100 ms allows.
    let curve = DirtyCurve::bounded(
        vec![Class { size_bytes: 6.0 * MIB, period_seconds: 0.05, access: Access::Sweep }],
        Bytes::mib(6),
    );
    let limit = 6.0 * 4104.0 / 4096.0 / 60.0;
    let at = |qemu, millionths: f64| {
        let downtime_limit = Span::from_seconds_f64(limit + millionths * 1e-6);
        replay(&Migration { downtime_limit, qemu, ..migration() }, &curve).converged()
    };
    assert!(at(QemuVersion::new(10, 0), 2000.0) && at(QemuVersion::new(10, 2), 2000.0));
    assert!(!at(QemuVersion::new(10, 0), -2000.0) && !at(QemuVersion::new(10, 2), -2000.0));
}

#[test]
fn a_throttle_without_need_of_cpu_does_nothing_until_it_bites() {
    let slow = Migration { stream: BytesPerSecond::mib(30), ..migration() };
    let need = |cpu_need| {
        let method = auto_converge(20, 10, cpu_need);
        replay(&Migration { method, ..slow }, &sweep(50))
    };
    let (bound, paced) = (need(1.0), need(0.05));
    assert!(bound.converged() && paced.converged(), "{bound:?} {paced:?}");
    assert!(bound.copying < paced.copying);
    assert!(bound.throttle_percent < paced.throttle_percent);
    assert_eq!(paced.throttle_percent, 99);
    assert!(paced.slowed < paced.throttled && bound.slowed.get() > 0.0);
}

#[test]
fn the_timer_of_newer_versions_throttles_during_long_rounds() {
    // Rounds of 17 s.
    let curve = DirtyCurve::sweep(BytesPerSecond::mib(50), Bytes::mib(1024));
    let slow = Migration { method: auto_converge(20, 10, 1.0), ..migration() };
    let with = |major, minor| {
        let qemu = QemuVersion::new(major, minor);
        replay(&Migration { qemu, non_zero: Bytes::mib(1100), ..slow }, &curve)
    };
    let (old, new) = (with(9, 1), with(9, 2));
    assert!(new.converged() && new.copying < old.copying, "{old:?} {new:?}");
}

#[test]
fn xbzrle_resends_whole_once_and_then_differences() {
    let encoding = |cache| Encoding::Delta { cache: Bytes::mib(cache), delta_bytes: 8.0 };
    let slow = Migration { stream: BytesPerSecond::mib(30), ..migration() };
    let with = |cache| {
        replay(&Migration { encoding: encoding(cache), zero: Bytes::mib(72), ..slow }, &sweep(50))
    };
    let (all, half) = (with(128), with(64));
    assert!(all.converged());
    // The first pass and what it left whole, then next to nothing.
    assert!((300.0..370.0).contains(&(all.transferred.as_f64() / MIB)), "{all:?}");
    assert!(half.transferred > all.transferred);
    assert!(!replay(&slow, &sweep(50)).converged());
}

#[test]
fn compression_is_bound_by_the_wire_or_by_the_cpu() {
    let with = |mib| Migration {
        encoding: Encoding::Stream { ratio: 0.5, page_bytes_per_second: BytesPerSecond::mib(mib) },
        channels: 2,
        qemu: QemuVersion::new(8, 1),
        capped: false,
        ..migration()
    };
    let (fast, slow) =
        (replay(&with(1000), &DirtyCurve::still()), replay(&with(20), &DirtyCurve::still()));
    assert!((fast.transferred.as_f64() / MIB - 92.0).abs() < 1.0, "{fast:?}");
    assert!((1.3..1.6).contains(&fast.copying.as_seconds_f64()), "{fast:?}");
    assert!((4.0..4.7).contains(&slow.copying.as_seconds_f64()), "{slow:?}");
}

#[test]
fn equal_parties_take_as_long_as_all_their_bytes_over_the_link() {
    let curve = DirtyCurve::still();
    let party = Migration { capped: false, ..migration() };
    let runs = replay_shared(&[(party, &curve); 4], BytesPerSecond::mib(60));
    let alone = replay(&Migration { line: party.stream, ..party }, &curve);
    for run in &runs {
        let factor = run.copying.as_seconds_f64() / alone.copying.as_seconds_f64();
        assert!((3.9..4.4).contains(&factor), "{factor}");
    }
}

#[test]
fn whoever_ends_makes_room_and_caps_leave_room() {
    let curve = DirtyCurve::still();
    let large = Migration { non_zero: Bytes::mib(600), capped: false, ..migration() };
    let small = Migration { non_zero: Bytes::mib(60), ..large };
    let link = BytesPerSecond::mib(60);
    let runs = replay_shared(&[(large, &curve), (small, &curve)], link);
    // 660 MiB over 60 MiB/s.
    let [long, short] = runs.as_slice() else { panic!("{runs:?}") };
    assert!((10.5..11.2).contains(&long.total().as_seconds_f64()), "{long:?}");
    assert!((1.7..2.3).contains(&short.total().as_seconds_f64()), "{short:?}");
    let tame = Migration { capped: true, stream: BytesPerSecond::mib(10), ..small };
    let runs = replay_shared(&[(large, &curve), (tame, &curve)], link);
    assert!((10.8..11.4).contains(&runs[0].total().as_seconds_f64()), "{runs:?}");
    assert!(replay_shared(&[], link).is_empty());
}

fn any_method() -> impl Strategy<Value = Method> {
    prop_oneof![
        Just(Method::PreCopy),
        (0u8.., 0u8.., 0.0..1.0f64).prop_map(|(a, b, need)| auto_converge(a, b, need)),
        (0u32..5, 0u64..1 << 36)
            .prop_map(|(reads, rate)| post_copy(reads, BytesPerSecond::new(rate))),
    ]
}

fn any_encoding() -> impl Strategy<Value = Encoding> {
    prop_oneof![
        Just(Encoding::Plain),
        (0u64..1 << 36, 0.0..5000.0f64).prop_map(|(cache, delta_bytes)| Encoding::Delta {
            cache: Bytes::new(cache),
            delta_bytes
        }),
        (0.0..2.0f64, 0u64..1 << 36).prop_map(|(ratio, rate)| Encoding::Stream {
            ratio,
            page_bytes_per_second: BytesPerSecond::new(rate)
        }),
    ]
}

prop_compose! {
    fn any_migration()(
        non_zero in 0u64..1 << 40, zero in 0u64..1 << 40,
        stream in 0u64..1 << 36, line in 0u64..1 << 36, capped in any::<bool>(),
        limit in 0u64..10_000, method in any_method(), encoding in any_encoding(),
        channels in 0u8.., minor in 0u16..3, hours in 0u64..1000,
    ) -> Migration {
        Migration {
            zeros_last: Share::clamped(0.3),
            queue: Bytes::mib(1),
            non_zero: Bytes::new(non_zero),
            zero: Bytes::new(zero),
            stream: BytesPerSecond::new(stream),
            line: BytesPerSecond::new(line),
            capped,
            downtime_limit: Span::from_millis(limit),
            method,
            encoding,
            channels,
            qemu: QemuVersion::new(10, minor),
            patience: Span::from_seconds(hours * 3600),
        }
    }
}

prop_compose! {
    fn any_curve()(
        classes in prop::collection::vec((1.0..1e12f64, 1e-3..1e4f64, any::<bool>()), 0..5),
        ceiling in 0u64..1 << 40,
    ) -> DirtyCurve {
        let class = |(size_bytes, period_seconds, random)| {
            let access = if random { Access::Random } else { Access::Sweep };
            Class { size_bytes, period_seconds, access }
        };
        DirtyCurve::bounded(classes.into_iter().map(class).collect(), Bytes::new(ceiling))
    }
}

/// A guest that rewrites `mib` of its 184 MiB once every `millis`.
fn small_curve() -> impl Strategy<Value = DirtyCurve> {
    (1u64..150, 10u64..60_000, any::<bool>()).prop_map(|(mib, millis, random)| {
        let access = if random { Access::Random } else { Access::Sweep };
        let period_seconds = millis as f64 / 1e3;
        let size_bytes = mib as f64 * MIB;
        DirtyCurve::bounded(vec![Class { size_bytes, period_seconds, access }], Bytes::mib(184))
    })
}

fn seconds(run: &Replay) -> f64 {
    run.total().as_seconds_f64()
}

proptest! {
    #[test]
    fn any_migration_ends_with_sound_figures(migration in any_migration(), curve in any_curve()) {
        let run = replay(&migration, &curve);
        prop_assert!(run.iterations >= 1);
        prop_assert_eq!(run.converged(), matches!(run.verdict, Verdict::SwitchedOver | Verdict::PostCopied));
        let whole = matches!(migration.encoding, Encoding::Plain);
        if run.converged() && whole {
            prop_assert!(run.transferred >= migration.non_zero, "{:?}", run);
        }
        prop_assert!(run.copying <= migration.patience);
        if run.verdict == Verdict::SwitchedOver && whole && migration.capped {
            let rest = run.stopped.as_seconds_f64() * migration.line.as_f64().max(1.0);
            let stream = migration.stream.as_f64().max(1.0) + 136.0 * 5.3e6 * f64::from(migration.channels);
            let threshold = stream * migration.downtime_limit.as_seconds_f64();
            prop_assert!(rest <= threshold * 1.01 + migration.line.as_f64() * 1e-6 + 8192.0);
        }
        prop_assert_eq!(run, replay(&migration, &curve));
    }

    #[test]
    fn post_copy_always_ends(
        curve in small_curve(), reads in 0u32..40, rate in 1u64..200, background in 1u64..200,
    ) {
        let method = post_copy(reads, BytesPerSecond::mib(background));
        let run = replay(
            &Migration { method, stream: BytesPerSecond::mib(rate), ..migration() }, &curve,
        );
        prop_assert!(run.converged(), "{:?}", run);
        let bound = 184.0 / background as f64 + 1.0;
        prop_assert!(run.post_copy.as_seconds_f64() < bound, "{:?}", run);
    }

    #[test]
    fn more_bandwidth_never_takes_longer_by_more_than_the_grid(
        curve in small_curve(), rate in 5u64..150, more in 1u64..100,
    ) {
        let with = |mib| {
            replay(&Migration { stream: BytesPerSecond::mib(mib), ..migration() }, &curve)
        };
        let (slow, fast) = (with(rate), with(rate + more));
        if slow.converged() {
            prop_assert!(fast.converged());
            // Rounds end on quanta: a faster stream may need a few short rounds more.
            prop_assert!(seconds(&fast) <= seconds(&slow) * 1.05 + 0.5, "{:?} {:?}", slow, fast);
        }
    }

    #[test]
    fn a_higher_downtime_limit_never_hangs_where_a_lower_one_switched(
        curve in small_curve(), limit in 10u64..2000, more in 1u64..2000,
    ) {
        let with = |millis| {
            replay(&Migration { downtime_limit: Span::from_millis(millis), ..migration() }, &curve)
        };
        let (low, high) = (with(limit), with(limit + more));
        if low.converged() {
            prop_assert!(high.converged());
            prop_assert!(seconds(&high) <= seconds(&low) * 1.05 + 0.5, "{:?} {:?}", low, high);
        }
    }

    #[test]
    fn auto_converge_ends_where_pre_copy_does_and_not_later(
        curve in small_curve(), rate in 5u64..100, need in 0.05..1.0f64,
    ) {
        let plain = Migration { stream: BytesPerSecond::mib(rate), ..migration() };
        let helped = Migration { method: auto_converge(20, 10, need), ..plain };
        let (plain, helped) = (replay(&plain, &curve), replay(&helped, &curve));
        if plain.converged() {
            prop_assert!(helped.converged());
            prop_assert!(seconds(&helped) <= seconds(&plain) * 1.05 + 0.5, "{:?} {:?}", plain, helped);
        }
    }
}
