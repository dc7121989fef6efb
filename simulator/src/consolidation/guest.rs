//! Guests as the study knows them: one number each for demand, place and what they lost.
//!
//! Never here: what they will ask for.

use super::{account::GuestAccount, hash_order::hash_of, setup::Setup};

/// Decisions that rules look back at.
pub(super) const HISTORY: usize = 30;

/// A guest. Numbers of guests and hosts are positions in their lists, made here alone and never
/// out of range.
#[derive(Debug, Clone)]
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
    pub(super) account: GuestAccount,
    /// Hosts that it left in the last hour, and when.
    pub(super) left: Vec<(u32, f64)>,
}

/// All guests, and the series that every guest has.
#[derive(Debug, Clone)]
pub(super) struct Guests {
    pub(super) list: Vec<Guest>,
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
                account: GuestAccount::default(),
                left: Vec::new(),
            }
        };
        let list: Vec<Guest> = setup.guests.iter().map(guest).collect();
        let hashes = (0..list.len()).map(hash_of).collect();
        let shares = vec![0.0; list.len()];
        Self { list, hashes, past: Vec::new(), shares }
    }

    /// Every guest asks for what its series says at `seconds`.
    pub(super) fn ask(&mut self, setup: &Setup, seconds: f64) {
        setup.demand_at(seconds, &mut self.shares);
        for (guest, share) in self.list.iter_mut().zip(&self.shares) {
            guest.wants = share * guest.mips;
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

    pub(super) fn of(&self, guest: u32) -> &Guest {
        &self.list[guest as usize]
    }

    pub(super) fn of_mut(&mut self, guest: u32) -> &mut Guest {
        &mut self.list[guest as usize]
    }
}
