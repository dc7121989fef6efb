//! Room for what is wanted, and hosts that may be switched off.

use whimbrel_core::{
    cluster::HostState,
    plan::{Flavour, Goal, Plan, Reason, Remark},
    units::{Bytes, Share, Span},
};
use whimbrel_planner::PlanFailure;

use crate::support::*;

/// A VM of `memory_gib` and 4 vCPUs, `count` times.
fn wanted(memory_gib: u64, count: u32) -> Goal {
    Goal::Defragment {
        flavours: vec![Flavour { name: None, vcpus: 4, memory: gib(memory_gib), count }],
    }
}

fn off(plan: &Plan) -> (Vec<String>, u32) {
    let found = plan.report.remarks.iter().find_map(|remark| match remark {
        Remark::SwitchOff { hosts, most, .. } => {
            Some((hosts.iter().map(ToString::to_string).collect(), *most))
        }
        _ => None,
    });
    found.unwrap_or_default()
}

/// Hosts may go to full use, and an hour off is worth more than any move here.
fn eager(cluster: Cluster) -> Cluster {
    cluster.policy(|policy| {
        policy.powersave.headroom = Share::ZERO;
        policy.powersave.hosts_min = 1;
        policy.powersave.host_hour_worth = 1e5;
        policy.balance.overload_above = Share::ONE;
    })
}

#[test]
fn the_smallest_vm_that_makes_the_room_goes() {
    let cluster = Cluster::of(&["h0", "h1"])
        .vm("a", "h0", 50, 1.0)
        .vm("b", "h0", 20, 1.0)
        .vm("c", "h0", 12, 1.0)
        .vm("d", "h1", 75, 1.0);
    let plan = cluster.plan(wanted(30, 1)).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert_eq!(moves(&plan), ["c: h0 -> h1"]);
    let text = plan.report.remarks[0].to_string();
    assert!(text.starts_with("1 move (12.0 GiB, "), "{text}");
    assert!(text.contains("room for 1 x (30.0 GiB, 4 vCPUs); 0 of them had room before"), "{text}");
}

#[test]
fn two_hosts_become_one_and_the_reserve_keeps_one_more() {
    let three = || {
        Cluster::of(&["h0", "h1", "h2"])
            .vm("a", "h0", 30, 1.0)
            .vm("b", "h1", 30, 1.0)
            .vm("c", "h2", 35, 1.0)
    };
    let cluster = eager(three());
    let plan = cluster.plan(Goal::Powersave).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert_eq!(off(&plan), (vec!["h0".to_owned(), "h1".to_owned()], 2));
    assert!(plan.moves().all(|(_, one)| one.reason == Reason::HostDrained));
    let safe = eager(three()).policy(|policy| policy.limits.host_failures = 1);
    let plan = safe.plan(Goal::Powersave).unwrap();
    assert_eq!(safe.faults(&plan), Vec::<String>::new());
    assert_eq!(off(&plan), (vec!["h0".to_owned()], 1));
    assert!(plan.report.remarks.iter().any(|one| one.to_string() == "N+1 holds before and after"));
}

#[test]
fn an_hour_off_that_is_worth_little_moves_nobody() {
    let cluster = Cluster::of(&["h0", "h1", "h2"]).vm("a", "h0", 30, 1.0).vm("b", "h1", 30, 1.0);
    let dear = eager(cluster).policy(|policy| policy.powersave.host_hour_worth = 10.0);
    let plan = dear.plan(Goal::Powersave).unwrap();
    assert!(plan.is_empty());
}

#[test]
fn what_is_empty_already_may_be_off_without_a_move() {
    let cluster = eager(Cluster::of(&["h0", "h1"]).vm("a", "h0", 30, 1.0));
    let plan = cluster.plan(Goal::Powersave).unwrap();
    assert!(plan.is_empty());
    assert_eq!(off(&plan), (vec!["h1".to_owned()], 1));
}

