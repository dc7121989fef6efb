//! What a collector would have read.
//!
//! Hosts are read one by one, each once in a collection period, so a snapshot joins readings of
//! different moments: a guest that arrives in between is seen at both ends, or at none.

use std::collections::{BTreeMap, BTreeSet};

use rand::RngExt;
use whimbrel_core::{
    Domain, DomainState, Host, HostState, Snapshot,
    cluster::{CallState, DirtyReading, JobProgress},
    ids::HostId,
    units::{Bytes, MilliCores, Span, Timestamp},
};

use super::{Event, SimCluster};
use crate::world::Meter;

/// A host as last read.
#[derive(Debug, Clone, Default)]
pub(super) struct Reading {
    observed_at: Timestamp,
    cpu_used: Option<MilliCores>,
    /// The meter's use at `observed_at`.
    used: u128,
    sightings: Vec<Sighting>,
}

/// A process as last read.
#[derive(Debug, Clone, Copy)]
struct Sighting {
    vm: usize,
    state: DomainState,
    cpu_used: Option<MilliCores>,
    job: Option<JobProgress>,
}

impl SimCluster {
    /// Takes the snapshot's readings over and schedules each host's own.
    pub(super) fn first_readings(&mut self, snapshot: &Snapshot) {
        let period = self.physics.collection_period;
        let mut phases = self.streams.stream("collection");
        for (host, observed) in snapshot.hosts.values().enumerate() {
            self.read_at(host, observed.observed_at.min(snapshot.taken_at));
            self.readings[host].cpu_used = observed.cpu_used;
            let phase = period.as_seconds_f64() * phases.random::<f64>();
            if period > Span::ZERO {
                self.agenda.after(Span::from_seconds_f64(phase), Event::Read { host });
            }
        }
    }

    /// Reads one host, if it answers, and schedules the next time.
    pub(super) fn read(&mut self, host: usize) {
        if self.world.hosts[host].answers() {
            self.read_at(host, self.agenda.now());
        }
        if self.collecting {
            self.agenda.after(self.physics.collection_period, Event::Read { host });
        }
    }

    fn read_at(&mut self, host: usize, at: Timestamp) {
        let now = self.agenda.now();
        let used = self.world.hosts[host].meter.read(now).used;
        let reading = &mut self.readings[host];
        if let Some(mean) = Meter::mean(used, reading.used, at.since(reading.observed_at)) {
            reading.cpu_used = Some(mean);
        }
        reading.used = used;
        reading.observed_at = at;
        reading.sightings.clear();
        for (&vm, &state) in &self.world.hosts[host].processes {
            let mut jobs = self.active.iter().map(|index| &self.migrations[*index]);
            let job = jobs.find(|m| m.vm == vm && m.from == host);
            let job = job.map(|m| m.progress(now, &self.physics));
            let runs = state == DomainState::Running;
            let cpu_used = runs.then(|| self.world.cpu_given(host, vm));
            reading.sightings.push(Sighting { vm, state, cpu_used, job });
        }
        if let Some(age) = self.trouble.staleness(host) {
            let late = &mut self.trouble.hosts[host].late;
            late.push(self.readings[host].clone());
            // What was already replaced by another will never be seen again.
            let seen = late.iter().rposition(|r| now.since(r.observed_at) >= age).unwrap_or(0);
            late.drain(..seen);
        }
    }

    /// What is seen of a host: its last reading, or, where readings come late, the newest that is
    /// old enough.
    fn seen(&self, host: usize, now: Timestamp) -> &Reading {
        let Some(age) = self.trouble.staleness(host) else { return &self.readings[host] };
        let late = &self.trouble.hosts[host].late;
        let old_enough = |reading: &&Reading| now.since(reading.observed_at) >= age;
        late.iter().rev().find(old_enough).or(late.first()).unwrap_or(&self.readings[host])
    }

