//! How a migration ends: its guest is stopped and runs at its target, or it is over before that.
//!
//! Never here: what leads to it (`migrate`).

use whimbrel_core::{
    DomainState,
    cluster::CallState,
    units::{Bytes, Span},
};

use super::{Event, Happening, SimCluster, migration::Phase};

impl SimCluster {
    /// The guest stands still at its source: for its last pages, or to be moved before them.
    pub(super) fn stop_guest(&mut self, index: usize, phase: Phase) {
        let now = self.agenda.now();
        let migration = &mut self.migrations[index];
        migration.phase = phase;
        let (vm, from, before) = (migration.vm, migration.from, migration.rate);
        // What a full link has queued goes before the rest; post-copy does not count it.
        let full = before > 0.0 && migration.copy.fills(before);
        let waits = full && phase == Phase::SwitchingOver;
        let queued = if waits { self.physics.queue(before) } else { Span::ZERO };
        self.world.place(from, vm, DomainState::Outgoing, now);
        self.cpu_changes(from);
        // QEMU lifts its cap for the last pages.
        self.share_links();
        let migration = &mut self.migrations[index];
        let stopped = if phase == Phase::Moving {
            migration.copy.move_guest()
        } else {
            migration.copy.finish(migration.rate)
        };
        let device = migration.draws.device_downtime + self.trouble.image_delay();
        migration.downtime = stopped + queued + device;
        let (order, downtime) = (migration.order.id.clone(), migration.downtime);
        self.step_after(index, downtime);
        self.note(|| Happening::SwitchingOver { order, downtime });
    }

    /// Post-copy's point of no return: the guest runs at its target, its memory follows.
    pub(super) fn run_at_target(&mut self, index: usize) {
        let now = self.agenda.now();
        let migration = &mut self.migrations[index];
        migration.phase = Phase::Serving;
        migration.settled_at = now;
        migration.copy.host_gives(self.world.hosts[migration.to].meter.share());
        let (vm, to) = (migration.vm, migration.to);
        let (order, remaining) = (migration.order.id.clone(), migration.copy.remaining());
        self.world.place(to, vm, DomainState::Running, now);
        self.cpu_changes(to);
        self.note(|| Happening::Moved { order, remaining });
        self.share_links();
        self.plan_check(index);
    }

    pub(super) fn consider_arrival(&mut self, index: usize) {
        self.settle(index);
        if self.migrations[index].copy.remaining() > Bytes::ZERO {
            self.plan_check(index);
        } else {
            self.arrive(index);
        }
    }

    pub(super) fn arrive(&mut self, index: usize) {
        let now = self.agenda.now();
        let migration = &mut self.migrations[index];
        migration.phase = Phase::Over;
        migration.stats = Some(migration.stats(now));
        let (vm, from, to) = (migration.vm, migration.from, migration.to);
        let (order, delay) = (migration.order.id.clone(), migration.draws.report_delay);
        let felt = migration.felt();
        self.world.remove(from, vm, now);
        self.world.place(to, vm, DomainState::Running, now);
        self.active.retain(|other| *other != index);
        self.agenda.after(delay, Event::Report { migration: index });
        self.note(|| Happening::Arrived { order });
        self.note(|| felt);
        self.wind_up(index);
    }

    /// Gives back what a migration that is over took of its hosts.
    fn wind_up(&mut self, index: usize) {
        self.news = true;
        let migration = &self.migrations[index];
        let (vm, from, to) = (migration.vm, migration.from, migration.to);
        self.charge(index);
        self.throttle(vm, 0);
        self.cpu_changes(from);
        self.cpu_changes(to);
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
            self.news = true;
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
        let arriving = !matches!(migration.phase, Phase::Preparing | Phase::Over);
        let broken = migration.phase == Phase::Serving;
        migration.phase = Phase::Over;
        migration.turn += 1;
        migration.call = CallState::Errored(message.to_owned());
        let (vm, from, to) = (migration.vm, migration.from, migration.to);
        let order = migration.order.id.clone();
        if arriving && self.world.hosts[to].processes.get(&vm) == Some(&DomainState::Incoming) {
            self.world.remove(to, vm, now);
        }
        self.active.retain(|other| *other != index);
        if broken {
            self.world.remove(from, vm, now);
            if self.world.hosts[to].processes.contains_key(&vm) {
                self.world.place(to, vm, DomainState::PostCopyFailed, now);
            }
            self.note(|| Happening::Broken { order, message: message.to_owned() });
        } else {
            if self.world.hosts[from].processes.get(&vm) == Some(&DomainState::Outgoing) {
                self.world.place(from, vm, DomainState::Running, now);
            }
            self.note(|| Happening::Failed { order, message: message.to_owned() });
        }
        self.wind_up(index);
    }
}
