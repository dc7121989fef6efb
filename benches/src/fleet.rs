//! A fleet of hosts that answer at once: what is left of a collection cycle is the collector's
//! own work, from records of bulk statistics to the snapshot and the rows of telemetry.
//!
//! Left out are libvirt's calls and the network. Kept are the worker thread of every host, its
//! locks, the rates between two readings, and the schedule of dirty-rate windows.

use std::{
    io,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use whimbrel_collector::{
    Collector, CollectorSettings, Depth, DomainReading, HostReading, HostSource, HostTarget,
    NodeFacts, SettingsError, SourceError,
    jobs::JobLook,
    stats::{Value, parse_domain},
};
use whimbrel_core::{
    HostId, Snapshot, VmId,
    telemetry::Batch,
    units::{Bytes, MilliCores, Span, Timestamp},
};

use crate::{
    cpu_time,
    gate::Gate,
    record::{self, Record},
};

/// Time between two cycles. Workers rest for a quarter of it after each.
const PERIOD: Span = Span::from_millis(500);

/// CPU time that every domain seems to use in a cycle, in nanoseconds.
const CPU_OF_A_CYCLE_NANOS: u64 = 50_000_000;

/// Hosts with a collector that reads them whenever [`Fleet::cycle`] says so.
#[derive(Debug)]
pub struct Fleet {
    gate: Arc<Gate>,
    collector: Collector,
    hosts: usize,
}

impl Fleet {
    /// `hosts` hosts with `vms_per_host` running domains each.
    ///
    /// # Errors
    /// [`SettingsError`] when the machine gives no thread for a host.
    pub fn new(hosts: usize, vms_per_host: usize) -> Result<Self, SettingsError> {
        let gate = Arc::new(Gate::default());
        let source = |host: usize| {
            let id = HostId::new(&format!("host-{host}")).unwrap_or_else(|_| HostId::unnamed());
            let uri = format!("qemu+tls://{id}/system");
            let target = HostTarget { id, uri, memory: None, cpu: None, maintenance: false };
            let domains = (0..vms_per_host).map(|vm| Answer::new(host, vm)).collect();
            let source = Answering { gate: Arc::clone(&gate), cycles: 0, domains };
            (target, Box::new(source) as Box<dyn HostSource>)
        };
        let settings = CollectorSettings { period: PERIOD, ..CollectorSettings::default() };
        let collector = Collector::with_sources((0..hosts).map(source).collect(), settings)?;
        Ok(Self { gate, collector, hosts })
    }

    /// Reads every host once; the cluster and the rows of telemetry that come of it.
    pub fn cycle(&self) -> (Snapshot, Batch) {
        self.gate.await_all(self.hosts);
        self.gate.open();
        self.gate.await_all(self.hosts);
        let now = Timestamp::from(SystemTime::now());
        (self.collector.snapshot(now), self.collector.drain_batch(now))
    }

    /// CPU time of `cycles` cycles, over all threads of this process.
    ///
    /// # Errors
    /// Where the system does not say what CPU time a process used.
    pub fn cpu_time_of(&self, cycles: u64) -> io::Result<Duration> {
        self.gate.await_all(self.hosts);
        let before = cpu_time::of_this_process()?;
        for _ in 0..cycles {
            std::hint::black_box(self.cycle());
        }
        Ok(cpu_time::of_this_process()?.saturating_sub(before))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // Workers at the gate could not be told to stop otherwise.
        self.gate.close();
    }
}

/// A host that answers from records in memory.
#[derive(Debug)]
struct Answering {
    gate: Arc<Gate>,
    cycles: u64,
    domains: Vec<Answer>,
}

/// What a host says of one domain.
#[derive(Debug)]
struct Answer {
    name: String,
    uuid: String,
    record: Record,
    cpu_nanos: u64,
}

impl HostSource for Answering {
    fn connect(&mut self) -> Result<(), SourceError> {
        Ok(())
    }

    fn collect(&mut self, _depth: Depth) -> Result<HostReading, SourceError> {
        if !self.gate.pass(self.cycles) {
            return Err(SourceError { message: "the fleet is gone".to_owned() });
        }
        self.cycles += 1;
        Ok(HostReading {
            facts: Some(NodeFacts {
                cpu: MilliCores::cores(64),
                memory: Bytes::mib(512 << 10),
                qemu: None,
            }),
            cpu_busy: Some(Span::from_seconds(self.cycles)),
            memory_total: Some(Bytes::mib(512 << 10)),
            memory_free: Some(Bytes::mib(128 << 10)),
            domains: self.domains.iter_mut().map(Answer::reading).collect(),
        })
    }

    fn start_window(&mut self, vm: &VmId, window_seconds: u32) -> Result<(), SourceError> {
        let found = self.domains.iter_mut().find(|domain| domain.name == vm.as_str());
        if let Some(domain) = found {
            domain.measured_in(window_seconds);
        }
        Ok(())
    }

    fn disconnect(&mut self) {}
}

impl Answer {
    fn new(host: usize, vm: usize) -> Self {
        let seed = (host * 1000 + vm) as u64;
        Self {
            name: format!("vm-{host}-{vm}"),
            uuid: format!("00000000-0000-4000-8000-{seed:012}"),
            record: record::record(seed),
            cpu_nanos: seed,
        }
    }

    fn reading(&mut self) -> DomainReading {
        self.cpu_nanos += CPU_OF_A_CYCLE_NANOS;
        record::set(&mut self.record, "cpu.time", Value::UInt(self.cpu_nanos));
        let record = self.record.iter().map(|(key, value)| (key.as_str(), *value));
        let (status, stats) = parse_domain(record);
        let (name, uuid) = (self.name.clone(), self.uuid.clone());
        DomainReading { name, uuid, status, stats, job: JobLook::Idle }
    }

    /// Says from now on what a window that was started now will have measured.
    fn measured_in(&mut self, window_seconds: u32) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
        record::set(&mut self.record, "dirtyrate.calc_status", Value::Int(2));
        record::set(&mut self.record, "dirtyrate.calc_start_time", Value::Int(begun));
        let period = Value::Int(window_seconds.into());
        record::set(&mut self.record, "dirtyrate.calc_period", period);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_reads_every_domain_once_and_the_second_gives_rates() {
        let fleet = Fleet::new(3, 4).unwrap();
        let (snapshot, _) = fleet.cycle();
        assert_eq!((snapshot.hosts.len(), snapshot.domains.len()), (3, 12));
        let (snapshot, batch) = fleet.cycle();
        assert!(snapshot.domains.iter().all(|domain| domain.cpu_used.is_some()));
        assert_eq!((batch.hosts.len(), batch.domains.len()), (3, 12));
        fleet.cpu_time_of(1).unwrap();
    }
}
