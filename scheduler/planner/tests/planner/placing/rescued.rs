//! Machines of failed hosts: legal places, higher classes first, and losses survived by placing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{
    cluster::HostState,
    ids::{HostId, VmId},
    units::Share,
};
use whimbrel_planner::placing::{self, Emergency, RescueRequest, Room};

use super::judge::*;
use crate::{properties::some_cluster, support::*};

fn needs(cluster: &Cluster, host: &HostId) -> Vec<(VmId, Need)> {
    let here = cluster.snapshot.domains.iter();
    let here = here.filter(|d| d.host == *host && d.state.lives_here());
    here.map(|d| (d.vm.clone(), (d.memory.get(), u64::from(d.vcpus)))).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_survived_loss_has_a_legal_way_out_and_no_single_guest_is_given_up(
        cluster in some_cluster(),
        lost in 0..4usize,
    ) {
        let Ok(room) = Room::new(&cluster.snapshot, &cluster.policy) else { return Ok(()) };
        let lost = [host_id(&format!("h{lost}"))];
        let (needs, here) = (needs(&cluster, &lost[0]), places(&cluster, &lost));
        let most = if needs.len() <= 4 { most(&cluster, &here, &needs, &lost) } else { usize::MAX };
        match placing::survives(&room, &lost[0]).unwrap() {
            Ok(restarts) => {
                let size: BTreeMap<&VmId, Need> = needs.iter().map(|(vm, need)| (vm, *need)).collect();
                let came = restarts.iter();
                let came = came.map(|one| (one.vm.clone(), (one.host.clone(), size[&one.vm])));
                let came: BTreeMap<VmId, (HostId, Need)> = came.collect();
                prop_assert_eq!(came.len(), needs.len());
                prop_assert_eq!(faults(&cluster, &here, &came, &lost), Vec::<String>::new());
            }
            Err(stranded) => {
                prop_assert!(!stranded.is_empty());
                prop_assert!(needs.len() > 1 || most == 0);
            }
        }
    }

    #[test]
    fn restarts_are_legal_ordered_by_class_and_a_class_never_suffers_from_a_lower_one(
        cluster in some_cluster(),
        priorities in prop::collection::vec(-1..2i64, 9),
        lost in 0..4usize,
    ) {
        let Ok(room) = Room::new(&cluster.snapshot, &cluster.policy) else { return Ok(()) };
        let lost = vec![host_id(&format!("h{lost}"))];
        let named = |(at, class): (usize, i64)| (vm_id(&format!("v{at}")), class);
        let priorities: BTreeMap<VmId, i64> =
            priorities.into_iter().enumerate().map(named).collect();
        let request =
            RescueRequest { failed: lost.clone(), priorities: priorities.clone(), emergency: None };
        let Ok(answer) = placing::rescue(&room, &request) else { return Ok(()) };
        let sizes: BTreeMap<VmId, Need> = needs(&cluster, &lost[0]).into_iter().collect();
        let came = answer.restarts.iter();
        let came = came.map(|one| (one.vm.clone(), (one.on.host.clone(), sizes[&one.vm])));
        let came: BTreeMap<VmId, (HostId, Need)> = came.collect();
        prop_assert_eq!(
            faults(&cluster, &places(&cluster, &lost), &came, &lost),
            Vec::<String>::new()
        );
        prop_assert_eq!(answer.restarts.len() + answer.unrescued.len(), sizes.len());
        prop_assert_eq!(&placing::rescue(&room, &request).unwrap(), &answer);
        if cluster.policy.rules.is_empty() {
            prop_assert!(answer.restarts.windows(2).all(|p| p[0].priority >= p[1].priority));
            // Without the lower classes the highest gets the same hosts.
            let highest = sizes.keys().map(|vm| priorities[vm]).max();
            let mut alone = cluster.clone();
            alone.snapshot.domains.retain(|d| {
                d.host != lost[0] || !sizes.contains_key(&d.vm) || Some(priorities[&d.vm]) == highest
            });
            let room = Room::new(&alone.snapshot, &alone.policy).unwrap();
            let alone = placing::rescue(&room, &request).unwrap();
            let of = |rescue: &placing::Rescue| -> Vec<(VmId, HostId)> {
                let highest_ones =
                    rescue.restarts.iter().filter(|one| Some(one.priority) == highest);
                highest_ones.map(|one| (one.vm.clone(), one.on.host.clone())).collect()
            };
            prop_assert_eq!(of(&alone), of(&answer));
        }
    }
}

#[test]
fn a_sum_would_say_yes_where_placing_says_no() {
    // 2 times 30 GiB are free, but the guest has 50.
    let cluster = Cluster::of(&["h0", "h1", "h2"])
        .vm("a", "h0", 50, 1.0)
        .vm("b", "h1", 70, 1.0)
        .vm("c", "h2", 70, 1.0);
    let room = Room::new(&cluster.snapshot, &cluster.policy).unwrap();
    let stranded = placing::survives(&room, &host_id("h0")).unwrap().unwrap_err();
    assert_eq!(stranded[0].vm, vm_id("a"));
    let said = stranded[0].refused.to_string();
    assert!(said.contains("h1: memory short by 20.0 GiB"), "{said}");
    assert!(said.contains("failed: 1 host"), "{said}");
}

#[test]
fn the_important_ones_start_first_and_emergency_limits_help_the_others() {
    let cluster = Cluster::of(&["h0", "h1", "h2"])
        .policy(|policy| policy.limits.memory_reserve = Share::clamped(0.2))
        .vm("web", "h0", 30, 1.0)
        .vm("database", "h0", 30, 1.0)
        .vm("batch", "h0", 30, 1.0)
        .vm("b", "h1", 50, 1.0)
        .vm("c", "h2", 50, 1.0)
        .host("h0", |host| host.state = HostState::Unreachable);
    let room = Room::new(&cluster.snapshot, &cluster.policy).unwrap();
    let priorities: BTreeMap<VmId, i64> = [(vm_id("database"), 2), (vm_id("web"), 1)].into();
    let mut request = RescueRequest { failed: Vec::new(), priorities, emergency: None };
    let answer = placing::rescue(&room, &request).unwrap();
    assert_eq!(answer.failed, [host_id("h0")]);
    let order: Vec<&str> = answer.restarts.iter().map(|one| one.vm.as_str()).collect();
    assert_eq!(order, ["database", "web"]);
    assert_eq!(answer.unrescued[0].vm, vm_id("batch"));
    request.emergency = Some(Emergency { memory_reserve: Share::ZERO, cpu_overcommit: 8.0 });
    let answer = placing::rescue(&room, &request).unwrap();
    assert!(answer.unrescued[..].iter().all(|one| one.vm == vm_id("batch")));
    assert_eq!(answer.restarts.len(), 2, "20 GiB are not 30, even in an emergency");
    let smaller = cluster.with("batch", |domain| domain.memory = gib(20));
    let room = Room::new(&smaller.snapshot, &smaller.policy).unwrap();
    let answer = placing::rescue(&room, &request).unwrap();
    let emergency: Vec<bool> = answer.restarts.iter().map(|one| one.emergency).collect();
    assert_eq!(emergency, [false, false, true]);
}
