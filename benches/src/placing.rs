//! What it takes to find hosts for new machines, and to count how many more would fit.
//!
//! The room is built beforehand and kept, as a daemon holds it. Each of many new machines is placed
//! on its own and added, both timed together on the clock: what somebody waits who starts a
//! machine. Each is placed several times and the quickest counts, because others run on the machine
//! too: what is left are the differences among machines and rooms.

use std::{
    error::Error,
    hint::black_box,
    time::{Duration, Instant},
};

use whimbrel_core::{HostId, VmId, policy::Rule, units::Bytes};
use whimbrel_planner::placing::{
    self, Batch, Capacity, CapacityRequest, Flavour, NewVm, Room, Size, Survival,
};

use crate::{cluster::Cluster, draw::Draw};

/// Machines that are placed in one round.
const PLACED: usize = 500;

/// How often each is placed.
const TRIES: usize = 5;

/// Machines that are to be kept apart with each fourth new one.
const APART: usize = 20;

/// Seed of the sizes of new machines.
const SEED: u64 = 11;

/// How long placing takes.
#[derive(Debug, Clone, Copy)]
pub struct Placing {
    /// Building the room.
    pub build: Duration,
    /// Half of the machines are placed in this time.
    pub p50: Duration,
    /// 99 of 100 are.
    pub p99: Duration,
}

/// Places machines one after the other on `hosts` hosts with `vms` machines.
///
/// # Errors
/// Where the made-up cluster cannot be asked.
pub fn place_each(hosts: usize, vms: usize) -> Result<Placing, Box<dyn Error>> {
    let mut cluster = Cluster::new(hosts, vms);
    let new = new_vms(&mut cluster)?;
    let begun = Instant::now();
    let mut room = Room::new(&cluster.snapshot, &cluster.policy)?;
    let build = begun.elapsed();
    let mut times = Vec::with_capacity(new.len());
    for vm in &new {
        let mut quickest = Duration::MAX;
        for again in 0..TRIES {
            let begun = Instant::now();
            let on = place_one(&mut room, vm)?;
            quickest = quickest.min(begun.elapsed());
            if on.is_some() && again + 1 < TRIES {
                room.remove(&vm.name)?;
            }
        }
        times.push(quickest);
    }
    times.sort_unstable();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    Ok(Placing { build, p50: at(50), p99: at(99) })
}

/// Places `vm` and adds it; its host.
fn place_one(room: &mut Room, vm: &NewVm) -> Result<Option<HostId>, Box<dyn Error>> {
    let answer = placing::place(room, std::slice::from_ref(vm), Batch::AsManyAsFit)?;
    let Some(placed) = black_box(answer).placed.into_iter().next() else { return Ok(None) };
    let size = Size::new(vm.memory, vm.vcpus, vm.demand_cores.unwrap_or_default());
    room.add(&vm.name, size, &placed.on.host)?;
    Ok(Some(placed.on.host))
}

/// Machines of 1 to 16 GiB and, each fortieth, one of 64 GiB; each fourth may not be with twenty
/// others.
fn new_vms(cluster: &mut Cluster) -> Result<Vec<NewVm>, Box<dyn Error>> {
    let mut draw = Draw(SEED);
    let there: Vec<VmId> = cluster.snapshot.domains.iter().map(|d| d.vm.clone()).collect();
    let mut new = Vec::with_capacity(PLACED);
    for number in 0..PLACED {
        let name = VmId::new(&format!("new-{number}"))?;
        let gib = if number % 40 == 39 { 64 } else { 1 + draw.below(16) };
        if number % 4 == 3 {
            let others = (0..APART).filter_map(|_| {
                there.get(usize::try_from(draw.below(there.len() as u64)).ok()?).cloned()
            });
            let vms = others.chain([name.clone()]).collect();
            cluster.policy.rules.push(Rule::anti_affinity(&format!("apart-{number}"), vms));
        }
        new.push(NewVm {
            name,
            vcpus: 1 + u32::try_from(draw.below(8))?,
            memory: Bytes::mib(gib << 10),
            demand_cores: Some(0.3),
            exclude: Vec::new(),
        });
    }
    Ok(new)
}

/// A machine of `mib` and `vcpus`, a third of them busy.
pub fn flavour(mib: u64, vcpus: u32) -> Flavour {
    Flavour {
        name: format!("{mib} MiB, {vcpus} vCPUs"),
        vcpus,
        memory: Bytes::mib(mib),
        demand_cores: Some(f64::from(vcpus) / 3.0),
        times: 1,
    }
}

/// How many more of `flavour` fit so that the loss of any one host is survived.
///
/// # Errors
/// Where the cluster cannot be asked.
pub fn count(room: &Room, flavour: &Flavour) -> Result<Capacity, Box<dyn Error>> {
    let flavours = vec![flavour.clone()];
    let request = CapacityRequest { flavours, mixed: true, survive_loss: true };
    placing::capacity(room, &request)?.pop().ok_or_else(|| "no answer".into())
}

/// The same by placing one after the other, every loss looked at anew after each: what [`count`]
/// must agree with. A host that once had to be passed over is not tried again.
///
/// # Errors
/// Where the cluster cannot be asked.
pub fn count_one_by_one(room: &Room, flavour: &Flavour) -> Result<usize, Box<dyn Error>> {
    let mut room = room.clone();
    let safe = |room: &Room| Survival::new(room).unsafe_losses(room).is_empty();
    let mut exclude: Vec<HostId> = Vec::new();
    let mut more = 0;
    while safe(&room) {
        let vm = NewVm {
            name: VmId::new(&format!("more-{more}"))?,
            vcpus: flavour.vcpus,
            memory: flavour.memory,
            demand_cores: flavour.demand_cores,
            exclude: exclude.clone(),
        };
        let Some(host) = place_one(&mut room, &vm)? else { break };
        if safe(&room) {
            more += 1;
        } else {
            room.remove(&vm.name)?;
            exclude.push(host);
        }
    }
    Ok(more)
}
