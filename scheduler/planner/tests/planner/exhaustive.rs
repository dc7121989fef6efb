//! The planner against exhaustive search on tiny clusters with every kind of rule, limit and budget:
//! what it plans is the best that the checker lets through, and what it calls impossible is.

use std::collections::BTreeSet;

use proptest::prelude::*;
use whimbrel_core::{
    cluster::HostState,
    ids::HostId,
    plan::{Emptied, Goal},
    units::Share,
};
use whimbrel_planner::{PlanFailure, evaluate};

use crate::{
    brute::{Place, every_place, every_plan},
    rules::{breaches, equipped, hard, present, some_rule, tagged},
    support::*,
};

const HOSTS: [&str; 4] = ["h0", "h1", "h2", "h3"];
const VMS: [&str; 6] = ["v0", "v1", "v2", "v3", "v4", "v5"];

/// Placements that a cluster may have at most.
const PLACES_MAX: usize = 800;

/// Two to four hosts, tight and loose, some out of service, with up to six machines.
pub(crate) fn tiny() -> impl Strategy<Value = Cluster> {
    let vm = (0..4usize, 1..13u64, 0..70u32, 1..9u32);
    let vms = prop::collection::vec(vm, 1..7);
    let rules = prop::collection::vec(some_rule(&HOSTS, &VMS), 0..4);
    let states = prop::collection::vec(0..14u32, 4);
    let limits = (1..7u32, 0..4usize, prop_oneof![3 => Just(0.0), 1 => Just(0.1), 1 => Just(0.4)]);
    (2..5usize, vms, rules, states, (limits, 0..8u32)).prop_map(
        |(hosts, vms, rules, states, ((moves_max, overcommit, reserve), shape))| {
            let mut cluster = Cluster::of(&HOSTS[..hosts]).policy(|policy| {
                policy.limits.moves_max = moves_max;
                policy.limits.cpu_overcommit = [0.8, 1.5, 2.0, 4.0][overcommit];
                policy.limits.memory_reserve = Share::clamped(reserve);
            });
            let mut places = 1;
            for (name, (host, memory, cores, vcpus)) in VMS.iter().zip(vms) {
                places *= hosts;
                if places > PLACES_MAX {
                    break;
                }
                cluster = cluster
                    .vm(name, HOSTS[host % hosts], memory * 5, f64::from(cores) / 10.0)
                    .with(name, |domain| domain.vcpus = vcpus);
            }
            for (name, state) in HOSTS[..hosts].iter().zip(states) {
                cluster = cluster.host(name, |host| {
                    host.state = match state {
                        0 => HostState::Maintenance,
                        1 => HostState::Unreachable,
                        _ => HostState::Up,
                    };
                });
            }
            let named = |rule: &whimbrel_core::policy::Rule| {
                rule.hosts.iter().all(|host| cluster.snapshot.hosts.contains_key(host))
            };
            let rules: Vec<_> = rules.into_iter().filter(named).collect();
            rules.into_iter().fold(equipped(tagged(cluster.clone()), shape), Cluster::rule)
        },
    )
}

pub(crate) fn some_goal() -> impl Strategy<Value = Goal> {
    let both = Emptied::of(["h0", "h1"].map(host_id)).unwrap();
    prop_oneof![
        3 => Just(Goal::Balance),
        3 => Just(drain("h0")),
        1 => Just(Goal::Drain { hosts: both, deadline: None, strict: false }),
    ]
}

/// Guest-seconds of a placement by the public terms: what the planner says that it minimises.
pub(crate) fn worth(cluster: &Cluster, goal: &Goal, place: &Place) -> f64 {
    let terms = evaluate(&cluster.request(Goal::Balance), place).unwrap();
    let after = |name: &str| terms.iter().find(|term| term.name == name).map_or(0.0, |t| t.after);
    let factor = if *goal == Goal::Balance { cluster.policy.balance.gain_factor } else { 1.0 };
    after("contention_guest_seconds")
        + factor * after("migration_guest_seconds")
        + 1e5 * (after("rules_broken") + displaced(cluster, goal, place) as f64)
        + after("preferences_guest_seconds")
}

/// Machines that only make room in a drain.
fn displaced(cluster: &Cluster, goal: &Goal, place: &Place) -> usize {
    let emptied: BTreeSet<_> = goal.emptied().collect();
    let others = cluster.snapshot.domains.iter().filter(|d| !emptied.contains(&d.host));
    let moved = others.filter(|d| place[&d.vm] != d.host).count();
    if emptied.is_empty() { 0 } else { moved }
}

/// Whether nothing that `place` asks for is against the limits on moves, or the goal.
fn in_question(cluster: &Cluster, goal: &Goal, place: &Place) -> bool {
    let moves = || cluster.snapshot.domains.iter().filter(|d| place[&d.vm] != d.host);
    // Nobody can be moved away from a host that does not answer, nor is it known who is there.
    let up = |host: &HostId| cluster.snapshot.hosts[host].state == HostState::Up;
    let takes = |host: &HostId| up(host) && has_room(cluster, place, host);
    let answers = |host: &HostId| cluster.snapshot.hosts[host].state != HostState::Unreachable;
    moves().count() <= cluster.policy.limits.moves_max as usize
        && moves().all(|domain| answers(&domain.host) && takes(&place[&domain.vm]))
        && goal.emptied().all(|host| answers(host) && place.values().all(|at| at != host))
}

