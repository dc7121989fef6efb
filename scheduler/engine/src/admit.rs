//! The last look before a move begins: is the world still as the plan found it?

use thiserror::Error;
use whimbrel_core::{
    Domain, DomainState, HostState, Snapshot,
    ids::{HostId, VmId},
    ports::Order,
    units::{Bytes, Span},
};

use crate::EngineSettings;

/// Why a move may not begin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denial {
    /// A host does not answer, or not any more.
    #[error("host {host} last answered {} ago, the limit is {}", age.human(), limit.human())]
    HostSilent {
        /// The host.
        host: HostId,
        /// Age of its last answer.
        age: Span,
        /// The limit.
        limit: Span,
    },
    /// The target takes no guests.
    #[error("target {host} is not up")]
    TargetNotUp {
        /// The host.
        host: HostId,
    },
    /// The VM is not where the plan found it, or is another machine.
    #[error("{vm} is not on {host} as planned (hint: plan again)")]
    Moved {
        /// The VM.
        vm: VmId,
        /// Where it should be.
        host: HostId,
    },
    /// It stands still: pre-copy would work, but somebody stopped it for a reason.
    #[error("{vm} does not run (hint: resume it, then plan again)")]
    NotRunning {
        /// The VM.
        vm: VmId,
    },
    /// Somebody else migrates it.
    #[error("{vm} is already being migrated by somebody else")]
    Busy {
        /// The VM.
        vm: VmId,
    },
    /// Another host shows the same VM.
    #[error("{vm} is also on {host} (hint: find out why before anything is moved)")]
    Elsewhere {
        /// The VM.
        vm: VmId,
        /// The other host.
        host: HostId,
    },
    /// The target has no room any more.
    #[error("{host} has room for {}, {vm} needs {}", room.human(), needed.human())]
    NoRoom {
        /// The VM.
        vm: VmId,
        /// The target.
        host: HostId,
        /// What it still takes.
        room: Bytes,
        /// What is needed.
        needed: Bytes,
    },
    /// The target's cores carry as many vCPUs as the policy allows.
    #[error("{host} may carry {room} more vCPUs, {vm} has {needed}")]
    NoCores {
        /// The VM.
        vm: VmId,
        /// The target.
        host: HostId,
        /// vCPUs that it may still carry.
        room: u32,
        /// vCPUs of the VM.
        needed: u32,
    },
}

/// What is on its way to a host.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Coming {
    pub(crate) memory: Bytes,
    pub(crate) vcpus: u32,
}

impl Denial {
    /// Whether waiting may help.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::HostSilent { .. }
                | Self::NoRoom { .. }
                | Self::NoCores { .. }
                // A host that it has just left may be seen as it was.
                | Self::Elsewhere { .. }
                | Self::Busy { .. }
        )
    }
}

/// The domain as seen before the move begins, if it may begin.
pub(crate) fn admit(
    order: &Order,
    snapshot: &Snapshot,
    coming: Coming,
    settings: &EngineSettings,
) -> Result<Domain, Denial> {
    for host in [&order.from, &order.to] {
        answers(host, snapshot, settings)?;
    }
    let target = snapshot.hosts.get(&order.to);
    if target.is_none_or(|host| host.state != HostState::Up) {
        return Err(Denial::TargetNotUp { host: order.to.clone() });
    }
    let domain = at_source(order, snapshot)?;
    room(order, domain, snapshot, coming, settings)?;
    Ok(domain.clone())
}

fn answers(host: &HostId, snapshot: &Snapshot, settings: &EngineSettings) -> Result<(), Denial> {
    let limit = settings.freshness;
    let silent = |age| Denial::HostSilent { host: host.clone(), age, limit };
    let seen = snapshot.hosts.get(host).ok_or_else(|| silent(Span::from_micros(u64::MAX)))?;
    let age = snapshot.taken_at.since(seen.observed_at);
    if seen.state == HostState::Unreachable || age > limit { Err(silent(age)) } else { Ok(()) }
}

fn at_source<'a>(order: &Order, snapshot: &'a Snapshot) -> Result<&'a Domain, Denial> {
    let vm = &order.vm;
    let moved = || Denial::Moved { vm: vm.clone(), host: order.from.clone() };
    let domain = snapshot.sightings(vm).find(|d| d.host == order.from).ok_or_else(moved)?;
    if domain.uuid != order.uuid {
        return Err(moved());
    }
    // A shut-off definition elsewhere is harmless: libvirt keeps those after earlier migrations.
    let other = snapshot
        .domains
        .iter()
        .find(|d| d.vm == *vm && d.host != order.from && d.state != DomainState::ShutOff);
    if let Some(other) = other {
        return Err(Denial::Elsewhere { vm: vm.clone(), host: other.host.clone() });
    }
    match domain.state {
        DomainState::Running if domain.job.is_some() => Err(Denial::Busy { vm: vm.clone() }),
        DomainState::Running => Ok(domain),
        state if state.lives_here() => Err(Denial::NotRunning { vm: vm.clone() }),
        _ => Err(moved()),
    }
}

fn room(
    order: &Order,
    domain: &Domain,
    snapshot: &Snapshot,
    coming: Coming,
    settings: &EngineSettings,
) -> Result<(), Denial> {
    let Some(target) = snapshot.hosts.get(&order.to) else { return Ok(()) };
    let living = || snapshot.domains.iter().filter(|d| d.host == order.to && d.state.lives_here());
    if let Some(overcommit) = settings.cpu_overcommit {
        let used = living().map(|d| d.vcpus).fold(coming.vcpus, u32::saturating_add);
        let room = target.cpu.as_cores_f64() * overcommit - f64::from(used);
        if f64::from(domain.vcpus) > room {
            let (vm, host, needed) = (order.vm.clone(), order.to.clone(), domain.vcpus);
            return Err(Denial::NoCores { vm, host, room: room.max(0.0) as u32, needed });
        }
    }
    let used = living().map(|d| d.memory).sum::<Bytes>() + coming.memory;
    let usable = target.memory.as_f64() * (1.0 - settings.memory_reserve.get());
    let room = Bytes::new(usable as u64).saturating_sub(used);
    if domain.memory <= room {
        return Ok(());
    }
    Err(Denial::NoRoom {
        vm: order.vm.clone(),
        host: order.to.clone(),
        room,
        needed: domain.memory,
    })
}
