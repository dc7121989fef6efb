//! Guests arrive, are placed, and leave: a trace of lives on a fleet of hosts.
//!
//! What it decides is the place of each guest; nobody is moved. A guest that finds no room waits
//! and is looked at again when somebody leaves the host that it fits then; who came first goes
//! first, and who does not fit keeps nobody waiting who does. Hosts cost nothing while nothing
//! happens on them: use is summed up between events.
//!
//! Never here: how a host is found (`room`).

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use thiserror::Error;
use whimbrel_core::{
    trace::{Life, Size},
    units::{Span, Timestamp},
};

use super::room::{Fit, Rooms, holds, less, more};
use crate::kernel::Agenda;

/// What a fleet cannot be made of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FleetError {
    /// A life begins before the one in front of it.
    #[error(
        "life {position} of the trace begins at {begins}, the one before it at {before} \
         (hint: sort the trace by begin)"
    )]
    OutOfOrder {
        /// Its position in the trace, from 0.
        position: usize,
        /// When it begins.
        begins: Span,
        /// When the one in front of it does.
        before: Span,
    },
    /// There are more than can be numbered.
    #[error("{count} {what}, of at most {most} (hint: cut the input into parts)")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        most: u32,
    },
}

/// What came of a trace.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filling {
    /// Guests that were placed.
    pub placed: u64,
    /// Guests among them that waited.
    pub waited: u64,
    /// Guests that never found room.
    pub never_placed: u64,
    /// Arrivals, departures, and guests placed after a wait.
    pub events: u64,
    /// Mean part of all processors that was taken, over the whole time. Range 0..=1.
    pub cpu_taken: f64,
    /// Mean part of all memory that was taken, over the whole time. Range 0..=1.
    pub memory_taken: f64,
    /// Most guests at a time.
    pub guests_peak: u64,
    /// Most hosts with a guest at a time.
    pub hosts_peak: u64,
}

/// What happens to a guest, by its position in the trace.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Event {
    Arrives { life: u32 },
    Leaves { life: u32, host: u32 },
}

/// Places `lives`, which are in the order of their begin, on hosts of `hosts` until `end`.
///
/// # Errors
/// [`FleetError`] when the trace is out of order, or when there are too many lives or hosts.
pub fn fill(hosts: Vec<Size>, lives: &[Life], fit: Fit, end: Span) -> Result<Filling, FleetError> {
    let mut fleet = Fleet::new(hosts, lives, fit)?;
    fleet.run(lives, end);
    Ok(fleet.finish(end))
}

/// Hosts with the guests on them in the course of a trace: it can be stopped at any time, written,
/// read, and continued with the same trace.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fleet {
    rooms: Rooms,
    guests_on: Vec<u32>,
    agenda: Agenda<Event>,
    /// Who waits, in the order of arrival, by what they need.
    waiting: Vec<(Size, VecDeque<u32>)>,
    taken: Taken,
    whole: Size,
    hosts_used: u64,
    guests: u64,
    result: Filling,
}

/// What is taken, and how much of it for how long.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Taken {
    now: Size,
    since: Timestamp,
    core_seconds: f64,
    byte_seconds: f64,
}

impl Taken {
    fn until(&mut self, now: Timestamp) {
        let seconds = now.since(self.since).as_seconds_f64();
        self.core_seconds += self.now.cpu.as_cores_f64() * seconds;
        self.byte_seconds += self.now.memory.as_f64() * seconds;
        self.since = now;
    }
}

impl Fleet {
    /// Empty hosts of `hosts` before the first of `lives` arrives. The beginning of time is that of
    /// the trace.
    ///
    /// # Errors
    /// [`FleetError`] when the trace is out of order, or when there are too many lives or hosts.
    pub fn new(hosts: Vec<Size>, lives: &[Life], fit: Fit) -> Result<Self, FleetError> {
        for (what, count) in [("lives", lives.len()), ("hosts", hosts.len())] {
            if count >= u32::MAX as usize {
                return Err(FleetError::TooMany { what, count, most: u32::MAX - 1 });
            }
        }
        let unordered = lives.windows(2).position(|pair| pair[1].begins < pair[0].begins);
        if let Some(place) = unordered {
            let (before, begins) = (lives[place].begins, lives[place + 1].begins);
            return Err(FleetError::OutOfOrder { position: place + 1, begins, before });
        }
        let mut agenda = Agenda::new(Timestamp::default());
        if let Some(first) = lives.first() {
            agenda.after(first.begins, Event::Arrives { life: 0 });
        }
        let whole = hosts.iter().fold(Size::default(), |sum, size| more(sum, *size));
        Ok(Self {
            guests_on: vec![0; hosts.len()],
            rooms: Rooms::new(hosts, fit),
            agenda,
            waiting: Vec::new(),
            taken: Taken::default(),
            whole,
            hosts_used: 0,
            guests: 0,
            result: Filling::default(),
        })
    }

