//! The policy's rules by number, with how many of each rule's machines are where.
//!
//! This is the one place of `placing` that knows what a kind of rule means. Judges one machine and
//! one host at a time, in the time of a few look-ups. Budgets of disruption speak of migrations and
//! say nothing here.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    cluster::Snapshot,
    ids::VmId,
    policy::{Per, Policy, Roster, Rule, RuleKind, places},
};

/// A rule's number: its position in the policy.
pub(super) type Law = usize;

/// What a rule asks of a host.
#[derive(Debug, Clone)]
enum Meaning {
    /// Fewer than this many of the machines are in its place.
    Apart(usize),
    /// The machines that have a host are in its place.
    Together,
    /// It is one of these.
    Only(BTreeSet<usize>),
    /// It is none of these.
    Never(BTreeSet<usize>),
    /// The machines are on so many of these hosts at most.
    HostsMax(usize, BTreeSet<usize>),
    /// Nobody else is there.
    Alone,
    /// Nothing.
    Free,
}

/// A rule by number.
#[derive(Debug, Clone)]
struct Known {
    name: String,
    meaning: Meaning,
    /// The place of each host; each is its own where absent.
    places: Option<Vec<usize>>,
    /// What a breach costs, in guest-seconds, if it is a preference.
    soft_seconds: Option<f64>,
    /// Machines in each place, none of them 0.
    counts: BTreeMap<usize, usize>,
    /// Machines that have a host.
    placed: usize,
}

/// All rules, and where their machines are.
#[derive(Debug, Clone)]
pub(super) struct Rulebook {
    known: Vec<Known>,
    by_vm: BTreeMap<VmId, Vec<Law>>,
    /// Rules that want their machines alone.
    alone: Vec<Law>,
    /// Machines on each host, whoever speaks of them.
    guests: Vec<usize>,
}

/// Machines that came to hosts or left them since the [`Rulebook`] was brought up to date.
#[derive(Debug, Clone, Default)]
pub(super) struct Shift {
    by_place: BTreeMap<(Law, usize), isize>,
    in_all: BTreeMap<Law, isize>,
    guests: BTreeMap<usize, isize>,
}

fn sum(now: usize, change: Option<&isize>) -> isize {
    now.cast_signed().saturating_add(change.copied().unwrap_or(0))
}

impl Known {
    fn new(rule: &Rule, hosts: &[usize], snapshot: &Snapshot) -> Self {
        let numbered = || hosts.iter().copied().collect();
        let whole = |most: u32| usize::try_from(most).unwrap_or(usize::MAX);
        let (meaning, per) = match &rule.kind {
            RuleKind::AntiAffinity { per, most } => (Meaning::Apart(whole(*most)), per),
            RuleKind::Affinity { per } => (Meaning::Together, per),
            RuleKind::Pin => (Meaning::Only(numbered()), &Per::Host),
            RuleKind::Exclude => (Meaning::Never(numbered()), &Per::Host),
            RuleKind::HostsMax { most } => {
                (Meaning::HostsMax(whole(*most), numbered()), &Per::Host)
            }
            RuleKind::Exclusive => (Meaning::Alone, &Per::Host),
            RuleKind::Disruption(_) => (Meaning::Free, &Per::Host),
        };
        Self {
            name: rule.name().to_owned(),
            meaning,
            places: matches!(per, Per::Tag(_)).then(|| places(per, snapshot)),
            soft_seconds: rule.soft_seconds.map(f64::from),
            counts: BTreeMap::new(),
            placed: 0,
        }
    }

    fn place(&self, host: usize) -> usize {
        self.places.as_ref().and_then(|places| places.get(host).copied()).unwrap_or(host)
    }
}

impl Rulebook {
    /// Of `policy`, with nobody anywhere.
    pub(super) fn new(policy: &Policy, snapshot: &Snapshot) -> Self {
        let roster = Roster::new(policy, snapshot);
        let mut by_vm: BTreeMap<VmId, Vec<Law>> = BTreeMap::new();
        for (law, meant) in roster.meant.iter().enumerate() {
            for vm in meant.vms.iter().filter_map(|&vm| roster.vms.get(vm)) {
                by_vm.entry((*vm).clone()).or_default().push(law);
            }
        }
        let rules = policy.rules.iter().zip(&roster.meant);
        let known: Vec<Known> =
            rules.map(|(rule, meant)| Known::new(rule, &meant.hosts, snapshot)).collect();
        let alone = |law: &Law| matches!(known[*law].meaning, Meaning::Alone);
        let alone = (0..known.len()).filter(alone).collect();
        Self { known, by_vm, alone, guests: vec![0; snapshot.hosts.len()] }
    }

    /// Rules that mean `vm`.
    pub(super) fn of(&self, vm: &VmId) -> &[Law] {
        self.by_vm.get(vm).map_or(&[], Vec::as_slice)
    }

