//! A cluster made by hand: three hosts, six guests, and its recorded telemetry.

use std::path::Path;

use whimbrel_core::{
    Domain, DomainState, Host, HostId, HostState, Snapshot, VmId,
    cluster::DirtyReading,
    ports::TelemetrySink as _,
    telemetry::{Batch, DirtySample, DomainSample, HostSample},
    units::{Bytes, MilliCores, Span, Timestamp},
};
use whimbrel_datasets::{INVENTORY_FILE, TelemetryStore};

/// Guests with their host, their memory in MiB, the CPU that they use in millicores, and what they
/// dirty within a second, in MiB.
const GUESTS: [(&str, &str, u64, u64, u64); 6] = [
    ("batch-1", "h3", 1024, 900, 12),
    ("batch-2", "h3", 1024, 900, 12),
    ("db-1", "h2", 4096, 700, 8),
    ("db-2", "h2", 4096, 700, 8),
    ("web-1", "h1", 2048, 300, 2),
    ("web-2", "h1", 2048, 300, 2),
];

/// Windows, in seconds, with how much more than within one second is dirtied in them.
const WINDOWS: [(u64, f64); 3] = [(1, 1.0), (2, 1.8), (4, 3.0)];

/// The moment of the snapshot, and the last of the telemetry.
pub(crate) fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn host_id(name: &str) -> HostId {
    name.parse().unwrap()
}

fn vm_id(name: &str) -> VmId {
    name.parse().unwrap()
}

/// The cluster at [`now`].
pub(crate) fn snapshot() -> Snapshot {
    let host = Host {
        state: HostState::Up,
        observed_at: now(),
        cpu: MilliCores::new(8000),
        memory: Bytes::mib(16 * 1024),
        cpu_used: Some(MilliCores::new(2000)),
        migration_bandwidth: None,
        qemu: None,
        tags: std::collections::BTreeSet::new(),
        offers: whimbrel_core::cluster::Offers::default(),
    };
    let hosts = ["h1", "h2", "h3"].map(|name| (host_id(name), host.clone()));
    let mut snapshot = Snapshot {
        taken_at: now(),
        hosts: hosts.into_iter().collect(),
        domains: GUESTS.iter().enumerate().map(|(index, guest)| domain(index, guest)).collect(),
        orders: Vec::new(),
    };
    snapshot.normalise();
    snapshot
}

fn domain(index: usize, guest: &(&str, &str, u64, u64, u64)) -> Domain {
    let (name, host, memory_mib, cpu_millicores, dirty_mib) = *guest;
    let reading = |(seconds, factor): (u64, f64)| DirtyReading {
        window: Span::from_seconds(seconds),
        unique: Bytes::new((Bytes::mib(dirty_mib).as_f64() * factor) as u64),
        measured_at: now(),
    };
    Domain {
        vm: vm_id(name),
        uuid: format!("00000000-0000-4000-8000-{index:012}"),
        host: host_id(host),
        state: DomainState::Running,
        observed_at: now(),
        vcpus: 2,
        memory: Bytes::mib(memory_mib),
        resident: Some(Bytes::mib(memory_mib / 2)),
        cpu_used: Some(MilliCores::new(cpu_millicores)),
        dirty: WINDOWS.map(reading).to_vec(),
        job: None,
        tags: std::collections::BTreeSet::new(),
        needs: whimbrel_core::cluster::Needs::default(),
    }
}

/// Two minutes of telemetry of the same cluster, up to [`now`], with its inventory.
pub(crate) fn telemetry(directory: &Path) {
    let mut store = TelemetryStore::create(directory).unwrap();
    let seconds_before =
        |seconds: u64| Timestamp::from_micros(now().as_micros() - seconds * 1_000_000);
    for seconds in (0..=120).rev().step_by(5) {
        store.record(&samples(seconds_before(seconds))).unwrap();
    }
    store.flush().unwrap();
    let hosts = ["h1", "h2", "h3"]
        .map(|host| format!("[hosts.{host}]\ncpu = \"8 cores\"\nmemory = \"16 GiB\"\n"));
    std::fs::write(directory.join(INVENTORY_FILE), hosts.concat()).unwrap();
}

fn samples(at: Timestamp) -> Batch {
    let snapshot = snapshot();
    let host = |host: &HostId| HostSample {
        at,
        host: host.clone(),
        state: HostState::Up,
        cpu_busy: None,
        cpu_used: Some(MilliCores::new(2000)),
        memory_total: Some(Bytes::mib(16 * 1024)),
        memory_free: None,
        answered_in: Some(Span::from_millis(5)),
    };
    let domain = |domain: &Domain| DomainSample {
        at,
        host: domain.host.clone(),
        vm: domain.vm.clone(),
        uuid: domain.uuid.clone(),
        state: domain.state,
        vcpus: domain.vcpus,
        memory_max: domain.memory,
        memory: domain.memory,
        resident: domain.resident,
        cpu_time: None,
        cpu_used: domain.cpu_used,
        block_read: None,
        block_written: None,
        net_received: None,
        net_sent: None,
    };
    let dirty = |domain: &Domain| {
        let (vm, host) = (domain.vm.clone(), domain.host.clone());
        let sample = move |reading: &DirtyReading| DirtySample {
            at,
            host: host.clone(),
            vm: vm.clone(),
            window: reading.window,
            unique: reading.unique,
        };
        domain.dirty.iter().map(sample).collect::<Vec<_>>()
    };
    Batch {
        hosts: snapshot.hosts.keys().map(host).collect(),
        domains: snapshot.domains.iter().map(domain).collect(),
        dirty: snapshot.domains.iter().flat_map(dirty).collect(),
        jobs: Vec::new(),
    }
}
