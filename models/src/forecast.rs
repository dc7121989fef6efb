//! Forecasts with bands: of a guest's dirty level, its CPU load, the free bandwidth of a path.
//!
//! Decides which of several methods continues a series: the one with the least pinball loss over
//! earlier moments of the same series, [`Method`] by [`Method`]; its errors then are the band.
//! Short cycles keep their phase, which is what decides when a migration of a cyclic guest is
//! cheap. Never states a value below 0, never a number where the series says nothing: that is a
//! [`ForecastError`], and thin ground is named in the caveats.

use serde::Serialize;
use thiserror::Error;
use whimbrel_core::{
    predict::Quantiles,
    units::{Span, Timestamp},
};

use self::{
    backtest::{Band, Record, Trial, back_test, chosen, mean},
    methods::{Curve, Past},
};

mod backtest;
pub mod level;
mod methods;
mod profile;
mod seasons;
mod series;
mod wave;

pub use level::LevelHistory;
pub use methods::Method;
pub use series::{SAMPLES_MIN, Sample, Series};

/// Steps of a grid up to the horizon: a step is never finer than the horizon needs.
const STEPS_MAX: f64 = 288.0;

/// Series with fewer samples are called short.
const SHORT: usize = 24;

/// Grids with less of their cells measured are called gappy.
const GAPPY: f64 = 0.8;

/// How much wider a band is beyond what was tested, for each doubling of the time
/// ahead: as the errors of a random walk.
const UNTESTED: f64 = std::f64::consts::SQRT_2;

/// Longest horizon, 31 days: nothing here knows of months.
const HORIZON_MAX: Span = Span::from_seconds(31 * 86_400);

/// Why there is no forecast.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ForecastError {
    /// Nothing to try a method on.
    #[error(
        "{have} usable samples, {dropped} unusable ones left out; a forecast needs {SAMPLES_MIN} \
         (hint: let the collector run longer)"
    )]
    TooFew {
        /// Usable samples.
        have: usize,
        /// Samples that were left out.
        dropped: usize,
    },
    /// No time ahead, or too much.
    #[error("a horizon of {0} is outside 1 ms to 31 d (hint: give hours)")]
    Horizon(Span),
    /// A level is a ratio to a curve that cannot be fitted.
    #[error("no long-term curve: {0}")]
    NoCurve(String),
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outlook {
    /// How far ahead. Range 1 ms..=31 d.
    pub horizon: Span,
    /// The length of the cycle, where it is known; else it is looked for.
    pub period: Option<Span>,
}

/// How a method did in the back-test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MethodLoss {
    /// Which.
    pub method: Method,
    /// Mean pinball loss over the seven quantile levels, in the series' unit; less is better.
    pub loss: f64,
}

/// A forecast of one series.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// The moment as of which it was made.
    pub made_at: Timestamp,
    /// How far ahead it was asked to look.
    pub horizon: Span,
    /// The chosen method.
    pub method: Method,
    /// Losses of every method that applies, the least first; empty where nothing varied.
    pub losses: Vec<MethodLoss>,
    /// The cycle that the chosen method follows.
    pub period: Option<Span>,
    /// Samples behind it.
    pub samples: usize,
    /// What makes it less certain than usual, for people.
    pub caveats: Vec<String>,
    curve: Curve,
    band: Band,
    /// From the newest sample to `made_at`.
    age_seconds: f64,
}

impl Forecast {
    /// Forecasts `series`. The same input gives the same answer.
    ///
    /// # Errors
    /// [`ForecastError::Horizon`].
    pub fn new(series: &Series, outlook: Outlook) -> Result<Self, ForecastError> {
        let mut all = Self::by_method(series, outlook)?;
        Ok(all.swap_remove(0))
    }

    /// Forecasts of `series` by every method that applies, to compare them; the chosen one first,
    /// never none.
    ///
    /// # Errors
    /// [`ForecastError::Horizon`].
    pub fn by_method(series: &Series, outlook: Outlook) -> Result<Vec<Self>, ForecastError> {
        if outlook.horizon < Span::from_millis(1) || outlook.horizon > HORIZON_MAX {
            return Err(ForecastError::Horizon(outlook.horizon));
        }
        let age_seconds = series.points().last().map_or(0.0, |p| -p.seconds);
        let reach = outlook.horizon.as_seconds_f64() + age_seconds;
        let step_seconds = series.gap_seconds().max(reach / STEPS_MAX);
        let period_seconds = outlook.period.map(Span::as_seconds_f64).filter(|p| *p > 0.0);
        let ahead = (reach / step_seconds).ceil().max(1.0) as usize;
        let trial = Trial { step_seconds, ahead, period_seconds };
        let past = Past::new(series.points(), step_seconds, ahead, period_seconds);
        let mut ground = Self::constant(past.cells.last().copied().unwrap_or(0.0), series.now());
        ground.horizon = outlook.horizon;
        ground.age_seconds = age_seconds;
        ground.samples = series.samples();
        ground.caveats = caveats(series, &past, age_seconds, step_seconds);
        let values = || series.points().iter().map(|p| p.value);
        let (least, largest) = (values().fold(f64::MAX, f64::min), values().fold(0.0, f64::max));
        if largest - least <= largest * 1e-9 {
            ground.stay(largest);
            return Ok(vec![ground]);
        }
        Ok(ground.tried(series, &past, trial))
    }

