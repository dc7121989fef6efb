//! Time passes: guests ask, hosts give, every five minutes a decision, and its migrations arrive.

use rand_chacha::ChaCha8Rng;
use thiserror::Error;

use crate::kernel::Streams;

use super::{
    decide::{Rules, Step, decide},
    guest::Guests,
    host::Host,
    results::Results,
    setup::{INTERVAL_SECONDS, Setup},
};

/// The reference lets so many seconds pass between placing guests and their first work.
const BEGIN_SECONDS: f64 = 0.1;

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

/// Runs `setup` from its beginning to its end under `rules`; `seed` is for rules that draw.
///
/// # Errors
/// [`StudyError`].
pub fn study(setup: &Setup, rules: Rules, seed: u64) -> Result<Results, StudyError> {
    let mut study = Study::new(setup, rules, seed)?;
    study.settle()?;
    let end = setup.seconds();
    let mut now = BEGIN_SECONDS + INTERVAL_SECONDS;
    while now < end {
        let arrivals = study.step(now);
        study.arrive(arrivals, end);
        now += INTERVAL_SECONDS;
    }
    Ok(Results::of(study.energy, study.migrations, &study.hosts, &study.guests))
}

/// A migration that arrives at a moment.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    at: f64,
    step: Step,
}

struct Study<'a> {
    setup: &'a Setup,
    rules: Rules,
    draws: ChaCha8Rng,
    hosts: Vec<Host>,
    guests: Guests,
    /// Until when energy is counted.
    counted: f64,
    /// In watt-seconds.
    energy: f64,
    migrations: u64,
}

impl<'a> Study<'a> {
    fn new(setup: &'a Setup, rules: Rules, seed: u64) -> Result<Self, StudyError> {
        let hosts: Vec<Host> =
            setup.hosts.iter().map(|kind| Host::new(*kind, &setup.host_kinds[*kind])).collect();
        let guests = Guests::new(setup);
        let long = |memory: u32| {
            setup.host_kinds.iter().any(|kind| kind.migration_seconds(memory) >= INTERVAL_SECONDS)
        };
        if let Some(guest) = guests.list.iter().position(|guest| long(guest.memory_mb)) {
            return Err(StudyError::TooLarge { guest });
        }
        let draws = Streams::new(seed).stream("selection");
        Ok(Self { setup, rules, draws, hosts, guests, counted: 0.0, energy: 0.0, migrations: 0 })
    }

    /// Places all guests, each as if it wanted all that it may.
    fn settle(&mut self) -> Result<(), StudyError> {
        let mut rooms: Vec<Room> =
            self.hosts.iter().map(|host| Room::of(host, self.setup)).collect();
        for number in 0..self.guests.list.len() {
            let guest = &mut self.guests.list[number];
            let mut best: Option<(f64, usize)> = None;
            for (at, (room, host)) in rooms.iter().zip(&self.hosts).enumerate() {
                let fits = host.core_mips >= guest.mips
                    && room.mips >= guest.mips
                    && room.memory_mb >= guest.memory_mb
                    && room.bandwidth >= guest.bandwidth;
                let used = host.mips - room.mips;
                if !fits || used > 0.0 && self.rules.overload.fills(guest.mips / host.mips) {
                    continue;
                }
                let kind = &self.setup.host_kinds[host.kind];
                let rise = kind.watts_at((used + guest.mips) / host.mips) - kind.watts_at(0.0);
                if best.is_none_or(|(least, _)| rise < least) {
                    best = Some((rise, at));
                }
            }
            let (_, at) = best.ok_or(StudyError::NoRoom { guest: number })?;
            let room = &mut rooms[at];
            room.mips -= guest.mips;
            room.memory_mb -= guest.memory_mb;
            room.bandwidth -= guest.bandwidth;
            guest.host = Some(at as u32);
            self.hosts[at].guests.push(number as u32);
        }
        Ok(())
    }

    /// Everybody asks and gives as at `now`; who wants nothing any more is gone.
    fn refresh(&mut self, now: f64) {
        for host in &mut self.hosts {
            host.refresh(now, &mut self.guests);
        }
        let seconds = now - self.counted;
        if seconds > 0.0 {
            let energy = |host: &Host| host.energy(&self.setup.host_kinds[host.kind], seconds);
            self.energy += self.hosts.iter().map(energy).fold(0.0, |sum, part| sum + part);
        }
        self.counted = now;
        for host in &mut self.hosts {
            let guests = &self.guests;
            let idle =
                |number: &u32| guests.of(*number).wants == 0.0 && !guests.of(*number).migrates;
            if host.guests.iter().any(idle) {
                let gone: Vec<u32> = host.guests.iter().copied().filter(idle).collect();
                for number in gone {
                    host.remove(number);
                    self.guests.of_mut(number).host = None;
                }
            }
        }
    }

    /// A decision at `now` and the beginning of its migrations.
    fn step(&mut self, now: f64) -> Vec<Arrival> {
        self.guests.ask(self.setup, now);
        // The reference keeps a demand only where its clock has not drifted by rounding.
        if (now - BEGIN_SECONDS) % INTERVAL_SECONDS == 0.0 {
            self.guests.remember();
        }
        self.refresh(now);
        let steps = decide(self.setup, &self.hosts, &self.guests, self.rules, &mut self.draws);
        let mut arrivals = Vec::with_capacity(steps.len());
        for step in steps {
            self.begin(step, now);
            let guest = self.guests.of(step.guest);
            let kind = &self.setup.host_kinds[self.hosts[step.to as usize].kind];
            arrivals.push(Arrival { at: now + kind.migration_seconds(guest.memory_mb), step });
        }
        arrivals.sort_by(|a, b| a.at.total_cmp(&b.at));
        arrivals
    }

    fn begin(&mut self, step: Step, now: f64) {
        let Step { guest, to } = step;
        self.migrations += 1;
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
    fn arrive(&mut self, arrivals: Vec<Arrival>, end: f64) {
        let mut rest = arrivals.as_slice();
        while let Some(first) = rest.first().filter(|first| first.at < end) {
            let together = rest.partition_point(|arrival| arrival.at <= first.at);
            let (now, later) = rest.split_at(together);
            self.guests.ask(self.setup, first.at);
            self.refresh(first.at);
            for arrival in now {
                self.land(arrival.step);
            }
            self.refresh(first.at);
            rest = later;
        }
    }

    fn land(&mut self, step: Step) {
        let Step { guest, to } = step;
        if let Some(from) = self.guests.of(guest).host {
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
    }
}

/// What is left of a host while guests are placed at the beginning.
struct Room {
    mips: f64,
    memory_mb: u32,
    bandwidth: u32,
}

impl Room {
    fn of(host: &Host, setup: &Setup) -> Self {
        let kind = &setup.host_kinds[host.kind];
        Self { mips: host.mips, memory_mb: kind.memory_mb, bandwidth: kind.bandwidth }
    }
}
