//! The plain form: one JSON object with hosts, guests, rules and what is asked, as other planners
//! read it too.
//!
//! Documented key by key in `benches/peers/README.md`. Never here: what a planner makes of it
//! ([`convert`](super::convert)).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::{HostState, VCPUS_MAX},
    ids::{HostId, VmId},
    policy::Rule,
};

use super::{fault::FormatError, lines};

/// Largest memory of a host or guest: 1 PiB.
pub(super) const MEMORY_MIB_MAX: u64 = 1 << 30;
/// Largest number of cores, of one host or in use.
pub(super) const CORES_MAX: f64 = 1e6;
/// Fastest network: 1 TiB/s.
pub(super) const SPEED_MAX: f64 = (1u64 << 20) as f64;
/// Dearest migration, in guest-seconds.
pub(super) const COST_MAX: f64 = 1e9;
/// Largest load of disk or network, in MB/s.
const LOAD_MAX: f64 = 1e9;
/// Longest horizon: 30 days.
const HORIZON_MAX: f64 = 30.0 * 86_400.0;

const HINT: &str = "benches/peers/README.md documents every key of the plain form";

/// One instance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plain {
    /// Its name.
    pub name: String,
    /// What is asked, where the file says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<PlainGoal>,
    /// Hypervisors, each name once.
    pub hosts: Vec<PlainHost>,
    /// Guests, each name once.
    pub vms: Vec<PlainVm>,
    /// Who may be where.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Hosts to be emptied.
    #[serde(default)]
    pub drain: Vec<HostId>,
    /// What every placement keeps.
    #[serde(default)]
    pub limits: PlainLimits,
    /// What less is better of.
    pub objective: PlainObjective,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the goals' names say it")]
pub enum PlainGoal {
    Balance,
    Drain,
    Defragment,
    Powersave,
    Place,
    Rescue,
}

/// A hypervisor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainHost {
    /// Its name.
    pub name: HostId,
    /// Physical cores that guests may use. Range 0.001 to 1e6.
    pub cores: f64,
    /// Memory in the machine, in MiB.
    pub memory_mib: u64,
    /// The part that is not for guests, in MiB.
    #[serde(default)]
    pub system_memory_mib: u64,
    /// Payload that its network carries each way, in MiB/s. Range 0.001 to 1 TiB/s.
    #[serde(default = "ten_gigabit")]
    pub migration_mib_per_second: f64,
    /// Only one that is up takes guests.
    #[serde(default = "up")]
    pub state: HostState,
}

/// A guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainVm {
    /// Its name.
    pub name: VmId,
    /// Its memory, in MiB. Range 1 to 1 PiB.
    pub memory_mib: u64,
    /// Virtual CPUs. Range 1 to 4096.
    pub vcpus: u32,
    /// Its forecast demand, in cores.
    pub use_cores: f64,
    /// Where it runs; nowhere while it waits for a place.
    pub host: Option<HostId>,
    /// What one migration of it costs, in guest-seconds. Range 0 to 1e9.
    #[serde(default)]
    pub move_cost_seconds: f64,
    /// Memory that it dirties, in MiB/s.
    #[serde(default)]
    pub dirty_mib_per_second: f64,
    /// Higher is restarted first.
    #[serde(default)]
    pub priority: i64,
    /// Load on its disk, in MB/s; only Ganeti's form has it.
    #[serde(default)]
    pub disk_mb_per_second: f64,
    /// Load on its network, in MB/s; only Ganeti's form has it.
    #[serde(default)]
    pub network_mb_per_second: f64,
}

/// What every placement keeps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlainLimits {
    /// vCPUs that one core may carry.
    pub cpu_overcommit: f64,
    /// Part of each host's memory for guests that stays free.
    pub memory_reserve: f64,
}

impl Default for PlainLimits {
    fn default() -> Self {
        Self { cpu_overcommit: 4.0, memory_reserve: 0.0 }
    }
}

/// Waiting on a host as the largest of some lines.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainObjective {
    /// `slope * demand_cores + intercept * cores` each.
    pub chords: Vec<[f64; 2]>,
    /// How long the demand lasts, in seconds. Range 0.001 to 30 days.
    #[serde(default = "one_hour")]
    pub horizon_seconds: f64,
}

/// 10 Gb/s less headers, in MiB/s.
pub(super) fn ten_gigabit() -> f64 {
    1111.0
}

fn up() -> HostState {
    HostState::Up
}

fn one_hour() -> f64 {
    3600.0
}