/// Whether `host` is large enough for all who are there in `place`.
fn has_room(cluster: &Cluster, place: &Place, host: &HostId) -> bool {
    let (limits, one) = (&cluster.policy.limits, &cluster.snapshot.hosts[host]);
    let here = || cluster.snapshot.domains.iter().filter(|domain| place[&domain.vm] == *host);
    let memory: f64 = here().map(|domain| domain.memory.as_f64()).sum();
    let vcpus: f64 = here().map(|domain| f64::from(domain.vcpus)).sum();
    memory <= one.memory.as_f64() * (1.0 - limits.memory_reserve.get())
        && vcpus <= one.cpu.as_cores_f64() * limits.cpu_overcommit
}

/// A placement that costs less than `planned` by more than its gap, breaks no hard rule further than now and has a way
/// to it that the checker lets pass, one move after the other. A drain without others comes before
/// any other.
fn better(cluster: &Cluster, goal: &Goal, planned: Option<&(Place, f64)>) -> Option<(Place, f64)> {
    let known = planned.map(|(place, gap)| {
        let (displaces, worth) = (displaced(cluster, goal, place) > 0, worth(cluster, goal, place));
        (displaces, worth - gap.max(1e-4) * worth.abs() - 0.01)
    });
    let before = breaches(cluster, &present(cluster));
    every_place(cluster).into_iter().filter(|place| in_question(cluster, goal, place)).find_map(
        |place| {
            let worth = worth(cluster, goal, &place);
            let displaces = displaced(cluster, goal, &place) > 0;
            let no_better = |(displacing, planned): (bool, f64)| match (displaces, displacing) {
                (true, false) => true,
                (false, true) => false,
                _ => worth >= planned,
            };
            if known.is_some_and(no_better) {
                return None;
            }
            // What is broken now the checker lets be broken, the planner not further.
            let after = breaches(cluster, &place);
            let rules = cluster.policy.rules.iter().zip(before.iter().zip(&after));
            if rules.into_iter().any(|(rule, (before, after))| rule.is_hard() && after > before) {
                return None;
            }
            let ways = every_plan(cluster, goal, &place);
            let passes = ways.iter().any(|plan| cluster.faults(plan).is_empty());
            passes.then_some((place, worth))
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, max_shrink_iters: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plans_are_the_best_there_are_and_refusals_are_true(
        cluster in tiny(),
        goal in some_goal(),
    ) {
        let planned = match cluster.plan(goal.clone()) {
            Ok(plan) => {
                prop_assert_eq!(cluster.faults(&plan), Vec::<String>::new());
                let mut place = present(&cluster);
                place.extend(plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())));
                prop_assert!(in_question(&cluster, &goal, &place));
                Some((place, plan.report.gap.unwrap_or(f64::INFINITY)))
            }
            Err(PlanFailure::Unsound(_)) => {
                // Rules may contradict each other about machines that are not there.
                let named: BTreeSet<_> = cluster.policy.rules.iter().flat_map(|r| &r.vms).collect();
                if named.into_iter().any(|vm| !present(&cluster).contains_key(vm)) {
                    return Ok(());
                }
                for place in every_place(&cluster) {
                    let times = breaches(&cluster, &place);
                    let full = place.values().any(|host| !has_room(&cluster, &place, host));
                    prop_assert!(full || hard(&cluster, &place, &times) > 0, "{place:?} keeps all");
                }
                return Ok(());
            }
            Err(failure) => {
                prop_assert!(goal != Goal::Balance, "{failure}");
                None
            }
        };
        if let Some((place, worth)) = better(&cluster, &goal, planned.as_ref()) {
            prop_assert!(false, "planned {planned:?}, but {place:?} is worth {worth}");
        }
    }

    #[test]
    fn an_empty_host_more_and_other_names_never_make_a_drain_worse(cluster in tiny()) {
        let goal = drain("h0");
        let worth = |cluster: &Cluster, goal: &Goal| {
            let plan = cluster.plan(goal.clone()).ok()?;
            let mut place = present(cluster);
            place.extend(plan.moves().map(|(_, one)| (one.vm.clone(), one.to.clone())));
            // Others are moved only where they must be, whatever that would gain.
            Some((displaced(cluster, goal, &place) > 0, worth(cluster, goal, &place)))
        };
        let Some((displaces, before)) = worth(&cluster, &goal) else { return Ok(()) };
        let mut more = cluster.clone();
        more.snapshot.hosts.extend(Cluster::of(&["h9"]).snapshot.hosts);
        if !more.policy.contradictions(&more.snapshot).is_empty() {
            // One rule that leaves a machine no host is let be, two that do so together are not.
            return Ok(());
        }
        let with = worth(&more, &goal);
        let no_worse = |(more, with): (bool, f64)| match (displaces, more) {
            (true, false) => true,
            (false, true) => false,
            _ => with <= before * 1.0002 + 0.1,
        };
        prop_assert!(with.is_some_and(no_worse), "{before} to {with:?}");
        let renamed = cluster.renamed(|name| name.replace('h', "z").chars().rev().collect());
        let other = worth(&renamed, &drain("0z"));
        let same = other.is_some_and(|(others, other)| {
            others == displaces && (other - before).abs() <= 2e-4 * before + 0.1
        });
        prop_assert!(same, "{before} and {other:?}");
    }
}
