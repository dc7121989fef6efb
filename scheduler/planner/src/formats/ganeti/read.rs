//! Ganeti's text as the plain form.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    cluster::{HostState, VCPUS_MAX},
    ids::{HostId, VmId},
};

use super::{DISK_MB_PER_SECOND, EXCLUSION, NETWORK_MB_PER_SECOND, VCPU_RATIO};
use crate::formats::{
    convert::{chords, move_cost},
    fault::{FormatError, shown},
    plain::{
        CORES_MAX, MEMORY_MIB_MAX, Plain, PlainHost, PlainLimits, PlainObjective, PlainVm,
        ten_gigabit,
    },
};

mod row;
mod rules;

use row::Row;

/// Disk templates that every node of a group reaches.
const SHARED: [&str; 6] = ["rbd", "ext", "sharedfile", "gluster", "blockdev", "diskless"];

/// What `whimbrel plan` counts as overloaded.
const OVERLOAD_ABOVE: f64 = 0.7;

/// Nodes and instances as they are read.
#[derive(Default)]
struct Cluster<'a> {
    groups: BTreeMap<&'a str, Group<'a>>,
    hosts: Vec<PlainHost>,
    /// Nodes whose sizes nobody knows.
    unknown: BTreeSet<&'a str>,
    /// By name: group, free memory in MiB.
    nodes: BTreeMap<HostId, (&'a str, i64)>,
    vms: Vec<PlainVm>,
    /// Tags, and the nodes that its disks are on where those are not shared.
    kept: BTreeMap<VmId, (Vec<&'a str>, Vec<HostId>)>,
    /// Instances that do not run.
    down: usize,
}

#[derive(Default)]
struct Group<'a> {
    name: &'a str,
    hosts: Vec<HostId>,
}

