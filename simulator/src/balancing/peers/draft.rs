//! A placement in the making: who would be where, by the newest readings.
//!
//! Never here: why.

use super::{Seen, Step};

/// Begins as the present placement.
pub(super) struct Draft<'a> {
    pub(super) seen: &'a Seen<'a>,
    /// Newest reading of each guest, in cores.
    pub(super) wants: Vec<f64>,
    /// What guests of each host want, in cores.
    loads: Vec<f64>,
    memory: Vec<u64>,
    place: Vec<usize>,
    steps: Vec<Step>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(seen: &'a Seen<'a>) -> Self {
        let wants: Vec<f64> = (0..seen.guests().len()).map(|guest| seen.last(guest)).collect();
        let place: Vec<usize> = seen.place().iter().map(|host| *host as usize).collect();
        let mut loads = vec![0.0; seen.hosts().len()];
        let mut memory = vec![0; seen.hosts().len()];
        for (guest, host) in place.iter().enumerate() {
            loads[*host] += wants[guest];
            memory[*host] += seen.guests()[guest].memory.get();
        }
        Self { seen, wants, loads, memory, place, steps: Vec::new() }
    }

    /// Guests of `host`.
    pub(super) fn guests(&self, host: usize) -> Vec<usize> {
        (0..self.place.len()).filter(|guest| self.place[*guest] == host).collect()
    }

    /// Hosts.
    pub(super) fn hosts(&self) -> usize {
        self.loads.len()
    }

    /// Cores of `host`.
    pub(super) fn cores(&self, host: usize) -> f64 {
        self.seen.hosts()[host].cpu.as_cores_f64()
    }

    /// Part of `host`'s CPU that its guests want.
    pub(super) fn share(&self, host: usize) -> f64 {
        self.loads[host] / self.cores(host)
    }

    /// Part of `host`'s memory that its guests have.
    pub(super) fn memory_share(&self, host: usize) -> f64 {
        self.memory[host] as f64 / self.seen.hosts()[host].memory.as_f64().max(1.0)
    }

    /// Whether `host` has the memory for `guest`.
    pub(super) fn holds(&self, guest: usize, host: usize) -> bool {
        self.memory[host].saturating_add(self.seen.guests()[guest].memory.get())
            <= self.seen.hosts()[host].memory.get()
    }

    /// Part of `host`'s CPU that would be wanted with `guest` on it too.
    pub(super) fn share_with(&self, guest: usize, host: usize) -> f64 {
        (self.loads[host] + self.wants[guest]) / self.cores(host)
    }

    /// Puts `guest` on `to`.
    pub(super) fn put(&mut self, guest: usize, to: usize) {
        let from = self.place[guest];
        let memory = self.seen.guests()[guest].memory.get();
        self.loads[from] -= self.wants[guest];
        self.loads[to] += self.wants[guest];
        self.memory[from] -= memory;
        self.memory[to] += memory;
        self.place[guest] = to;
        self.steps.push(Step { guest, to });
    }

    /// The host of `guest`.
    pub(super) fn host(&self, guest: usize) -> usize {
        self.place[guest]
    }

    /// What was put, in that order.
    pub(super) fn steps(self) -> Vec<Step> {
        self.steps
    }
}
