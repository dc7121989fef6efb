//! The goal `even`: its promise, its limits and its refusals.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{
    cluster::HostState,
    ids::HostId,
    plan::{Goal, Plan, Reason},
    policy::{EvenLoad, RuleKind},
    units::MilliCores,
};
use whimbrel_planner::PlanFailure;

use crate::support::*;

const HOSTS: [&str; 4] = ["h0", "h1", "h2", "h3"];
const VMS: [&str; 8] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7"];

/// Where each VM is, in the order of the snapshot.
type Place = Vec<HostId>;

fn present(cluster: &Cluster) -> Place {
    cluster.snapshot.domains.iter().map(|domain| domain.host.clone()).collect()
}

fn planned(cluster: &Cluster, plan: &Plan) -> Place {
    let moves: BTreeMap<_, _> = plan.moves().map(|(_, one)| (&one.vm, &one.to)).collect();
    let end = |d: &whimbrel_core::Domain| (*moves.get(&d.vm).unwrap_or(&&d.host)).clone();
    cluster.snapshot.domains.iter().map(end).collect()
}

/// Score times hosts plus the price of the moves, by their definitions.
fn value(cluster: &Cluster, place: &Place) -> f64 {
    let even = &cluster.policy.even;
    let up: Vec<_> =
        cluster.snapshot.hosts.iter().filter(|(_, host)| host.state == HostState::Up).collect();
    let deviation = |used: &dyn Fn(&whimbrel_core::Domain) -> f64,
                     has: &dyn Fn(&whimbrel_core::Host) -> f64| {
        let shares: Vec<f64> = up
            .iter()
            .map(|(id, host)| {
                let here = cluster.snapshot.domains.iter().zip(place).filter(|one| one.1 == *id);
                here.map(|one| used(one.0)).sum::<f64>() / has(host)
            })
            .collect();
        let mean = shares.iter().sum::<f64>() / shares.len() as f64;
        let squares: f64 = shares.iter().map(|share| (share - mean).powi(2)).sum();
        (squares / shares.len() as f64).sqrt()
    };
    let cores = |d: &whimbrel_core::Domain| d.cpu_used.map_or(0.0, MilliCores::as_cores_f64);
    let score = even.cpu * deviation(&cores, &|h| h.cpu.as_cores_f64())
        + even.memory * deviation(&|d| d.memory.as_f64(), &|h| h.memory.as_f64())
        + even.vcpus * deviation(&|d| f64::from(d.vcpus), &|h| h.cpu.as_cores_f64());
    let moved = present(cluster).iter().zip(place).filter(|one| one.0 != one.1).count();
    score * up.len() as f64 + even.gain_min * even.weights() * moved as f64
}

/// Whether a placement keeps what the planner has to keep.
fn allowed(cluster: &Cluster, place: &Place) -> bool {
    let home = present(cluster);
    let moved = home.iter().zip(place).filter(|one| one.0 != one.1).count();
    let rules = cluster.policy.rules.iter().all(|rule| {
        let members = |d: &&whimbrel_core::Domain| rule.vms().contains(&d.vm);
        cluster.snapshot.domains.iter().filter(members).all(|d| {
            let at = |vm| cluster.snapshot.domains.iter().position(|d| d.vm == vm).unwrap();
            let one = at(d.vm.clone());
            let apart = rule.hosts().is_empty()
                && rule.vms().iter().any(|vm| *vm != d.vm && place[at(vm.clone())] == place[one]);
            let there = rule.hosts().contains(&place[one]);
            let allowed = match rule.kind {
                RuleKind::Pin => there,
                RuleKind::Exclude => !there,
                _ => true,
            };
            !apart && allowed
        })
    });
    let hosts = cluster.snapshot.hosts.iter().all(|(id, host)| {
        let here = cluster.snapshot.domains.iter().zip(place).filter(|one| one.1 == id);
        let memory: f64 = here.map(|one| one.0.memory.as_f64()).sum();
        let came = home.iter().zip(place).any(|one| one.0 != one.1 && one.1 == id);
        !came || (memory <= host.memory.as_f64() && host.state == HostState::Up)
    });
    rules && hosts && moved <= cluster.policy.limits.moves_max as usize
}

