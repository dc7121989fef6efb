//! Measurements of QEMU 10.0.2 under libvirt 9.0 and 11.3: a guest of 256 MiB, 184 MiB of it with
//! content, that rewrites 128 MiB of it in order, at a downtime limit of 300 ms.

use std::fmt::Write as _;

use whimbrel_core::{migration::MoveState, units::Span};

use crate::common::scenario;

/// Total time and iterations with writes of `d` and a cap of `r`, in MiB/s, under one seed; `None`
/// when the migration does not end within two minutes.
fn migrate(d: u64, r: u64, seed: u64) -> Option<(f64, u64)> {
    let mut text = format!("intent = \"Laboratory.\"\nseed = {seed}\n");
    text += r#"
        [host]
        h1 = { cpu = "2 cores", memory = "1 GiB", bandwidth = "100 MiB/s" }
        h2 = { cpu = "2 cores", memory = "1 GiB", bandwidth = "100 MiB/s" }
        [domain.guest]
        host = "h1"
        memory = "256 MiB"
        resident = "184 MiB"
        dirty = [
    "#;
    for window in [1, 2, 4, 8, 16] {
        let unique = (d * window).min(128);
        writeln!(text, "{{ window = \"{window} s\", unique = \"{unique} MiB\" }},").unwrap();
    }
    write!(
        text,
        "]\n[[plan.moves]]\nvm = \"guest\"\nto = \"h2\"\nbandwidth_limit = \"{r} MiB/s\"\n\
         timeout = \"2 min\"\n[expect]\n"
    )
    .unwrap();
    let outcome = scenario(&text).run(|_, _| unreachable!()).unwrap().outcome;
    assert!(outcome.violations.is_empty());
    let one = &outcome.execution.moves[0];
    if one.state == MoveState::Cancelled {
        return None;
    }
    let stats = one.stats.unwrap();
    assert!(stats.downtime < Span::from_millis(400), "{:?}", stats.downtime);
    Some((stats.total_time.as_seconds_f64(), stats.iterations))
}

#[test]
fn totals_are_those_of_the_lab_within_a_fifth() {
    for (d, r, least, most) in
        [(0, 30, 7.6, 7.6), (20, 30, 18.8, 19.3), (20, 60, 5.0, 6.3), (50, 60, 14.9, 15.3)]
    {
        for seed in 1..=5 {
            let (total, iterations) = migrate(d, r, seed).unwrap();
            println!("D={d} R={r} seed={seed}: {total:.1} s, {iterations} iterations");
            assert!(total > least * 0.8 && total < most * 1.2, "D={d} R={r}: {total} s");
        }
    }
}

#[test]
fn what_never_ended_in_the_lab_does_not_end_here() {
    for seed in 1..=5 {
        assert_eq!(migrate(50, 30, seed), None);
    }
}
