//! The cluster as it was at a given moment, from recorded telemetry.
//!
//! A snapshot states what was known at that moment, with the age that it had: the last answer of
//! each host, the domains of that answer, the newest dirty readings. Nothing from after the moment
//! is used. Where the samples cannot say how large a host is, the [`Inventory`] does.
//!
//! Never here: interpolation between samples, or a decision which of two sightings is right. One
//! is left out only when a migration record shows that the domain had left by then.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use whimbrel_core::{
    cluster::{DirtyReading, Domain, Host, HostState, Snapshot},
    ids::{HostId, VmId},
    telemetry::{DirtySample, DomainSample, HostSample, JobSample, MigrationRecord},
    units::{Bytes, BytesPerSecond, MilliCores, Span, Timestamp},
};

use crate::{error::DatasetError, inventory::Inventory, reader::TelemetryReader};

/// Older readings do not describe what the guest does now.
const READING_AGE_MAX: Span = Span::from_seconds(600);
/// Readings of one window length in a snapshot: enough to see their scatter.
const READINGS_MAX: usize = 5;
/// Links do not keep their load for longer.
const BANDWIDTH_AGE_MAX: Span = Span::from_seconds(3600);

/// Recorded telemetry in memory, ready to be looked at moment by moment.
#[derive(Debug, Clone)]
pub struct SnapshotSource {
    hosts: BTreeMap<HostId, HostHistory>,
    loads: BTreeMap<VmId, BTreeMap<Timestamp, MilliCores>>,
    dirty: BTreeMap<VmId, Vec<DirtyReading>>,
    inventory: Inventory,
    range: Option<(Timestamp, Timestamp)>,
}

/// What was recorded at one host; every list oldest first.
#[derive(Debug, Clone, Default)]
struct HostHistory {
    samples: Vec<HostSample>,
    domains: Vec<DomainSample>,
    jobs: Vec<JobSample>,
    departures: Vec<Departure>,
}

/// A domain that left the host by a migration.
#[derive(Debug, Clone)]
struct Departure {
    vm: VmId,
    at: Timestamp,
    bandwidth: Option<BytesPerSecond>,
}

impl SnapshotSource {
    /// Reads the store in `dir` and the inventory beside its tables.
    ///
    /// # Errors
    /// [`DatasetError`] when a part or the inventory cannot be read.
    pub fn load(dir: &Path) -> Result<Self, DatasetError> {
        Self::read(dir, &TelemetryReader::open(dir)?)
    }

    /// The same without what is older than `from`: what a program that runs for months can hold.
    ///
    /// # Errors
    /// As [`SnapshotSource::load`].
    pub fn load_since(dir: &Path, from: Timestamp) -> Result<Self, DatasetError> {
        let end = Timestamp::from_micros(u64::MAX);
        Self::read(dir, &TelemetryReader::open(dir)?.between(from, end))
    }

    fn read(dir: &Path, reader: &TelemetryReader) -> Result<Self, DatasetError> {
        let inventory = Inventory::read(dir)?;
        let mut hosts: BTreeMap<HostId, HostHistory> =
            inventory.hosts.keys().map(|host| (host.clone(), HostHistory::default())).collect();
        let mut range = None;
        for sample in reader.hosts()? {
            widen(&mut range, sample.at);
            hosts.entry(sample.host.clone()).or_default().samples.push(sample);
        }
        for sample in reader.domains()? {
            widen(&mut range, sample.at);
            hosts.entry(sample.host.clone()).or_default().domains.push(sample);
        }
        for sample in reader.jobs()? {
            if let Some(host) = hosts.get_mut(&sample.host) {
                host.jobs.push(sample);
            }
        }
        for record in reader.migrations()?.into_iter().filter(|record| record.arrived) {
            if let Some(host) = hosts.get_mut(&record.from) {
                host.departures.push(Departure::from(record));
            }
        }
        let mut dirty: BTreeMap<VmId, Vec<DirtyReading>> = BTreeMap::new();
        for sample in reader.dirty()? {
            widen(&mut range, sample.at);
            let DirtySample { at: measured_at, vm, window, unique, .. } = sample;
            dirty.entry(vm).or_default().push(DirtyReading { window, unique, measured_at });
        }
        let loads = loads(&hosts);
        Ok(Self { hosts, loads, dirty, inventory, range })
    }

    /// Times of the first and the last sample; `None` when there is none.
    pub fn time_range(&self) -> Option<(Timestamp, Timestamp)> {
        self.range
    }