/// Four hosts with room enough for any order of moves, one of them sometimes in maintenance.
fn clusters() -> impl Strategy<Value = Cluster> {
    let vm = (0..4usize, 1..12u64, 0..40u32);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (prop::collection::vec(vm, 2..8), flags, 1..9u32, 0..3u32).prop_map(
        |(vms, (apart, pinned, down), moves_max, gain)| {
            let mut cluster = Cluster::of(&HOSTS).policy(|policy| {
                policy.limits.moves_max = moves_max;
                policy.even.vcpus = 0.5;
                policy.even.gain_min = f64::from(gain) * 0.03;
            });
            for (index, (name, (host, memory, cores))) in VMS.iter().zip(vms).enumerate() {
                // The rules below hold at first.
                let host = if index < 2 { index } else { host };
                cluster = cluster.vm(name, HOSTS[host], memory, f64::from(cores) / 10.0);
            }
            if apart {
                cluster = cluster.rule(anti(&VMS[..2]));
            }
            if pinned {
                cluster = cluster.rule(pin(&VMS[..1], &["h0", "h2"]));
            }
            if down {
                cluster = cluster.host("h3", |host| host.state = HostState::Maintenance);
            }
            cluster
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_move_and_no_exchange_would_make_the_plan_better(cluster in clusters()) {
        let plan = cluster.plan(Goal::Even).unwrap();
        prop_assert!(cluster.faults(&plan).is_empty(), "{:?}", cluster.faults(&plan));
        let end = planned(&cluster, &plan);
        let reached = value(&cluster, &end);
        prop_assert!(reached <= value(&cluster, &present(&cluster)) + 1e-9);
        prop_assert!(allowed(&cluster, &end));
        let takes_part = |host: &HostId| cluster.snapshot.hosts[host].state == HostState::Up;
        for (vm, at) in end.iter().enumerate().filter(|one| takes_part(one.1)) {
            let mut others: Vec<Place> = Vec::new();
            for host in cluster.snapshot.hosts.keys() {
                let mut place = end.clone();
                place[vm] = host.clone();
                others.push(place);
            }
            for (other, there) in end.iter().enumerate().filter(|one| takes_part(one.1)) {
                let mut place = end.clone();
                place[vm] = there.clone();
                place[other] = at.clone();
                others.push(place);
            }
            for place in others.iter().filter(|place| allowed(&cluster, place)) {
                let found = value(&cluster, place);
                prop_assert!(found > reached - 1e-6, "{found} {reached} {place:?}");
            }
        }
    }

    #[test]
    fn every_move_is_worth_what_is_asked(cluster in clusters()) {
        let plan = cluster.plan(Goal::Even).unwrap();
        for (_, one) in plan.moves() {
            if let Reason::EvensOut { gain, gain_min } = one.reason {
                prop_assert!(gain >= gain_min - 1e-6, "{gain} {gain_min}");
                prop_assert!((gain_min - cluster.policy.even.gain_min).abs() < 1e-12);
            }
        }
        let (before, after) = term(&plan.report.terms, "unevenness_score");
        prop_assert!(after <= before + 1e-9);
        prop_assert_eq!(plan, cluster.plan(Goal::Even).unwrap());
    }
}

/// Everything on one of three hosts.
fn crowded() -> Cluster {
    let mut cluster = Cluster::of(&HOSTS[..3]);
    for name in &VMS[..6] {
        cluster = cluster.vm(name, "h0", 10, 1.0);
    }
    cluster
}

#[test]
fn a_crowd_is_spread_and_an_even_cluster_is_left_alone() {
    let plan = crowded().plan(Goal::Even).unwrap();
    assert_eq!(plan.moves().count(), 4);
    assert!(term(&plan.report.terms, "unevenness_score").1 < 1e-6);
    assert!(
        (term(&plan.report.terms, "cpu_deviation_share").0 - 0.6 * (2.0f64 / 9.0).sqrt()).abs()
            < 1e-9
    );
    let mut even = Cluster::of(&HOSTS);
    for (index, name) in VMS.iter().enumerate() {
        even = even.vm(name, HOSTS[index % 4], 10, 1.0);
    }
    assert!(even.plan(Goal::Even).unwrap().is_empty());
}

#[test]
fn the_number_of_moves_is_kept_and_the_price_makes_it_small() {
    let few = crowded().policy(|policy| policy.limits.moves_max = 2).plan(Goal::Even).unwrap();
    assert_eq!(few.moves().count(), 2);
    let dear = crowded().policy(|policy| policy.even.gain_min = 0.9).plan(Goal::Even).unwrap();
    assert!(dear.is_empty());
}

#[test]
fn a_host_twice_as_large_takes_twice_as_much() {
    let mut cluster = crowded();
    cluster.snapshot.hosts.get_mut(&host_id("h1")).unwrap().cpu = MilliCores::cores(20);
    let cluster = cluster.policy(|policy| {
        policy.even.memory = 0.0;
        policy.even.gain_min = 0.0;
    });
    let plan = cluster.plan(Goal::Even).unwrap();
    let end = planned(&cluster, &plan);
    assert_eq!(end.iter().filter(|host| **host == host_id("h1")).count(), 3);
}

#[test]
fn a_resource_of_the_operators_own_counts() {
    let used = |names: &[&str]| names.iter().map(|name| (vm_id(name), 40.0)).collect();
    let mut cluster = Cluster::of(&HOSTS[..2]);
    for (index, name) in VMS[..4].iter().enumerate() {
        cluster = cluster.vm(name, HOSTS[index / 2], 10, 1.0);
    }
    assert!(cluster.plan(Goal::Even).unwrap().is_empty());
    cluster.policy.even.loads.push(EvenLoad {
        name: "network".to_owned(),
        weight: 1.0,
        capacity: 100.0,
        used: used(&VMS[..2]),
    });
    let plan = cluster.plan(Goal::Even).unwrap();
    assert_eq!(plan.moves().count(), 2);
    let (before, after) = term(&plan.report.terms, "network_deviation_share");
    assert!((before - 0.4).abs() < 1e-9 && after.abs() < 1e-9, "{before} {after}");
}

#[test]
fn rules_come_before_evenness_and_groups_stay_together() {
    let cluster = Cluster::of(&HOSTS[..2])
        .vm("v0", "h0", 10, 1.0)
        .vm("v1", "h0", 10, 1.0)
        .vm("v2", "h1", 20, 2.0)
        .rule(anti(&["v0", "v1"]));
    let plan = cluster.plan(Goal::Even).unwrap();
    assert_eq!(plan.moves().count(), 1);
    let reason = plan.moves().next().map(|(_, one)| one.reason.clone());
    assert_eq!(reason, Some(Reason::RuleBroken { rule: "apart".to_owned() }));
    let together = crowded().rule(affinity(&VMS[..5]));
    let plan = together.plan(Goal::Even).unwrap();
    assert_eq!(plan.moves().map(|(_, one)| one.vm.as_str()).collect::<Vec<_>>(), ["v5"]);
    assert_eq!(plan.stays.len(), 5);
}

#[test]
fn weights_that_say_nothing_are_refused_by_name() {
    let refused = |change: &dyn Fn(&mut whimbrel_core::Policy)| {
        crowded().policy(change).plan(Goal::Even).unwrap_err()
    };
    let nothing = refused(&|policy| (policy.even.cpu, policy.even.memory) = (0.0, 0.0));
    assert_eq!(nothing, PlanFailure::NoWeight);
    assert!(nothing.to_string().contains("(hint: set even.cpu"));
    let load = |weight: f64, capacity: f64, name: &str, used: f64| EvenLoad {
        name: name.to_owned(),
        weight,
        capacity,
        used: [(vm_id("v3"), used)].into(),
    };
    let told = |one: EvenLoad| refused(&|policy| policy.even.loads.push(one.clone())).to_string();
    for (text, part) in [
        (refused(&|policy| policy.even.cpu = f64::NAN).to_string(), "even.cpu = NaN"),
        (refused(&|policy| policy.even.memory = -1.0).to_string(), "even.memory = -1"),
        (refused(&|policy| policy.even.vcpus = f64::INFINITY).to_string(), "even.vcpus = inf"),
        (refused(&|policy| policy.even.gain_min = 2.0).to_string(), "even.gain_min = 2"),
        (told(load(-1.0, 1.0, "disk", 0.0)), "even.load \"disk\": weight = -1"),
        (told(load(1.0, 0.0, "disk", 0.0)), "even.load \"disk\": capacity = 0"),
        (told(load(1.0, 1.0, "disk", f64::NAN)), "even.load \"disk\": use.v3 = NaN"),
        (told(load(1.0, 1.0, "cpu", 0.0)), "resource named \"cpu\""),
    ] {
        assert!(text.contains(part) && text.contains("(hint: "), "{text}");
    }
    let six = refused(&|policy| {
        let numbered = |number: usize| load(1.0, 1.0, &format!("load-{number}"), 0.0);
        policy.even.loads = (0..6).map(numbered).collect();
    });
    assert!(six.to_string().contains("number of even.load = 6"), "{six}");
}
