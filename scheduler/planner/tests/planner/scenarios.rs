//! One sentence each: what a plan must look like.

use whimbrel_core::{
    cluster::{HostState, JobProgress},
    plan::{Goal, Reason},
    policy::Rule,
    units::{BytesPerSecond, Share, Span},
};
use whimbrel_planner::{baseline, evaluate};

use crate::support::*;

#[test]
fn a_drain_empties_its_host_and_leaves_the_others_alone() {
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("v1", "a", 30, 2.0)
        .vm("v2", "a", 20, 1.0)
        .vm("w", "b", 20, 5.0);
    let plan = cluster.plan(drain("a")).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert_eq!(moves(&plan), ["v1: a -> c", "v2: a -> c"]);
    assert!(plan.moves().all(|(_, m)| m.reason == Reason::HostDrained));
    assert_eq!(plan.report.found_by, "local search");
    assert!(plan.report.gap.is_some_and(|gap| gap < 1e-3));
    // 1 s and 30 or 20 GiB at 100 MiB/s.
    assert_eq!(plan.report.makespan, Span::from_millis(308_200 + 205_800));
}

#[test]
fn a_timeout_leaves_a_margin_over_the_p95_in_whole_seconds() {
    let cluster = Cluster::of(&["a", "b"]).vm("v", "a", 1, 0.5);
    let plan = cluster.plan(drain("a")).unwrap();
    let one = &plan.moves[0];
    let p95 = one.predicted.total_time.p95.as_seconds_f64();
    assert!(one.timeout.as_seconds_f64() >= p95 + 10.0);
    assert_eq!(one.timeout.as_micros() % 1_000_000, 0);
}

#[test]
fn a_host_in_maintenance_can_be_drained_and_takes_nothing() {
    let cluster = Cluster::of(&["a", "b", "c"])
        .host("a", |host| host.state = HostState::Maintenance)
        .host("b", |host| host.state = HostState::Maintenance)
        .vm("v", "a", 10, 1.0);
    assert_eq!(moves(&cluster.plan(drain("a")).unwrap()), ["v: a -> c"]);
}

#[test]
fn others_make_room_only_where_a_drain_needs_it() {
    // 80 GiB fit nowhere unless b gives its 40 GiB to c.
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("big", "a", 80, 1.0)
        .vm("w", "b", 40, 1.0)
        .vm("x", "c", 30, 1.0);
    let plan = cluster.plan(drain("a")).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    let moves: Vec<_> = plan.moves().map(|(_, m)| (m.vm.as_str(), m.reason.clone())).collect();
    let displaced = moves.iter().find(|(vm, _)| *vm != "big").unwrap();
    assert!(matches!(displaced.1, Reason::MakesRoom { .. }), "{moves:?}");
    assert_eq!(moves.len(), 2);
    assert_eq!(moves[1].0, "big", "room is made before it is used");
}

#[test]
fn a_calm_cluster_gets_the_empty_plan() {
    let cluster = Cluster::of(&["a", "b"]).vm("v", "a", 10, 3.0).vm("w", "b", 10, 1.0);
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert!(plan.is_empty());
    assert_eq!(plan.report.gap, Some(0.0));
}

#[test]
fn a_balance_moves_what_pays_and_says_why_the_rest_stays() {
    let cluster = Cluster::of(&["a", "b"])
        .vm("v1", "a", 4, 3.0)
        .vm("v2", "a", 4, 3.0)
        .vm("v3", "a", 90, 3.5)
        .vm("w", "b", 4, 1.0);
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert_eq!(plan.moves().count(), 1);
    let (_, one) = plan.moves().next().unwrap();
    assert!(["v1", "v2"].contains(&one.vm.as_str()), "the small ones are cheap to move");
    let Reason::Relieves { host, gain_seconds, cost_seconds } = &one.reason else {
        panic!("{:?}", one.reason)
    };
    assert_eq!(host.as_str(), "a");
    assert!(*gain_seconds >= 2.0 * cost_seconds);
    assert_eq!(plan.stays.len(), 2);
    assert!(
        plan.stays.iter().all(|stay| matches!(stay.reason, Reason::GainTooSmall { .. })),
        "{:?}",
        plan.stays
    );
    let (before, after) = term(&plan.report.terms, "contention_guest_seconds");
    assert!(after < before / 2.0);
}

