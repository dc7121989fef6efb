//! What a balancer sees when it is asked, and what it answers.
//!
//! Never here: what guests will want.

use std::collections::BTreeMap;

use whimbrel_core::units::Span;

use super::arena::{Arena, GuestSize, HostSize};

/// A guest and the host that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Position of the guest.
    pub guest: usize,
    /// Position of the host.
    pub to: usize,
}

/// Decides what is moved.
pub trait Balancer {
    /// Moves to make now, in this order; each begins as soon as both of its hosts are free.
    /// Nothing migrates when it is asked.
    fn decide(&mut self, seen: &Seen<'_>) -> Vec<Step>;
}

/// The present and the past.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub(super) arena: &'a Arena,
    pub(super) place: &'a [u32],
    /// Moments at which moves of each guest began in the last day, in seconds.
    pub(super) begun: &'a BTreeMap<usize, Vec<f64>>,
    /// Readings that are finished. Above 0.
    pub(super) readings: usize,
    /// Time from the trace's begin.
    pub(super) now: Span,
}

impl<'a> Seen<'a> {
    /// Time from the trace's begin.
    pub fn now(&self) -> Span {
        self.now
    }

    /// All hosts.
    pub fn hosts(&self) -> &'a [HostSize] {
        &self.arena.hosts
    }

    /// All guests.
    pub fn guests(&self) -> &'a [GuestSize] {
        &self.arena.guests
    }

    /// The host of each guest.
    pub fn place(&self) -> &'a [u32] {
        self.place
    }

    /// What `guest` wanted so far, in millicores, one reading every five minutes, the newest last;
    /// at least a day of them.
    pub fn readings(&self, guest: usize) -> &'a [u32] {
        self.arena.wants[guest].get(..self.readings).unwrap_or_default()
    }

    /// Guests that were moved in the last day, each with the times at which moves of it began.
    pub fn begun(&self) -> impl Iterator<Item = (usize, Vec<Span>)> + 'a {
        let times = |moves: &Vec<f64>| moves.iter().copied().map(Span::from_seconds_f64).collect();
        self.begun.iter().map(move |(guest, moves)| (*guest, times(moves)))
    }

    /// The newest reading of `guest`, in cores.
    pub fn last(&self, guest: usize) -> f64 {
        self.readings(guest).last().map_or(0.0, |want| f64::from(*want) / 1000.0)
    }
}
