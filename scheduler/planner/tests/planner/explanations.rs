//! What is told of moves and of VMs that stay, held against the objective and against new plans.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{
    plan::{Goal, Plan},
    policy::Rule,
    units::{MilliCores, Share},
};
use whimbrel_planner::{
    Explanation, PlanRequest, evaluate, explain,
    explain::{Answer, Change, ExplainFailure, Key, confirm},
    explain_all,
};

use crate::{properties::some_cluster, support::*};

fn told(cluster: &Cluster, plan: &Plan, vm: &str) -> Explanation {
    explain(&cluster.request(plan.goal.clone()), plan, &vm_id(vm)).unwrap()
}

fn balanced(cluster: &Cluster, vm: &str) -> Explanation {
    let plan = cluster.plan(Goal::Balance).unwrap();
    let mut told = told(cluster, &plan, vm);
    confirm(&cluster.request(Goal::Balance), &mut told).unwrap();
    told
}

/// Host a is a little too hot and only w is small enough to help.
fn warm() -> Cluster {
    Cluster::of(&["a", "b"]).vm("v", "a", 60, 6.0).vm("w", "a", 1, 1.8).vm("x", "b", 60, 3.0)
}

#[test]
fn a_move_that_does_not_pay_tells_from_which_gain_factor_on_it_would() {
    let cluster = warm().policy(|policy| policy.balance.gain_factor = 500.0);
    let told = balanced(&cluster, "w");
    assert!(!told.moves());
    let text = told.to_string();
    assert!(text.starts_with("w stays on a: gain "), "{text}");
    let factor = told.thresholds.iter().find_map(|threshold| match threshold.change {
        Change::Value { key: Key::GainFactor, at, below: true, .. } => Some((at, threshold)),
        _ => None,
    });
    let (at, threshold) = factor.unwrap();
    assert_eq!(threshold.confirmed, Some(true), "{text}");
    assert!(text.contains(&format!("would move to b if balance.gain_factor were {at} or less")));
    // A thousandth above it the plan is still empty.
    let above = cluster.clone().policy(|policy| policy.balance.gain_factor = at * 1.001 + 1e-3);
    assert!(above.plan(Goal::Balance).unwrap().is_empty());
}

#[test]
fn a_well_placed_machine_tells_from_which_overload_threshold_on_it_would_move() {
    let cluster = warm().policy(|policy| policy.balance.overload_above = Share::clamped(0.9));
    let told = balanced(&cluster, "w");
    let text = told.to_string();
    assert!(text.starts_with("w stays on a: well placed"), "{text}");
    let [threshold] = told.thresholds.as_slice() else { panic!("{text}") };
    let Change::Value { key: Key::OverloadAbove, at, below: true, .. } = threshold.change else {
        panic!("{text}")
    };
    assert!((0.6..0.78).contains(&at), "{at}");
    assert_eq!(threshold.confirmed, Some(true), "{text}");
    let above =
        cluster.clone().policy(|policy| policy.balance.overload_above = Share::clamped(at + 2e-4));
    assert!(above.plan(Goal::Balance).unwrap().is_empty());
}

#[test]
fn a_move_tells_its_price_and_when_it_would_not_be_made() {
    let cluster = warm();
    let told = balanced(&cluster, "w");
    let text = told.to_string();
    assert!(told.moves(), "{text}");
    let price = told.price.clone().unwrap();
    // 1 GiB at 100 MiB/s after a second, 10 ms of standstill, 1.8 busy vCPUs.
    assert!((price.brown_out_seconds - 1.8 * 11.24).abs() < 0.01, "{text}");
    assert!((price.downtime_seconds - 1.8 * 20.0 * 0.01).abs() < 1e-6, "{text}");
    let keys: Vec<&str> = told
        .thresholds
        .iter()
        .filter_map(|threshold| match threshold.change {
            Change::Value { key, .. } => Some(key.name()),
            Change::WithoutRule { .. } => None,
        })
        .collect();
    assert!(keys.contains(&"balance.gain_factor"), "{text}");
    assert!(keys.contains(&"balance.overload_above"), "{text}");
    assert!(told.thresholds.iter().all(|t| t.confirmed == Some(true)), "{text}");
    assert!(text.contains("would stay on a if balance.gain_factor were "), "{text}");
}

