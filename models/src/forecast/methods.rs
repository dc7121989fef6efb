//! The methods: from what is known up to a moment to a curve beyond it.
//!
//! Each method answers or does not apply; which is best is for the back-test to say. None states
//! a band here, and none looks past the points that it is given.

use std::collections::BTreeMap;

use augurs::{Fit as _, Predict as _, ets::AutoETS, mstl::MSTLModel};
use serde::{Deserialize, Serialize};

use super::{
    profile::Profile,
    seasons::seasons,
    series::{Point, bridged, grid},
    wave::Wave,
};

/// Cells of history that grid methods use, the newest.
const CELLS_MAX: usize = 2048;

/// Cells that exponential smoothing is fitted to: what is older has no weight left.
const ETS_CELLS_MAX: usize = 512;

/// Cells that exponential smoothing needs.
const ETS_CELLS_MIN: usize = 12;

/// Smoothing factors that are tried for the plain average.
const ALPHAS: [f64; 6] = [0.05, 0.1, 0.2, 0.35, 0.55, 0.8];

/// How a series is continued. In order of trust: of two that do equally well, the first is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The mean of what four others say (back to the mean, weighted average, smoothing with and
    /// without seasons): combinations err less than what they combine (Bates and Granger, 1969).
    Combined,
    /// From the last value back to the mean, by the correlation of neighbours (an AR(1) process).
    Reverting,
    /// The mean of all samples.
    Mean,
    /// An exponentially weighted average; its factor is the one that did best one step ahead.
    Ewma,
    /// The last value and the mean change from one to the next.
    Drift,
    /// What was one season ago.
    SeasonalNaive,
    /// Exponential smoothing with error and damped trend chosen by information criterion.
    Ets,
    /// Seasons taken out by local regression, exponential smoothing of the rest (Bandara,
    /// Hyndman, Bergmeir, 2021).
    Mstl,
    /// A few harmonics of a period found in the irregular samples.
    Wave,
    /// Means by phase of that period.
    Profile,
}

impl Method {
    /// All, in order.
    pub const ALL: [Self; 10] = [
        Self::Combined,
        Self::Reverting,
        Self::Mean,
        Self::Ewma,
        Self::Drift,
        Self::SeasonalNaive,
        Self::Ets,
        Self::Mstl,
        Self::Wave,
        Self::Profile,
    ];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Ewma => "weighted average",
            Self::Reverting => "back to the mean",
            Self::Combined => "combined",
            Self::Drift => "last value with drift",
            Self::SeasonalNaive => "one season ago",
            Self::Ets => "exponential smoothing",
            Self::Mstl => "seasons and smoothing",
            Self::Wave => "harmonics",
            Self::Profile => "means by phase",
        }
    }
}

/// A level beyond the last sample.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Curve {
    /// Values one step apart, the first one step ahead; goes on with the last.
    Steps {
        step_seconds: f64,
        values: Vec<f64>,
    },
    Wave(Wave),
    Profile(Profile),
}

impl Curve {
    pub(super) fn flat(value: f64) -> Self {
        Self::Steps { step_seconds: 1.0, values: vec![value] }
    }

    /// Mean over `window_seconds` around `ahead_seconds` after the last sample.
    pub(super) fn mean_at(&self, ahead_seconds: f64, window_seconds: f64) -> f64 {
        match self {
            Self::Wave(wave) => wave.mean_at(ahead_seconds, window_seconds),
            Self::Profile(profile) => profile.mean_at(ahead_seconds, window_seconds),
            Self::Steps { step_seconds, values } => {
                let cell = |at: f64| (at / step_seconds).round().max(1.0) as usize - 1;
                let last = values.len().saturating_sub(1);
                let from = cell(ahead_seconds - window_seconds / 2.0).min(last);
                let to = cell(ahead_seconds + window_seconds / 2.0).clamp(from, last);
                let covered = values.get(from..=to).unwrap_or_default();
                covered.iter().sum::<f64>() / covered.len().max(1) as f64
            }
        }
    }

    /// The period in seconds, where there is one.
    pub(super) fn period_seconds(&self) -> Option<f64> {
        match self {
            Self::Steps { .. } => None,
            Self::Wave(wave) => Some(wave.period_seconds),
            Self::Profile(profile) => Some(profile.period_seconds),
        }
    }
}

/// What is known up to a moment, made ready once for all methods.
pub(super) struct Past<'a> {
    points: &'a [Point],
    /// Regular, without gaps; the last cell is the last point's.
    pub(super) cells: Vec<f64>,
    /// Part of the cells that was measured, 0..=1.
    pub(super) measured: f64,
    step_seconds: f64,
    ahead: usize,
    /// In cells, the clearest first.
    pub(super) seasons: Vec<usize>,
    wave: Option<Wave>,
}

impl<'a> Past<'a> {
    /// `points`, to be continued for `ahead` steps; `period_seconds` where it is known.
    pub(super) fn new(
        points: &'a [Point],
        step_seconds: f64,
        ahead: usize,
        period_seconds: Option<f64>,
    ) -> Self {
        let (cells, measured) = bridged(&grid(points, step_seconds, CELLS_MAX));
        let known = period_seconds.map(|period| (period / step_seconds).round() as usize);
        let seasons = match known.filter(|season| *season >= 2) {
            Some(season) => vec![season],
            None => seasons(&cells, step_seconds),
        };
        let wave = Wave::fit(points, period_seconds);
        Self { points, cells, measured, step_seconds, ahead, seasons, wave }
    }

