//! Which guest is started next, and whose run is asked for.

use whimbrel_core::{Snapshot, ids::VmId, units::Timestamp};

use super::{Driver, Place, Stage, Trials, guests_on};
use crate::experiment::live::{Live, Way};

/// Runs under way at a time, from their request to their end.
const RUNS: usize = 3;

impl<T: Trials> Driver<'_, T> {
    /// Starts the next guest, one at a time, on the host that has the fewest.
    pub(super) fn start_guest(&mut self, snapshot: &Snapshot) {
        let starts = self.live.iter().any(|live| matches!(live.stage, Stage::Starting(_)));
        if starts || self.live.len() >= self.trials.alive() {
            return;
        }
        let Some(host) = snapshot.hosts.keys().min_by_key(|host| guests_on(snapshot, host)) else {
            return;
        };
        let Some(index) = self.queue.pop_front() else { return };
        let Some(subject) = self.trials.subjects().get(index) else { return };
        let Ok(vm) = VmId::new(&subject.spec.name) else { return };
        self.live.push(Live {
            vm,
            index,
            spec: subject.spec.clone(),
            started: self.world.cluster.now(),
            readings: Vec::new(),
            told: None,
            stage: Stage::start(self.lab, host.as_str(), &subject.spec),
        });
    }

    /// Asks for runs that are due; who rests longest is first.
    pub(super) fn ask(&mut self, snapshot: &Snapshot) {
        let now = self.world.cluster.now();
        let mut rest: Vec<(Timestamp, usize)> = Vec::new();
        for (place, live) in self.live.iter().enumerate() {
            if let Stage::Resting { since } = live.stage {
                rest.push((since, place));
            }
        }
        rest.sort_unstable();
        for (since, place) in rest {
            let runs = self.live.iter().filter(|live| live.stage.is_leaving());
            if runs.count() >= RUNS {
                return;
            }
            let Some(live) = self.live.get(place) else { continue };
            let Some(domain) = live.sighting(snapshot) else { continue };
            let Some(run) = self.next_run(live.index).cloned() else { continue };
            let is_taken = self.live.iter().filter(|other| other.stage.is_leaving()).any(|other| {
                other.sighting(snapshot).is_none_or(|other| other.host == domain.host)
            });
            if is_taken || !self.trials.is_due(live, &run, since, now) {
                continue;
            }
            let (lab, unshaped, qemu) = (self.lab, self.unshaped, self.qemu);
            let facts = Place { lab, domain, unshaped, qemu, now };
            let thread = self.trials.prepare(live, &run, &facts);
            if let Some(live) = self.live.get_mut(place) {
                live.stage = Stage::Asking(Way { run, requested: now }, thread);
            }
        }
    }
}
