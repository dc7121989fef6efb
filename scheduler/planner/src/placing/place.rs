//! Hosts for new machines, with what each choice costs, the next best hosts, and what speaks
//! against the others.

use std::collections::BTreeSet;

use serde::Serialize;
use whimbrel_core::{
    ids::{HostId, VmId},
    units::Bytes,
};

use super::{
    ask::{PlacingFailure, check_size, demand, some_host},
    refusal::Refused,
    room::{Room, RoomError},
    seats::{Block, blocks, seat},
    size::Size,
    trial::{Item, Trial},
};

/// Next best hosts that are named.
const RUNNERS_UP: usize = 3;

/// A machine that needs a host.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVm {
    /// Its name, by which rules of the policy speak of it.
    pub name: VmId,
    /// Virtual CPUs. Range 1..=4096.
    pub vcpus: u32,
    /// Memory. Range 1 B..=1 PiB.
    pub memory: Bytes,
    /// Cores that it is expected to keep busy; half of its vCPUs where nobody knows. Range
    /// 0..=`vcpus`.
    pub demand_cores: Option<f64>,
    /// Hosts that it must not get, whatever the rules say.
    pub exclude: Vec<HostId>,
}

/// What is wanted of several machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batch {
    /// A host for every one, or an error.
    AllOrNothing,
    /// Hosts for as many as are found any.
    AsManyAsFit,
}

/// A host for one machine, and how it would stand then.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Candidate {
    /// The host.
    pub host: HostId,
    /// What it costs there, in guest-seconds over the policy's horizon. 0 or more, less is better.
    pub score_seconds: f64,
    /// Busy cores over cores, with the machine. 0 or more; above 1 guests wait.
    pub cpu_after: f64,
    /// Memory that is left for guests.
    pub memory_left: Bytes,
    /// vCPUs that are left for guests.
    pub vcpus_left: u64,
}

/// A machine that got a host.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Placed {
    /// The machine.
    pub vm: VmId,
    /// Its host.
    pub on: Candidate,
    /// The next best hosts, three at most.
    pub runners_up: Vec<Candidate>,
    /// What the hosts say that do not take it.
    pub refused: Refused,
}

/// A machine that got none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unplaced {
    /// The machine.
    pub vm: VmId,
    /// Its memory.
    pub memory: Bytes,
    /// Its vCPUs.
    pub vcpus: u64,
    /// New machines that a rule keeps together with it: all of them get one host or none does.
    pub together_with: Vec<VmId>,
    /// What the hosts say to it and those together with it.
    pub refused: Refused,
}

/// Hosts for new machines, in the order in which these were given.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Placement {
    /// Who got one.
    pub placed: Vec<Placed>,
    /// Who got none.
    pub unplaced: Vec<Unplaced>,
}

/// Hosts for `vms` in `room`, which does not change: whoever starts them adds them.
///
/// # Errors
/// [`PlacingFailure`] where the question makes no sense, no host is up, or, all or nothing, one of
/// them finds no host.
pub fn place(room: &Room, vms: &[NewVm], batch: Batch) -> Result<Placement, PlacingFailure> {
    if vms.is_empty() {
        return Err(PlacingFailure::NothingToPlace);
    }
    some_host(room)?;
    let items = items(room, vms)?;
    let blocks = blocks(room, items.iter().cloned().enumerate().collect());
    let mut trial = Trial::new(room);
    let hosts = seat(&mut trial, &blocks);
    let mut seats: Vec<(usize, Option<usize>)> = vec![(0, None); vms.len()];
    for (at, (block, host)) in blocks.iter().zip(hosts).enumerate() {
        block.members.iter().for_each(|&vm| seats[vm] = (at, host));
    }
    let mut placement = Placement { placed: Vec::new(), unplaced: Vec::new() };
    for ((vm, item), (at, seat)) in vms.iter().zip(&items).zip(seats) {
        match seat {
            Some(host) => placement.placed.push(placed(&mut trial, vm, item, host)),
            None => placement.unplaced.push(unplaced(&trial, vms, vm, &blocks[at])),
        }
    }
    if batch == Batch::AllOrNothing && !placement.unplaced.is_empty() {
        return Err(PlacingFailure::no_host(room, placement.unplaced));
    }
    Ok(placement)
}

