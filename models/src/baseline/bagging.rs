//! Support-vector regressors on samples of the past, and the mean of what they say.

use linfa::{Dataset, traits::Fit, traits::Predict};
use linfa_svm::Svm;
use ndarray::{Array1, Array2};

use super::features::FEATURES;
use crate::{curve::draws::Draws, quantile::median};

/// Bags of each regressor.
const BAGS: usize = 10;

/// Error that costs nothing, of standardised targets.
const TUBE: f64 = 0.05;

/// The solver stops at this violation of optimality.
const TOLERANCE: f64 = 1e-3;

/// Rows below which nothing is regressed.
const ROWS_MIN: usize = 10;

/// Most rows that a choice of the shape looks at, and the parts in which it tries each.
const CHOICE_ROWS: usize = 400;
const CHOICE_PARTS: usize = 3;

/// Features of one migration.
pub(super) type Features = [f64; FEATURES];

/// What is regressed, row by row.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    pub(super) features: Vec<Features>,
    pub(super) targets: Vec<f64>,
    /// Rows of one group are never on both sides of a choice.
    pub(super) groups: Vec<usize>,
}

/// What a regressor may bend to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Shape {
    /// Price of an error beyond the tube, of standardised targets.
    penalty: f64,
    /// Width of the kernel, in median squared distances between rows.
    width: f64,
}

impl Default for Shape {
    fn default() -> Self {
        Self { penalty: 10.0, width: 2.0 }
    }
}

/// Shapes that are tried.
const PENALTIES: [f64; 3] = [1.0, 10.0, 100.0];
const WIDTHS: [f64; 4] = [0.5, 2.0, 8.0, 32.0];

/// The mean of regressors that saw different samples.
#[derive(Debug)]
pub(super) struct Bagged {
    scaling: Scaling,
    target: (f64, f64),
    bags: Vec<Svm<f64, f64>>,
    /// Ends of the targets that were seen: a kernel machine says nothing beyond them.
    ends: (f64, f64),
}

/// Mean and deviation of each feature.
#[derive(Debug)]
struct Scaling([(f64, f64); FEATURES]);

impl Rows {
    /// The rows that `keep` says, by their place.
    fn only(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut kept = Self::default();
        let rows = self.features.iter().zip(&self.targets).zip(&self.groups).enumerate();
        for (_, ((features, target), group)) in rows.filter(|(at, _)| keep(*at)) {
            kept.features.push(*features);
            kept.targets.push(*target);
            kept.groups.push(*group);
        }
        kept
    }
}

impl Shape {
    /// The one that errs least on groups that it has not seen, each tried with one bag.
    pub(super) fn choose(rows: &Rows, draws: &mut Draws) -> Self {
        let step = rows.features.len().div_ceil(CHOICE_ROWS).max(1);
        let some = rows.only(|at| at % step == 0);
        let part_of = |rows: &Rows, at: usize| rows.groups.get(at).map(|g| g % CHOICE_PARTS);
        let mut best = (f64::INFINITY, Self::default());
        for penalty in PENALTIES {
            for width in WIDTHS {
                let shape = Self { penalty, width };
                let mut errors = Vec::new();
                for part in 0..CHOICE_PARTS {
                    let teach = some.only(|at| part_of(&some, at) != Some(part));
                    let Some(model) = Bagged::learn(&teach, shape, 1, draws) else { continue };
                    let judged = some.only(|at| part_of(&some, at) == Some(part));
                    let rows = judged.features.iter().zip(&judged.targets);
                    errors.extend(rows.map(|(row, target)| (model.at(row) - target).abs()));
                }
                let mean = errors.iter().sum::<f64>() / errors.len().max(1) as f64;
                if !errors.is_empty() && mean < best.0 {
                    best = (mean, shape);
                }
            }
        }
        best.1
    }
}

