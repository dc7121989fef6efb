//! What must hold for every plan, on random clusters.

use proptest::prelude::*;
use whimbrel_core::{
    cluster::{Domain, DomainState, HostState, JobProgress},
    plan::{Flavour, Goal},
    units::{Share, Span},
};

use crate::{
    rules::{some_rule, tagged},
    support::*,
};

const HOSTS: [&str; 4] = ["h0", "h1", "h2", "h3"];
const VMS: [&str; 9] = ["v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"];

/// A migration that somebody else began takes the machine to `target`.
fn leaving(cluster: Cluster, name: &str, target: &str) -> Cluster {
    let mut cluster = cluster.with(name, |domain| domain.job = Some(JobProgress::default()));
    let arriving = cluster.snapshot.domains.iter().find(|d| d.vm.as_str() == name).cloned();
    cluster.snapshot.domains.extend(arriving.map(|domain| Domain {
        host: host_id(target),
        state: DomainState::Incoming,
        job: None,
        ..domain
    }));
    cluster.snapshot.normalise();
    cluster
}

/// Clusters up to four hosts and nine machines, tight and loose, sane and odd.
pub(crate) fn some_cluster() -> impl Strategy<Value = Cluster> {
    let vm = (0..4usize, 1..60u64, 0..40u32, 0..20u32, 1..9u32);
    (
        prop::collection::vec(vm, 0..9),
        prop::collection::vec(some_rule(&HOSTS, &VMS), 0..5),
        prop::collection::vec(0..12u32, 4),
        (1..4u32, 1..5u32, 1..12u32, 0..4u32, 0..3u32),
    )
        .prop_map(|(vms, rules, states, (per_host, total, moves_max, reserve, failures))| {
            let mut cluster = Cluster::of(&HOSTS).policy(|policy| {
                policy.limits.migrations_per_host = per_host;
                policy.limits.migrations_total = total;
                policy.limits.moves_max = moves_max;
                policy.limits.cpu_overcommit = 2.0;
                policy.limits.memory_reserve = Share::clamped(f64::from(reserve) / 10.0);
                policy.limits.host_failures = failures;
                policy.powersave.reserve_may_sleep = moves_max % 2 == 0;
                policy.balance.horizon = Span::from_seconds(7200);
            });
            for (name, (host, memory, cores, writing, vcpus)) in VMS.iter().zip(vms) {
                cluster = cluster
                    .vm(name, HOSTS[host], memory, f64::from(cores) / 10.0)
                    .with(name, |domain| domain.vcpus = vcpus);
                cluster = match writing {
                    0 => cluster.with(name, writes(500)),
                    1 => leaving(cluster, name, HOSTS[(host + 1) % HOSTS.len()]),
                    _ => cluster,
                };
            }
            for (name, state) in HOSTS.iter().zip(states) {
                cluster = cluster.host(name, |host| {
                    host.state = match state {
                        0 => HostState::Maintenance,
                        1 => HostState::Unreachable,
                        _ => HostState::Up,
                    };
                });
            }
            let cluster = tagged(cluster);
            rules.into_iter().fold(cluster, Cluster::rule)
        })
}

fn some_goal() -> impl Strategy<Value = Goal> {
    let wanted = (1..80u64, 1..4u32).prop_map(|(memory, count)| Goal::Defragment {
        flavours: vec![Flavour { name: None, vcpus: 2, memory: gib(memory), count }],
    });
    let unasked = Goal::Defragment { flavours: Vec::new() };
    prop_oneof![
        Just(Goal::Balance),
        Just(drain("h0")),
        Just(drain("h3")),
        Just(Goal::Powersave),
        Just(Goal::Even),
        Just(unasked),
        wanted
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_passes_the_checker(cluster in some_cluster(), goal in some_goal()) {
        match cluster.plan(goal.clone()) {
            Ok(plan) => {
                prop_assert_eq!(cluster.faults(&plan), Vec::<String>::new());
                let left = |host: &str| {
                    let mut place: std::collections::BTreeMap<_, _> =
                        cluster.snapshot.domains.iter().map(|d| (&d.vm, &d.host)).collect();
                    let moved: Vec<_> = plan.moves().map(|(_, m)| (&m.vm, &m.to)).collect();
                    place.extend(moved);
                    place.values().filter(|at| at.as_str() == host).count()
                };
                if let Goal::Drain { hosts, .. } = &goal {
                    prop_assert!(hosts.iter().all(|host| left(host.as_str()) == 0));
                    prop_assert!(plan.stays.is_empty());
                }
                let ends: Vec<_> = plan.stays.iter().map(|stay| &stay.vm).collect();
                prop_assert!(plan.moves().all(|(_, m)| !ends.contains(&&m.vm)));
            }
            Err(failure) => {
                let text = failure.to_string();
                prop_assert!(text.contains("(hint: "), "{}", text);
                // The present placement is always there, and balance may always keep it.
                let refused = matches!(
                    failure,
                    whimbrel_planner::PlanFailure::Unsound(whimbrel_planner::Unsound::Contradictions(_))
                );
                prop_assert!(refused || goal != Goal::Balance, "{}", text);
            }
        }
    }

    #[test]
    fn equal_requests_give_equal_bytes(cluster in some_cluster(), goal in some_goal()) {
        let text = || cluster.plan(goal.clone()).map(|plan| serde_json::to_string(&plan).unwrap());
        prop_assert_eq!(text(), text());
    }

    #[test]
    fn baselines_are_sealed(cluster in some_cluster(), goal in some_goal()) {
        for baseline in [whimbrel_planner::baseline::do_nothing, whimbrel_planner::baseline::greedy_by_load] {
            if let Ok(plan) = baseline(&cluster.request(goal.clone())) {
                prop_assert_eq!(plan.verify(), Ok(()));
            }
        }
    }
}