    /// Every domain that was sampled, in order.
    pub fn vms(&self) -> BTreeSet<&VmId> {
        self.hosts.values().flat_map(|host| &host.domains).map(|sample| &sample.vm).collect()
    }

    /// The cluster as it was known at `at`. After the last sample it only grows older.
    ///
    /// # Errors
    /// [`DatasetError::BeforeFirstSample`], and [`DatasetError::NoCapacity`] when neither the
    /// samples nor the inventory say how large a host is.
    pub fn at(&self, at: Timestamp) -> Result<Snapshot, DatasetError> {
        if self.range.is_none_or(|(first, _)| at < first) {
            let hint = self.range.map_or_else(
                || "the data set has no samples".to_owned(),
                |(first, last)| format!("the data reaches from {first} to {last}"),
            );
            return Err(DatasetError::BeforeFirstSample { asked: at, hint });
        }
        let mut snapshot =
            Snapshot { taken_at: at, hosts: BTreeMap::new(), domains: vec![], orders: vec![] };
        for (id, history) in &self.hosts {
            let mut domains = history.domains_at(at);
            for domain in domains.iter_mut().filter(|domain| domain.state.lives_here()) {
                domain.dirty = self.readings_at(&domain.vm, at);
            }
            snapshot.hosts.insert(id.clone(), self.host_at(id, history, &domains, at)?);
            snapshot.domains.append(&mut domains);
        }
        snapshot.normalise();
        Ok(snapshot)
    }

    /// CPU in use of `vm` wherever it lived, one value a moment, oldest first.
    pub fn load_series(&self, vm: &VmId) -> Vec<(Timestamp, MilliCores)> {
        self.loads.get(vm).into_iter().flatten().map(|(at, used)| (*at, *used)).collect()
    }

    /// Dirty readings of `vm` of all windows, oldest first.
    pub fn dirty_series(&self, vm: &VmId) -> Vec<DirtyReading> {
        self.dirty.get(vm).cloned().unwrap_or_default()
    }

    fn host_at(
        &self,
        id: &HostId,
        history: &HostHistory,
        domains: &[Domain],
        at: Timestamp,
    ) -> Result<Host, DatasetError> {
        let no_capacity = |what| DatasetError::NoCapacity { host: id.clone(), what };
        let capacity = self.inventory.hosts.get(id).copied().unwrap_or_default();
        let answer = history.answer_at(at);
        let memory = capacity.memory.or_else(|| history.memory_at(at));
        Ok(Host {
            state: until(&history.samples, at, |s| s.at)
                .last()
                .map_or(HostState::Unreachable, |sample| sample.state),
            observed_at: answer.map(|sample| sample.at).unwrap_or_default(),
            cpu: capacity.cpu.ok_or_else(|| no_capacity("cpu"))?,
            memory: memory.ok_or_else(|| no_capacity("memory"))?,
            cpu_used: answer.and_then(|_| cpu_of(domains)),
            migration_bandwidth: history.bandwidth_at(at),
            qemu: None,
            tags: BTreeSet::new(),
            offers: whimbrel_core::cluster::Offers::default(),
        })
    }

    /// What was known of `vm`'s writes at `at`: the newest readings of every window length, none
    /// older than ten minutes, ordered by window, then time.
    pub fn readings_at(&self, vm: &VmId, at: Timestamp) -> Vec<DirtyReading> {
        let readings = self.dirty.get(vm).map(Vec::as_slice).unwrap_or_default();
        let mut newest: BTreeMap<Span, Vec<DirtyReading>> = BTreeMap::new();
        for reading in until(readings, at, |r| r.measured_at).iter().rev() {
            if at.since(reading.measured_at) > READING_AGE_MAX {
                break;
            }
            let of_window = newest.entry(reading.window).or_default();
            if of_window.len() < READINGS_MAX {
                of_window.push(*reading);
            }
        }
        newest.into_values().flat_map(|readings| readings.into_iter().rev()).collect()
    }
}

impl HostHistory {
    /// The last sample up to `at` in which the host answered.
    fn answer_at(&self, at: Timestamp) -> Option<&HostSample> {
        let samples = until(&self.samples, at, |sample| sample.at);
        samples.iter().rev().find(|sample| sample.state != HostState::Unreachable)
    }

    /// Memory of the machine: as last told up to `at`, else as first told later. A host that has
    /// not answered yet is as large as it will turn out to be.
    fn memory_at(&self, at: Timestamp) -> Option<Bytes> {
        let (told, later) =
            self.samples.split_at(self.samples.partition_point(|sample| sample.at <= at));
        let mut nearest_first = told.iter().rev().chain(later);
        nearest_first.find_map(|sample| sample.memory_total)
    }

