//! What was observed: hosts, domains where they were sighted, and migrations under way.
//!
//! A snapshot states facts with their age and draws no conclusion: a host that does not answer is
//! in it with the time of its last reading; a domain seen on two hosts is in it twice. Whoever
//! needs one place for each VM asks [`Snapshot::placement`], which refuses where there is none.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    ids::{HostId, OrderId, VmId},
    settings::QemuVersion,
    units::{Bytes, BytesPerSecond, MilliCores, Span, Timestamp},
};

mod facts;

pub use facts::{Lack, Needs, NumaNode, Offers};

/// The cluster as seen at one moment. Immutable; readings carry their own age.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    /// When the snapshot was put together.
    pub taken_at: Timestamp,
    /// Every host that the configuration names, whether it answers or not.
    pub hosts: BTreeMap<HostId, Host>,
    /// Every sighting of a domain, ordered by domain, then host.
    pub domains: Vec<Domain>,
    /// What the world says about orders that it accepted, ordered by id.
    #[serde(default)]
    pub orders: Vec<OrderReport>,
}

/// A hypervisor node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Whether it answered.
    pub state: HostState,
    /// When it last answered.
    pub observed_at: Timestamp,
    /// CPU that guests may use.
    pub cpu: MilliCores,
    /// Memory that guests may use, before the policy's reserve.
    pub memory: Bytes,
    /// CPU in use, averaged over the last collection period; `None` before the second reading.
    pub cpu_used: Option<MilliCores>,
    /// What migrations from this host achieved lately on its link, headers included, where no
    /// limit of their own held them back.
    pub migration_bandwidth: Option<BytesPerSecond>,
    /// The QEMU that its libvirt runs, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qemu: Option<QemuVersion>,
    /// What rules may select it by: words, and `key=value` for places such as racks.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// What it offers beside memory and CPU, as far as known.
    #[serde(default, skip_serializing_if = "Offers::is_empty")]
    pub offers: Offers,
}

/// Whether a host takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostState {
    /// It answers.
    Up,
    /// It answers and takes no new domains.
    Maintenance,
    /// It does not answer; its domains are as last seen and may still run.
    Unreachable,
}

/// A domain as one host reports it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Domain {
    /// Its name.
    pub vm: VmId,
    /// Its UUID; a different one under the same name is a different machine.
    pub uuid: String,
    /// The host that reports it.
    pub host: HostId,
    /// What the host says of it.
    pub state: DomainState,
    /// When the host said so.
    pub observed_at: Timestamp,
    /// Virtual CPUs.
    pub vcpus: u32,
    /// Memory given to it (the balloon's present size). Range 1 B..=1 PiB.
    pub memory: Bytes,
    /// Memory of its process on the host, where known.
    pub resident: Option<Bytes>,
    /// CPU in use over the last collection period, 1000 = one core busy.
    pub cpu_used: Option<MilliCores>,
    /// Unique memory dirtied within windows of several lengths, newest readings only.
    #[serde(default)]
    pub dirty: Vec<DirtyReading>,
    /// The running migration job, where one runs.
    #[serde(default)]
    pub job: Option<JobProgress>,
    /// What rules may select it by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// What it needs of its host beside memory and CPU, as far as known.
    #[serde(default, skip_serializing_if = "Needs::is_empty")]
    pub needs: Needs,
}

/// State of a domain on one host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DomainState {
    /// Its vCPUs run here.
    Running,
    /// It is stopped here by a person or an I/O error; it is still this host's.
    Paused,
    /// It waits here for a migration to arrive.
    Incoming,
    /// It has left, its process is not gone yet.
    Outgoing,
    /// It is defined here and does not run.
    ShutOff,
    /// Post-copy broke: nobody may act on it without a human.
    PostCopyFailed,
}

impl DomainState {
    /// Whether this sighting means that the domain lives here: it holds memory and may write.
    pub fn lives_here(self) -> bool {
        matches!(self, Self::Running | Self::Paused | Self::PostCopyFailed)
    }
}

/// Distinct memory dirtied within a window that began with nothing dirty: one point of U(t).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirtyReading {
    /// Length of the window.
    pub window: Span,
    /// Distinct memory dirtied in it (not divided by the window).
    pub unique: Bytes,
    /// When the window ended.
    pub measured_at: Timestamp,
}

/// Progress of a migration as QEMU reports it.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobProgress {
    /// Time since the job began.
    pub elapsed: Span,
    /// Memory still to send; falls and rises again with every round.
    pub remaining: Bytes,
    /// Bytes sent so far, headers included.
    pub transferred: Bytes,
    /// The guest's memory as QEMU counts it.
    pub total: Bytes,
    /// Throughput over QEMU's last quantum.
    pub bandwidth: BytesPerSecond,
    /// Newly dirtied memory a second as of QEMU's last evaluation (at most once a second).
    pub dirty_rate: BytesPerSecond,
    /// QEMU's dirty-sync-count: bitmap reads, *not* full passes.
    pub iteration: u64,
    /// Pages sent with content so far.
    #[serde(default)]
    pub normal_pages: u64,
    /// Pages sent as all-zero so far.
    #[serde(default)]
    pub zero_pages: u64,
    /// Part of the time that auto-converge makes vCPUs sleep, in percent.
    #[serde(default)]
    pub throttle_percent: u8,
    /// Pages that the guest had to wait for since the switch to post-copy.
    #[serde(default)]
    pub post_copy_requests: u64,
    /// What xbzrle saved.
    #[serde(default)]
    pub delta: DeltaCoding,
}

