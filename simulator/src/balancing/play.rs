//! Time passes: guests want, hosts are hot or not, and moves begin and end.
//!
//! Never here: what is decided.

use std::collections::{BTreeMap, VecDeque};

use whimbrel_core::units::{Bytes, BytesPerSecond, Share, Span};

use super::{
    arena::{Arena, ArenaError, INTERVAL, SAMPLES_OF_A_DAY},
    results::BalanceResults,
    seen::{Balancer, Seen, Step},
};

/// Memory that a move carries for each byte of the guest's: pages that are written meanwhile go
/// again.
const CARRIED: f64 = 1.25;

/// Beginning and ending a move.
const FIXED_SECONDS: f64 = 2.0;

/// How long a guest is remembered to have left a host.
const BACK_SECONDS: f64 = 3600.0;

/// How long a move is known of.
const DAY_SECONDS: f64 = 86_400.0;

/// How a balancer is played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlayOptions {
    /// Draws the first placement.
    pub seed: u64,
    /// Readings from one question to the next. At least 1; a question falls out while moves are
    /// still to be made.
    pub every: usize,
    /// A host of which guests want more than this part counts as overloaded.
    pub overload_above: Share,
    /// What a path carries.
    pub bandwidth: BytesPerSecond,
    /// Moves at a time; one host takes part in one of them.
    pub moves_at_once: usize,
}

impl PlayOptions {
    /// Seconds that a guest of `memory` moves for.
    pub fn move_seconds(&self, memory: Bytes) -> f64 {
        FIXED_SECONDS + CARRIED * memory.as_f64() / self.bandwidth.as_f64().max(1.0)
    }
}

/// Plays `arena` under `balancer`, from the second day to the end.
///
/// # Errors
/// [`ArenaError::NoRoom`].
pub fn play(
    arena: &Arena,
    balancer: &mut dyn Balancer,
    options: &PlayOptions,
) -> Result<BalanceResults, ArenaError> {
    let mut game = Game::new(arena, options)?;
    for reading in SAMPLES_OF_A_DAY..arena.samples {
        game.pass(reading, balancer);
    }
    let mut results = game.results;
    let guest_days = arena.guests.len() as f64 * arena.days();
    results.moves_per_guest_day = results.moves as f64 / guest_days.max(f64::MIN_POSITIVE);
    Ok(results)
}

/// A move under way.
#[derive(Debug, Clone, Copy)]
struct Moving {
    step: Step,
    from: usize,
    ends: f64,
}

struct Game<'a> {
    arena: &'a Arena,
    options: &'a PlayOptions,
    place: Vec<u32>,
    /// CPU that guests want of each host, in cores, and memory that they have or will have.
    loads: Vec<f64>,
    held: Vec<u64>,
    waiting: VecDeque<Step>,
    moving: Vec<Moving>,
    /// Moments at which moves of each guest began in the last day.
    begun: BTreeMap<usize, Vec<f64>>,
    /// Hosts that each guest left in the last hour, and when it began to leave.
    left: BTreeMap<usize, Vec<(u32, f64)>>,
    results: BalanceResults,
}

impl<'a> Game<'a> {
    fn new(arena: &'a Arena, options: &'a PlayOptions) -> Result<Self, ArenaError> {
        let place = arena.placed(options.seed)?;
        let mut held = vec![0; arena.hosts.len()];
        for (guest, host) in place.iter().enumerate() {
            held[*host as usize] += arena.guests[guest].memory.get();
        }
        Ok(Self {
            arena,
            options,
            place,
            loads: vec![0.0; arena.hosts.len()],
            held,
            waiting: VecDeque::new(),
            moving: Vec::new(),
            begun: BTreeMap::new(),
            left: BTreeMap::new(),
            results: BalanceResults::default(),
        })
    }

