//! Every kind of rule, hard and as a preference, against every placement of a tiny cluster, and
//! against a count of breaches that is made here.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use whimbrel_core::{
    cluster::{Needs, NumaNode, Offers},
    ids::HostId,
    plan::Goal,
    policy::{Budget, Per, Roster, Rule, RuleKind, When, places},
    units::Bytes,
};
use whimbrel_planner::{PlanFailure, evaluate};

use crate::{
    brute::{Place, every_place, every_plan, value},
    support::*,
};

const HOSTS: [&str; 4] = ["h0", "h1", "h2", "h3"];
const VMS: [&str; 4] = ["v0", "v1", "v2", "v3"];

fn some_kind() -> impl Strategy<Value = RuleKind> {
    let per = || prop_oneof![Just(Per::Host), Just(Per::Tag("rack".to_owned()))];
    prop_oneof![
        (per(), 1..3u32).prop_map(|(per, most)| RuleKind::AntiAffinity { per, most }),
        per().prop_map(|per| RuleKind::Affinity { per }),
        Just(RuleKind::Pin),
        Just(RuleKind::Exclude),
        Just(RuleKind::Exclusive),
        (1..3u32).prop_map(|most| RuleKind::HostsMax { most }),
        (1..3u32, 0..3u32).prop_map(|(at_once, moves_max)| RuleKind::Disruption(Budget {
            at_once: Some(at_once),
            moves_max: Some(moves_max),
            windows: Vec::new(),
        })),
    ]
}

