//! What affinity rules say together: A with B and B with C is A with C, although no rule says so.
//!
//! Sets of VMs that rules chain together are found by union and find (Tarjan, Efficiency of a good
//! but not linear set union algorithm, 1975), so that time grows with the VMs that rules name and
//! not with pairs of rules. Told of each set: an anti-affinity rule that wants two of it apart, and
//! that no host is large enough for all of it.
//!
//! Never here: what single rules or pairs of them contradict each other in.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Contradiction;
use crate::{cluster::Snapshot, ids::VmId, units::Bytes};

/// The domains that one hard rule keeps on one host, or each on another.
pub(super) struct Group<'a> {
    pub(super) rule: &'a str,
    pub(super) vms: Vec<&'a VmId>,
}

/// Rules that are named of a chain before it is cut short.
const NAMED_MAX: usize = 8;

/// What chains of `together` contradict: rules of `apart`, and the sizes of hosts.
pub(super) fn find(
    together: &[Group<'_>],
    apart: &[Group<'_>],
    snapshot: &Snapshot,
) -> Vec<Contradiction> {
    let chains = Chains::new(together);
    let mut found: Vec<Contradiction> =
        apart.iter().filter_map(|rule| chains.split(rule)).collect();
    found.extend(chains.too_big(snapshot));
    found
}

/// VMs in the sets that rules chain together.
struct Chains<'a> {
    rules: &'a [Group<'a>],
    /// Rules that name each VM, by index.
    naming: BTreeMap<&'a VmId, Vec<usize>>,
    /// The set of each VM, by the index of one of its rules.
    set: BTreeMap<&'a VmId, usize>,
}

impl<'a> Chains<'a> {
    fn new(rules: &'a [Group<'a>]) -> Self {
        let mut naming: BTreeMap<&VmId, Vec<usize>> = BTreeMap::new();
        let mut parent: Vec<usize> = (0..rules.len()).collect();
        for (index, rule) in rules.iter().enumerate() {
            for &vm in &rule.vms {
                let known = naming.entry(vm).or_default();
                if let Some(&other) = known.first() {
                    let (one, other) = (root(&mut parent, index), root(&mut parent, other));
                    parent[one.max(other)] = one.min(other);
                }
                known.push(index);
            }
        }
        let set = naming.iter().filter_map(|(vm, rules)| Some((*vm, *rules.first()?)));
        let set = set.map(|(vm, rule)| (vm, root(&mut parent, rule))).collect();
        Self { rules, naming, set }
    }

    /// Two VMs that `apart` wants apart and a chain of two rules or more together.
    fn split(&self, apart: &Group<'_>) -> Option<Contradiction> {
        let mut first_of: BTreeMap<usize, &VmId> = BTreeMap::new();
        for &vm in &apart.vms {
            let Some(set) = self.set.get(vm) else { continue };
            let Some(first) = first_of.insert(*set, vm).filter(|first| *first != vm) else {
                continue;
            };
            let chain = self.chain(first, vm);
            // One rule that says so itself is told as such.
            if chain.len() > 1 {
                return Some(Contradiction::ChainedAndApart {
                    chain: quoted(&chain),
                    apart: apart.rule.to_owned(),
                    first: first.clone(),
                    second: vm.clone(),
                });
            }
        }
        None
    }

    /// The fewest rules that lead from `first` to `last`.
    fn chain(&self, first: &VmId, last: &VmId) -> Vec<&'a str> {
        let goal: BTreeSet<usize> = self.naming.get(last).into_iter().flatten().copied().collect();
        let begin = self.naming.get(first).into_iter().flatten();
        let mut from: BTreeMap<usize, Option<usize>> = begin.map(|&rule| (rule, None)).collect();
        let mut queue: VecDeque<usize> = from.keys().copied().collect();
        while let Some(rule) = queue.pop_front() {
            if goal.contains(&rule) {
                let mut way = Vec::new();
                let mut at = Some(rule);
                while let Some(rule) = at {
                    way.push(self.rules[rule].rule);
                    at = from.get(&rule).copied().flatten();
                }
                way.reverse();
                return way;
            }
            for vm in &self.rules[rule].vms {
                for &next in self.naming.get(vm).into_iter().flatten() {
                    if let std::collections::btree_map::Entry::Vacant(new) = from.entry(next) {
                        new.insert(Some(rule));
                        queue.push_back(next);
                    }
                }
            }
        }
        Vec::new()
    }

    /// Sets whose guests have more memory than any host, reserve and all.
    fn too_big(&self, snapshot: &Snapshot) -> Vec<Contradiction> {
        let largest = snapshot.hosts.iter().rev().max_by_key(|(_, host)| host.memory);
        let Some((host, limit)) = largest.map(|(id, host)| (id, host.memory)) else {
            return Vec::new();
        };
        let mut sums: BTreeMap<usize, (Bytes, usize)> = BTreeMap::new();
        for domain in snapshot.domains.iter().filter(|domain| domain.state.lives_here()) {
            if let Some(set) = self.set.get(&domain.vm) {
                let (memory, vms) = sums.entry(*set).or_default();
                *memory += domain.memory;
                *vms += 1;
            }
        }
        let over = sums.into_iter().filter(|(_, (memory, _))| *memory > limit);
        over.map(|(set, (memory, vms))| {
            let of_set = |rule: &&Group<'_>| {
                rule.vms.first().is_some_and(|vm| self.set.get(vm) == Some(&set))
            };
            let rules: Vec<&str> = self.rules.iter().filter(of_set).map(|rule| rule.rule).collect();
            Contradiction::TogetherTooBig {
                rules: quoted(&rules),
                vms,
                memory,
                host: host.clone(),
                limit,
            }
        })
        .collect()
    }
}