#[test]
fn a_short_horizon_pays_for_no_move() {
    let cluster = Cluster::of(&["a", "b"])
        .vm("v1", "a", 50, 4.0)
        .vm("v2", "a", 50, 4.5)
        .policy(|policy| policy.balance.horizon = Span::from_seconds(60));
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert!(plan.is_empty());
    assert!(plan.stays.iter().all(|stay| matches!(stay.reason, Reason::GainTooSmall { .. })));
}

#[test]
fn stays_name_what_holds_a_machine() {
    let cluster = Cluster::of(&["a", "b"])
        .vm("held", "a", 4, 3.0)
        .vm("pinned", "a", 4, 3.0)
        .vm("writer", "a", 4, 3.5)
        .rule(pin(&["pinned"], &["a"]))
        .with("held", |domain| domain.job = Some(JobProgress::default()))
        .with("writer", writes(500));
    let plan = cluster.plan(Goal::Balance).unwrap();
    let reasons: Vec<_> = plan.stays.iter().map(|stay| stay.reason.clone()).collect();
    assert_eq!(
        reasons,
        [
            Reason::Migrating,
            Reason::HeldByRule { rule: "pin".to_owned() },
            Reason::WouldStall { converges: 0.0 },
        ]
    );
}

#[test]
fn broken_rules_are_mended_by_a_balance() {
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("v1", "a", 4, 0.5)
        .vm("v2", "a", 4, 0.5)
        .vm("p", "a", 4, 0.5)
        .vm("t1", "b", 4, 0.5)
        .vm("t2", "c", 4, 0.5)
        .rule(anti(&["v1", "v2"]))
        .rule(pin(&["p"], &["b", "c"]))
        .rule(affinity(&["t1", "t2"]));
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert_eq!(term(&plan.report.terms, "rules_broken"), (3.0, 0.0));
    assert_eq!(plan.moves().count(), 3);
    assert!(plan.moves().all(|(_, m)| matches!(m.reason, Reason::RuleBroken { .. })));
}

#[test]
fn a_rule_that_nobody_can_mend_does_not_stop_the_rest() {
    let cluster = Cluster::of(&["a", "b"])
        .vm("v1", "a", 4, 4.0)
        .vm("v2", "a", 4, 5.0)
        .vm("stuck", "b", 4, 0.5)
        .with("stuck", writes(500))
        .rule(pin(&["stuck"], &["a"]));
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert_eq!(plan.moves().count(), 1);
}

#[test]
fn two_that_must_swap_pass_over_a_third_host() {
    // Both pins are broken and neither host has room for both machines.
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("v", "a", 60, 1.0)
        .vm("w", "b", 60, 1.0)
        .rule(pin(&["v"], &["b"]))
        .rule(Rule::pin("other pin", vec![vm_id("w")], vec![host_id("a"), host_id("c")]))
        .vm("filler", "c", 40, 1.0)
        .policy(|policy| policy.limits.moves_max = 3);
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert!(term(&plan.report.terms, "rules_broken").1 < 0.5);
}

#[test]
fn the_next_move_begins_when_a_slot_is_free_and_the_longest_go_first() {
    let mut cluster = Cluster::of(&["a", "b", "c"]).policy(|policy| {
        policy.limits.migrations_per_host = 2;
        policy.limits.migrations_total = 2;
        policy.limits.path_bandwidth = BytesPerSecond::mib(100 * 1024);
    });
    for (name, memory) in [("s1", 2), ("l1", 80), ("s2", 2), ("l2", 10)] {
        cluster = cluster.vm(name, "a", memory, 0.5);
    }
    let plan = cluster.plan(drain("a")).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    let names: Vec<&str> = plan.moves.iter().map(|m| m.vm.as_str()).collect();
    assert_eq!(names, ["l1", "l2", "s1", "s2"]);
    let end = |index: usize| {
        let one = &plan.moves[index];
        one.begins + one.predicted.total_time.p50
    };
    assert_eq!(plan.moves[1].begins, Span::ZERO);
    assert_eq!((plan.moves[2].begins, plan.moves[3].begins), (end(1), end(2)));
    assert_eq!(plan.report.makespan, end(0).max(end(3)));
    assert!(plan.moves.iter().all(|one| one.after.is_empty()), "there is room for all of them");
}

#[test]
fn a_move_waits_for_those_that_make_its_room_and_for_no_others() {
    // 80 GiB go from a to b only once b has given its 40 GiB to c; what goes to d waits for nobody.
    let cluster = Cluster::of(&["a", "b", "c", "d"])
        .vm("big", "a", 80, 1.0)
        .vm("small", "a", 1, 0.5)
        .vm("w", "b", 40, 1.0)
        .vm("x", "c", 45, 1.0)
        .vm("y", "d", 60, 1.0);
    let plan = cluster.plan(drain("a")).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    let place = |vm: &str| plan.moves.iter().position(|m| m.vm.as_str() == vm).unwrap();
    assert_eq!(plan.moves[place("big")].after, [u32::try_from(place("w")).unwrap()]);
    assert_eq!(plan.moves[place("small")].after, Vec::<u32>::new());
}

