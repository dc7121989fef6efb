//! The snapshot and the policy by index: what every part of the planner computes with.
//!
//! Hosts and VMs are numbered in the order of their names, so that equal input is searched in
//! equal order. Judges nothing; [`Occupancy`] answers whether a move fits at a given moment.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    cluster::{Domain, DomainState, Host, HostState, Needs, PlacementError, Snapshot},
    ids::{HostId, VmId},
    plan::{Goal, Reason},
    policy::Policy,
    units::Timestamp,
};

mod budget;
mod equipment;
mod occupancy;
mod rules;
mod tally;

pub(crate) use budget::{BudgetView, Spent};
pub(crate) use equipment::nodes_hold;
pub(crate) use occupancy::Occupancy;
pub(crate) use rules::Group;

/// Part of its vCPUs that a domain without any CPU reading is taken to use: midway, because taken
/// for idle it would overload its target and taken for busy it would block every host.
const UNMEASURED_BUSY: f64 = 0.5;

/// Snapshot and policy by index.
pub(crate) struct View<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) hosts: Vec<HostView<'a>>,
    pub(crate) vms: Vec<VmView<'a>>,
    /// Anti-affinity rules with more VMs present than one place may have.
    pub(crate) apart: Vec<Group<'a>>,
    /// Hard affinity rules per host, judged at the end, with two or more of their VMs present: they
    /// are moved as a whole.
    pub(crate) together: Vec<Group<'a>>,
    /// VMs that an earlier plan, which was not done, takes elsewhere, with the host.
    pub(crate) planned: Vec<(usize, usize)>,
    /// Other affinity rules and licence caps that the VMs present could break.
    pub(crate) capped: Vec<Group<'a>>,
    /// Exclusive rules with a VM present.
    pub(crate) alone: Vec<Group<'a>>,
    /// Budgets of disruption.
    pub(crate) budgets: Vec<BudgetView<'a>>,
    /// Pin and exclude rules, and what hosts lack.
    placings: rules::Placings<'a>,
    /// Where a migration outside this plan takes a VM.
    pub(crate) arriving: BTreeMap<&'a VmId, usize>,
}

/// A host with its limits under the policy.
pub(crate) struct HostView<'a> {
    pub(crate) id: &'a HostId,
    pub(crate) host: &'a Host,
    /// Bytes that guests may have.
    pub(crate) memory_limit: u64,
    /// vCPUs that guests may have.
    pub(crate) vcpu_limit: f64,
    /// CPU in cores.
    pub(crate) cores: f64,
    /// CPU in use by anything but its guests, in cores.
    pub(crate) base_cores: f64,
    /// Memory and vCPUs of domains that arrive or leave by migrations outside this plan.
    passing: (u64, u64),
    /// How many such domains, and what they need.
    passing_guests: u32,
    passing_needs: Vec<&'a Needs>,
    /// Hosts of one class offer the same.
    offers_class: usize,
}

/// A VM where it lives.
pub(crate) struct VmView<'a> {
    pub(crate) domain: &'a Domain,
    /// Index of its host.
    pub(crate) home: usize,
    /// Its CPU demand in cores: by the outlook, else by the last reading.
    pub(crate) demand_cores: f64,
    /// Until when balance leaves it alone, where it was moved lately.
    pub(crate) rests_until: Option<Timestamp>,
    /// Whether any rule names it.
    pub(crate) ruled: bool,
    /// Pin and exclude rules that name it, in [`View::placings`].
    placed_by: Vec<usize>,
    /// Whether a preference is among them.
    wishes: bool,
    /// VMs of one class need the same.
    needs_class: usize,
    /// Its groups in [`View::apart`].
    pub(crate) apart: Vec<usize>,
    /// Its groups in [`View::together`].
    pub(crate) together: Vec<usize>,
    /// Its groups in [`View::capped`].
    pub(crate) capped: Vec<usize>,
    /// Its groups in [`View::alone`].
    pub(crate) alone: Vec<usize>,
    /// Its budgets in [`View::budgets`].
    pub(crate) budgets: Vec<usize>,
    /// Why it may not be touched, if so.
    pub(crate) held: Option<Reason>,
    /// When it is to begin at the earliest.
    pub(crate) not_before: Option<Timestamp>,
    /// When its migration must be over, because a window closes.
    pub(crate) ends_before: Option<Timestamp>,
}

impl<'a> View<'a> {
    /// Numbers everything.
    pub(crate) fn new(snapshot: &'a Snapshot, policy: &'a Policy) -> Result<Self, PlacementError> {
        let placement = snapshot.placement()?;
        let index: BTreeMap<&HostId, usize> = snapshot.hosts.keys().zip(0..).collect();
        let mut hosts: Vec<HostView<'a>> =
            snapshot.hosts.iter().map(|(id, host)| HostView::new(id, host, policy)).collect();
        let mut vms: Vec<VmView<'a>> = placement
            .values()
            .filter_map(|domain| {
                let home = *index.get(&domain.host)?;
                Some(VmView::new(domain, home, hosts[home].host.state))
            })
            .collect();
        measure_demand(&mut hosts, &mut vms);

        let mut arriving: BTreeMap<&'a VmId, usize> = BTreeMap::new();
        for domain in snapshot.domains.iter().filter(|one| rules::passes(one)) {
            let Some(&host) = index.get(&domain.host) else { continue };
            hosts[host].passing_guests += 1;
            hosts[host].passing_needs.push(&domain.needs);
            let (memory, vcpus) = &mut hosts[host].passing;
            *memory = memory.saturating_add(domain.memory.get());
            *vcpus = vcpus.saturating_add(domain.vcpus.into());
            if domain.state == DomainState::Incoming {
                arriving.insert(&domain.vm, host);
            }
        }
        let mut view = Self {
            policy,
            hosts,
            vms,
            apart: Vec::new(),
            together: Vec::new(),
            planned: Vec::new(),
            capped: Vec::new(),
            alone: Vec::new(),
            budgets: Vec::new(),
            placings: rules::Placings::none(),
            arriving,
        };
        view.read_rules(snapshot);
        Ok(view)
    }

