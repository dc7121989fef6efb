//! The course of a storm: migrations begin, share the links, take their steps, and end.
//!
//! What a change of the links costs is what those cost whose rate it changes. The course can be
//! stopped at any time, written, read, and continued with the same storm.
//!
//! Never here: what is copied (`journey`), rates (`network`), or who is next (`queue`).

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Bytes, Span, Timestamp};

use super::{
    case::{Storm, StormError},
    journey::{Journey, Leg},
    queue::{Next, Queue},
    report::{Ended, StormReport, Verdict},
};
use crate::{
    kernel::Agenda,
    network::{
        links::{Links, StreamId},
        routes::Routes,
    },
};

/// What happens to a migration, by its stream.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum Event {
    /// Its next step is due, unless its plans changed since.
    Step { stream: StreamId, turn: u64 },
    /// Its time is out, unless it is over.
    TimeOut { stream: StreamId, begun: u64 },
    /// What ends at this instant has ended: others may begin.
    Begin,
}

/// A migration that runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Running {
    next: Next,
    begun_at: Timestamp,
    /// Its position among all that began.
    begun: u64,
    journey: Journey,
    /// Bytes are to flow, at `rate` bytes a second since `settled_at`.
    flows: bool,
    rate: f64,
    settled_at: Timestamp,
    /// When its next step was scheduled last: one of an earlier turn is stale.
    turn: u64,
    /// Rounds so far, the least that one of them left, and how many left no less than that since.
    rounds: u32,
    least: f64,
    stalled: u32,
}

/// A storm that is under way.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormRun {
    agenda: Agenda<Event>,
    routes: Routes,
    links: Links,
    queue: Queue,
    /// By their stream.
    running: Vec<Option<Running>>,
    in_flight: u32,
    /// Others are about to begin.
    begins: bool,
    begun: u64,
    turns: u64,
    ended: Vec<Ended>,
    never_begun: u32,
    changed: Vec<StreamId>,
}

/// A round counts as progress if it leaves less than this part of the least before it: a guest
/// that writes as fast as it is sent comes nearer to its balance for ever.
const PROGRESS: f64 = 0.99;

impl StormRun {
    /// The beginning of `storm`.
    ///
    /// # Errors
    /// [`StormError`] when the storm names what it does not have, or asks for the impossible.
    pub fn new(storm: &Storm) -> Result<Self, StormError> {
        storm.check()?;
        let (nics, between) = storm.links();
        let (routes, capacities) = Routes::new(&nics, &between);
        let mut run = Self {
            agenda: Agenda::new(Timestamp::default()),
            routes,
            links: Links::new(capacities),
            queue: Queue::new(storm),
            running: Vec::new(),
            in_flight: 0,
            begins: false,
            begun: 0,
            turns: 0,
            ended: Vec::new(),
            never_begun: 0,
            changed: Vec::new(),
        };
        run.begin_more(storm);
        Ok(run)
    }

    /// Lets time pass until `until` after the beginning, or until all is over. `storm` is the one
    /// that it was made with.
    pub fn run(&mut self, storm: &Storm, until: Option<Span>) {
        let until = until.unwrap_or(Span::from_micros(u64::MAX));
        while !self.is_over()
            && let Some(event) = self.agenda.next_until(Timestamp::default() + until)
        {
            match event {
                Event::Step { stream, turn } => self.step(storm, stream, turn),
                Event::TimeOut { stream, begun } => self.time_out(stream, begun),
                Event::Begin => self.begin_more(storm),
            }
        }
    }

    /// Whether every migration has its verdict.
    pub fn is_over(&self) -> bool {
        self.in_flight == 0 && !self.begins
    }

    /// What came of it so far. Migrations that still run have no verdict in it.
    pub fn report(self) -> StormReport {
        StormReport {
            places: self.queue.places().to_vec(),
            ended: self.ended,
            never_begun: self.never_begun,
            events: self.agenda.handled(),
        }
    }

    /// Begins what may begin.
    fn begin_more(&mut self, storm: &Storm) {
        self.begins = false;
        while self.in_flight < storm.in_flight
            && let Some(next) = self.queue.next(&storm.orders)
        {
            if next.from == next.to {
                self.ended.push(Ended::nothing(next, self.agenda.now()));
            } else {
                self.begin(storm, next);
            }
        }
        if self.in_flight == 0 {
            self.never_begun = self.queue.left(&storm.orders);
        }
    }

    fn begin(&mut self, storm: &Storm, next: Next) {
        let now = self.agenda.now();
        let Some(guest) = storm.guests.get(next.guest as usize) else { return };
        let (journey, leg) = Journey::begin(storm, guest, next.number, now);
        let route = self.routes.between(next.from, next.to);
        let stream = self.links.add(route.links(), 0.0);
        let running = Running {
            next,
            begun_at: now,
            begun: self.begun,
            journey,
            flows: false,
            rate: 0.0,
            settled_at: now,
            turn: 0,
            rounds: 0,
            least: f64::MAX,
            stalled: 0,
        };
        if self.running.len() <= stream as usize {
            self.running.resize(stream as usize + 1, None);
        }
        self.running[stream as usize] = Some(running);
        self.agenda.after(storm.time_out, Event::TimeOut { stream, begun: self.begun });
        self.begun += 1;
        self.in_flight += 1;
        self.take_leg(stream, leg);
    }

