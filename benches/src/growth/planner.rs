//! What of the planner is measured, at which sizes.
//!
//! Clusters are made up ([`Cluster`]): a quarter of the hosts is overloaded. Nothing is predicted: a
//! migration takes as long as its guest's memory takes over 10 Gb/s, so that the planner alone is
//! timed. Rules hold at the beginning, whoever they name, so that none of them is what a plan mends.

use std::error::Error;

use whimbrel_core::{
    Goal, HostId, Predictor, VmId,
    policy::Rule,
    predict::{MigrationRequest, PredictError, Prediction, Quantiles},
    units::{BytesPerSecond, Share, Span},
};

use super::{Subject, subjects::Work};
use crate::{cluster::Cluster, draw::Draw};

const HOSTS: &str = "hosts";
const GUESTS: &str = "VMs per host, 200 hosts";
const RULES: &str = "rules, 1,000 hosts with 10,000 VMs";

/// Seed of who is named by rules.
const SEED: u64 = 13;

/// Hosts of one zone, which rules pin guests to.
const ZONE: usize = 100;

/// Guests that are kept apart by one rule, and hosts that one guest may not be on.
const APART: usize = 3;
const EXCLUDED: usize = 10;

/// Everything of the planner that is measured.
pub static PLANNER: [Subject; 5] = [
    Subject {
        name: "balance, 10 VMs a host",
        counts: HOSTS,
        sizes: &[125, 250, 500, 1000, 2000],
        prepare: |hosts| planning(Cluster::new(hosts as usize, 10 * hosts as usize), Goal::Balance),
    },
    Subject {
        name: "drain of one host, 10 VMs a host",
        counts: HOSTS,
        sizes: &[125, 250, 500, 1000, 2000],
        prepare: |hosts| {
            planning(Cluster::new(hosts as usize, 10 * hosts as usize), Cluster::drain())
        },
    },
    Subject {
        name: "balance",
        counts: GUESTS,
        sizes: &[5, 10, 20, 40, 80],
        prepare: |guests| planning(Cluster::new(200, 200 * guests as usize), Goal::Balance),
    },
    Subject {
        name: "balance",
        counts: RULES,
        sizes: &[0, 100, 1000, 10_000, 100_000],
        prepare: |rules| planning(ruled(rules as usize)?, Goal::Balance),
    },
    Subject {
        name: "drain of one host",
        counts: RULES,
        sizes: &[0, 100, 1000, 10_000, 100_000],
        prepare: |rules| planning(ruled(rules as usize)?, Cluster::drain()),
    },
];

/// A migration takes as long as its guest's memory takes over the link.
struct ByMemory;

impl ByMemory {
    const LINK: BytesPerSecond = BytesPerSecond::mib(1111);
}

impl Predictor for ByMemory {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let memory = request.domain.memory;
        let total = Span::from_seconds_f64(memory.as_f64() / Self::LINK.as_f64());
        Ok(Prediction {
            model: "made up".to_owned(),
            converges: Share::ONE,
            total_time: Quantiles::from_array([total; 7]),
            transferred: Quantiles::from_array([memory; 7]),
            downtime: Quantiles::from_array([Span::ZERO; 7]),
            impact: None,
            stall: None,
            caveats: Vec::new(),
        })
    }
}

fn planning(cluster: Cluster, goal: Goal) -> Result<Work, Box<dyn Error>> {
    cluster.policy.check_ranges()?;
    Ok(Box::new(move || {
        whimbrel_planner::plan(&cluster.request(goal.clone(), &ByMemory))?;
        Ok(())
    }))
}

/// A thousand hosts in ten zones with so many rules: half keep three guests apart, a quarter keeps
/// one guest from ten hosts, and a quarter keeps one in its zone.
fn ruled(rules: usize) -> Result<Cluster, Box<dyn Error>> {
    let mut cluster = Cluster::new(1000, 10_000);
    let ids: Vec<HostId> = cluster.snapshot.hosts.keys().cloned().collect();
    for (number, host) in cluster.snapshot.hosts.values_mut().enumerate() {
        host.tags.insert(zone(number));
    }
    let place = |host: &HostId| ids.binary_search(host).unwrap_or_default();
    let guests: Vec<(VmId, usize)> =
        cluster.snapshot.domains.iter().map(|one| (one.vm.clone(), place(&one.host))).collect();
    let mut draw = Draw(SEED);
    for number in 0..rules {
        let (vm, home) = &guests[draw.below(guests.len() as u64) as usize];
        let name = format!("rule-{number}");
        let rule = match number % 4 {
            2 => {
                let from = draw.below(ids.len() as u64) as usize;
                let hosts = (0..EXCLUDED).map(|step| (from + step) % ids.len());
                let hosts = hosts.filter(|host| host != home).map(|host| ids[host].clone());
                Rule::exclude(&name, vec![vm.clone()], hosts.collect())
            }
            3 => {
                let hosts_tagged = Some(zone(*home).parse()?);
                Rule { hosts_tagged, ..Rule::pin(&name, vec![vm.clone()], Vec::new()) }
            }
            _ => {
                let mut apart = vec![(vm.clone(), *home)];
                while apart.len() < APART {
                    let other = &guests[draw.below(guests.len() as u64) as usize];
                    if apart.iter().all(|(_, host)| *host != other.1) {
                        apart.push(other.clone());
                    }
                }
                Rule::anti_affinity(&name, apart.into_iter().map(|(vm, _)| vm).collect())
            }
        };
        cluster.policy.rules.push(rule);
    }
    Ok(cluster)
}

fn zone(host: usize) -> String {
    format!("zone={}", host / ZONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_as_many_as_asked_for_and_hold_at_first() {
        let cluster = ruled(400).unwrap();
        assert_eq!(cluster.policy.rules.len(), 400);
        let plan = |cluster: &Cluster, goal: Goal| {
            whimbrel_planner::plan(&cluster.request(goal, &ByMemory)).unwrap()
        };
        let broken = |plan: &whimbrel_core::Plan| {
            plan.moves()
                .filter(|(_, one)| {
                    matches!(one.reason, whimbrel_core::plan::Reason::RuleBroken { .. })
                })
                .count()
        };
        assert_eq!(broken(&plan(&cluster, Goal::Balance)), 0);
        assert_eq!(plan(&cluster, Cluster::drain()).moves().count(), 10);
    }
}