#[test]
fn demand_above_what_is_on_wakes_the_largest_host_asleep() {
    let asleep = |name| {
        move |cluster: Cluster| cluster.host(name, |host| host.state = HostState::Maintenance)
    };
    let cluster = asleep("h2")(asleep("h1")(Cluster::of(&["h0", "h1", "h2"])))
        .host("h2", |host| host.memory = gib(200))
        .vm("a", "h0", 30, 5.0)
        .vm("b", "h0", 30, 4.0);
    let plan = cluster.plan(Goal::Powersave).unwrap();
    assert!(plan.is_empty());
    let text = plan.report.remarks[0].to_string();
    assert!(
        text.contains("demand is 9.0 cores") && text.contains("wake 1 more host (hint: h2)"),
        "{text}"
    );
}

#[test]
fn sizes_that_nothing_can_have_are_refused_by_name() {
    let cluster = Cluster::of(&["h0", "h1"]).vm("a", "h0", 30, 1.0);
    let flavour = |vcpus, memory, count| Goal::Defragment {
        flavours: vec![Flavour { name: Some("huge".to_owned()), vcpus, memory, count }],
    };
    for (goal, says) in [
        (flavour(4, gib(101), 1), "no host is large enough for 1 x huge"),
        (flavour(41, gib(1), 1), "no host is large enough"),
        (flavour(4, gib(1), 0), "count is 0"),
        (flavour(0, gib(1), 1), "vCPUs is 0"),
        (flavour(4, Bytes::new(u64::MAX), 1), "memory is"),
        (flavour(4, gib(1), u32::MAX), "room is wanted for 4294967295 VMs"),
        (flavour(4, gib(60), 3), "no room for 3 x huge (60.0 GiB, 4 vCPUs): 2 of them fit at best"),
    ] {
        let text = cluster.plan(goal).unwrap_err().to_string();
        assert!(text.contains(says) && text.contains("(hint: "), "{text}");
    }
    assert!(cluster.plan(Goal::Defragment { flavours: Vec::new() }).unwrap().is_empty());
}

#[test]
fn a_missed_deadline_is_named_or_refused() {
    let cluster = Cluster::of(&["h0", "h1"]).vm("a", "h0", 30, 1.0).vm("b", "h0", 10, 1.0);
    let drain = |seconds, strict| Goal::Drain {
        hosts: host_id("h0").into(),
        deadline: Some(Span::from_seconds(seconds)),
        strict,
    };
    // 100 MiB/s: 308 s and 103 s, one after the other.
    let plan = cluster.plan(drain(320, false)).unwrap();
    let text = plan.report.remarks[0].to_string();
    assert!(text.contains("1 VM would not have left") && text.contains("b after"), "{text}");
    assert!(cluster.plan(drain(600, true)).unwrap().report.remarks.is_empty());
    let refused = cluster.plan(drain(320, true)).unwrap_err();
    assert!(matches!(refused, PlanFailure::Deadline(_)), "{refused}");
    assert!(refused.to_string().contains("(hint: "));
}

#[test]
fn no_plan_makes_the_reserve_worse() {
    let three = Cluster::of(&["h0", "h1", "h2"])
        .vm("a", "h0", 60, 1.0)
        .vm("b", "h1", 60, 1.0)
        .vm("c", "h2", 30, 1.0)
        .policy(|policy| policy.limits.host_failures = 1);
    let refused = three.plan(drain("h2")).unwrap_err();
    assert!(matches!(refused, PlanFailure::Reserve { .. }), "{refused}");
    assert!(refused.to_string().contains("would break N+1"), "{refused}");
    let four = Cluster::of(&["h0", "h1", "h2", "h3"])
        .vm("a", "h0", 60, 1.0)
        .vm("b", "h1", 60, 1.0)
        .vm("c", "h2", 30, 1.0)
        .policy(|policy| policy.limits.host_failures = 1);
    let plan = four.plan(drain("h2")).unwrap();
    assert_eq!(four.faults(&plan), Vec::<String>::new());
}