/// A rule of any kind about some of `vms` and `hosts`, by name or tag, hard or soft.
pub(crate) fn some_rule(
    hosts: &[&'static str],
    vms: &[&'static str],
) -> impl Strategy<Value = Rule> {
    let vms = prop::sample::subsequence(vms.to_vec(), 1..4);
    let hosts = prop::sample::subsequence(hosts.to_vec(), 1..4);
    let soft = prop_oneof![3 => Just(None), 2 => (200..5000u32).prop_map(Some)];
    let when =
        prop_oneof![2 => Just(None), 1 => Just(Some(When::End)), 1 => Just(Some(When::Continuous))];
    (some_kind(), vms, hosts, (0..100u32, 0..4u32), soft, when).prop_map(
        |(kind, vms, hosts, (number, tag), soft, when)| {
            let budget = matches!(kind, RuleKind::Disruption(_));
            let places = matches!(kind, RuleKind::Pin | RuleKind::Exclude);
            let capped = matches!(kind, RuleKind::HostsMax { .. }) && number % 2 == 0;
            let vms = vms.into_iter().map(vm_id).collect();
            let mut rule = Rule::new(&format!("rule-{number}"), kind, vms);
            if places || capped {
                rule.hosts = hosts.into_iter().map(host_id).collect();
            }
            if tag == 0 {
                rule.vms = Vec::new();
                rule.vms_tagged = Some("db and not small".parse().unwrap());
            }
            if tag == 1 && places {
                rule.hosts_tagged = Some("rack=r1".parse().unwrap());
            }
            rule.soft_seconds = soft.filter(|_| !budget);
            rule.when = when.filter(|_| !budget && rule.soft_seconds.is_none());
            rule
        },
    )
}

/// Two hosts in one rack, one in another, the rest in none; some machines with tags.
pub(crate) fn tagged(cluster: Cluster) -> Cluster {
    let tag = |text: &str| BTreeSet::from([text.to_owned()]);
    cluster
        .host("h0", |host| host.tags = tag("rack=r0"))
        .host("h1", |host| host.tags = tag("rack=r0"))
        .host("h2", |host| host.tags = tag("rack=r1"))
        .with("v0", |vm| vm.tags = tag("db"))
        .with("v1", |vm| vm.tags = tag("db"))
        .with("v2", |vm| vm.tags = ["db", "small"].map(str::to_owned).into())
        .with("v3", |vm| vm.tags = tag("web"))
}

/// What hosts offer and machines need, in a few shapes.
pub(crate) fn equipped(cluster: Cluster, shape: u32) -> Cluster {
    let pages = |gib: u64| BTreeMap::from([(Bytes::mib(2), Bytes::mib(gib * 1024))]);
    let node = |gib: u64| NumaNode { memory: Bytes::mib(gib * 1024), cpus: 4 };
    let offers = |pages: BTreeMap<Bytes, Bytes>, numa| Offers {
        huge_pages: Some(pages),
        numa,
        ..Offers::default()
    };
    match shape {
        0 => cluster
            .host("h0", |host| host.offers = offers(pages(8), Vec::new()))
            .host("h1", |host| host.offers = offers(pages(4), Vec::new()))
            .with("v0", |vm| vm.needs.huge_pages = pages(4))
            .with("v1", |vm| vm.needs.huge_pages = pages(3)),
        1 => cluster
            .host("h0", |host| host.offers = offers(pages(0), vec![node(10), node(10)]))
            .host("h2", |host| host.offers = offers(pages(0), vec![node(10)]))
            .with("v0", |vm| vm.needs.one_node = Some(node(6)))
            .with("v1", |vm| vm.needs.one_node = Some(node(6))),
        2 => cluster
            .host("h1", |host| host.offers.cpu_models = Some(["a".to_owned()].into()))
            .host("h2", |host| host.offers.networks = Some(BTreeSet::new()))
            .with("v0", |vm| vm.needs.cpu_model = Some("b".to_owned()))
            .with("v3", |vm| vm.needs.networks = ["prod".to_owned()].into()),
        _ => cluster,
    }
}

fn ruled_cluster() -> impl Strategy<Value = Cluster> {
    let vm = (0..4usize, 1..12u64, 0..70u32);
    let vms = prop::collection::vec(vm, 1..5);
    let rules = prop::collection::vec(some_rule(&HOSTS, &VMS), 1..4);
    (vms, rules, 1..5u32, 0..8u32).prop_map(|(vms, rules, moves_max, shape)| {
        let mut cluster = Cluster::of(&HOSTS).policy(|policy| policy.limits.moves_max = moves_max);
        for (name, (host, memory, cores)) in VMS.iter().zip(vms) {
            cluster = cluster.vm(name, HOSTS[host], memory * 4, f64::from(cores) / 10.0);
        }
        rules.into_iter().fold(equipped(tagged(cluster), shape), Cluster::rule)
    })
}

/// How often `place` breaks each rule, counted here once more.
pub(crate) fn breaches(cluster: &Cluster, place: &Place) -> Vec<usize> {
    let roster = Roster::new(&cluster.policy, &cluster.snapshot);
    let host = |id: &HostId| roster.hosts.iter().position(|other| *other == id).unwrap();
    let at: Vec<(usize, usize)> =
        place.iter().map(|(vm, id)| (roster.vm(vm).unwrap(), host(id))).collect();
    let one = |(rule, meant): (&Rule, &whimbrel_core::policy::Meant)| {
        let own = || at.iter().filter(|(vm, _)| meant.vms.contains(vm)).map(|(_, host)| *host);
        let by = |per: &Per, hosts: Vec<usize>| {
            let names = places(per, &cluster.snapshot);
            let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
            for host in hosts {
                *counts.entry(names[host]).or_default() += 1;
            }
            counts
        };
        let named = |host: &usize| meant.hosts.contains(host);
        match &rule.kind {
            RuleKind::AntiAffinity { per, most } => by(per, own().collect())
                .values()
                .map(|count| count.saturating_sub(*most as usize))
                .sum(),
            RuleKind::Affinity { per: Per::Host } if rule.is_hard() && !rule.is_continuous() => {
                usize::from(by(&Per::Host, own().collect()).len() > 1)
            }
            RuleKind::Affinity { per } => by(per, own().collect()).len().saturating_sub(1),
            RuleKind::HostsMax { most } => {
                by(&Per::Host, own().filter(named).collect()).len().saturating_sub(*most as usize)
            }
            RuleKind::Pin => own().filter(|host| !named(host)).count(),
            RuleKind::Exclude => own().filter(named).count(),
            RuleKind::Exclusive => {
                let all = by(&Per::Host, at.iter().map(|(_, host)| *host).collect());
                let own = by(&Per::Host, own().collect());
                own.iter().filter(|(host, count)| all[host] > **count).count()
            }
            RuleKind::Disruption(_) => 0,
        }
    };
    cluster.policy.rules.iter().zip(&roster.meant).map(one).collect()
}

/// Breaches of hard rules, where a machine that several rules keep off its host counts once.
pub(crate) fn hard(cluster: &Cluster, place: &Place, breaches: &[usize]) -> usize {
    let rules = &cluster.policy.rules;
    let among = rules.iter().zip(breaches).filter(|(rule, _)| rule.is_hard() && !rule.places());
    let roster = Roster::new(&cluster.policy, &cluster.snapshot);
    let misplaced = place.iter().filter(|(vm, host)| {
        let (vm, host) = (roster.vm(vm).unwrap(), roster.host(host).unwrap());
        let mut bound = rules.iter().zip(&roster.meant).filter(|(rule, _)| rule.is_hard());
        bound.any(|(rule, meant)| {
            let off = meant.hosts.contains(&host) == (rule.kind == RuleKind::Exclude);
            rule.places() && meant.vms.contains(&vm) && off
        })
    });
    among.map(|(_, times)| *times).sum::<usize>() + misplaced.count()
}

pub(crate) fn present(cluster: &Cluster) -> Place {
    cluster.snapshot.domains.iter().map(|d| (d.vm.clone(), d.host.clone())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_the_checker_accepts_is_better_under_any_rules(
        cluster in ruled_cluster(),
        goal in prop_oneof![2 => Just(Goal::Balance), 1 => Just(drain("h0"))],
    ) {
        let request = cluster.request(goal.clone());
        let planned = match cluster.plan(goal.clone()) {
            Ok(plan) => {
                prop_assert_eq!(cluster.faults(&plan), Vec::<String>::new());
                let mut place = present(&cluster);
                place.extend(plan.moves().map(|(_, m)| (m.vm.clone(), m.to.clone())));
                // Without what sharing a link costs: that is chosen for the time of the plan.
                Some(value(&cluster, &goal, &evaluate(&request, &place).unwrap(), &place))
            }
            Err(PlanFailure::Unsound(_)) => return Ok(()),
            Err(_) => None,
        };
        let before = breaches(&cluster, &present(&cluster));
        for place in every_place(&cluster) {
            let found = value(&cluster, &goal, &evaluate(&request, &place).unwrap(), &place);
            let after = breaches(&cluster, &place);
            let worse = before.iter().zip(&after).zip(&cluster.policy.rules);
            // What is broken now the checker lets be broken, the planner not further.
            let mut worse = worse.filter(|(_, rule)| rule.is_hard());
            let better =
                planned.is_none_or(|planned| found < planned - 1e-4 * planned.abs() - 0.01);
            if better && !worse.any(|((before, after), _)| after > before) {
                for plan in every_plan(&cluster, &goal, &place) {
                    prop_assert!(
                        !cluster.faults(&plan).is_empty(),
                        "planned {:?}, but {:?} costs {}", planned, place, found
                    );
                }
            }
        }
    }

    #[test]
    fn breaches_are_counted_and_charged_as_documented(cluster in ruled_cluster()) {
        // Needs are no rules of the policy.
        let mut cluster = cluster;
        for domain in &mut cluster.snapshot.domains {
            domain.needs = Needs::default();
        }
        let request = cluster.request(Goal::Balance);
        for place in every_place(&cluster).into_iter().step_by(7) {
            let Ok(terms) = evaluate(&request, &place) else { return Ok(()) };
            let counted = breaches(&cluster, &place);
            let after = |name: &str| term(&terms, name).1;
            prop_assert_eq!(after("rules_broken") as usize, hard(&cluster, &place, &counted));
            let soft = cluster.policy.rules.iter().zip(&counted);
            let soft: f64 = soft
                .filter_map(|(rule, times)| Some(f64::from(rule.soft_seconds?) * *times as f64))
                .sum();
            let told = terms.iter().find(|term| term.name == "preferences_guest_seconds");
            prop_assert!((told.map_or(0.0, |term| term.after) - soft).abs() < 1e-6);
        }
    }
}
