//! The source that reads a host through libvirt.
//!
//! A full reading costs three calls (node CPU, node memory, bulk statistics) and one more for
//! each active domain (its job); a quick one asks for states and jobs only. The bulk call does not
//! wait for busy domains: their figures are absent from the reading.

use std::collections::BTreeMap;

use virt::{connect::Connect, domain::Domain, error::Error as VirtError, sys};
use whimbrel_core::{
    VmId,
    settings::QemuVersion,
    units::{Bytes, MilliCores, Span},
};

use super::{
    dial::Dialer,
    domain::job_look,
    error::{ConnectionError, FailureKind, kind_of},
    raw,
    starter::Starter,
};
use crate::{
    ConnectionSettings, Depth, DomainReading, HostReading, HostSource, NodeFacts, SourceError,
    jobs::JobLook, stats::parse_domain,
};

const FULL: u32 = sys::VIR_DOMAIN_STATS_STATE
    | sys::VIR_DOMAIN_STATS_CPU_TOTAL
    | sys::VIR_DOMAIN_STATS_BALLOON
    | sys::VIR_DOMAIN_STATS_VCPU
    | sys::VIR_DOMAIN_STATS_INTERFACE
    | sys::VIR_DOMAIN_STATS_BLOCK
    | sys::VIR_DOMAIN_STATS_DIRTYRATE;

/// Reads one host. Connects when told to; one thread's.
#[derive(Debug)]
pub struct LibvirtSource {
    dialer: Dialer,
    live: Option<Live>,
}

#[derive(Debug)]
struct Live {
    connect: Connect,
    facts: NodeFacts,
    /// Handles from the last full reading, by name: starting a window needs no look-up.
    domains: BTreeMap<String, Domain>,
    starter: Starter,
}

impl LibvirtSource {
    /// A source for `uri`; opens nothing yet.
    pub fn new(uri: &str, settings: ConnectionSettings) -> Self {
        Self { dialer: Dialer::new(uri, settings), live: None }
    }
}

impl HostSource for LibvirtSource {
    fn connect(&mut self) -> Result<(), SourceError> {
        self.live = None;
        let connect = self.dialer.dial()?;
        let info = connect
            .node_info()
            .map_err(|error| self.dialer.failed("node info", &error, &connect))?;
        let facts = NodeFacts {
            cpu: MilliCores::cores(info.cpus.into()),
            memory: Bytes::new(info.memory.saturating_mul(1024)),
            qemu: qemu_version(&connect),
        };
        let (domains, starter) = (BTreeMap::new(), Starter::new()?);
        self.live = Some(Live { connect, facts, domains, starter });
        Ok(())
    }

    fn collect(&mut self, depth: Depth) -> Result<HostReading, SourceError> {
        let live = self.live.as_mut().ok_or_else(|| unconnected(&self.dialer))?;
        let mut reading = HostReading::default();
        let connect = &live.connect;
        let failed = |what: &str, error: &_| self.dialer.failed(what, error, connect);
        let groups = match depth {
            Depth::Jobs => sys::VIR_DOMAIN_STATS_STATE,
            Depth::Full => {
                let cpu = supported(raw::node_cpu_stats(connect))
                    .map_err(|error| failed("node CPU statistics", &error))?;
                let memory = supported(raw::node_memory_stats(connect))
                    .map_err(|error| failed("node memory statistics", &error))?;
                node(&mut reading, live.facts, &cpu, &memory);
                live.domains.clear();
                FULL
            }
        };
        let no_wait = sys::VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT;
        let records = raw::all_domain_stats(connect, groups, no_wait)
            .map_err(|error| failed("bulk statistics", &error))?;
        for record in records.iter() {
            let Ok(domain) = record.domain() else { continue };
            let (Ok(name), Ok(uuid)) = (domain.name(), domain.uuid_string()) else { continue };
            let (status, stats) = parse_domain(record.values());
            let job = match status {
                Some(status) if status.is_active() => look_at_job(&domain, failed)?,
                _ => JobLook::Unknown,
            };
            reading.domains.push(DomainReading { name: name.clone(), uuid, status, stats, job });
            live.domains.insert(name, domain);
        }
        Ok(reading)
    }

    fn start_window(&mut self, vm: &VmId, window_seconds: u32) -> Result<(), SourceError> {
        let live = self.live.as_ref().ok_or_else(|| unconnected(&self.dialer))?;
        let domain = live.domains.get(vm.as_str()).ok_or_else(|| ConnectionError::NoDomain {
            vm: vm.clone(),
            uri: self.dialer.uri().to_owned(),
        })?;
        live.starter.start(vm, domain.clone(), window_seconds)
    }

    fn disconnect(&mut self) {
        self.live = None;
    }
}

/// The QEMU that the host starts guests with; `None` where it has another hypervisor or does not
/// say.
fn qemu_version(connect: &Connect) -> Option<QemuVersion> {
    let version = connect.hyp_version().ok().filter(|version| *version > 0)?;
    let is_qemu = connect.driver_type().is_ok_and(|driver| driver == "QEMU");
    is_qemu.then(|| QemuVersion::from_libvirt(version.into()))
}

fn unconnected(dialer: &Dialer) -> SourceError {
    SourceError { message: format!("{} is not connected", dialer.uri()) }
}

/// Nothing, where this hypervisor has no such statistics.
fn supported(
    stats: Result<Vec<(String, u64)>, VirtError>,
) -> Result<Vec<(String, u64)>, VirtError> {
    match stats {
        Err(error) if kind_of(&error) == FailureKind::Unsupported => Ok(Vec::new()),
        other => other,
    }
}

/// What the host says about the domain's job. A domain that vanished meanwhile or refuses is
/// unknown; only a lost connection is an error.
fn look_at_job(
    domain: &Domain,
    failed: impl Fn(&str, &VirtError) -> ConnectionError,
) -> Result<JobLook, ConnectionError> {
    match job_look(domain) {
        Ok(look) => Ok(look),
        Err(error) => {
            let error = failed("job statistics", &error);
            if error.connection_lost() { Err(error) } else { Ok(JobLook::Unknown) }
        }
    }
}

/// Fills in the host's own figures. libvirt's `kernel` includes interrupts and `user` includes
/// guests (`virHostCPUGetStatsLinux`); waiting for disks is idle.
fn node(
    reading: &mut HostReading,
    facts: NodeFacts,
    cpu_nanos: &[(String, u64)],
    memory_kib: &[(String, u64)],
) {
    let sum = |stats: &[(String, u64)], names: &[&str]| {
        let mut found = stats.iter().filter(|(name, _)| names.contains(&name.as_str())).peekable();
        found
            .peek()
            .is_some()
            .then(|| found.fold(0_u64, |sum, (_, value)| sum.saturating_add(*value)))
    };
    let kib =
        |names: &[&str]| sum(memory_kib, names).map(|kib| Bytes::new(kib.saturating_mul(1024)));
    reading.facts = Some(facts);
    reading.cpu_busy =
        sum(cpu_nanos, &["kernel", "user"]).map(|nanos| Span::from_micros(nanos / 1000));
    reading.memory_total = kib(&["total"]);
    reading.memory_free = kib(&["free", "buffers", "cached"]);
}

impl From<ConnectionError> for SourceError {
    fn from(error: ConnectionError) -> Self {
        Self { message: error.to_string() }
    }
}
