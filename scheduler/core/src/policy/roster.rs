//! Who each rule of a policy means on a given cluster.
//!
//! Domains and hosts are numbered in the order of their names. Expressions that stand in several
//! rules are answered once.
//!
//! Never here: whether anybody is where it may be.

use std::{collections::BTreeMap, rc::Rc};

use super::{Per, Policy, Rule, RuleKind, Tagged};
use crate::{
    cluster::Snapshot,
    ids::{HostId, VmId},
};

/// Domains and hosts by number, and who the rules mean.
#[derive(Debug, Clone)]
pub struct Roster<'a> {
    /// Every domain that is sighted anywhere or that a rule names, in the order of names.
    pub vms: Vec<&'a VmId>,
    /// Every host, in the order of names.
    pub hosts: Vec<&'a HostId>,
    /// Who each rule means, in the order of the policy's rules.
    pub meant: Vec<Meant>,
}

/// Who one rule means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// Numbers of its domains, rising.
    pub vms: Rc<[usize]>,
    /// Numbers of its hosts, rising: those that it selects, or all where it may select and does
    /// not.
    pub hosts: Rc<[usize]>,
}

/// Carriers of each tag, by number.
type Carriers<'a> = BTreeMap<&'a str, Vec<usize>>;

impl<'a> Roster<'a> {
    /// For the rules of `policy` on `snapshot`.
    pub fn new(policy: &'a Policy, snapshot: &'a Snapshot) -> Self {
        let named = policy.rules.iter().flat_map(|rule| &rule.vms);
        let mut vm_index: BTreeMap<&VmId, usize> = snapshot
            .domains
            .iter()
            .map(|domain| &domain.vm)
            .chain(named)
            .map(|vm| (vm, 0))
            .collect();
        vm_index.values_mut().zip(0..).for_each(|(number, next)| *number = next);
        let host_index: BTreeMap<&HostId, usize> = snapshot.hosts.keys().zip(0..).collect();
        let mut vm_tags = Carriers::new();
        for domain in &snapshot.domains {
            for tag in &domain.tags {
                vm_tags.entry(tag).or_default().extend(vm_index.get(&domain.vm));
            }
        }
        let mut host_tags = Carriers::new();
        for (host, number) in snapshot.hosts.values().zip(0..) {
            for tag in &host.tags {
                host_tags.entry(tag).or_default().push(number);
            }
        }
        for carriers in vm_tags.values_mut() {
            carriers.sort_unstable();
            carriers.dedup();
        }
        let mut sighted = vec![false; vm_index.len()];
        for number in snapshot.domains.iter().filter_map(|domain| vm_index.get(&domain.vm)) {
            sighted[*number] = true;
        }
        let mut vms = Choice::new(&vm_index, vm_tags, sighted);
        let mut hosts = Choice::new(&host_index, host_tags, vec![true; host_index.len()]);
        let all: Rc<[usize]> = (0..host_index.len()).collect();
        let meant = policy.rules.iter().map(|rule| Meant {
            vms: vms.of(&rule.vms, rule.vms_tagged.as_ref()),
            hosts: if everywhere(rule) {
                Rc::clone(&all)
            } else {
                hosts.of(&rule.hosts, rule.hosts_tagged.as_ref())
            },
        });
        let meant = meant.collect();
        Self { meant, vms: vm_index.into_keys().collect(), hosts: host_index.into_keys().collect() }
    }

    /// The number of `vm`.
    pub fn vm(&self, vm: &VmId) -> Option<usize> {
        self.vms.binary_search(&vm).ok()
    }

    /// The number of `host`.
    pub fn host(&self, host: &HostId) -> Option<usize> {
        self.hosts.binary_search(&host).ok()
    }
}

/// The place of each host of `snapshot` under `per`, by number: the first host of each place stands
/// for it.
pub fn places(per: &Per, snapshot: &Snapshot) -> Vec<usize> {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    snapshot
        .hosts
        .values()
        .zip(0..)
        .map(|(host, number)| {
            let named = per.place_of(host.tags.iter().map(String::as_str));
            named.map_or(number, |name| *first.entry(name).or_insert(number))
        })
        .collect()
}

fn everywhere(rule: &Rule) -> bool {
    matches!(rule.kind, RuleKind::HostsMax { .. })
        && rule.hosts.is_empty()
        && rule.hosts_tagged.is_none()
}

/// Chooses by names and tags.
struct Choice<'a, 'b, Id> {
    index: &'b BTreeMap<&'a Id, usize>,
    carriers: Carriers<'a>,
    /// Who is there: expressions mean nobody else.
    there: Vec<bool>,
    known: BTreeMap<Tagged, Rc<[usize]>>,
}

impl<'a, 'b, Id: Ord> Choice<'a, 'b, Id> {
    fn new(index: &'b BTreeMap<&'a Id, usize>, carriers: Carriers<'a>, there: Vec<bool>) -> Self {
        Self { index, carriers, there, known: BTreeMap::new() }
    }

    fn of(&mut self, names: &[Id], tagged: Option<&Tagged>) -> Rc<[usize]> {
        let by_tag = tagged.map(|tagged| {
            if let Some(known) = self.known.get(tagged) {
                return Rc::clone(known);
            }
            let found = tagged.among(&self.carriers, self.there.len()).into_iter();
            let found: Rc<[usize]> = found.filter(|one| self.there[*one]).collect();
            self.known.insert(tagged.clone(), Rc::clone(&found));
            found
        });
        if names.is_empty() {
            return by_tag.unwrap_or_default();
        }
        let mut all: Vec<usize> =
            names.iter().filter_map(|name| self.index.get(name).copied()).collect();
        all.extend(by_tag.iter().flat_map(|found| found.iter()));
        all.sort_unstable();
        all.dedup();
        all.into()
    }
}
