//! Whimbrel's own consolidation: hosts are filled by what their guests are expected to want
//! together, and little is moved.
//!
//! Every five minutes it learns each guest's level and spread, relieves hosts on which the sum is
//! about to be too much, and empties hosts where that pays for the moves. Between the level at which
//! hosts are filled and the level at which they are relieved lies a band in which nothing happens,
//! and a guest that was moved is left in peace for an hour. As the reference it looks at computing
//! alone: in the study's world memory binds at the beginning only.
//!
//! Never here: the future. Its numbers were chosen on 2011-03-03, -06 and -09 of `PlanetLab`'s days.

mod empty;
mod expect;
mod ledger;
mod relieve;

use super::decision::{Decides, Situation, Step};
use empty::empty;
use expect::Expectations;
use ledger::Ledger;
use relieve::relieve;

/// A host is filled until the sum of its guests may just stray this many standard deviations.
const FILL_DEVIATIONS: f64 = 3.0;

/// Decisions over which it is averaged how much guests stray together: two hours.
const TOGETHER_DECISIONS: f64 = 24.0;

/// The greatest part by which guests that stray together widen a sum's spread.
const TOGETHER_MAX: f64 = 2.0;

/// What it remembers between decisions.
#[derive(Debug)]
pub(super) struct Whimbrel {
    expected: Expectations,
    /// The decision at which each guest was last moved.
    moved: Vec<Option<u32>>,
    decision: u32,
    /// Mean square of how far sums strayed, by what it would be if guests strayed apart.
    together: f64,
}

/// What it goes by in one decision.
#[derive(Debug)]
struct Outlook<'a> {
    expected: &'a Expectations,
    moved: &'a [Option<u32>],
    decision: u32,
    /// How much wider sums spread than those of guests that stray apart. At least 1.
    together: f64,
}

impl Outlook<'_> {
    /// Decisions since `guest` was moved.
    fn rested(&self, guest: u32) -> u32 {
        let moved = self.moved.get(guest as usize).copied().flatten();
        moved.map_or(u32::MAX, |at| self.decision.saturating_sub(at))
    }
}

impl Whimbrel {
    /// For `guests` guests of which nothing is known yet.
    pub(super) fn new(guests: usize) -> Self {
        Self {
            expected: Expectations::default(),
            moved: vec![None; guests],
            decision: 0,
            together: 1.0,
        }
    }

    /// Compares how far the sums of hosts strayed with what was expected of them.
    fn compare(&mut self, now: &Situation<'_>) {
        let (mut strayed, mut apart) = (0.0, 0.0);
        for host in now.awake {
            let mut distance = 0.0;
            for guest in &now.hosts[*host as usize].guests {
                let expected = self.expected.of(*guest);
                distance += now.guests.of(*guest).wants - expected.mean;
                apart += expected.variance;
            }
            strayed += distance * distance;
        }
        if apart > 0.0 {
            self.together += (strayed / apart - self.together) / TOGETHER_DECISIONS;
        }
    }
}

impl Decides for Whimbrel {
    fn decide(&mut self, now: &Situation<'_>) -> Vec<Step> {
        self.decision = self.decision.saturating_add(1);
        if self.expected.is_some() {
            self.compare(now);
        }
        self.expected.learn(now.setup, now.guests);
        let outlook = Outlook {
            expected: &self.expected,
            moved: &self.moved,
            decision: self.decision,
            together: self.together.sqrt().clamp(1.0, TOGETHER_MAX),
        };
        let mut ledger = Ledger::new(*now, &self.expected, FILL_DEVIATIONS * outlook.together);
        let mut steps = relieve(&outlook, &mut ledger);
        empty(&outlook, &mut ledger, &mut steps);
        for step in &steps {
            if let Some(moved) = self.moved.get_mut(step.guest as usize) {
                *moved = Some(self.decision);
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::{super::decision::worlds::World, *};

    #[test]
    fn guests_are_brought_together_once_and_then_left_in_peace() {
        let guests: Vec<(usize, u32, f64)> = (0..8).map(|host| (3, host, 0.2)).collect();
        let mut world = World::new(8, &guests);
        let mut whimbrel = Whimbrel::new(8);
        let steps = whimbrel.decide(&world.now());
        // One of the larger hosts has room for all; who is there stays.
        assert_eq!(steps.len(), 7);
        let to = steps[0].to;
        assert!(to % 2 == 1 && steps.iter().all(|step| step.to == to), "{steps:?}");
        world = World::new(8, &[(3, to, 0.2); 8]);
        for _ in 0..40 {
            assert!(whimbrel.decide(&world.now()).is_empty());
        }
    }

    #[test]
    fn a_host_that_is_too_full_gives_up_as_little_as_suffices() {
        // What they want is known well: 5,000 of 5,320 MIPS on host 1, and then 5,500.
        let steps_of = |guests: &[(usize, u32, f64)]| {
            let world = World::new(4, guests);
            let mut whimbrel = Whimbrel::new(guests.len());
            for _ in 0..200 {
                whimbrel.expected.learn(world.now().setup, world.now().guests);
            }
            whimbrel.decide(&world.now())
        };
        let full = [(0, 1, 1.0), (1, 1, 1.0), (3, 1, 1.0), (0, 3, 1.0)];
        assert!(steps_of(&full).is_empty());
        let fuller = [(0, 1, 1.0), (1, 1, 1.0), (3, 1, 1.0), (0, 3, 1.0), (2, 1, 0.5)];
        let steps = steps_of(&fuller);
        // Both of the smaller ones suffice, and are alike: the first.
        assert_eq!(steps, [Step { guest: 2, to: 3 }]);
    }

    #[test]
    fn what_does_not_pay_is_not_moved() {
        // Fifty small guests of one host save some 90 W: less than 4 Wh each within two hours.
        let mut guests = vec![(3, 1, 0.01); 50];
        guests.push((0, 3, 0.9));
        let world = World::new(4, &guests);
        assert!(Whimbrel::new(51).decide(&world.now()).iter().all(|step| step.guest == 50));
    }
}
