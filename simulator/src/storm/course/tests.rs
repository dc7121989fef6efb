//! Whole storms: verdicts, limits, resumption, and `SimGrid`'s figures.
//!
//! Never here: one guest's pages (`pages`).

use proptest::prelude::*;
use whimbrel_core::units::BytesPerSecond;

use super::*;
use crate::{
    physics::Physics,
    storm::{Figures, Model, Move, Orders, SimGrid, Star, run, star},
};

fn qemu() -> Model {
    Model::Qemu(Box::default())
}

fn simgrid() -> Model {
    Model::SimGrid(SimGrid::default())
}

fn small(model: Model, migrations: u32) -> Storm {
    star(Star { hosts: 12, guests: 40, migrations, in_flight: 5 }, model)
}

fn near(span: Span, seconds: f64) -> bool {
    (span.as_seconds_f64() / seconds - 1.0).abs() < 1e-3
}

/// The figures of `SimGrid` 4.1, and of 3.32, of the same storm: the same migrations were drawn.
#[test]
fn it_comes_to_what_simgrid_comes_to() {
    let one = |dirty_share| {
        let model = Model::SimGrid(SimGrid { dirty_share, ..SimGrid::default() });
        let mut storm = star(Star { hosts: 2, guests: 1, migrations: 1, in_flight: 1 }, model);
        storm.guests[0].memory = Bytes::mib(4096);
        let ended = run(&storm).unwrap().ended;
        (ended[0].duration(), ended[0].downtime)
    };
    let (duration, downtime) = one(0.2);
    assert!(near(duration, 5.1274) && near(downtime, 8.1793e-3), "{duration} {downtime}");
    let (duration, downtime) = one(0.0);
    assert!(near(duration, 4.0999) && near(downtime, 1.301e-3), "{duration} {downtime}");

    let size = Star { hosts: 200, guests: 1000, migrations: 1000, in_flight: 50 };
    let Figures { arrived, over_at, duration, downtime, .. } =
        run(&star(size, simgrid())).unwrap().figures();
    assert_eq!(arrived, 1000);
    assert!(near(over_at, 118.5923), "{over_at}");
    assert!(near(duration.mean, 5.622_361) && near(duration.p50, 5.614_731), "{duration:?}");
    assert!(near(duration.p99, 10.130_785), "{duration:?}");
    assert!(near(downtime.mean, 14.6104e-3) && near(downtime.p99, 30.5436e-3), "{downtime:?}");
}

/// Many streams over the same interfaces, in `SimGrid` 3.32 without cross traffic and with full
/// updates of its network (its lazy ones give streams that join others too much).
#[test]
fn it_shares_links_as_simgrid_does() {
    let size = Star { hosts: 200, guests: 1000, migrations: 200, in_flight: 50 };
    let mut storm = star(size, simgrid());
    storm.per_host = u32::MAX;
    storm.guests.iter_mut().for_each(|guest| guest.memory = Bytes::mib(4096));
    let Figures { arrived, duration, downtime, .. } = run(&storm).unwrap().figures();
    assert_eq!(arrived, 200);
    assert!(near(duration.mean, 8.253_041) && near(duration.p50, 5.127_387), "{duration:?}");
    assert!(near(duration.p99, 44.064_492), "{duration:?}");
    assert!(near(downtime.mean, 11.7784e-3) && near(downtime.p99, 29.9287e-3), "{downtime:?}");
}

#[test]
fn every_migration_of_a_crowded_storm_has_a_verdict() {
    for model in [simgrid(), qemu()] {
        let mut storm = small(model, 400);
        storm.in_flight = 40;
        storm.per_host = u32::MAX;
        storm.time_out = Span::from_seconds(40);
        let report = run(&storm).unwrap();
        let Figures { arrived, stalled, timed_out, .. } = report.figures();
        assert_eq!(arrived + stalled + timed_out, 400);
        assert!(arrived > 0 && stalled + timed_out > 0, "{arrived} {stalled} {timed_out}");
        for one in &report.ended {
            let long = one.verdict != Verdict::Arrived && one.duration() > storm.time_out;
            assert!(!long, "{one:?}");
        }
    }
}

#[test]
fn a_storm_costs_no_more_among_more_guests() {
    let events = |guests, model| {
        run(&star(Star { hosts: 40, guests, migrations: 200, in_flight: 15 }, model))
            .unwrap()
            .events
    };
    for model in [simgrid(), qemu()] {
        let (few, many) = (events(100, model.clone()), events(20_000, model));
        assert!(many < few * 11 / 10, "{few} {many}");
    }
}

