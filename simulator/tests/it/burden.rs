//! What guests and migrations cost each other and their hosts.

use whimbrel_core::{
    Cluster, Snapshot,
    settings::MigrationSettings,
    units::{MilliCores, Span},
};
use whimbrel_simulator::{Physics, SimulationOptions, simulate};

use crate::{
    common::{empty_plan, scenario},
    physics::{HOSTS, arrives, capped, cluster, order, world},
};

#[test]
fn several_share_a_link_and_their_costs_are_their_hosts() {
    let snapshot = world();
    let time = |both: bool| {
        let mut cluster = cluster(&snapshot, Vec::new());
        let unlimited = MigrationSettings::default;
        if both {
            cluster.begin(&order(&snapshot, "a", unlimited())).unwrap();
        }
        arrives(&mut cluster, &order(&snapshot, "b", unlimited()), 60).total_time.as_seconds_f64()
    };
    let (alone, together) = (time(false), time(true));
    // 256 MiB over 117 MB/s are 2.3 s, twice that over half of it.
    assert!((1.5..2.8).contains(&(together - alone)), "{alone} and {together}");
}

#[test]
fn a_guest_that_gets_half_of_its_cpu_writes_half_as_fast() {
    let quiet = world();
    let mut busy = quiet.clone();
    for domain in &mut busy.domains {
        if domain.vm.as_str() == "b" {
            domain.cpu_used = Some(MilliCores::cores(3));
        }
    }
    // 60 MiB/s: 40 MiB/s written take many rounds, 20 only a few.
    let bytes = |snapshot: &Snapshot| {
        arrives(&mut cluster(snapshot, Vec::new()), &order(snapshot, "a", capped(60)), 100)
            .transferred
            .as_f64()
    };
    let (free, stolen) = (bytes(&quiet), bytes(&busy));
    assert!(stolen < free * 0.8, "{stolen} against {free}");
}

#[test]
fn steal_and_migrations_are_in_the_hosts_outcome() {
    let mut snapshot = world();
    for domain in &mut snapshot.domains {
        if domain.vm.as_str() == "b" {
            domain.cpu_used = Some(MilliCores::cores(3));
        }
    }
    let options = SimulationOptions { horizon: Span::from_seconds(60), ..Default::default() };
    let outcome = simulate(&empty_plan(), &snapshot, &options).unwrap();
    // 4 of 2 cores are asked for: everybody lacks half for a minute.
    let host = &outcome.hosts[0];
    let steal: Vec<f64> = host.steal_core_seconds.values().copied().collect();
    assert!((steal[0] - 30.0).abs() < 0.01 && (steal[1] - 90.0).abs() < 0.01, "{steal:?}");
    assert!((host.contention_core_seconds - 120.0).abs() < 0.01);
    assert!(host.migration_core_seconds.abs() < 1e-9);
    assert!(outcome.hosts[1].steal_core_seconds.is_empty());

    let moved = scenario(
        &HOSTS
            .replace(
                "moves = []",
                "[[plan.moves]]\nvm = \"a\"\nto = \"h2\"\nbandwidth_limit = \"90 MiB/s\"",
            )
            .replace("[plan]\n", ""),
    );
    let outcome = moved.run(|_, _| unreachable!()).unwrap().outcome;
    let gib = outcome.bytes_on_the_wire.as_f64() / f64::from(1 << 30);
    // The policy encrypts: what a core encrypts in a second costs a core-second.
    let stream = Physics::default().stream;
    let encrypting = f64::from(1 << 30) / stream.tls_stream.as_f64();
    let expected = gib * (stream.sender_core_seconds_a_gib + encrypting);
    for host in &outcome.hosts[..2] {
        let used = host.migration_core_seconds;
        assert!((used / expected - 1.0).abs() < 0.1, "{used} of {expected} for {gib} GiB");
    }
    assert!(outcome.hosts[2].migration_core_seconds.abs() < 1e-9);
}
