//! What the past says of guests changes where they go and how often, and nothing else.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{
    plan::{Goal, Reason},
    policy::Rule,
    units::{MilliCores, Span, Timestamp},
};
use whimbrel_planner::PlanRequest;

use crate::{properties::some_cluster, scale::skewed, support::*};

/// A hot host beside two that have room.
fn hot() -> Cluster {
    let cluster = Cluster::of(&["a", "b", "c"]);
    ["v0", "v1", "v2", "v3"].into_iter().fold(cluster, |cluster, vm| cluster.vm(vm, "a", 4, 2.4))
}

fn targets(cluster: &Cluster) -> BTreeMap<String, String> {
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    plan.moves().map(|(_, one)| (one.vm.to_string(), one.to.to_string())).collect()
}

#[test]
fn nothing_moves_onto_a_host_that_will_be_hot_although_it_is_cool_now() {
    // b is the coolest now, and its own guest is about to want all of its four vCPUs.
    let now = hot().vm("w", "b", 4, 0.1).vm("x", "c", 4, 1.0).vm("y", "c", 4, 1.0);
    let now = now.vm("z", "b", 4, 0.1);
    assert!(targets(&now).values().any(|to| to == "b"), "{:?}", targets(&now));
    let then = now.expecting("w", 4.0).expecting("z", 3.5);
    let chosen = targets(&then);
    assert!(!chosen.is_empty() && chosen.values().all(|to| to == "c"), "{chosen:?}");
}

#[test]
fn a_moment_of_noise_is_no_reason_to_move_and_a_quiet_moment_none_to_wait() {
    let noise = ["v0", "v1", "v2", "v3"].into_iter().fold(hot(), |c, vm| c.expecting(vm, 1.5));
    assert!(targets(&noise).is_empty());
    let quiet = ["v0", "v1", "v2", "v3"].into_iter().fold(hot(), |c, vm| {
        let quiet = c.with(vm, |domain| domain.cpu_used = Some(MilliCores::new(100)));
        quiet.expecting(vm, 2.4)
    });
    assert_eq!(targets(&quiet), targets(&hot()));
}

#[test]
fn nobody_is_planned_for_beyond_its_vcpus() {
    let beyond = hot().expecting("v0", 400.0);
    let all = hot().expecting("v0", 4.0);
    assert_eq!(targets(&beyond), targets(&all));
}

#[test]
fn who_was_moved_rests_and_the_plan_says_until_when() {
    let all_moved =
        ["v0", "v1", "v2", "v3"].into_iter().fold(hot(), |cluster, vm| cluster.moved(vm, 20));
    let plan = all_moved.plan(Goal::Balance).unwrap();
    assert!(plan.is_empty());
    let until = Timestamp::from_micros(NOW.as_micros() + 40 * 60_000_000);
    assert_eq!(plan.stays.len(), 4);
    assert!(plan.stays.iter().all(|stay| stay.reason == Reason::Resting { until }), "{plan:?}");
    assert!(plan.stays[0].reason.to_string().contains("rests until"));

    // Whoever may move does, and after its rest everyone may.
    let one_rests = hot().moved("v0", 20);
    assert!(!targets(&one_rests).is_empty() && !targets(&one_rests).contains_key("v0"));
    let rested = ["v0", "v1", "v2", "v3"].into_iter().fold(hot(), |c, vm| c.moved(vm, 61));
    assert_eq!(targets(&rested), targets(&hot()));
}

#[test]
fn a_drain_and_a_broken_rule_move_who_rests() {
    let resting = hot().moved("v0", 1).moved("v0", 2).moved("v0", 3);
    let drained = resting.plan(drain("a")).unwrap();
    assert_eq!(drained.moves().count(), 4);
    let (vms, hosts) = (vec![vm_id("v0")], vec![host_id("a")]);
    let excluded = resting.rule(Rule::exclude("off-a", vms, hosts));
    assert!(targets(&excluded).contains_key("v0"));
}

/// `cluster` with every demand changed by up to three hundredths.
fn a_little_later(mut cluster: Cluster) -> Cluster {
    for (number, domain) in cluster.snapshot.domains.iter_mut().enumerate() {
        let by = [970, 1020, 1000, 1030, 985, 1010, 990][number * 5 % 7];
        domain.cpu_used = domain.cpu_used.map(|used| MilliCores::new(used.get() * by / 1000));
    }
    cluster
}

