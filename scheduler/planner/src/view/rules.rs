//! The policy's rules by index: groups of VMs that are counted by place, hosts that VMs are kept
//! off, budgets of disruption.
//!
//! Built once for a snapshot; whoever asks about a VM finds its rules in the VM itself. Judges
//! nothing: who is where is the [`Occupancy`](super::Occupancy)'s.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use whimbrel_core::{
    cluster::{Domain, DomainState, Lack, Needs, Offers, Snapshot},
    ids::VmId,
    policy::{Per, Policy, Roster, Rule, RuleKind, places},
};

use super::{HostView, View, VmView, budget::BudgetView};
use crate::scope::BROKEN_RULE_SECONDS;

/// VMs that one rule counts by place.
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) vms: Vec<usize>,
    /// Hosts that one of them is arriving on by a migration outside this plan.
    pub(crate) arriving: Vec<usize>,
    /// Of VMs kept apart: the most in one place. Of VMs kept together: the most places.
    pub(crate) most: u32,
    /// What one breach costs, in guest-seconds.
    pub(crate) weight: f64,
    /// Whether it may never be broken anew.
    pub(crate) hard: bool,
    /// Whether it holds at every moment, beside the end.
    pub(crate) continuous: bool,
    /// The place of each host; each host is its own where absent.
    places: Option<Rc<Vec<usize>>>,
    /// Hosts that count, rising; all where absent.
    counted: Option<Rc<[usize]>>,
}

impl Group<'_> {
    /// Whether every host is a place of its own.
    pub(crate) fn by_host(&self) -> bool {
        self.places.is_none()
    }

    /// The place that `host` is in, by the number of its first host; `None` where it does not
    /// count.
    pub(crate) fn place(&self, host: usize) -> Option<usize> {
        if self.counted.as_ref().is_some_and(|hosts| hosts.binary_search(&host).is_err()) {
            return None;
        }
        Some(self.places.as_ref().and_then(|places| places.get(host).copied()).unwrap_or(host))
    }
}

/// A rule that keeps its VMs off some hosts.
pub(crate) struct Placing<'a> {
    pub(crate) name: &'a str,
    hosts: Rc<[usize]>,
    /// Only there; otherwise anywhere but there.
    only: bool,
    continuous: bool,
    /// What being where it should not costs, if the rule is a preference.
    soft: Option<f64>,
}

impl Placing<'_> {
    fn keeps_off(&self, host: usize) -> bool {
        self.hosts.binary_search(&host).is_ok() != self.only
    }
}

/// Rules about single VMs and hosts, beside what hosts lack.
pub(crate) struct Placings<'a> {
    all: Vec<Placing<'a>>,
    /// Of VMs with many such rules: the hosts that some hard one keeps them off, by the rules.
    merged: BTreeMap<Vec<usize>, Vec<bool>>,
    /// What hosts of each class lack for VMs of each class.
    lacks: Vec<Vec<Option<Lack>>>,
}

/// Rules of one VM beyond which the hosts that they leave are computed beforehand.
const FEW: usize = 8;

impl<'a> Placings<'a> {
    pub(super) fn none() -> Self {
        Self { all: Vec::new(), merged: BTreeMap::new(), lacks: Vec::new() }
    }

    fn hard(&self, vm: &VmView<'_>, host: usize) -> Option<&Placing<'a>> {
        if vm.placed_by.len() > FEW
            && let Some(off) = self.merged.get(&vm.placed_by)
            && off.get(host) == Some(&false)
        {
            return None;
        }
        let rules = vm.placed_by.iter().filter_map(|&rule| self.all.get(rule));
        rules.into_iter().find(|rule| rule.soft.is_none() && rule.keeps_off(host))
    }

    fn lack(&self, vm: &VmView<'_>, host: &HostView<'_>) -> Option<Lack> {
        *self.lacks.get(vm.needs_class)?.get(host.offers_class)?
    }
}

impl<'a> View<'a> {
    /// The rule, or what the host lacks, that keeps `vm` off `host` for good, if any.
    pub(crate) fn ban(&self, vm: usize, host: usize) -> Option<&'a str> {
        let one = &self.vms[vm];
        let rule = self.placings.hard(one, host).map(|rule| rule.name);
        rule.or_else(|| self.placings.lack(one, &self.hosts[host]).map(Lack::name))
    }