/// Two streams over one uplink of their rack take twice as long as one.
#[test]
fn racks_and_the_migration_network_hold_streams() {
    let mut storm = small(qemu(), 0);
    storm.guests.truncate(2);
    for guest in &mut storm.guests {
        guest.memory = Bytes::mib(4096);
        guest.dirty.iter_mut().for_each(|reading| reading.unique = Bytes::new(0));
    }
    let sure = Physics {
        efficiency: crate::physics::RangeF64 { least: 1.0, most: 1.0 },
        ..Physics::default()
    };
    storm.model = Model::Qemu(Box::new(sure));
    storm.orders = Orders::Listed(vec![Move { guest: 0, to: 6 }, Move { guest: 1, to: 7 }]);
    let took = |storm: &Storm| run(storm).unwrap().figures().duration.mean.as_seconds_f64() - 1.3;
    let free = took(&storm);
    let half = BytesPerSecond::new(storm.bandwidth_limit.unwrap().get());
    let mut racked = storm.clone();
    racked.uplinks = vec![half];
    (0..6).for_each(|host| racked.hosts[host].rack = Some(0));
    assert!((took(&racked) / free - 2.0).abs() < 0.1, "{} {free}", took(&racked));
    storm.migration_network = Some(half);
    assert!((took(&storm) / free - 2.0).abs() < 0.1, "{} {free}", took(&storm));
}

#[test]
fn what_cannot_be_is_refused_with_its_place() {
    let error = |change: fn(&mut Storm)| {
        let mut storm = small(simgrid(), 1);
        change(&mut storm);
        run(&storm).unwrap_err().to_string()
    };
    assert_eq!(
        error(|storm| storm.guests[3].host = 12),
        "guest 3 names host 12, but there are 12 (hint: count from 0)"
    );
    assert!(error(|storm| storm.hosts[2].rack = Some(0)).starts_with("host 2 names rack 0"));
    assert!(error(|storm| storm.in_flight = 0).contains("in_flight takes 1 or more"));
    assert!(error(|storm| storm.time_out = Span::ZERO).contains("time_out takes more than 0 s"));
    let nan = |storm: &mut Storm| {
        storm.model = Model::SimGrid(SimGrid { dirty_share: f64::NAN, ..SimGrid::default() });
    };
    assert!(error(nan).contains("dirty_share takes 0 to 1"));
}

#[test]
fn where_nobody_can_go_anywhere_nothing_begins() {
    let alone = star(Star { hosts: 1, guests: 3, migrations: 7, in_flight: 2 }, qemu());
    let report = run(&alone).unwrap();
    assert_eq!((report.ended.len(), report.never_begun), (0, 7));
    let mut there = small(qemu(), 0);
    there.orders = Orders::Listed(vec![Move { guest: 4, to: 4 }]);
    assert_eq!(run(&there).unwrap().ended[0].verdict, Verdict::AlreadyThere);
}

proptest! {
    #[test]
    fn stopped_anywhere_written_and_read_it_ends_the_same(
        stops in prop::collection::btree_set(0..60_000_000_u64, 0..4),
        simgrids: bool,
        per_host in 1..4_u32,
        seed: u64,
    ) {
        let mut storm = small(if simgrids { simgrid() } else { qemu() }, 30);
        (storm.per_host, storm.seed, storm.in_flight) = (per_host, seed, 8);
        let whole = run(&storm).unwrap();
        let mut course = StormRun::new(&storm).unwrap();
        for stop in stops {
            course.run(&storm, Some(Span::from_micros(stop)));
            let written = serde_json::to_string(&course).unwrap();
            course = serde_json::from_str(&written).unwrap();
            prop_assert_eq!(serde_json::to_string(&course).unwrap(), written);
        }
        course.run(&storm, None);
        prop_assert!(course.is_over());
        prop_assert_eq!(
            serde_json::to_string(&course.report()).unwrap(),
            serde_json::to_string(&whole).unwrap()
        );
    }

    /// Listed migrations: everyone has its verdict once, nobody is in two places, and no host
    /// takes part in more than it may.
    #[test]
    fn limits_hold_and_nobody_is_forgotten(
        moves in prop::collection::vec((0..40_u32, 0..12_u32), 1..60),
        per_host in 1..4_u32,
        in_flight in 1..12_u32,
    ) {
        let mut storm = small(qemu(), 0);
        let moves: Vec<Move> = moves.into_iter().map(|(guest, to)| Move { guest, to }).collect();
        storm.orders = Orders::Listed(moves.clone());
        (storm.per_host, storm.in_flight) = (per_host, in_flight);
        let report = run(&storm).unwrap();
        prop_assert_eq!(report.never_begun, 0);
        let mut numbers: Vec<u32> = report.ended.iter().map(|one| one.number).collect();
        numbers.sort_unstable();
        prop_assert_eq!(numbers, (0..moves.len() as u32).collect::<Vec<_>>());
        let moved = |one: &&Ended| one.verdict != Verdict::AlreadyThere;
        for one in report.ended.iter().filter(moved) {
            let also = |other: &&Ended| {
                moved(other) && other.begun_at <= one.begun_at && other.ended_at > one.begun_at
            };
            let running: Vec<&Ended> = report.ended.iter().filter(also).collect();
            prop_assert!(running.len() <= in_flight as usize);
            prop_assert_eq!(running.iter().filter(|other| other.guest == one.guest).count(), 1);
            for host in [one.from, one.to] {
                let on = running.iter().filter(|other| other.from == host || other.to == host);
                prop_assert!(on.count() <= per_host as usize);
            }
        }
        let mut places: Vec<u32> = storm.guests.iter().map(|guest| guest.host).collect();
        for one in &report.ended {
            prop_assert_eq!(places[one.guest as usize], one.from);
            if one.verdict == Verdict::Arrived {
                places[one.guest as usize] = one.to;
            }
        }
        prop_assert_eq!(places, report.places);
    }
}
