//! Each breach, made by hand in the truth.

use proptest::prelude::*;
use whimbrel_core::{
    Cluster,
    cluster::HostState,
    ports::{Order, Power},
    settings::MigrationSettings,
    units::{MilliCores, Span},
};

use super::*;
use crate::cluster::ClusterOptions;

const NAMES: [&str; 3] = ["h1", "h2", "h3"];

/// Three hosts of 1 GiB and 2 cores; a with 512 MiB on h1, b with 256 MiB on h2.
fn cluster() -> SimCluster {
    let now = Timestamp::from_micros(1_000_000);
    let host = |name: &str| {
        let host = whimbrel_core::Host {
            state: HostState::Up,
            observed_at: now,
            cpu: MilliCores::cores(2),
            memory: Bytes::mib(1024),
            cpu_used: None,
            migration_bandwidth: None,
            qemu: None,
            tags: BTreeSet::new(),
            offers: whimbrel_core::cluster::Offers::default(),
        };
        (name.parse().unwrap(), host)
    };
    let domain = |name: &str, host: &str, mib| whimbrel_core::Domain {
        vm: name.parse().unwrap(),
        uuid: name.to_owned(),
        host: host.parse().unwrap(),
        state: DomainState::Running,
        observed_at: now,
        vcpus: 2,
        memory: Bytes::mib(mib),
        resident: None,
        cpu_used: None,
        dirty: Vec::new(),
        job: None,
        tags: BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    };
    let snapshot = whimbrel_core::Snapshot {
        taken_at: now,
        hosts: NAMES.map(host).into(),
        domains: vec![domain("a", "h1", 512), domain("b", "h2", 256)],
        orders: Vec::new(),
    };
    let mut cluster = SimCluster::new(&snapshot, ClusterOptions::default()).unwrap();
    cluster.forget_touched();
    cluster
}

fn checkers(cluster: &SimCluster) -> Checkers {
    Checkers::new(cluster, Share::clamped(0.25), Some(2.0))
}

fn order(id: &str, to: &str) -> Order {
    Order {
        id: OrderId::new(id).unwrap(),
        vm: "a".parse().unwrap(),
        uuid: "a".to_owned(),
        from: "h1".parse().unwrap(),
        to: to.parse().unwrap(),
        settings: MigrationSettings::default(),
        deadline: Timestamp::from_micros(u64::MAX),
    }
}

fn intended(order: &Order, cluster: &mut SimCluster) -> Record {
    let before = Box::new(cluster.observe().domains.remove(0));
    let order = order.clone();
    let entry = Entry::Intended { order, before, sharing: 1, path_bandwidth: None, qemu: None };
    Record { at: cluster.now(), entry }
}

/// Kinds of breaches after a hand changed the truth, by a glance alone.
fn glanced(hand: impl FnOnce(&mut SimCluster)) -> Vec<&'static str> {
    let mut cluster = cluster();
    let mut checkers = checkers(&cluster);
    hand(&mut cluster);
    checkers.glance(&mut cluster);
    kinds(&checkers)
}

fn kinds(checkers: &Checkers) -> Vec<&'static str> {
    checkers.found.iter().map(|one| one.breach.kind()).collect()
}

#[test]
fn a_glance_finds_what_was_touched() {
    let now = Timestamp::from_micros(1_000_000);
    assert_eq!(glanced(|_| ()), [""; 0]);
    assert_eq!(glanced(|c| c.world.remove(0, 0, now)), ["lost"]);
    let runs = DomainState::Running;
    assert_eq!(glanced(|c| c.world.place(2, 0, runs, now)), ["two-places", "two-writers"]);
    assert_eq!(glanced(|c| c.world.place(2, 0, DomainState::Incoming, now)), ["left-behind"]);
    // 512 and 256 MiB on a host of 1 GiB that keeps a quarter free: exactly full.
    let moved = |c: &mut SimCluster| {
        c.world.remove(0, 0, now);
        c.world.place(1, 0, runs, now);
    };
    assert_eq!(glanced(moved), [""; 0]);
    let grown = |c: &mut SimCluster| {
        moved(c);
        c.world.vms[0].memory = Bytes::mib(513);
        c.world.vms[0].vcpus = 3;
        c.world.touched.push((1, 0));
    };
    assert_eq!(glanced(grown), ["memory-exceeded", "vcpus-exceeded"]);
    let grown_by_people = |c: &mut SimCluster| {
        grown(c);
        c.by_people.push((1, 0));
    };
    assert_eq!(glanced(grown_by_people), [""; 0]);
}

