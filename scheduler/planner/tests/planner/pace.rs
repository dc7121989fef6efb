//! How many moves run at one time is chosen: the fewest that end the plan as soon as any number.

use whimbrel_core::{plan::Plan, policy::Policy, units::BytesPerSecond};

use crate::support::*;

/// Eight guests of `memory_gib` on `a`, with room for all on `b` and `c`, that may leave four at a
/// time.
fn eight(memory_gib: u64, path: BytesPerSecond) -> Cluster {
    let cluster = Cluster::of(&["a", "b", "c"]).policy(|policy| {
        policy.limits.migrations_per_host = 4;
        policy.limits.migrations_total = 8;
        policy.limits.path_bandwidth = path;
    });
    cluster.crowd(&["s", "t", "u", "v", "w", "x", "y", "z"], "a", memory_gib)
}

fn drained(cluster: &Cluster) -> Plan {
    let plan = cluster.plan(drain("a")).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    plan
}

/// The same plan where the policy leaves no choice.
fn fixed(cluster: &Cluster, per_host: u32) -> Plan {
    let only = |policy: &mut Policy| policy.limits.migrations_per_host = per_host;
    drained(&cluster.clone().policy(only))
}

#[test]
fn guests_whose_preparation_takes_longest_go_many_at_one_time() {
    let cluster = eight(1, BytesPerSecond::mib(100 * 1024));
    let plan = drained(&cluster);
    assert_eq!(plan.at_once.per_host, 4);
    assert!(plan.report.makespan.as_seconds_f64() < 2.1, "{}", plan.report.makespan.human());
    assert!(fixed(&cluster, 1).report.makespan.as_seconds_f64() > 8.0);
}

#[test]
fn guests_that_fill_the_link_go_one_by_one() {
    // 100 s each on a free link and 1 s of preparation: sharing hides no more than that second.
    let plan = drained(&eight(10, BytesPerSecond::mib(102)));
    assert_eq!(plan.at_once.per_host, 1);
}

#[test]
fn a_guest_that_ends_only_on_a_free_link_goes_alone_and_the_others_share() {
    // It writes 600 MiB a second, of which half a link of 1000 MiB a second is not enough.
    let cluster = eight(1, BytesPerSecond::mib(1000)).with("v", writes(600));
    let plan = drained(&cluster);
    let alone: Vec<&str> = plan.moves.iter().filter(|m| m.alone).map(|m| m.vm.as_str()).collect();
    assert_eq!(alone, ["v"]);
    assert!(plan.at_once.per_host > 1);
    let ends = |m: &whimbrel_core::plan::Move| m.begins + m.predicted.total_time.p50;
    let hot = plan.moves.iter().find(|m| m.alone).unwrap();
    for other in plan.moves.iter().filter(|m| !m.alone) {
        assert!(ends(other) <= hot.begins || ends(hot) <= other.begins, "{} meets it", other.vm);
    }
    assert!(plan.report.makespan < fixed(&cluster, 1).report.makespan);
}

#[test]
fn each_direction_of_a_host_has_its_own_limit() {
    let cluster = eight(1, BytesPerSecond::mib(100 * 1024)).policy(|policy| {
        policy.limits.migrations_out_of_host = Some(2);
    });
    let plan = drained(&cluster);
    assert_eq!(plan.at_once.out_of_host, Some(2));
    let ends = |m: &whimbrel_core::plan::Move| m.begins + m.predicted.total_time.p50;
    for one in &plan.moves {
        let leave = |m: &&whimbrel_core::plan::Move| m.begins <= one.begins && ends(m) > one.begins;
        assert!(plan.moves.iter().filter(leave).count() <= 2, "{} is the third", one.vm);
    }
    assert!(plan.report.makespan < fixed(&cluster, 1).report.makespan);
}
