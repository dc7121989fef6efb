//! Bands that hold: conformalised quantiles (Romano, Patterson, Candès: "Conformalized quantile
//! regression", 2019) around a prediction's own.
//!
//! Past predictions of guests that the model had not seen say how far each tail of the band lay
//! from what happened, as a logarithm. The band of a new prediction is moved by the quantile of
//! these scores that makes the tail as rare as it claims to be, each tail by itself (theorem 2
//! of the paper), so that the upper quantile alone is a time-out that can be trusted. The rank is
//! the ⌈level (n + 1)⌉-th smallest of n: the step for finite samples.
//!
//! Classes of predictions are judged apart where there is enough to judge by (Mondrian; Vovk et
//! al.: "Algorithmic Learning in a Random World", 2005), together otherwise.
//!
//! Never moves the median and never crosses quantiles. Scores of one guest are alike, so the
//! promise is as good as the number of guests, not of migrations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whimbrel_core::predict::{QUANTILE_LEVELS, Quantiles};

/// Scores from which a class is judged by itself.
pub const CLASS_SCORES_MIN: usize = 40;

/// Scores below which the tails of 2.5 % are not told apart from those of 5 %: a rank needs 39,
/// and the second smallest is the first that one odd migration does not decide.
pub const OUTER_SCORES_MIN: usize = 80;

/// Bound on how far a tail moves: a factor of e^3, about 20.
const SHIFT_MAX: f64 = 3.0;

/// Predictions that err alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Pre-copy that is expected to end by itself, of a guest with fresh readings.
    ConvergingPreCopy,
    /// Auto-converge, post-copy and pre-copy that may hang.
    Other,
    /// Few or old readings, whatever the mode.
    LittleTelemetry,
    /// A guest that was seen to migrate before, with fresh readings, whatever the mode.
    KnownGuest,
}

/// A past prediction of one quantity and what it came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// What it is judged with.
    pub class: Class,
    /// Predicted by a model that had not seen the guest. Above 0, rising.
    pub predicted: Quantiles<f64>,
    /// What happened, in the same unit. Above 0.
    pub actual: f64,
    /// 1 for a usual score, less for an older one (Barber et al.: "Conformal prediction beyond
    /// exchangeability", 2023). Range 0..=1.
    pub weight: f64,
}

/// By how much each tail is moved.
///
/// The default moves nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conformal {
    /// Of all scores together.
    pooled: Shifts,
    /// Of classes with enough scores.
    classes: BTreeMap<Class, Shifts>,
}

/// Outward moves of the six quantiles beside the median.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Shifts {
    /// Scores that they were learnt from.
    scores: usize,
    /// Logarithms in the order of the levels 0.025, 0.05, 0.25, 0.75, 0.95, 0.975; above 0 is away
    /// from the median.
    outward: [f64; 6],
}

impl Conformal {
    /// Learns from `scores`. Those without finite values above 0 and a weight are left out.
    ///
    /// Where a tail is rarer than the scores can tell, it is put beyond all of them and never
    /// drawn in.
    pub fn fit(scores: &[Score]) -> Self {
        let usable: Vec<Score> = scores.iter().copied().filter(is_usable).collect();
        let mut by_class: BTreeMap<Class, Vec<Score>> = BTreeMap::new();
        for score in &usable {
            by_class.entry(score.class).or_default().push(*score);
        }
        by_class.retain(|_, of_class| of_class.len() >= CLASS_SCORES_MIN);
        let pooled = Shifts::fit(&usable);
        let of_class = |of_class: Vec<Score>| Shifts::fit(&of_class).with_outer_of(&pooled);
        Self { pooled, classes: by_class.into_iter().map(|(c, s)| (c, of_class(s))).collect() }
    }

    /// Scores that the bands of `class` rest on: its own, or all where it has too few.
    pub fn scores(&self, class: Class) -> usize {
        self.shifts(class).scores
    }

