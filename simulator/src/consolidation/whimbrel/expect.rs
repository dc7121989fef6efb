//! What a guest is expected to ask for: a level and how far it strays from it, learnt as it goes.
//!
//! Exponentially weighted means, whose first weights are those of plain means. Never here: the
//! future, or what guests do together.

use super::super::{guest::Guests, setup::Setup};

/// Decisions over which a level is averaged: two hours.
const LEVEL_DECISIONS: f64 = 24.0;

/// Decisions over which squared distances from the level are averaged: three hours.
const SPREAD_DECISIONS: f64 = 36.0;

/// How many of its own samples the mean of a guest's kind is worth at the beginning.
const KIND_WEIGHT: f64 = 0.4;

/// How many of its own samples [`SPREAD_SHARE`] is worth.
const SPREAD_WEIGHT: f64 = 4.0;

/// How far a guest strays before anything is known of it, as a part of its virtual core.
const SPREAD_SHARE: f64 = 0.1;

/// What is expected of one guest.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Expected {
    /// In MIPS.
    pub(super) mean: f64,
    /// Mean square of the distance from it, in MIPS squared.
    pub(super) variance: f64,
}

/// What is expected of all guests.
#[derive(Debug, Default)]
pub(super) struct Expectations {
    of: Vec<Expected>,
    /// Samples learnt from.
    seen: f64,
}

impl Expectations {
    pub(super) fn of(&self, guest: u32) -> Expected {
        self.of[guest as usize]
    }

    /// Whether there is something to expect.
    pub(super) fn is_some(&self) -> bool {
        self.seen > 0.0
    }

    /// Learns from what all guests want now.
    pub(super) fn learn(&mut self, setup: &Setup, guests: &Guests) {
        if !self.is_some() {
            self.of = prior(setup, guests);
        }
        let level = (1.0 / (KIND_WEIGHT + self.seen + 1.0)).max(1.0 / LEVEL_DECISIONS);
        let spread = (1.0 / (SPREAD_WEIGHT + self.seen)).max(1.0 / SPREAD_DECISIONS);
        for (expected, guest) in self.of.iter_mut().zip(guests.iter()) {
            let distance = guest.wants - expected.mean;
            expected.mean += level * distance;
            // The first distance is from other guests and says nothing of this one's habits.
            if self.seen > 0.0 {
                let square = distance * (guest.wants - expected.mean);
                expected.variance += spread * (square - expected.variance);
            }
        }
        self.seen += 1.0;
    }
}

/// Before anything is known of a guest it is one of its kind.
fn prior(setup: &Setup, guests: &Guests) -> Vec<Expected> {
    let mut sums = vec![(0.0, 0.0); setup.guest_kinds.len()];
    for (kind, guest) in setup.guests.iter().zip(guests.iter()) {
        let (sum, count) = &mut sums[*kind];
        *sum += guest.wants;
        *count += 1.0;
    }
    let of_kind = |kind: &usize| {
        let (sum, count) = sums[*kind];
        let spread = SPREAD_SHARE * setup.guest_kinds[*kind].mips;
        Expected { mean: sum / f64::max(count, 1.0), variance: spread * spread }
    };
    setup.guests.iter().map(of_kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_sample_counts_for_most_and_the_kind_for_the_rest() {
        let setup = Setup::planetlab(8, &[vec![10], vec![30], vec![0], vec![0]]).unwrap();
        let mut guests = Guests::new(&setup);
        // Two guests of the first kind ask for 250 and 750 of 2500 MIPS.
        guests.of_mut(0).mips = 2500.0;
        guests.of_mut(1).mips = 2500.0;
        let setup = {
            let mut same = setup;
            same.guests = vec![0, 0, 2, 3];
            same
        };
        guests.of_mut(0).wants = 250.0;
        guests.of_mut(1).wants = 750.0;
        let mut expectations = Expectations::default();
        expectations.learn(&setup, &guests);
        let (first, second) = (expectations.of(0), expectations.of(1));
        assert!((first.mean - (500.0 - 250.0 / 1.4)).abs() < 1e-9);
        assert!((second.mean - (500.0 + 250.0 / 1.4)).abs() < 1e-9);
        assert!((first.variance - 62_500.0).abs() < 1e-9);
    }

    #[test]
    fn who_asks_for_the_same_all_day_is_expected_to_and_hardly_strays() {
        let setup = Setup::planetlab(2, &[vec![40]]).unwrap();
        let mut guests = Guests::new(&setup);
        let mut expectations = Expectations::default();
        guests.of_mut(0).wants = 1000.0;
        for _ in 0..288 {
            expectations.learn(&setup, &guests);
        }
        assert!((expectations.of(0).mean - 1000.0).abs() < 1e-6);
        assert!(expectations.of(0).variance.sqrt() < 10.0);
    }
}
