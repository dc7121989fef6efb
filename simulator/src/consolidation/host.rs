//! A host's processor: who gets how much when all cannot get all.
//!
//! Never here: who goes where.

use super::{
    account::HostAccount,
    guest::{Guest, Guests},
    hash_order::Table,
    kinds::{HostKind, PowerCurve},
};

/// Part of its work that a migrating guest loses on the source, and part that it takes on the
/// target.
const MIGRATION_PART: f64 = 0.1;

/// What is left to a migrating guest on its source.
const LEFT_PART: f64 = 0.9;

/// Loads above 1 and up to here come from rounding.
const ROUNDED_LOAD_MAX: f64 = 1.01;

/// A host with its guests.
#[derive(Debug, Clone)]
pub(super) struct Host {
    pub(super) kind: usize,
    /// Of all cores.
    pub(super) mips: f64,
    pub(super) core_mips: f64,
    /// Guests by arrival, those that are on their way here included.
    pub(super) guests: Vec<u32>,
    /// Guests that are on their way here.
    pub(super) arriving: Vec<u32>,
    pub(super) table: Table,
    /// A guest has left since the processor was divided.
    pub(super) disturbed: bool,
    /// What each guest gets, in their order.
    shares: Vec<f64>,
    /// What it gives, and gave before.
    pub(super) gives: f64,
    gave: f64,
    pub(super) account: HostAccount,
}

impl Host {
    pub(super) fn new(kind: usize, of: &HostKind) -> Self {
        Self {
            kind,
            mips: of.mips(),
            core_mips: of.core_mips,
            guests: Vec::new(),
            arriving: Vec::new(),
            table: Table::default(),
            disturbed: false,
            shares: Vec::new(),
            gives: 0.0,
            gave: 0.0,
            account: HostAccount::default(),
        }
    }

    /// Divides the processor among its guests anew.
    pub(super) fn refresh(&mut self, now: f64, guests: &mut Guests) {
        self.divide(guests);
        self.disturbed = false;
        self.gave = self.gives;
        let (mut given, mut wanted, mut wanted_here) = (0.0, 0.0, 0.0);
        for (number, gets) in self.guests.iter().zip(&self.shares) {
            let guest = *guests.of(*number);
            let mut gives = *gets;
            if !self.arriving.contains(number) {
                guests.gets(*number, *gets, now);
                wanted_here += guest.wants;
                if guest.migrates {
                    gives /= LEFT_PART;
                }
            }
            given += gives;
            wanted += guest.wants;
        }
        self.gives = given;
        self.account.enter(now, given, wanted, wanted_here > self.mips);
    }

    /// Whether nothing will change on it until a guest comes.
    pub(super) fn sleeps(&self) -> bool {
        self.guests.is_empty() && self.gives == 0.0 && self.gave == 0.0 && self.account.rests()
    }

    fn divide(&mut self, guests: &Guests) {
        self.table.hold(self.guests.len());
        self.shares.clear();
        let mut free = self.mips;
        let mut full = false;
        for number in &self.guests {
            let guest = guests.of(*number);
            let wants = guest.wants.min(self.core_mips);
            let (takes, gets) = if self.arriving.contains(number) {
                (wants * MIGRATION_PART, wants * MIGRATION_PART)
            } else {
                (wants, if guest.migrates { wants * LEFT_PART } else { wants })
            };
            self.shares.push(gets);
            full |= free < takes;
            free -= takes;
        }
        if full {
            self.ration(guests);
        }
    }

    /// Gives every guest the same part of what it wants, in whole MIPS.
    fn ration(&mut self, guests: &Guests) {
        let mut order = self.guests.clone();
        self.table.sort(&mut order, &guests.hashes);
        let wants = |guest: &Guest| guest.wants.min(self.core_mips);
        let takes = |number: &u32| {
            let part = if self.arriving.contains(number) { MIGRATION_PART } else { 1.0 };
            wants(guests.of(*number)) * part
        };
        let part = self.mips / order.iter().map(takes).fold(0.0, |sum, takes| sum + takes);
        let gets = |number: &u32| {
            let guest = guests.of(*number);
            if self.arriving.contains(number) {
                wants(guest) * MIGRATION_PART * part
            } else if guest.migrates {
                wants(guest) * part * LEFT_PART
            } else {
                wants(guest) * part
            }
        };
        self.shares = self.guests.iter().map(|number| gets(number).floor()).collect();
    }

    /// Which part of it works, 0 to 1.
    pub(super) fn load(&self) -> f64 {
        at_most_full(self.gives / self.mips)
    }

    /// What it used in `seconds` while its load went to what it is now, in watt-seconds. A host
    /// that did nothing was off.
    pub(super) fn energy(&self, curve: &PowerCurve, seconds: f64) -> f64 {
        let before = at_most_full(self.gave / self.mips);
        if before == 0.0 {
            return 0.0;
        }
        let (from, to) = (curve.watts_at(before), curve.watts_at(self.load()));
        (from + (to - from) / 2.0) * seconds
    }

    /// Takes `guest` off it.
    pub(super) fn remove(&mut self, guest: u32) {
        self.guests.retain(|other| *other != guest);
        self.disturbed = true;
    }
}

fn at_most_full(load: f64) -> f64 {
    if load > 1.0 && load < ROUNDED_LOAD_MAX { 1.0 } else { load }
}
