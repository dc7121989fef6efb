//! Which guest leaves an overloaded host (Beloglazov and Buyya, CCPE 2012, section 5).

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::{super::guest::Guests, regress::explained, trial::Trial};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// MMT: the guest with the least memory, the first of them.
    MinimumMigrationTime,
    /// MU: the guest that uses the smallest part of what it was given.
    MinimumUtilization,
    /// RS: any, drawn by the seed.
    Random,
    /// MC: the guest that the others explain best (coefficient of determination of a linear
    /// regression); MMT where there is too little history for the number of guests.
    MaximumCorrelation,
}

impl Selection {
    /// The guest that leaves `host`, or `None` where there is none.
    pub(super) fn pick(self, host: &Trial, guests: &Guests, draws: &mut ChaCha8Rng) -> Option<u32> {
        match self {
            Self::MinimumMigrationTime => {
                least(host, |number| f64::from(guests.of(number).memory_mb))
            }
            Self::MinimumUtilization => {
                least(host, |number| guests.of(number).wants / guests.of(number).mips)
            }
            Self::Random => {
                let count = host.guests.len();
                (count > 0).then(|| host.guests[draws.random_range(0..count)])
            }
            Self::MaximumCorrelation => match best_explained(host, guests) {
                Some(guest) => Some(guest),
                None => Self::MinimumMigrationTime.pick(host, guests, draws),
            },
        }
    }
}

/// The first guest of the least `measure`.
fn least(host: &Trial, measure: impl Fn(u32) -> f64) -> Option<u32> {
    let mut least = None;
    for number in host.guests.iter().copied() {
        let measured = measure(number);
        if least.is_none_or(|(_, so_far)| measured < so_far) {
            least = Some((number, measured));
        }
    }
    least.map(|(number, _)| number)
}

/// The first guest whose series the others explain best; `None` where the values do not suffice.
fn best_explained(host: &Trial, guests: &Guests) -> Option<u32> {
    let series = |number: &u32| -> Vec<f64> {
        guests.past.iter().rev().map(|shares| shares[*number as usize]).collect()
    };
    let all: Vec<Vec<f64>> = host.guests.iter().map(series).collect();
    let mut best = (host.guests.first().copied()?, f64::MIN_POSITIVE);
    for (at, number) in host.guests.iter().copied().enumerate() {
        let others = all.iter().enumerate().filter(|(other, _)| *other != at);
        let explained = explained(&all[at], others.map(|(_, series)| series.as_slice()))?;
        if explained > best.1 {
            best = (number, explained);
        }
    }
    Some(best.0)
}