    /// Lets time pass until `until` after the trace's beginning. `lives` are those that the fleet
    /// was made with.
    pub fn run(&mut self, lives: &[Life], until: Span) {
        while let Some(event) = self.agenda.next_until(Timestamp::default() + until) {
            self.taken.until(self.agenda.now());
            match event {
                Event::Arrives { life } => self.arrive(lives, life),
                Event::Leaves { life, host } => self.leave(lives, life, host),
            }
        }
    }

    /// What hosts have left now.
    pub fn rooms(&self) -> &Rooms {
        &self.rooms
    }

    /// What came of it by `end`, the time that the fleet has run to.
    pub fn finish(mut self, end: Span) -> Filling {
        self.taken.until(Timestamp::default() + end);
        let seconds = end.as_seconds_f64();
        let share = |taken: f64, whole: f64| {
            if whole * seconds > 0.0 { taken / (whole * seconds) } else { 0.0 }
        };
        Filling {
            never_placed: self.waiting.iter().map(|(_, lives)| lives.len() as u64).sum(),
            events: self.result.events + self.agenda.handled(),
            cpu_taken: share(self.taken.core_seconds, self.whole.cpu.as_cores_f64()),
            memory_taken: share(self.taken.byte_seconds, self.whole.memory.as_f64()),
            ..self.result
        }
    }

    fn arrive(&mut self, lives: &[Life], life: u32) {
        let Some(arrival) = lives.get(life as usize) else { return };
        // The next arrival is scheduled by the one before: beside it the agenda has departures only.
        if let Some(next) = lives.get(life as usize + 1) {
            self.agenda.at(Timestamp::default() + next.begins, Event::Arrives { life: life + 1 });
        }
        match self.rooms.find(arrival.size) {
            Some(host) => self.place(arrival, life, host),
            None => self.wait(arrival.size, life),
        }
    }

    fn place(&mut self, arrival: &Life, life: u32, host: u32) {
        self.rooms.take(host, arrival.size);
        self.taken.now = more(self.taken.now, arrival.size);
        self.result.placed += 1;
        self.guests += 1;
        self.result.guests_peak = self.result.guests_peak.max(self.guests);
        if let Some(count) = self.guests_on.get_mut(host as usize) {
            self.hosts_used += u64::from(*count == 0);
            *count += 1;
        }
        self.result.hosts_peak = self.result.hosts_peak.max(self.hosts_used);
        if let Some(stays) = arrival.stays {
            self.agenda.after(stays, Event::Leaves { life, host });
        }
    }

    fn wait(&mut self, size: Size, life: u32) {
        match self.waiting.binary_search_by_key(&size, |(size, _)| *size) {
            Ok(place) => self.waiting[place].1.push_back(life),
            Err(place) => self.waiting.insert(place, (size, VecDeque::from([life]))),
        }
    }

    fn leave(&mut self, lives: &[Life], life: u32, host: u32) {
        let Some(leaver) = lives.get(life as usize) else { return };
        self.rooms.give_back(host, leaver.size);
        self.taken.now = less(self.taken.now, leaver.size);
        self.guests = self.guests.saturating_sub(1);
        if let Some(count) = self.guests_on.get_mut(host as usize) {
            *count = count.saturating_sub(1);
            self.hosts_used = self.hosts_used.saturating_sub(u64::from(*count == 0));
        }
        // Who waited before fits no other host now either.
        while let Some(next) = self.next_for(self.rooms.left(host)) {
            let Some(arrival) = lives.get(next as usize) else { break };
            self.result.waited += 1;
            self.result.events += 1;
            self.place(arrival, next, host);
        }
    }

    /// Takes the first of those that wait and fit into `left` off their queue.
    fn next_for(&mut self, left: Size) -> Option<u32> {
        let small = self.waiting.partition_point(|(size, _)| size.cpu <= left.cpu);
        let fitting = self.waiting[..small].iter().enumerate();
        let fronts = fitting
            .filter(|(_, (size, _))| holds(left, *size))
            .filter_map(|(place, (_, lives))| lives.front().map(|life| (*life, place)));
        let (life, place) = fronts.min()?;
        self.waiting[place].1.pop_front();
        if self.waiting[place].1.is_empty() {
            self.waiting.remove(place);
        }
        Some(life)
    }
}

#[cfg(test)]
mod tests;
