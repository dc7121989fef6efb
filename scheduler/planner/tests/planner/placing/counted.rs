//! How many more fit: the same as placing them one by one with a whole check after each.

use proptest::prelude::*;
use whimbrel_core::{ids::HostId, units::Share};
use whimbrel_planner::placing::{
    self, Batch, Capacity, CapacityRequest, Flavour, NewVm, Room, Size, Stop, Survival,
};

use super::judge::*;
use crate::{properties::some_cluster, support::*};

fn flavour(name: &str, memory_gib: u64, vcpus: u32, times: u32) -> Flavour {
    let memory = gib(memory_gib);
    Flavour { name: name.to_owned(), vcpus, memory, demand_cores: Some(0.5), times }
}

fn ask(room: &Room, flavours: &[Flavour], survive_loss: bool) -> Capacity {
    let request = CapacityRequest { flavours: flavours.to_vec(), mixed: true, survive_loss };
    placing::capacity(room, &request).unwrap().remove(0)
}

/// One by one by `place` alone: each on the best host that, all losses looked at anew, leaves every
/// loss survived.
fn one_by_one(room: &Room, flavours: &[Flavour], survive_loss: bool) -> Vec<usize> {
    let mut room = room.clone();
    let mut more = vec![0; flavours.len()];
    let safe = |room: &Room| !survive_loss || Survival::new(room).unsafe_losses(room).is_empty();
    if !safe(&room) {
        return more;
    }
    loop {
        for (at, flavour) in flavours.iter().enumerate() {
            for _ in 0..flavour.times {
                if !one_more(&mut room, flavour, more.iter().sum(), &safe) {
                    return more;
                }
                more[at] += 1;
            }
        }
    }
}

fn one_more(
    room: &mut Room,
    flavour: &Flavour,
    number: usize,
    safe: &impl Fn(&Room) -> bool,
) -> bool {
    let mut exclude: Vec<HostId> = Vec::new();
    loop {
        let vm = NewVm {
            name: vm_id(&format!("more-{number}")),
            vcpus: flavour.vcpus,
            memory: flavour.memory,
            demand_cores: flavour.demand_cores,
            exclude: exclude.clone(),
        };
        let placement = placing::place(room, std::slice::from_ref(&vm), Batch::AsManyAsFit);
        let Some(placed) = placement.unwrap().placed.pop() else { return false };
        let size = Size::new(vm.memory, vm.vcpus, vm.demand_cores.unwrap());
        room.add(&vm.name, size, &placed.on.host).unwrap();
        if safe(room) {
            return true;
        }
        room.remove(&vm.name).unwrap();
        exclude.push(placed.on.host);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_count_is_that_of_placing_one_by_one(
        cluster in some_cluster(),
        sizes in prop::collection::vec((8..40u64, 1..6u32, 1..3u32), 1..3),
        survive_loss in any::<bool>(),
    ) {
        let Ok(room) = Room::new(&cluster.snapshot, &cluster.policy) else { return Ok(()) };
        let flavours: Vec<Flavour> =
            sizes.iter().map(|&(memory, vcpus, times)| flavour("f", memory, vcpus, times)).collect();
        if !cluster.snapshot.hosts.values().any(|h| h.state == whimbrel_core::HostState::Up) {
            return Ok(());
        }
        let counted = ask(&room, &flavours, survive_loss);
        let more: Vec<usize> = counted.fits.iter().map(|fit| fit.more).collect();
        prop_assert_eq!(&more, &one_by_one(&room, &flavours, survive_loss));
        let round: usize = flavours.iter().map(|flavour| flavour.times as usize).sum();
        prop_assert_eq!(counted.rounds, more.iter().sum::<usize>() / round);
    }

    #[test]
    fn alone_and_without_a_loss_it_is_what_each_host_holds(
        cluster in some_cluster(),
        memory in 1..60u64,
        vcpus in 1..9u32,
    ) {
        let cluster = cluster.policy(|policy| policy.rules.clear());
        let Ok(room) = Room::new(&cluster.snapshot, &cluster.policy) else { return Ok(()) };
        let request = CapacityRequest {
            flavours: vec![flavour("f", memory, vcpus, 7)],
            mixed: false,
            survive_loss: false,
        };
        let Ok(answer) = placing::capacity(&room, &request) else { return Ok(()) };
        let here = places(&cluster, &[]);
        let up = cluster.snapshot.hosts.iter();
        let up = up.filter(|(_, host)| host.state == whimbrel_core::HostState::Up);
        let held = up.map(|(id, _)| {
            let free = free(&cluster, &here, id);
            (free.0 / gib(memory).get()).min(free.1 / u64::from(vcpus))
        });
        prop_assert_eq!(answer[0].fits[0].more as u64, held.sum::<u64>());
    }
}

#[test]
fn what_a_loss_needs_is_kept_free() {
    // Three empty hosts of 100 GiB hold 30 of 10 GiB; when one is lost, 20.
    let cluster = Cluster::of(&["h0", "h1", "h2"]).policy(|p| p.limits.cpu_overcommit = 100.0);
    let room = Room::new(&cluster.snapshot, &cluster.policy).unwrap();
    assert_eq!(ask(&room, &[flavour("f", 10, 1, 1)], false).rounds, 30);
    let safe = ask(&room, &[flavour("f", 10, 1, 1)], true);
    assert_eq!(safe.rounds, 20);
    assert_eq!(safe.memory_left, gib(100));
    let Stop::LossNotSurvived { flavour, loss, hosts } = safe.stop else {
        panic!("{:?}", safe.stop)
    };
    assert_eq!((flavour.as_str(), loss.stranded.len()), ("f", 1));
    assert!(hosts > 0);
}

#[test]
fn a_cluster_that_does_not_survive_as_it_is_has_room_for_none() {
    let cluster = Cluster::of(&["h0", "h1"])
        .policy(|policy| policy.limits.memory_reserve = Share::clamped(0.5))
        .vm("a", "h0", 30, 1.0)
        .vm("b", "h1", 30, 1.0);
    let room = Room::new(&cluster.snapshot, &cluster.policy).unwrap();
    let answer = ask(&room, &[flavour("f", 10, 1, 1)], true);
    assert_eq!(answer.fits[0].more, 0);
    let Stop::UnsafeAlready { losses } = answer.stop else { panic!("{:?}", answer.stop) };
    assert_eq!(losses.len(), 2);
}
