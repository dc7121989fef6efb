//! What is offered where a goal cannot be met: it must really help, and nothing smaller may.

use proptest::prelude::*;
use whimbrel_core::{
    cluster::HostState,
    plan::Goal,
    policy::Rule,
    units::{Share, Span},
};
use whimbrel_planner::{
    PlanFailure,
    relaxation::{Relaxation, WaysOut, ways_out},
};

use crate::{properties::some_cluster, support::*};

fn impossible(cluster: &Cluster, goal: Goal) -> WaysOut {
    let failure = cluster.plan(goal.clone()).unwrap_err();
    ways_out(&cluster.request(goal), &failure)
}

fn lines(ways: &WaysOut) -> Vec<String> {
    ways.ways.iter().map(ToString::to_string).collect()
}

/// Gives up what `change` says, without the planner's help.
fn without(mut cluster: Cluster, change: &Relaxation) -> Cluster {
    let (limits, snapshot) = (&mut cluster.policy.limits, &mut cluster.snapshot);
    match change {
        Relaxation::Rule { rule } => cluster.policy.rules.retain(|one| one.name() != rule),
        Relaxation::MovesMax { to, .. } => limits.moves_max = *to,
        Relaxation::MemoryReserve { to, .. } => limits.memory_reserve = Share::clamped(*to),
        Relaxation::CpuOvercommit { to, .. } => limits.cpu_overcommit = *to,
        Relaxation::DowntimeLimit { to, .. } => cluster.policy.migration.downtime_limit = *to,
        Relaxation::HostInService { host } => {
            snapshot.hosts.get_mut(host).unwrap().state = HostState::Up;
        }
        Relaxation::ShutDown { vm } => snapshot.domains.retain(|domain| domain.vm != *vm),
    }
    cluster
}

/// a holds two web servers and a database; the others are nearly full.
fn tight() -> Cluster {
    Cluster::of(&["a", "b", "c"])
        .vm("web-1", "a", 20, 1.0)
        .vm("db", "a", 10, 1.0)
        .vm("web-2", "b", 50, 1.0)
        .vm("old", "c", 75, 1.0)
        .rule(Rule::anti_affinity("web apart", vec![vm_id("web-1"), vm_id("web-2")]))
        .policy(|policy| policy.limits.memory_reserve = Share::clamped(0.1))
}

#[test]
fn a_drain_that_a_rule_or_a_reserve_forbids_is_told_both() {
    let cluster = tight();
    let ways = impossible(&cluster, drain("a"));
    let text = ways.to_string();
    assert!(
        text.starts_with("drain a is impossible. Smallest change, any one of these:"),
        "{text}"
    );
    let lines = lines(&ways);
    assert!(lines[0].starts_with("relax rule \"web apart\" (then 2 moves, "), "{text}");
    assert!(
        lines[1].starts_with("lower limits.memory_reserve from 0.1 to 0.05 (then 2 moves, "),
        "{text}"
    );
    assert!(lines.iter().any(|line| line.starts_with("shut web-1 down (then 1 move, ")), "{text}");
    assert!(ways.complete);
}

#[test]
fn a_reserve_is_lowered_no_further_than_needed() {
    let cluster = tight();
    for (reserve, possible) in [(0.05, true), (0.06, false)] {
        let other =
            cluster.clone().policy(|policy| policy.limits.memory_reserve = Share::clamped(reserve));
        assert_eq!(other.plan(drain("a")).is_ok(), possible);
    }
}

#[test]
fn limits_stalls_and_hosts_in_maintenance_are_candidates() {
    let many = Cluster::of(&["a", "b"])
        .vm("v", "a", 1, 1.0)
        .vm("w", "a", 1, 1.0)
        .policy(|policy| policy.limits.moves_max = 1);
    assert!(
        lines(&impossible(&many, drain("a")))[0]
            .starts_with("raise limits.moves_max from 1 to 2 (then 2 moves")
    );
    let resting = Cluster::of(&["a", "b"])
        .vm("v", "a", 1, 1.0)
        .host("b", |host| host.state = HostState::Maintenance);
    assert!(
        lines(&impossible(&resting, drain("a")))[0]
            .starts_with("take host b out of maintenance (then 1 move")
    );
    let busy = Cluster::of(&["a", "b"])
        .vm("v", "a", 1, 1.0)
        .with("v", |domain| domain.vcpus = 36)
        .vm("w", "b", 1, 1.0)
        .with("w", |domain| domain.vcpus = 30);
    let lines = lines(&impossible(&busy, drain("a")));
    assert!(lines[0].starts_with("raise limits.cpu_overcommit from 4 to 6.6 (then"), "{lines:?}");
}

