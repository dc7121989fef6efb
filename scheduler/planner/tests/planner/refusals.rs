//! What is refused, with what words: every message names the thing and ends with a hint.

use whimbrel_core::{
    cluster::{DomainState, HostState, JobProgress},
    plan::{Goal, Reason},
    units::{BytesPerSecond, Span},
};
use whimbrel_planner::{PlanFailure, PlanRequest, Unsound, plan};

use crate::support::*;

/// The failure, after a look at its words.
fn refused(cluster: &Cluster, goal: Goal) -> PlanFailure {
    let failure = cluster.plan(goal).unwrap_err();
    let text = failure.to_string();
    assert!(text.contains("(hint: ") && text.ends_with(')'), "{text}");
    failure
}

#[test]
fn a_stale_snapshot() {
    let cluster = Cluster::of(&["a"]);
    let now = NOW + Span::from_seconds(601);
    let failure = plan(&PlanRequest { now, ..cluster.request(Goal::Balance) }).unwrap_err();
    assert!(
        failure.to_string().starts_with("the snapshot is 10 min 01 s old, the limit is 10 min")
    );
}

#[test]
fn a_machine_on_two_hosts_and_a_policy_out_of_range() {
    let twice = Cluster::of(&["a", "b"]).vm("v", "a", 1, 1.0).vm("v", "b", 1, 1.0);
    assert!(matches!(refused(&twice, Goal::Balance), PlanFailure::Unsound(Unsound::Placement(_))));
    let absurd = Cluster::of(&["a"]).policy(|policy| policy.balance.gain_factor = f64::NAN);
    assert!(matches!(refused(&absurd, Goal::Balance), PlanFailure::Unsound(Unsound::Range(_))));
}

#[test]
fn an_unknown_host_with_the_known_ones() {
    let text = refused(&Cluster::of(&["a", "b"]), drain("x")).to_string();
    assert_eq!(text, "host x is not in the snapshot (hint: hosts are a, b)");
}

#[test]
fn a_host_that_does_not_answer() {
    let cluster = Cluster::of(&["a", "b"]).vm("v", "a", 1, 1.0).host("a", |host| {
        host.state = HostState::Unreachable;
    });
    assert!(matches!(refused(&cluster, drain("a")), PlanFailure::GoalHostUnreachable { .. }));
}

#[test]
fn no_other_host_up() {
    let cluster = Cluster::of(&["a", "b"]).vm("v", "a", 1, 1.0).host("b", |host| {
        host.state = HostState::Unreachable;
    });
    let text = refused(&cluster, drain("a")).to_string();
    assert!(text.contains("b is unreachable"), "{text}");
    let alone = Cluster::of(&["a"]).vm("v", "a", 1, 1.0);
    assert!(matches!(refused(&alone, drain("a")), PlanFailure::NoTargetUp { .. }));
}

#[test]
fn every_contradiction_is_named() {
    let cluster = Cluster::of(&["a", "b"])
        .vm("v", "a", 1, 1.0)
        .vm("w", "a", 1, 1.0)
        .rule(anti(&["v", "w"]))
        .rule(affinity(&["v", "w"]))
        .rule(pin(&["v"], &["nowhere"]));
    let text = refused(&cluster, Goal::Balance).to_string();
    assert!(text.contains("contradict each other") && text.contains("nowhere"), "{text}");
}

#[test]
fn machines_that_may_not_be_touched() {
    let cluster = Cluster::of(&["a", "b"])
        .vm("moving", "a", 1, 1.0)
        .vm("broken", "a", 1, 1.0)
        .with("moving", |domain| domain.job = Some(JobProgress::default()))
        .with("broken", |domain| domain.state = DomainState::PostCopyFailed);
    let PlanFailure::Immovable { vms, .. } = refused(&cluster, drain("a")) else { panic!() };
    let reasons: Vec<_> = vms.iter().map(|held| held.reason.clone()).collect();
    assert_eq!(reasons, [Reason::NeedsHuman, Reason::Migrating]);
}

#[test]
fn a_machine_that_is_arriving() {
    let cluster = Cluster::of(&["a", "b"]).vm("v", "b", 1, 1.0).vm("v", "a", 1, 1.0);
    let mut cluster = cluster.with("v", |domain| domain.job = Some(JobProgress::default()));
    cluster.snapshot.domains[0].state = DomainState::Incoming;
    assert!(matches!(refused(&cluster, drain("a")), PlanFailure::Immovable { .. }));
}

#[test]
fn machines_that_would_stall_with_the_limit_that_would_help() {
    let cluster =
        Cluster::of(&["a", "b"]).vm("v", "a", 1, 1.0).vm("w", "a", 1, 1.0).with("w", writes(500));
    let text = refused(&cluster, drain("a")).to_string();
    assert!(text.contains("migration of w would end with a probability of 0.0 % only"), "{text}");
    assert!(text.contains("downtime_limit is 300 ms, 900 ms would"), "{text}");
}

#[test]
fn no_bandwidth_is_no_prediction() {
    let cluster = Cluster::of(&["a", "b"]).vm("v", "a", 1, 1.0).host("b", |host| {
        host.migration_bandwidth = Some(BytesPerSecond::ZERO);
    });
    assert!(matches!(refused(&cluster, drain("a")), PlanFailure::Predict(_)));
}

#[test]
fn a_machine_that_every_host_rejects() {
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("v", "a", 50, 1.0)
        .rule(pin(&["v"], &["a", "b"]))
        .host("b", |host| host.memory = gib(20));
    let text = refused(&cluster, drain("a")).to_string();
    assert!(text.contains("v can go nowhere (b: no room, c: rule \"pin\")"), "{text}");
}

#[test]
fn more_moves_than_allowed() {
    let cluster = Cluster::of(&["a", "b"])
        .vm("v", "a", 1, 1.0)
        .vm("w", "a", 1, 1.0)
        .policy(|policy| policy.limits.moves_max = 1);
    let failure = refused(&cluster, drain("a"));
    assert!(matches!(failure, PlanFailure::TooManyMoves { needed: 2, limit: 1, .. }));
}

#[test]
fn machines_that_fit_one_by_one_but_not_together() {
    let cluster = Cluster::of(&["a", "b"]).vm("v", "a", 60, 1.0).vm("w", "a", 60, 1.0);
    let cluster = cluster.host("a", |host| host.memory = gib(200));
    let failure = refused(&cluster, drain("a"));
    assert!(matches!(failure, PlanFailure::NoPlacement { proven: true, vms: 2, .. }), "{failure}");
}

#[test]
fn a_placement_without_a_way_to_it() {
    // b and c would have to swap to make room for v, which needs 30 GiB in one piece on b, and
    // nobody can pass: every host is full to less than the smallest machine.
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("v", "a", 30, 1.0)
        .vm("big", "b", 80, 1.0)
        .vm("small", "c", 60, 1.0)
        .rule(pin(&["v"], &["a", "b"]));
    let failure = refused(&cluster, drain("a"));
    assert!(matches!(failure, PlanFailure::Unreachable(_)), "{failure}");
}