#[test]
fn refusals_have_their_figures() {
    let mut cluster = Cluster::of(&["a", "b", "c", "d", "e"])
        .vm("v", "a", 30, 9.0)
        .vm("web-1", "a", 10, 1.0)
        .vm("web-2", "c", 10, 1.0)
        .vm("big", "b", 76, 1.0)
        .rule(Rule::anti_affinity("web apart", vec![vm_id("web-1"), vm_id("web-2")]))
        .with("v", writes(500))
        .host("d", |host| host.state = whimbrel_core::cluster::HostState::Maintenance)
        .host("e", |host| host.memory = gib(4));
    cluster.policy.migration.mode = whimbrel_core::settings::Mode::PreCopy;
    let plan = cluster.plan(Goal::Balance).unwrap();
    let v = told(&cluster, &plan, "v").to_string();
    for said in
        ["memory short by 16.0 GiB", "converges with 0 % only", "d          rejected: it is in"]
    {
        assert!(v.contains(said), "{said}: {v}");
    }
    let web = told(&cluster, &plan, "web-1").to_string();
    assert!(web.contains("c          rejected: rule \"web apart\" (web-2 is there)"), "{web}");
    assert!(web.contains("memory short by 6.0 GiB"), "{web}");
}

#[test]
fn a_drain_tells_what_else_was_possible_and_what_it_does_not_need() {
    let cluster = Cluster::of(&["a", "b", "c"])
        .vm("v", "a", 10, 2.0)
        .vm("w", "b", 10, 6.0)
        .vm("x", "c", 10, 1.0);
    let plan = cluster.plan(drain("a")).unwrap();
    let v = told(&cluster, &plan, "v").to_string();
    assert!(v.starts_with("v moves from a to c: its host is being emptied"), "{v}");
    assert!(v.contains("a          rejected (where it is): it is to be emptied"), "{v}");
    let w = told(&cluster, &plan, "w").to_string();
    assert!(w.starts_with("w stays on b: the goal, drain a, needs no move of it"), "{w}");
    assert!(w.contains("moving more than needed +100000.0 s"), "{w}");
}

#[test]
fn a_machine_that_is_brought_back_has_no_thresholds_and_one_that_nothing_would_move_says_so() {
    let cluster = warm();
    let places = std::iter::once((vm_id("w"), host_id("b"))).collect();
    let plan = cluster.plan(Goal::Restore { places }).unwrap();
    let w = told(&cluster, &plan, "w");
    assert!(w.thresholds.is_empty() && !w.thresholds_sought);
    assert!(w.to_string().starts_with("w moves from a to b: it is to be there"), "{w}");
    let v = told(&cluster, &plan, "v").to_string();
    assert!(v.starts_with("v stays on a: the goal, restore 1 domain, needs no move of it"), "{v}");
    let plan = cluster.plan(Goal::Balance).unwrap();
    let x = told(&cluster, &plan, "x").to_string();
    assert!(
        x.contains("none of these values would alone change the answer:\n    balance.gain"),
        "{x}"
    );
}

#[test]
fn an_unknown_machine_and_a_plan_of_another_cluster_are_refused() {
    let cluster = warm();
    let plan = cluster.plan(Goal::Balance).unwrap();
    let request = cluster.request(Goal::Balance);
    let text = explain(&request, &plan, &vm_id("nobody")).unwrap_err().to_string();
    assert_eq!(text, "domain nobody is not in the snapshot (hint: domains are v, w, x)");
    for other in [
        Cluster::of(&["a", "b"]).vm("v", "a", 60, 6.0),
        Cluster::of(&["a", "b"]).vm("w", "b", 60, 6.0),
        Cluster::of(&["a"]).vm("w", "a", 60, 6.0),
        warm().with("w", |domain| domain.uuid = "another".to_owned()),
    ] {
        let failure = explain(&other.request(Goal::Balance), &plan, &vm_id("w")).unwrap_err();
        assert!(matches!(failure, ExplainFailure::OtherCluster { .. }), "{failure}");
        assert!(failure.to_string().contains("(hint: "));
    }
}