#[test]
fn where_no_single_change_helps_two_are_named() {
    let cluster = tight().vm("more", "b", 10, 1.0).vm("pinned", "a", 1, 1.0).rule(Rule::pin(
        "stays in a",
        vec![vm_id("pinned")],
        vec![host_id("a")],
    ));
    let ways = impossible(&cluster, drain("a"));
    let text = ways.to_string();
    assert!(text.contains("No single change helps"), "{text}");
    assert!(text.contains("relax rule \"stays in a\" and relax rule \"web apart\""), "{text}");
    assert!(ways.ways.iter().all(|way| way.changes.len() == 2), "{text}");
}

#[test]
fn where_nothing_helps_or_nothing_is_wanted_that_is_said() {
    let alone = Cluster::of(&["a"]).vm("v", "a", 1, 1.0).vm("w", "a", 1, 1.0);
    let ways = impossible(&alone, drain("a"));
    assert!(ways.ways.is_empty() || ways.ways[0].changes.len() == 2, "{ways}");
    let stuck = Cluster::of(&["a", "b"]).vm("v", "a", 200, 1.0).with("v", |domain| {
        domain.state = whimbrel_core::cluster::DomainState::PostCopyFailed;
    });
    let ways = impossible(&stuck, drain("a"));
    assert!(ways.ways.is_empty() && ways.plans == 0);
    assert!(ways.to_string().starts_with("drain a is impossible. No rule and no limit"), "{ways}");
}

#[test]
fn contradictory_rules_are_relaxed_one_at_a_time() {
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("v", "a", 1, 1.0)
        .vm("w", "a", 1, 1.0)
        .rule(anti(&["v", "w"]))
        .rule(affinity(&["v", "w"]));
    let lines = lines(&impossible(&cluster, drain("a")));
    assert!(lines[0].starts_with("relax rule \"apart\" (then 2 moves"), "{lines:?}");
    assert!(lines[1].starts_with("relax rule \"together\" (then 2 moves"), "{lines:?}");
}

#[test]
fn more_rules_than_can_be_tried_are_bounded_and_said_to_be() {
    let mut cluster = Cluster::of(&["a", "b"]).vm("v", "a", 60, 1.0).vm("w", "b", 60, 1.0);
    for number in 0..100_000 {
        cluster.policy.rules.push(Rule::exclude(
            &format!("rule {number}"),
            vec![vm_id("nobody")],
            vec![host_id("b")],
        ));
    }
    let failure = cluster.plan(drain("a")).unwrap_err();
    assert!(!matches!(failure, PlanFailure::Unsound(_)), "{failure}");
    let ways = ways_out(&cluster.request(drain("a")), &failure);
    assert!(!ways.complete && ways.plans < 150, "{ways}");
    assert!(ways.to_string().contains("shut v down"), "{ways}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_way_out_leads_to_a_plan_and_no_part_of_it_does(cluster in some_cluster()) {
        let Err(failure) = cluster.plan(drain("h0")) else { return Ok(()) };
        let ways = ways_out(&cluster.request(drain("h0")), &failure);
        for way in &ways.ways {
            let relaxed = way.changes.iter().fold(cluster.clone(), without);
            let plan = relaxed.plan(drain("h0")).unwrap();
            prop_assert_eq!(plan.moves().count(), way.moves);
            prop_assert_eq!(plan.report.makespan, way.makespan);
            prop_assert!(way.makespan < Span::from_seconds(1_000_000));
            prop_assert_eq!(relaxed.faults(&plan), Vec::<String>::new());
            for left_out in &way.changes {
                let part = way.changes.iter().filter(|change| *change != left_out);
                let relaxed = part.fold(cluster.clone(), without);
                prop_assert!(relaxed.plan(drain("h0")).is_err(), "{}", ways);
            }
        }
    }
}
