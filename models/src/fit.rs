//! From dirty readings to a unique-dirty curve, with the uncertainty of both.
//!
//! The curve is a non-negative least-squares mixture over a fixed grid of periods, each reading
//! weighed by its standard error. First the few classes are found that explain the readings
//! almost as well as any number would: a mixture that follows noise is always too steep at short windows, for
//! noise bends a concave curve only one way. Then the neighbours of those in the grid may share,
//! so that a period between two of the grid is met. Where no window reaches, the grid is
//! undetermined; there, faint supporting points continue the curve by a power law (measured
//! guests follow U ~ t^0.7 to t^1), and draws vary its exponent.
//!
//! Never invents a level: without readings there is no fit but [`FitError::NoReadings`].

use thiserror::Error;
use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, Span, Timestamp},
};

use self::points::{Point, RATE_STEP_BYTES_PER_SECOND, merged};

use crate::{
    curve::{Access, Class, DirtyCurve, touched},
    draw::Draws,
    nnls::{Columns, Observed, dot},
};

mod points;

pub use points::SAMPLE_STANDS_FOR;

/// Supporting points stand off the shortest and the longest window by powers of this factor.
const SUPPORT_FACTOR: f64 = 4.0;

/// Which powers: below 0 off the shortest window, above 0 off the longest.
const SUPPORT_POWERS: [i32; SUPPORTS] = [-2, -1, 1, 2, 3];
const SUPPORTS: usize = 5;

/// Relative standard errors of the supporting points, in their order: faint, so that any reading
/// outweighs them.
const SUPPORT_ERRORS: [f64; SUPPORTS] = [1.2, 0.6, 0.6, 1.2, 2.4];

/// Exponent below the shortest window, where a constant rate is the simplest assumption, and the
/// spread of the draws, which all go down from there: U is concave.
const SHORT_EXPONENT: (f64, f64) = (1.0, 0.06);

/// Exponent beyond the longest window when a single window gives no trend; its deviation.
const LONG_EXPONENT: (f64, f64) = (0.9, 0.15);

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

/// Why readings give no curve.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FitError {
    /// There are none.
    #[error("no dirty reading (hint: let the collector measure windows of 1, 2, 4 and 8 s)")]
    NoReadings,
    /// A window without length.
    #[error("a dirty reading has a window of 0 s (hint: measure at least 1 ms)")]
    EmptyWindow,
    /// More dirty than there is.
    #[error(
        "{unique} dirtied within {window}, but the domain has {memory} \
         (hint: was its balloon changed? measure again)"
    )]
    MoreThanMemory {
        /// What the reading says.
        unique: Bytes,
        /// Its window.
        window: Span,
        /// The domain's memory.
        memory: Bytes,
    },
}

/// Readings made ready for fitting, once and again with other values.
#[derive(Debug, Clone)]
pub struct CurveFit {
    /// By growing window; never empty.
    points: Vec<Point>,
    /// Standard errors of the points, then of the supporting points.
    errors: Vec<f64>,
    /// The classes that the curve may have.
    grid: Vec<(Access, f64)>,
    /// Unit columns, one for each class of the grid, and their lengths before.
    columns: Columns,
    lengths: Vec<f64>,
    /// The points on the most likely curve without a ceiling: what draws start from.
    smooth: Vec<f64>,
    /// Exponent beyond the longest window.
    long_exponent: f64,
    memory: Bytes,
    newest: Timestamp,
}

impl CurveFit {
    /// Reads `readings` of a domain with `memory`.
    ///
    /// # Errors
    /// [`FitError`] when there are none or when they are impossible.
    pub fn new(readings: &[DirtyReading], memory: Bytes) -> Result<Self, FitError> {
        let points = merged(readings, memory)?;
        let newest = readings.iter().map(|r| r.measured_at).max().unwrap_or_default();
        let long_exponent = long_exponent(&points);
        let supports = supports(&points, SHORT_EXPONENT.0, long_exponent, memory);
        let mut windows: Vec<f64> = points.iter().map(|p| p.window_seconds).collect();
        let mut errors: Vec<f64> = points.iter().map(|p| p.error_bytes).collect();
        let windows_and_values = support_windows(&points).into_iter().zip(supports);
        for ((window, value), relative) in windows_and_values.zip(SUPPORT_ERRORS) {
            windows.push(window);
            // A still guest has supporting points at 0; they may not weigh without bound.
            errors.push((value * relative).max(RATE_STEP_BYTES_PER_SECOND * window));
        }
        let grid: Vec<(Access, f64)> = grid().collect();
        let (columns, lengths) = unit_columns(&grid, &windows, &errors);
        let columns = Columns::new(columns);
        let mut fit = Self {
            points,
            errors,
            grid,
            columns,
            lengths,
            smooth: Vec::new(),
            long_exponent,
            memory,
            newest,
        };
        let free = fit.curve(Bytes::new(u64::MAX));
        fit.smooth = fit.points.iter().map(|p| free.unique_bytes(p.window_seconds)).collect();
        Ok(fit)
    }

