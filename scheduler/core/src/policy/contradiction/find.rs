//! The search for contradictions: by domain, so that its time grows with how often rules name
//! domains and not with pairs of rules.
//!
//! Preferences contradict nothing. Where so many rules meet in the same domains that not every pair
//! can be looked at, the search ends early: what it has not found the planner finds out.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use super::{Contradiction, chains};
use crate::{
    cluster::Snapshot,
    policy::{Per, Policy, Roster, Rule, RuleKind, places},
};

/// Domains of all rules, added up, that are accepted.
const NAMED_MAX: usize = 10_000_000;

/// Contradictions after which no more are looked for.
const FOUND_MAX: usize = 50;

/// Meetings of two rules in one domain that are looked at.
const MEETINGS_MAX: usize = 20_000_000;

impl Policy {
    /// Reasons for which the rules cannot hold on this cluster, each naming its culprits; at most
    /// some dozens.
    pub fn contradictions(&self, snapshot: &Snapshot) -> Vec<Contradiction> {
        let roster = Roster::new(self, snapshot);
        let named: usize = roster.meant.iter().map(|meant| meant.vms.len()).sum();
        if named > NAMED_MAX {
            return vec![Contradiction::TooMuch { named, limit: NAMED_MAX }];
        }
        let mut of_vm = vec![Vec::new(); roster.vms.len()];
        for (index, meant) in roster.meant.iter().enumerate() {
            for &vm in meant.vms.iter().filter(|_| self.rules[index].is_hard()) {
                of_vm[vm].push(index);
            }
        }
        let mut finder = Finder {
            policy: self,
            snapshot,
            roster: &roster,
            of_vm,
            places: BTreeMap::new(),
            meetings: 0,
            found: Vec::new(),
        };
        finder.all();
        finder.chained();
        finder.found.truncate(FOUND_MAX);
        finder.found
    }
}

struct Finder<'a> {
    policy: &'a Policy,
    snapshot: &'a Snapshot,
    roster: &'a Roster<'a>,
    /// Hard rules of each domain.
    of_vm: Vec<Vec<usize>>,
    /// Place of each host, by key of a tag.
    places: BTreeMap<String, Rc<Vec<usize>>>,
    meetings: usize,
    found: Vec<Contradiction>,
}

impl<'a> Finder<'a> {
    fn all(&mut self) {
        for index in 0..self.policy.rules.len() {
            self.alone(index);
        }
        self.no_host_left();
        for (index, rule) in self.policy.rules.iter().enumerate() {
            if self.found.len() >= FOUND_MAX || self.meetings > MEETINGS_MAX {
                return;
            }
            match &rule.kind {
                _ if !rule.is_hard() => {}
                RuleKind::Affinity { per } => {
                    self.against_others(index, per);
                    if *per == Per::Host {
                        self.together_nowhere(index);
                    }
                }
                RuleKind::AntiAffinity { per, most } => self.apart_on_too_few(index, per, *most),
                _ => {}
            }
        }
    }

    /// What only several affinity rules together contradict.
    fn chained(&mut self) {
        let (mut together, mut apart) = (Vec::new(), Vec::new());
        for (rule, meant) in self.policy.rules.iter().zip(&self.roster.meant) {
            let group = || chains::Group {
                rule: rule.name.as_str(),
                vms: meant.vms.iter().map(|&vm| self.roster.vms[vm]).collect(),
            };
            match &rule.kind {
                _ if !rule.is_hard() => {}
                RuleKind::Affinity { per: Per::Host } => together.push(group()),
                RuleKind::AntiAffinity { per: Per::Host, most: 1 } => apart.push(group()),
                _ => {}
            }
        }
        self.found.extend(chains::find(&together, &apart, self.snapshot));
    }

    fn name(&self, index: usize) -> String {
        self.policy.rules[index].name.clone()
    }

    /// The places of hosts under `per`.
    fn places(&mut self, per: &Per) -> Rc<Vec<usize>> {
        let snapshot = self.snapshot;
        let known = self.places.entry(per.to_string());
        Rc::clone(known.or_insert_with(|| Rc::new(places(per, snapshot))))
    }