/// The machines as items, if all of them can be.
fn items(room: &Room, vms: &[NewVm]) -> Result<Vec<Item>, PlacingFailure> {
    let mut names: BTreeSet<&VmId> = BTreeSet::new();
    let item = |vm: &NewVm| {
        let what = || format!("domain {}", vm.name);
        check_size(what, vm.memory, vm.vcpus.into(), vm.demand_cores)?;
        if let Some(host) = room.host_of(&vm.name) {
            let known = RoomError::Exists { vm: vm.name.clone(), host: host.clone() };
            return Err(PlacingFailure::Room(known));
        }
        let excluded: Result<BTreeSet<usize>, RoomError> =
            vm.exclude.iter().map(|host| room.number_of(host)).collect();
        let size = Size::new(vm.memory, vm.vcpus, demand(vm.demand_cores, vm.vcpus));
        let laws = room.rules.of(&vm.name).to_vec();
        Ok(Item { size, laws, needs: Vec::new(), excluded: excluded? })
    };
    if let Some(vm) = vms.iter().find(|vm| !names.insert(&vm.name)) {
        return Err(PlacingFailure::Twice(vm.name.clone()));
    }
    vms.iter().map(item).collect()
}

/// What there is to say of `vm` on `host`, where `trial` has it.
fn placed(trial: &mut Trial<'_>, vm: &NewVm, item: &Item, host: usize) -> Placed {
    trial.take_back(item, host);
    let mut others: Vec<(f64, usize)> = Vec::new();
    let mut refusals = Vec::new();
    for other in (0..trial.room.slots.len()).filter(|&other| other != host) {
        match trial.refusal(item, other) {
            Some(refusal) => refusals.push((other, refusal)),
            None => others.push((trial.score(item, other), other)),
        }
    }
    let better = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    if others.len() > RUNNERS_UP {
        others.select_nth_unstable_by(RUNNERS_UP, better);
        others.truncate(RUNNERS_UP);
    }
    others.sort_unstable_by(better);
    let runners_up = others.iter().map(|&(_, other)| candidate(trial, item, other)).collect();
    let placed = Placed {
        vm: vm.name.clone(),
        on: candidate(trial, item, host),
        runners_up,
        refused: Refused::count(trial, item, refusals.into_iter()),
    };
    trial.put(item, host);
    placed
}

/// What there is to say of `vm`, which `block` has in it and nobody takes.
fn unplaced(trial: &Trial<'_>, vms: &[NewVm], vm: &NewVm, block: &Block) -> Unplaced {
    let names = block.members.iter().filter_map(|&member| vms.get(member)).map(|one| &one.name);
    Unplaced {
        vm: vm.name.clone(),
        memory: vm.memory,
        vcpus: vm.vcpus.into(),
        together_with: names.filter(|name| **name != vm.name).cloned().collect(),
        refused: Refused::of(trial, &block.item),
    }
}

/// How `host` would stand with `item`.
pub(super) fn candidate(trial: &Trial<'_>, item: &Item, host: usize) -> Candidate {
    let slot = &trial.room.slots[host];
    let after = trial.used(host).plus(item.size);
    Candidate {
        host: slot.id.clone(),
        score_seconds: trial.score(item, host),
        cpu_after: after.cores() / slot.cores.max(f64::MIN_POSITIVE),
        memory_left: Bytes::new(slot.memory_limit.saturating_sub(after.memory)),
        vcpus_left: slot.vcpu_limit.saturating_sub(after.vcpus),
    }
}
