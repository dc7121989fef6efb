//! Hosts as sums of what is expected of their guests, and which of them has just enough room.
//!
//! Guests stray upwards at different times, so their variances are added and not their peaks.
//! Never here: which guest moves.

use std::collections::BTreeSet;

use super::{
    super::decision::Situation,
    expect::{Expectations, Expected},
};

/// Hosts that are looked at one by one before one is taken that surely has room.
const LOOKS: usize = 24;

/// A host's guests together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    pub(super) kind: usize,
    /// What the host computes.
    mips: f64,
    /// What its guests are expected to ask for, and its variance.
    pub(super) mean: f64,
    variance: f64,
    /// Nothing more is placed here.
    pub(super) closed: bool,
    /// The room under which it is listed.
    listed: Option<u64>,
}

impl Sum {
    pub(super) fn with(self, guest: Expected) -> Self {
        Self { mean: self.mean + guest.mean, variance: self.variance + guest.variance, ..self }
    }

    pub(super) fn without(self, guest: Expected) -> Self {
        let variance = (self.variance - guest.variance).max(0.0);
        Self { mean: (self.mean - guest.mean).max(0.0), variance, ..self }
    }

    /// What is left of the host where its guests together stray `deviations` standard deviations
    /// upwards, in MIPS; below 0 where that is too much for it.
    pub(super) fn room(&self, deviations: f64) -> f64 {
        self.mips - self.mean - deviations * self.variance.sqrt()
    }
}

/// All hosts.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    pub(super) now: Situation<'a>,
    sums: Vec<Sum>,
    /// Open hosts that run, by kind, then room.
    open: Vec<BTreeSet<(u64, u32)>>,
    /// Hosts that are off, by kind.
    off: Vec<BTreeSet<u32>>,
    /// Kinds, those that compute most for their power first.
    pub(super) thrift: Vec<usize>,
    /// By how many standard deviations guests of a host may stray upwards after one was placed.
    deviations: f64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(now: Situation<'a>, expected: &Expectations, deviations: f64) -> Self {
        let kinds = &now.setup.host_kinds;
        let watts = |kind: &usize| now.setup.curves[*kind].watts_at(1.0) / kinds[*kind].mips();
        let mut thrift: Vec<usize> = (0..kinds.len()).collect();
        thrift.sort_by(|a, b| watts(a).total_cmp(&watts(b)));
        let mut ledger = Self {
            now,
            sums: Vec::with_capacity(now.hosts.len()),
            open: vec![BTreeSet::new(); kinds.len()],
            off: vec![BTreeSet::new(); kinds.len()],
            thrift,
            deviations,
        };
        for (number, host) in now.hosts.iter().enumerate() {
            let (kind, mips) = (host.kind, host.mips);
            let none = Sum { kind, mips, mean: 0.0, variance: 0.0, closed: false, listed: None };
            let guests = host.guests.iter().map(|guest| expected.of(*guest));
            ledger.sums.push(guests.fold(none, Sum::with));
            if host.guests.is_empty() {
                ledger.off[kind].insert(number as u32);
            } else {
                ledger.list(number as u32);
            }
        }
        ledger
    }

    pub(super) fn of(&self, host: u32) -> Sum {
        self.sums[host as usize]
    }

    /// `host` has other guests now; its place in lists is kept up.
    pub(super) fn set(&mut self, host: u32, sum: Sum) {
        let listed = self.of(host).listed;
        self.sums[host as usize] = Sum { listed, ..sum };
        self.list(host);
    }

    /// Whether more may be placed on `host`.
    pub(super) fn close(&mut self, host: u32, closed: bool) {
        self.sums[host as usize].closed = closed;
        self.list(host);
    }

    fn list(&mut self, host: u32) {
        let sum = &mut self.sums[host as usize];
        let open = &mut self.open[sum.kind];
        if let Some(room) = sum.listed.take() {
            open.remove(&(room, host));
        }
        let room = sum.room(self.deviations);
        if room > 0.0 && !sum.closed {
            sum.listed = Some(room.to_bits());
            open.insert((room.to_bits(), host));
        }
    }

    /// The running host of the thriftiest kind that has just enough room for a guest with a
    /// virtual core of `mips`.
    pub(super) fn fitting(&self, guest: Expected, mips: f64) -> Option<u32> {
        let fits =
            |(_, host): &&(u64, u32)| self.of(*host).with(guest).room(self.deviations) >= 0.0;
        let from = |room: f64| (room.max(0.0).to_bits(), 0);
        self.thrift.iter().find_map(|kind| {
            if self.now.setup.host_kinds[*kind].core_mips < mips {
                return None;
            }
            let open = &self.open[*kind];
            // A guest takes at least its mean, at most its own peak besides.
            let near = open.range(from(guest.mean)..).take(LOOKS).find(fits);
            let peak = guest.mean + self.deviations * guest.variance.sqrt();
            near.or_else(|| open.range(from(peak)..).find(fits)).map(|(_, host)| *host)
        })
    }

    /// A host that is off, of the thriftiest kind whose cores are fast enough.
    pub(super) fn wake(&mut self, mips: f64) -> Option<u32> {
        let kinds = &self.now.setup.host_kinds;
        let fast = |kind: &&usize| kinds[**kind].core_mips >= mips && !self.off[**kind].is_empty();
        let kind = *self.thrift.iter().find(fast)?;
        self.off[kind].pop_first()
    }

    /// Power of a host with such guests, in watts.
    pub(super) fn watts(&self, sum: &Sum) -> f64 {
        self.now.setup.curves[sum.kind].watts_at((sum.mean / sum.mips).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variances_are_added_and_not_peaks() {
        let none =
            Sum { kind: 0, mips: 100.0, mean: 0.0, variance: 0.0, closed: false, listed: None };
        let guest = |mean, variance| Expected { mean, variance };
        let both = none.with(guest(30.0, 9.0)).with(guest(20.0, 16.0));
        // 3 and 4 apart stray 5 together.
        assert!((both.room(2.0) - 40.0).abs() < 1e-9);
        assert!((both.without(guest(20.0, 16.0)).room(2.0) - 64.0).abs() < 1e-9);
    }
}
