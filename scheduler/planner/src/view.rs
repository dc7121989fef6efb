//! The snapshot and the policy by index: what every part of the planner computes with.
//!
//! Hosts and VMs are numbered in the order of their names, so that equal input is searched in
//! equal order. Judges nothing; [`Occupancy`] answers whether a move fits at a given moment.

use std::{
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
};

use whimbrel_core::{
    cluster::{Domain, DomainState, Host, HostState, PlacementError, Snapshot},
    ids::{HostId, VmId},
    plan::Reason,
    policy::{Policy, Rule},
    units::Timestamp,
};

mod occupancy;

pub(crate) use occupancy::Occupancy;

/// Part of its vCPUs that a domain without any CPU reading is taken to use: midway, because taken
/// for idle it would overload its target and taken for busy it would block every host.
const UNMEASURED_BUSY: f64 = 0.5;

/// Snapshot and policy by index.
pub(crate) struct View<'a> {
    pub(crate) policy: &'a Policy,
    pub(crate) hosts: Vec<HostView<'a>>,
    pub(crate) vms: Vec<VmView<'a>>,
    /// Anti-affinity rules with two or more of their VMs present.
    pub(crate) apart: Vec<Group<'a>>,
    /// Affinity rules with two or more of their VMs present.
    pub(crate) together: Vec<Group<'a>>,
    /// VMs that an earlier plan, which was not done, takes elsewhere, with the host.
    pub(crate) planned: Vec<(usize, usize)>,
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
    /// Pin and exclude rules that name it.
    placed_by: Vec<Placing<'a>>,
    /// Its groups in [`View::apart`].
    pub(crate) apart: Vec<usize>,
    /// Its groups in [`View::together`].
    pub(crate) together: Vec<usize>,
    /// Why it may not be touched, if so.
    pub(crate) held: Option<Reason>,
}

/// What one rule says of the hosts of a VM.
#[derive(Clone)]
struct Placing<'a> {
    rule: &'a str,
    hosts: Rc<BTreeSet<usize>>,
    /// Only there; otherwise anywhere but there.
    only: bool,
}

/// VMs that one rule keeps apart or together.
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) vms: Vec<usize>,
    /// Hosts that one of them is arriving on by a migration outside this plan.
    pub(crate) arriving: BTreeSet<usize>,
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

        place_by_rules(policy, &index, &mut vms);

        let passing =
            |d: &&Domain| matches!(d.state, DomainState::Incoming | DomainState::Outgoing);
        let mut arriving: BTreeMap<&'a VmId, usize> = BTreeMap::new();
        for domain in snapshot.domains.iter().filter(passing) {
            let Some(&host) = index.get(&domain.host) else { continue };
            let (memory, vcpus) = &mut hosts[host].passing;
            *memory = memory.saturating_add(domain.memory.get());
            *vcpus = vcpus.saturating_add(domain.vcpus.into());
            if domain.state == DomainState::Incoming {
                arriving.insert(&domain.vm, host);
            }
        }
        let (apart, together, planned) = (Vec::new(), Vec::new(), Vec::new());
        let mut view = Self { policy, hosts, vms, apart, together, planned, arriving };
        view.group();
        Ok(view)
    }

    fn group(&mut self) {
        let index: BTreeMap<&VmId, usize> =
            self.vms.iter().map(|vm| &vm.domain.vm).zip(0..).collect();
        for rule in &self.policy.rules {
            let members: BTreeSet<usize> =
                rule.vms().iter().filter_map(|vm| index.get(vm).copied()).collect();
            let group = Group {
                name: rule.name(),
                vms: members.into_iter().collect(),
                arriving: rule
                    .vms()
                    .iter()
                    .filter_map(|vm| self.arriving.get(vm).copied())
                    .collect(),
            };
            if group.vms.len() + group.arriving.len() < 2 {
                continue;
            }
            match rule {
                Rule::AntiAffinity { .. } => self.apart.push(group),
                Rule::Affinity { .. } => self.together.push(group),
                Rule::Pin { .. } | Rule::Exclude { .. } => {}
            }
        }
        for (index, group) in self.apart.iter().enumerate() {
            for &vm in &group.vms {
                self.vms[vm].apart.push(index);
            }
        }
        for (index, group) in self.together.iter().enumerate() {
            for &vm in &group.vms {
                self.vms[vm].together.push(index);
            }
        }
    }

    /// The present placement: the host of every VM.
    pub(crate) fn present(&self) -> Vec<usize> {
        self.vms.iter().map(|vm| vm.home).collect()
    }

    /// The pin or exclude rule that keeps `vm` off `host`, if any.
    pub(crate) fn ban(&self, vm: usize, host: usize) -> Option<&'a str> {
        let placings = &self.vms.get(vm)?.placed_by;
        placings.iter().find(|by| by.hosts.contains(&host) != by.only).map(|by| by.rule)
    }

    /// Whether a host with `demand_cores` counts as overloaded.
    pub(crate) fn overloaded(&self, host: usize, demand_cores: f64) -> bool {
        demand_cores > self.hosts[host].cores * self.policy.balance.overload_above.get()
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
        }
    }
}

impl HostView<'_> {
    /// Memory in bytes and vCPUs of domains that arrive or leave by migrations outside this plan.
    pub(crate) fn passing(&self) -> (u64, u64) {
        self.passing
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
            placed_by: Vec::new(),
            apart: Vec::new(),
            together: Vec::new(),
            held,
        }
    }

    pub(crate) fn memory(&self) -> u64 {
        self.domain.memory.get()
    }

    pub(crate) fn vcpus(&self) -> u64 {
        self.domain.vcpus.into()
    }
}

/// Gives every VM the pin and exclude rules that name it, each rule's hosts numbered once.
fn place_by_rules<'a>(
    policy: &'a Policy,
    hosts: &BTreeMap<&HostId, usize>,
    vms: &mut [VmView<'a>],
) {
    let index: BTreeMap<&VmId, usize> = vms.iter().map(|vm| &vm.domain.vm).zip(0..).collect();
    for rule in &policy.rules {
        let only = match rule {
            Rule::Pin { .. } => true,
            Rule::Exclude { .. } => false,
            Rule::Affinity { .. } | Rule::AntiAffinity { .. } => continue,
        };
        let numbered = rule.hosts().iter().filter_map(|host| hosts.get(host).copied());
        let placing = Placing { rule: rule.name(), hosts: Rc::new(numbered.collect()), only };
        let named: BTreeSet<usize> =
            rule.vms().iter().filter_map(|vm| index.get(vm).copied()).collect();
        for vm in named {
            vms[vm].placed_by.push(placing.clone());
        }
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
