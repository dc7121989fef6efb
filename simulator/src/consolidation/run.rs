//! Time passes: guests ask, hosts give, every five minutes a decision, and its migrations arrive.
//!
//! Never here: what is decided, and who gets how much.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{
    decision::{Decides, Situation, Step},
    guest::Guests,
    host::Host,
    policy::Policy,
    results::{Results, Tally},
    settle::settle,
    setup::{INTERVAL_SECONDS, Setup},
};

/// The reference lets so many seconds pass between placing guests and their first work.
const BEGIN_SECONDS: f64 = 0.1;

/// When the first decision is made.
const FIRST_SECONDS: f64 = BEGIN_SECONDS + INTERVAL_SECONDS;

/// How long a guest is remembered to have left a host.
const UNDONE_SECONDS: f64 = 3600.0;

/// Guests of each host are gathered again when one in so many has moved.
const SCATTERED_PART: usize = 16;

/// Why a study cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StudyError {
    /// Not all guests find a place at the beginning.
    #[error("no host has room for guest {guest} at the beginning (hint: give more hosts)")]
    NoRoom {
        /// Position of the guest.
        guest: usize,
    },
    /// A migration would take longer than the time between two decisions.
    #[error(
        "guest {guest} would migrate longer than the time between decisions \
         (hint: the study has no such migrations; give it less memory)"
    )]
    TooLarge {
        /// Position of the guest.
        guest: usize,
    },
}

/// Runs `setup` from its beginning to its end under `policy`; `seed` is for policies that draw.
///
/// # Errors
/// [`StudyError`].
pub fn study(setup: &Setup, policy: &Policy, seed: u64) -> Result<Results, StudyError> {
    let mut study = Study::new(setup, policy.share_max())?;
    study.pass(policy.decides(setup, seed).as_mut());
    Ok(study.results())
}

/// A migration that arrives at a moment.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: f64,
    step: Step,
}

struct Study<'a> {
    setup: &'a Setup,
    hosts: Vec<Host>,
    /// Hosts on which something may change, in order.
    awake: Vec<u32>,
    guests: Guests,
    /// Hosts that each guest left in the last hour, and when.
    left: BTreeMap<u32, Vec<(u32, f64)>>,
    /// Guests that moved since those of each host were gathered.
    scattered: usize,
    /// Until when energy is counted.
    counted: f64,
    tally: Tally,
}

impl<'a> Study<'a> {
    /// Guests are placed; `share_max` as of [`settle`].
    fn new(setup: &'a Setup, share_max: f64) -> Result<Self, StudyError> {
        let mut hosts: Vec<Host> =
            setup.hosts.iter().map(|kind| Host::new(*kind, &setup.host_kinds[*kind])).collect();
        let mut guests = Guests::new(setup);
        let long = |memory: u32| {
            setup.host_kinds.iter().any(|kind| kind.migration_seconds(memory) >= INTERVAL_SECONDS)
        };
        if let Some(guest) = guests.iter().position(|guest| long(guest.memory_mb)) {
            return Err(StudyError::TooLarge { guest });
        }
        settle(setup, &mut hosts, &mut guests, share_max)?;
        guests.gather(&hosts);
        let awake = (0..hosts.len() as u32).collect();
        let (left, scattered, tally) = (BTreeMap::new(), 0, Tally::default());
        Ok(Self { setup, hosts, awake, guests, left, scattered, counted: 0.0, tally })
    }

    /// From the beginning to the end.
    fn pass(&mut self, decides: &mut dyn Decides) {
        let end = self.setup.seconds();
        let mut now = FIRST_SECONDS;
        while now < end {
            let arrivals = self.step(now, decides);
            self.arrive(&arrivals, end);
            if self.scattered > self.guests.len() / SCATTERED_PART {
                self.guests.gather(&self.hosts);
                self.scattered = 0;
            }
            now += INTERVAL_SECONDS;
        }
    }

    fn results(&self) -> Results {
        let seconds = self.counted - FIRST_SECONDS;
        Results::of(self.tally, seconds, &self.hosts, &self.guests)
    }

