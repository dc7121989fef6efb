//! The mixture of classes of memory that explains points of U(t).
//!
//! A non-negative least-squares mixture over a fixed grid of periods, each point weighed by its
//! standard error. First the few classes are found that explain the points almost as well as any
//! number would: a mixture that follows noise is always too steep at short windows, for noise
//! bends a concave curve only one way. Then the neighbours of those in the grid may share, so
//! that a period between two of the grid is met. Where no window reaches, the grid is
//! undetermined; there, faint supporting points continue the curve by a power law (measured
//! guests follow U ~ t^0.7 to t^1).
//!
//! Never decides how sure the points are.

use whimbrel_core::units::Bytes;

use super::{
    Access, Class,
    nnls::{Columns, Observed, dot},
    points::Point,
    readings::RATE_STEP_BYTES_PER_SECOND,
    touched,
};

/// Supporting points stand off the shortest and the longest window by powers of this factor.
const SUPPORT_FACTOR: f64 = 4.0;

/// Which powers: below 0 off the shortest window, above 0 off the longest.
const SUPPORT_POWERS: [i32; SUPPORTS] = [-2, -1, 1, 2, 3];
const SUPPORTS: usize = 5;

/// Relative standard errors of the supporting points, in their order: faint, so that any point
/// outweighs them.
const SUPPORT_ERRORS: [f64; SUPPORTS] = [1.2, 0.6, 0.6, 1.2, 2.4];

/// Squared standard errors by which a fit with few classes may be worse than the best one: what
/// one more parameter must gain (Akaike, 1974).
const PARSIMONY: f64 = 2.0;

/// Slowest period of a sweep in the grid, in seconds; the others follow down, four an octave.
const SWEEP_SLOWEST_SECONDS: f64 = 2048.0;
const SWEEPS_AN_OCTAVE: i32 = 4;
const SWEEPS: i32 = 53;

/// Slowest period of a random class in the grid, in seconds, and the ratio to the next.
const RANDOM_SLOWEST_SECONDS: f64 = 1024.0;
const RANDOM_RATIO: f64 = 4.0;
const RANDOMS: i32 = 8;

/// Places beside a class of the most likely mixture where others may have theirs.
const SUPPORT_WIDTH: usize = 2;

/// How U goes on where no window reaches: exponents of power laws, each 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Exponents {
    /// Below the shortest window.
    pub(super) short: f64,
    /// Beyond the longest.
    pub(super) long: f64,
}

/// Windows and errors made ready for fitting, once and again with other values.
#[derive(Debug, Clone)]
pub(super) struct Mixture<'a> {
    points: &'a [Point],
    memory: Bytes,
    /// Standard errors of the points, then of the supporting points.
    errors: Vec<f64>,
    grid: Vec<(Access, f64)>,
    /// Unit columns, one for each class of the grid, and their lengths before.
    columns: Columns,
    lengths: Vec<f64>,
}

impl<'a> Mixture<'a> {
    /// Of `points`, which are by growing window and not empty.
    pub(super) fn new(points: &'a [Point], exponents: Exponents, memory: Bytes) -> Self {
        let mut windows: Vec<f64> = points.iter().map(|p| p.window_seconds).collect();
        let mut errors: Vec<f64> = points.iter().map(|p| p.error_bytes).collect();
        let first = points.first().map_or(0.0, |p| p.unique_bytes);
        let last = points.last().map_or(0.0, |p| p.unique_bytes);
        let supports = supports(first, last, exponents, memory);
        let windows_and_values = support_windows(points).into_iter().zip(supports);
        for ((window, value), relative) in windows_and_values.zip(SUPPORT_ERRORS) {
            windows.push(window);
            // A still guest has supporting points at 0; they may not weigh without bound.
            errors.push((value * relative).max(RATE_STEP_BYTES_PER_SECOND * window));
        }
        let grid: Vec<(Access, f64)> = grid().collect();
        let (columns, lengths) = unit_columns(&grid, &windows, &errors);
        Self { points, memory, errors, grid, columns: Columns::new(columns), lengths }
    }

    /// The classes that explain `values` at the points' windows.
    pub(super) fn through(&self, values: Vec<f64>, exponents: Exponents) -> Vec<Class> {
        let observed = self.observe(values, exponents);
        let near = widened(&self.called_for(&observed), 1);
        self.solve(&observed, &near)
    }

    /// Classes near those that explain `values`, for [`Mixture::within`].
    pub(super) fn support(&self, values: Vec<f64>, exponents: Exponents) -> Vec<bool> {
        widened(&self.called_for(&self.observe(values, exponents)), SUPPORT_WIDTH)
    }