    /// Whether `vm` may be on `host` for a while, as far as single VMs and hosts are concerned.
    pub(crate) fn may_pass(&self, vm: usize, host: usize) -> bool {
        let one = &self.vms[vm];
        let off = |rule: &Placing<'_>| rule.continuous && rule.keeps_off(host);
        self.placings.lack(one, &self.hosts[host]).is_none()
            && (self.placings.hard(one, host).is_none()
                || !one.placed_by.iter().any(|&rule| off(&self.placings.all[rule])))
    }

    /// What it costs by preference that `vm` is on `host`, in guest-seconds.
    pub(crate) fn unwelcome(&self, vm: usize, host: usize) -> f64 {
        let one = &self.vms[vm];
        if !one.wishes {
            return 0.0;
        }
        let rules = one.placed_by.iter().filter_map(|&rule| self.placings.all.get(rule));
        rules.filter(|rule| rule.keeps_off(host)).filter_map(|rule| rule.soft).sum()
    }

    /// A preference that `vm` on `host` does not meet, as far as single VMs and hosts are concerned.
    pub(crate) fn dislike(&self, vm: usize, host: usize) -> Option<&'a str> {
        let rules = self.vms[vm].placed_by.iter().map(|&rule| &self.placings.all[rule]);
        let mut unmet = rules.filter(|rule| rule.soft.is_some() && rule.keeps_off(host));
        unmet.next().map(|rule| rule.name)
    }

    /// VMs of all groups, added up: what rules among VMs are as rows of a program.
    pub(crate) fn memberships(&self) -> usize {
        let groups = [&self.apart, &self.together, &self.capped, &self.alone];
        groups.into_iter().flatten().map(|group| group.vms.len()).sum()
    }

    /// Numbers the rules of the policy.
    pub(super) fn read_rules(&mut self, snapshot: &'a Snapshot) {
        let roster = Roster::new(self.policy, snapshot);
        let index: BTreeMap<&VmId, usize> =
            self.vms.iter().map(|vm| &vm.domain.vm).zip(0..).collect();
        let mut reader = Reader {
            here: roster.vms.iter().map(|vm| index.get(vm).copied()).collect(),
            arriving: roster.vms.iter().map(|vm| self.arriving.get(vm).copied()).collect(),
            places: BTreeMap::new(),
            snapshot,
        };
        let policy: &'a Policy = self.policy;
        for (rule, meant) in policy.rules.iter().zip(&roster.meant) {
            let vms: Vec<usize> = meant.vms.iter().filter_map(|&vm| reader.here[vm]).collect();
            for &vm in &vms {
                self.vms[vm].ruled = true;
            }
            match &rule.kind {
                RuleKind::Pin | RuleKind::Exclude => self.place_by(rule, &meant.hosts, &vms),
                RuleKind::Disruption(budget) => {
                    for &vm in &vms {
                        self.vms[vm].budgets.push(self.budgets.len());
                    }
                    self.budgets.push(BudgetView { name: rule.name(), budget });
                }
                _ => {
                    let group = reader.group(rule, vms, meant);
                    self.add(rule, group);
                }
            }
        }
        self.merge_placings();
        self.compare_facts();
    }

    fn place_by(&mut self, rule: &'a Rule, hosts: &Rc<[usize]>, vms: &[usize]) {
        for &vm in vms {
            self.vms[vm].placed_by.push(self.placings.all.len());
            self.vms[vm].wishes |= !rule.is_hard();
        }
        self.placings.all.push(Placing {
            name: rule.name(),
            hosts: Rc::clone(hosts),
            only: rule.kind == RuleKind::Pin,
            continuous: rule.is_continuous(),
            soft: rule.soft_seconds.map(f64::from),
        });
    }

    fn add(&mut self, rule: &'a Rule, group: Group<'a>) {
        let present = group.vms.len() + group.arriving.len();
        let (groups, of): (_, Own<'a>) = match &rule.kind {
            RuleKind::AntiAffinity { .. } if present > group.most as usize => {
                (&mut self.apart, |vm| &mut vm.apart)
            }
            RuleKind::Affinity { per: Per::Host } if group.hard && !group.continuous => {
                if present < 2 {
                    return;
                }
                (&mut self.together, |vm| &mut vm.together)
            }
            // At every moment a VM on its way is in two places.
            RuleKind::Affinity { .. } | RuleKind::HostsMax { .. }
                if present * (1 + usize::from(group.continuous)) > group.most as usize =>
            {
                (&mut self.capped, |vm| &mut vm.capped)
            }
            RuleKind::Exclusive if present > 0 => (&mut self.alone, |vm| &mut vm.alone),
            _ => return,
        };
        for &vm in &group.vms {
            of(&mut self.vms[vm]).push(groups.len());
        }
        groups.push(group);
    }

    /// Which hosts the rules of VMs with many of them leave.
    fn merge_placings(&mut self) {
        let many = self.vms.iter().map(|vm| &vm.placed_by).filter(|rules| rules.len() > FEW);
        let many: BTreeSet<&Vec<usize>> = many.collect();
        let hosts = self.hosts.len();
        let merged = many.into_iter().map(|rules| {
            let mut off = vec![false; hosts];
            let hard = rules.iter().map(|&rule| &self.placings.all[rule]);
            for rule in hard.filter(|rule| rule.soft.is_none()) {
                if rule.only {
                    let kept = rule.hosts.iter().filter(|&&host| !off[host]).copied();
                    let kept: Vec<usize> = kept.collect();
                    off.fill(true);
                    for host in kept {
                        off[host] = false;
                    }
                } else {
                    rule.hosts.iter().for_each(|&host| off[host] = true);
                }
            }
            (rules.clone(), off)
        });
        self.placings.merged = merged.collect();
    }

    /// What hosts lack for VMs: hosts that offer the same and VMs that need the same are compared
    /// once.
    fn compare_facts(&mut self) {
        let mut offers: BTreeMap<&Offers, usize> = BTreeMap::new();
        for host in &mut self.hosts {
            let next = offers.len();
            host.offers_class = *offers.entry(&host.host.offers).or_insert(next);
        }
        let mut needs: BTreeMap<&Needs, usize> = BTreeMap::new();
        for vm in &mut self.vms {
            let next = needs.len();
            vm.needs_class = *needs.entry(&vm.domain.needs).or_insert(next);
        }
        let by_class = |all: &BTreeMap<&'a Offers, usize>| {
            let mut classes: Vec<_> = all.iter().map(|(one, class)| (*class, *one)).collect();
            classes.sort_unstable_by_key(|one| one.0);
            classes
        };
        let offers = by_class(&offers);
        let mut lacks = vec![Vec::new(); needs.len()];
        for (one, class) in needs {
            lacks[class] = offers.iter().map(|(_, offers)| offers.lacks(one)).collect();
        }
        self.placings.lacks = lacks;
    }
}

