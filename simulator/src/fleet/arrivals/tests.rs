//! Traces on a fleet, held against a plain loop over all hosts and guests.
//!
//! Never here: the index (`room`).

use proptest::prelude::*;
use whimbrel_core::units::{Bytes, MilliCores};

use super::*;

fn size(cores: u64) -> Size {
    Size { cpu: MilliCores::cores(cores), memory: Bytes::mib(cores) }
}

fn life(guest: u32, second: u64, cores: u64, stays: Option<u64>) -> Life {
    let (begins, stays) = (Span::from_seconds(second), stays.map(Span::from_seconds));
    Life { guest, begins, stays, size: size(cores) }
}

#[test]
fn who_finds_no_room_waits_until_somebody_leaves() {
    let trace = [
        life(0, 0, 4, Some(10)),
        life(1, 1, 4, Some(10)),
        life(2, 2, 3, None),
        life(3, 3, 9, None),
        life(4, 4, 1, None),
    ];
    let end = Span::from_seconds(20);
    let filling = fill(vec![size(4), size(4)], &trace, Fit::First, end).unwrap();
    assert_eq!((filling.placed, filling.waited, filling.never_placed), (4, 2, 1));
    assert_eq!((filling.guests_peak, filling.hosts_peak, filling.events), (3, 2, 9));
    // 4 cores for 1 s, 8 for 10 s and 4 for 9 s.
    assert!((filling.cpu_taken - 120.0 / 160.0).abs() < 1e-9, "{}", filling.cpu_taken);
}

#[test]
fn nobody_arrives_or_there_is_nowhere_to_go() {
    let end = Span::from_seconds(20);
    let empty = fill(vec![size(4)], &[], Fit::Best, end).unwrap();
    assert_eq!(empty, Filling::default());
    let nowhere = fill(Vec::new(), &[life(0, 0, 1, None)], Fit::Best, end).unwrap();
    assert_eq!((nowhere.placed, nowhere.never_placed), (0, 1));
}

#[test]
fn a_trace_out_of_order_is_refused_with_its_place() {
    let trace = [life(0, 5, 1, None), life(1, 4, 1, None)];
    let error = fill(vec![size(4)], &trace, Fit::Best, Span::ZERO).unwrap_err();
    assert!(error.to_string().starts_with("life 1 of the trace begins at 4"), "{error}");
}

/// Who was placed when, in the order in which it happened, by looking at every host for every guest
/// that waits at every event.
fn plain(hosts: &[Size], lives: &[Life], end: Span) -> Vec<(Span, usize)> {
    let mut left = hosts.to_vec();
    let mut waiting: Vec<usize> = Vec::new();
    // Time, sequence, life, and the host that it leaves.
    let mut agenda = vec![(lives[0].begins, 0, 0, None)];
    let (mut sequence, mut placed) = (1, Vec::new());
    while let Some(at) = (0..agenda.len()).min_by_key(|at| (agenda[*at].0, agenda[*at].1)) {
        let (now, _, index, host) = agenda.swap_remove(at);
        if now > end {
            break;
        }
        if let Some(host) = host {
            left[host] = more(left[host], lives[index].size);
        } else {
            waiting.push(index);
            if index + 1 < lives.len() {
                agenda.push((lives[index + 1].begins, sequence, index + 1, None));
                sequence += 1;
            }
        }
        waiting.retain(|&index| {
            let need = lives[index].size;
            let best = (0..hosts.len())
                .filter(|host| holds(left[*host], need))
                .min_by_key(|host| (left[*host].cpu, left[*host].memory, *host));
            let Some(host) = best else { return true };
            left[host] = less(left[host], need);
            placed.push((now, index));
            if let Some(stays) = lives[index].stays {
                agenda.push((now + stays, sequence, index, Some(host)));
                sequence += 1;
            }
            false
        });
    }
    placed
}

/// Up to 40 guests, many of whom wait when there are few hosts.
fn traces() -> impl Strategy<Value = Vec<Life>> {
    let one = (0..6_u64, 1..6_u64, prop::option::weighted(0.9, 0..30_u64));
    prop::collection::vec(one, 1..40).prop_map(|lives| {
        let mut begins = 0;
        let made = lives.into_iter().enumerate().map(|(guest, (gap, cores, stays))| {
            begins += gap;
            life(guest as u32, begins, cores, stays)
        });
        made.collect()
    })
}

proptest! {
    #[test]
    fn a_trace_ends_as_a_plain_loop_ends_it(lives in traces()) {
        let hosts = [size(8), size(4), size(6)];
        let end = Span::from_seconds(600);
        let filling = fill(hosts.to_vec(), &lives, Fit::Best, end).unwrap();
        let placed = plain(&hosts, &lives, end);
        let waited = placed.iter().filter(|(at, index)| *at > lives[*index].begins).count();
        prop_assert_eq!(filling.placed, placed.len() as u64);
        prop_assert!(filling.waited >= waited as u64);
        let cores: f64 = placed
            .iter()
            .map(|(at, index)| {
                let whole = end.saturating_sub(*at);
                let stays = lives[*index].stays.map_or(whole, |stays| stays.min(whole));
                lives[*index].size.cpu.as_cores_f64() * stays.as_seconds_f64()
            })
            .sum();
        prop_assert!((filling.cpu_taken * 18.0 * 600.0 - cores).abs() <= 1e-6 * cores);
    }

    #[test]
    fn stopped_anywhere_written_and_read_it_ends_the_same(
        lives in traces(),
        stops in prop::collection::btree_set(0..500_000_000_u64, 0..4),
        fit in prop_oneof![Just(Fit::First), Just(Fit::Best), Just(Fit::Worst)],
    ) {
        let hosts = vec![size(8), size(4), size(6)];
        let end = Span::from_seconds(600);
        let mut fleet = Fleet::new(hosts.clone(), &lives, fit).unwrap();
        for stop in stops {
            fleet.run(&lives, Span::from_micros(stop));
            let written = serde_json::to_string(&fleet).unwrap();
            fleet = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(serde_json::to_string(&fleet).unwrap(), written);
        }
        fleet.run(&lives, end);
        prop_assert_eq!(fleet.finish(end), fill(hosts, &lives, fit, end).unwrap());
    }
}
