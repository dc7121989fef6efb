//! The planner against every placement of a tiny cluster that the checker lets through.

use std::collections::BTreeMap;

use proptest::prelude::*;
use whimbrel_core::{
    ids::{HostId, VmId},
    plan::{Goal, Move, Plan, Reason, Term},
    predict::{MigrationRequest, Predictor},
    settings::QemuVersion,
    units::Span,
};
use whimbrel_planner::evaluate;

use crate::support::*;

const HOSTS: [&str; 3] = ["h0", "h1", "h2"];
const VMS: [&str; 4] = ["v0", "v1", "v2", "v3"];
pub(crate) type Place = BTreeMap<VmId, HostId>;

/// Three hosts and up to four machines; some hosts are over their limits, some rules broken.
fn tiny_cluster() -> impl Strategy<Value = Cluster> {
    let vm = (0..3usize, 1..12u64, 0..70u32);
    (prop::collection::vec(vm, 1..5), any::<bool>(), 1..5u32).prop_map(|(vms, apart, moves_max)| {
        let mut cluster = Cluster::of(&HOSTS).policy(|policy| policy.limits.moves_max = moves_max);
        for (name, (host, memory, cores)) in VMS.iter().zip(vms) {
            cluster = cluster.vm(name, HOSTS[host], memory * 5, f64::from(cores) / 10.0);
        }
        if apart {
            cluster = cluster.rule(anti(&VMS[..2]));
        }
        cluster
    })
}

pub(crate) fn every_place(cluster: &Cluster) -> Vec<Place> {
    let hosts: Vec<&HostId> = cluster.snapshot.hosts.keys().collect();
    let mut places = vec![Place::new()];
    for domain in &cluster.snapshot.domains {
        places = places
            .into_iter()
            .flat_map(|place| {
                let on = |host: &&HostId| {
                    let mut place = place.clone();
                    place.insert(domain.vm.clone(), (*host).clone());
                    place
                };
                hosts.iter().map(on).collect::<Vec<_>>()
            })
            .collect();
    }
    places
}

/// The moves to `place`, one at a time, in every order.
pub(crate) fn every_plan(cluster: &Cluster, goal: &Goal, place: &Place) -> Vec<Plan> {
    let moving: Vec<_> =
        cluster.snapshot.domains.iter().filter(|d| place[&d.vm] != d.host).collect();
    let mut orders = vec![Vec::new()];
    for _ in 0..moving.len() {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<usize>| {
                (0..moving.len())
                    .filter(|index| !order.contains(index))
                    .map(|index| [order.clone(), vec![index]].concat())
                    .collect::<Vec<_>>()
            })
            .collect();
    }
    let base = whimbrel_planner::baseline::do_nothing(&cluster.request(Goal::Balance)).unwrap();
    orders
        .into_iter()
        .map(|order| {
            let moves = order
                .into_iter()
                .zip(0..)
                .map(|(index, turn)| {
                    let domain = moving[index];
                    let predicted = Simple.predict(&MigrationRequest {
                        to: None,
                        domain,
                        settings: &cluster.policy.migration,
                        path_bandwidth: cluster.policy.limits.path_bandwidth,
                        sharing: 1,
                        now: NOW,
                        seed: 0,
                        qemu: QemuVersion::default(),
                    });
                    Move {
                        vm: domain.vm.clone(),
                        uuid: domain.uuid.clone(),
                        from: domain.host.clone(),
                        to: place[&domain.vm].clone(),
                        after: (0..turn).collect(),
                        alone: false,
                        not_before: None,
                        ends_before: None,
                        begins: Span::ZERO,
                        timeout: Span::from_seconds(1),
                        reason: Reason::WellPlaced,
                        settings: cluster.policy.migration.clone(),
                        predicted: predicted.unwrap(),
                    }
                })
                .collect();
            let (parent, report) = (base.parent.clone(), base.report.clone());
            Plan::seal(goal.clone(), parent, report, (base.at_once, moves), Vec::new())
        })
        .collect()
}

/// Guest-seconds of a placement, by the public terms.
pub(crate) fn value(cluster: &Cluster, goal: &Goal, terms: &[Term], place: &Place) -> f64 {
    let after = |name: &str| term(terms, name).1;
    let wishes = terms.iter().find(|term| term.name == "preferences_guest_seconds");
    // A broken rule weighs more than anything else in so small a cluster.
    1e5 * after("rules_broken")
        + wishes.map_or(0.0, |term| term.after)
        + match goal {
            Goal::Balance | Goal::Even | Goal::Defragment { .. } | Goal::Powersave => {
                let factor = cluster.policy.balance.gain_factor;
                after("contention_guest_seconds") + factor * after("migration_guest_seconds")
            }
            Goal::Drain { .. } => {
                let emptied = |host: &HostId| goal.emptied().any(|one| one == host);
                let domains = cluster.snapshot.domains.iter();
                let others =
                    domains.filter(|d| !emptied(&d.host) && place[&d.vm] != d.host).count();
                // Far above any contention here: others move only where they must.
                after("contention_guest_seconds")
                    + after("migration_guest_seconds")
                    + 1e9 * others as f64
            }
            // Not compared here.
            Goal::Restore { .. } => 0.0,
        }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_the_checker_accepts_is_better(
        cluster in tiny_cluster(),
        goal in prop_oneof![Just(Goal::Balance), Just(drain("h0"))],
    ) {
        let request = cluster.request(goal.clone());
        let planned = cluster.plan(goal.clone()).map(|plan| {
            let mut place: Place =
                cluster.snapshot.domains.iter().map(|d| (d.vm.clone(), d.host.clone())).collect();
            place.extend(plan.moves().map(|(_, m)| (m.vm.clone(), m.to.clone())));
            value(&cluster, &goal, &plan.report.terms, &place)
        });
        for place in every_place(&cluster) {
            let found = value(&cluster, &goal, &evaluate(&request, &place).unwrap(), &place);
            let better = match &planned {
                Ok(planned) => found < planned - 1e-4 * planned.abs() - 0.01,
                Err(_) => true,
            };
            if better {
                for plan in every_plan(&cluster, &goal, &place) {
                    prop_assert!(
                        !cluster.faults(&plan).is_empty(),
                        "planned {:?}, but {:?} costs {}",
                        planned, place, found
                    );
                }
            }
        }
    }
}
