//! The truth: hosts, guests and the processes in between, as nobody observes them directly.
//!
//! A host's processes are the one record of where a guest is, so a guest that is in two places, or
//! in none, can be seen here like in a real cluster. CPU is metered lazily: a host's meter is
//! brought up to date when its demand changes or when it is read.
//!
//! Never here: migrations under way, what the controller knows, or events.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    DomainState, HostState, Snapshot,
    cluster::{DirtyReading, Needs, Offers, PlacementError},
    ids::{HostId, VmId},
    settings::QemuVersion,
    telemetry::DirtySample,
    units::{Bytes, BytesPerSecond, MilliCores, Timestamp},
};

use crate::{
    memory::GuestMemory,
    physics::Physics,
    replay::{Replay, Track},
};

mod meter;
mod wishes;

pub(crate) use meter::Meter;

/// Hosts and guests, addressed by their position in name order.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) hosts: Vec<HostTruth>,
    pub(crate) vms: Vec<VmTruth>,
    host_index: BTreeMap<HostId, usize>,
    vm_index: BTreeMap<VmId, usize>,
    /// Hosts and guests whose processes changed since somebody looked.
    pub(crate) touched: Vec<(usize, usize)>,
}

/// A host as it is.
#[derive(Debug, Clone)]
pub(crate) struct HostTruth {
    pub(crate) id: HostId,
    /// Up or in maintenance: what it says of itself when it answers.
    pub(crate) state: HostState,
    pub(crate) cpu: MilliCores,
    pub(crate) memory: Bytes,
    pub(crate) migration_bandwidth: Option<BytesPerSecond>,
    pub(crate) qemu: QemuVersion,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) offers: Offers,
    pub(crate) powered: bool,
    /// Power-ons so far, and the one that it is booting from.
    pub(crate) boots: u32,
    pub(crate) booting: Option<u32>,
    pub(crate) reach: Reach,
    /// The keepalive ran out since it last answered.
    pub(crate) lost: bool,
    /// Counts silences: an event that belongs to an earlier one is stale.
    pub(crate) silences: u32,
    pub(crate) slowed_to: Option<BytesPerSecond>,
    pub(crate) processes: BTreeMap<usize, DomainState>,
    pub(crate) meter: Meter,
    /// Part of what is asked of it that it gave when its guests' copies were last told, 0..=1.
    pub(crate) share_told: f64,
    /// CPU that guests wanted here and did not get, by guest, in the meter's unit.
    stolen: BTreeMap<usize, u128>,
}

/// Whom a host reaches while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The controller gets answers from it.
    pub(crate) heard: bool,
    /// It is on the migration network.
    pub(crate) linked: bool,
}

/// A guest as it is.
#[derive(Debug, Clone)]
pub(crate) struct VmTruth {
    pub(crate) id: VmId,
    pub(crate) uuid: String,
    pub(crate) vcpus: u32,
    pub(crate) memory: Bytes,
    pub(crate) resident: Option<Bytes>,
    /// Memory that was seen not to be all-zero, where it was.
    pub(crate) content: Option<Bytes>,
    pub(crate) cpu: MilliCores,
    /// Part of the time that a throttle makes its vCPUs sleep, in percent.
    throttle_percent: u8,
    /// What its hosts' meters take it to want.
    metered: MilliCores,
    /// Hosts where it runs and is metered, with what the host had withheld from each core that was
    /// wanted when its own share was last taken.
    runs_on: Vec<(usize, u128)>,
    pub(crate) dirty: Vec<DirtyReading>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) needs: Needs,
    /// It was on a host whose power went; nobody else is to blame for its absence.
    pub(crate) lost_to_power: bool,
    pub(crate) cpu_track: Option<Track<MilliCores>>,
    pub(crate) dirty_track: Option<Track<DirtySample>>,
}

/// Least part of its vCPUs' time that a guest is taken to need for its writing.
const NEEDS_LEAST: f64 = 0.01;