    /// The rule's name in the policy.
    pub(super) fn name(&self, law: Law) -> &str {
        self.known.get(law).map_or("", |rule| &rule.name)
    }

    /// Whether the rule keeps its machines on one host.
    pub(super) fn keeps_together(&self, law: Law) -> bool {
        self.known.get(law).is_some_and(|rule| {
            matches!(rule.meaning, Meaning::Together)
                && rule.places.is_none()
                && rule.soft_seconds.is_none()
        })
    }

    /// Whether any rule wants its machines alone: then whoever comes to a host counts.
    pub(super) fn any_alone(&self) -> bool {
        !self.alone.is_empty()
    }

    /// The first hard rule that keeps a machine with `laws` off `host`.
    pub(super) fn against(&self, shift: &Shift, laws: &[Law], host: usize) -> Option<Law> {
        self.broken(shift, laws, host).find(|&law| self.known[law].soft_seconds.is_none())
    }

    /// What it costs by preference to put a machine with `laws` on `host`, in guest-seconds.
    pub(super) fn unwelcome(&self, shift: &Shift, laws: &[Law], host: usize) -> f64 {
        self.broken(shift, laws, host).filter_map(|law| self.known[law].soft_seconds).sum()
    }

    /// Rules that a machine with `laws` would break by coming to `host`.
    fn broken<'a>(
        &'a self,
        shift: &'a Shift,
        laws: &'a [Law],
        host: usize,
    ) -> impl Iterator<Item = Law> + 'a {
        let own = laws.iter().copied().filter(move |&law| self.breaks(shift, law, host));
        // Others want to be alone where they are.
        let others = self
            .alone
            .iter()
            .copied()
            .filter(move |law| !laws.contains(law) && self.there(shift, *law, host) > 0);
        own.chain(others)
    }

    fn breaks(&self, shift: &Shift, law: Law, host: usize) -> bool {
        let Some(rule) = self.known.get(law) else { return false };
        match &rule.meaning {
            Meaning::Only(hosts) => !hosts.contains(&host),
            Meaning::Never(hosts) => hosts.contains(&host),
            Meaning::Apart(most) => self.there(shift, law, host) >= most.cast_signed(),
            Meaning::Together => {
                self.there(shift, law, host) <= 0 && sum(rule.placed, shift.in_all.get(&law)) > 0
            }
            Meaning::HostsMax(most, hosts) => {
                hosts.contains(&host)
                    && self.there(shift, law, host) <= 0
                    && hosts.iter().filter(|&&one| self.there(shift, law, one) > 0).count() >= *most
            }
            Meaning::Alone => {
                let guests = self.guests.get(host).copied().unwrap_or(0);
                sum(guests, shift.guests.get(&host)) > self.there(shift, law, host)
            }
            Meaning::Free => false,
        }
    }

    /// Machines of the rule in the place of `host`.
    fn there(&self, shift: &Shift, law: Law, host: usize) -> isize {
        let Some(rule) = self.known.get(law) else { return 0 };
        let place = rule.place(host);
        sum(rule.counts.get(&place).copied().unwrap_or(0), shift.by_place.get(&(law, place)))
    }

    /// A machine with these rules has come to `host`.
    pub(super) fn arrive(&mut self, laws: &[Law], host: usize) {
        self.pass(host);
        self.count(laws, host);
    }

    /// A machine that no rule speaks of, or that has been counted, is on `host`, too.
    pub(super) fn pass(&mut self, host: usize) {
        if let Some(guests) = self.guests.get_mut(host) {
            *guests += 1;
        }
    }

    /// The rules count a machine on `host` that is on its way there.
    pub(super) fn count(&mut self, laws: &[Law], host: usize) {
        for &law in laws {
            let Some(rule) = self.known.get_mut(law) else { continue };
            let place = rule.place(host);
            *rule.counts.entry(place).or_default() += 1;
            rule.placed += 1;
        }
    }

    /// A machine with these rules has left `host`.
    pub(super) fn leave(&mut self, laws: &[Law], host: usize) {
        if let Some(guests) = self.guests.get_mut(host) {
            *guests = guests.saturating_sub(1);
        }
        for &law in laws {
            let Some(rule) = self.known.get_mut(law) else { continue };
            let place = rule.place(host);
            let Some(count) = rule.counts.get_mut(&place) else { continue };
            *count = count.saturating_sub(1);
            if *count == 0 {
                rule.counts.remove(&place);
            }
            rule.placed = rule.placed.saturating_sub(1);
        }
    }

    /// Notes in `shift` that a machine with these rules came to `host` (`by` 1) or left it (-1).
    pub(super) fn note(&self, shift: &mut Shift, laws: &[Law], host: usize, by: isize) {
        *shift.guests.entry(host).or_default() += by;
        for &law in laws {
            let place = self.known.get(law).map_or(host, |rule| rule.place(host));
            *shift.by_place.entry((law, place)).or_default() += by;
            *shift.in_all.entry(law).or_default() += by;
        }
    }
}
