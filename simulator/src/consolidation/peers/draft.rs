//! A placement in the making: who would be where, and what hosts would have to do.
//!
//! Never here: why.

use super::super::decision::{Situation, Step};

/// A placement that begins as the present one.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) now: Situation<'a>,
    /// What each guest counts for, in MIPS.
    wants: &'a [f64],
    /// What each host would have to do, in MIPS.
    loads: Vec<f64>,
    /// Guests of each host.
    guests: Vec<Vec<u32>>,
    /// Where each guest would be.
    places: Vec<Option<u32>>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(now: Situation<'a>, wants: &'a [f64]) -> Self {
        let of = |guest: &u32| wants[*guest as usize];
        let load = |guests: &Vec<u32>| guests.iter().map(of).fold(0.0, |sum, wants| sum + wants);
        let guests: Vec<Vec<u32>> = now.hosts.iter().map(|host| host.guests.clone()).collect();
        let loads = guests.iter().map(load).collect();
        let places = now.guests.iter().map(|guest| guest.host).collect();
        Self { now, wants, loads, guests, places }
    }

    /// What `guest` counts for, in MIPS.
    pub(super) fn wants(&self, guest: u32) -> f64 {
        self.wants[guest as usize]
    }

    /// What `host` would have to do, in MIPS.
    pub(super) fn load(&self, host: u32) -> f64 {
        self.loads[host as usize]
    }

    /// Which part of `host` that is.
    pub(super) fn share(&self, host: u32) -> f64 {
        self.load(host) / self.now.hosts[host as usize].mips
    }

    /// Guests of `host`.
    pub(super) fn guests(&self, host: u32) -> &[u32] {
        &self.guests[host as usize]
    }

    /// Whether `guest` fits on one of `host`'s cores and into `part` of it.
    pub(super) fn fits(&self, guest: u32, host: u32, part: f64) -> bool {
        let of = &self.now.hosts[host as usize];
        let wants = self.wants(guest);
        of.core_mips >= wants && self.load(host) + wants <= of.mips * part
    }

    /// Puts `guest` on `to`.
    pub(super) fn put(&mut self, guest: u32, to: u32) {
        let wants = self.wants(guest);
        if let Some(from) = self.places[guest as usize].replace(to) {
            self.guests[from as usize].retain(|other| *other != guest);
            self.loads[from as usize] -= wants;
        }
        self.guests[to as usize].push(guest);
        self.loads[to as usize] += wants;
    }

    /// The moves from the present placement to this one: one a guest, however often it was put.
    pub(super) fn steps(&self) -> Vec<Step> {
        let places = self.places.iter().zip(self.now.guests.iter()).enumerate();
        places
            .filter_map(|(guest, (place, now))| {
                let to = (*place)?;
                (now.host != Some(to)).then_some(Step { guest: guest as u32, to })
            })
            .collect()
    }

    /// Running hosts, the least loaded first.
    pub(super) fn by_load(&self) -> Vec<u32> {
        let mut hosts: Vec<u32> =
            self.now.awake.iter().copied().filter(|host| !self.guests(*host).is_empty()).collect();
        hosts.sort_by(|a, b| self.load(*a).total_cmp(&self.load(*b)));
        hosts
    }

    /// The first host without guests into `part` of which `guest` fits.
    pub(super) fn idle(&self, guest: u32, part: f64) -> Option<u32> {
        let mut hosts = 0..self.guests.len() as u32;
        hosts.find(|host| self.guests(*host).is_empty() && self.fits(guest, *host, part))
    }
}
