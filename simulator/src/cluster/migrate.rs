//! One migration's way through the simulated libvirt and QEMU.
//!
//! ```text
//! Preparing -> Copying -> SwitchingOver -> Over (arrived, reported a little later)
//!     |           |             |
//!     |           +-> Cancelling -> Over (source runs on)
//!     '-----------+-------------+-> Over (failed, source runs on)
//! ```
//!
//! While a path is broken its migrations stand still where they are; they go on when it is mended
//! and fail when the keepalive runs out.

use whimbrel_core::{
    DomainState, HostId,
    cluster::CallState,
    ports::{Order, Refusal},
    settings::{Compression, MigrationSettings, Mode},
    units::Span,
};

use super::{
    Event, Happening, SimCluster,
    migration::{Migration, Phase},
};
use crate::{physics::Draws, precopy::PreCopy};

/// What travels as plain pre-copy over one stream is simulated; nothing else would be true.
fn refuse_unknown_physics(settings: &MigrationSettings) -> Result<(), Refusal> {
    let unknown = |what: String| Err(Refusal::Unsupported { what });
    if settings.mode != Mode::PreCopy {
        return unknown(format!("a migration in mode {:?}", settings.mode));
    }
    if settings.compression != Compression::None {
        return unknown(format!("compression {:?}", settings.compression));
    }
    if settings.channels != 1 {
        return unknown(format!("a migration over {} channels", settings.channels));
    }
    Ok(())
}

impl SimCluster {
    /// Takes an order, as the source's libvirt would.
    pub(super) fn take(&mut self, order: &Order) -> Result<(), Refusal> {
        refuse_unknown_physics(&order.settings)?;
        let unknown = |host: &HostId| Refusal::HostUnreachable { host: host.clone() };
        let from = self.world.host(&order.from).ok_or_else(|| unknown(&order.from))?;
        let to = self.world.host(&order.to).ok_or_else(|| unknown(&order.to))?;
        if self.world.hosts[from].lost {
            return Err(unknown(&order.from));
        }
        let vm = self.at_source(order, from)?;
        let says = |message: &str| {
            Err(Refusal::Hypervisor { host: order.from.clone(), message: message.to_owned() })
        };
        if self.trouble.refusing.contains(&vm) {
            return says("operation refused: the domain has a device that cannot be migrated");
        }
        if self.is_on_its_way(vm) {
            return says("another migration job is already running for the domain");
        }
        if from == to {
            return says("attempt to migrate guest to the same host");
        }
        let now = self.agenda.now();
        let memory = self.world.memory(vm, &self.physics);
        let draws = Draws::of(&order.id, &self.physics, self.streams);
        let migration = self.migrations.len();
        self.migrations.push(Migration {
            order: order.clone(),
            vm,
            from,
            to,
            call_held: true,
            phase: Phase::Preparing,
            call: CallState::Active,
            stats: None,
            begun_at: now,
            draws,
            copy: PreCopy::new(&memory, order.settings.downtime_limit, &self.physics),
            rate: 0.0,
            settled_at: now,
            downtime: Span::ZERO,
            due: now,
            turn: 0,
        });
        self.active.push(migration);
        self.orders.insert(order.id.clone(), migration);
        if self.world.hosts[to].lost {
            self.begun_to_lost.push(migration);
        }
        self.step_after(migration, draws.setup + self.trouble.image_delay());
        self.watch_paths(migration);
        Ok(())
    }

    fn at_source(&self, order: &Order, from: usize) -> Result<usize, Refusal> {
        let not_there = |detail: &str| Refusal::NotThere {
            vm: order.vm.clone(),
            host: order.from.clone(),
            detail: detail.to_owned(),
        };
        let vm = self.world.vm(&order.vm).ok_or_else(|| not_there("no such domain"))?;
        if self.world.vms[vm].uuid != order.uuid {
            return Err(not_there("another machine has its name"));
        }
        match self.world.hosts[from].processes.get(&vm) {
            Some(DomainState::Running) => Ok(vm),
            Some(_) => Err(not_there("the domain is not running")),
            // A host that is off or cut off cannot say so; the call will fail by itself.
            None if !self.world.hosts[from].answers() => {
                Err(Refusal::HostUnreachable { host: order.from.clone() })
            }
            None => Err(not_there("no such domain")),
        }
    }