    /// What is wrong with one rule whatever the others say.
    fn alone(&mut self, index: usize) {
        if self.found.len() >= FOUND_MAX {
            return;
        }
        let (policy, snapshot) = (self.policy, self.snapshot);
        let rule: &Rule = &policy.rules[index];
        if let Some(host) = rule.hosts.iter().find(|host| !snapshot.hosts.contains_key(host)) {
            let known = snapshot.hosts.keys().map(crate::ids::HostId::as_str);
            let known = known.collect::<Vec<_>>().join(", ");
            let (rule, host) = (rule.name.clone(), host.clone());
            self.found.push(Contradiction::UnknownHost { rule, host, known });
            return;
        }
        if let Some(tagged) = &rule.hosts_tagged
            && self.roster.meant[index].hosts.is_empty()
        {
            self.found.push(Contradiction::NoHostTagged {
                rule: rule.name.clone(),
                tagged: tagged.to_string(),
                known: self.tags_of_hosts(),
            });
        }
        let (RuleKind::AntiAffinity { per, .. } | RuleKind::Affinity { per }) = &rule.kind else {
            return;
        };
        let tags = |host: &'a crate::cluster::Host| host.tags.iter().map(String::as_str);
        if let Per::Tag(key) = per
            && !snapshot.hosts.values().any(|host| per.place_of(tags(host)).is_some())
        {
            let (rule, key) = (rule.name.clone(), key.clone());
            self.found.push(Contradiction::NoPlaces { rule, key, known: self.tags_of_hosts() });
            return;
        }
        if let RuleKind::AntiAffinity { per, most } = &rule.kind
            && rule.is_hard()
        {
            let count = self.places(per).iter().collect::<BTreeSet<_>>().len();
            let vms = self.roster.meant[index].vms.len();
            if vms > count.saturating_mul(*most as usize) {
                let (rule, places) = (rule.name.clone(), counted(count, per));
                self.found.push(Contradiction::TooFewHosts { rule, vms, most: *most, places });
            }
        }
    }

    fn tags_of_hosts(&self) -> String {
        let tags: BTreeSet<&str> =
            self.snapshot.hosts.values().flat_map(|host| &host.tags).map(String::as_str).collect();
        match tags.len() {
            0 => "none yet".to_owned(),
            _ => tags.into_iter().take(50).collect::<Vec<_>>().join(", "),
        }
    }

    /// Whether `rule` leaves `host` to its domains.
    fn leaves(&self, rule: usize, host: usize) -> bool {
        let meant = &self.roster.meant[rule];
        let named = meant.hosts.binary_search(&host).is_ok();
        named == matches!(self.policy.rules[rule].kind, RuleKind::Pin)
    }

    /// A smallest set of `rules` that leaves no host, if all of them together do.
    fn culprits(&self, rules: &[usize]) -> Option<Vec<usize>> {
        let hosts = self.roster.hosts.len();
        // Walks the rules until no host is left; the last one is a culprit, and so on with it.
        let mut culprits: Vec<usize> = Vec::new();
        let mut upto = rules.len();
        loop {
            let mut open: Vec<usize> = (0..hosts)
                .filter(|&host| culprits.iter().all(|&rule| self.leaves(rule, host)))
                .collect();
            if open.is_empty() {
                culprits.sort_unstable();
                return (hosts > 0).then_some(culprits);
            }
            let last = rules[..upto].iter().position(|&rule| {
                open.retain(|&host| self.leaves(rule, host));
                open.is_empty()
            })?;
            culprits.push(rules[last]);
            upto = last;
        }
    }

    fn quoted(&self, rules: &[usize]) -> String {
        let quoted: Vec<String> =
            rules.iter().map(|&rule| format!("{:?}", self.policy.rules[rule].name)).collect();
        quoted.join(", ")
    }

    /// The rules of `vm` that place it.
    fn placing(&self, vm: usize) -> Vec<usize> {
        let rules = self.of_vm[vm].iter().copied();
        rules.filter(|&rule| self.policy.rules[rule].places()).collect()
    }

