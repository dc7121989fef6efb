//! The simulated cluster behind the engine's seam.
//!
//! Time moves in [`SimCluster::advance`] only. What the engine sees is what a collector would
//! have: each host as of its last reading, calls as their adapter knows them. What is true stays
//! inside, where the checkers look at it.
//!
//! Never here: what the migrations cost (`copy`), who gets which bandwidth
//! (`network`), or any decision.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    Cluster, DomainState, Snapshot,
    cluster::PlacementError,
    ids::{HostId, OrderId, VmId},
    ports::{Order, Power, Refusal},
    units::{Bytes, Span, Timestamp},
};

use crate::{
    change::{Change, GuestNeeds, HostFacts},
    fault::{Fault, Plane},
    kernel::{Agenda, Log, Streams},
    network::{Flow, Network},
    physics::Physics,
    world::World,
};

mod arrive;
mod burden;
mod disturb;
mod follow;
mod happening;
mod migrate;
mod migration;
mod observe;
mod options;
mod paths;
mod people;
mod power;
mod trouble;
mod truth;

pub use happening::Happening;
pub use options::ClusterOptions;
pub use power::HostPower;

use migration::Migration;
use observe::Reading;
pub(crate) use observe::{cpu_told, dirty_told};
pub(crate) use power::PoweredOff;
use trouble::Trouble;

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
    /// People do something.
    Change { change: usize },
    /// An orderly shutdown is over, unless the host was booted since.
    ShutDown { host: usize, boots: u32 },
    /// Patience with a migration's broken connection runs out, unless it was mended since.
    PathLost { migration: usize, plane: Plane, wait: u32 },
    /// The keepalive of a silence runs out, unless the host answered since.
    Lost { host: usize, silence: u32 },
    /// A host has booted, unless it was switched off again.
    Booted { host: usize, boot: u32 },
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
    trouble: Trouble,
    changes: Vec<Change>,
    /// By host.
    facts: Vec<HostFacts>,
    needs: BTreeMap<VmId, GuestNeeds>,
    /// Guests that their people ended.
    ended: BTreeSet<usize>,
    /// Guests that people started or stopped by hand.
    by_hand: BTreeSet<usize>,
    /// Hosts and guests where people changed something since somebody looked.
    pub(crate) by_people: Vec<(usize, usize)>,
    powered_off: Vec<PoweredOff>,
    /// Orders that were taken although the target counted as unreachable.
    begun_to_lost: Vec<usize>,
    /// Guests whose I/O stands still, and since when; and for how long it did before.
    stalled_since: BTreeMap<usize, Timestamp>,
    stalled_for: BTreeMap<usize, Span>,
    log: Log<Happening>,
    /// A migration has ended, or its call has, since somebody asked.
    news: bool,
    flows: Vec<Flow>,
    rates: Vec<f64>,
}

impl SimCluster {
    /// The cluster that `snapshot` shows, at the snapshot's time.
    ///
    /// # Errors
    /// [`PlacementError`] when the snapshot gives a machine no single place.
    pub fn new(snapshot: &Snapshot, options: ClusterOptions) -> Result<Self, PlacementError> {
        let ClusterOptions {
            seed,
            physics,
            replay,
            faults,
            changes,
            facts,
            needs,
            log_lines,
            backbone,
        } = options;
        let world = World::new(snapshot, replay.as_ref())?;
        let nics: Vec<f64> = world.hosts.iter().map(|host| host.nic(&physics)).collect();
        let between = backbone.between(world.hosts.iter().map(|host| &host.id));
        let network = Network::new(&nics, &between);
        let facts = world.hosts.iter().map(|h| facts.get(&h.id).cloned().unwrap_or_default());
        let facts = facts.collect();
        let trouble = trouble_at_first(&world, snapshot.taken_at);
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
            trouble,
            changes,
            facts,
            needs,
            ended: BTreeSet::new(),
            by_hand: BTreeSet::new(),
            by_people: Vec::new(),
            powered_off: Vec::new(),
            begun_to_lost: Vec::new(),
            stalled_since: BTreeMap::new(),
            stalled_for: BTreeMap::new(),
            log: Log::new(log_lines),
            news: false,
            flows: Vec::new(),
            rates: Vec::new(),
        };
        cluster.first_readings(snapshot);
        for (fault, script) in cluster.faults.iter().enumerate() {
            cluster.agenda.after(script.at(), Event::Strike { fault });
        }
        for (change, script) in cluster.changes.iter().enumerate() {
            cluster.agenda.after(script.at(), Event::Change { change });
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
        while self.advance_to_next(until) {
            self.forget_touched();
        }
    }

    /// Lets the next thing happen that happens up to and including `until`; `false` when nothing
    /// does, and it is `until` now.
    pub(crate) fn advance_to_next(&mut self, until: Timestamp) -> bool {
        let Some(event) = self.agenda.next_until(until) else { return false };
        self.happen(event);
        if !self.world.touched.is_empty() && self.trouble.disturbs_storage() {
            self.settle_stalls();
        }
        true
    }

    /// Whether a migration or its call has ended since this was last asked.
    pub(crate) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.news)
    }

    /// Nobody looks at what was touched so far.
    pub(crate) fn forget_touched(&mut self) {
        self.world.touched.clear();
        self.by_people.clear();
    }

    /// Adds a fault to the script, at a time counted from now: what if it happened?
    pub fn strike_in(&mut self, delay: Span, fault: Fault) {
        let index = self.faults.len();
        self.faults.push(fault);
        self.agenda.after(delay, Event::Strike { fault: index });
    }

    /// Forgets every call: the program that held them has died. The migrations go on, as libvirt's
    /// peer-to-peer migrations do.
    pub fn controller_died(&mut self) {
        for migration in &mut self.migrations {
            migration.call_held = false;
        }
        self.note(|| Happening::ControllerDied);
    }

    /// The controller is back; for the log.
    pub(crate) fn controller_returned(&mut self) {
        self.note(|| Happening::ControllerReturned);
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
            Event::Change { change } => self.change(change),
            Event::ShutDown { host, boots } => self.shut_down(host, boots),
            Event::PathLost { migration, plane, wait } => self.lose_path(migration, plane, wait),
            Event::Lost { host, silence } => self.lose(host, silence),
            Event::Booted { host, boot } => self.booted(host, boot),
        }
    }

    fn note(&mut self, happening: impl FnOnce() -> Happening) {
        self.log.note(self.agenda.now(), happening);
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
        self.switch_power(host, power, false)
    }
}

/// A host that does not answer in the snapshot is cut off, for good.
fn trouble_at_first(world: &World, now: Timestamp) -> Trouble {
    let mut trouble = Trouble::new(world.hosts.len(), now);
    for (host, _) in world.hosts.iter().enumerate().filter(|(_, truth)| truth.lost) {
        for plane in [Plane::Management, Plane::Migration] {
            trouble.hosts[host].cuts[plane as usize] = 1;
        }
    }
    trouble
}

/// Whether a process in `state` is one that a guest may run on from.
fn is_alive(state: DomainState) -> bool {
    state.lives_here() || matches!(state, DomainState::Incoming | DomainState::Outgoing)
}
