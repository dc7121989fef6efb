//! Which hosts a search over few VMs has to look at: of hosts that are alike to every rule, as many
//! of the best as there are VMs that move.
//!
//! A host is better than another where it is no dearer for any of the VMs, has no less room for all
//! of them and no more load. At most as many hosts as there are VMs receive any. So whatever a
//! placement puts on a host that as many others are better than could as well go to one of these
//! that receives nobody: the objective gets no worse, no limit and no rule is broken that was kept.
//! Leaving such a host out loses no optimum, makes nothing infeasible and keeps every bound honest.
//!
//! Chooses no target: the searches do.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    contention::Load,
    scope::{Context, Scope},
    view::{Group, HostView},
};

/// Most prices that are looked at; above, all hosts are kept.
const PRICES_MAX: usize = 50_000;

/// What rules tell hosts apart by: hosts of equal kinds are the same to all of them.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    /// What load is charged by: cores, and memory where it is to be even.
    size: (u64, u64),
    /// Whether anybody is there, for those who want to be alone.
    empty: bool,
    /// The place in each rule that matters; `None` where the host does not count.
    places: Vec<Option<Place>>,
    /// A host that is like no other.
    alone: Option<usize>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// A host with nobody of the rule.
    Free,
    /// This one.
    This(usize),
}

/// What a host takes and at what price, beside its kind.
struct Offer {
    host: usize,
    /// Room for the VMs that move: memory in bytes and vCPUs, no more than all of them need.
    room: (u64, u64),
    load: Load,
    /// Of each VM that moves; infinite where it may not come.
    prices: Vec<f64>,
}

impl Offer {
    fn no_worse(&self, other: &Self) -> bool {
        self.load.cpu <= other.load.cpu
            && self.load.memory <= other.load.memory
            && self.room.0 >= other.room.0
            && self.room.1 >= other.room.1
            && self.prices.iter().zip(&other.prices).all(|(own, other)| own <= other)
    }
}

/// The hosts that VMs of `scope` need to be offered, those where they live included.
pub(super) fn needed(context: &Context<'_>, scope: &Scope) -> BTreeSet<usize> {
    let hosts = 0..context.view.hosts.len();
    let vms: Vec<usize> = scope.vms().collect();
    if vms.len().saturating_mul(hosts.len()) > PRICES_MAX {
        return hosts.collect();
    }
    let kinds = Kinds::new(context, &vms);
    let mut alike: BTreeMap<Kind, Vec<Offer>> = BTreeMap::new();
    for host in hosts {
        let offer = offer(context, scope, &vms, host);
        alike.entry(kinds.of(host)).or_default().push(offer);
    }
    alike.into_values().flat_map(|offers| undominated(offers, vms.len())).collect()
}

/// Those of `offers` that fewer than `most` others are better than.
fn undominated(mut offers: Vec<Offer>, most: usize) -> Vec<usize> {
    // Of two that are equally good the first counts as better, so that ties leave some.
    offers.sort_by(|a, b| {
        let sums = |offer: &Offer| offer.prices.iter().sum::<f64>();
        let load = a.load.cpu.total_cmp(&b.load.cpu).then(a.load.memory.total_cmp(&b.load.memory));
        let room = b.room.cmp(&a.room).then(sums(a).total_cmp(&sums(b)));
        load.then(room).then(a.host.cmp(&b.host))
    });
    let better = |at: usize| {
        let before = offers.iter().take(at).filter(|other| other.no_worse(&offers[at]));
        before.take(most).count()
    };
    (0..offers.len()).filter(|&at| better(at) < most).map(|at| offers[at].host).collect()
}

fn offer(context: &Context<'_>, scope: &Scope, vms: &[usize], host: usize) -> Offer {
    let (view, limits) = (context.view, &context.view.hosts[host]);
    let all = vms.iter().fold((0u64, 0u64), |sum, &vm| {
        let one = &view.vms[vm];
        (sum.0.saturating_add(one.memory()), sum.1.saturating_add(one.vcpus()))
    });
    let (memory, vcpus) = context.start.used(host);
    let free_memory = limits.memory_limit.saturating_sub(memory);
    let free_vcpus = (limits.vcpu_limit - vcpus as f64).max(0.0) as u64;
    let price = |&vm: &usize| context.price(scope, vm, host).unwrap_or(f64::INFINITY);
    Offer {
        host,
        room: (free_memory.min(all.0), free_vcpus.min(all.1)),
        load: Load {
            // Memory is charged only where it is to be even.
            memory: context.contention.memory().map_or(0.0, |_| limits.memory_as_cores(memory)),
            cpu: context.start.demand(host),
        },
        prices: vms.iter().map(price).collect(),
    }
}

/// What makes hosts differ.
struct Kinds<'a> {
    context: &'a Context<'a>,
    /// Rules among VMs that one who moves is in, and all that want hosts for themselves.
    groups: Vec<&'a Group<'a>>,
    /// Whether anybody who moves is in a rule of the latter kind.
    any_alone: bool,
    /// Hosts with VMs of each group.
    there: Vec<Vec<bool>>,
    /// Hosts that are like no other: VMs that move live there, or what they offer is counted.
    alone: Vec<bool>,
}

impl<'a> Kinds<'a> {
    fn new(context: &'a Context<'a>, vms: &[usize]) -> Self {
        let view = context.view;
        let concerned =
            |group: &&Group<'_>| group.vms.iter().any(|vm| vms.binary_search(vm).is_ok());
        let among = view.apart.iter().chain(&view.together).chain(&view.capped);
        let groups: Vec<&Group<'_>> = among.filter(concerned).chain(&view.alone).collect();
        let there = groups.iter().map(|group| {
            let mut there = vec![false; view.hosts.len()];
            let homes = group.vms.iter().map(|&vm| view.vms[vm].home);
            homes.chain(group.arriving.iter().copied()).for_each(|host| there[host] = true);
            there
        });
        let needs = vms.iter().any(|&vm| !view.vms[vm].domain.needs.is_empty());
        let counts = |host: &HostView<'_>| {
            let offers = &host.host.offers;
            needs && (offers.huge_pages.is_some() || !offers.numa.is_empty())
        };
        let mut alone: Vec<bool> = view.hosts.iter().map(counts).collect();
        for &vm in vms {
            alone[view.vms[vm].home] = true;
        }
        let any_alone = view.alone.iter().any(|group| concerned(&group));
        Self { context, there: there.collect(), groups, any_alone, alone }
    }

    fn of(&self, host: usize) -> Kind {
        let view = self.context.view;
        let place = |(group, there): (&&Group<'_>, &Vec<bool>)| {
            let place = group.place(host)?;
            let free = group.by_host() && !there[host];
            Some(if free { Place::Free } else { Place::This(place) })
        };
        let limits = &view.hosts[host];
        let memory = self.context.contention.memory().map_or(0, |_| limits.memory_limit);
        Kind {
            size: (limits.cores.to_bits(), memory),
            empty: self.any_alone && self.context.start.tally().guests(host) == 0,
            places: self.groups.iter().zip(&self.there).map(place).collect(),
            alone: self.alone[host].then_some(host),
        }
    }
}