/// Reads `text` and refuses what does not hold together.
pub(super) fn read(text: &str) -> Result<Plain, FormatError> {
    let plain: Plain =
        serde_json::from_str(text).map_err(|error| FormatError::json(&error, 0, HINT))?;
    plain.check()?;
    Ok(plain)
}

/// `plain` as its file, one host, guest or rule a line.
pub(super) fn write(plain: &Plain) -> Result<String, FormatError> {
    let mut text = lines::text(plain).map_err(|error| FormatError::json(&error, 0, HINT))?;
    text.push('\n');
    Ok(text)
}

impl Plain {
    /// Whether names, references and numbers hold together.
    ///
    /// # Errors
    /// [`FormatError`] for the first that does not.
    pub fn check(&self) -> Result<(), FormatError> {
        let mut hosts = BTreeSet::new();
        for (index, host) in self.hosts.iter().enumerate() {
            let place = format!("hosts[{index}] {}", host.name);
            if !hosts.insert(&host.name) {
                return Err(twice(&place));
            }
            host.check(&place)?;
        }
        let mut vms = BTreeSet::new();
        for (index, vm) in self.vms.iter().enumerate() {
            let place = format!("vms[{index}] {}", vm.name);
            if !vms.insert(&vm.name) {
                return Err(twice(&place));
            }
            vm.check(&place)?;
            if let Some(host) = vm.host.as_ref().filter(|host| !hosts.contains(host)) {
                return Err(nobody(&format!("{place}: host"), host.as_str()));
            }
        }
        for (index, rule) in self.rules.iter().enumerate() {
            let place = format!("rules[{index}] {}", rule.name());
            let vm = rule.vms().iter().find(|vm| !vms.contains(vm)).map(VmId::as_str);
            let host = || rule.hosts().iter().find(|host| !hosts.contains(host));
            if let Some(name) = vm.or_else(|| host().map(HostId::as_str)) {
                return Err(nobody(&place, name));
            }
        }
        if let Some(host) = self.drain.iter().find(|host| !hosts.contains(host)) {
            return Err(nobody("drain", host.as_str()));
        }
        let horizon = self.objective.horizon_seconds;
        number("objective", "horizon_seconds", horizon, (0.001, HORIZON_MAX))?;
        let lines = self.objective.chords.iter().flatten();
        lines.into_iter().try_for_each(|one| number("objective", "chords", *one, (-1e9, 1e9)))
    }
}

impl PlainHost {
    fn check(&self, place: &str) -> Result<(), FormatError> {
        number(place, "cores", self.cores, (0.001, CORES_MAX))?;
        number(place, "memory_mib", self.memory_mib as f64, (0.0, MEMORY_MIB_MAX as f64))?;
        let system = (0.0, self.memory_mib as f64);
        number(place, "system_memory_mib", self.system_memory_mib as f64, system)?;
        let speed = self.migration_mib_per_second;
        number(place, "migration_mib_per_second", speed, (0.001, SPEED_MAX))
    }
}

impl PlainVm {
    fn check(&self, place: &str) -> Result<(), FormatError> {
        number(place, "memory_mib", self.memory_mib as f64, (1.0, MEMORY_MIB_MAX as f64))?;
        number(place, "vcpus", self.vcpus.into(), (1.0, VCPUS_MAX.into()))?;
        number(place, "use_cores", self.use_cores, (0.0, CORES_MAX))?;
        number(place, "move_cost_seconds", self.move_cost_seconds, (0.0, COST_MAX))?;
        number(place, "dirty_mib_per_second", self.dirty_mib_per_second, (0.0, SPEED_MAX))?;
        number(place, "disk_mb_per_second", self.disk_mb_per_second, (0.0, LOAD_MAX))?;
        number(place, "network_mb_per_second", self.network_mb_per_second, (0.0, LOAD_MAX))
    }
}

fn number(
    place: &str,
    key: &str,
    value: f64,
    (least, most): (f64, f64),
) -> Result<(), FormatError> {
    // Written so that NaN is out of range.
    if value >= least && value <= most {
        return Ok(());
    }
    let what = format!("{key} = {value} is not from {least} to {most}");
    Err(FormatError::new(place, what, HINT))
}

fn twice(place: &str) -> FormatError {
    FormatError::new(place, "the name stands twice", "give every host and guest a name of its own")
}

fn nobody(place: &str, name: &str) -> FormatError {
    let what = format!("{name} is not in the file");
    FormatError::new(place, what, "name hosts of `hosts` and guests of `vms`")
}
