//! Rules that cannot hold together, found and named before any solver is asked: "infeasible"
//! explains nothing.

use std::collections::BTreeSet;

use thiserror::Error;

use super::{Policy, Rule};
use crate::{
    cluster::Snapshot,
    ids::{HostId, VmId},
    units::Bytes,
};

mod chains;

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
    /// One keeps more VMs apart than the other leaves them hosts.
    #[error(
        "rules {apart:?} and {bound:?} contradict each other: one keeps {vms} domains apart, the \
         other leaves them {hosts} hosts (hint: give {bound:?} as many hosts as domains)"
    )]
    ApartOnTooFew {
        /// The anti-affinity rule.
        apart: String,
        /// The rule about hosts.
        bound: String,
        /// Domains that both name.
        vms: usize,
        /// Hosts that the second leaves them.
        hosts: usize,
    },
    /// VMs to keep together have no host in common.
    #[error(
        "rules {together:?} and {bounds} contradict each other: one keeps domains together, the \
         others leave them no host in common (hint: give them a host in common)"
    )]
    TogetherNowhere {
        /// The affinity rule.
        together: String,
        /// The rules about hosts, quoted, separated by commas.
        bounds: String,
    },
    /// Several rules chain two VMs together that another keeps apart.
    #[error(
        "rules {chain} and {apart:?} contradict each other: a chain of the first keeps {first} and \
         {second} together, the last apart (hint: drop one of them)"
    )]
    ChainedAndApart {
        /// The affinity rules, quoted, separated by commas.
        chain: String,
        /// The anti-affinity rule.
        apart: String,
        /// One VM.
        first: VmId,
        /// The other.
        second: VmId,
    },
    /// VMs to keep together are larger than every host.
    #[error(
        "rules {rules} keep {vms} domains of {} on one host, the largest, {host}, has {} \
         (hint: drop one of the rules or take domains out of them)", memory.human(), limit.human()
    )]
    TogetherTooBig {
        /// The affinity rules, quoted, separated by commas.
        rules: String,
        /// Domains that they keep together.
        vms: usize,
        /// Memory of these.
        memory: Bytes,
        /// The largest host.
        host: HostId,
        /// Its memory.
        limit: Bytes,
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
        found.extend(self.rules.iter().filter_map(|rule| self.together_nowhere(rule, snapshot)));
        for (index, first) in self.rules.iter().enumerate() {
            for second in &self.rules[index + 1..] {
                found.extend(together_and_apart(first, second));
                found.extend(no_host_left(first, second, snapshot));
                found.extend(apart_on_too_few(first, second, snapshot));
            }
        }
        found.extend(self.chained(snapshot));
        found
    }

    /// What only several affinity rules together contradict.
    fn chained(&self, snapshot: &Snapshot) -> Vec<Contradiction> {
        let (mut together, mut apart) = (Vec::new(), Vec::new());
        for rule in &self.rules {
            let group = || chains::Group { rule: rule.name(), vms: rule.vms().iter().collect() };
            match rule {
                Rule::Affinity { .. } => together.push(group()),
                Rule::AntiAffinity { .. } => apart.push(group()),
                Rule::Pin { .. } | Rule::Exclude { .. } => {}
            }
        }
        chains::find(&together, &apart, snapshot)
    }

    /// Rules about hosts that leave the VMs of an affinity rule no host in common.
    fn together_nowhere(&self, rule: &Rule, snapshot: &Snapshot) -> Option<Contradiction> {
        let Rule::Affinity { name, vms } = rule else { return None };
        let speaks =
            |bound: &&Rule| names_hosts(bound) && bound.vms().iter().any(|vm| vms.contains(vm));
        let bounds: Vec<&Rule> = self.rules.iter().filter(speaks).collect();
        let nowhere = |bounds: &[&Rule]| {
            let fits =
                |host| bounds.iter().all(|bound| vms.iter().all(|vm| bound.allows(vm, host)));
            !snapshot.hosts.keys().any(fits)
        };
        if bounds.is_empty() || !nowhere(&bounds) {
            return None;
        }
        // Two culprits say more than all that are involved.
        let pairs = bounds
            .iter()
            .enumerate()
            .flat_map(|(index, first)| bounds[index + 1..].iter().map(|second| [*first, *second]));
        let pair = pairs.into_iter().find(|pair| nowhere(pair)).map(Vec::from);
        let culprits = pair.unwrap_or(bounds);
        let quoted: Vec<String> = culprits.iter().map(|r| format!("{:?}", r.name())).collect();
        Some(Contradiction::TogetherNowhere { together: name.clone(), bounds: quoted.join(", ") })
    }
}

fn names_hosts(rule: &Rule) -> bool {
    matches!(rule, Rule::Pin { .. } | Rule::Exclude { .. })
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

fn apart_on_too_few(first: &Rule, second: &Rule, snapshot: &Snapshot) -> Option<Contradiction> {
    let (apart, bound) = match (first, second) {
        (Rule::AntiAffinity { .. }, other) if names_hosts(other) => (first, other),
        (other, Rule::AntiAffinity { .. }) if names_hosts(other) => (second, other),
        _ => return None,
    };
    let both: BTreeSet<&VmId> = apart.vms().iter().filter(|vm| bound.vms().contains(vm)).collect();
    let open = |host: &&HostId| both.iter().any(|vm| bound.allows(vm, host));
    let hosts = snapshot.hosts.keys().filter(open).count();
    // No host at all is another fault, and said elsewhere.
    (hosts > 0 && both.len() > hosts).then(|| Contradiction::ApartOnTooFew {
        apart: apart.name().to_owned(),
        bound: bound.name().to_owned(),
        vms: both.len(),
        hosts,
    })
}