/// Reads `text` and, where it is there, `dynamic_use`; with it what was left out.
pub(in crate::formats) fn read(
    text: &str,
    dynamic_use: Option<&str>,
) -> Result<(Plain, Vec<String>), FormatError> {
    let lines: Vec<Row<'_>> =
        text.lines().enumerate().map(|(index, line)| Row::new(index + 1, line)).collect();
    let sections: Vec<&[Row<'_>]> = lines.split(|row| row.text.is_empty()).collect();
    let (groups, nodes, instances, tags, policies) = match sections.as_slice() {
        [groups, nodes, instances, tags] => (groups, nodes, instances, tags, &[][..]),
        [groups, nodes, instances, tags, policies] => (groups, nodes, instances, tags, *policies),
        other => {
            let what = format!("{} sections, Ganeti's text has 4 or 5", other.len());
            let hint = "an empty line ends each of groups, nodes, instances and cluster tags";
            return Err(FormatError::new(format!("line {}", lines.len()), what, hint));
        }
    };
    let mut cluster = Cluster::default();
    groups.iter().try_for_each(|row| cluster.group(row))?;
    nodes.iter().try_for_each(|row| cluster.node(row))?;
    instances.iter().try_for_each(|row| cluster.instance(row))?;
    cluster.settle_memory()?;
    if let Some(text) = dynamic_use {
        cluster.uses(text).map_err(|error| FormatError { in_dynamic_use: true, ..error })?;
    }
    for vm in &mut cluster.vms {
        vm.move_cost_seconds = move_cost(vm, ten_gigabit());
    }
    let overcommit = policy_ratio(policies)?;
    let prefixes: BTreeSet<&str> =
        tags.iter().filter_map(|row| row.text.strip_prefix(EXCLUSION)).collect();
    let left_out = cluster.left_out(dynamic_use.is_some(), tags.len() - prefixes.len());
    let plain = Plain {
        name: "ganeti".to_owned(),
        goal: None,
        rules: cluster.rules(&prefixes),
        hosts: cluster.hosts,
        vms: cluster.vms,
        drain: Vec::new(),
        limits: PlainLimits { cpu_overcommit: overcommit, memory_reserve: 0.0 },
        objective: PlainObjective { chords: chords(OVERLOAD_ABOVE), horizon_seconds: 3600.0 },
    };
    plain.check()?;
    Ok((plain, left_out))
}

impl<'a> Cluster<'a> {
    /// `name|uuid|allocation policy|tags|networks`, of which the last may be absent.
    fn group(&mut self, row: &Row<'a>) -> Result<(), FormatError> {
        row.count(4, 5, "name|uuid|allocation policy|tags|networks")?;
        let group = Group { name: row.get(0), hosts: Vec::new() };
        match self.groups.insert(row.get(1), group) {
            None => Ok(()),
            Some(_) => Err(row.fault("uuid", "stands twice", "give every group its own")),
        }
    }

    /// `name|memory|memory of the node itself|free memory|disk|free disk|cores|offline|group uuid|...`
    fn node(&mut self, row: &Row<'a>) -> Result<(), FormatError> {
        row.count(8, 15, "name|memory|node memory|free memory|disk|free disk|cores|offline|...")?;
        let name: HostId = row.name(0, "name")?;
        let closed = match row.get(7) {
            "Y" => true,
            "N" | "M" => false,
            other => {
                let what = format!("is {}", shown(other));
                return Err(row.fault("offline", &what, "it is Y, N or M (the master node)"));
            }
        };
        let uuid = match row.fields() {
            8 => self.groups.keys().next().copied().unwrap_or_default(),
            _ => row.get(8),
        };
        let Some(group) = self.groups.get_mut(uuid) else {
            let what = format!("{} is not among the groups", shown(uuid));
            return Err(row.fault("group uuid", &what, "list the group in the first section"));
        };
        if (1..7).any(|at| row.get(at) == "?") {
            self.unknown.insert(row.get(0));
            return Ok(());
        }
        let memory_mib = row.whole(1, "memory", 1, MEMORY_MIB_MAX)?;
        row.whole(2, "node memory", 0, memory_mib)?;
        let free = row.free(3, "free memory", memory_mib)?;
        let cores = row.number(6, "cores", 0.001, CORES_MAX)?;
        if self.nodes.insert(name.clone(), (uuid, free)).is_some() {
            return Err(row.fault("name", "stands twice", "give every node its own"));
        }
        group.hosts.push(name.clone());
        self.hosts.push(PlainHost {
            name,
            cores,
            memory_mib,
            system_memory_mib: 0,
            migration_mib_per_second: ten_gigabit(),
            state: if closed { HostState::Maintenance } else { HostState::Up },
        });
        Ok(())
    }

    /// `name|memory|disk|vcpus|status|auto balance|node|second node|disk template|tags|...`
    fn instance(&mut self, row: &Row<'a>) -> Result<(), FormatError> {
        row.count(10, 13, "name|memory|disk|vcpus|status|auto balance|node|second node|...")?;
        let name: VmId = row.name(0, "name")?;
        let memory_mib = row.whole(1, "memory", 1, MEMORY_MIB_MAX)?;
        let vcpus = row.whole(3, "vcpus", 1, VCPUS_MAX.into())?;
        if !matches!(row.get(4), "running" | "ERROR_up") {
            self.down += 1;
            return Ok(());
        }
        let host = self.known_node(row, 6, "node")?;
        let mut disks = Vec::new();
        if !SHARED.contains(&row.get(8)) {
            disks.push(host.clone());
            if !row.get(7).is_empty() {
                disks.push(self.known_node(row, 7, "second node")?);
            }
        }
        let tags = row.get(9).split(',').filter(|tag| !tag.is_empty()).collect();
        if self.kept.insert(name.clone(), (tags, disks)).is_some() {
            return Err(row.fault("name", "stands twice", "give every instance its own"));
        }
        self.vms.push(PlainVm {
            name,
            memory_mib,
            vcpus: u32::try_from(vcpus).unwrap_or(VCPUS_MAX),
            use_cores: (vcpus as f64) / 2.0,
            host: Some(host),
            move_cost_seconds: 0.0,
            dirty_mib_per_second: 0.0,
            priority: 0,
            disk_mb_per_second: 0.0,
            network_mb_per_second: 0.0,
        });
        Ok(())
    }

    fn known_node(&self, row: &Row<'a>, at: usize, field: &str) -> Result<HostId, FormatError> {
        let name = row.get(at);
        if self.unknown.contains(name) {
            let what = format!("{} has sizes that nobody knows", shown(name));
            return Err(row.fault(field, &what, "put numbers in place of its question marks"));
        }
        let host: HostId = row.name(at, field)?;
        if self.nodes.contains_key(&host) {
            return Ok(host);
        }
        let what = format!("{} is not among the nodes", shown(name));
        Err(row.fault(field, &what, "list the node in the second section"))
    }

    /// Guests may have what is free and what they have; the rest is the system's.
    fn settle_memory(&mut self) -> Result<(), FormatError> {
        let mut used: BTreeMap<&HostId, i64> = BTreeMap::new();
        for vm in &self.vms {
            if let Some(host) = &vm.host {
                let used = used.entry(host).or_default();
                *used = used.saturating_add(i64::try_from(vm.memory_mib).unwrap_or(i64::MAX));
            }
        }
        for host in &mut self.hosts {
            let free = self.nodes.get(&host.name).map_or(0, |(_, free)| *free);
            let used = used.get(&host.name).copied().unwrap_or(0);
            let guests = u64::try_from(free.saturating_add(used)).unwrap_or(0);
            let Some(system) = host.memory_mib.checked_sub(guests) else {
                let what = format!(
                    "{free} MiB are free and guests have {used} MiB, its memory is {} MiB",
                    host.memory_mib
                );
                let hint = "correct the free memory, or the node of one of its instances";
                return Err(FormatError::new(format!("node {}", host.name), what, hint));
            };
            host.system_memory_mib = system;
        }
        Ok(())
    }

    /// `name cpu memory disk network`, parts of a node.
    fn uses(&mut self, text: &str) -> Result<(), FormatError> {
        let cores: BTreeMap<HostId, f64> =
            self.hosts.iter().map(|host| (host.name.clone(), host.cores)).collect();
        let index: BTreeMap<VmId, usize> =
            self.vms.iter().enumerate().map(|(at, vm)| (vm.name.clone(), at)).collect();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let row = Row::spaced(number + 1, line);
            row.count(5, 5, "name cpu memory disk network")?;
            let name: VmId = row.name(0, "name")?;
            let parts = [(1, "cpu"), (2, "memory"), (3, "disk"), (4, "network")]
                .map(|(at, field)| row.number(at, field, 0.0, 1e6));
            let [cpu, memory, disk, network] = parts;
            // What it uses of its memory decides nothing, but it has to be a number too.
            memory?;
            let Some(vm) = index.get(&name).and_then(|at| self.vms.get_mut(*at)) else {
                continue;
            };
            let cores = vm.host.as_ref().and_then(|host| cores.get(host)).copied().unwrap_or(0.0);
            vm.use_cores = (cpu? * cores * 1000.0).round() / 1000.0;
            vm.disk_mb_per_second = disk? * DISK_MB_PER_SECOND;
            vm.network_mb_per_second = network? * NETWORK_MB_PER_SECOND;
        }
        Ok(())
    }

    fn left_out(&self, measured: bool, other_tags: usize) -> Vec<String> {
        let mut left_out = Vec::new();
        if self.down > 0 {
            left_out.push(format!("{} instances that do not run", self.down));
        }
        if !self.unknown.is_empty() {
            left_out.push(format!("{} nodes whose sizes nobody knows", self.unknown.len()));
        }
        if other_tags > 0 {
            left_out.push(format!("{other_tags} cluster tags that are not for exclusion"));
        }
        if !measured {
            left_out.push("use: no file of dynamic use, so half of each guest's vCPUs".to_owned());
        }
        left_out
    }
}

/// `owner|standard|smallest;largest|disk templates|vCPUs a core|spindle ratio`: the smallest ratio.
fn policy_ratio(rows: &[Row<'_>]) -> Result<f64, FormatError> {
    let mut ratio: Option<f64> = None;
    for row in rows {
        row.count(6, 7, "owner|standard|limits|disk templates|vcpu ratio|spindle ratio")?;
        let own = row.number(4, "vcpu ratio", 0.1, 100.0)?;
        ratio = Some(ratio.map_or(own, |other| other.min(own)));
    }
    Ok(ratio.unwrap_or(VCPU_RATIO))
}
