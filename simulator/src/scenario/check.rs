//! Whether a scenario is possible: every refusal names the thing, its place and its limit.
//!
//! Never here: whether it is wise.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    cluster::VCPUS_MAX,
    ids::{HostId, VmId},
    units::{Bytes, Span},
};

use super::{Scenario, ScenarioError, ScenarioHost, ScenarioPlan};
use crate::{
    change::{Change, Guest},
    fault::Fault,
    run::{Death, SimulationError},
};

/// Power of one host, in watts.
const WATTS_MAX: f64 = 1e6;

/// Longest boot or shutdown.
const DAY: Span = Span::from_seconds(86_400);

type Checked = Result<(), ScenarioError>;

impl Scenario {
    /// Whether everything that it asks for is possible.
    ///
    /// # Errors
    /// [`ScenarioError`] for the first thing that is not.
    pub fn check(&self) -> Checked {
        if self.intent.trim().is_empty() {
            return Err(ScenarioError::NoIntent);
        }
        self.policy.check_ranges()?;
        if let Some(contradiction) = self.policy.contradictions(&self.snapshot()).pop() {
            return Err(contradiction.into());
        }
        for (id, host) in &self.host {
            check_host(host).map_err(|what| ScenarioError::BadHost { host: id.clone(), what })?;
        }
        self.check_racks()?;
        for (vm, domain) in &self.domain {
            self.check_domain(vm, domain)?;
        }
        self.check_room()?;
        if let ScenarioPlan::Moves(_) = &self.plan {
            self.check_moves()?;
        }
        self.check_events()?;
        for (index, fault) in self.fault.iter().enumerate() {
            self.check_fault(index + 1, fault)?;
        }
        for restart in &self.restart {
            if let Death::At(at) = restart.dies {
                self.in_time("a restart", at)?;
            }
        }
        self.check_expectations()
    }

    fn in_time(&self, what: &str, at: Span) -> Checked {
        let horizon = self.horizon;
        if at <= horizon {
            return Ok(());
        }
        Err(ScenarioError::AfterTheEnd { what: what.to_owned(), at, horizon })
    }

    fn check_racks(&self) -> Checked {
        let mut racked: BTreeMap<&HostId, &HostId> = BTreeMap::new();
        for (name, rack) in &self.rack {
            let bad = |what: String| Err(ScenarioError::BadRack { rack: name.clone(), what });
            if rack.hosts.is_empty() {
                return bad("it has no hosts".to_owned());
            }
            if self.host.contains_key(name) {
                return bad("a host has its name".to_owned());
            }
            for host in &rack.hosts {
                if !self.host.contains_key(host) {
                    return bad(format!("no such host: {host}"));
                }
                if let Some(other) = racked.insert(host, name) {
                    return bad(format!("host {host} is in {other} already"));
                }
            }
        }
        Ok(())
    }

    fn check_domain(&self, vm: &VmId, domain: &Guest) -> Checked {
        let Some(host) = self.host.get(&domain.host) else {
            let known: Vec<&str> = self.host.keys().map(HostId::as_str).collect();
            return Err(ScenarioError::UnknownHost {
                vm: vm.clone(),
                host: domain.host.clone(),
                known: format!("hosts are {}", known.join(", ")),
            });
        };
        check_guest(domain, host).map_err(|what| ScenarioError::BadDomain { vm: vm.clone(), what })
    }

    fn check_room(&self) -> Checked {
        for (id, host) in &self.host {
            let here = self.domain.values().filter(|domain| domain.host == *id);
            let needed: Bytes = here.map(|domain| domain.memory).sum();
            if needed > host.memory {
                let (host, memory) = (id.clone(), host.memory);
                return Err(ScenarioError::Overfull { host, needed, memory });
            }
        }
        Ok(())
    }

    fn check_moves(&self) -> Checked {
        let ScenarioPlan::Moves(moves) = &self.plan else { return Ok(()) };
        let mut left_at: BTreeMap<&VmId, (&HostId, u32)> = BTreeMap::new();
        for (place, one) in (0..).zip(moves) {
            let bad = |what: String| Err(ScenarioError::BadMove { vm: one.vm.clone(), what });
            let Some(domain) = self.domain.get(&one.vm) else {
                return bad("no such domain".to_owned());
            };
            if !self.host.contains_key(&one.to) {
                return bad(format!("no such host: {}", one.to));
            }
            let ascending = one.after.windows(2).all(|pair| pair[0] < pair[1]);
            if !ascending || one.after.last().is_some_and(|&last| last >= place) {
                return bad(format!(
                    "it is move {place} (counted from 0) and comes after {:?}; \
                     name earlier moves, in ascending order",
                    one.after
                ));
            }
            if one.timeout == Span::ZERO {
                return bad("its time-out is 0 s, it needs more".to_owned());
            }
            let before = left_at.insert(&one.vm, (&one.to, place));
            if let Some((_, earlier)) = before.filter(|(_, earlier)| !one.after.contains(earlier)) {
                return bad(format!("it moves again and does not come after move {earlier}"));
            }
            if *before.map_or(&domain.host, |(host, _)| host) == one.to {
                return bad(format!("it goes to {}, where it is", one.to));
            }
        }
        Ok(())
    }

