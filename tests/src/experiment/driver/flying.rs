//! From an answer to the end of its migration.

use std::cmp::Reverse;

use whimbrel_core::{
    Domain, DomainState, HostId, Snapshot, ids::VmId, ports::Order, units::Timestamp,
};

use super::{Driver, Stage, Trials, guests_on};
use crate::{
    campaign::{
        error::CampaignError,
        flight::{Flight, Look, draft},
    },
    draw::Draw,
    experiment::{
        live::{Begun, Ended, Prepared, Told, Way},
        timers::Act,
    },
};

impl<T: Trials> Driver<'_, T> {
    /// What follows from what a preparation returned.
    pub(super) fn prepared(
        &mut self,
        rested: Option<Told>,
        way: Way<T::Case>,
        prepared: Result<Prepared, CampaignError>,
    ) -> Result<Stage<T::Case>, CampaignError> {
        match prepared {
            Ok(prepared) => Ok(Stage::Waiting(Box::new(Begun { way, prepared, rested }))),
            Err(error) => {
                self.broken(&way.run.id, &error.to_string())?;
                Ok(Stage::Resting { since: self.world.cluster.now() })
            }
        }
    }

    /// Begins a migration whose moment has come.
    pub(super) fn begin(
        &mut self,
        vm: &VmId,
        begun: Box<Begun<T::Case>>,
        snapshot: &Snapshot,
    ) -> Result<Stage<T::Case>, CampaignError> {
        let runs = |domain: &&Domain| domain.state == DomainState::Running;
        let Some(domain) = snapshot.sightings(vm).find(runs) else {
            return Ok(Stage::Waiting(begun));
        };
        let limit = self.trials.limit();
        let order = Order {
            id: begun.way.run.id.clone(),
            vm: vm.clone(),
            uuid: domain.uuid.clone(),
            from: domain.host.clone(),
            to: target(&mut self.draw, snapshot, &domain.host),
            settings: begun.prepared.settings.clone(),
            deadline: self.world.cluster.now() + limit,
        };
        let mut record = draft(&order, domain, Timestamp::default());
        record.path_bandwidth = Some(begun.prepared.path);
        record.qemu = Some(self.qemu);
        record.predicted.clone_from(&begun.prepared.predicted);
        match Flight::begin(self.world.cluster.as_mut(), order, record, limit) {
            Ok(flight) => Ok(Stage::Flying(begun, Box::new(flight), None)),
            Err(refusal) => {
                self.broken(&begun.way.run.id, &refusal.to_string())?;
                Ok(Stage::Resting { since: self.world.cluster.now() })
            }
        }
    }

    /// Looks at a migration under way, which was given up for `reason`, if for any.
    pub(super) fn look(
        &mut self,
        mut begun: Begun<T::Case>,
        mut flight: Flight,
        mut reason: Option<&'static str>,
        snapshot: &Snapshot,
    ) -> Result<Stage<T::Case>, CampaignError> {
        let order = flight.order().clone();
        match flight.look(snapshot) {
            Look::UnderWay => {}
            Look::Overdue => {
                // What came of it is seen.
                let _ = self.world.cluster.cancel(&order.id);
            }
            Look::Ended(mut record, samples) => {
                if let (false, Some(reason)) = (record.arrived, reason) {
                    record.failure = Some(reason.to_owned());
                }
                let ended = Ended { begun, record: *record, samples };
                return Ok(Stage::check(self.lab, ended));
            }
            Look::Refused(reason) | Look::Lost(reason) => {
                self.broken(&order.id, &reason)?;
                self.lab.link_clear(order.from.as_str())?;
                // Whatever state it is in, a new one is in a known state.
                return Ok(Stage::end(self.lab, &order.vm));
            }
        }
        if let Some(timers) = &mut begun.prepared.timers {
            let elapsed = flight.under_way(snapshot);
            match timers.look(elapsed, flight.progress()) {
                Act::Switch => self.switch(&order),
                Act::GiveUp(why) if reason.is_none() => {
                    reason = Some(why);
                    flight.give_up();
                    let _ = self.world.cluster.cancel(&order.id);
                }
                Act::Wait | Act::GiveUp(_) => {}
            }
        }
        Ok(Stage::Flying(Box::new(begun), Box::new(flight), reason))
    }

    /// Switches to post-copy, as an operator at the source's console. One that has just ended
    /// refuses.
    fn switch(&mut self, order: &Order) {
        let words = ["migrate-postcopy", order.vm.as_str()];
        match self.lab.virsh(order.from.as_str(), &words) {
            Ok(_) => (self.say)(&format!("{} switches to post-copy", order.id)),
            Err(error) => (self.say)(&format!("{} does not switch: {error}", order.id)),
        }
    }
}

/// The emptiest of the other hosts; one of them by chance where several are.
fn target(draw: &mut Draw, snapshot: &Snapshot, from: &HostId) -> HostId {
    let mut others: Vec<_> = snapshot.hosts.keys().filter(|host| *host != from).collect();
    draw.shuffle(&mut others);
    others.sort_by_key(|host| Reverse(guests_on(snapshot, host)));
    others.pop().unwrap_or(from).clone()
}
