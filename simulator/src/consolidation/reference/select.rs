//! Which guest leaves an overloaded host (Beloglazov and Buyya, CCPE 2012, section 5).
//!
//! Never here: when a host is overloaded, and where the guest goes.

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
    let mut best = (host.guests.first().copied()?, 0.0);
    for (number, explained) in host.guests.iter().zip(explained(&all)?) {
        if explained > best.1 {
            best = (*number, explained);
        }
    }
    Some(best.0)
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng as _;

    use super::{
        super::{
            super::{host::Host, setup::Setup},
            overload::Outlook,
        },
        *,
    };

    /// A guest of each kind on one host, with `past` shares by decision, the oldest first.
    fn pick(rule: Selection, past: &[[f64; 4]], seed: u64) -> Option<u32> {
        let setup = Setup::planetlab(2, &[vec![0], vec![0], vec![0], vec![0]]).unwrap();
        let mut guests = Guests::new(&setup);
        guests.past = past.iter().map(|shares| shares.to_vec()).collect();
        for (number, share) in (0..).zip(past.last().unwrap()) {
            let guest = guests.of_mut(number);
            guest.wants = guest.mips * share;
        }
        let mut host = Host::new(1, &setup.host_kinds[1]);
        host.guests = vec![2, 1, 0, 3];
        let trial = Trial::new(&host, &setup.curves[1], &guests, &Outlook::new(&guests));
        rule.pick(&trial, &guests, &mut ChaCha8Rng::seed_from_u64(seed))
    }

    #[test]
    fn the_least_memory_and_the_least_use_go_first() {
        assert_eq!(pick(Selection::MinimumMigrationTime, &[[0.1; 4]], 1), Some(3));
        assert_eq!(pick(Selection::MinimumUtilization, &[[0.2, 0.05, 0.1, 0.9]], 1), Some(1));
        // Of equal ones the first that came.
        assert_eq!(pick(Selection::MinimumUtilization, &[[0.5; 4]], 1), Some(2));
    }

    #[test]
    fn chance_takes_any_and_the_same_by_the_same_seed() {
        let picked: Vec<Option<u32>> =
            (0..40).map(|seed| pick(Selection::Random, &[[0.1; 4]], seed)).collect();
        for guest in 0..4 {
            assert!(picked.contains(&Some(guest)), "{guest}");
        }
        assert_eq!(pick(Selection::Random, &[[0.1; 4]], 9), picked[9]);
    }

    #[test]
    fn the_guest_that_others_explain_goes_first() {
        // What the second wants is a third of the others' mean and a little; noise blurs the rest.
        let past: Vec<[f64; 4]> = [
            (1.0, 5.0, 2.0),
            (2.0, 3.0, 9.0),
            (3.0, 8.0, 1.0),
            (4.0, 1.0, 4.0),
            (5.0, 9.0, 3.0),
            (6.0, 2.0, 8.0),
            (9.0, 4.0, 7.0),
            (2.0, 6.0, 5.0),
        ]
        .map(|(a, b, c)| [a / 20.0, (a + 0.01 * b) / 20.0, b / 20.0, c / 20.0])
        .to_vec();
        let picked = pick(Selection::MaximumCorrelation, &past, 1).unwrap();
        assert!(picked < 3, "the last one is explained by nobody: {picked}");
        // Three decisions are too few for four guests: the least memory.
        assert_eq!(pick(Selection::MaximumCorrelation, &past[..3], 1), Some(3));
    }
}