    fn check_events(&self) -> Checked {
        let mut names: BTreeSet<&VmId> = self.domain.keys().collect();
        for (index, event) in self.event.iter().enumerate() {
            let place = index + 1;
            self.in_time(&format!("event {place}"), event.at())?;
            let bad = |what: &str| Err(ScenarioError::BadEvent { place, what: what.to_owned() });
            match event {
                Change::Arrives { vm, domain, .. } => {
                    if !names.insert(vm) {
                        return bad(&format!("a guest {vm} exists already"));
                    }
                    self.check_domain(vm, domain)?;
                }
                Change::Resized { memory: None, vcpus: None, cpu: None, .. } => {
                    return bad("it changes nothing");
                }
                Change::Resized { memory: Some(Bytes::ZERO), .. } => {
                    return bad("memory is 0, the least is 1 B");
                }
                Change::Resized { vcpus: Some(vcpus), .. } if *vcpus == 0 || *vcpus > VCPUS_MAX => {
                    return bad(&format!("{vcpus} vCPUs, the limits are 1 and {VCPUS_MAX}"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn check_fault(&self, place: usize, fault: &Fault) -> Checked {
        self.in_time(&format!("fault {place}"), fault.at())?;
        let bad = |what: String| Err(ScenarioError::BadFault { place, what });
        if fault.lasts() == Some(Span::ZERO) {
            return bad("it lasts 0 s".to_owned());
        }
        for name in fault.hosts() {
            if !self.host.contains_key(name) && !self.rack.contains_key(name) {
                let name = name.to_string();
                return Err(SimulationError::UnknownInFault { name }.into());
            }
        }
        match fault {
            Fault::LinkCut { networks, .. } if networks.is_empty() => {
                bad("it cuts no network".to_owned())
            }
            Fault::Partition { networks, .. } if networks.is_empty() => {
                bad("it splits no network".to_owned())
            }
            Fault::Partition { groups, .. } if groups.len() < 2 => {
                bad(format!("{} groups, it needs at least 2", groups.len()))
            }
            Fault::Partition { .. } => self.check_groups(place, fault),
            _ => Ok(()),
        }
    }

    fn check_groups(&self, place: usize, fault: &Fault) -> Checked {
        let fault = self.with_racks_in_groups(fault.clone());
        let mut seen = BTreeSet::new();
        let twice = fault.hosts().find(|host| !seen.insert(*host));
        match twice {
            None => Ok(()),
            Some(host) => {
                let what = format!("host {host} is named twice in its groups");
                Err(ScenarioError::BadFault { place, what })
            }
        }
    }

    fn check_expectations(&self) -> Checked {
        let arrivals = self.event.iter().filter_map(Change::arrival).map(|(vm, _)| vm);
        let vms: BTreeSet<&VmId> = self.domain.keys().chain(arrivals).collect();
        self.expect.check(&|vm| vms.contains(vm), &|host| self.host.contains_key(host))
    }
}

fn check_host(host: &ScenarioHost) -> Result<(), String> {
    if host.cpu.get() == 0 || host.memory == Bytes::ZERO {
        return Err("CPU and memory must be more than 0".to_owned());
    }
    if host.bandwidth.is_some_and(|bandwidth| bandwidth.get() == 0) {
        return Err("bandwidth is 0 B/s, it must be more".to_owned());
    }
    let numa: Bytes = host.numa.iter().copied().sum();
    if !host.numa.is_empty() && numa != host.memory {
        return Err(format!("its NUMA nodes have {numa}, the host has {}", host.memory));
    }
    match (host.idle_watts, host.max_watts) {
        (None, None) => {}
        (Some(idle), Some(most)) if idle >= 0.0 && idle <= most && most <= WATTS_MAX => {}
        _ => return Err("its power needs 0 <= idle_watts <= max_watts <= 1e6".to_owned()),
    }
    if host.boot.unwrap_or_default().max(host.shutdown) > DAY {
        return Err("boot and shutdown take at most 1 d".to_owned());
    }
    Ok(())
}

fn check_guest(domain: &Guest, host: &ScenarioHost) -> Result<(), String> {
    if domain.memory == Bytes::ZERO {
        return Err("memory is 0, the least is 1 B".to_owned());
    }
    if domain.memory > host.memory {
        let (has, wants) = (host.memory.human(), domain.memory.human());
        return Err(format!("memory is {wants}, its host {} has {has}", domain.host));
    }
    if domain.vcpus == 0 || domain.vcpus > VCPUS_MAX {
        return Err(format!("{} vCPUs, the limits are 1 and {VCPUS_MAX}", domain.vcpus));
    }
    if domain.resident.is_some_and(|resident| resident > domain.memory) {
        return Err(format!("more of it is resident than its memory, {}", domain.memory.human()));
    }
    if domain.dirty.iter().any(|reading| reading.window == Span::ZERO) {
        return Err("a window of its writes is 0 s, it must be more".to_owned());
    }
    if let (Some(model), Some(shown)) = (&domain.cpu_model, &host.cpu_model)
        && model != shown
    {
        return Err(format!("CPU model {model}, its host {} shows {shown}", domain.host));
    }
    Ok(())
}