    /// The domains in the host's last answer, without those that have left since.
    ///
    /// An answer and the domains in it carry the same time; a domain with an older sample was not
    /// in it.
    fn domains_at(&self, at: Timestamp) -> Vec<Domain> {
        let Some(answer) = self.answer_at(at) else { return Vec::new() };
        let of_answer = until(&self.domains, at, |sample| sample.at)
            .iter()
            .rev()
            .take_while(|sample| sample.at >= answer.at)
            .filter(|sample| !self.has_left(sample, at));
        let mut newest: BTreeMap<&VmId, &DomainSample> = BTreeMap::new();
        for sample in of_answer {
            newest.entry(&sample.vm).or_insert(sample);
        }
        newest.into_values().map(|sample| self.domain(sample, at)).collect()
    }

    fn has_left(&self, sample: &DomainSample, at: Timestamp) -> bool {
        self.departures
            .iter()
            .any(|left| left.vm == sample.vm && sample.at < left.at && left.at <= at)
    }

    fn domain(&self, sample: &DomainSample, at: Timestamp) -> Domain {
        let looks = until(&self.jobs, at, |job| job.at).iter().rev();
        let job = looks
            .take_while(|job| job.at >= sample.at)
            .find(|job| job.vm == sample.vm)
            .map(|job| job.progress);
        Domain {
            vm: sample.vm.clone(),
            uuid: sample.uuid.clone(),
            host: sample.host.clone(),
            state: sample.state,
            observed_at: sample.at,
            vcpus: sample.vcpus,
            memory: sample.memory,
            resident: sample.resident,
            cpu_used: sample.cpu_used,
            dirty: Vec::new(),
            job,
            tags: BTreeSet::new(),
            needs: whimbrel_core::cluster::Needs::default(),
        }
    }

    /// Median of what recent migrations without a limit achieved from here; the upper one of two middle values.
    fn bandwidth_at(&self, at: Timestamp) -> Option<BytesPerSecond> {
        let recent = |left: &&Departure| left.at <= at && at.since(left.at) <= BANDWIDTH_AGE_MAX;
        let mut rates: Vec<_> =
            self.departures.iter().filter(recent).filter_map(|left| left.bandwidth).collect();
        rates.sort_unstable();
        rates.get(rates.len() / 2).copied()
    }
}

impl From<MigrationRecord> for Departure {
    fn from(record: MigrationRecord) -> Self {
        // What a limit of its own held back says nothing of the link.
        let free = record.settings.bandwidth_limit.is_none();
        let bandwidth = record.stats.filter(|_| free).map(|stats| stats.bandwidth);
        Self {
            vm: record.vm,
            at: record.at + record.wall,
            bandwidth: bandwidth.filter(|rate| *rate > BytesPerSecond::ZERO),
        }
    }
}

/// CPU in use of every domain wherever it lived, one value a moment.
fn loads(hosts: &BTreeMap<HostId, HostHistory>) -> BTreeMap<VmId, BTreeMap<Timestamp, MilliCores>> {
    let mut loads: BTreeMap<VmId, BTreeMap<Timestamp, MilliCores>> = BTreeMap::new();
    for sample in hosts.values().flat_map(|host| &host.domains) {
        let Some(used) = sample.cpu_used.filter(|_| sample.state.lives_here()) else { continue };
        if let Some(series) = loads.get_mut(&sample.vm) {
            series.insert(sample.at, used);
        } else {
            loads.insert(sample.vm.clone(), BTreeMap::from([(sample.at, used)]));
        }
    }
    loads
}

/// CPU of the domains together, which is what a host uses whose share of a machine is given by the
/// inventory: its own counters show the whole machine. `None` when no domain has a figure.
fn cpu_of(domains: &[Domain]) -> Option<MilliCores> {
    let unknown = !domains.is_empty() && domains.iter().all(|domain| domain.cpu_used.is_none());
    (!unknown).then(|| domains.iter().filter_map(|domain| domain.cpu_used).sum())
}

/// The part of `rows`, which are ordered by time, up to and including `at`.
fn until<T>(rows: &[T], at: Timestamp, time: impl Fn(&T) -> Timestamp) -> &[T] {
    rows.split_at(rows.partition_point(|row| time(row) <= at)).0
}

fn widen(range: &mut Option<(Timestamp, Timestamp)>, at: Timestamp) {
    *range = Some(range.map_or((at, at), |(first, last)| (first.min(at), last.max(at))));
}