    /// Rules that leave some domain no host, each set of them once.
    fn no_host_left(&mut self) {
        let mut seen: BTreeSet<Vec<usize>> = BTreeSet::new();
        for vm in 0..self.of_vm.len() {
            let rules = self.placing(vm);
            if rules.len() < 2 || seen.contains(&rules) || self.found.len() >= FOUND_MAX {
                continue;
            }
            let culprits = self.culprits(&rules);
            seen.insert(rules);
            let vm = self.roster.vms[vm].clone();
            match culprits.as_deref() {
                Some([first, second]) => {
                    let (first, second) = (self.name(*first), self.name(*second));
                    self.found.push(Contradiction::NoHostLeft { first, second, vm });
                }
                Some(many) if many.len() > 2 => {
                    let rules = self.quoted(many);
                    self.found.push(Contradiction::NoHostLeftByAll { rules, vm });
                }
                _ => {}
            }
        }
    }

    /// Rules about hosts that leave the domains of an affinity rule no host in common.
    fn together_nowhere(&mut self, index: usize) {
        let vms = &self.roster.meant[index].vms;
        let bounds: BTreeSet<usize> = vms.iter().flat_map(|&vm| self.placing(vm)).collect();
        let bounds: Vec<usize> = bounds.into_iter().collect();
        self.meetings += bounds.len();
        if let Some(culprits) = self.culprits(&bounds).filter(|culprits| culprits.len() > 1) {
            let (together, bounds) = (self.name(index), self.quoted(&culprits));
            self.found.push(Contradiction::TogetherNowhere { together, bounds });
        }
    }

    /// Rules that keep the domains of an affinity rule apart, or others away from some of them.
    fn against_others(&mut self, index: usize, per: &Per) {
        let roster = self.roster;
        let vms = &roster.meant[index].vms;
        // Of each rule that they share: its first two domains among them, and how many.
        let mut shared: BTreeMap<usize, (usize, usize, usize)> = BTreeMap::new();
        for &vm in vms.iter() {
            self.meetings += self.of_vm[vm].len();
            for &other in &self.of_vm[vm] {
                let one = shared.entry(other).or_insert((vm, vm, 0));
                if one.2 == 1 {
                    one.1 = vm;
                }
                one.2 += 1;
            }
        }
        for (other, (first, second, count)) in shared {
            let together = self.name(index);
            match &self.policy.rules[other].kind {
                RuleKind::AntiAffinity { per: own, most }
                    if count > *most as usize && (*per == Per::Host || per == own) =>
                {
                    self.found.push(Contradiction::TogetherAndApart {
                        together,
                        apart: self.name(other),
                        first: roster.vms[first].clone(),
                        second: roster.vms[second].clone(),
                    });
                }
                RuleKind::Exclusive if *per == Per::Host && count < vms.len() => {
                    let own = &roster.meant[other].vms;
                    let Some(&outside) = vms.iter().find(|vm| own.binary_search(vm).is_err())
                    else {
                        continue;
                    };
                    self.found.push(Contradiction::TogetherAndAlone {
                        together,
                        alone: self.name(other),
                        inside: roster.vms[first].clone(),
                        outside: roster.vms[outside].clone(),
                    });
                }
                _ => {}
            }
        }
    }

    /// Rules about hosts that leave domains to keep apart too few places.
    fn apart_on_too_few(&mut self, index: usize, per: &Per, most: u32) {
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for &vm in self.roster.meant[index].vms.iter() {
            for bound in self.placing(vm) {
                *shared.entry(bound).or_default() += 1;
            }
        }
        self.meetings += shared.len();
        let places = self.places(per);
        for (bound, vms) in shared.into_iter().filter(|(_, vms)| *vms > most as usize) {
            let open = (0..places.len()).filter(|&host| self.leaves(bound, host));
            let count = open.map(|host| places[host]).collect::<BTreeSet<_>>().len();
            // No host at all is another fault, and said elsewhere.
            if count > 0 && vms > count.saturating_mul(most as usize) {
                self.found.push(Contradiction::ApartOnTooFew {
                    apart: self.name(index),
                    bound: self.name(bound),
                    vms,
                    most,
                    places: counted(count, per),
                });
            }
        }
    }
}

/// `3 hosts`, `2 values of rack`.
fn counted(count: usize, per: &Per) -> String {
    match per {
        Per::Host => format!("{count} hosts"),
        Per::Tag(key) => format!("{count} places by {key}"),
    }
}