#[test]
fn power_that_takes_guests_explains_their_loss_and_is_told_of_whoever_asked() {
    let mut cluster = cluster();
    let mut checkers = checkers(&cluster);
    cluster.set_power(&"h1".parse().unwrap(), Power::Off).unwrap();
    cluster.set_power(&"h3".parse().unwrap(), Power::Off).unwrap();
    checkers.look(&mut cluster, &[]);
    assert_eq!(kinds(&checkers), ["powered-off-guests"]);
    assert!(checkers.found[0].breach.to_string().contains("h1"), "{}", checkers.found[0].breach);
}

#[test]
fn orders_without_intent_or_to_a_lost_host_are_found() {
    let mut cluster = cluster();
    let mut checkers = checkers(&cluster);
    let order = order("o1", "h3");
    cluster.set_power(&order.to, Power::Off).unwrap();
    cluster.advance(Span::from_seconds(30));
    cluster.begin(&order).unwrap();
    let written = intended(&order, &mut cluster);
    checkers.look(&mut cluster, &[]);
    assert_eq!(kinds(&checkers), ["begun-to-lost-host", "no-intent"]);
    // The program dies, and the one that comes back asks again after the first has failed.
    cluster.controller_died();
    cluster.advance(Span::from_seconds(60));
    cluster.begin(&order).unwrap();
    checkers.look(&mut cluster, &[written]);
    assert_eq!(kinds(&checkers), ["begun-to-lost-host", "no-intent", "begun-twice"]);
}

#[test]
fn a_journal_that_is_wrong_is_found_when_it_is_written() {
    for (state, wrong) in [
        (MoveState::Settled, true),
        (MoveState::Failed, false),
        (MoveState::Cancelled, false),
        (MoveState::Unknown, false),
    ] {
        let mut cluster = cluster();
        let mut checkers = checkers(&cluster);
        let order = order("o1", "h3");
        let id = order.id.clone();
        let entry = Entry::Became { id, state, detail: String::new(), stats: None };
        let ended = Record { at: cluster.now(), entry };
        let records = [intended(&order, &mut cluster), ended];
        checkers.look(&mut cluster, &records);
        let expected: &[&str] = if wrong { &["journal-disagrees"] } else { &[] };
        assert_eq!(kinds(&checkers), expected, "{state:?}");
        // The guest is not where it was said to be any more, and no record explains it.
        cluster.world.remove(0, 0, cluster.now());
        let found = checkers.finish(&mut cluster, &records);
        let late = found.iter().filter(|one| one.breach.kind() == "journal-disagrees").count();
        assert_eq!(late, usize::from(state != MoveState::Unknown), "{state:?}");
    }
}

fn state() -> impl Strategy<Value = Option<DomainState>> {
    use DomainState as S;
    let states = vec![S::Running, S::Paused, S::Incoming, S::Outgoing, S::ShutOff];
    prop::option::of(prop::sample::select(states))
}

proptest! {
    /// Looking at what each step touched finds what looking at everything after each step finds.
    #[test]
    fn glances_find_what_looks_find(
        steps in prop::collection::vec((0usize..3, 0usize..2, state(), 1u64..1500), 0..20)
    ) {
        let mut cluster = cluster();
        let mut glancing = checkers(&cluster);
        let mut from_scratch = BTreeSet::new();
        for (host, vm, state, mib) in steps {
            let now = cluster.now();
            match state {
                Some(state) => cluster.world.place(host, vm, state, now),
                None => cluster.world.remove(host, vm, now),
            }
            cluster.world.vms[vm].memory = Bytes::mib(mib);
            // Its size counts wherever it is.
            cluster.world.touched.extend((0..3).map(|host| (host, vm)));
            glancing.glance(&mut cluster);
            let mut looking = checkers(&tests::cluster());
            looking.mirror = Mirror::of(&cluster.world);
            looking.look(&mut cluster, &[]);
            from_scratch.extend(looking.found.into_iter().map(|one| one.breach));
        }
        let glanced: BTreeSet<Breach> = glancing.found.into_iter().map(|one| one.breach).collect();
        prop_assert_eq!(glanced, from_scratch);
    }
}
