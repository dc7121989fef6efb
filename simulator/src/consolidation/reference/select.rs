//! Which guest leaves an overloaded host (Beloglazov and Buyya, CCPE 2012, section 5).

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use super::{super::guest::Guests, trial::Trial};

/// Part of a series' variation below which what others do not explain is rounding.
const ROUNDING: f64 = 1e-12;

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

/// The first guest whose series the others explain best; `None` where the rows do not suffice.
fn best_explained(host: &Trial, guests: &Guests) -> Option<u32> {
    let recent: Vec<&Vec<f64>> = guests.past.iter().rev().collect();
    let count = host.guests.len();
    if count < 2 || count > recent.len() {
        return None;
    }
    let series =
        |number: u32| -> Vec<f64> { recent.iter().map(|shares| shares[number as usize]).collect() };
    let all: Vec<Vec<f64>> = host.guests.iter().copied().map(series).collect();
    let mut best: Option<(u32, f64)> = None;
    for (at, number) in host.guests.iter().copied().enumerate() {
        let others = all.iter().enumerate().filter(|(other, _)| *other != at);
        let explained = explained(&all[at], others.map(|(_, series)| series))?;
        if best.is_none_or(|(_, so_far)| explained > so_far) {
            best = Some((number, explained));
        }
    }
    best.map(|(number, _)| number)
}

/// The coefficient of determination of `series` by a constant and `others`: what is left of it
/// after the parts along each of them are taken out one by one (modified Gram-Schmidt). `None`
/// where `others` or the series itself do not vary on their own.
fn explained<'a>(series: &[f64], others: impl Iterator<Item = &'a Vec<f64>>) -> Option<f64> {
    let centred = |values: &[f64]| -> Vec<f64> {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        values.iter().map(|value| value - mean).collect()
    };
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let without = |from: &mut [f64], along: &[f64], power: f64| {
        let part = dot(from, along) / power;
        for (value, along) in from.iter_mut().zip(along) {
            *value -= part * along;
        }
    };
    let mut left = centred(series);
    let whole = dot(&left, &left);
    let mut directions: Vec<(Vec<f64>, f64)> = Vec::new();
    for other in others {
        let mut direction = centred(other);
        let before = dot(&direction, &direction);
        for (along, power) in &directions {
            without(&mut direction, along, *power);
        }
        let power = dot(&direction, &direction);
        if power <= before * ROUNDING {
            return None;
        }
        without(&mut left, &direction, power);
        directions.push((direction, power));
    }
    (whole > 0.0).then(|| 1.0 - dot(&left, &left) / whole)
}