#[test]
fn the_checker_judges_the_reserve_and_what_is_off_by_itself() {
    let cluster = Cluster::of(&["h0", "h1", "h2"])
        .vm("a", "h0", 60, 1.0)
        .vm("b", "h1", 60, 1.0)
        .vm("c", "h2", 30, 1.0);
    let plan = cluster.plan(drain("h2")).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    let strict = cluster.clone().policy(|policy| policy.limits.host_failures = 1);
    let faults = strict.faults(&plan);
    assert!(faults.iter().any(|one| one.contains("2 domains would find no place")), "{faults:?}");
    let lie = Remark::SwitchOff {
        hosts: vec![host_id("h1")],
        emptied: 1,
        most: 1,
        worth_seconds: 1.0,
        cost_seconds: 0.0,
    };
    let faults = cluster.faults(&plan.remarked(vec![lie]));
    assert!(faults.iter().any(|one| one.starts_with("h1: may be switched off")), "{faults:?}");
}

mod brute {
    //! Against every placement of a tiny cluster that one move after the other leads to.

    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    const HOSTS: [&str; 3] = ["h0", "h1", "h2"];
    const VMS: [&str; 5] = ["v0", "v1", "v2", "v3", "v4"];

    fn tiny() -> impl Strategy<Value = (Cluster, Vec<(usize, u64)>)> {
        let vm = (0..3usize, 1..12u64);
        prop::collection::vec(vm, 1..6).prop_map(|vms| {
            let mut cluster = eager(Cluster::of(&HOSTS));
            for (name, (host, memory)) in VMS.iter().zip(&vms) {
                cluster = cluster.vm(name, HOSTS[*host], memory * 5, 0.5);
            }
            (cluster, vms.into_iter().map(|(host, memory)| (host, memory * 5)).collect())
        })
    }

    /// Every placement that can be reached by single moves, each within 100 GiB a host.
    fn reachable(vms: &[(usize, u64)]) -> BTreeSet<Vec<usize>> {
        let start: Vec<usize> = vms.iter().map(|vm| vm.0).collect();
        let (mut known, mut open) = (BTreeSet::from([start.clone()]), vec![start]);
        while let Some(place) = open.pop() {
            for vm in 0..vms.len() {
                for host in 0..3 {
                    let used: u64 =
                        (0..vms.len()).filter(|v| place[*v] == host).map(|v| vms[v].1).sum();
                    if host == place[vm] || used + vms[vm].1 > 100 {
                        continue;
                    }
                    let mut next = place.clone();
                    next[vm] = host;
                    if known.insert(next.clone()) {
                        open.push(next);
                    }
                }
            }
        }
        known
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_placement_has_fewer_hosts_on((cluster, vms) in tiny()) {
            let plan = cluster.plan(Goal::Powersave).unwrap();
            prop_assert_eq!(cluster.faults(&plan), Vec::<String>::new());
            let empty = |place: &Vec<usize>| (0..3).filter(|host| !place.contains(host)).count();
            let best = reachable(&vms).iter().map(empty).max().unwrap();
            let (off, most) = off(&plan);
            prop_assert_eq!(off.len(), best);
            prop_assert!(most as usize >= best);
        }

        #[test]
        fn no_placement_makes_the_room_with_fewer_moves((cluster, vms) in tiny(), size in 1..20u64) {
            let moves = |place: &Vec<usize>| (0..vms.len()).filter(|v| place[*v] != vms[*v].0).count();
            let holds = |place: &Vec<usize>| (0..3).any(|host| {
                let used: u64 = (0..vms.len()).filter(|v| place[*v] == host).map(|v| vms[v].1).sum();
                used + size * 5 <= 100
            });
            let least = reachable(&vms).iter().filter(|place| holds(place)).map(moves).min();
            match (cluster.plan(wanted(size * 5, 1)), least) {
                (Ok(plan), Some(least)) => {
                    prop_assert_eq!(cluster.faults(&plan), Vec::<String>::new());
                    let moved: BTreeMap<_, _> = plan.moves().map(|(_, m)| (&m.vm, &m.to)).collect();
                    prop_assert_eq!(moved.len(), least);
                    let Remark::RoomFor { fewest, .. } = &plan.report.remarks[0] else {
                        return Err(TestCaseError::fail("no room is told"));
                    };
                    prop_assert!(*fewest as usize <= least);
                }
                (Err(PlanFailure::NoRoomFor { found: 0, .. } | PlanFailure::Unreachable(_)), None) => {}
                (other, least) => prop_assert!(false, "{:?} {:?}", other.map(|p| p.digest), least),
            }
        }
    }
}