    /// Everybody asks and gives as at `now`; who wants nothing any more is gone.
    fn refresh(&mut self, now: f64) {
        let seconds = now - self.counted;
        let (mut energy, mut in_use) = (0.0, 0);
        for number in &self.awake {
            let host = &mut self.hosts[*number as usize];
            host.refresh(now, &mut self.guests);
            energy += host.energy(&self.setup.curves[host.kind], seconds);
            in_use += usize::from(host.gives > 0.0);
        }
        self.tally.energy += energy;
        self.tally.hosts_in_use_max = self.tally.hosts_in_use_max.max(in_use);
        self.counted = now;
        let idle = |number: u32, guests: &Guests| {
            guests.of(number).wants == 0.0 && !guests.of(number).migrates
        };
        for number in &self.awake {
            let host = &mut self.hosts[*number as usize];
            while let Some(at) = host.guests.iter().position(|guest| idle(*guest, &self.guests)) {
                let gone = host.guests[at];
                host.remove(gone);
                self.guests.of_mut(gone).host = None;
            }
        }
        self.awake.retain(|number| !self.hosts[*number as usize].sleeps());
    }

    /// A decision at `now` and the beginning of its migrations.
    fn step(&mut self, now: f64, decides: &mut dyn Decides) -> Vec<Arrival> {
        self.guests.ask(self.setup, now);
        // The reference keeps a demand only where its clock has not drifted by rounding.
        if (now - BEGIN_SECONDS) % INTERVAL_SECONDS == 0.0 {
            self.guests.remember();
        }
        self.refresh(now);
        let situation = Situation {
            setup: self.setup,
            hosts: &self.hosts,
            guests: &self.guests,
            awake: &self.awake,
        };
        let steps = decides.decide(&situation);
        let mut arrivals = Vec::with_capacity(steps.len());
        for step in steps {
            let memory_mb = self.guests.of(step.guest).memory_mb;
            let kind = &self.setup.host_kinds[self.hosts[step.to as usize].kind];
            let seconds = kind.migration_seconds(memory_mb);
            self.tally.migrations += 1;
            self.tally.migration_seconds += seconds;
            self.tally.migration_megabytes += u64::from(memory_mb);
            self.begin(step, now);
            arrivals.push(Arrival { at: now + seconds, step });
        }
        arrivals.sort_by(|a, b| a.at.total_cmp(&b.at));
        arrivals
    }

    fn begin(&mut self, step: Step, now: f64) {
        let Step { guest, to } = step;
        if let Err(at) = self.awake.binary_search(&to) {
            self.awake.insert(at, to);
        }
        let moving = self.guests.of_mut(guest);
        moving.migrates = true;
        let from = moving.host;
        let target = &mut self.hosts[to as usize];
        if !target.arriving.contains(&guest) {
            target.arriving.push(guest);
            target.guests.push(guest);
            target.refresh(now, &mut self.guests);
            if let Some(from) = from {
                self.hosts[from as usize].refresh(now, &mut self.guests);
            }
        }
    }

    /// Migrations that arrive before `end`, those of one moment together.
    fn arrive(&mut self, arrivals: &[Arrival], end: f64) {
        let mut rest = arrivals;
        while let Some(first) = rest.first().filter(|first| first.at < end) {
            let together = rest.partition_point(|arrival| arrival.at <= first.at);
            let (now, later) = rest.split_at(together);
            self.guests.ask(self.setup, first.at);
            self.refresh(first.at);
            for arrival in now {
                self.land(arrival.step, arrival.at);
            }
            self.refresh(first.at);
            rest = later;
        }
    }

    fn land(&mut self, step: Step, now: f64) {
        let Step { guest, to } = step;
        let from = self.guests.of(guest).host;
        if let Some(from) = from {
            self.hosts[from as usize].remove(guest);
        }
        let target = &mut self.hosts[to as usize];
        target.remove(guest);
        target.arriving.retain(|other| *other != guest);
        target.guests.push(guest);
        target.table.hold(target.guests.len());
        let moved = self.guests.of_mut(guest);
        moved.migrates = false;
        moved.host = Some(to);
        let left = self.left.entry(guest).or_default();
        left.retain(|(_, at)| now - at < UNDONE_SECONDS);
        self.tally.moves_undone += u64::from(left.iter().any(|(left, _)| *left == to));
        left.extend(from.map(|from| (from, now)));
        self.scattered += 1;
    }
}

#[cfg(test)]
mod tests;