    /// The most likely curve under `ceiling`.
    pub fn curve(&self, ceiling: Bytes) -> DirtyCurve {
        let values: Vec<f64> = self.points.iter().map(|p| p.unique_bytes).collect();
        self.curve_through(values, SHORT_EXPONENT.0, self.long_exponent, ceiling)
    }

    /// One curve that the readings allow as well: their errors and the exponents are drawn, and
    /// the whole is scaled by `level`.
    pub(crate) fn draw(&self, draws: &mut Draws, level: f64, ceiling: Bytes) -> DirtyCurve {
        let values = self
            .points
            .iter()
            .zip(&self.smooth)
            .map(|(p, smooth)| (level * (smooth + p.error_bytes * draws.normal())).max(0.0))
            .collect();
        let short = SHORT_EXPONENT.0 - SHORT_EXPONENT.1 * draws.normal().abs();
        let long = (self.long_exponent + LONG_EXPONENT.1 * draws.normal()).clamp(0.0, 1.0);
        self.curve_through(values, short, long, ceiling)
    }

    /// When the newest reading was taken.
    pub fn newest(&self) -> Timestamp {
        self.newest
    }

    /// The shortest and the longest window that was read, in seconds.
    pub(crate) fn reach_seconds(&self) -> (f64, f64) {
        let at = |p: Option<&Point>| p.map_or(0.0, |p| p.window_seconds);
        (at(self.points.first()), at(self.points.last()))
    }

    fn curve_through(
        &self,
        mut values: Vec<f64>,
        short: f64,
        long: f64,
        ceiling: Bytes,
    ) -> DirtyCurve {
        let shifted: Vec<Point> = self
            .points
            .iter()
            .zip(&values)
            .map(|(p, value)| Point { unique_bytes: *value, ..*p })
            .collect();
        values.extend(supports(&shifted, short, long, self.memory));
        for (value, error) in values.iter_mut().zip(&self.errors) {
            *value /= error;
        }
        let observed = self.columns.observe(&values);
        let called_for = self.called_for(&observed);
        let near: Vec<bool> = (0..called_for.len())
            .map(|column| neighbours(column).any(|n| called_for.get(n).is_some_and(|w| *w > 0.0)))
            .collect();
        let weights = self.columns.solve(&observed, 0.0, |column| near[column]);
        let classes = weights
            .iter()
            .zip(self.grid.iter().zip(&self.lengths))
            .filter(|(weight, _)| **weight > 0.0)
            .map(|(weight, ((access, period_seconds), length))| Class {
                size_bytes: weight / length,
                period_seconds: *period_seconds,
                access: *access,
            })
            .collect();
        DirtyCurve::bounded(classes, ceiling)
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

/// The classes that a fit may use. Slow ones first: where the readings cannot tell, the curve
/// goes on rising, and sweeps before random ones, which agree with a constant rate.
fn grid() -> impl Iterator<Item = (Access, f64)> {
    let octaves = |k: i32| -f64::from(k) / f64::from(SWEEPS_AN_OCTAVE);
    let sweeps =
        (0..SWEEPS).map(move |k| (Access::Sweep, SWEEP_SLOWEST_SECONDS * octaves(k).exp2()));
    let randoms =
        (0..RANDOMS).map(|k| (Access::Random, RANDOM_SLOWEST_SECONDS * RANDOM_RATIO.powi(-k)));
    sweeps.chain(randoms)
}

/// The place of `column` in the grid and two to either side with the same access.
fn neighbours(column: usize) -> impl Iterator<Item = usize> {
    let border = SWEEPS as usize;
    (column.saturating_sub(1)..=column + 1)
        .filter(move |near| (*near < border) == (column < border))
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
            let length = dot(&column, &column).sqrt();
            for cell in &mut column {
                *cell /= length;
            }
            (column, length)
        })
        .unzip()
}

/// The exponent with which U goes on beyond its longest windows. The one between the last two,
/// squared: a curve that has begun to bend bends on.
fn long_exponent(points: &[Point]) -> f64 {
    match points {
        [.., a, b] if a.unique_bytes > 0.0 && b.unique_bytes > 0.0 => {
            let growth = (b.unique_bytes / a.unique_bytes).ln();
            (growth / (b.window_seconds / a.window_seconds).ln()).clamp(0.0, 1.0).powi(2)
        }
        _ => LONG_EXPONENT.0,
    }
}

/// Where the supporting points are, in seconds.
fn support_windows(points: &[Point]) -> [f64; SUPPORTS] {
    let short = points.first().map_or(1.0, |p| p.window_seconds);
    let long = points.last().map_or(1.0, |p| p.window_seconds);
    SUPPORT_POWERS.map(|k| if k < 0 { short } else { long } * SUPPORT_FACTOR.powi(k))
}

