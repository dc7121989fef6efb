//! What is free, and what the loss of each host would strand.
//!
//! A lost host's guests are started again on the others, which move nothing to make room: that is
//! what a failover does. N+1 is kept when the loss of any one host strands nobody.
//!
//! Never here: how a loss is noticed, or whether a guest may be started again.

use std::collections::BTreeSet;

use serde::Serialize;
use whimbrel_core::{
    Domain, Policy, Snapshot,
    ids::HostId,
    units::{Bytes, MilliCores, Share},
};

use super::room::{Homeless, HostRoom, Room};

/// What the loss of one host would mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostLoss {
    /// The host.
    pub host: HostId,
    /// Guests that run on it.
    pub guests: usize,
    /// Those of them that no other host could take.
    pub stranded: Vec<Homeless>,
    /// Whether it is certain that some are stranded; true where none is.
    pub proven: bool,
}

/// The loss of each host of `snapshot` that is not `out` of service, in the order of names.
pub fn losses(snapshot: &Snapshot, policy: &Policy, out: &BTreeSet<HostId>) -> Vec<HostLoss> {
    let in_service = snapshot.hosts.keys().filter(|host| !out.contains(*host));
    in_service
        .map(|host| {
            let mut gone = out.clone();
            gone.insert(host.clone());
            let lived = |d: &&Domain| d.state.lives_here() && d.host == *host;
            let guests: Vec<&Domain> = snapshot.domains.iter().filter(lived).collect();
            let packed = Room::new(snapshot, policy, &gone).place(&guests);
            HostLoss {
                host: host.clone(),
                guests: guests.len(),
                stranded: packed.homeless,
                proven: packed.proven,
            }
        })
        .collect()
}

/// What hosts in service hold and could still take.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Headroom {
    /// Hosts in service.
    pub hosts: usize,
    /// Guests on them.
    pub guests: usize,
    /// Memory that guests may still have, all hosts together.
    pub memory_free: Bytes,
    /// The largest guest that would find a place.
    pub memory_free_largest: Bytes,
    /// Part of the memory for guests that they have.
    pub memory_used: Share,
    /// vCPUs that guests may still have.
    pub vcpus_free: u64,
    /// CPU below the mark above which hosts count as overloaded, all hosts together, by the last
    /// readings.
    pub cpu_free: MilliCores,
    /// Each host in service.
    pub by_host: Vec<HostUse>,
}

/// What one host holds, by the last readings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostUse {
    /// The host.
    pub host: HostId,
    /// Guests on it.
    pub guests: usize,
    /// Memory of its guests.
    pub memory: Bytes,
    /// Memory that its guests may have.
    pub memory_limit: Bytes,
    /// CPU in use.
    pub cpu: MilliCores,
    /// CPU that it has.
    pub cpu_limit: MilliCores,
    /// Whether it is busier than the policy wants.
    pub overloaded: bool,
}

impl Headroom {
    /// Of the hosts of `snapshot` that are not `out` of service.
    pub fn new(snapshot: &Snapshot, policy: &Policy, out: &BTreeSet<HostId>) -> Self {
        let room = Room::new(snapshot, policy, out);
        let mark =
            |host: &HostRoom<'_>| (host.cpu as f64 * policy.balance.overload_above.get()) as u64;
        let guests = |host: &HostId| {
            snapshot.domains.iter().filter(|d| d.state.lives_here() && d.host == *host).count()
        };
        let by_host: Vec<HostUse> = room
            .hosts()
            .iter()
            .map(|host| HostUse {
                host: host.id.clone(),
                guests: guests(host.id),
                memory: Bytes::new(host.memory),
                memory_limit: Bytes::new(host.memory_limit),
                cpu: MilliCores::new(host.cpu_used),
                cpu_limit: MilliCores::new(host.cpu),
                overloaded: host.cpu_used > mark(host),
            })
            .collect();
        let open = || room.hosts().iter().filter(|host| host.open);
        let total = |of: fn(&HostUse) -> Bytes| by_host.iter().map(of).sum::<Bytes>().as_f64();
        let memory_used = total(|one| one.memory) / total(|one| one.memory_limit).max(1.0);
        Self {
            hosts: open().count(),
            guests: by_host.iter().map(|one| one.guests).sum(),
            memory_free: open().map(|host| Bytes::new(host.memory_free())).sum(),
            memory_free_largest: Bytes::new(
                open().map(HostRoom::memory_free).max().unwrap_or_default(),
            ),
            memory_used: Share::clamped(memory_used),
            vcpus_free: open().map(HostRoom::vcpus_free).fold(0, u64::saturating_add),
            cpu_free: open()
                .map(|host| MilliCores::new(mark(host).saturating_sub(host.cpu_used)))
                .sum(),
            by_host,
        }
    }
}
