//! The learned correction: by which factor the replay misses, as far as features tell.
//!
//! One forest each for total time, bytes and downtime predicts ln(actual / replayed). What is
//! learnt is tried on guests that were held out: the answers are scaled by how well they did
//! there, and a quantity where they did nothing good is left uncorrected.
//!
//! Never extrapolates: outside the range of the training features the correction goes to 0, and
//! a mode, transport or compression that no example had is not corrected at all.

use std::f64::consts::LN_2;

use serde::{Deserialize, Serialize};
use whimbrel_core::ids::VmId;

use super::{
    features::{COLUMNS, FEATURES, Features},
    forest::Forest,
};
use crate::past::by_guest;

/// Bound on every residual: a factor from one half to two. What is further off is no error of the
/// replay that features explain, but an event.
const RESIDUAL_MAX: f64 = LN_2;

/// Fewest examples and guests that a correction is learnt from.
const EXAMPLES_MIN: usize = 40;
const GUESTS_MIN: usize = 4;

/// Parts that examples are held out by, at most.
const PARTS: usize = 5;

/// How far outside the range of the training features a correction still counts, as a part of
/// that range; it falls linearly to 0 there.
const MARGIN: f64 = 0.25;

/// Natural logarithms of factors on what the replay comes to. Range -ln 2..=ln 2 where they come
/// from a [`Correction`].
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Residuals {
    /// Of the total time.
    pub time: f64,
    /// Of the bytes on the wire.
    pub bytes: f64,
    /// Of the downtime.
    pub downtime: f64,
}

/// A finished migration to learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// Whose it was; examples of one guest are held out together.
    pub vm: VmId,
    /// What was known before it.
    pub features: Features,
    /// ln(actual / replayed). Finite.
    pub residuals: Residuals,
}

/// Corrects what a replay comes to. The default corrects nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Correction {
    /// Examples that it was learnt from; 0 says that it corrects nothing.
    examples: usize,
    /// Least and greatest value of each column.
    range: Vec<(f64, f64)>,
    time: Target,
    bytes: Target,
    downtime: Target,
}

/// One quantity's forest.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Target {
    /// What its answers are multiplied by. Range 0..=1.
    trust: f64,
    forest: Forest,
}

impl Correction {
    /// Learns from `examples`. With fewer than 40 of them or 4 guests it corrects nothing.
    ///
    /// The result depends on the order of the examples and on `seed` alone.
    pub fn fit(examples: &[Example], seed: u64) -> Self {
        let usable = usable(examples);
        let held_out = forests_held_out(&usable, seed);
        Self::fit_trusting(&usable, seed, |of| trust(&usable, &held_out, of))
    }

    /// What a correction learnt from all *other* guests says of each example, in their order: the
    /// honest ground for bands.
    pub fn held_out(examples: &[Example], seed: u64) -> Vec<Residuals> {
        let (parts, count) = parts(examples.iter().map(|example| &example.vm));
        let learnt: Vec<Self> = (0..count)
            .map(|part| {
                let others = examples.iter().zip(&parts).filter(|(_, own)| **own != part);
                let others: Vec<Example> = others.map(|(example, _)| example.clone()).collect();
                Self::fit(&others, seed)
            })
            .collect();
        let answers = examples.iter().zip(parts).map(|(example, part)| {
            learnt.get(part).map(|correction| correction.correct(&example.features))
        });
        answers.map(Option::unwrap_or_default).collect()
    }

    /// Examples that it was learnt from; 0 where it corrects nothing.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// By which factors the replay of a migration with `features` is expected to miss.
    pub fn correct(&self, features: &Features) -> Residuals {
        let row = features.to_array();
        let inside = self.inside(&row);
        let answer = |target: &Target| {
            if inside <= 0.0 || target.trust <= 0.0 {
                return 0.0;
            }
            let answer = target.forest.answer(&row) * target.trust * inside;
            answer.clamp(-RESIDUAL_MAX, RESIDUAL_MAX)
        };
        Residuals {
            time: answer(&self.time),
            bytes: answer(&self.bytes),
            downtime: answer(&self.downtime),
        }
    }

    /// 1 within the range of the training features, 0 from [`MARGIN`] beyond it.
    fn inside(&self, row: &[f64; FEATURES]) -> f64 {
        let beyond = self.range.iter().zip(row).map(|((low, high), value)| {
            let outside = (low - value).max(value - high).max(0.0);
            // A column that never varied has no margin: any other value is unknown ground.
            let margin = (MARGIN * (high - low)).max(1e-9);
            (outside / margin).min(1.0)
        });
        1.0 - beyond.fold(0.0, f64::max)
    }

    /// Fits to all of `usable`, with the trust that `trust` has in each quantity.
    fn fit_trusting(
        usable: &[&Example],
        seed: u64,
        trust: impl Fn(fn(&Residuals) -> f64) -> f64,
    ) -> Self {
        let guests: std::collections::BTreeSet<&VmId> = usable.iter().map(|e| &e.vm).collect();
        if usable.len() < EXAMPLES_MIN || guests.len() < GUESTS_MIN {
            return Self::default();
        }
        let target = |of: fn(&Residuals) -> f64| {
            let trust = trust(of);
            let forest = if trust > 0.0 { forest(usable, of, seed) } else { None };
            forest.map_or_else(Target::default, |forest| Target { trust, forest })
        };
        Self {
            examples: usable.len(),
            range: range(usable),
            time: target(|r| r.time),
            bytes: target(|r| r.bytes),
            downtime: target(|r| r.downtime),
        }
    }
}