impl Bagged {
    /// Ten bags of `rows`; `None` of too few.
    pub(super) fn of(rows: &Rows, shape: Shape, draws: &mut Draws) -> Option<Self> {
        Self::learn(rows, shape, BAGS, draws)
    }

    fn learn(rows: &Rows, shape: Shape, bags: usize, draws: &mut Draws) -> Option<Self> {
        let count = rows.features.len();
        if count < ROWS_MIN {
            return None;
        }
        let scaling = Scaling::of(&rows.features);
        let scaled: Vec<Features> = rows.features.iter().map(|row| scaling.apply(row)).collect();
        let target = mean_and_deviation(rows.targets.iter().copied());
        let targets: Vec<f64> = rows.targets.iter().map(|t| (t - target.0) / target.1).collect();
        let width = shape.width * kernel_width(&scaled);
        let bags: Vec<_> = (0..bags)
            .filter_map(|_| {
                let drawn: Vec<usize> =
                    (0..count).map(|_| (draws.uniform() * count as f64) as usize).collect();
                fit(&scaled, &targets, &drawn, (shape.penalty, width))
            })
            .collect();
        let ends = rows
            .targets
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), t| (l.min(*t), h.max(*t)));
        (!bags.is_empty()).then_some(Self { scaling, target, bags, ends })
    }

    /// The mean of the bags at `row`.
    pub(super) fn at(&self, row: &Features) -> f64 {
        let row = Array1::from_vec(self.scaling.apply(row).to_vec());
        let sum: f64 = self.bags.iter().map(|bag| -> f64 { bag.predict(row.view()) }).sum();
        let value = self.target.0 + self.target.1 * sum / self.bags.len().max(1) as f64;
        value.clamp(self.ends.0, self.ends.1)
    }
}

impl Scaling {
    fn of(rows: &[Features]) -> Self {
        Self(std::array::from_fn(|column| {
            mean_and_deviation(rows.iter().filter_map(|row| row.get(column).copied()))
        }))
    }

    fn apply(&self, row: &Features) -> Features {
        let mut scaled = *row;
        for (value, (mean, deviation)) in scaled.iter_mut().zip(self.0) {
            *value = (*value - mean) / deviation;
        }
        scaled
    }
}

/// Deviation 1 of what does not vary: constant columns stay 0.
fn mean_and_deviation(values: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let count = values.clone().count().max(1) as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|v| (v - mean).powi(2)).sum::<f64>() / count;
    (mean, if variance > 1e-12 { variance.sqrt() } else { 1.0 })
}

/// Median squared distance between rows.
fn kernel_width(rows: &[Features]) -> f64 {
    let step = (rows.len() / 60).max(1);
    let some: Vec<_> = rows.iter().step_by(step).collect();
    let distance =
        |a: &Features, b: &Features| -> f64 { a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum() };
    let pairs = some.iter().enumerate();
    let all: Vec<f64> =
        pairs.flat_map(|(k, a)| some.iter().skip(k + 1).map(|b| distance(a, b))).collect();
    median(&all).filter(|width| *width > 1e-6).unwrap_or(FEATURES as f64)
}

/// One regressor on the `drawn` rows; `None` where the solver gives up.
fn fit(
    rows: &[Features],
    targets: &[f64],
    drawn: &[usize],
    (penalty, width): (f64, f64),
) -> Option<Svm<f64, f64>> {
    let flat: Vec<f64> =
        drawn.iter().filter_map(|k| rows.get(*k)).flat_map(|row| row.iter().copied()).collect();
    let chosen: Vec<f64> = drawn.iter().filter_map(|k| targets.get(*k).copied()).collect();
    let records = Array2::from_shape_vec((chosen.len(), FEATURES), flat).ok()?;
    let dataset = Dataset::new(records, Array1::from_vec(chosen));
    Svm::<f64, f64>::params()
        .c_svr(penalty, Some(TUBE))
        .eps(TOLERANCE)
        .gaussian_kernel(width)
        .fit(&dataset)
        .ok()
}