#[test]
fn a_measured_slow_link_is_avoided() {
    let cluster = Cluster::of(&["a", "b", "c"])
        .host("b", |host| host.migration_bandwidth = Some(BytesPerSecond::mib(10)))
        .vm("v", "a", 10, 1.0);
    assert_eq!(moves(&cluster.plan(drain("a")).unwrap()), ["v: a -> c"]);
}

#[test]
fn an_arriving_stranger_counts_where_it_goes() {
    let cluster = Cluster::of(&["a", "b", "c"]).vm("v", "a", 60, 1.0).vm("s", "c", 60, 1.0);
    let incoming = |cluster: Cluster| {
        cluster.vm("s", "b", 60, 0.0).with("s", |d| {
            if d.host.as_str() == "b" {
                d.state = whimbrel_core::DomainState::Incoming;
            } else {
                d.job = Some(JobProgress::default());
            }
        })
    };
    assert_eq!(moves(&cluster.plan(drain("a")).unwrap()), ["v: a -> b"]);
    let cluster =
        incoming(Cluster::of(&["a", "b", "c"]).vm("v", "a", 60, 1.0).vm("s", "c", 60, 1.0));
    assert!(cluster.plan(drain("a")).is_err());
}

#[test]
fn baselines_are_plans_too() {
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("v1", "a", 20, 4.0)
        .vm("v2", "a", 20, 4.5)
        .vm("w", "b", 20, 3.0)
        .with("v1", writes(500));
    let nothing = baseline::do_nothing(&cluster.request(Goal::Balance)).unwrap();
    assert!(nothing.is_empty());
    nothing.verify().unwrap();
    let script = baseline::greedy_by_load(&cluster.request(drain("a"))).unwrap();
    script.verify().unwrap();
    assert_eq!(moves(&script), ["v1: a -> c", "v2: a -> b"]);
    assert_eq!(cluster.faults(&script).len(), 1, "it moves what stalls, and the checker says so");
    let balanced = baseline::greedy_by_load(&cluster.request(Goal::Balance)).unwrap();
    assert_eq!(moves(&balanced), ["v2: a -> c"]);
}

#[test]
fn a_placement_is_worth_the_same_as_the_plan_that_leads_to_it() {
    let cluster = Cluster::of(&["a", "b"]).vm("v1", "a", 4, 4.0).vm("v2", "a", 4, 4.5);
    let request = cluster.request(Goal::Balance);
    let plan = whimbrel_planner::plan(&request).unwrap();
    let place = plan.moves().map(|(_, m)| (m.vm.clone(), m.to.clone())).collect();
    assert_eq!(evaluate(&request, &place).unwrap(), plan.report.terms);
}

#[test]
fn unmeasured_guests_share_what_their_host_uses() {
    // 9 cores in use on a, nobody knows by whom.
    let cluster = Cluster::of(&["a", "b"])
        .host("a", |host| host.cpu_used = Some(whimbrel_core::units::MilliCores::cores(9)))
        .vm("v1", "a", 4, 0.0)
        .vm("v2", "a", 4, 0.0)
        .with("v1", |d| d.cpu_used = None)
        .with("v2", |d| d.cpu_used = None)
        .policy(|policy| policy.balance.overload_above = Share::clamped(0.7));
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(plan.moves().count(), 1);
    let (before, _) = term(&plan.report.terms, "utilisation_max_share");
    assert!((before - 0.9).abs() < 1e-9);
}

#[test]
fn a_machine_makes_way_for_one_that_may_not_be_with_it() {
    let cluster = Cluster::of(&["h0", "h1", "h2"])
        .vm("v0", "h2", 5, 0.0)
        .vm("v1", "h0", 5, 4.9)
        .vm("v2", "h0", 10, 3.1)
        .vm("v3", "h1", 10, 3.0)
        .rule(anti(&["v0", "v1"]))
        .policy(|policy| policy.limits.moves_max = 3);
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(moves(&plan), ["v0: h2 -> h1", "v1: h0 -> h2"]);
    assert!(matches!(plan.moves[0].reason, Reason::MakesRoom { .. }));
}
