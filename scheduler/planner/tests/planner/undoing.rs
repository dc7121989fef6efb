//! Plans taken back and gone on with, from clusters in which half of them has happened.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{
    HostId, VmId,
    cluster::Snapshot,
    plan::{Goal, Plan},
};
use whimbrel_planner::{
    PlanFailure,
    undo::{Found, UndoFailure, resume, reverse},
};

use crate::{properties::some_cluster, support::*};

/// After the first `count` moves of `plan`.
fn after(cluster: &Cluster, plan: &Plan, count: usize) -> Cluster {
    let mut cluster = cluster.clone();
    for (_, one) in plan.moves().take(count) {
        let to = one.to.clone();
        let here = |domain: &&mut whimbrel_core::Domain| domain.vm == one.vm;
        cluster.snapshot.domains.iter_mut().filter(here).for_each(|d| d.host = to.clone());
    }
    cluster.snapshot.normalise();
    cluster
}

fn places(snapshot: &Snapshot) -> BTreeMap<VmId, HostId> {
    let placement = snapshot.placement().unwrap();
    placement.into_values().map(|domain| (domain.vm.clone(), domain.host.clone())).collect()
}

fn full() -> Cluster {
    Cluster::of(&["a", "b", "c"])
        .vm("u", "a", 30, 1.0)
        .vm("v", "a", 30, 1.0)
        .vm("w", "a", 30, 1.0)
        .vm("x", "b", 30, 1.0)
}

#[test]
fn half_a_drain_is_taken_back() {
    let cluster = full();
    let plan = cluster.plan(drain("a")).unwrap();
    for done in 0..=plan.moves().count() {
        let half = after(&cluster, &plan, done);
        let turned = reverse(&plan, &half.snapshot).unwrap();
        let arrived = turned.standing.iter().filter(|one| one.found == Found::Arrived).count();
        assert_eq!(arrived, done);
        let back = half.plan(turned.goal.clone()).unwrap();
        assert_eq!(half.faults(&back), Vec::<String>::new());
        let end = after(&half, &back, usize::MAX);
        assert_eq!(places(&end.snapshot), places(&cluster.snapshot));
        if let Some((_, first)) = back.moves().next() {
            assert_eq!(first.reason.to_string(), "it is to be there");
        }
    }
}

#[test]
fn after_a_failed_move_the_goal_is_reached_from_what_is_there() {
    let cluster = full();
    let plan = cluster.plan(drain("a")).unwrap();
    let (_, failed) = plan.moves().nth(1).unwrap();
    let mut half = after(&cluster, &plan, usize::MAX);
    half = half.with(failed.vm.as_str(), |domain| domain.host = failed.from.clone());
    let turned = resume(&plan, &half.snapshot).unwrap();
    let left: Vec<_> = turned.standing.iter().filter(|one| one.found == Found::NotMoved).collect();
    assert!(left.len() == 1 && left[0].vm == failed.vm);
    assert!(left[0].to_string().ends_with("is still on a"));
    let again = half.plan(turned.goal).unwrap();
    assert_eq!(half.faults(&again), Vec::<String>::new());
    let moved: Vec<_> = again.moves().map(|(_, one)| one.vm.clone()).collect();
    assert_eq!(moved, std::slice::from_ref(&failed.vm));
}

#[test]
fn machines_that_others_have_moved_are_left_alone() {
    let cluster = full();
    let plan = cluster.plan(drain("a")).unwrap();
    let mut half = after(&cluster, &plan, usize::MAX).with("u", |d| d.uuid = "new".to_owned());
    half.snapshot.domains.retain(|domain| domain.vm.as_str() != "v");
    let turned = reverse(&plan, &half.snapshot).unwrap();
    let said: Vec<String> = turned.standing.iter().map(ToString::to_string).collect();
    assert_eq!(said[0], "u is another machine now: it is left alone");
    assert_eq!(said[1], "v is not in the snapshot");
    let Goal::Restore { places } = &turned.goal else { panic!() };
    assert_eq!(places.keys().map(VmId::as_str).collect::<Vec<_>>(), ["w"]);
}

#[test]
fn what_cannot_go_back_is_named_with_its_reason() {
    let cluster = full();
    let plan = cluster.plan(drain("a")).unwrap();
    let done =
        after(&cluster, &plan, usize::MAX).vm("new", "a", 80, 1.0).rule(pin(&["u"], &["b", "c"]));
    let turned = reverse(&plan, &done.snapshot).unwrap();
    let failure = done.plan(turned.goal).unwrap_err();
    let text = failure.to_string();
    assert!(matches!(failure, PlanFailure::CannotReturn(_)), "{text}");
    assert!(text.contains("u to a: rule \"pin\"; memory short by 70.0 GiB"), "{text}");
    assert!(text.contains("v to a: memory short by 70.0 GiB") && text.ends_with(')'), "{text}");
    let nowhere = Goal::Restore { places: BTreeMap::from([(vm_id("u"), host_id("z"))]) };
    let text = done.plan(nowhere).unwrap_err().to_string();
    assert!(text.contains("u to z: the host is not in the snapshot"), "{text}");
    let few = after(&cluster, &plan, usize::MAX).policy(|policy| policy.limits.moves_max = 2);
    let turned = reverse(&plan, &few.snapshot).unwrap();
    let failure = few.plan(turned.goal).unwrap_err();
    assert!(matches!(failure, PlanFailure::MovesMax { needed: 3, limit: 2 }), "{failure}");
}

#[test]
fn plans_of_other_clusters_and_edited_ones_are_refused() {
    let cluster = full();
    let plan = cluster.plan(drain("a")).unwrap();
    let other = Cluster::of(&["a", "b"]).vm("z", "a", 1, 1.0);
    let failure = reverse(&plan, &other.snapshot).unwrap_err();
    assert_eq!(failure, UndoFailure::OtherCluster { vms: 3 });
    let mut gone = after(&cluster, &plan, usize::MAX);
    gone.snapshot.hosts.remove(&host_id("a"));
    let failure = reverse(&plan, &gone.snapshot).unwrap_err();
    assert!(failure.to_string().contains("host a, which is not in the snapshot"), "{failure}");
    let mut edited = plan.clone();
    edited.goal = Goal::Balance;
    assert!(matches!(resume(&edited, &cluster.snapshot), Err(UndoFailure::Plan(_))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_done_is_taken_back_or_the_reason_is_named(
        cluster in some_cluster(), drained in any::<bool>(), done in 0..6usize,
    ) {
        let goal = if drained { drain("h0") } else { Goal::Balance };
        let Ok(plan) = cluster.plan(goal) else { return Ok(()) };
        let half = after(&cluster, &plan, done);
        let Ok(turned) = reverse(&plan, &half.snapshot) else {
            prop_assert!(plan.is_empty());
            return Ok(());
        };
        match half.plan(turned.goal) {
            Ok(back) => {
                prop_assert_eq!(half.faults(&back), Vec::<String>::new());
                let end = after(&half, &back, usize::MAX);
                prop_assert_eq!(places(&end.snapshot), places(&cluster.snapshot));
            }
            // A present placement that breaks a limit or a rule cannot be gone back to.
            Err(failure) => prop_assert!(failure.to_string().contains("(hint: "), "{}", failure),
        }
    }
}
