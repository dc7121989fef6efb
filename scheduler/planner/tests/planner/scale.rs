//! Clusters too large for the solver as a whole, and what must not depend on how a cluster is told.

use proptest::prelude::*;
use whimbrel_core::{
    plan::{Goal, Plan},
    units::{MilliCores, Share, Span},
};

use crate::{properties::some_cluster, support::*};

/// `hosts` hosts of 10 cores; every fourth runs twelve VMs, the others three.
pub(crate) fn skewed(hosts: usize) -> Cluster {
    let names: Vec<String> = (0..hosts).map(|host| format!("h{host:04}")).collect();
    let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    cluster.policy.limits.cpu_overcommit = 10.0;
    cluster.policy.limits.moves_max = 100_000;
    for (host, name) in names.iter().enumerate() {
        for vm in 0..if host % 4 == 0 { 12 } else { 3 } {
            let cores = 0.4 + ((host * 7 + vm * 13) % 23) as f64 / 20.0;
            let gib = 1 + ((host * 5 + vm * 11) % 7) as u64;
            cluster.push(&format!("v{host:04}-{vm:02}"), name, gib, cores);
        }
    }
    cluster.snapshot.normalise();
    cluster
}

fn objective(plan: &Plan, cluster: &Cluster) -> f64 {
    let after = |name: &str| term(&plan.report.terms, name).1;
    let wishes = plan.report.terms.iter().find(|term| term.name == "preferences_guest_seconds");
    1e5 * after("rules_broken")
        + wishes.map_or(0.0, |term| term.after)
        + after("contention_guest_seconds")
        + cluster.policy.balance.gain_factor * after("migration_guest_seconds")
}

#[test]
fn hundreds_of_hosts_are_balanced_within_a_thousandth_of_the_bound() {
    let cluster = skewed(300);
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert!(plan.moves().count() > 50);
    let gap = plan.report.gap.unwrap();
    assert!(gap <= 1e-3, "{gap}");
    let (before, after) = term(&plan.report.terms, "overload_core_seconds");
    assert!(after < before / 5.0, "{before} to {after}");
}

#[test]
fn evenness_that_is_asked_for_evens_cpu_and_memory() {
    let cluster = skewed(40).policy(|policy| {
        policy.balance.cpu_evenness = Share::clamped(0.5);
        policy.balance.memory_evenness = Share::clamped(0.5);
    });
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    let (before, after) = term(&plan.report.terms, "utilisation_deviation_share");
    assert!(after < before / 4.0, "{before} to {after}");
}

#[test]
fn a_host_of_hundreds_is_drained_with_a_gap() {
    let cluster = skewed(300);
    let plan = cluster.plan(drain("h0000")).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert_eq!(plan.moves().count(), 12);
    assert!(plan.report.gap.unwrap() <= 0.05, "{:?}", plan.report.gap);
}

#[test]
fn what_only_exchanges_without_room_could_mend_is_left_alone() {
    let names: Vec<String> = (0..80).map(|host| format!("h{host:02}")).collect();
    let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    cluster.policy.limits.moves_max = 100_000;
    // So long that an exchange would pay, if there were a way to it.
    cluster.policy.balance.horizon = Span::from_seconds(24 * 3600);
    for (host, name) in names.iter().enumerate() {
        for vm in 0..2 {
            let cores = if host % 2 == 0 { 5.0 } else { 0.1 };
            cluster.push(&format!("v{host:02}-{vm}"), name, 50, cores);
        }
    }
    cluster.snapshot.normalise();
    let plan = cluster.plan(Goal::Balance).unwrap();
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    assert!(plan.is_empty(), "every host is full");
}

#[test]
fn equal_hosts_with_equal_machines_are_left_alone() {
    let mut cluster = Cluster::of(&["a", "b", "c", "d"]).policy(|policy| {
        policy.balance.cpu_evenness = Share::ONE;
        policy.balance.memory_evenness = Share::ONE;
    });
    for (number, host) in ["a", "b", "c", "d"].iter().cycle().take(16).enumerate() {
        cluster.push(&format!("v{number}"), host, 8, 2.2);
    }
    cluster.snapshot.normalise();
    assert!(cluster.plan(Goal::Balance).unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_more_empty_host_never_makes_it_worse(cluster in some_cluster()) {
        // A reserve may forbid the best placement and allow another one with a host more.
        let cluster = cluster.policy(|policy| policy.limits.host_failures = 0);
        let Ok(plan) = cluster.plan(Goal::Balance) else { return Ok(()) };
        let mut more = cluster.clone();
        let host = Cluster::of(&["h9"]).snapshot.hosts;
        more.snapshot.hosts.extend(host);
        let with = more.plan(Goal::Balance).unwrap();
        let (less, value) = (objective(&with, &more), objective(&plan, &cluster));
        prop_assert!(less <= value * 1.0002 + 0.1, "{value} to {less}");
    }

    #[test]
    fn names_of_hosts_change_nothing_that_counts(cluster in some_cluster()) {
        let Ok(plan) = cluster.plan(Goal::Balance) else { return Ok(()) };
        let renamed = cluster.renamed(|name| name.replace('h', "z").chars().rev().collect());
        let other = renamed.plan(Goal::Balance).unwrap();
        let (one, two) = (objective(&plan, &cluster), objective(&other, &renamed));
        prop_assert!((one - two).abs() <= 2e-4 * one.abs() + 0.1, "{one} and {two}");
    }

    #[test]
    fn demand_in_thousandths_of_a_core_is_no_trouble(millis in 0..3u64, hosts in 2..5usize) {
        let names = &["a", "b", "c", "d", "e"][..hosts];
        let cluster = names.iter().enumerate().fold(Cluster::of(names), |cluster, (at, host)| {
            cluster.vm(&format!("v{at}"), host, 1, 0.0)
        });
        let cluster = cluster.with("v0", |vm| vm.cpu_used = Some(MilliCores::new(millis)));
        prop_assert!(cluster.plan(Goal::Balance).unwrap().is_empty());
    }
}