    /// The interval in which guests want what their reading number `reading` will say.
    fn pass(&mut self, reading: usize, balancer: &mut dyn Balancer) {
        let interval = INTERVAL.as_seconds_f64();
        let mut now = reading as f64 * interval;
        let asked = (reading - SAMPLES_OF_A_DAY).is_multiple_of(self.options.every.max(1));
        if asked && self.waiting.is_empty() && self.moving.is_empty() {
            self.begun.values_mut().for_each(|moves| moves.retain(|at| now - at < DAY_SECONDS));
            self.begun.retain(|_, moves| !moves.is_empty());
            self.waiting.extend(balancer.decide(&Seen {
                arena: self.arena,
                place: &self.place,
                begun: &self.begun,
                readings: reading,
                now: Span::from_seconds_f64(now),
            }));
        }
        self.loads.fill(0.0);
        for (guest, host) in self.place.iter().enumerate() {
            self.loads[*host as usize] += f64::from(self.arena.wants[guest][reading]) / 1000.0;
        }
        let end = now + interval;
        loop {
            self.begin(now);
            let next = self.moving.iter().map(|one| one.ends).fold(end, f64::min);
            self.count((next - now).max(0.0));
            now = next;
            if now >= end {
                break;
            }
            self.land(now, reading);
        }
    }

    /// Begins what can begin.
    fn begin(&mut self, now: f64) {
        let mut later = VecDeque::new();
        let mut busy: Vec<usize> =
            self.moving.iter().flat_map(|one| [one.from, one.step.to]).collect();
        while let Some(step) = self.waiting.pop_front() {
            let from = self.place[step.guest] as usize;
            let free = !busy.contains(&from) && !busy.contains(&step.to);
            // Who waits keeps its hosts, so that nobody overtakes it there.
            busy.extend([from, step.to]);
            if !free || self.moving.len() >= self.options.moves_at_once.max(1) {
                later.push_back(step);
                continue;
            }
            let memory = self.arena.guests[step.guest].memory;
            let room = self.held[step.to].saturating_add(memory.get())
                <= self.arena.hosts[step.to].memory.get();
            if !room || from == step.to {
                self.results.refused += 1;
                continue;
            }
            self.held[step.to] += memory.get();
            let seconds = self.options.move_seconds(memory);
            self.note(step, from, now);
            self.results.migration_seconds += seconds;
            self.results.migration_bytes += (CARRIED * memory.as_f64()) as u64;
            self.moving.push(Moving { step, from, ends: now + seconds });
        }
        self.waiting = later;
    }

    /// Counts the move of `step` that begins now.
    fn note(&mut self, step: Step, from: usize, now: f64) {
        let left = self.left.entry(step.guest).or_default();
        left.retain(|(_, at)| now - at < BACK_SECONDS);
        self.results.moves += 1;
        self.results.moved_again_within_hour += u64::from(!left.is_empty());
        let back = left.iter().any(|(host, _)| *host as usize == step.to);
        self.results.moved_back_within_hour += u64::from(back);
        left.push((from as u32, now));
        self.begun.entry(step.guest).or_default().push(now);
    }

    /// Ends what ends by now.
    fn land(&mut self, now: f64, reading: usize) {
        let (landed, moving) = self.moving.iter().partition(|one| one.ends <= now);
        self.moving = moving;
        let landed: Vec<Moving> = landed;
        for Moving { step, from, .. } in landed {
            let wants = f64::from(self.arena.wants[step.guest][reading]) / 1000.0;
            self.loads[from] -= wants;
            self.loads[step.to] += wants;
            self.held[from] -= self.arena.guests[step.guest].memory.get();
            self.place[step.guest] = step.to as u32;
        }
    }

    /// Things stay as they are for so many seconds.
    fn count(&mut self, seconds: f64) {
        let threshold = self.options.overload_above.get();
        for (load, host) in self.loads.iter().zip(&self.arena.hosts) {
            let cores = host.cpu.as_cores_f64();
            let over = |part: f64| if *load > part * cores { seconds / 60.0 } else { 0.0 };
            self.results.overload_host_minutes += over(threshold);
            self.results.full_host_minutes += over(1.0);
            self.results.contention_guest_seconds += (load - cores).max(0.0) * seconds;
            self.results.demand_max_share = self.results.demand_max_share.max(load / cores);
        }
    }
}

#[cfg(test)]
mod tests;
