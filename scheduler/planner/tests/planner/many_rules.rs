//! A hundred thousand rules: judged, planned for and checked in bounded time.

use std::fs;

use whimbrel_core::{
    ids::{HostId, VmId},
    plan::Goal,
    policy::{Budget, Contradiction, Per, Rule, RuleKind},
};
use whimbrel_planner::{PlanFailure, Unsound};

use crate::support::*;

const HOSTS: usize = 60;
const VMS: usize = 900;
const RULES: usize = 100_000;

/// CPU seconds that this thread has used.
#[expect(clippy::disallowed_methods, reason = "the kernel knows what CPU a thread used")]
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split(' ').next().and_then(|ns| ns.parse::<f64>().ok()).unwrap() / 1e9
}

fn vm(number: usize) -> VmId {
    vm_id(&format!("v{:05}", number % VMS))
}

fn host(number: usize) -> HostId {
    host_id(&format!("h{:03}", number % HOSTS))
}

/// A number without any order; the multiplier is that of Fibonacci hashing (Knuth, The Art of
/// Computer Programming 3, 6.4).
fn mixed(number: usize) -> usize {
    ((number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as usize
}

/// The rule of this number; none contradicts another: what is hard leaves most hosts, and who is
/// kept together is kept together softly.
fn rule(number: usize) -> Rule {
    let name = format!("rule-{number}");
    let (a, b) = (mixed(number), mixed(number + RULES));
    let pair = vec![vm(a), vm(b)];
    let soft = |rule: Rule| Rule { soft_seconds: Some(5), ..rule };
    let rack = || Per::Tag("rack".to_owned());
    match number % 10 {
        0..4 => Rule::anti_affinity(&name, pair),
        4 => {
            let kind = RuleKind::AntiAffinity { per: rack(), most: 2 };
            Rule::new(&name, kind, vec![vm(a), vm(b), vm(a + b)])
        }
        5 => Rule::exclude(&name, vec![vm(a)], vec![host(number % 7)]),
        6 => {
            let rule = Rule::pin(&name, vec![vm(a)], Vec::new());
            soft(Rule { hosts_tagged: Some("rack=r1 or rack=r2".parse().unwrap()), ..rule })
        }
        7 => soft(Rule::new(&name, RuleKind::Affinity { per: rack() }, pair)),
        8 => soft(Rule::new(&name, RuleKind::HostsMax { most: 2 }, vec![vm(a), vm(b), vm(a + b)])),
        _ => {
            let budget = Budget { moves_max: Some(1), ..Budget::default() };
            Rule::new(&name, RuleKind::Disruption(budget), pair)
        }
    }
}

/// Every sixth host has twice as many machines as the others.
fn crowd() -> Cluster {
    let names: Vec<String> = (0..HOSTS).map(|number| host(number).to_string()).collect();
    let mut cluster = Cluster::of(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (number, host) in cluster.snapshot.hosts.values_mut().enumerate() {
        host.tags = [format!("rack=r{}", number % 6)].into();
    }
    cluster.policy.limits.cpu_overcommit = 100.0;
    cluster.policy.limits.moves_max = 10_000;
    for number in 0..VMS {
        let at = if number % 3 == 0 { (number / 3 % 10) * 6 } else { number };
        let cores = 0.2 + (number * 13 % 23) as f64 / 40.0;
        cluster.push(vm(number).as_str(), host(at).as_str(), 1, cores);
    }
    cluster.snapshot.normalise();
    cluster
}

#[test]
fn a_hundred_thousand_rules_are_planned_for_and_checked_in_bounded_time() {
    let mut cluster = crowd();
    cluster.policy.rules = (0..RULES).map(rule).collect();
    let begun = cpu_seconds();
    let judged = cluster.policy.contradictions(&cluster.snapshot);
    assert_eq!(judged, []);
    let plan = cluster.plan(Goal::Balance).unwrap();
    let (before, after) = term(&plan.report.terms, "rules_broken");
    assert!(before > 100.0 && after < before / 10.0, "{before} to {after}");
    assert!(plan.report.gap.is_some());
    assert_eq!(cluster.faults(&plan), Vec::<String>::new());
    // Ten times what it takes without optimisation.
    let took = cpu_seconds() - begun;
    println!("{took:.1} s of CPU, {before} breaches before, {after} after");
    assert!(took < 120.0, "{took} s of CPU");
}

#[test]
fn a_thousand_contradictions_are_told_by_some_dozens_of_them() {
    let mut cluster = crowd();
    let both = |number: usize| {
        let pair = || vec![vm(number), vm(number + 1)];
        [Rule::affinity(&format!("a{number}"), pair()), Rule::anti_affinity("b", pair())]
    };
    cluster.policy.rules = (0..1000).step_by(2).flat_map(both).collect();
    let PlanFailure::Unsound(Unsound::Contradictions(found)) =
        cluster.plan(Goal::Balance).unwrap_err()
    else {
        panic!("contradictions are refused");
    };
    assert_eq!(found.len(), 50);
}

#[test]
fn rules_that_all_name_everybody_are_refused_by_number() {
    let mut cluster = crowd();
    for domain in &mut cluster.snapshot.domains {
        domain.tags = ["all".to_owned()].into();
    }
    let everybody = |number| Rule {
        vms_tagged: Some("all".parse().unwrap()),
        ..Rule::new(&format!("rule-{number}"), RuleKind::Exclusive, Vec::new())
    };
    cluster.policy.rules = (0..20_000).map(everybody).collect();
    let begun = cpu_seconds();
    let PlanFailure::Unsound(Unsound::Contradictions(found)) =
        cluster.plan(Goal::Balance).unwrap_err()
    else {
        panic!("too much is refused");
    };
    let named = 20_000 * VMS;
    assert_eq!(found, [Contradiction::TooMuch { named, limit: 10_000_000 }]);
    assert!(cpu_seconds() - begun < 20.0);
}