    /// Gives an order up, as far as that is still possible.
    pub(super) fn give_up(&mut self, index: usize) -> Result<(), Refusal> {
        let migration = &self.migrations[index];
        match migration.phase {
            Phase::Over | Phase::Cancelling => return Ok(()),
            Phase::SwitchingOver => {
                return Err(Refusal::PastNoReturn { id: migration.order.id.clone() });
            }
            Phase::Preparing | Phase::Copying => {}
        }
        if !self.world.hosts[migration.from].answers() {
            return Err(Refusal::HostUnreachable { host: migration.order.from.clone() });
        }
        self.settle(index);
        self.migrations[index].phase = Phase::Cancelling;
        self.step_after(index, self.physics.cancel_delay);
        self.share_links();
        Ok(())
    }

    /// Takes the step that was scheduled in `turn`.
    pub(super) fn step(&mut self, index: usize, turn: u32) {
        let migration = &self.migrations[index];
        if migration.turn != turn {
            return;
        }
        match migration.phase {
            Phase::Cancelling => self.fail(index, "operation aborted: canceled by client"),
            Phase::Over => {}
            // What is mended, or the end of somebody's patience, will come back to it.
            _ if !self.may_go_on(index) => {}
            Phase::Preparing => self.begin_copy(index),
            Phase::Copying => self.consider_switch_over(index),
            Phase::SwitchingOver => self.arrive(index),
        }
    }

    fn begin_copy(&mut self, index: usize) {
        let now = self.agenda.now();
        let (vm, to) = (self.migrations[index].vm, self.migrations[index].to);
        if self.world.hosts[to].processes.get(&vm).is_some_and(|state| super::is_alive(*state)) {
            return self.fail(index, "operation failed: the domain is already active");
        }
        if let Some(why) = self.refuses_arrival(vm, to) {
            return self.fail(index, &why);
        }
        self.world.place(to, vm, DomainState::Incoming, now);
        let memory = self.world.memory(vm, &self.physics);
        let migration = &mut self.migrations[index];
        let limit = migration.order.settings.downtime_limit;
        migration.copy = PreCopy::new(&memory, limit, &self.physics);
        migration.phase = Phase::Copying;
        migration.settled_at = now;
        let order = migration.order.id.clone();
        self.note(|| Happening::Copying { order });
        self.share_links();
    }

    fn consider_switch_over(&mut self, index: usize) {
        self.settle(index);
        let migration = &mut self.migrations[index];
        if !migration.copy.switches_over(migration.rate) {
            let (order, remaining) = (&migration.order.id, migration.copy.remaining());
            let line = || Happening::Synchronised { order: order.clone(), remaining };
            self.log.note(self.agenda.now(), line);
            return self.plan_check(index);
        }
        migration.phase = Phase::SwitchingOver;
        let (vm, from) = (migration.vm, migration.from);
        self.world.place(from, vm, DomainState::Outgoing, self.agenda.now());
        // QEMU lifts its cap for the last pages.
        self.share_links();
        let migration = &mut self.migrations[index];
        let pages = migration.copy.finish(migration.rate);
        migration.downtime = pages + migration.draws.device_downtime + self.trouble.image_delay();
        let (order, downtime) = (migration.order.id.clone(), migration.downtime);
        self.step_after(index, downtime);
        self.note(|| Happening::SwitchingOver { order, downtime });
    }

    fn arrive(&mut self, index: usize) {
        let now = self.agenda.now();
        let migration = &mut self.migrations[index];
        migration.phase = Phase::Over;
        migration.stats = Some(migration.stats(now));
        let (vm, from, to) = (migration.vm, migration.from, migration.to);
        let (order, delay) = (migration.order.id.clone(), migration.draws.report_delay);
        self.world.remove(from, vm, now);
        self.world.place(to, vm, DomainState::Running, now);
        self.active.retain(|other| *other != index);
        self.agenda.after(delay, Event::Report { migration: index });
        self.note(|| Happening::Arrived { order });
        self.share_links();
    }