/// A VM's list of one kind of groups.
type Own<'a> = for<'b> fn(&'b mut VmView<'a>) -> &'b mut Vec<usize>;

/// Turns members by the roster's numbers into the view's.
struct Reader<'a> {
    here: Vec<Option<usize>>,
    /// Where each is arriving by a migration outside this plan.
    arriving: Vec<Option<usize>>,
    /// The place of each host, by key of a tag.
    places: BTreeMap<&'a str, Rc<Vec<usize>>>,
    snapshot: &'a Snapshot,
}

impl<'a> Reader<'a> {
    fn group(
        &mut self,
        rule: &'a Rule,
        vms: Vec<usize>,
        meant: &whimbrel_core::policy::Meant,
    ) -> Group<'a> {
        let per = match &rule.kind {
            RuleKind::AntiAffinity { per, .. } | RuleKind::Affinity { per } => per,
            _ => &Per::Host,
        };
        let places = match per {
            Per::Host => None,
            Per::Tag(key) => {
                let snapshot = self.snapshot;
                let known = self.places.entry(key.as_str());
                Some(Rc::clone(known.or_insert_with(|| Rc::new(places(per, snapshot)))))
            }
        };
        let (most, counted) = match rule.kind {
            RuleKind::AntiAffinity { most, .. } => (most, None),
            RuleKind::HostsMax { most } => (most, Some(Rc::clone(&meant.hosts))),
            _ => (1, None),
        };
        Group {
            name: rule.name(),
            vms,
            arriving: meant.vms.iter().filter_map(|&vm| self.arriving[vm]).collect(),
            most,
            weight: rule.soft_seconds.map_or(BROKEN_RULE_SECONDS, f64::from),
            hard: rule.is_hard(),
            continuous: rule.is_continuous(),
            places,
            counted,
        }
    }
}

/// Whether a sighting is of a migration outside this plan.
pub(super) fn passes(domain: &Domain) -> bool {
    matches!(domain.state, DomainState::Incoming | DomainState::Outgoing)
}
