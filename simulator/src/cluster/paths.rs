//! Who reaches whom, and what follows when that changes.
//!
//! A migration needs two connections: that of the two daemons, over management, and the stream
//! between the two QEMU, over migration. Each may break for a while without harm. When the daemons
//! have not reached each other for the keepalive, libvirt gives the migration up; a stream that
//! nothing acknowledges is given up by TCP.
//!
//! Never here: faults themselves.

use std::collections::{BTreeMap, btree_map::Entry};

use whimbrel_core::{DomainState, cluster::CallState, units::Span};

use super::{Event, Happening, SimCluster, migration::Phase, trouble::Trouble};
use crate::{
    fault::Plane,
    world::{HostTruth, Reach},
};

/// How long TCP sends again before it gives a connection up. Source: `tcp_retries2` = 15 in
/// Linux's `Documentation/networking/ip-sysctl.rst`, 924.6 s.
const STREAM_PATIENCE: Span = Span::from_millis(924_600);

impl SimCluster {
    /// Faults or power have changed: works out who reaches whom now.
    pub(super) fn rewire(&mut self) {
        for host in 0..self.world.hosts.len() {
            let heard = self.is_heard(host);
            let linked = !self.trouble.is_cut(host, Plane::Migration);
            self.change_host(host, |truth| truth.reach = Reach { heard, linked });
        }
        self.share_links();
        for place in 0..self.active.len() {
            self.watch_paths(self.active[place]);
        }
        self.resume();
        self.settle_stalls();
    }

    /// Changes what a host is or reaches. Where it falls silent, whoever talks to it finds out by
    /// the keepalive, counted from then.
    pub(super) fn change_host(&mut self, host: usize, how: impl FnOnce(&mut HostTruth)) {
        let truth = &mut self.world.hosts[host];
        let (answered, carried) = (truth.answers(), truth.nic(&self.physics));
        how(truth);
        let (answers, carries) = (truth.answers(), truth.nic(&self.physics));
        if answered && !answers {
            let silence = truth.silences;
            self.agenda.after(self.physics.keepalive, Event::Lost { host, silence });
        }
        if answers && !answered {
            truth.silences += 1;
            truth.lost = false;
        }
        if (carried - carries).abs() > 0.0 {
            self.network.set_capacity(host, carries);
        }
    }

    /// What a host's NIC carries has changed.
    pub(super) fn link_changes(&mut self, host: usize) {
        let capacity = self.world.hosts[host].nic(&self.physics);
        self.network.set_capacity(host, capacity);
        self.share_links();
    }

    /// The keepalive runs out: the host counts as unreachable, and calls that the controller holds
    /// with it fail. What its daemon was asked to do goes on.
    pub(super) fn lose(&mut self, host: usize, silence: u32) {
        let truth = &mut self.world.hosts[host];
        if truth.silences != silence {
            return;
        }
        truth.lost = true;
        let id = truth.id.clone();
        self.note(|| Happening::Lost { host: id });
        for migration in &mut self.migrations {
            if migration.from == host && migration.call_held && migration.call == CallState::Active
            {
                let message = "connection to the hypervisor lost, keepalive timed out";
                migration.call = CallState::Errored(message.to_owned());
            }
        }
    }

    /// Begins or ends the waits for a migration's broken connections.
    pub(super) fn watch_paths(&mut self, index: usize) {
        for (plane, patience) in
            [(Plane::Management, self.physics.keepalive), (Plane::Migration, STREAM_PATIENCE)]
        {
            let (from, to) = (self.migrations[index].from, self.migrations[index].to);
            let stands = self.is_connected(from, to, plane);
            let Trouble { broken, waits, .. } = &mut self.trouble;
            if stands {
                broken.remove(&(index, plane));
            } else if let Entry::Vacant(place) = broken.entry((index, plane)) {
                let wait = *waits;
                place.insert(wait);
                *waits = wait.wrapping_add(1);
                let event = Event::PathLost { migration: index, plane, wait };
                self.agenda.after(patience, event);
            }
        }
    }

    /// Patience with a broken connection has run out.
    pub(super) fn lose_path(&mut self, index: usize, plane: Plane, wait: u32) {
        if self.trouble.broken.get(&(index, plane)) != Some(&wait) {
            return;
        }
        self.trouble.broken.remove(&(index, plane));
        if self.migrations[index].phase != Phase::Over {
            self.fail(index, "operation failed: connection lost, keepalive timed out");
        }
    }

    /// Ends every migration at a host whose processes and connections are gone.
    pub(super) fn break_streams(&mut self, host: usize) {
        for index in self.active.clone() {
            let migration = &self.migrations[index];
            if migration.from == host || migration.to == host {
                self.fail(index, "operation failed: connection reset by peer");
            }
        }
    }

    fn is_connected(&self, from: usize, to: usize, plane: Plane) -> bool {
        let hosts = &self.world.hosts;
        hosts[from].powered && hosts[to].powered && self.trouble.joins(from, to, plane)
    }

    /// Whether nothing that a migration's phase needs stands in its way.
    pub(super) fn may_go_on(&self, index: usize) -> bool {
        let migration = &self.migrations[index];
        let (from, to) = (migration.from, migration.to);
        let daemons = || {
            self.is_connected(from, to, Plane::Management)
                && self.daemon_works(from)
                && self.daemon_works(to)
        };
        let stream = || self.is_connected(from, to, Plane::Migration);
        match migration.phase {
            // The target's QEMU opens the image when it starts.
            Phase::Preparing => daemons() && self.trouble.serves(to),
            Phase::Copying | Phase::Serving => stream(),
            // The source lets go of the image, the target takes it.
            Phase::SwitchingOver | Phase::Moving => {
                daemons() && stream() && self.trouble.serves(from) && self.trouble.serves(to)
            }
            Phase::Cancelling | Phase::Over => true,
        }
    }

    /// Whether a migration's stream stands still although its NICs carry.
    pub(super) fn stands_still(&self, index: usize) -> bool {
        let migration = &self.migrations[index];
        self.trouble.sticking.contains(&migration.vm)
            || !self.trouble.joins(migration.from, migration.to, Plane::Migration)
    }

    /// What waited for something that was mended goes on; a guest that waited in its switch-over
    /// stood still all the while.
    fn resume(&mut self) {
        let now = self.agenda.now();
        for place in 0..self.active.len() {
            let index = self.active[place];
            let migration = &self.migrations[index];
            let stopped = matches!(migration.phase, Phase::SwitchingOver | Phase::Moving);
            let waits = stopped || migration.phase == Phase::Preparing;
            if waits && migration.due <= now && self.may_go_on(index) {
                let migration = &mut self.migrations[index];
                if stopped {
                    migration.downtime += now.since(migration.due);
                }
                self.step_after(index, Span::ZERO);
            }
        }
    }

    /// Keeps count of how long each guest's I/O stands still.
    pub(super) fn settle_stalls(&mut self) {
        let now = self.agenda.now();
        let mut stalled = BTreeMap::new();
        for (host, truth) in self.world.hosts.iter().enumerate() {
            if self.trouble.serves(host) {
                continue;
            }
            for (&vm, _) in truth.processes.iter().filter(|(_, s)| **s == DomainState::Running) {
                stalled.insert(vm, *self.stalled_since.get(&vm).unwrap_or(&now));
            }
        }
        for (vm, since) in std::mem::replace(&mut self.stalled_since, stalled) {
            if !self.stalled_since.contains_key(&vm) {
                *self.stalled_for.entry(vm).or_default() += now.since(since);
            }
        }
    }
}