    /// The call returns with the figures of the completed job.
    pub(super) fn report(&mut self, index: usize) {
        let migration = &mut self.migrations[index];
        if migration.call != CallState::Active {
            return;
        }
        if self.world.hosts[migration.from].answers() {
            migration.call = CallState::Returned;
        } else {
            // It comes through when the source is heard again, or breaks with the keepalive.
            self.agenda.after(Span::from_seconds(1), Event::Report { migration: index });
        }
    }

    /// The migration is over; the guest runs on at its source, if there still is one.
    pub(super) fn fail(&mut self, index: usize, message: &str) {
        let now = self.agenda.now();
        self.settle(index);
        let migration = &mut self.migrations[index];
        let arriving =
            matches!(migration.phase, Phase::Copying | Phase::SwitchingOver | Phase::Cancelling);
        migration.phase = Phase::Over;
        migration.turn += 1;
        migration.call = CallState::Errored(message.to_owned());
        let (vm, from, to) = (migration.vm, migration.from, migration.to);
        let order = migration.order.id.clone();
        if arriving && self.world.hosts[to].processes.get(&vm) == Some(&DomainState::Incoming) {
            self.world.remove(to, vm, now);
        }
        if self.world.hosts[from].processes.get(&vm) == Some(&DomainState::Outgoing) {
            self.world.place(from, vm, DomainState::Running, now);
        }
        self.active.retain(|other| *other != index);
        self.note(|| Happening::Failed { order, message: message.to_owned() });
        self.share_links();
    }

    /// Gives every running stream its share of the links. Streams whose rate does not change keep
    /// their plans.
    pub(super) fn share_links(&mut self) {
        self.flows.clear();
        for index in &self.active {
            self.flows.push(self.migrations[*index].flow(self.stands_still(*index)));
        }
        self.network.share(&self.flows, &mut self.rates);
        for place in 0..self.active.len() {
            let index = self.active[place];
            let migration = &self.migrations[index];
            let rate = self.rates[place] * migration.draws.efficiency;
            if (rate - migration.rate).abs() > rate * 1e-12 {
                self.settle(index);
                self.migrations[index].rate = rate;
                self.plan_check(index);
            }
        }
    }

    /// The guest writes in a new way, also while it is being copied.
    pub(super) fn rewrite(&mut self, vm: usize) {
        let copying = |index: &&usize| {
            let migration = &self.migrations[**index];
            migration.vm == vm && migration.phase == Phase::Copying
        };
        if let Some(&index) = self.active.iter().find(copying) {
            self.settle(index);
            let memory = self.world.memory(vm, &self.physics);
            self.migrations[index].copy.rewrite(&memory);
            self.plan_check(index);
        }
    }

    /// Brings a copy up to the present at the rate that was in force.
    fn settle(&mut self, index: usize) {
        let now = self.agenda.now();
        let migration = &mut self.migrations[index];
        if migration.phase == Phase::Copying {
            migration.copy.advance(now.since(migration.settled_at), migration.rate);
        }
        migration.settled_at = now;
    }

    /// Schedules the next look at the switch-over of a copy; none while nothing flows.
    fn plan_check(&mut self, index: usize) {
        let migration = &mut self.migrations[index];
        if migration.phase != Phase::Copying {
            return;
        }
        migration.turn += 1;
        if let Some(wait) = migration.copy.next_check(migration.rate) {
            self.step_after(index, wait);
        }
    }

    pub(super) fn step_after(&mut self, index: usize, delay: Span) {
        let migration = &mut self.migrations[index];
        migration.turn += 1;
        migration.due = self.agenda.now() + delay;
        let turn = migration.turn;
        self.agenda.after(delay, Event::Step { migration: index, turn });
    }
}
