//! One migration's way through the simulated libvirt and QEMU, up to where its guest is stopped
//! (`arrive` has the rest).
//!
//! ```text
//! Preparing -> Copying -> SwitchingOver -> Over (arrived, reported a little later)
//!     |         | |  |          |
//!     |         | |  +-> Cancelling -> Over (source runs on)
//!     '---------|-+-------------+-> Over (failed, source runs on)
//!               '-> Moving -> Serving -> Over (arrived; or broken: nobody may touch the guest)
//! ```
//!
//! While a path is broken its migrations stand still where they are; they go on when it is mended
//! and fail when the keepalive runs out. A guest that post-copy has moved cannot go back: where its
//! memory stops coming it stands still at its target, for a person to look at.

use whimbrel_core::{
    DomainState, HostId,
    cluster::CallState,
    ports::{Order, Refusal},
    settings::Compression,
    units::{GUEST_PAGE, MilliCores, Span},
};

use super::{
    Event, Happening, SimCluster,
    migration::{Migration, Phase},
};
use crate::{
    copy::{PageCopy, Turn, classes::ClassBitmap},
    physics::Draws,
};

impl SimCluster {
    /// Takes an order, as the source's libvirt would.
    pub(super) fn take(&mut self, order: &Order) -> Result<(), Refusal> {
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
        let qemu = self.world.qemu(from, to);
        if let Err(conflict) = order.settings.check(qemu) {
            return says(&format!("invalid argument: {conflict}"));
        }
        let now = self.agenda.now();
        let draws = Draws::of(&order.id, &order.settings, &self.physics, self.streams);
        let copy = self.fresh_copy(order, vm, from, to);
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
            copy,
            rate: 0.0,
            settled_at: now,
            downtime: Span::ZERO,
            charged: [MilliCores::default(); 2],
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

    /// The guest's memory with every page to be sent.
    fn fresh_copy(
        &self,
        order: &Order,
        vm: usize,
        from: usize,
        to: usize,
    ) -> PageCopy<ClassBitmap> {
        let memory = self.world.memory(vm, &self.physics);
        let cache = match order.settings.compression {
            Compression::Xbzrle { cache } => Some(cache.as_f64() / GUEST_PAGE.as_f64()),
            _ => None,
        };
        let bitmap = ClassBitmap::new(&memory, cache, &self.physics);
        PageCopy::new(bitmap, &order.settings, self.world.qemu(from, to), &self.physics)
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
            Phase::SwitchingOver | Phase::Moving | Phase::Serving => {
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
            Phase::Moving => self.run_at_target(index),
            Phase::Serving => self.consider_arrival(index),
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
        let migration = &self.migrations[index];
        let copy = self.fresh_copy(&migration.order, vm, migration.from, to);
        let migration = &mut self.migrations[index];
        migration.copy = copy;
        migration.copy.host_gives(self.world.hosts[migration.from].meter.share());
        migration.phase = Phase::Copying;
        migration.settled_at = now;
        let order = migration.order.id.clone();
        self.note(|| Happening::Copying { order });
        self.share_links();
    }

    fn consider_switch_over(&mut self, index: usize) {
        self.settle(index);
        let migration = &mut self.migrations[index];
        let before = migration.copy.throttle_percent();
        let turn = migration.copy.consider(migration.rate);
        let (vm, throttle) = (migration.vm, migration.copy.throttle_percent());
        if throttle != before {
            self.throttle(vm, throttle);
        }
        match turn {
            Turn::Continues { read } => {
                let migration = &self.migrations[index];
                if read {
                    let (order, remaining) = (&migration.order.id, migration.copy.remaining());
                    let line = || Happening::Synchronised { order: order.clone(), remaining };
                    self.log.note(self.agenda.now(), line);
                }
                self.plan_check(index);
            }
            Turn::SwitchesOver => self.stop_guest(index, Phase::SwitchingOver),
            Turn::Moves => self.stop_guest(index, Phase::Moving),
        }
    }

    /// Gives every running stream its share of the links. Streams whose rate does not change keep
    /// their plans.
    pub(super) fn share_links(&mut self) {
        self.flows.clear();
        for index in &self.active {
            self.flows.push(self.migrations[*index].flow(self.stands_still(*index)));
        }
        self.network.share(&self.active, &self.flows, &mut self.rates);
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
            migration.vm == vm && matches!(migration.phase, Phase::Copying | Phase::Serving)
        };
        if let Some(&index) = self.active.iter().find(copying) {
            self.settle(index);
            let memory = self.world.memory(vm, &self.physics);
            self.migrations[index].copy.bitmap.rewrite(&memory);
            self.plan_check(index);
        }
    }

    /// Brings a copy up to the present at the rate that was in force.
    pub(super) fn settle(&mut self, index: usize) {
        let now = self.agenda.now();
        let migration = &mut self.migrations[index];
        let passed = now.since(migration.settled_at);
        match migration.phase {
            Phase::Copying => migration.copy.advance(passed, migration.rate),
            Phase::Serving => migration.copy.serve(passed, migration.rate, &self.physics),
            _ => {}
        }
        migration.settled_at = now;
    }

    /// Charges a copy for what it does now, and schedules the next look at its switch-over; none
    /// while nothing flows.
    pub(super) fn plan_check(&mut self, index: usize) {
        self.charge(index);
        self.schedule_check(index);
    }

    pub(super) fn schedule_check(&mut self, index: usize) {
        let migration = &mut self.migrations[index];
        let wait = match migration.phase {
            Phase::Copying => migration.copy.next_check(migration.rate),
            Phase::Serving => migration.copy.served_in(migration.rate, &self.physics),
            _ => return,
        };
        migration.turn += 1;
        if let Some(wait) = wait {
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
