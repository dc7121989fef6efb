//! A host as a decision tries things out on it.
//!
//! Never here: the host itself, which stays as it is.

use super::{
    super::{
        guest::{Guests, HISTORY},
        hash_order::Table,
        host::Host,
        kinds::PowerCurve,
    },
    overload::Outlook,
};

/// What a host would be with other guests.
///
/// The reference tries a guest on a host by really putting it there and taking it away again. That
/// leaves the same sums, added in another order: `free_tried` is what is left free then.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    pub(super) kind: usize,
    pub(super) mips: f64,
    pub(super) core_mips: f64,
    /// Part of it that worked when the decision began.
    pub(super) load: f64,
    /// Its power when the decision began, in watts.
    pub(super) watts: f64,
    /// Guests by arrival.
    pub(super) guests: Vec<u32>,
    /// What is free for a guest.
    pub(super) free: f64,
    free_tried: f64,
    /// What its guests get where all get what they want; where they do not, nothing is free.
    pub(super) gives: f64,
    /// What its guests want.
    pub(super) wanted: f64,
    /// What a straight line through their last demands foresees, in MIPS.
    pub(super) foreseen: f64,
    /// Guests that asked for something ten decisions ago or earlier.
    pub(super) remembered: u32,
    table: Table,
    /// Its loads at past decisions with these guests, once somebody has asked for them.
    loads: Option<Box<[f64; HISTORY]>>,
}

impl Trial {
    pub(super) fn new(host: &Host, curve: &PowerCurve, guests: &Guests, outlook: &Outlook) -> Self {
        let mut trial = Self {
            kind: host.kind,
            mips: host.mips,
            core_mips: host.core_mips,
            load: host.load(),
            watts: curve.watts_at(host.load()),
            guests: host.guests.clone(),
            free: host.mips,
            free_tried: host.mips,
            gives: 0.0,
            wanted: 0.0,
            foreseen: 0.0,
            remembered: 0,
            table: host.table,
            loads: None,
        };
        trial.table.hold(trial.guests.len());
        trial.sum(guests, outlook);
        trial.free =
            if host.disturbed { trial.free_tried } else { trial.left(&trial.guests, guests) };
        trial
    }

    /// Sums over its guests, in the order of their arrival.
    fn sum(&mut self, guests: &Guests, outlook: &Outlook) {
        (self.gives, self.wanted, self.foreseen, self.remembered) = (0.0, 0.0, 0.0, 0);
        self.loads = None;
        for number in &self.guests {
            let wants = guests.of(*number).wants;
            self.gives += wants.min(self.core_mips);
            self.wanted += wants;
            let (foreseen, remembered) = outlook.of(*number);
            self.foreseen += foreseen;
            self.remembered += u32::from(remembered);
        }
        self.free_tried = self.in_table_order(guests);
    }

    fn in_table_order(&self, guests: &Guests) -> f64 {
        let mut order = self.guests.clone();
        self.table.sort(&mut order, &guests.hashes);
        self.left(&order, guests)
    }

    /// What is left free once all in `order` have theirs; nothing where not all can have it.
    fn left(&self, order: &[u32], guests: &Guests) -> f64 {
        let mut free = self.mips;
        for number in order {
            let takes = guests.of(*number).wants.min(self.core_mips);
            if free < takes {
                return 0.0;
            }
            free -= takes;
        }
        free
    }

    /// Its loads with these guests and `one_more` at past decisions, the newest first.
    pub(super) fn loads(&mut self, one_more: Option<u32>, guests: &Guests) -> [f64; HISTORY] {
        let Self { mips, guests: own, .. } = self;
        let add = |mut loads: [f64; HISTORY], number: u32| {
            let of_guest = guests.of(number).mips;
            for (load, shares) in loads.iter_mut().zip(guests.past.iter().rev()) {
                *load += shares[number as usize] * of_guest / *mips;
            }
            loads
        };
        let sum = || Box::new(own.iter().copied().fold([0.0; HISTORY], add));
        let loads = **self.loads.get_or_insert_with(sum);
        one_more.map_or(loads, |number| add(loads, number))
    }

    /// Whether `wants` fits on one core and into what is free.
    pub(super) fn suits(&self, wants: f64) -> bool {
        self.core_mips >= wants && self.free >= wants
    }

    /// One more guest was put here and taken away again.
    pub(super) fn tried(&mut self, guests: &Guests) {
        let before = self.table;
        self.table.hold(self.guests.len() + 1);
        if self.table != before {
            self.free_tried = self.in_table_order(guests);
        }
        self.free = self.free_tried;
    }

    /// Puts `guest`, which suits, here.
    pub(super) fn put(&mut self, guest: u32, guests: &Guests, outlook: &Outlook) {
        let free = self.free - guests.of(guest).wants;
        self.guests.push(guest);
        self.table.hold(self.guests.len());
        self.sum(guests, outlook);
        self.free = free;
    }

    /// Takes `guest` away.
    pub(super) fn take(&mut self, guest: u32, guests: &Guests, outlook: &Outlook) {
        self.guests.retain(|other| *other != guest);
        self.sum(guests, outlook);
        self.free = self.free_tried;
    }
}