/// Values at the support windows when U goes on with these exponents, up to all of `memory`.
fn supports(points: &[Point], short: f64, long: f64, memory: Bytes) -> [f64; SUPPORTS] {
    let first = points.first().map_or(0.0, |p| p.unique_bytes);
    let last = points.last().map_or(0.0, |p| p.unique_bytes);
    SUPPORT_POWERS.map(|k| {
        let (start, exponent) = if k < 0 { (first, short) } else { (last, long) };
        (start * SUPPORT_FACTOR.powf(f64::from(k) * exponent)).min(memory.as_f64())
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MEMORY: Bytes = Bytes::mib(64 * 1024);

    fn reading(window_seconds: u64, unique: Bytes) -> DirtyReading {
        let window = Span::from_seconds(window_seconds);
        DirtyReading { window, unique, measured_at: Timestamp::default() }
    }

    fn read_from(curve: &DirtyCurve) -> Vec<DirtyReading> {
        [1, 2, 4, 8, 16, 32]
            .map(|seconds| reading(seconds, curve.unique(Span::from_seconds(seconds))))
            .to_vec()
    }

    #[test]
    fn a_sweep_is_found_again() {
        let truth =
            DirtyCurve::sweep(whimbrel_core::units::BytesPerSecond::mib(500), Bytes::mib(5000));
        let found = CurveFit::new(&read_from(&truth), MEMORY).unwrap().curve(MEMORY);
        for millis in [100, 500, 3000, 7000, 16_000, 100_000] {
            let span = Span::from_millis(millis);
            let ratio = found.unique(span).as_f64() / truth.unique(span).as_f64();
            assert!((0.9..1.1).contains(&ratio), "{ratio} at {span}");
        }
    }

    #[test]
    fn one_window_goes_on_rising_to_the_ceiling() {
        let fit = CurveFit::new(&[reading(1, Bytes::mib(100))], MEMORY).unwrap();
        let curve = fit.curve(Bytes::mib(4096));
        let at = |seconds| curve.unique(Span::from_seconds(seconds)).as_f64() / 1_048_576.0;
        assert!((95.0..105.0).contains(&at(1)), "{}", at(1));
        assert!((700.0..1050.0).contains(&at(10)), "{}", at(10));
        assert!((2000.0..4096.1).contains(&at(60)), "{}", at(60));
    }

    #[test]
    fn draws_scatter_about_the_curve_as_the_errors_say() {
        let readings: Vec<_> = [1, 2, 4].map(|s| reading(s, Bytes::mib(400 * s))).to_vec();
        let fit = CurveFit::new(&readings, MEMORY).unwrap();
        let mut draws = Draws::new(1);
        let mut at_2: Vec<f64> = (0..400)
            .map(|_| fit.draw(&mut draws, 1.0, MEMORY).unique_bytes(2.0) / 1_048_576.0)
            .collect();
        at_2.sort_by(f64::total_cmp);
        // One reading of 800 MiB has an error of 40 MiB; three windows together a little less.
        assert!((770.0..830.0).contains(&at_2[200]), "{}", at_2[200]);
        let spread = (at_2[336] - at_2[64]) / 2.0;
        assert!((15.0..45.0).contains(&spread), "{spread}");
    }

    proptest! {
        /// A mixture is reproduced within three standard errors of its readings (no closer on
        /// purpose, for what is closer is noise) or within 6 %, where several sweeps end between
        /// the periods that the fit knows.
        #[test]
        fn mixtures_are_reproduced_at_their_readings(
            sizes in prop::collection::vec(1e8..2e10f64, 1..4),
            periods in prop::collection::vec(0.2..100.0f64, 3),
            random in any::<bool>(),
        ) {
            let access = if random { Access::Random } else { Access::Sweep };
            let classes = sizes
                .iter()
                .zip(&periods)
                .map(|(s, p)| Class { size_bytes: *s, period_seconds: *p, access })
                .collect();
            let truth = DirtyCurve::bounded(classes, MEMORY);
            let readings = read_from(&truth);
            let found = CurveFit::new(&readings, MEMORY).unwrap().curve(MEMORY);
            let points = merged(&readings, MEMORY).unwrap();
            for point in points {
                let off = found.unique_bytes(point.window_seconds) - point.unique_bytes;
                let allowed = (3.0 * point.error_bytes).max(0.06 * point.unique_bytes);
                prop_assert!(off.abs() < allowed, "{off} at {point:?}");
            }
        }

        #[test]
        fn any_readings_give_a_bounded_rising_curve_or_a_refusal(
            raw in prop::collection::vec((0u64..100_000, 0u64..1 << 37), 0..8),
            seed in any::<u64>(),
        ) {
            let readings: Vec<_> = raw
                .iter()
                .map(|(millis, bytes)| DirtyReading {
                    window: Span::from_millis(*millis),
                    unique: Bytes::new(*bytes),
                    measured_at: Timestamp::default(),
                })
                .collect();
            if let Ok(fit) = CurveFit::new(&readings, MEMORY) {
                for curve in [fit.curve(MEMORY), fit.draw(&mut Draws::new(seed), 1.3, MEMORY)] {
                    let values: Vec<f64> =
                        (0..40).map(|k| curve.unique_bytes(f64::from(k) * 0.7)).collect();
                    prop_assert!(values.is_sorted());
                    prop_assert!(values.iter().all(|v| *v <= MEMORY.as_f64() * (1.0 + 1e-9)));
                }
            }
        }
    }
}
