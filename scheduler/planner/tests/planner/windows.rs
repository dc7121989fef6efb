//! Daily windows while a plan runs: who goes first, who is not begun, and what is said of it.

use whimbrel_core::{
    outlook::Quieter,
    plan::{Goal, Plan, Reason, Remark},
    policy::{Budget, DailyWindow, Rule, RuleKind},
    units::{BytesPerSecond, Span},
};

use crate::support::*;

/// Lets `vms` be migrated until `minutes` past eight only; now it is eight.
fn until(vms: &[&str], minutes: u32) -> Rule {
    let windows = vec![DailyWindow {
        from: "07:00".parse().unwrap(),
        to: format!("08:{minutes:02}").parse().unwrap(),
    }];
    let budget = Budget { windows, ..Budget::default() };
    let vms = vms.iter().map(|vm| vm_id(vm)).collect();
    Rule::new("mornings", RuleKind::Disruption(budget), vms)
}

/// Guests that take 100 s each and may only go one by one: w, x, y and z on `a`.
fn four() -> Cluster {
    let cluster = Cluster::of(&["a", "b"]).policy(|policy| {
        policy.limits.migrations_per_host = 1;
        policy.limits.path_bandwidth = BytesPerSecond::mib(100);
    });
    cluster.crowd(&["w", "x", "y", "z"], "a", 10)
}

fn drained(cluster: &Cluster) -> Plan {
    let plan = cluster.plan(drain("a")).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    plan
}

#[test]
fn those_whose_window_closes_go_first() {
    let plan = drained(&four().rule(until(&["z"], 3)));
    assert_eq!(plan.moves[0].vm.as_str(), "z");
    assert_eq!(plan.moves[0].ends_before, Some(NOW + Span::from_seconds(180)));
    assert!(plan.moves[1..].iter().all(|one| one.ends_before.is_none()));
    assert_eq!(plan.report.remarks, []);
}

#[test]
fn what_would_not_end_in_its_window_is_not_moved() {
    // 103 s in the median, 134 s in 19 of 20 cases.
    let cluster = four().rule(until(&["z"], 2)).policy(|policy| {
        policy.balance.overload_above = whimbrel_core::units::Share::clamped(0.01);
    });
    let refused = cluster.plan(drain("a")).unwrap_err().to_string();
    assert!(refused.contains("mornings") && refused.contains("leaves no time"), "{refused}");
    assert!(refused.contains("hint: plan again when the window opens"), "{refused}");
    let plan = cluster.plan(Goal::Balance).unwrap();
    let stay = plan.stays.iter().find(|stay| stay.vm.as_str() == "z").unwrap();
    let opens = NOW + Span::from_seconds(23 * 3600);
    assert_eq!(stay.reason, Reason::OutsideWindow { rule: "mornings".to_owned(), opens });
}

#[test]
fn those_that_come_too_late_for_their_window_are_named() {
    let plan = drained(&four().rule(until(&["w", "x", "y", "z"], 5)));
    let [Remark::WindowMissed { vms }] = plan.report.remarks.as_slice() else {
        panic!("{:?}", plan.report.remarks)
    };
    let names: Vec<&str> = vms.iter().map(|late| late.vm.as_str()).collect();
    assert_eq!(names, ["y", "z"]);
    // More at a time do not help on a full link, but they would with guests that fill none.
    let wide = four().rule(until(&["w", "x", "y", "z"], 2)).policy(|policy| {
        policy.limits.migrations_per_host = 4;
        policy.limits.path_bandwidth = BytesPerSecond::mib(100 * 1024);
    });
    assert_eq!(drained(&wide).report.remarks, []);
}

/// `z` writes 120 MiB a second now, which no link of 100 carries, and next to nothing in `wait` seconds.
fn quieter_later(wait: u64) -> Cluster {
    let mut cluster = four().with("z", writes(120));
    let quiet = Quieter { at: NOW + Span::from_seconds(wait), dirty: Vec::new() };
    cluster.outlook.quieter.insert(vm_id("z"), quiet);
    cluster
}

fn drained_within(cluster: &Cluster, seconds: u64) -> Result<Plan, whimbrel_planner::PlanFailure> {
    let deadline = Some(Span::from_seconds(seconds));
    let goal = Goal::Drain { hosts: host_id("a").into(), deadline, strict: false };
    cluster.plan(goal)
}

#[test]
fn a_drain_with_time_waits_for_a_quiet_moment() {
    let cluster = quieter_later(600);
    let stalls = cluster.plan(drain("a")).unwrap_err();
    assert!(stalls.to_string().contains('z'), "now it would not end: {stalls}");
    let plan = drained_within(&cluster, 1800).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    let last = plan.moves.last().unwrap();
    assert_eq!((last.vm.as_str(), last.begins), ("z", Span::from_seconds(600)));
    assert_eq!(last.not_before, Some(NOW + Span::from_seconds(600)));
    assert!(plan.moves[..3].iter().all(|one| one.not_before.is_none()));
    assert_eq!(plan.report.remarks, []);
}

#[test]
fn nobody_waits_at_the_price_of_the_deadline() {
    let mut cluster = quieter_later(600).with("z", |domain| domain.dirty.clear());
    let plan = drained_within(&cluster, 650).unwrap();
    assert!(plan.moves.iter().all(|one| one.not_before.is_none()), "it would end at 734 s");
    // It could wait alone, but then it would keep the others waiting behind it.
    let quiet = cluster.outlook.quieter[&vm_id("z")].clone();
    for name in ["w", "x", "y"] {
        cluster.outlook.quieter.insert(vm_id(name), quiet.clone());
    }
    let plan = drained_within(&cluster, 800).unwrap();
    assert!(plan.moves.iter().all(|one| one.not_before.is_none()));
    assert_eq!(plan.report.remarks, []);
}