/// The part that each of `guests` is held out with, and the number of parts.
fn parts<'a>(guests: impl Iterator<Item = &'a VmId> + Clone) -> (Vec<usize>, usize) {
    by_guest(guests, PARTS, |_| 0.0)
}

/// Examples whose residuals are finite.
fn usable(examples: &[Example]) -> Vec<&Example> {
    let finite = |r: &Residuals| [r.time, r.bytes, r.downtime].iter().all(|v| v.is_finite());
    examples.iter().filter(|example| finite(&example.residuals)).collect()
}

/// Least and greatest value of each column.
fn range(usable: &[&Example]) -> Vec<(f64, f64)> {
    let mut range = vec![(f64::INFINITY, f64::NEG_INFINITY); FEATURES];
    for example in usable {
        for ((low, high), value) in range.iter_mut().zip(example.features.to_array()) {
            *low = low.min(value);
            *high = high.max(value);
        }
    }
    range
}

/// A forest for the residual that `of` names.
fn forest(usable: &[&Example], of: fn(&Residuals) -> f64, seed: u64) -> Option<Forest> {
    let rows: Vec<[f64; FEATURES]> = usable.iter().map(|e| e.features.to_array()).collect();
    let bounded = |e: &&Example| of(&e.residuals).clamp(-RESIDUAL_MAX, RESIDUAL_MAX);
    let targets: Vec<f64> = usable.iter().map(bounded).collect();
    Forest::fit(&rows, &targets, seed)
}

/// What forests of the other guests, trusted fully, say of each example.
fn forests_held_out(usable: &[&Example], seed: u64) -> Vec<Residuals> {
    let (parts, count) = parts(usable.iter().map(|example| &example.vm));
    let learnt: Vec<Correction> = (0..count)
        .map(|part| {
            let others = usable.iter().zip(&parts).filter(|(_, own)| **own != part);
            let others: Vec<&Example> = others.map(|(example, _)| *example).collect();
            Correction::fit_trusting(&others, seed, |_| 1.0)
        })
        .collect();
    let answers = usable.iter().zip(parts).map(|(example, part)| {
        learnt.get(part).map(|correction| correction.correct(&example.features))
    });
    answers.map(Option::unwrap_or_default).collect()
}

/// How far answers for guests that were held out are to be believed: the factor that makes their
/// squared error least (a stacking of one model; Breiman: "Stacked regressions", 1996), held in
/// 0..=1, and 0 where the typical error was not smaller than without any correction.
fn trust(usable: &[&Example], held_out: &[Residuals], of: fn(&Residuals) -> f64) -> f64 {
    let pairs = || {
        usable.iter().zip(held_out).map(|(example, answer)| {
            (of(&example.residuals).clamp(-RESIDUAL_MAX, RESIDUAL_MAX), of(answer))
        })
    };
    let shared: f64 = pairs().map(|(actual, answer)| actual * answer).sum();
    let power: f64 = pairs().map(|(_, answer)| answer * answer).sum();
    if power <= 0.0 {
        return 0.0;
    }
    let factor = (shared / power).clamp(0.0, 1.0);
    let without: f64 = pairs().map(|(actual, _)| actual.abs()).sum();
    let with: f64 = pairs().map(|(actual, answer)| (actual - factor * answer).abs()).sum();
    if with < without { factor } else { 0.0 }
}

/// A [`Correction`] with the names of its columns, as it is stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    columns: Vec<String>,
    examples: usize,
    range: Vec<(f64, f64)>,
    time: Target,
    bytes: Target,
    downtime: Target,
}

impl From<Correction> for Stored {
    fn from(correction: Correction) -> Self {
        let Correction { examples, range, time, bytes, downtime } = correction;
        let columns = COLUMNS.map(str::to_owned).to_vec();
        Self { columns, examples, range, time, bytes, downtime }
    }
}

impl TryFrom<Stored> for Correction {
    type Error = String;

    fn try_from(stored: Stored) -> Result<Self, String> {
        let Stored { columns, examples, range, time, bytes, downtime } = stored;
        if columns != COLUMNS {
            let other = columns.iter().find(|name| !COLUMNS.contains(&name.as_str()));
            return Err(format!(
                "a correction with {} columns{}, this program has {FEATURES} \
                 (hint: learn it again from the recorded migrations)",
                columns.len(),
                other.map_or_else(String::new, |name| format!(", among them {name}")),
            ));
        }
        let ranged = range.len() == FEATURES && range.iter().all(|(low, high)| low <= high);
        let trusted = [&time, &bytes, &downtime].iter().all(|t| (0.0..=1.0).contains(&t.trust));
        if examples > 0 && !ranged || !trusted {
            return Err("a correction whose ranges or trust are impossible \
                 (hint: learn it again from the recorded migrations)"
                .to_owned());
        }
        Ok(Self { examples, range, time, bytes, downtime })
    }
}
