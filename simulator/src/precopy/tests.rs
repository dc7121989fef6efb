//! The rule against the laboratory's figures.

use whimbrel_core::{cluster::DirtyReading, units::Timestamp};

use super::*;

const MIB: f64 = 1_048_576.0;

/// The lab guest: 256 MiB, 184 MiB with content, 128 MiB rewritten in order.
fn guest(writes_mib_per_second: f64) -> GuestMemory {
    let windows: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0];
    let reading = |seconds: &f64| DirtyReading {
        window: Span::from_seconds_f64(*seconds),
        unique: Bytes::new(((writes_mib_per_second * seconds).min(128.0) * MIB) as u64),
        measured_at: Timestamp::default(),
    };
    let readings: Vec<DirtyReading> = windows.iter().map(reading).collect();
    let idle = BytesPerSecond::ZERO;
    GuestMemory::new(Bytes::mib(256), Some(Bytes::mib(184)), &readings, idle)
}

/// Seconds until the switch-over and syncs until then; `None` when it does not come in 120 s.
fn copy(writes: f64, rate_mib_per_second: f64) -> Option<(f64, PreCopy)> {
    let rate = rate_mib_per_second * MIB;
    let limit = Span::from_millis(300);
    let mut copy = PreCopy::new(&guest(writes), limit, &Physics::default());
    let mut elapsed = Span::ZERO;
    while elapsed < Span::from_seconds(120) {
        let step = copy.next_check(rate).unwrap();
        copy.advance(step, rate);
        elapsed += step;
        if copy.switches_over(rate) {
            return Some((elapsed.as_seconds_f64(), copy));
        }
    }
    None
}

#[test]
fn an_idle_guest_costs_its_content_once() {
    let (seconds, mut copy) = copy(0.0, 30.0).unwrap();
    assert!((5.6..6.4).contains(&seconds), "{seconds}");
    let pause = copy.finish(100.0 * MIB).as_seconds_f64();
    assert!(pause < 0.1, "{pause}");
    assert_eq!(copy.syncs(), 2);
    assert_eq!(copy.pages_sent(), (184 * 256, 72 * 256));
    assert_eq!(copy.remaining(), Bytes::ZERO);
}

/// Lab: QEMU 10.0.2, total less 1.3 s of preparation; iterations 14 and 23.
#[test]
fn busy_guests_take_the_times_and_rounds_of_the_lab() {
    for (writes, rate, seconds, syncs) in
        [(20.0, 30.0, 17.5, 14), (20.0, 60.0, 4.4, 6), (50.0, 60.0, 13.8, 23)]
    {
        let (took, copy) = copy(writes, rate).unwrap();
        println!(
            "D={writes} R={rate}: {took:.1} s, {} syncs, {}",
            copy.syncs(),
            copy.transferred().human()
        );
        assert!((took / seconds - 1.0).abs() < 0.2, "D={writes} R={rate}: {took} s");
        assert!(copy.syncs().abs_diff(syncs) <= syncs / 3, "{} syncs", copy.syncs());
    }
    assert!(copy(50.0, 30.0).is_none());
}

#[test]
fn nothing_is_decided_while_nothing_flows() {
    let mut copy = PreCopy::new(&guest(20.0), Span::from_millis(300), &Physics::default());
    assert_eq!(copy.next_check(0.0), None);
    let before = copy.remaining();
    copy.advance(Span::from_seconds(5), 0.0);
    assert!(!copy.switches_over(0.0));
    assert_eq!(copy.remaining(), before);
}

#[test]
fn a_new_way_of_writing_keeps_what_is_pending() {
    let mut copy = PreCopy::new(&guest(20.0), Span::from_millis(300), &Physics::default());
    copy.advance(Span::from_seconds(3), 30.0 * MIB);
    let before = copy.remaining().as_f64();
    for writes in [50.0, 0.0, 5.0] {
        copy.rewrite(&guest(writes));
        assert!((copy.remaining().as_f64() / before - 1.0).abs() < 0.01);
    }
}
