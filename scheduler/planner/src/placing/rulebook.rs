//! The policy's rules by number, with how many of each rule's machines are on each host.
//!
//! This is the one place of `placing` that knows what a kind of rule means. Judges one machine and
//! one host at a time, in the time of a few look-ups.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    ids::{HostId, VmId},
    policy::{Policy, Rule},
};

/// A rule's number: its position in the policy.
pub(super) type Law = usize;

/// What a rule asks of a host.
#[derive(Debug, Clone)]
enum Meaning {
    /// None of the machines is there yet.
    Apart,
    /// The machines that have a host are there.
    Together,
    /// It is one of these.
    Only(BTreeSet<usize>),
    /// It is none of these.
    Never(BTreeSet<usize>),
}

/// All rules, and where their machines are.
#[derive(Debug, Clone)]
pub(super) struct Rulebook {
    names: Vec<String>,
    meanings: Vec<Meaning>,
    by_vm: BTreeMap<VmId, Vec<Law>>,
    /// Machines of each rule on each host, none of them 0.
    counts: Vec<BTreeMap<usize, usize>>,
    /// Machines of each rule that have a host.
    placed: Vec<usize>,
}

/// Machines of rules that came to hosts or left them since the [`Rulebook`] was brought up to date.
#[derive(Debug, Clone, Default)]
pub(super) struct Shift {
    by_host: BTreeMap<(Law, usize), isize>,
    in_all: BTreeMap<Law, isize>,
}

impl Rulebook {
    /// Of `policy`, with nobody anywhere.
    pub(super) fn new(policy: &Policy, hosts: &BTreeMap<HostId, usize>) -> Self {
        let numbered = |named: &[HostId]| -> BTreeSet<usize> {
            named.iter().filter_map(|host| hosts.get(host).copied()).collect()
        };
        let mut by_vm: BTreeMap<VmId, Vec<Law>> = BTreeMap::new();
        for (law, rule) in policy.rules.iter().enumerate() {
            let named: BTreeSet<&VmId> = rule.vms().iter().collect();
            for vm in named {
                by_vm.entry(vm.clone()).or_default().push(law);
            }
        }
        let meaning = |rule: &Rule| match rule {
            Rule::AntiAffinity { .. } => Meaning::Apart,
            Rule::Affinity { .. } => Meaning::Together,
            Rule::Pin { hosts, .. } => Meaning::Only(numbered(hosts)),
            Rule::Exclude { hosts, .. } => Meaning::Never(numbered(hosts)),
        };
        Self {
            names: policy.rules.iter().map(|rule| rule.name().to_owned()).collect(),
            meanings: policy.rules.iter().map(meaning).collect(),
            by_vm,
            counts: vec![BTreeMap::new(); policy.rules.len()],
            placed: vec![0; policy.rules.len()],
        }
    }

    /// Rules that name `vm`.
    pub(super) fn of(&self, vm: &VmId) -> &[Law] {
        self.by_vm.get(vm).map_or(&[], Vec::as_slice)
    }

    /// The rule's name in the policy.
    pub(super) fn name(&self, law: Law) -> &str {
        self.names.get(law).map_or("", String::as_str)
    }

    /// Whether the rule keeps its machines on one host.
    pub(super) fn keeps_together(&self, law: Law) -> bool {
        matches!(self.meanings.get(law), Some(Meaning::Together))
    }

    /// The first of `laws` that keeps a machine that it names off `host`.
    pub(super) fn against(&self, shift: &Shift, laws: &[Law], host: usize) -> Option<Law> {
        laws.iter().copied().find(|&law| match self.meanings.get(law) {
            None => false,
            Some(Meaning::Only(hosts)) => !hosts.contains(&host),
            Some(Meaning::Never(hosts)) => hosts.contains(&host),
            Some(Meaning::Apart) => self.there(shift, law, host) > 0,
            Some(Meaning::Together) => {
                self.there(shift, law, host) == 0 && self.anywhere(shift, law)
            }
        })
    }

    fn there(&self, shift: &Shift, law: Law, host: usize) -> isize {
        let now = self.counts.get(law).and_then(|hosts| hosts.get(&host)).copied().unwrap_or(0);
        let change = shift.by_host.get(&(law, host)).copied().unwrap_or(0);
        now.cast_signed().saturating_add(change)
    }

    fn anywhere(&self, shift: &Shift, law: Law) -> bool {
        let now = self.placed.get(law).copied().unwrap_or(0);
        let change = shift.in_all.get(&law).copied().unwrap_or(0);
        now.cast_signed().saturating_add(change) > 0
    }

    /// A machine with these rules has come to `host`.
    pub(super) fn arrive(&mut self, laws: &[Law], host: usize) {
        for &law in laws {
            if let (Some(hosts), Some(placed)) =
                (self.counts.get_mut(law), self.placed.get_mut(law))
            {
                *hosts.entry(host).or_default() += 1;
                *placed += 1;
            }
        }
    }

    /// A machine with these rules has left `host`.
    pub(super) fn leave(&mut self, laws: &[Law], host: usize) {
        for &law in laws {
            let Some(hosts) = self.counts.get_mut(law) else { continue };
            let Some(count) = hosts.get_mut(&host) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                hosts.remove(&host);
            }
            if let Some(placed) = self.placed.get_mut(law) {
                *placed = placed.saturating_sub(1);
            }
        }
    }
}

impl Shift {
    /// A machine with these rules came to `host` (`by` 1) or left it (`by` -1).
    pub(super) fn note(&mut self, laws: &[Law], host: usize, by: isize) {
        for &law in laws {
            *self.by_host.entry((law, host)).or_default() += by;
            *self.in_all.entry(law).or_default() += by;
        }
    }
}
