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