    /// The curves of all methods that apply.
    pub(super) fn curves(&self) -> BTreeMap<Method, Curve> {
        let mut curves: BTreeMap<Method, Curve> =
            Method::ALL.into_iter().filter_map(|m| Some((m, self.curve(m)?))).collect();
        if let Some(combined) = self.combined(&curves) {
            curves.insert(Method::Combined, combined);
        }
        curves
    }

    /// The curve of `method`; `None` where it does not apply or comes to nothing finite, and for
    /// a combination of others.
    fn curve(&self, method: Method) -> Option<Curve> {
        let values = match method {
            Method::Wave => return self.wave.clone().map(Curve::Wave),
            Method::Profile => {
                let period = self.wave.as_ref()?.period_seconds;
                return Profile::fit(self.points, period).map(Curve::Profile);
            }
            Method::Mean => vec![mean(&self.cells)],
            Method::Combined => return None,
            Method::Ewma => vec![weighted(&self.cells)?],
            Method::Reverting => self.reverting()?,
            Method::Drift => self.drift()?,
            Method::SeasonalNaive => self.season_ago()?,
            Method::Ets => smoothed(tail(&self.cells, ETS_CELLS_MAX), self.ahead)?,
            Method::Mstl => self.without_seasons()?,
        };
        let usable = !values.is_empty() && values.iter().all(|v| v.is_finite());
        usable.then_some(Curve::Steps { step_seconds: self.step_seconds, values })
    }

    fn combined(&self, curves: &BTreeMap<Method, Curve>) -> Option<Curve> {
        let parts: Vec<&Curve> = [Method::Reverting, Method::Ewma, Method::Ets, Method::Mstl]
            .iter()
            .filter_map(|method| curves.get(method))
            .collect();
        let mean = |k: usize| {
            let at = k as f64 * self.step_seconds;
            parts.iter().map(|c| c.mean_at(at, 0.0).max(0.0)).sum::<f64>() / parts.len() as f64
        };
        let values = || (1..=self.ahead).map(mean).collect();
        (parts.len() > 1)
            .then(|| Curve::Steps { step_seconds: self.step_seconds, values: values() })
    }

    fn reverting(&self) -> Option<Vec<f64>> {
        let mean = mean(&self.cells);
        let last = self.cells.last()? - mean;
        let product = |skip: usize| -> f64 {
            let pairs = self.cells.iter().zip(self.cells.iter().skip(skip));
            pairs.map(|(a, b)| (a - mean) * (b - mean)).sum()
        };
        let phi = (product(1) / product(0)).clamp(0.0, 0.999);
        Some((1..=self.ahead).map(|k| mean + last * phi.powf(k as f64)).collect())
    }

    fn drift(&self) -> Option<Vec<f64>> {
        let (first, last) = (self.cells.first()?, self.cells.last()?);
        let slope = (last - first) / (self.cells.len().saturating_sub(1)).max(1) as f64;
        Some((1..=self.ahead).map(|k| last + slope * k as f64).collect())
    }

    fn season_ago(&self) -> Option<Vec<f64>> {
        let season = *self.seasons.first()?;
        let ago = tail(&self.cells, season);
        (ago.len() == season).then(|| ago.iter().copied().cycle().take(self.ahead).collect())
    }

    fn without_seasons(&self) -> Option<Vec<f64>> {
        let seasons: Vec<usize> =
            self.seasons.iter().copied().filter(|s| 2 * s <= self.cells.len()).collect();
        let longest = *seasons.iter().max()?;
        let cells = tail(&self.cells, (8 * longest).max(ETS_CELLS_MAX));
        let scale = scale(cells)?;
        let scaled: Vec<f64> = cells.iter().map(|c| c / scale).collect();
        let model = MSTLModel::new(seasons, level_and_trend()?.into_trend_model());
        let point = model.fit(&scaled).ok()?.predict(self.ahead, None).ok()?.point;
        Some(point.into_iter().map(|p| p * scale).collect())
    }
}

/// Exponential smoothing of `cells`, in units of the largest so that no square overflows.
fn smoothed(cells: &[f64], ahead: usize) -> Option<Vec<f64>> {
    let scale = scale(cells).filter(|_| cells.len() >= ETS_CELLS_MIN)?;
    let scaled: Vec<f64> = cells.iter().map(|c| c / scale).collect();
    let point = level_and_trend()?.fit(&scaled).ok()?.predict(ahead, None).ok()?.point;
    Some(point.into_iter().map(|p| p * scale).collect())
}

/// Additive errors, any trend: multiplicative errors fail at idle guests.
fn level_and_trend() -> Option<AutoETS> {
    AutoETS::new(1, "AZN").ok()
}

/// The largest of `cells`; `None` where all are equal, which exponential smoothing cannot fit.
fn scale(cells: &[f64]) -> Option<f64> {
    let largest = cells.iter().copied().max_by(f64::total_cmp)?;
    let least = cells.iter().copied().min_by(f64::total_cmp)?;
    (largest - least > largest * 1e-9).then_some(largest)
}

fn mean(cells: &[f64]) -> f64 {
    cells.iter().sum::<f64>() / cells.len().max(1) as f64
}

fn tail(cells: &[f64], length: usize) -> &[f64] {
    cells.get(cells.len().saturating_sub(length)..).unwrap_or_default()
}

/// The weighted average whose factor would have done best one step ahead.
fn weighted(cells: &[f64]) -> Option<f64> {
    let (first, rest) = cells.split_first()?;
    ALPHAS
        .into_iter()
        .map(|alpha| {
            rest.iter().fold((*first, 0.0), |(level, misfit), cell| {
                (level + alpha * (cell - level), misfit + (cell - level).powi(2))
            })
        })
        .min_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(level, _)| level)
}