/// The set of the rule `at`.
fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

/// The names in quotes, separated by commas.
fn quoted(names: &[&str]) -> String {
    let some: Vec<String> = names.iter().take(NAMED_MAX).map(|name| format!("{name:?}")).collect();
    let more = names.len().saturating_sub(NAMED_MAX);
    if more == 0 { some.join(", ") } else { format!("{} and {more} more", some.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::{Domain, DomainState, Host, HostState, Needs, Offers},
        ids::HostId,
        units::{MilliCores, Timestamp},
    };

    fn vm(number: usize) -> VmId {
        VmId::new(&format!("v{number}")).unwrap()
    }

    /// Two hosts of 10 GiB and `count` VMs of 1 GiB.
    fn snapshot(count: usize) -> Snapshot {
        let at = Timestamp::from_micros(1);
        let host = Host {
            state: HostState::Up,
            observed_at: at,
            cpu: MilliCores::cores(10),
            memory: Bytes::mib(10 * 1024),
            cpu_used: None,
            migration_bandwidth: None,
            qemu: None,
            tags: BTreeSet::new(),
            offers: Offers::default(),
        };
        let hosts = ["a", "b"].map(|name| (HostId::new(name).unwrap(), host.clone()));
        let domain = |number| Domain {
            vm: vm(number),
            uuid: format!("uuid-{number}"),
            host: HostId::new("a").unwrap(),
            state: DomainState::Running,
            observed_at: at,
            vcpus: 1,
            memory: Bytes::mib(1024),
            resident: None,
            cpu_used: None,
            dirty: Vec::new(),
            job: None,
            tags: BTreeSet::new(),
            needs: Needs::default(),
        };
        let domains = (0..count).map(domain).collect();
        Snapshot { taken_at: at, hosts: hosts.into(), domains, orders: Vec::new() }
    }

    type Named = (&'static str, &'static [usize]);

    fn told(together: &[Named], apart: &[Named], vms: usize) -> Vec<String> {
        let names: Vec<VmId> = (0..20).map(vm).collect();
        let group = |(rule, vms): &Named| Group {
            rule,
            vms: vms.iter().map(|&number| &names[number]).collect(),
        };
        let together: Vec<_> = together.iter().map(group).collect();
        let apart: Vec<_> = apart.iter().map(group).collect();
        find(&together, &apart, &snapshot(vms)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_chain_of_affinities_is_held_against_those_to_keep_apart() {
        let chain: [Named; 4] =
            [("ab", &[0, 1]), ("bc", &[1, 2]), ("cd", &[2, 3]), ("xy", &[8, 9])];
        let said = told(&chain, &[("apart", &[0, 3, 8])], 4);
        assert_eq!(
            said,
            ["rules \"ab\", \"bc\", \"cd\" and \"apart\" contradict each other: a chain of the \
              first keeps v0 and v3 together, the last apart (hint: drop one of them)"]
        );
        // What one rule says is not a chain, and neither are two sets.
        assert!(told(&[("ab", &[0, 1])], &[("apart", &[0, 1])], 4).is_empty());
        assert!(told(&chain, &[("apart", &[3, 8])], 4).is_empty());
    }

    #[test]
    fn a_set_larger_than_every_host_is_named_with_both_sizes() {
        let halves: [Named; 2] = [("low", &[0, 1, 2, 3, 4, 5]), ("high", &[5, 6, 7, 8, 9, 10])];
        let said = told(&halves, &[], 11);
        assert_eq!(
            said,
            [
                "rules \"low\", \"high\" keep 11 domains of 11.0 GiB on one host, the largest, a, has \
              10.0 GiB (hint: drop one of the rules or take domains out of them)"
            ]
        );
        assert!(told(&halves, &[], 10).is_empty());
    }

    #[test]
    fn a_hundred_thousand_rules_end_and_most_are_not_named() {
        let names: Vec<VmId> = (0..100_001).map(vm).collect();
        let rule: Vec<String> = (0..100_000).map(|number| format!("r{number}")).collect();
        let together: Vec<_> = rule
            .iter()
            .enumerate()
            .map(|(number, rule)| Group { rule, vms: vec![&names[number], &names[number + 1]] })
            .collect();
        let apart = [Group { rule: "apart", vms: vec![&names[0], &names[100_000]] }];
        let found = find(&together, &apart, &snapshot(3));
        assert!(
            found[0].to_string().contains("\"r7\" and 99992 more and \"apart\""),
            "{}",
            found[0]
        );
    }
}