/// Moves that both have, as a part of those that one of them has.
fn kept(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> f64 {
    let both = one.iter().filter(|(vm, to)| other.get(*vm) == Some(*to)).count();
    both as f64 / (one.len() + other.len() - both) as f64
}

#[test]
fn a_plan_that_is_nearly_the_best_stays_as_it_was() {
    let cluster = skewed(40);
    let first = targets(&cluster);
    assert!(first.len() > 10, "{}", first.len());
    let mut later = a_little_later(cluster);
    let anew = (targets(&later), later.plan(Goal::Balance).unwrap());
    later.outlook.planned = first.iter().map(|(vm, host)| (vm_id(vm), host_id(host))).collect();
    let told = (targets(&later), later.plan(Goal::Balance).unwrap());
    assert!(kept(&first, &told.0) > 0.85, "{}", kept(&first, &told.0));
    assert!(kept(&first, &told.0) > kept(&first, &anew.0));
    let left = |plan: &whimbrel_core::Plan| {
        let of = |name: &str| term(&plan.report.terms, name);
        let factor = later.policy.balance.gain_factor;
        let (before, after) = of("contention_guest_seconds");
        (before, after + factor * of("migration_guest_seconds").1)
    };
    let ((before, best), (_, value)) = (left(&anew.1), left(&told.1));
    assert!(value - best <= 0.02 * (before - best) + 1e-6, "{value} and {best} of {before}");
}

#[test]
fn what_was_planned_and_is_of_no_use_is_forgotten() {
    let cool = Cluster::of(&["a", "b"]).vm("v0", "a", 4, 1.0).vm("v1", "b", 4, 1.0);
    let planned = |mut cluster: Cluster, vm: &str, host: &str| {
        cluster.outlook.planned.insert(vm_id(vm), host_id(host));
        targets(&cluster)
    };
    assert!(planned(cool, "v0", "b").is_empty());
    assert_eq!(planned(hot(), "v0", "nowhere"), targets(&hot()));
    assert_eq!(planned(hot(), "nobody", "b"), targets(&hot()));
    let resting = ["v0", "v1", "v2", "v3"].into_iter().fold(hot(), |c, vm| c.moved(vm, 5));
    assert!(planned(resting, "v0", "b").is_empty());
}

/// Demands by VM and step, in tenths of a core.
fn noise() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(0..40_u8, 9), 2..9)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn balance_moves_nobody_twice_within_its_rest(
        cluster in some_cluster(),
        steps in noise(),
        minutes in 5..50_u64,
    ) {
        let mut cluster = cluster.policy(|policy| {
            policy.rules.clear();
            policy.balance.cooldown = Span::from_seconds(3600);
            policy.balance.gain_factor = 1.0;
        });
        let mut last: BTreeMap<String, Timestamp> = BTreeMap::new();
        for (step, demands) in steps.into_iter().enumerate() {
            let now = NOW + Span::from_seconds(step as u64 * minutes * 60);
            cluster.snapshot.taken_at = now;
            for (domain, tenths) in cluster.snapshot.domains.iter_mut().zip(demands) {
                domain.cpu_used = Some(MilliCores::new(u64::from(tenths) * 100));
            }
            let request = PlanRequest { now, ..cluster.request(Goal::Balance) };
            let Ok(plan) = whimbrel_planner::plan(&request) else { return Ok(()) };
            let moves: BTreeMap<_, _> =
                plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())).collect();
            for (vm, to) in moves {
                if let Some(before) = last.insert(vm.to_string(), now) {
                    prop_assert!(now.since(before) >= Span::from_seconds(3600), "{vm}");
                }
                cluster.outlook.moves.entry(vm.clone()).or_default().push(now);
                let lives = |d: &&mut whimbrel_core::Domain| d.vm == vm && d.state.lives_here();
                cluster.snapshot.domains.iter_mut().filter(lives).for_each(|d| d.host = to.clone());
            }
            cluster.snapshot.normalise();
        }
    }

    #[test]
    fn an_outlook_that_repeats_the_last_readings_changes_nothing(cluster in some_cluster()) {
        let repeated = cluster.snapshot.domains.iter().fold(cluster.clone(), |same, domain| {
            match domain.cpu_used {
                // A reading above the vCPUs is believed, an expectation is not.
                Some(used) if used <= MilliCores::cores(domain.vcpus.into()) => {
                    same.expecting(domain.vm.as_str(), used.as_cores_f64())
                }
                _ => same,
            }
        });
        for goal in [Goal::Balance, drain("h0")] {
            let (one, two) = (cluster.plan(goal.clone()), repeated.plan(goal));
            prop_assert_eq!(one.ok(), two.ok());
        }
    }
}