#[test]
fn one_of_ten_thousand_is_explained_in_full_and_all_of_them_in_a_list() {
    let names: Vec<String> = (0..1000).map(|host| format!("h{host:04}")).collect();
    let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for vm in 0..10_000 {
        let cores = 0.2 + (vm * 13 % 23) as f64 / 20.0;
        cluster.push(&format!("v{vm:05}"), &names[vm / 10], 5, cores);
    }
    cluster.snapshot.normalise();
    cluster.policy.limits.cpu_overcommit = 10.0;
    let request = cluster.request(Goal::Balance);
    let plan = whimbrel_planner::baseline::do_nothing(&request).unwrap();
    let told = explain(&request, &plan, &vm_id("v00007")).unwrap();
    assert_eq!(told.alternatives.len(), 999);
    let list = explain_all(&request, &plan, true).unwrap();
    assert!(list.len() == 10_000 && list.iter().all(|one| one.alternatives.len() == 3));
}

/// The whole objective with `moved` on top of `plan`, from public terms.
fn objective(cluster: &Cluster, plan: &Plan, moved: Option<(&str, &str)>) -> Option<f64> {
    let mut placement: BTreeMap<_, _> =
        plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())).collect();
    placement.extend(moved.map(|(vm, host)| (vm_id(vm), host_id(host))));
    let terms = evaluate(&cluster.request(plan.goal.clone()), &placement).ok()?;
    let after = |name: &str| term(&terms, name).1;
    let factor = cluster.policy.balance.gain_factor;
    Some(
        1e5 * after("rules_broken")
            + Some(after("preferences_guest_seconds")).filter(|s| s.is_finite()).unwrap_or(0.0)
            + after("contention_guest_seconds")
            + factor * after("migration_guest_seconds"),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn differences_are_those_of_the_objective(cluster in some_cluster()) {
        let Ok(plan) = cluster.plan(Goal::Balance) else { return Ok(()) };
        let request = cluster.request(Goal::Balance);
        let before = objective(&cluster, &plan, None);
        for one in explain_all(&request, &plan, false).unwrap() {
            prop_assert!(!one.to_string().contains("NaN"));
            for alternative in &one.alternatives {
                let Answer::Possible(by) = &alternative.answer else { continue };
                let moved = (one.vm.as_str(), alternative.host.as_str());
                let (Some(before), Some(after)) = (before, objective(&cluster, &plan, Some(moved))) else { continue };
                prop_assert!((after - before - by.total_seconds).abs() < 1e-3, "{after} {before} {one}");
            }
        }
    }

    #[test]
    fn at_a_threshold_the_answer_is_another_and_beside_it_the_same(cluster in some_cluster(), cpu in 0..9u64) {
        let mut cluster = cluster;
        for (index, domain) in cluster.snapshot.domains.iter_mut().enumerate() {
            domain.cpu_used = Some(MilliCores::new((index as u64 * 7 + cpu) % 9 * 1000));
        }
        let Ok(plan) = cluster.plan(Goal::Balance) else { return Ok(()) };
        let vms: Vec<_> = cluster.snapshot.placement().unwrap().into_keys().cloned().collect();
        for vm in vms {
            let one = explain(&cluster.request(Goal::Balance), &plan, &vm).unwrap();
            for threshold in &one.thresholds {
                let gains = |policy: &whimbrel_core::Policy| {
                    let request = PlanRequest { policy, ..cluster.request(Goal::Balance) };
                    let again = explain(&request, &plan, &vm).unwrap();
                    let mut others = again.alternatives.iter();
                    others.any(|other| matches!(&other.answer, Answer::Possible(by) if by.total_seconds < -5e-7))
                };
                match threshold.change {
                    Change::Value { key: Key::GainFactor | Key::Horizon, at, now, .. } => {
                        prop_assert!(gains(&threshold.change.applied(&cluster.policy)), "{one}");
                        let Change::Value { key, below, .. } = threshold.change else { unreachable!() };
                        let step = if key == Key::Horizon { 1.01 } else { 1.01e-3 };
                        let beside = if below { at + step } else { at - step };
                        let beside = Change::Value { key, now, at: beside, below };
                        prop_assert!(!gains(&beside.applied(&cluster.policy)), "{one}");
                    }
                    Change::Value { key: Key::MemoryReserve | Key::CpuOvercommit | Key::DowntimeLimit | Key::MovesMax, .. }
                    | Change::WithoutRule { .. } => {
                        prop_assert!(gains(&threshold.change.applied(&cluster.policy)), "{one}");
                    }
                    Change::Value { .. } => {}
                }
            }
        }
    }
}
