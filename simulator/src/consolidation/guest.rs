//! Guests as the study knows them: one number each for demand, place and what they lost.
//!
//! Guests of a host are looked at together, so they are kept side by side in memory: a large world
//! costs a guest what a small one does.
//!
//! Never here: what they will ask for.

use super::{account::GuestAccount, hash_order::hash_of, host::Host, setup::Setup};

/// Decisions that rules look back at.
pub(super) const HISTORY: usize = 30;

/// A guest. Numbers of guests and hosts are positions in the setup's lists, made here alone and
/// never out of range.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guest {
    /// What it computes at 100 %.
    pub(super) mips: f64,
    pub(super) memory_mb: u32,
    pub(super) bandwidth: u32,
    /// What it asks for now.
    pub(super) wants: f64,
    /// Whether it migrates.
    pub(super) migrates: bool,
    /// Where it runs, while it lives.
    pub(super) host: Option<u32>,
}

/// All guests, and the series that every guest has.
#[derive(Debug, Clone)]
pub(super) struct Guests {
    /// In the order in which they were gathered last.
    list: Vec<Guest>,
    /// Apart: what is asked of a guest is looked at far more often than what it got.
    accounts: Vec<GuestAccount>,
    /// Where each guest is in the list, and who is at each place of it.
    places: Vec<u32>,
    numbers: Vec<u32>,
    /// Of each guest's name.
    pub(super) hashes: Vec<u32>,
    /// Shares of demand at the last [`HISTORY`] decisions, the newest last: by decision, then guest.
    pub(super) past: Vec<Vec<f64>>,
    /// Shares of demand now.
    shares: Vec<f64>,
}

impl Guests {
    pub(super) fn new(setup: &Setup) -> Self {
        let guest = |kind: &usize| {
            let kind = &setup.guest_kinds[*kind];
            Guest {
                mips: kind.mips,
                memory_mb: kind.memory_mb,
                bandwidth: kind.bandwidth,
                wants: 0.0,
                migrates: false,
                host: None,
            }
        };
        let list: Vec<Guest> = setup.guests.iter().map(guest).collect();
        let hashes = (0..list.len()).map(hash_of).collect();
        let shares = vec![0.0; list.len()];
        let numbers: Vec<u32> = (0..list.len() as u32).collect();
        let accounts = vec![GuestAccount::default(); list.len()];
        let past = Vec::new();
        Self { list, accounts, places: numbers.clone(), numbers, hashes, past, shares }
    }

    /// Every guest asks for what its series says at `seconds`.
    pub(super) fn ask(&mut self, setup: &Setup, seconds: f64) {
        setup.demand_at(seconds, &mut self.shares);
        for (guest, number) in self.list.iter_mut().zip(&self.numbers) {
            guest.wants = self.shares[*number as usize] * guest.mips;
        }
    }

    /// Keeps what they ask for now for those who look back.
    pub(super) fn remember(&mut self) {
        if self.past.len() < HISTORY {
            self.past.push(self.shares.clone());
        } else {
            self.past.rotate_left(1);
            if let Some(oldest) = self.past.last_mut() {
                oldest.copy_from_slice(&self.shares);
            }
        }
    }

    /// Puts the guests of each of `hosts` side by side; who is nowhere comes last.
    pub(super) fn gather(&mut self, hosts: &[Host]) {
        let mut places = vec![None; self.list.len()];
        let mut numbers = Vec::with_capacity(self.list.len());
        let here = hosts.iter().flat_map(|host| host.guests.iter().copied());
        for guest in here.chain(0..self.list.len() as u32) {
            if places[guest as usize].is_none() {
                places[guest as usize] = Some(numbers.len() as u32);
                numbers.push(guest);
            }
        }
        self.list = numbers.iter().map(|guest| *self.of(*guest)).collect();
        self.accounts = numbers.iter().map(|guest| *self.account(*guest)).collect();
        self.numbers = numbers;
        self.places = places.into_iter().flatten().collect();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them by number.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Guest> {
        self.places.iter().map(|place| &self.list[*place as usize])
    }

    fn account(&self, guest: u32) -> &GuestAccount {
        &self.accounts[self.places[guest as usize] as usize]
    }

    /// What each of them got, by number.
    pub(super) fn accounts(&self) -> impl Iterator<Item = &GuestAccount> {
        (0..self.list.len() as u32).map(|guest| self.account(guest))
    }

    pub(super) fn of(&self, guest: u32) -> &Guest {
        &self.list[self.places[guest as usize] as usize]
    }

    /// From `now` on `guest` gets `gets`.
    pub(super) fn gets(&mut self, guest: u32, gets: f64, now: f64) {
        let place = self.places[guest as usize] as usize;
        let Guest { wants, migrates, .. } = self.list[place];
        self.accounts[place].enter(now, gets, wants, migrates);
    }

    pub(super) fn of_mut(&mut self, guest: u32) -> &mut Guest {
        &mut self.list[self.places[guest as usize] as usize]
    }
}
