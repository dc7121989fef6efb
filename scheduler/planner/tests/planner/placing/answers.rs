//! New machines: legal places, nothing refused that fits, and the cheapest host.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{
    cluster::HostState,
    ids::{HostId, VmId},
    policy::RuleKind,
    units::Share,
};
use whimbrel_planner::placing::{self, Batch, NewVm, Placement, PlacingFailure, Room};

use super::judge::*;
use crate::{properties::some_cluster, support::*};

fn room(cluster: &Cluster) -> Option<Room> {
    Room::new(&cluster.snapshot, &cluster.policy).ok()
}

/// Machines that rules may name and that are not there yet, and others.
fn some_vms(cluster: &Cluster, sizes: &[(u64, u32)]) -> Vec<NewVm> {
    let there = |name: &str| cluster.snapshot.domains.iter().any(|d| d.vm.as_str() == name);
    let names = ["v6", "v7", "v8", "n0", "n1", "n2", "n3"].into_iter().filter(|name| !there(name));
    names.zip(sizes).map(|(name, &(memory, vcpus))| new_vm(name, memory, vcpus)).collect()
}

fn came(vms: &[NewVm], placement: &Placement) -> BTreeMap<VmId, (HostId, Need)> {
    let need = |vm: &VmId| vms.iter().find(|new| new.name == *vm).unwrap();
    let placed = placement.placed.iter();
    let placed = placed.map(|one| {
        let new = need(&one.vm);
        (one.vm.clone(), (one.on.host.clone(), (new.memory.get(), u64::from(new.vcpus))))
    });
    placed.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn places_are_legal_and_one_machine_is_placed_wherever_it_fits(
        cluster in some_cluster(),
        sizes in prop::collection::vec((1..70u64, 1..9u32), 1..4),
    ) {
        let Some(room) = room(&cluster) else { return Ok(()) };
        let vms = some_vms(&cluster, &sizes);
        let here = places(&cluster, &[]);
        let needs: Vec<(VmId, Need)> = vms
            .iter()
            .map(|vm| (vm.name.clone(), (vm.memory.get(), u64::from(vm.vcpus))))
            .collect();
        let answer = placing::place(&room, &vms, Batch::AsManyAsFit);
        let Ok(placement) = answer else {
            prop_assert!(matches!(answer, Err(PlacingFailure::NoHostUp(_))));
            return Ok(());
        };
        prop_assert_eq!(faults(&cluster, &here, &came(&vms, &placement), &[]), Vec::<String>::new());
        let most = most(&cluster, &here, &needs, &[]);
        prop_assert!(placement.placed.len() <= most);
        // Those that a rule keeps together get one host or none.
        let whole = cluster.policy.rules.iter().any(|rule| matches!(rule.kind, RuleKind::Affinity { .. }));
        prop_assert!(!placement.placed.is_empty() || most == 0 || (whole && vms.len() > 1));
        prop_assert_eq!(placement.placed.len() + placement.unplaced.len(), vms.len());
        for one in &placement.placed {
            let runners_up = &one.runners_up;
            prop_assert!(runners_up.iter().all(|other| other.host != one.on.host));
            prop_assert!(runners_up.windows(2).all(|p| p[0].score_seconds <= p[1].score_seconds));
            let counted: usize = one.refused.reasons.iter().map(|reason| reason.hosts).sum();
            prop_assert_eq!(1 + runners_up.len() + counted, cluster.snapshot.hosts.len());
            if vms.len() == 1 {
                let best = runners_up.first().map_or(f64::INFINITY, |other| other.score_seconds);
                prop_assert!(one.on.score_seconds <= best);
            }
        }
        let all = placing::place(&room, &vms, Batch::AllOrNothing);
        prop_assert_eq!(all.is_ok(), placement.unplaced.is_empty());
        prop_assert_eq!(placing::place(&room, &vms, Batch::AsManyAsFit), Ok(placement));
    }

    #[test]
    fn a_room_that_was_kept_up_to_date_equals_one_that_is_built_anew(
        cluster in some_cluster(),
        changes in prop::collection::vec((0..9usize, 0..4usize), 0..12),
    ) {
        let Some(mut kept) = room(&cluster) else { return Ok(()) };
        let mut cluster = cluster;
        for (vm, host) in changes {
            let (vm, host) = (vm_id(&format!("v{vm}")), host_id(&format!("h{host}")));
            // What passes by belongs to two hosts, which a snapshot says and a change does not.
            let sightings = cluster.snapshot.sightings(&vm).count();
            let Some(domain) = cluster.snapshot.domains.iter_mut().find(|d| d.vm == vm) else {
                continue;
            };
            if sightings == 1 {
                domain.host = host.clone();
                kept.shift(&vm, &host).unwrap();
            }
        }
        cluster.snapshot.normalise();
        let Some(built) = room(&cluster) else { return Ok(()) };
        let vms = [new_vm("n0", 20, 2)];
        let from = |room: &Room| placing::place(room, &vms, Batch::AsManyAsFit);
        prop_assert_eq!(from(&kept), from(&built));
        for host in cluster.snapshot.hosts.keys() {
            let (a, b) = (placing::survives(&kept, host), placing::survives(&built, host));
            prop_assert_eq!(a.unwrap().is_ok(), b.unwrap().is_ok());
        }
    }
}

