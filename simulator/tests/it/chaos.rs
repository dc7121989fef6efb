//! Whatever goes wrong, whenever: no guest is lost or doubled, no room is exceeded, and every move
//! comes to an end.

use proptest::{prelude::*, test_runner::RngSeed};
use whimbrel_core::{
    ids::{HostId, VmId},
    units::{Bytes, BytesPerSecond, Span},
};
use whimbrel_simulator::{
    Change, Death, Fault, FaultRates, Plane, Restart, Scenario, replay_command,
};

use crate::common::{first_fit, scenario};

fn moment() -> impl Strategy<Value = Span> {
    (0u64..60_000).prop_map(Span::from_millis)
}

fn planes() -> impl Strategy<Value = Vec<Plane>> {
    prop::sample::subsequence(Plane::ALL.to_vec(), 1..=3)
}

fn fault() -> impl Strategy<Value = Fault> {
    let host = prop::sample::select(vec!["h1", "h2", "h3"]);
    let vm = prop::sample::select(vec!["web", "cache", "batch"]);
    let lasts = prop::option::of(moment());
    (0..12, moment(), host, vm, planes(), lasts).prop_map(
        |(kind, at, host, vm, networks, lasts)| {
            let (host, vm) = (host.parse().unwrap(), vm.parse().unwrap());
            let groups = || vec![vec!["h1".parse().unwrap()], vec!["h3".parse().unwrap()]];
            match kind {
                0 => Fault::PowerCut { at, host },
                1 => Fault::LinkCut { at, host, networks, lasts },
                2 => Fault::SlowLink { at, host, bandwidth: BytesPerSecond::mib(3), lasts },
                3 => Fault::RefuseMigration { at, vm },
                4 => Fault::HostCrash { at, host, returns: lasts },
                5 => Fault::Partition { at, groups: groups(), networks, lasts },
                6 => Fault::DaemonHang { at, host, lasts },
                7 => Fault::RefuseArrivals { at, host, lasts },
                8 => Fault::StaleReadings { at, host, age: Span::from_seconds(12), lasts },
                9 => Fault::CephOutage { at, lasts: lasts.or(Some(Span::from_seconds(90))) },
                10 => Fault::SlowCeph { at, delay: Span::from_seconds(8), lasts },
                _ => Fault::StuckMigration { at, vm },
            }
        },
    )
}

/// What people do; a guest that arrives is the first of its name.
fn event() -> impl Strategy<Value = Change> {
    let host = prop::sample::select(vec!["h1", "h2", "h3"]);
    let vm = prop::sample::select(vec!["web", "cache", "batch", "other"]);
    (0..4, moment(), host, vm, 1u64..3000).prop_map(|(kind, at, host, vm, mib)| {
        let (host, vm): (HostId, VmId) = (host.parse().unwrap(), vm.parse().unwrap());
        let memory = Bytes::mib(mib);
        match kind {
            0 => {
                let text = format!("host = \"{host}\"\nmemory = \"{mib} MiB\"");
                let domain = toml::from_str(&text).unwrap();
                let vm = format!("new-{}", at.as_micros()).parse().unwrap();
                Change::Arrives { at, vm, domain }
            }
            1 => Change::Resized { at, vm, memory: Some(memory), vcpus: None, cpu: None },
            2 => Change::Leaves { at, vm },
            _ => Change::ShutsDown { at, host },
        }
    })
}

fn restart() -> impl Strategy<Value = Restart> {
    (moment(), moment()).prop_map(|(at, away)| Restart { dies: Death::At(at), away })
}

/// Whether something that will pass keeps a guest in its switch-over: past the point of no return
/// a move stays open as long as that lasts.
fn all_pass(fault: &Fault) -> bool {
    let for_good = fault.lasts().is_none();
    let cuts =
        matches!(fault, Fault::LinkCut { .. } | Fault::Partition { .. } | Fault::DaemonHang { .. });
    !(cuts && for_good)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 768,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn nothing_that_must_never_happen_happens(
        seed in 0u64..1000,
        fault in prop::collection::vec(fault(), 0..6),
        restart in prop::collection::vec(restart(), 0..3),
        event in prop::collection::vec(event(), 0..3),
        period in prop::sample::select(vec![0, 1000, 4000]),
    ) {
        let calm = scenario(include_str!("../../../tests/scenarios/plain-drain.toml"));
        let horizon = Span::from_seconds(3600);
        let may_stay_open = !fault.iter().all(all_pass);
        let mut rough = Scenario { seed, fault, restart, event, horizon, ..calm };
        rough.physics.collection_period = Span::from_millis(period);
        let outcome = rough.run(first_fit).unwrap().outcome;
        prop_assert!(outcome.violations.is_empty(), "{:#?}", outcome.violations);
        prop_assert!(
            outcome.execution.ended || may_stay_open,
            "{:#?}",
            outcome.execution.moves
        );
    }
}

/// Every kind of fault, often.
fn storm() -> FaultRates {
    FaultRates {
        host_crash: 3.0,
        power_cut: 1.0,
        management_cut: 10.0,
        migration_cut: 10.0,
        storage_cut: 10.0,
        link_cut: 10.0,
        slow_link: 10.0,
        daemon_hang: 10.0,
        refuse_arrivals: 10.0,
        stale_readings: 10.0,
        bmc_failure: 5.0,
        refuse_migration: 1.0,
        stuck_migration: 1.0,
        lying_readings: 5.0,
        partition: 10.0,
        ceph_outage: 5.0,
        slow_ceph: 10.0,
        controller_restart: 30.0,
        ..FaultRates::default()
    }
}

#[test]
fn no_seed_of_a_storm_breaks_anything() {
    let file = "tests/scenarios/plain-drain.toml";
    let calm = scenario(include_str!("../../../tests/scenarios/plain-drain.toml"));
    let mut struck = 0;
    for seed in 0..400 {
        let horizon = Span::from_seconds(1800);
        let rough = Scenario { seed, horizon, fault_rates: storm(), ..calm.clone() };
        let outcome = rough.run(first_fit).unwrap().outcome;
        let replay = replay_command(file, &outcome);
        assert_eq!(outcome.violations, [], "{replay}\n{:#?}", outcome.faults);
        assert!(outcome.execution.ended, "{replay}\n{:#?}", outcome.execution.moves);
        struck += outcome.faults.len();
    }
    assert!(struck > 400 * 50, "{struck} faults");
}