impl World {
    /// The world that `snapshot` shows.
    ///
    /// A domain that was about to arrive or to leave is taken as not being there; migrations of
    /// others are taken as not running. A host that did not answer is taken as cut off, with its
    /// guests running as last seen.
    pub(crate) fn new(
        snapshot: &Snapshot,
        replay: Option<&Replay>,
    ) -> Result<Self, PlacementError> {
        snapshot.placement()?;
        let now = snapshot.taken_at;
        let hosts: Vec<HostTruth> =
            snapshot.hosts.iter().map(|(id, host)| HostTruth::new(id, host, now)).collect();
        let host_index = hosts.iter().enumerate().map(|(i, h)| (h.id.clone(), i)).collect();
        let mut world = Self {
            hosts,
            vms: Vec::new(),
            host_index,
            vm_index: BTreeMap::new(),
            touched: Vec::new(),
        };
        let mut sightings: Vec<_> = snapshot.domains.iter().collect();
        // Where it lives comes first: that sighting describes the guest.
        sightings.sort_by_key(|d| (&d.vm, !d.state.lives_here(), &d.host));
        for sighting in sightings {
            let Some(host) = world.host(&sighting.host) else { continue };
            let vm = world.vm(&sighting.vm).unwrap_or_else(|| world.add(sighting));
            let kept = sighting.state.lives_here() || sighting.state == DomainState::ShutOff;
            if kept {
                world.place(host, vm, sighting.state, now);
            }
        }
        for vm in &mut world.vms {
            vm.record(replay);
        }
        Ok(world)
    }

    /// A guest that was not known before; it is nowhere yet.
    pub(crate) fn add(&mut self, domain: &whimbrel_core::Domain) -> usize {
        let index = self.vms.len();
        self.vm_index.insert(domain.vm.clone(), index);
        self.vms.push(VmTruth {
            id: domain.vm.clone(),
            uuid: domain.uuid.clone(),
            vcpus: domain.vcpus,
            memory: domain.memory,
            resident: domain.resident,
            content: None,
            cpu: domain.cpu_used.unwrap_or_default(),
            throttle_percent: 0,
            metered: MilliCores::default(),
            runs_on: Vec::new(),
            dirty: domain.dirty.clone(),
            tags: domain.tags.clone(),
            needs: domain.needs.clone(),
            lost_to_power: false,
            cpu_track: None,
            dirty_track: None,
        });
        index
    }

    /// Position of a host.
    pub(crate) fn host(&self, id: &HostId) -> Option<usize> {
        self.host_index.get(id).copied()
    }

    /// Position of a guest.
    pub(crate) fn vm(&self, id: &VmId) -> Option<usize> {
        self.vm_index.get(id).copied()
    }

    /// Puts a process of `vm` on `host`, or changes its state.
    pub(crate) fn place(&mut self, host: usize, vm: usize, state: DomainState, now: Timestamp) {
        let before = self.hosts[host].processes.insert(vm, state);
        self.demand_changes(host, vm, before, Some(state), now);
    }

    /// Takes the process of `vm` off `host`.
    pub(crate) fn remove(&mut self, host: usize, vm: usize, now: Timestamp) {
        let before = self.hosts[host].processes.remove(&vm);
        self.demand_changes(host, vm, before, None, now);
    }

    fn demand_changes(
        &mut self,
        host: usize,
        vm: usize,
        before: Option<DomainState>,
        after: Option<DomainState>,
        now: Timestamp,
    ) {
        self.touched.push((host, vm));
        let runs = |state| state == Some(DomainState::Running);
        if runs(before) {
            self.take_steal(vm, now);
            let wants = self.vms[vm].metered;
            self.hosts[host].meter.change_demand(wants, MilliCores::default());
            self.vms[vm].runs_on.retain(|(other, _)| *other != host);
        }
        let meter = &mut self.hosts[host].meter;
        let withheld = meter.read(now).withheld;
        if runs(after) {
            let vm = &mut self.vms[vm];
            if vm.runs_on.is_empty() {
                vm.metered = vm.wants();
            }
            meter.change_demand(MilliCores::default(), vm.metered);
            vm.runs_on.push((host, withheld));
        }
    }

    /// Ends every process on `host`; guests that were nowhere else are gone.
    pub(crate) fn cut_power(&mut self, host: usize, now: Timestamp) {
        let processes = std::mem::take(&mut self.hosts[host].processes);
        for (vm, state) in processes {
            self.demand_changes(host, vm, Some(state), None, now);
            if matches!(state, DomainState::Running | DomainState::Paused | DomainState::Outgoing) {
                self.vms[vm].lost_to_power = true;
            }
        }
    }