#[test]
fn small_machines_leave_large_holes_whole() {
    let cluster = Cluster::of(&["h0", "h1", "h2"]).vm("a", "h1", 60, 1.0).vm("b", "h2", 30, 1.0);
    let room = room(&cluster).unwrap();
    let on = |memory, vcpus| {
        let placement = placing::place(&room, &[new_vm("n", memory, vcpus)], Batch::AllOrNothing);
        placement.unwrap().placed[0].on.host.to_string()
    };
    assert_eq!(on(20, 2), "h1");
    assert_eq!(on(50, 2), "h2");
    assert_eq!(on(90, 2), "h0");
}

#[test]
fn a_busy_host_is_dearer_than_a_broken_hole() {
    let cluster = Cluster::of(&["h0", "h1"]).vm("a", "h1", 60, 6.8);
    let room = room(&cluster).unwrap();
    let vm = NewVm { demand_cores: Some(1.0), ..new_vm("n", 10, 2) };
    let placement = placing::place(&room, &[vm], Batch::AllOrNothing).unwrap();
    let placed = &placement.placed[0];
    assert_eq!(placed.on.host, host_id("h0"));
    assert_eq!(placed.runners_up[0].host, host_id("h1"));
    assert!((placed.runners_up[0].cpu_after - 0.78).abs() < 1e-9);
    assert_eq!(placed.on.memory_left, gib(90));
}

#[test]
fn refusals_are_counted_and_the_nearest_is_named() {
    let cluster = Cluster::of(&["h0", "h1", "h2", "h3", "h4"])
        .vm("a", "h0", 90, 1.0)
        .vm("b", "h1", 86, 1.0)
        .vm("c", "h2", 10, 1.0)
        .rule(anti(&["c", "n"]))
        .host("h3", |host| host.state = HostState::Maintenance);
    let room = room(&cluster).unwrap();
    let vm = NewVm { exclude: vec![host_id("h4")], ..new_vm("n", 20, 2) };
    let failure = placing::place(&room, &[vm], Batch::AllOrNothing).unwrap_err().to_string();
    for said in [
        "domain n (20.0 GiB, 2 vCPUs) finds no host",
        "too little memory: 2 hosts",
        "rule \"apart\": 1 host",
        "in maintenance: 1 host",
        "excluded: 1 host",
        "nearest: h1: memory short by 6.0 GiB, h0: memory short by 10.0 GiB",
        "(hint: ",
    ] {
        assert!(failure.contains(said), "{said:?} is not in {failure}");
    }
}

#[test]
fn a_batch_makes_way_within_itself() {
    // 60 and 40 fill one host, 50 and 50 the other: the largest first alone would not do.
    let cluster = Cluster::of(&["h0", "h1"]).policy(|p| p.limits.memory_reserve = Share::ZERO);
    let room = room(&cluster).unwrap();
    let vms = [("n0", 60), ("n1", 50), ("n2", 50), ("n3", 40)];
    let vms: Vec<NewVm> = vms.iter().map(|(name, memory)| new_vm(name, *memory, 1)).collect();
    let placement = placing::place(&room, &vms, Batch::AllOrNothing).unwrap();
    assert_eq!(placement.placed.len(), 4);
}

#[test]
fn machines_to_keep_together_get_one_host_together() {
    let cluster = Cluster::of(&["h0", "h1"])
        .vm("a", "h0", 50, 1.0)
        .rule(affinity(&["n0", "n1"]))
        .rule(pin(&["n1"], &["h0", "h1"]));
    let room = room(&cluster).unwrap();
    let vms = [new_vm("n0", 40, 1), new_vm("n1", 40, 1)];
    let placement = placing::place(&room, &vms, Batch::AllOrNothing).unwrap();
    let hosts: Vec<&HostId> = placement.placed.iter().map(|one| &one.on.host).collect();
    assert_eq!(hosts, [&host_id("h1"), &host_id("h1")]);
}
