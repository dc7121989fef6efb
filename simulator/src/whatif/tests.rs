//! Changes do what they say and nothing else; places hold limits and rules; losses strand whom
//! they must.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use whimbrel_core::{
    Domain, DomainState, Host, HostState, Policy, Snapshot,
    cluster::DirtyReading,
    ids::{HostId, VmId},
    policy::Rule,
    telemetry::DirtySample,
    units::{Bytes, MilliCores, Span, Timestamp},
};

use super::*;
use crate::replay::Replay;

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn host_id(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

fn vm_id(name: &str) -> VmId {
    VmId::new(name).unwrap()
}

fn host(memory_mib: u64) -> Host {
    Host {
        state: HostState::Up,
        observed_at: NOW,
        cpu: MilliCores::cores(4),
        memory: Bytes::mib(memory_mib),
        cpu_used: Some(MilliCores::new(900)),
        migration_bandwidth: None,
        qemu: None,
        tags: BTreeSet::new(),
        offers: whimbrel_core::cluster::Offers::default(),
    }
}

fn guest(name: &str, host: &str, memory_mib: u64) -> Domain {
    let reading = |seconds, mib| DirtyReading {
        window: Span::from_seconds(seconds),
        unique: Bytes::mib(mib),
        measured_at: NOW,
    };
    Domain {
        vm: vm_id(name),
        uuid: format!("uuid-of-{name}"),
        host: host_id(host),
        state: DomainState::Running,
        observed_at: NOW,
        vcpus: 1,
        memory: Bytes::mib(memory_mib),
        resident: Some(Bytes::mib(memory_mib / 2)),
        cpu_used: Some(MilliCores::new(300)),
        dirty: vec![reading(1, 10), reading(4, 30)],
        job: None,
        tags: BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}

/// Three hosts of 1000 MiB; a and b on h1, c on h2.
fn cluster() -> Snapshot {
    let mut snapshot = Snapshot {
        taken_at: NOW,
        hosts: ["h1", "h2", "h3"].map(|name| (host_id(name), host(1000))).into(),
        domains: vec![guest("a", "h1", 200), guest("b", "h1", 400), guest("c", "h2", 300)],
        orders: Vec::new(),
    };
    snapshot.normalise();
    snapshot
}

fn replay() -> Replay {
    let mut replay = Replay::default();
    replay.cpu.insert(vm_id("a"), vec![(NOW, MilliCores::new(300)), (NOW, MilliCores::new(950))]);
    let sample = DirtySample {
        at: NOW,
        host: host_id("h1"),
        vm: vm_id("a"),
        window: Span::from_seconds(1),
        unique: Bytes::mib(190),
    };
    replay.dirty.insert(vm_id("a"), vec![sample]);
    replay
}

fn policy() -> Policy {
    Policy::default()
}

fn apply(changes: &Changes) -> Result<Changed, ChangeError> {
    changes.apply(&cluster(), Some(&replay()))
}

fn percent(text: &str) -> Percent {
    text.parse().unwrap()
}

fn none() -> BTreeSet<HostId> {
    BTreeSet::new()
}

#[test]
fn no_change_changes_nothing() {
    let changed = apply(&Changes::default()).unwrap();
    assert_eq!(changed.snapshot, cluster());
    assert_eq!(changed.replay, Some(replay()));
    assert!(changed.arriving.is_empty() && changed.out_of_service().is_empty());
}

#[test]
fn load_grows_within_what_a_guest_has() {
    let grow = Growth::load(percent("20%"));
    let changed = apply(&Changes { grow, ..Changes::default() }).unwrap();
    let a = changed.snapshot.domains.iter().find(|d| d.vm == vm_id("a")).unwrap();
    assert_eq!(a.cpu_used, Some(MilliCores::new(360)));
    assert_eq!(a.dirty[0].unique, Bytes::mib(12));
    assert_eq!(a.memory, Bytes::mib(200), "its size is not its load");
    let used = changed.snapshot.hosts[&host_id("h1")].cpu_used;
    assert_eq!(used, Some(MilliCores::new(900 + 2 * 60)));
    let replay = changed.replay.unwrap();
    let cpu: Vec<u64> = replay.cpu[&vm_id("a")].iter().map(|(_, cpu)| cpu.get()).collect();
    assert_eq!(cpu, [360, 1000], "no more than its one vCPU");
    assert_eq!(replay.dirty[&vm_id("a")][0].unique, Bytes::mib(200), "no more than its memory");
}

#[test]
fn guests_grow_in_size_and_number() {
    let grow = Growth { memory: percent("50%"), guests: percent("34%"), ..Growth::default() };
    let changed = apply(&Changes { grow, ..Changes::default() }).unwrap();
    let memory: Vec<Bytes> = changed.snapshot.domains.iter().map(|d| d.memory).collect();
    assert_eq!(memory, [300, 600, 450].map(Bytes::mib));
    let names: Vec<&str> = changed.arriving.iter().map(|d| d.vm.as_str()).collect();
    assert_eq!(names, ["a+1", "b+1"], "34 % of 3, rounded up");
    assert_eq!(changed.arriving[0].memory, Bytes::mib(300));
    let replay = changed.replay.as_ref().unwrap();
    assert_eq!(replay.cpu[&vm_id("a+1")], replay.cpu[&vm_id("a")]);
    assert_eq!(replay.dirty[&vm_id("a+1")][0].vm, vm_id("a+1"));
    let mut content = BTreeMap::from([(vm_id("a"), Bytes::mib(100))]);
    changed.complete(&cluster(), &mut content);
    assert_eq!(content[&vm_id("a")], Bytes::mib(150));
    assert_eq!(content[&vm_id("a+1")], Bytes::mib(150));
}

#[test]
fn hosts_come_and_go() {
    let changes = Changes {
        racks: [("r1".to_owned(), vec![host_id("h1"), host_id("h2")])].into(),
        add_hosts: vec![NewHost {
            name: host_id("big"),
            cpu: MilliCores::cores(64),
            memory: Bytes::mib(64 << 10),
            bandwidth: None,
        }],
        add_like: vec![AddLike { count: 2, like: host_id("h3") }],
        add_racks: vec![AddRack { name: "r2".to_owned(), like: "r1".to_owned() }],
        remove_racks: vec!["r1".to_owned()],
        drain: vec![host_id("h3")],
        ..Changes::default()
    };
    let changed = apply(&changes).unwrap();
    let names: Vec<&str> = changed.snapshot.hosts.keys().map(HostId::as_str).collect();
    assert_eq!(names, ["big", "h1", "h2", "h3", "h3+1", "h3+2", "r2-1", "r2-2"]);
    let closed = changed.snapshot.hosts.iter();
    let closed = closed.filter(|(_, host)| host.state == HostState::Maintenance).map(|(id, _)| id);
    assert_eq!(closed.cloned().collect::<BTreeSet<_>>(), changed.out_of_service());
    assert_eq!(changed.leaving.len(), 2);
    assert_eq!(changed.snapshot.domains, cluster().domains, "nobody has moved yet");
    let fresh = &changed.snapshot.hosts[&host_id("h3+1")];
    assert_eq!((fresh.memory, fresh.cpu_used), (Bytes::mib(1000), Some(MilliCores::ZERO)));
}

#[test]
fn what_cannot_be_meant_is_named() {
    let all = || vec![host_id("h1"), host_id("h2"), host_id("h3")];
    let like = |count| vec![AddLike { count, like: host_id("h1") }];
    let new = |name: &str, cores| {
        let cpu = MilliCores::cores(cores);
        vec![NewHost { name: host_id(name), cpu, memory: Bytes::mib(1), bandwidth: None }]
    };
    let resize = |name: &str, memory, vcpus| vec![Resize { vm: vm_id(name), memory, vcpus }];
    let none = Changes::default;
    for (changes, words) in [
        (Changes { remove_hosts: vec![host_id("h9")], ..none() }, "hosts are h1, h2, h3"),
        (Changes { drain: vec![host_id("h9")], ..none() }, "h9 is not in the snapshot"),
        (Changes { remove_hosts: all(), ..none() }, "no host would be left"),
        (Changes { remove_racks: vec!["r".to_owned()], ..none() }, "--rack r=h1,h2"),
        (Changes { add_hosts: new("h1", 1), ..none() }, "is there already"),
        (Changes { add_hosts: new("h4", 0), ..none() }, "cpu is 0"),
        (Changes { add_like: like(0), ..none() }, "0 hosts to add"),
        (Changes { add_like: like(HOSTS_MAX + 1), ..none() }, "10001 hosts to add"),
        (Changes { add_like: like(usize::MAX), ..none() }, "the limits are 1 and 10000"),
        (Changes { resize: resize("x", Bytes::mib(9), None), ..none() }, "domains are a, b, c"),
        (Changes { resize: resize("a", Bytes::ZERO, None), ..none() }, "memory would be 0 B"),
        (Changes { resize: resize("a", Bytes::mib(9), Some(0)), ..none() }, "0 vCPUs"),
        (Changes { deadline: Some(Span::ZERO), ..none() }, "deadline is 0 s"),
        (
            Changes { lose: Some(Loss { host: host_id("h9"), at: Span::ZERO }), ..none() },
            "h9 is not in the snapshot",
        ),
        (
            Changes { grow: Growth { guests: percent("-1%"), ..Growth::default() }, ..none() },
            "from 0 % on",
        ),
    ] {
        let message = apply(&changes).unwrap_err().to_string();
        assert!(message.contains(words) && message.contains("(hint: "), "{words}: {message}");
    }
    for text in ["-100%", "1001%", "20", "NaN%", "inf%", "", "%", "twenty%"] {
        assert!(text.parse::<Percent>().is_err(), "{text}");
    }
}

#[test]
fn changes_are_read_and_written_alike() {
    let text = "remove_hosts = [\"h3\"]\ngrow = \"20 %\"\n[lose]\nhost = \"h2\"\nat = \"3 min\"\n";
    let changes: Changes = toml::from_str(text).unwrap();
    assert_eq!(changes.grow, Growth::load(percent("20%")));
    let json = serde_json::to_string(&changes).unwrap();
    assert_eq!(serde_json::from_str::<Changes>(&json).unwrap(), changes);
    let fault = toml::from_str::<Changes>("grow = { disks = \"5 %\" }").unwrap_err().to_string();
    assert!(fault.contains("cannot grow"), "{fault}");
    assert!(toml::from_str::<Changes>("remove_host = [\"h3\"]").is_err(), "unknown key");
}

#[test]
fn a_lost_host_strands_whom_nobody_takes() {
    let mut snapshot = cluster();
    assert!(losses(&snapshot, &policy(), &none()).iter().all(|loss| loss.stranded.is_empty()));
    // 900 MiB are for guests on each host: b fits beside c, a does not any more.
    snapshot.domains[2].memory = Bytes::mib(450);
    let out = BTreeSet::from([host_id("h3")]);
    let lost = losses(&snapshot, &policy(), &out);
    let of = |name: &str| lost.iter().find(|loss| loss.host == host_id(name)).unwrap();
    let stranded = &of("h1").stranded;
    assert_eq!(stranded.len(), 1);
    assert_eq!((stranded[0].vm.as_str(), stranded[0].memory_short), ("a", Bytes::mib(150)));
    assert!(of("h1").proven && lost.len() == 2);
}

#[test]
fn rules_strand_too() {
    let rule = Rule::pin("licence", vec![vm_id("c")], vec![host_id("h2")]);
    let policy = Policy { rules: vec![rule], ..policy() };
    let lost = losses(&cluster(), &policy, &none());
    assert_eq!(lost[1].stranded[0].rules, ["licence"]);
    assert_eq!(lost[1].stranded[0].memory_short, Bytes::ZERO);
}

#[test]
fn who_crowds_a_host_out_goes_and_who_cannot_is_named() {
    let mut snapshot = cluster();
    snapshot.domains[0].memory = Bytes::mib(600);
    let policy = policy();
    let crowded = |snapshot: &Snapshot, held: &[&str]| {
        let held = held.iter().map(|name| vm_id(name)).collect();
        Room::new(snapshot, &policy, &none()).crowded_out(snapshot, &held)
    };
    let (leaving, stuck) = crowded(&snapshot, &[]);
    assert_eq!(leaving, [(vm_id("b"), host_id("h1"))], "100 MiB too much: the smaller one goes");
    assert!(stuck.is_empty());
    assert_eq!(crowded(&snapshot, &["b"]).0, [(vm_id("a"), host_id("h1"))]);
    assert_eq!(crowded(&snapshot, &["a", "b"]).1.len(), 1);
    snapshot.domains[0].memory = Bytes::mib(2000);
    let (_, stuck) = crowded(&snapshot, &[]);
    assert_eq!(stuck[0].vm, vm_id("a"));
}

#[test]
fn headroom_is_what_the_policy_leaves() {
    let room = Headroom::new(&cluster(), &policy(), &BTreeSet::from([host_id("h3")]));
    assert_eq!((room.hosts, room.guests), (2, 3));
    assert_eq!(room.memory_free, Bytes::mib(300 + 600));
    assert_eq!(room.memory_free_largest, Bytes::mib(600));
    // 0.7 of 4 cores on each, 0.9 of them in use.
    assert_eq!(room.cpu_free, MilliCores::new(2 * (2800 - 900)));
    assert!(room.by_host.iter().all(|host| !host.overloaded));
}

/// Whether any packing of `guests` into `free` exists, by trying all.
fn packs(guests: &[u64], free: &mut [u64]) -> bool {
    let Some((first, rest)) = guests.split_first() else { return true };
    (0..free.len()).any(|host| {
        if free[host] < *first {
            return false;
        }
        free[host] -= first;
        let fits = packs(rest, free);
        free[host] += first;
        fits
    })
}

proptest! {
    #[test]
    fn places_hold_limits_and_miss_no_packing(
        memory in proptest::collection::vec(1u64..120, 1..8),
        hosts in proptest::collection::vec(50u64..200, 1..4),
    ) {
        let mut snapshot = Snapshot { domains: Vec::new(), hosts: BTreeMap::new(), ..cluster() };
        for (at, size) in hosts.iter().enumerate() {
            snapshot.hosts.insert(host_id(&format!("h{at}")), host(*size));
        }
        let mut policy = policy();
        policy.limits.memory_reserve = whimbrel_core::units::Share::ZERO;
        let guests: Vec<Domain> =
            memory.iter().enumerate().map(|(at, m)| guest(&format!("g{at}"), "away", *m)).collect();
        let all: Vec<&Domain> = guests.iter().collect();
        let mut room = Room::new(&snapshot, &policy, &none());
        let packed = room.place(&all);
        prop_assert_eq!(packed.placed.len() + packed.homeless.len(), guests.len());
        let mut held: BTreeMap<&HostId, u64> = BTreeMap::new();
        for (vm, at) in &packed.placed {
            let one = guests.iter().find(|guest| guest.vm == *vm).unwrap();
            *held.entry(at).or_default() += one.memory.get();
        }
        for (at, bytes) in held {
            prop_assert!(bytes <= snapshot.hosts[at].memory.get());
        }
        let exists = packs(&memory, &mut hosts.clone());
        prop_assert_eq!(packed.homeless.is_empty(), exists);
        prop_assert!(packed.proven);
    }

    #[test]
    fn growth_there_and_back_keeps_guests(up in 1u32..300, guests in 0u32..300) {
        let grow = Growth {
            cpu: percent(&format!("{up}%")),
            guests: percent(&format!("{guests}%")),
            ..Growth::default()
        };
        let changed = apply(&Changes { grow, ..Changes::default() }).unwrap();
        prop_assert_eq!(changed.snapshot.domains.len(), 3);
        prop_assert_eq!(changed.arriving.len(), (3 * guests as usize).div_ceil(100));
        let names: BTreeSet<&VmId> = changed.arriving.iter().map(|d| &d.vm).collect();
        prop_assert_eq!(names.len(), changed.arriving.len());
        for (before, after) in cluster().domains.iter().zip(&changed.snapshot.domains) {
            prop_assert!(after.cpu_used >= before.cpu_used);
            prop_assert!(after.cpu_used <= Some(MilliCores::cores(1)));
        }
    }
}