    /// CPU that a guest gets on `host`.
    pub(crate) fn cpu_given(&self, host: usize, vm: usize) -> MilliCores {
        self.hosts[host].meter.given(self.vms[vm].metered)
    }

    /// Memory of all processes on `host`, arriving ones included.
    pub(crate) fn memory_used(&self, host: usize) -> Bytes {
        let holds = |state: &DomainState| *state != DomainState::ShutOff;
        let processes = self.hosts[host].processes.iter().filter(|(_, state)| holds(state));
        processes.map(|(vm, _)| self.vms[*vm].memory).sum()
    }

    /// A guest's memory as it is being written now.
    pub(crate) fn memory(&self, vm: usize, physics: &Physics) -> GuestMemory {
        let vm = &self.vms[vm];
        let touched = vm.content.into_iter().chain(vm.resident).min();
        let memory = GuestMemory::new(vm.memory, touched, &vm.dirty, physics.unmeasured_writes);
        let vcpus = MilliCores::cores(vm.vcpus.into()).as_cores_f64();
        // A guest that hardly computes writes all the same.
        let needs = (vm.cpu.as_cores_f64() / vcpus).clamp(NEEDS_LEAST, 1.0);
        GuestMemory { needs, ..memory.holding(&physics.stream) }
    }

    /// What both hosts' QEMU can do.
    pub(crate) fn qemu(&self, from: usize, to: usize) -> QemuVersion {
        self.hosts[from].qemu.min(self.hosts[to].qemu)
    }
}

impl HostTruth {
    fn new(id: &HostId, host: &whimbrel_core::Host, now: Timestamp) -> Self {
        let silent = host.state == HostState::Unreachable;
        Self {
            id: id.clone(),
            state: if silent { HostState::Up } else { host.state },
            cpu: host.cpu,
            memory: host.memory,
            migration_bandwidth: host.migration_bandwidth,
            qemu: host.qemu.unwrap_or_default(),
            tags: host.tags.clone(),
            offers: host.offers.clone(),
            powered: true,
            boots: 0,
            booting: None,
            reach: Reach { heard: !silent, linked: !silent },
            lost: silent,
            silences: 0,
            slowed_to: None,
            processes: BTreeMap::new(),
            meter: Meter::new(host.cpu, now),
            share_told: 1.0,
            stolen: BTreeMap::new(),
        }
    }

    /// Whether the controller gets answers from it.
    pub(crate) fn answers(&self) -> bool {
        self.powered && self.reach.heard
    }

    /// What its NIC carries in each direction, bytes a second.
    pub(crate) fn nic(&self, physics: &Physics) -> f64 {
        if !self.powered || !self.reach.linked {
            return 0.0;
        }
        let usual = self.migration_bandwidth.unwrap_or(physics.link_bandwidth);
        self.slowed_to.unwrap_or(usual).as_f64()
    }
}

impl VmTruth {
    /// CPU that it asks for: what its throttle leaves of its vCPUs, if that is less.
    fn wants(&self) -> MilliCores {
        let runs = u64::from(100_u8.saturating_sub(self.throttle_percent));
        let most = MilliCores::cores(self.vcpus.into()).get().saturating_mul(runs) / 100;
        if self.throttle_percent == 0 { self.cpu } else { MilliCores::new(most).min(self.cpu) }
    }

    fn record(&mut self, replay: Option<&Replay>) {
        let Some(replay) = replay else { return };
        self.content = replay.content.get(&self.id).copied();
        if let Some(series) = replay.cpu.get(&self.id) {
            self.cpu_track = Track::new(series.clone());
        }
        if let Some(series) = replay.dirty.get(&self.id) {
            let samples = series.iter().map(|sample| (sample.at, sample.clone())).collect();
            self.dirty_track = Track::new(samples);
            if self.dirty_track.is_some() {
                self.dirty.clear();
            }
        }
    }

    /// Takes a recorded dirty-rate window as measured at `now`, in place of the last one of its
    /// length.
    pub(crate) fn measure(&mut self, sample: &DirtySample, now: Timestamp) {
        let reading =
            DirtyReading { window: sample.window, unique: sample.unique, measured_at: now };
        match self.dirty.iter_mut().find(|r| r.window == sample.window) {
            Some(place) => *place = reading,
            None => self.dirty.push(reading),
        }
    }
}
