//! Rules that cannot hold together, found and named before any solver is asked: "infeasible"
//! explains nothing.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{Policy, Rule};
use crate::{
    cluster::Snapshot,
    ids::{HostId, VmId},
};

/// Why a policy cannot be met on a given cluster, whatever the placement.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Contradiction {
    /// One wants two VMs together, the other apart.
    #[error(
        "rules {together:?} and {apart:?} contradict each other: one keeps {first} and {second} \
         together, the other apart (hint: drop one of the two rules)"
    )]
    TogetherAndApart {
        /// The affinity rule.
        together: String,
        /// The anti-affinity rule.
        apart: String,
        /// One VM.
        first: VmId,
        /// The other.
        second: VmId,
    },
    /// Two rules leave a VM no host.
    #[error(
        "rules {first:?} and {second:?} contradict each other: together they leave {vm} no host \
         (hint: give them a host in common)"
    )]
    NoHostLeft {
        /// One rule.
        first: String,
        /// The other.
        second: String,
        /// The VM.
        vm: VmId,
    },
    /// More VMs to keep apart than hosts.
    #[error(
        "rule {rule:?} keeps {vms} domains apart, but there are {hosts} hosts \
         (hint: split the rule or add hosts)"
    )]
    TooFewHosts {
        /// The rule.
        rule: String,
        /// Domains that it names.
        vms: usize,
        /// Hosts in the snapshot.
        hosts: usize,
    },
    /// A rule names a host that does not exist.
    #[error(
        "rule {rule:?} names host {host}, which is not in the snapshot (hint: hosts are {known})"
    )]
    UnknownHost {
        /// The rule.
        rule: String,
        /// The absent host.
        host: HostId,
        /// Hosts that exist.
        known: String,
    },
}

impl Policy {
    /// Every reason for which the rules cannot hold on this cluster, each naming its culprits.
    pub fn contradictions(&self, snapshot: &Snapshot) -> Vec<Contradiction> {
        let mut found: Vec<Contradiction> =
            self.rules.iter().filter_map(|rule| alone(rule, snapshot)).collect();
        for (index, first) in self.rules.iter().enumerate() {
            for second in &self.rules[index + 1..] {
                found.extend(together_and_apart(first, second));
                found.extend(no_host_left(first, second, snapshot));
            }
        }
        found
    }
}

fn alone(rule: &Rule, snapshot: &Snapshot) -> Option<Contradiction> {
    if let Some(host) = rule.hosts().iter().find(|h| !snapshot.hosts.contains_key(h)) {
        let known = snapshot.hosts.keys().map(HostId::as_str).collect::<Vec<_>>().join(", ");
        return Some(Contradiction::UnknownHost {
            rule: rule.name().to_owned(),
            host: host.clone(),
            known,
        });
    }
    let distinct = rule.vms().iter().collect::<BTreeSet<_>>().len();
    let hosts = snapshot.hosts.len();
    (matches!(rule, Rule::AntiAffinity { .. }) && distinct > hosts)
        .then(|| Contradiction::TooFewHosts { rule: rule.name().to_owned(), vms: distinct, hosts })
}

fn together_and_apart(first: &Rule, second: &Rule) -> Option<Contradiction> {
    let (together, apart) = match (first, second) {
        (Rule::Affinity { .. }, Rule::AntiAffinity { .. }) => (first, second),
        (Rule::AntiAffinity { .. }, Rule::Affinity { .. }) => (second, first),
        _ => return None,
    };
    let mut shared = together.vms().iter().filter(|vm| apart.vms().contains(vm));
    let (one, other) = (shared.next()?, shared.next()?);
    Some(Contradiction::TogetherAndApart {
        together: together.name().to_owned(),
        apart: apart.name().to_owned(),
        first: one.clone(),
        second: other.clone(),
    })
}

/// Both rules alone leave hosts, together none.
fn no_host_left(first: &Rule, second: &Rule, snapshot: &Snapshot) -> Option<Contradiction> {
    let vm = first.vms().iter().find(|vm| {
        second.vms().contains(vm)
            && !snapshot.hosts.keys().any(|h| first.allows(vm, h) && second.allows(vm, h))
    })?;
    Some(Contradiction::NoHostLeft {
        first: first.name().to_owned(),
        second: second.name().to_owned(),
        vm: vm.clone(),
    })
}