    /// A quantity that is known and stays: a link without a history. No band.
    pub fn constant(value: f64, made_at: Timestamp) -> Self {
        let value = if value.is_finite() { value.max(0.0) } else { 0.0 };
        Self {
            made_at,
            horizon: HORIZON_MAX,
            method: Method::Mean,
            losses: Vec::new(),
            period: None,
            samples: 0,
            caveats: Vec::new(),
            curve: Curve::flat(value),
            band: Band::even([0.0; 7]),
            age_seconds: 0.0,
        }
    }

    /// A series that never changed: of what n samples did not show, 3 / n is the 95 % bound of
    /// the probability ("rule of three", Hanley and Lippman-Hand, 1983).
    fn stay(&mut self, value: f64) {
        let unseen = value * (3.0 / self.samples.max(1) as f64).min(1.0);
        self.curve = Curve::flat(value);
        self.band = Band::even([-unseen, -unseen, 0.0, 0.0, 0.0, unseen, unseen]);
        self.caveats.push("never changed so far: the band is what was not seen".to_owned());
    }

    /// By every method that applies to `series`, the best first.
    fn tried(mut self, series: &Series, past: &Past<'_>, trial: Trial) -> Vec<Self> {
        let mut curves = past.curves();
        let methods: Vec<Method> = curves.keys().copied().collect();
        let records = back_test(series.points(), trial, &methods);
        let by_moment: Vec<(Method, Vec<f64>)> =
            records.iter().filter_map(|r| Some((r.method, r.losses()?))).collect();
        let chosen = chosen(&by_moment);
        self.losses = by_moment
            .iter()
            .map(|(method, losses)| MethodLoss { method: *method, loss: mean(losses) })
            .collect();
        self.losses.sort_by(|a, b| a.loss.total_cmp(&b.loss));
        let mut all = vec![self.clone()];
        for record in records {
            let Some(curve) = curves.remove(&record.method) else { continue };
            let made = self.made_by(&record, curve, past, trial);
            match all.first_mut().filter(|_| Some(record.method) == chosen) {
                Some(first) => *first = made,
                None => all.push(made),
            }
        }
        all
    }

    fn made_by(&self, record: &Record, curve: Curve, past: &Past<'_>, trial: Trial) -> Self {
        let season = past.seasons.first().map(|s| *s as f64 * trial.step_seconds);
        let seasonal = matches!(record.method, Method::SeasonalNaive | Method::Mstl);
        let period = curve.period_seconds().or(season.filter(|_| seasonal));
        let mut made = Self {
            method: record.method,
            band: record.band(trial),
            period: period.map(|seconds| Span::from_seconds_f64(seconds).rounded()),
            curve,
            ..self.clone()
        };
        let asked = self.horizon.as_seconds_f64() + self.age_seconds;
        if made.band.tested_seconds() < asked {
            let tested = Span::from_seconds_f64(made.band.tested_seconds()).human();
            made.caveats.push(format!("tried on this series up to {tested} ahead only"));
        }
        made
    }

    /// The loss of the chosen method; `None` where nothing varied or it is a constant.
    pub fn loss(&self) -> Option<f64> {
        self.losses.iter().find(|l| l.method == self.method).map(|l| l.loss)
    }

    /// The quantity at `at`; before `made_at`, at `made_at`.
    pub fn at(&self, at: Timestamp) -> Quantiles<f64> {
        self.over(at, Span::ZERO)
    }

    /// The mean of the quantity over `span` from `from` on.
    pub fn over(&self, from: Timestamp, span: Span) -> Quantiles<f64> {
        let window = span.as_seconds_f64();
        let ahead = from.since(self.made_at).as_seconds_f64() + self.age_seconds + window / 2.0;
        let middle = self.curve.mean_at(ahead, window).max(0.0);
        let tested = self.band.tested_seconds();
        let beyond = if ahead > tested && self.samples > 0 {
            UNTESTED.powf((ahead / tested).log2().min(8.0))
        } else {
            1.0
        };
        let offsets = self.band.at(ahead);
        let stated = |offset: f64| {
            (middle + offsets[3] + (offset - offsets[3]) * beyond).clamp(0.0, f64::MAX)
        };
        Quantiles::from_array(offsets.map(stated))
    }

    /// The forecast every `step` up to its horizon; at most 10,000 rows.
    pub fn steps(&self, step: Span) -> impl Iterator<Item = (Timestamp, Quantiles<f64>)> {
        let step = step.as_micros().max(1000);
        let count = (self.horizon.as_micros() / step).min(10_000);
        (1..=count).map(move |k| {
            let at = self.made_at + Span::from_micros(k.saturating_mul(step));
            (at, self.at(at))
        })
    }
}

fn caveats(series: &Series, past: &Past<'_>, age_seconds: f64, step_seconds: f64) -> Vec<String> {
    let mut caveats = Vec::new();
    if series.samples() < SHORT {
        caveats.push(format!("{} samples only", series.samples()));
    }
    if series.dropped() > 0 {
        caveats.push(format!("{} samples left out as unusable", series.dropped()));
    }
    if past.measured < GAPPY {
        caveats
            .push(format!("{:.0} % of the time was not measured", 100.0 * (1.0 - past.measured)));
    }
    if age_seconds > 5.0 * step_seconds {
        let age = Span::from_seconds_f64(age_seconds).human();
        caveats.push(format!("the newest sample is {age} old"));
    }
    caveats
}