    /// The classes among `support` that explain `values`: quicker than a search among all, for
    /// values near those of the support.
    pub(super) fn within(
        &self,
        support: &[bool],
        values: Vec<f64>,
        exponents: Exponents,
    ) -> Vec<Class> {
        self.solve(&self.observe(values, exponents), support)
    }

    /// `values` and the supporting points beside them as the columns see them.
    fn observe(&self, mut values: Vec<f64>, exponents: Exponents) -> Observed {
        let first = values.first().copied().unwrap_or(0.0);
        let last = values.last().copied().unwrap_or(0.0);
        values.truncate(self.points.len());
        values.extend(supports(first, last, exponents, self.memory));
        for (value, error) in values.iter_mut().zip(&self.errors) {
            *value /= error;
        }
        self.columns.observe(&values)
    }

    fn solve(&self, observed: &Observed, near: &[bool]) -> Vec<Class> {
        let weights =
            self.columns.solve(observed, 0.0, |column| near.get(column).is_some_and(|near| *near));
        weights
            .iter()
            .zip(self.grid.iter().zip(&self.lengths))
            .filter(|(weight, _)| **weight > 0.0)
            .map(|(weight, ((access, period_seconds), length))| Class {
                size_bytes: weight / length,
                period_seconds: *period_seconds,
                access: *access,
            })
            .collect()
    }

    /// The few classes that explain `values` almost as well as any number would. Sweeps, that is
    /// straight lines, unless random classes are needed for it.
    fn called_for(&self, observed: &Observed) -> Vec<f64> {
        let best = self.columns.solve(observed, 0.0, |_| true);
        let enough = self.columns.misfit(observed, &best) + PARSIMONY;
        let sweeps = self.columns.solve(observed, enough, |column| column < SWEEPS as usize);
        if self.columns.misfit(observed, &sweeps) <= enough {
            return sweeps;
        }
        self.columns.solve(observed, enough, |_| true)
    }
}

/// The classes that a fit may use. Slow ones first: where the points cannot tell, the curve
/// goes on rising, and sweeps before random ones, which agree with a constant rate.
fn grid() -> impl Iterator<Item = (Access, f64)> {
    let octaves = |k: i32| -f64::from(k) / f64::from(SWEEPS_AN_OCTAVE);
    let sweeps =
        (0..SWEEPS).map(move |k| (Access::Sweep, SWEEP_SLOWEST_SECONDS * octaves(k).exp2()));
    let randoms =
        (0..RANDOMS).map(|k| (Access::Random, RANDOM_SLOWEST_SECONDS * RANDOM_RATIO.powi(-k)));
    sweeps.chain(randoms)
}

/// The columns with weight and those up to `by` places beside them that have the same access.
fn widened(weights: &[f64], by: usize) -> Vec<bool> {
    let border = SWEEPS as usize;
    let has = |near: usize| weights.get(near).is_some_and(|weight| *weight > 0.0);
    (0..weights.len())
        .map(|column| {
            (column.saturating_sub(by)..=column + by)
                .any(|near| (near < border) == (column < border) && has(near))
        })
        .collect()
}

/// The grid's curves at `windows` in units of `errors`, scaled to unit length.
fn unit_columns(
    grid: &[(Access, f64)],
    windows: &[f64],
    errors: &[f64],
) -> (Vec<Vec<f64>>, Vec<f64>) {
    grid.iter()
        .map(|(access, period)| {
            let mut column: Vec<f64> =
                windows.iter().zip(errors).map(|(t, e)| touched(*access, t / period) / e).collect();
            let length = dot(&column, &column).sqrt().max(f64::MIN_POSITIVE);
            for cell in &mut column {
                *cell /= length;
            }
            (column, length)
        })
        .unzip()
}

/// Where the supporting points are, in seconds.
fn support_windows(points: &[Point]) -> [f64; SUPPORTS] {
    let short = points.first().map_or(1.0, |p| p.window_seconds);
    let long = points.last().map_or(1.0, |p| p.window_seconds);
    SUPPORT_POWERS.map(|k| if k < 0 { short } else { long } * SUPPORT_FACTOR.powi(k))
}

/// Values at the support windows when U goes on from `first` and `last`, up to all of `memory`.
fn supports(first: f64, last: f64, exponents: Exponents, memory: Bytes) -> [f64; SUPPORTS] {
    SUPPORT_POWERS.map(|k| {
        let (start, exponent) =
            if k < 0 { (first, exponents.short) } else { (last, exponents.long) };
        (start * SUPPORT_FACTOR.powf(f64::from(k) * exponent)).min(memory.as_f64())
    })
}