    /// The present placement: the host of every VM.
    pub(crate) fn present(&self) -> Vec<usize> {
        self.vms.iter().map(|vm| vm.home).collect()
    }

    /// Whether a host with `demand_cores` counts as overloaded.
    pub(crate) fn overloaded(&self, host: usize, demand_cores: f64) -> bool {
        demand_cores > self.hosts[host].cores * self.policy.balance.overload_above.get()
    }

    /// The hosts that `goal` empties.
    pub(crate) fn emptied(&self, goal: &Goal) -> BTreeSet<usize> {
        let named: BTreeSet<&HostId> = goal.emptied().collect();
        let hosts = self.hosts.iter().enumerate();
        hosts.filter(|(_, host)| named.contains(host.id)).map(|(index, _)| index).collect()
    }

    /// Whether `host` may receive domains at all.
    pub(crate) fn up(&self, host: usize) -> bool {
        self.hosts[host].host.state == HostState::Up
    }
}

impl<'a> HostView<'a> {
    fn new(id: &'a HostId, host: &'a Host, policy: &Policy) -> Self {
        let usable = 1.0 - policy.limits.memory_reserve.get();
        let cores = host.cpu.as_cores_f64();
        Self {
            id,
            host,
            memory_limit: (host.memory.as_f64() * usable) as u64,
            vcpu_limit: cores * policy.limits.cpu_overcommit,
            cores,
            base_cores: 0.0,
            passing: (0, 0),
            passing_guests: 0,
            passing_needs: Vec::new(),
            offers_class: 0,
        }
    }
}

impl HostView<'_> {
    /// Memory in bytes and vCPUs of domains that arrive or leave by migrations outside this plan.
    pub(crate) fn passing(&self) -> (u64, u64) {
        self.passing
    }

    /// How many such domains there are, and what they need.
    pub(crate) fn passing_guests(&self) -> (u32, &[&Needs]) {
        (self.passing_guests, &self.passing_needs)
    }

    /// `memory` as the part of what guests may have, times the cores: a unit that adds up with
    /// those of the CPU.
    pub(crate) fn memory_as_cores(&self, memory: u64) -> f64 {
        memory as f64 / (self.memory_limit as f64).max(1.0) * self.cores
    }
}

impl<'a> VmView<'a> {
    fn new(domain: &'a Domain, home: usize, host: HostState) -> Self {
        let held = if domain.state == DomainState::PostCopyFailed {
            Some(Reason::NeedsHuman)
        } else if domain.job.is_some() {
            Some(Reason::Migrating)
        } else if host == HostState::Unreachable {
            Some(Reason::HostUnreachable)
        } else {
            None
        };
        Self {
            domain,
            home,
            demand_cores: 0.0,
            rests_until: None,
            ruled: false,
            placed_by: Vec::new(),
            wishes: false,
            needs_class: 0,
            apart: Vec::new(),
            together: Vec::new(),
            capped: Vec::new(),
            alone: Vec::new(),
            budgets: Vec::new(),
            held,
            not_before: None,
            ends_before: None,
        }
    }

    pub(crate) fn memory(&self) -> u64 {
        self.domain.memory.get()
    }

    pub(crate) fn vcpus(&self) -> u64 {
        self.domain.vcpus.into()
    }
}

/// Splits each host's measured CPU among its guests and the rest. What a host uses beyond its
/// measured guests belongs to the unmeasured ones first, by vCPUs, then to the host itself.
fn measure_demand(hosts: &mut [HostView<'_>], vms: &mut [VmView<'_>]) {
    let mut known = vec![0.0; hosts.len()];
    let mut unknown_vcpus = vec![0.0; hosts.len()];
    for vm in &*vms {
        match vm.domain.cpu_used {
            Some(used) => known[vm.home] += used.as_cores_f64(),
            None => unknown_vcpus[vm.home] += f64::from(vm.domain.vcpus),
        }
    }
    for (index, host) in hosts.iter_mut().enumerate() {
        host.base_cores =
            host.host.cpu_used.map_or(0.0, |used| (used.as_cores_f64() - known[index]).max(0.0));
    }
    let rest: Vec<f64> = hosts.iter().map(|host| host.base_cores).collect();
    for vm in vms {
        let vcpus = f64::from(vm.domain.vcpus);
        vm.demand_cores = match vm.domain.cpu_used {
            Some(used) => used.as_cores_f64(),
            None if hosts[vm.home].host.cpu_used.is_some() => {
                let part = (rest[vm.home] * vcpus / unknown_vcpus[vm.home]).min(vcpus);
                hosts[vm.home].base_cores = (hosts[vm.home].base_cores - part).max(0.0);
                part
            }
            None => vcpus * UNMEASURED_BUSY,
        };
    }
}