    /// `predicted` with tails as rare as they claim to be. Values that are not finite or not
    /// above 0 are returned as they came.
    #[must_use]
    pub fn apply(&self, class: Class, predicted: Quantiles<f64>) -> Quantiles<f64> {
        if !predicted.to_array().iter().all(|value| value.is_finite() && *value > 0.0) {
            return predicted;
        }
        let [l025, l05, l25, u75, u95, u975] = self.shifts(class).outward;
        let middle = predicted.p50;
        // From the median outwards: no quantile may lie nearer to it than the one before.
        let p25 = (predicted.p25 * (-l25).exp()).min(middle);
        let p05 = (predicted.p05 * (-l05).exp()).min(p25);
        let p025 = (predicted.p025 * (-l025).exp()).min(p05);
        let p75 = (predicted.p75 * u75.exp()).max(middle);
        let p95 = (predicted.p95 * u95.exp()).max(p75);
        let p975 = (predicted.p975 * u975.exp()).max(p95);
        Quantiles { p025, p05, p25, p50: middle, p75, p95, p975 }
    }

    fn shifts(&self, class: Class) -> &Shifts {
        self.classes.get(&class).unwrap_or(&self.pooled)
    }
}

impl Shifts {
    fn fit(scores: &[Score]) -> Self {
        let mut outward = [0.0; 6];
        let tails = QUANTILE_LEVELS.iter().enumerate().filter(|(index, _)| *index != 3);
        for (shift, (index, level)) in outward.iter_mut().zip(tails) {
            let lower = index < 3;
            let claimed = if lower { 1.0 - level } else { *level };
            let distances: Vec<(f64, f64)> = scores
                .iter()
                .filter_map(|score| {
                    let off = (score.actual / score.predicted.to_array().get(index)?).ln();
                    Some((if lower { -off } else { off }, score.weight))
                })
                .collect();
            *shift = shift_for(distances, claimed);
        }
        let mut learnt = Self { scores: scores.len(), outward };
        if scores.len() < OUTER_SCORES_MIN {
            learnt.outer_at_least_of_inner();
        }
        learnt
    }

    /// The outer tails of `pooled` where these scores are too few for outer tails of their own.
    fn with_outer_of(mut self, pooled: &Self) -> Self {
        if self.scores < OUTER_SCORES_MIN && pooled.scores >= OUTER_SCORES_MIN {
            self.outward[0] = self.outward[0].max(pooled.outward[0]);
            self.outward[5] = self.outward[5].max(pooled.outward[5]);
        }
        self
    }

    /// Moves the tails of 2.5 % out at least as far as those of 5 %.
    fn outer_at_least_of_inner(&mut self) {
        let [l025, l05, _, _, u95, u975] = &mut self.outward;
        *l025 = l025.max(*l05);
        *u975 = u975.max(*u95);
    }
}

/// The least distance that `level` of the weight lies within, one more score of weight 1 beyond
/// all others counted in (the finite-sample step); with equal weights, the ⌈level (n + 1)⌉-th
/// smallest. Where that is the one beyond: the greatest distance, if it is outward.
fn shift_for(mut distances: Vec<(f64, f64)>, level: f64) -> f64 {
    distances.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    let total: f64 = distances.iter().map(|(_, weight)| weight).sum::<f64>() + 1.0;
    // Sums of weights are compared with a tolerance: 0.95 x 20 is 19, not a little more.
    let wanted = level * total - 1e-9;
    let mut within = 0.0;
    let reached = distances.iter().find(|(_, weight)| {
        within += weight;
        within >= wanted
    });
    let beyond_all = || distances.last().map_or(0.0, |(greatest, _)| greatest.max(0.0));
    reached.map_or_else(beyond_all, |(distance, _)| *distance).clamp(-SHIFT_MAX, SHIFT_MAX)
}

fn is_usable(score: &Score) -> bool {
    let good = |value: f64| value.is_finite() && value > 0.0;
    let weighted = score.weight > 0.0 && score.weight <= 1.0;
    weighted && good(score.actual) && score.predicted.to_array().into_iter().all(good)
}
