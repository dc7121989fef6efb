//! Snapshots. Reports on orders stay behind: clients see operations instead.

use std::collections::BTreeMap;

use whimbrel_core::{
    Domain, DomainState, Host, HostId, HostState, Snapshot,
    cluster::{DeltaCoding, DirtyReading, JobProgress},
    units::{Bytes, BytesPerSecond, MilliCores, Span, Timestamp},
};
use whimbrel_proto::v1;

use super::{Malformed, Wire, from_list, from_optional, name, percent, same_names, to_list};

same_names!(HostState { Up, Maintenance, Unreachable } = HostState in "host.state");
same_names!(DomainState { Running, Paused, Incoming, Outgoing, ShutOff, PostCopyFailed }
    = DomainState in "domain.state");

/// The answer to `GetInventory`.
pub(in super::super) fn inventory_response(snapshot: &Snapshot) -> v1::GetInventoryResponse {
    v1::GetInventoryResponse {
        taken_at_unix_micros: snapshot.taken_at.as_micros(),
        hosts: snapshot.hosts.iter().map(|(id, host)| host_message(id, host)).collect(),
        domains: to_list(&snapshot.domains),
    }
}

/// The snapshot in the answer to `GetInventory`, without reports on orders.
pub(in super::super) fn read_inventory(
    response: v1::GetInventoryResponse,
) -> Result<Snapshot, Malformed> {
    Ok(Snapshot {
        taken_at: Timestamp::from_micros(response.taken_at_unix_micros),
        hosts: response.hosts.iter().map(read_host).collect::<Result<BTreeMap<_, _>, _>>()?,
        domains: from_list(response.domains)?,
        orders: Vec::new(),
    })
}

fn host_message(id: &HostId, host: &Host) -> v1::Host {
    v1::Host {
        name: id.to_string(),
        state: host.state.to_wire(),
        observed_at_unix_micros: host.observed_at.as_micros(),
        cpu_millicores: host.cpu.get(),
        memory_bytes: host.memory.get(),
        cpu_used_millicores: host.cpu_used.map(MilliCores::get),
        migration_bandwidth_bytes_per_second: host.migration_bandwidth.map(BytesPerSecond::get),
        qemu_version: host.qemu.map(|version| version.to_string()),
    }
}

fn read_host(message: &v1::Host) -> Result<(HostId, Host), Malformed> {
    let host = Host {
        state: HostState::from_wire(message.state)?,
        observed_at: Timestamp::from_micros(message.observed_at_unix_micros),
        cpu: MilliCores::new(message.cpu_millicores),
        memory: Bytes::new(message.memory_bytes),
        cpu_used: message.cpu_used_millicores.map(MilliCores::new),
        migration_bandwidth: message.migration_bandwidth_bytes_per_second.map(BytesPerSecond::new),
        qemu: message
            .qemu_version
            .as_deref()
            .map(|version| name("host.qemu_version", version))
            .transpose()?,
        // Not on the wire: who needs them reads the snapshot itself.
        tags: std::collections::BTreeSet::new(),
        offers: whimbrel_core::cluster::Offers::default(),
    };
    Ok((name("host.name", &message.name)?, host))
}

impl Wire for Domain {
    type Message = v1::Domain;

    fn to_wire(&self) -> v1::Domain {
        v1::Domain {
            vm: self.vm.to_string(),
            uuid: self.uuid.clone(),
            host: self.host.to_string(),
            state: self.state.to_wire(),
            observed_at_unix_micros: self.observed_at.as_micros(),
            vcpus: self.vcpus,
            memory_bytes: self.memory.get(),
            resident_bytes: self.resident.map(Bytes::get),
            cpu_used_millicores: self.cpu_used.map(MilliCores::get),
            dirty: to_list(&self.dirty),
            job: self.job.as_ref().map(Wire::to_wire),
        }
    }

    fn from_wire(message: v1::Domain) -> Result<Self, Malformed> {
        Ok(Self {
            vm: name("domain.vm", &message.vm)?,
            uuid: message.uuid,
            host: name("domain.host", &message.host)?,
            state: DomainState::from_wire(message.state)?,
            observed_at: Timestamp::from_micros(message.observed_at_unix_micros),
            vcpus: message.vcpus,
            memory: Bytes::new(message.memory_bytes),
            resident: message.resident_bytes.map(Bytes::new),
            cpu_used: message.cpu_used_millicores.map(MilliCores::new),
            dirty: from_list(message.dirty)?,
            job: from_optional(message.job)?,
            tags: std::collections::BTreeSet::new(),
            needs: whimbrel_core::cluster::Needs::default(),
        })
    }
}

impl Wire for DirtyReading {
    type Message = v1::DirtyReading;

    fn to_wire(&self) -> v1::DirtyReading {
        v1::DirtyReading {
            window_micros: self.window.as_micros(),
            unique_bytes: self.unique.get(),
            measured_at_unix_micros: self.measured_at.as_micros(),
        }
    }

    fn from_wire(message: v1::DirtyReading) -> Result<Self, Malformed> {
        Ok(Self {
            window: Span::from_micros(message.window_micros),
            unique: Bytes::new(message.unique_bytes),
            measured_at: Timestamp::from_micros(message.measured_at_unix_micros),
        })
    }
}

impl Wire for JobProgress {
    type Message = v1::JobProgress;

    fn to_wire(&self) -> v1::JobProgress {
        v1::JobProgress {
            elapsed_micros: self.elapsed.as_micros(),
            remaining_bytes: self.remaining.get(),
            transferred_bytes: self.transferred.get(),
            total_bytes: self.total.get(),
            bandwidth_bytes_per_second: self.bandwidth.get(),
            dirty_rate_bytes_per_second: self.dirty_rate.get(),
            iteration: self.iteration,
            normal_pages: self.normal_pages,
            zero_pages: self.zero_pages,
            throttle_percent: self.throttle_percent.into(),
            post_copy_requests: self.post_copy_requests,
            delta: Some(self.delta.to_wire()),
        }
    }

    fn from_wire(message: v1::JobProgress) -> Result<Self, Malformed> {
        Ok(Self {
            elapsed: Span::from_micros(message.elapsed_micros),
            remaining: Bytes::new(message.remaining_bytes),
            transferred: Bytes::new(message.transferred_bytes),
            total: Bytes::new(message.total_bytes),
            bandwidth: BytesPerSecond::new(message.bandwidth_bytes_per_second),
            dirty_rate: BytesPerSecond::new(message.dirty_rate_bytes_per_second),
            iteration: message.iteration,
            normal_pages: message.normal_pages,
            zero_pages: message.zero_pages,
            throttle_percent: percent("progress.throttle_percent", message.throttle_percent)?,
            post_copy_requests: message.post_copy_requests,
            delta: from_optional(message.delta)?.unwrap_or_default(),
        })
    }
}

impl Wire for DeltaCoding {
    type Message = v1::DeltaCoding;

    fn to_wire(&self) -> v1::DeltaCoding {
        v1::DeltaCoding { pages: self.pages, bytes: self.bytes, misses: self.misses }
    }

    fn from_wire(message: v1::DeltaCoding) -> Result<Self, Malformed> {
        let v1::DeltaCoding { pages, bytes, misses } = message;
        Ok(Self { pages, bytes, misses })
    }
}