/// Counters of a stream that codes differences (xbzrle).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeltaCoding {
    /// Pages sent as differences.
    pub pages: u64,
    /// Bytes of those differences.
    pub bytes: u64,
    /// Pages that were not in the cache and went whole.
    pub misses: u64,
}

/// What the world says about an accepted order. A hint beside the sightings, never instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderReport {
    /// The order.
    pub id: OrderId,
    /// How its call stands.
    pub call: CallState,
    /// Figures of the completed job, where the world kept them.
    pub stats: Option<CompletedStats>,
}

/// How the call behind an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallState {
    /// It has not returned.
    Active,
    /// It returned success.
    Returned,
    /// It returned an error; the migration may nevertheless have happened.
    Errored(String),
}

/// Figures of a completed migration, from QEMU through libvirt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletedStats {
    /// From the job's begin to its end, preparation on the target included.
    pub total_time: Span,
    /// vCPUs stopped, as QEMU counts it: without network re-plumbing on the user's side.
    pub downtime: Span,
    /// Part of `total_time` before the first page, where reported.
    pub setup_time: Span,
    /// Bytes on the wire, headers included.
    pub transferred: Bytes,
    /// Pages sent with content.
    pub normal_pages: u64,
    /// Pages sent as all-zero.
    pub zero_pages: u64,
    /// QEMU's dirty-sync-count.
    pub iterations: u64,
    /// Mean throughput.
    pub bandwidth: BytesPerSecond,
    /// The last part of the time that auto-converge made vCPUs sleep, in percent.
    #[serde(default)]
    pub throttle_percent: u8,
    /// Pages that the guest had to wait for after the switch to post-copy.
    #[serde(default)]
    pub post_copy_requests: u64,
    /// What xbzrle saved.
    #[serde(default)]
    pub delta: DeltaCoding,
}

/// Why a snapshot gives a VM no single place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlacementError {
    /// Two hosts say that it lives with them.
    #[error(
        "domain {vm} lives on two hosts, {first} and {second} \
         (hint: find out which one is right and destroy the other by hand; nothing was changed)"
    )]
    OnTwoHosts {
        /// The domain.
        vm: VmId,
        /// One host.
        first: HostId,
        /// The other.
        second: HostId,
    },
    /// A sighting names a host that the snapshot does not have.
    #[error("domain {vm} is on host {host}, which the snapshot does not list (hint: add the host)")]
    UnknownHost {
        /// The domain.
        vm: VmId,
        /// The missing host.
        host: HostId,
    },
    /// A size that no machine has.
    #[error("domain {vm}: {what} (hint: check the inventory)")]
    Absurd {
        /// The domain.
        vm: VmId,
        /// The value and its limit.
        what: String,
    },
}

/// Largest number of vCPUs that a domain may claim; QEMU's own limit is 4096 on x86.
pub const VCPUS_MAX: u32 = 4096;

impl Snapshot {
    /// The one sighting where each VM lives.
    ///
    /// # Errors
    /// [`PlacementError`] when a VM lives on two hosts, on a host that is not listed, or claims
    /// an impossible size. Nobody may plan or act on such a snapshot.
    pub fn placement(&self) -> Result<BTreeMap<&VmId, &Domain>, PlacementError> {
        let mut placement: BTreeMap<&VmId, &Domain> = BTreeMap::new();
        for domain in self.domains.iter().filter(|d| d.state.lives_here()) {
            domain.refuse_absurd()?;
            if !self.hosts.contains_key(&domain.host) {
                return Err(PlacementError::UnknownHost {
                    vm: domain.vm.clone(),
                    host: domain.host.clone(),
                });
            }
            if let Some(other) = placement.insert(&domain.vm, domain) {
                return Err(PlacementError::OnTwoHosts {
                    vm: domain.vm.clone(),
                    first: other.host.clone(),
                    second: domain.host.clone(),
                });
            }
        }
        Ok(placement)
    }

    /// The older of the QEMU at both ends of a migration: what both can do. A host that does not
    /// say counts as [`QemuVersion::default`].
    pub fn qemu_between(&self, from: &HostId, to: &HostId) -> QemuVersion {
        let version = |id| self.hosts.get(id).and_then(|host| host.qemu).unwrap_or_default();
        version(from).min(version(to))
    }

    /// All sightings of `vm`, in host order.
    pub fn sightings<'a, 'b>(
        &'a self,
        vm: &'b VmId,
    ) -> impl Iterator<Item = &'a Domain> + use<'a, 'b> {
        self.domains.iter().filter(move |d| d.vm == *vm)
    }

    /// What the world says of the order `id`.
    pub fn order(&self, id: &OrderId) -> Option<&OrderReport> {
        self.orders.iter().find(|o| o.id == *id)
    }

    /// Puts domains and orders into their documented order.
    pub fn normalise(&mut self) {
        self.domains.sort_by(|a, b| (&a.vm, &a.host).cmp(&(&b.vm, &b.host)));
        self.orders.sort_by(|a, b| a.id.cmp(&b.id));
    }
}

impl Domain {
    fn refuse_absurd(&self) -> Result<(), PlacementError> {
        let absurd = |what: String| Err(PlacementError::Absurd { vm: self.vm.clone(), what });
        if self.memory == Bytes::ZERO {
            return absurd("memory is 0, the least is 1 B".to_owned());
        }
        if self.vcpus == 0 || self.vcpus > VCPUS_MAX {
            return absurd(format!("{} vCPUs, the limits are 1 and {VCPUS_MAX}", self.vcpus));
        }
        Ok(())
    }
}
