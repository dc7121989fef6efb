//! The simulated cluster behind the engine's seam.
//!
//! Time moves in [`SimCluster::advance`] only. What the engine sees is what a collector would
//! have: each host as of its last reading, calls as their adapter knows them. What is true stays
//! inside, where the checkers look at it.
//!
//! Never here: what the migrations cost (`copy`), who gets which bandwidth
//! (`network`), or any decision.

use std::collections::BTreeMap;

use serde::Serialize;
use whimbrel_core::{
    Cluster, DomainState, Snapshot,
    cluster::PlacementError,
    ids::{HostId, OrderId, VmId},
    ports::{Order, Power, Refusal},
    units::{Bytes, Span, Timestamp},
};

use crate::{
    fault::Fault,
    kernel::{Agenda, Log, Streams},
    network::{Flow, Network},
    physics::Physics,
    replay::Replay,
    world::World,
};

mod arrive;
mod burden;
mod disturb;
mod follow;
mod migrate;
mod migration;
mod observe;

use migration::Migration;
use observe::Reading;

/// What happens next to what.
#[derive(Debug, Clone, Copy)]
enum Event {
    /// A host is read.
    Read { host: usize },
    /// A guest's CPU follows its recording.
    Cpu { vm: usize },
    /// A guest's writing follows its recording.
    Dirty { vm: usize },
    /// A migration takes its next step, unless its plans changed since.
    Step { migration: usize, turn: u32 },
    /// A migration's call returns with its figures.
    Report { migration: usize },
    /// A fault strikes.
    Strike { fault: usize },
    /// A fault passes.
    Pass { fault: usize },
    /// The keepalive of a silence runs out, unless the host answered since.
    Lost { host: usize, silence: u32 },
    /// A host has booted, unless it was switched off again.
    Booted { host: usize, boot: u32 },
}

/// A line of the event log.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "what", rename_all = "kebab-case")]
pub enum Happening {
    /// The world took an order.
    Begun {
        /// The order.
        order: OrderId,
    },
    /// The world would not take an order.
    Refused {
        /// The order.
        order: OrderId,
        /// Its words.
        refusal: String,
    },
    /// Preparation is over and pages flow.
    Copying {
        /// The order.
        order: OrderId,
    },
    /// QEMU looked at its bitmap and went on.
    Synchronised {
        /// The order.
        order: OrderId,
        /// To send after it.
        remaining: Bytes,
    },
    /// The guest stands still.
    SwitchingOver {
        /// The order.
        order: OrderId,
        /// For how long, if nothing happens to the link.
        downtime: Span,
    },
    /// Post-copy moved the guest: it runs at its target and cannot go back.
    Moved {
        /// The order.
        order: OrderId,
        /// Memory that is still at the source.
        remaining: Bytes,
    },
    /// The guest runs at its target.
    Arrived {
        /// The order.
        order: OrderId,
    },
    /// The migration ended with the guest at its source, if that still runs.
    Failed {
        /// The order.
        order: OrderId,
        /// libvirt's words.
        message: String,
    },
    /// What the guest and its users felt of a migration that arrived.
    Felt {
        /// The order.
        order: OrderId,
        /// Gap that users saw: the downtime, and until the network knew the guest's new place.
        service_gap: Span,
        /// Time of its writing that the guest lost to throttle, contention and missing pages.
        work_lost: Span,
        /// Pages that it waited for after a switch to post-copy.
        faults: u64,
    },
    /// Post-copy broke: the guest stands still at its target, without a part of its memory.
    Broken {
        /// The order.
        order: OrderId,
        /// libvirt's words.
        message: String,
    },
    /// Somebody asked for an end.
    CancelAsked {
        /// The order.
        order: OrderId,
    },
    /// A fault struck.
    Struck {
        /// The fault.
        fault: Fault,
    },
    /// A fault passed.
    Passed {
        /// The fault.
        fault: Fault,
    },
    /// A host's keepalive ran out.
    Lost {
        /// The host.
        host: HostId,
    },
    /// A host answers again after it was off.
    Booted {
        /// The host.
        host: HostId,
    },
}

/// A cluster that exists in memory and follows its physics.
#[derive(Debug, Clone)]
pub struct SimCluster {
    pub(crate) world: World,
    agenda: Agenda<Event>,
    network: Network,
    physics: Physics,
    streams: Streams,
    migrations: Vec<Migration>,
    /// Migrations that are not over, in order of their begin.
    active: Vec<usize>,
    orders: BTreeMap<OrderId, usize>,
    readings: Vec<Reading>,
    collecting: bool,
    faults: Vec<Fault>,
    /// Guests that the hypervisor refuses to migrate, and those whose migration stands still.
    refusing: Vec<usize>,
    sticking: Vec<usize>,
    log: Log<Happening>,
    flows: Vec<Flow>,
    rates: Vec<f64>,
}

/// What a simulated cluster is made of, beside the snapshot.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Physical constants; [`Physics::check_ranges`] holds for them.
    pub physics: Physics,
    /// Recorded series to follow.
    pub replay: Option<Replay>,
    /// What goes wrong. A fault that names an unknown host or domain strikes nothing.
    pub faults: Vec<Fault>,
    /// Lines that the event log keeps; 0 for none.
    pub log_lines: usize,
}