    fn step(&mut self, storm: &Storm, stream: StreamId, turn: u64) {
        let now = self.agenda.now();
        let Some(running) = self.running.get_mut(stream as usize).and_then(Option::as_mut) else {
            return;
        };
        if running.turn != turn {
            return;
        }
        running.settle(now);
        let leg = running.journey.step(storm, now, running.rate);
        running.count_round();
        if storm.stalled_rounds.is_some_and(|most| running.stalled >= most) {
            return self.end(stream, Verdict::Stalled);
        }
        self.take_leg(stream, leg);
    }

    fn take_leg(&mut self, stream: StreamId, leg: Leg) {
        let cap = match leg {
            Leg::Over => return self.end(stream, Verdict::Arrived),
            Leg::Wait(_) => 0.0,
            Leg::Flow { cap } => cap,
        };
        if let Some(running) = self.running.get_mut(stream as usize).and_then(Option::as_mut) {
            running.flows = matches!(leg, Leg::Flow { .. });
        }
        self.links.set_cap(stream, cap);
        self.share(Some(stream));
        match leg {
            Leg::Wait(span) => self.plan(stream, span),
            _ => self.plan_flow(stream),
        }
    }

    fn time_out(&mut self, stream: StreamId, begun: u64) {
        let running = self.running.get_mut(stream as usize).and_then(Option::as_mut);
        let Some(running) = running.filter(|running| running.begun == begun) else { return };
        // Once the guest stands still there is no way back: the rest is short.
        if running.journey.remaining().is_some() {
            running.settle(self.agenda.now());
            self.end(stream, Verdict::TimedOut);
        }
    }

    fn end(&mut self, stream: StreamId, verdict: Verdict) {
        let running = self.running.get_mut(stream as usize).and_then(Option::take);
        let Some(Running { next, begun_at, journey, .. }) = running else { return };
        let arrived = verdict == Verdict::Arrived;
        self.queue.over(next, if arrived { next.to } else { next.from });
        self.in_flight -= 1;
        self.ended.push(Ended {
            number: next.number,
            guest: next.guest,
            from: next.from,
            to: next.to,
            begun_at: begun_at.since(Timestamp::default()),
            ended_at: self.agenda.now().since(Timestamp::default()),
            downtime: journey.downtime(),
            sent: Bytes::new(journey.sent().round() as u64),
            rounds: journey.rounds(),
            verdict,
        });
        self.links.remove(stream);
        self.share(None);
        if !std::mem::replace(&mut self.begins, true) {
            self.agenda.after(Span::ZERO, Event::Begin);
        }
    }

    /// Finds the rates again, and plans those anew that have another one. `own` plans itself.
    fn share(&mut self, own: Option<StreamId>) {
        let mut changed = std::mem::take(&mut self.changed);
        self.links.settle(&mut changed);
        let now = self.agenda.now();
        for stream in &changed {
            let Some(running) = self.running.get_mut(*stream as usize).and_then(Option::as_mut)
            else {
                continue;
            };
            running.settle(now);
            running.rate = self.links.rate(*stream) * running.journey.efficiency();
            if own != Some(*stream) {
                self.plan_flow(*stream);
            }
        }
        changed.clear();
        self.changed = changed;
    }

    /// Schedules the next step of a stream that sends; none while nothing flows.
    fn plan_flow(&mut self, stream: StreamId) {
        let Some(running) = self.running.get_mut(stream as usize).and_then(Option::as_mut) else {
            return;
        };
        if !running.flows {
            return;
        }
        match running.journey.next(running.rate) {
            Some(wait) => self.plan(stream, wait),
            None => running.turn = u64::MAX,
        }
    }

    fn plan(&mut self, stream: StreamId, wait: Span) {
        if let Some(running) = self.running.get_mut(stream as usize).and_then(Option::as_mut) {
            self.turns += 1;
            running.turn = self.turns;
            self.agenda.after(wait, Event::Step { stream, turn: self.turns });
        }
    }
}

impl Running {
    /// Brings the copy up to `now` at the rate that was in force.
    fn settle(&mut self, now: Timestamp) {
        if self.flows && now > self.settled_at {
            self.journey.advance(now.since(self.settled_at).as_seconds_f64(), self.rate);
        }
        self.settled_at = now;
    }

    /// Counts a round that is over and left no less to send than one before it.
    fn count_round(&mut self) {
        let rounds = self.journey.rounds();
        let Some(remaining) = self.journey.remaining() else {
            self.stalled = 0;
            return;
        };
        if rounds == self.rounds {
            return;
        }
        self.rounds = rounds;
        if remaining < self.least * PROGRESS {
            self.least = remaining;
            self.stalled = 0;
        } else {
            self.stalled = self.stalled.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests;
