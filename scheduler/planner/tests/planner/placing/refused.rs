//! Questions without an answer: named, with figures and a hint, and never a panic.

use whimbrel_core::{
    cluster::HostState,
    ids::HostId,
    units::{Bytes, Share},
};
use whimbrel_planner::placing::{
    self, Batch, CapacityRequest, Emergency, Flavour, NewVm, PlacingFailure, RescueRequest, Room,
    Size,
};

use super::judge::*;
use crate::support::*;

fn room(cluster: &Cluster) -> Room {
    Room::new(&cluster.snapshot, &cluster.policy).unwrap()
}

fn three() -> Cluster {
    Cluster::of(&["h0", "h1", "h2"]).vm("a", "h0", 10, 1.0)
}

/// The message, which must hint at what to do.
fn said(failure: Result<impl std::fmt::Debug, impl std::fmt::Display>) -> String {
    let text = failure.map_err(|failure| failure.to_string()).unwrap_err();
    assert!(text.contains("(hint: "), "{text}");
    text
}

fn placed(room: &Room, vm: NewVm) -> Result<placing::Placement, PlacingFailure> {
    placing::place(room, &[vm], Batch::AllOrNothing)
}

#[test]
fn machines_that_cannot_be() {
    let room = room(&three());
    assert!(said(placing::place(&room, &[], Batch::AllOrNothing)).contains("no domain to place"));
    let text = said(placed(&room, new_vm("n", 101, 1)));
    assert!(text.contains("larger than any host") && text.contains("100.0 GiB"), "{text}");
    let text = said(placed(&room, new_vm("n", 1, 4096)));
    assert!(text.contains("larger than any host") && text.contains("40 vCPUs"), "{text}");
    for vm in [
        NewVm { memory: Bytes::new(u64::MAX), ..new_vm("n", 1, 1) },
        NewVm { memory: Bytes::ZERO, ..new_vm("n", 1, 1) },
        NewVm { vcpus: u32::MAX, ..new_vm("n", 1, 1) },
        NewVm { vcpus: 0, ..new_vm("n", 1, 1) },
        NewVm { demand_cores: Some(f64::NAN), ..new_vm("n", 1, 1) },
        NewVm { demand_cores: Some(-1.0), ..new_vm("n", 1, 1) },
        NewVm { demand_cores: Some(f64::INFINITY), ..new_vm("n", 1, 1) },
    ] {
        assert!(said(placed(&room, vm)).starts_with("domain n: "));
    }
    assert!(said(placed(&room, new_vm("a", 1, 1))).contains("exists already, on host h0"));
    let twice = [new_vm("n", 1, 1), new_vm("n", 2, 1)];
    assert!(said(placing::place(&room, &twice, Batch::AsManyAsFit)).contains("twice"));
    let elsewhere = NewVm { exclude: vec![host_id("h9")], ..new_vm("n", 1, 1) };
    assert!(said(placed(&room, elsewhere)).contains("host h9 is not in the cluster"));
}

#[test]
fn clusters_without_a_host() {
    let names: [&str; 0] = [];
    let empty = room(&Cluster::of(&names));
    assert!(said(placed(&empty, new_vm("n", 1, 1))).contains("the cluster has no host"));
    let off = three()
        .host("h0", |host| host.state = HostState::Maintenance)
        .host("h1", |host| host.state = HostState::Maintenance)
        .host("h2", |host| host.state = HostState::Unreachable);
    let off = room(&off);
    let text = said(placed(&off, new_vm("n", 1, 1)));
    assert!(text.contains("h0 is in maintenance") && text.contains("h2 is unreachable"), "{text}");
    let flavours = vec![Flavour {
        name: "f".to_owned(),
        vcpus: 1,
        memory: gib(1),
        demand_cores: None,
        times: 1,
    }];
    let request = CapacityRequest { flavours, mixed: true, survive_loss: true };
    assert!(said(placing::capacity(&off, &request)).contains("no host takes domains"));
    let request = RescueRequest::default();
    assert!(said(placing::rescue(&off, &request)).contains("no host takes domains"));
}

#[test]
fn counts_of_nothing_and_of_the_impossible() {
    let room = room(&three());
    let ask = |flavours: Vec<Flavour>| {
        let request = CapacityRequest { flavours, mixed: true, survive_loss: true };
        placing::capacity(&room, &request)
    };
    let fine =
        Flavour { name: "f".to_owned(), vcpus: 1, memory: gib(1), demand_cores: None, times: 1 };
    assert!(said(ask(Vec::new())).contains("no flavour"));
    for flavour in [
        Flavour { memory: Bytes::new(u64::MAX), ..fine.clone() },
        Flavour { memory: Bytes::ZERO, ..fine.clone() },
        Flavour { vcpus: 0, ..fine.clone() },
        Flavour { times: 0, ..fine.clone() },
        Flavour { times: u32::MAX, ..fine.clone() },
        Flavour { demand_cores: Some(2.0), ..fine.clone() },
    ] {
        assert!(said(ask(vec![flavour])).starts_with("flavour f: "));
    }
    let large = Flavour { memory: gib(1000), ..fine };
    assert_eq!(ask(vec![large]).unwrap()[0].rounds, 0);
}

#[test]
fn rescues_of_nothing_and_under_impossible_limits() {
    let room = room(&three());
    let rescue = |failed: Vec<HostId>, emergency| {
        placing::rescue(&room, &RescueRequest { failed, emergency, ..RescueRequest::default() })
    };
    assert!(said(rescue(Vec::new(), None)).contains("no host has failed"));
    assert!(said(rescue(vec![host_id("h9")], None)).contains("host h9 is not in the cluster"));
    let limits = |reserve, cpu_overcommit| {
        Some(Emergency { memory_reserve: Share::clamped(reserve), cpu_overcommit })
    };
    let failed = || vec![host_id("h0")];
    assert!(said(rescue(failed(), limits(1.0, 4.0))).contains("memory reserve = 1"));
    for overcommit in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(said(rescue(failed(), limits(0.1, overcommit))).contains("CPU overcommit"));
    }
    assert!(said(placing::survives(&room, &host_id("h9"))).contains("not in the cluster"));
}

#[test]
fn changes_of_what_is_not_there() {
    let mut room = room(&three());
    let size = Size::new(gib(1), 1, 0.5);
    assert!(said(room.add(&vm_id("a"), size, &host_id("h1"))).contains("exists already"));
    assert!(said(room.add(&vm_id("n"), size, &host_id("h9"))).contains("h9"));
    assert!(said(room.remove(&vm_id("n"))).contains("domain n is not in the cluster"));
    assert!(said(room.shift(&vm_id("n"), &host_id("h1"))).contains("domain n"));
    assert!(said(room.shift(&vm_id("a"), &host_id("h9"))).contains("host h9"));
    assert_eq!(room.host_of(&vm_id("a")), Some(&host_id("h0")));
}