impl SimCluster {
    /// The cluster that `snapshot` shows, at the snapshot's time.
    ///
    /// # Errors
    /// [`PlacementError`] when the snapshot gives a machine no single place.
    pub fn new(snapshot: &Snapshot, options: ClusterOptions) -> Result<Self, PlacementError> {
        let ClusterOptions { seed, physics, replay, faults, log_lines } = options;
        let world = World::new(snapshot, replay.as_ref())?;
        let network = Network::new(world.hosts.iter().map(|host| host.nic(&physics)).collect());
        let readings = world.hosts.iter().map(|_| Reading::default()).collect();
        let mut cluster = Self {
            world,
            agenda: Agenda::new(snapshot.taken_at),
            network,
            physics,
            streams: Streams::new(seed),
            migrations: Vec::new(),
            active: Vec::new(),
            orders: BTreeMap::new(),
            readings,
            collecting: true,
            faults,
            refusing: Vec::new(),
            sticking: Vec::new(),
            log: Log::new(log_lines),
            flows: Vec::new(),
            rates: Vec::new(),
        };
        cluster.first_readings(snapshot);
        for (fault, script) in cluster.faults.iter().enumerate() {
            cluster.agenda.after(script.at(), Event::Strike { fault });
        }
        for vm in 0..cluster.world.vms.len() {
            cluster.begin_recording(vm);
        }
        // What strikes at the very start has struck before anybody acts.
        cluster.advance(Span::ZERO);
        Ok(cluster)
    }

    /// Lets `span` pass.
    pub fn advance(&mut self, span: Span) {
        let until = self.agenda.now() + span;
        while let Some(event) = self.agenda.next_until(until) {
            self.happen(event);
        }
    }

    /// Forgets every call: the program that held them has died. The migrations go on, as libvirt's
    /// peer-to-peer migrations do.
    pub fn controller_died(&mut self) {
        for migration in &mut self.migrations {
            migration.call_held = false;
        }
    }

    /// Changes the downtime limit of a running migration, as libvirt can while it copies: one that
    /// was held by a limit too small for it may then switch over. Nothing happens where the order
    /// is unknown or has ended.
    pub fn set_downtime_limit(&mut self, id: &OrderId, limit: Span) {
        if let Some(&migration) = self.orders.get(id) {
            self.settle(migration);
            self.migrations[migration].copy.set_downtime_limit(limit);
            self.plan_check(migration);
        }
    }

    /// The event log.
    pub fn log(&self) -> &Log<Happening> {
        &self.log
    }

    /// Events handled so far.
    pub fn events(&self) -> u64 {
        self.agenda.handled()
    }

    /// Bytes that all migrations put on the wire, failed ones included.
    pub fn bytes_on_the_wire(&self) -> Bytes {
        self.migrations.iter().map(Migration::transferred).sum()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Read { host } => self.read(host),
            Event::Cpu { vm } => self.follow_cpu(vm),
            Event::Dirty { vm } => self.follow_dirty(vm),
            Event::Step { migration, turn } => self.step(migration, turn),
            Event::Report { migration } => self.report(migration),
            Event::Strike { fault } => self.strike(fault),
            Event::Pass { fault } => self.pass(fault),
            Event::Lost { host, silence } => self.lose(host, silence),
            Event::Booted { host, boot } => self.booted(host, boot),
        }
    }

    fn note(&mut self, happening: impl FnOnce() -> Happening) {
        self.log.note(self.agenda.now(), happening);
    }

    /// Orders that the world took, in the order of their begin; one may be in it twice.
    pub(crate) fn taken(&self) -> impl Iterator<Item = &OrderId> {
        self.migrations.iter().map(|migration| &migration.order.id)
    }

    /// Guests of which more than one migration is under way.
    pub(crate) fn moved_twice_at_once(&self) -> impl Iterator<Item = &VmId> {
        let twice = |(place, index): (usize, &usize)| {
            let vm = self.migrations[*index].vm;
            let doubled = self.active[..place].iter().any(|other| self.migrations[*other].vm == vm);
            doubled.then_some(&self.world.vms[vm].id)
        };
        self.active.iter().enumerate().filter_map(twice)
    }

    /// Whether `vm` is between its source and its target.
    pub(crate) fn is_on_its_way(&self, vm: usize) -> bool {
        self.active.iter().any(|index| self.migrations[*index].vm == vm)
    }
}

impl Cluster for SimCluster {
    fn now(&self) -> Timestamp {
        self.agenda.now()
    }

    fn observe(&mut self) -> Snapshot {
        self.observed()
    }

    fn begin(&mut self, order: &Order) -> Result<(), Refusal> {
        let known = self.orders.get(&order.id).is_some_and(|m| self.migrations[*m].call_held);
        if known {
            return Ok(());
        }
        let taken = self.take(order);
        match &taken {
            Ok(()) => self.note(|| Happening::Begun { order: order.id.clone() }),
            Err(refusal) => self.note(|| Happening::Refused {
                order: order.id.clone(),
                refusal: refusal.to_string(),
            }),
        }
        taken
    }

    fn cancel(&mut self, id: &OrderId) -> Result<(), Refusal> {
        let Some(&migration) = self.orders.get(id) else { return Ok(()) };
        self.note(|| Happening::CancelAsked { order: id.clone() });
        self.give_up(migration)
    }

    fn set_power(&mut self, host: &HostId, power: Power) -> Result<(), Refusal> {
        let unknown = || Refusal::HostUnreachable { host: host.clone() };
        let index = self.world.host(host).ok_or_else(unknown)?;
        match power {
            Power::Off => self.power_off(index),
            Power::On => self.power_on(index),
        }
        Ok(())
    }
}

/// Whether a process in `state` is one that a guest may run on from.
fn is_alive(state: DomainState) -> bool {
    state.lives_here() || matches!(state, DomainState::Incoming | DomainState::Outgoing)
}