    /// The snapshot that the controller has now.
    pub(super) fn observed(&mut self) -> Snapshot {
        if self.physics.collection_period == Span::ZERO {
            self.read_all();
        } else {
            self.read_where_calls_are();
        }
        let mut snapshot = Snapshot {
            taken_at: self.agenda.now(),
            hosts: BTreeMap::new(),
            domains: Vec::new(),
            orders: self.migrations.iter().filter_map(super::Migration::report).collect(),
        };
        for (index, truth) in self.world.hosts.iter().enumerate() {
            let reading = self.seen(index, snapshot.taken_at);
            let host = Host {
                state: if truth.lost { HostState::Unreachable } else { truth.state },
                observed_at: reading.observed_at,
                cpu: truth.cpu,
                memory: truth.memory,
                cpu_used: reading.cpu_used,
                migration_bandwidth: truth.migration_bandwidth,
                qemu: None,
                tags: truth.tags.clone(),
                offers: truth.offers.clone(),
            };
            let sightings = reading.sightings.iter();
            let domains = sightings.map(|s| self.domain(s, &truth.id, reading.observed_at));
            snapshot.domains.extend(domains);
            snapshot.hosts.insert(truth.id.clone(), host);
        }
        snapshot.normalise();
        snapshot
    }

    /// Reads the hosts of calls under way again: the collector looks at them more often than at
    /// others. What they say between two looks of the controller nobody misses.
    fn read_where_calls_are(&mut self) {
        let now = self.agenda.now();
        let active = |m: &&super::Migration| m.call_held && m.call == CallState::Active;
        let hosts: BTreeSet<usize> =
            self.migrations.iter().filter(active).flat_map(|m| [m.from, m.to]).collect();
        for host in hosts {
            let old = now.since(self.readings[host].observed_at) >= self.physics.interest_period;
            if old && self.world.hosts[host].answers() {
                self.read_at(host, now);
            }
        }
    }

    /// As of when a host is seen.
    pub(crate) fn seen_at(&self, host: usize) -> Timestamp {
        self.seen(host, self.agenda.now()).observed_at
    }

    /// Reads every host that answers, now.
    pub(crate) fn read_all(&mut self) {
        let now = self.agenda.now();
        for host in 0..self.world.hosts.len() {
            if self.world.hosts[host].answers() {
                self.read_at(host, now);
            }
        }
    }

    /// Nobody looks any more: hosts are no longer read by themselves.
    pub(crate) fn stop_reading(&mut self) {
        self.collecting = false;
    }

    fn domain(&self, sighting: &Sighting, host: &HostId, observed_at: Timestamp) -> Domain {
        let guest = &self.world.vms[sighting.vm];
        let (mut dirty_percent, mut cpu_percent) = (100, 100);
        for (_, dirty, cpu) in self.trouble.lies.values().filter(|lie| lie.0 == sighting.vm) {
            (dirty_percent, cpu_percent) = (*dirty, *cpu);
        }
        Domain {
            vm: guest.id.clone(),
            uuid: guest.uuid.clone(),
            host: host.clone(),
            state: sighting.state,
            observed_at,
            vcpus: guest.vcpus,
            memory: guest.memory,
            resident: guest.resident,
            cpu_used: sighting.cpu_used.map(|cpu| cpu_told(cpu, cpu_percent)),
            dirty: guest.dirty.iter().map(|reading| dirty_told(*reading, dirty_percent)).collect(),
            job: sighting.job,
            tags: guest.tags.clone(),
            needs: guest.needs.clone(),
        }
    }
}

/// What is told of a guest's CPU.
pub(crate) fn cpu_told(cpu: MilliCores, percent: u32) -> MilliCores {
    MilliCores::new(told(cpu.get(), percent))
}

/// What is told of a guest's writes.
pub(crate) fn dirty_told(reading: DirtyReading, percent: u32) -> DirtyReading {
    DirtyReading { unique: Bytes::new(told(reading.unique.get(), percent)), ..reading }
}

fn told(truth: u64, percent: u32) -> u64 {
    let told = u128::from(truth) * u128::from(percent) / 100;
    u64::try_from(told).unwrap_or(u64::MAX)
}
