//! The plain form as Ganeti's text.

use std::{collections::BTreeMap, fmt::Write as _};

use whimbrel_core::{
    cluster::HostState,
    ids::{HostId, VmId},
    policy::{Per, Rule, RuleKind},
};

use super::{DISK_MB_PER_SECOND, EXCLUSION, NETWORK_MB_PER_SECOND, VCPU_RATIO};
use crate::formats::plain::{Plain, PlainHost, PlainVm};

/// The one group of nodes.
const GROUP: &str = "peers-group";

/// Prefix of the exclusion tags that rules become.
const TAG: &str = "apart";

/// Disks decide nothing on shared storage, but the form wants their sizes, in MiB.
const DISK_MIB: u64 = 2_000_000;
const VM_DISK_MIB: u64 = 20_480;

/// Ganeti's own policy but for the largest instance, up to its ratio of vCPUs.
const POLICY: &str = "|128,1,1024,1,1,1|128,1,1024,1,1,1;1073741824,4096,1073741824,16,8,12|\
    diskless,file,sharedfile,plain,blockdev,drbd,rbd,ext,gluster|";

/// The text, the file of dynamic use, and what of `plain` they have no place for.
pub(in crate::formats) fn write(plain: &Plain) -> (String, String, Vec<String>) {
    let mut used: BTreeMap<&HostId, u64> = BTreeMap::new();
    for (vm, host) in plain.vms.iter().filter_map(|vm| Some((vm, vm.host.as_ref()?))) {
        *used.entry(host).or_default() += vm.memory_mib;
    }
    let tags = tags(plain);
    let mut text = format!("{GROUP}|uuid-{GROUP}|preferred||\n\n");
    for (index, host) in plain.hosts.iter().enumerate() {
        let used = used.get(&host.name).copied().unwrap_or(0);
        node(&mut text, plain, index, host, used);
    }
    text.push('\n');
    for (vm, host) in plain.vms.iter().filter_map(|vm| Some((vm, vm.host.as_ref()?))) {
        instance(&mut text, vm, host, tags.get(&vm.name).map_or(&[], Vec::as_slice));
    }
    text.push('\n');
    if !tags.is_empty() {
        let _ = writeln!(text, "{EXCLUSION}{TAG}");
    }
    let ratio = plain.limits.cpu_overcommit;
    let own_policy = ratio.total_cmp(&VCPU_RATIO).is_ne();
    if tags.is_empty() || own_policy {
        text.push('\n');
    }
    if own_policy {
        let _ = writeln!(text, "{POLICY}{ratio:?}|32.0");
    }
    (text, dynamic_use(plain), lost(plain))
}

fn node(text: &mut String, plain: &Plain, index: usize, host: &PlainHost, used_mib: u64) {
    let closed = host.state != HostState::Up || plain.drain.contains(&host.name);
    let flag = match (closed, index) {
        (true, _) => 'Y',
        (false, 0) => 'M',
        (false, _) => 'N',
    };
    let guests = host.memory_mib.saturating_sub(host.system_memory_mib) as f64;
    let room = (guests * (1.0 - plain.limits.memory_reserve)) as u64;
    let reserved = host.memory_mib - room.min(host.memory_mib);
    let free = i128::from(host.memory_mib) - i128::from(reserved) - i128::from(used_mib);
    let PlainHost { name, memory_mib, cores, .. } = host;
    let _ = writeln!(
        text,
        "{name}|{memory_mib}|{reserved}|{free}|{DISK_MIB}|{DISK_MIB}|{cores}|{flag}|uuid-{GROUP}|1||N|0|1|1.0"
    );
}

fn instance(text: &mut String, vm: &PlainVm, host: &HostId, tags: &[String]) {
    let PlainVm { name, memory_mib, vcpus, .. } = vm;
    let tags = tags.join(",");
    let _ = writeln!(
        text,
        "{name}|{memory_mib}|{VM_DISK_MIB}|{vcpus}|running|Y|{host}||rbd|{tags}|1|1|N"
    );
}

/// The exclusion tags of each guest: one for every group to be kept apart.
fn tags(plain: &Plain) -> BTreeMap<&VmId, Vec<String>> {
    let mut tags: BTreeMap<&VmId, Vec<String>> = BTreeMap::new();
    let apart = plain.rules.iter().filter(|rule| keeps_apart(rule));
    for (index, rule) in apart.enumerate() {
        for vm in rule.vms() {
            tags.entry(vm).or_default().push(format!("{TAG}:{index}"));
        }
    }
    tags
}

fn dynamic_use(plain: &Plain) -> String {
    let hosts: BTreeMap<&HostId, &PlainHost> =
        plain.hosts.iter().map(|host| (&host.name, host)).collect();
    let mut text = String::new();
    for vm in &plain.vms {
        let Some(host) = vm.host.as_ref().and_then(|host| hosts.get(host)) else { continue };
        let memory = vm.memory_mib as f64 / host.memory_mib.max(1) as f64;
        let disk = vm.disk_mb_per_second / DISK_MB_PER_SECOND;
        let network = vm.network_mb_per_second / NETWORK_MB_PER_SECOND;
        let cpu = cpu_part(vm.use_cores, host.cores);
        let _ = writeln!(text, "{} {cpu} {memory:.5} {disk:.5} {network:.5}", vm.name);
    }
    text
}

/// Five digits as everywhere, or as many as bring the thousandths of a core back.
fn cpu_part(used: f64, cores: f64) -> String {
    let milli = (used * 1000.0).round();
    let digits = (5..12).find(|&digits| {
        let read: f64 = format!("{:.digits$}", used / cores).parse().unwrap_or(f64::NAN);
        (read * cores * 1000.0).round().total_cmp(&milli).is_eq()
    });
    format!("{:.*}", digits.unwrap_or(12), used / cores)
}

fn lost(plain: &Plain) -> Vec<String> {
    let mut lost = Vec::new();
    let others = plain.rules.iter().filter(|rule| !keeps_apart(rule));
    let mut say = |count: usize, what: &str| {
        if count > 0 {
            lost.push(format!("{count} {what}"));
        }
    };
    say(others.count(), "rules that are not anti-affinity: Ganeti has no such");
    say(plain.vms.iter().filter(|vm| vm.host.is_none()).count(), "guests that run nowhere");
    let priced = plain.vms.iter().filter(|vm| vm.move_cost_seconds > 0.0).count();
    say(priced, "costs of migrations: hbal counts moves");
    lost
}

/// Whether it is what exclusion tags say: no two of its VMs on one node, and nothing less.
fn keeps_apart(rule: &Rule) -> bool {
    rule.is_hard()
        && rule.vms_tagged.is_none()
        && rule.kind == RuleKind::AntiAffinity { per: Per::Host, most: 1 }
}
