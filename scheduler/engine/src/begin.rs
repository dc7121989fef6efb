//! Which moves begin at a tick: those that wait for nobody, whose moment has come, and whose hosts
//! have a slot free.
//!
//! Looks once more whether the world is still as the plan found it; never begins a move out of the
//! plan's order where that would keep another from its hosts.

use std::collections::BTreeSet;

use whimbrel_core::{
    Cluster, Move, Snapshot,
    ids::HostId,
    migration::MoveState,
    plan::Slots,
    ports::{Journal, JournalError},
    units::Timestamp,
};

use crate::{
    Engine, admit,
    run::{Before, MoveRun},
};

impl Engine {
    /// Begins, in the plan's order, every move that waits for nobody any more and finds a slot free
    /// at both of its hosts.
    pub(crate) fn begin_ready(
        &mut self,
        snapshot: &Snapshot,
        now: Timestamp,
        cluster: &mut dyn Cluster,
        journal: &mut dyn Journal,
    ) -> Result<(), JournalError> {
        let (progress, freshness) = (self.last_progress(), self.settings.freshness);
        let ahead = self.slots_of(|run, planned| !run.state.is_final() && !planned.alone);
        let mut taken = self.slots_of(|run, _| run.state.is_under_way());
        let mut held: BTreeSet<HostId> = BTreeSet::new();
        for index in 0..self.runs.len() {
            let run = &self.runs[index];
            let hosts = [&run.order.from, &run.order.to];
            let planned = &self.plan.moves[index];
            if run.state != MoveState::Planned
                || planned.not_before.is_some_and(|opens| now < opens)
                || hosts.iter().any(|host| held.contains(*host))
                || !self.room_is_made(index)
            {
                continue;
            }
            if !planned.ends_in_time(now) {
                let detail =
                    "it would not end before its window closes (hint: plan again)".to_owned();
                self.runs[index].become_state(MoveState::Skipped, detail, now, journal)?;
                continue;
            }
            if taken.lacks(planned.takes()).is_some() {
                // Whoever goes alone would else never find its hosts free.
                if planned.alone {
                    held.extend(hosts.into_iter().cloned());
                }
                continue;
            }
            // Its turn comes with its moment, if there was progress before.
            let turn = planned.not_before.map_or(progress, |opens| opens.max(progress));
            let coming = self.on_its_way(&run.order.to);
            let sharing = ahead.most(planned.takes()).min(self.plan.at_once.sharing_max());
            let shared = if planned.alone { 1 } else { sharing };
            let run = &mut self.runs[index];
            match admit::admit(&run.order, snapshot, coming, &self.settings) {
                Ok(domain) => {
                    let before = Before::of(domain, &run.order.to, shared, snapshot);
                    run.begin(before, now, cluster, journal)?;
                    if run.state.is_under_way() {
                        taken.take(planned.takes());
                    }
                }
                // Not its fault and perhaps not for long: it is looked at again next tick, until
                // the time that it would itself have been given is over.
                Err(denial) if denial.may_pass() && !run.waited_too_long(turn, freshness, now) => {
                    run.detail = denial.to_string();
                }
                Err(denial) => {
                    run.become_state(MoveState::Skipped, denial.to_string(), now, journal)?;
                }
            }
        }
        Ok(())
    }

    /// What the moves that `counts` names take of the slots.
    fn slots_of(&self, counts: impl Fn(&MoveRun, &Move) -> bool) -> Slots<HostId> {
        let mut slots = Slots::new(self.plan.at_once);
        for (run, planned) in self.runs.iter().zip(&self.plan.moves) {
            if counts(run, planned) {
                slots.take(planned.takes());
            }
        }
        slots
    }

    /// Whether everything that the move at `index` waits for has arrived.
    fn room_is_made(&self, index: usize) -> bool {
        let arrived = |&one: &u32| {
            self.runs.get(one as usize).is_some_and(|run| run.state == MoveState::Settled)
        };
        self.runs[index].after.iter().all(arrived)
    }

    /// When a slot was last freed, or the plan was accepted: what waits now waits since then.
    fn last_progress(&self) -> Timestamp {
        self.runs.iter().filter_map(|run| run.closed_at).max().unwrap_or(self.accepted_at)
    }

    /// What begun moves are bringing to `host` and it does not report as its own yet.
    fn on_its_way(&self, host: &HostId) -> admit::Coming {
        let coming = self
            .runs
            .iter()
            .filter(|run| run.order.to == *host && run.state.is_under_way())
            .filter(|run| run.state != MoveState::Arrived)
            .filter_map(|run| run.before.as_ref().map(|before| &before.domain));
        coming.fold(admit::Coming::default(), |sum, domain| admit::Coming {
            memory: sum.memory + domain.memory,
            vcpus: sum.vcpus.saturating_add(domain.vcpus),
        })
    }
}
