//! The dirty level of a guest: its readings against its own long-term curve U(t).
//!
//! A level of 1 is what the guest usually dirties, 2 twice that within any window. Readings of
//! all windows become one series that way, which can be forecast; at a level, the curve gives
//! readings back, for a predictor. Never invents a curve: without one there is no level.

use std::collections::{BTreeMap, VecDeque};

use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, Span, Timestamp},
};

use super::{Forecast, ForecastError, Outlook, Sample, Series};
use crate::curve::{DirtyCurve, evidence::Evidence, fit::CurveFit};

/// Readings that are kept, the newest.
const READINGS_MAX: usize = 20_000;

/// Windows whose readings a level gives back, from the shortest.
const WINDOWS_MAX: usize = 8;

/// Dirty readings of one guest over a long time.
#[derive(Debug, Clone, PartialEq)]
pub struct LevelHistory {
    memory: Bytes,
    readings: VecDeque<DirtyReading>,
}

/// A guest's level with the curve that it is relative to.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// The forecast of the level: a factor, 1 is the long-term curve.
    pub forecast: Forecast,
    /// Gives the shape; `scale` times it is the long-term curve.
    curve: DirtyCurve,
    scale: f64,
    memory: Bytes,
    windows: Vec<Span>,
}

impl LevelHistory {
    /// Of a guest with `memory`, without readings yet.
    pub fn new(memory: Bytes) -> Self {
        Self { memory, readings: VecDeque::new() }
    }

    /// Adds a reading, in any order. The oldest added is forgotten beyond 20,000.
    pub fn push(&mut self, reading: DirtyReading) {
        if self.readings.len() >= READINGS_MAX {
            self.readings.pop_front();
        }
        self.readings.push_back(reading);
    }

    /// The level's forecast as of `now`.
    ///
    /// # Errors
    /// [`ForecastError`] when there are too few readings, or impossible ones.
    pub fn level(&self, now: Timestamp, outlook: Outlook) -> Result<Level, ForecastError> {
        let known: Vec<DirtyReading> = self
            .readings
            .iter()
            .filter(|r| r.measured_at <= now && r.window > Span::ZERO)
            .copied()
            .collect();
        if known.len() < super::SAMPLES_MIN {
            let dropped = self.readings.len() - known.len();
            return Err(ForecastError::TooFew { have: known.len(), dropped });
        }
        let fit = CurveFit::new(&Evidence::of_readings(&known, self.memory))
            .map_err(|fault| ForecastError::NoCurve(fault.to_string()))?;
        let curve = fit.curve(self.memory);
        let ratios: Vec<f64> = known
            .iter()
            .map(|r| ratio(r.unique.as_f64(), curve.unique_bytes(r.window.as_seconds_f64())))
            .collect();
        // A fit may lean on the newest readings; the mean over the history is what 1 stands for.
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        let scale = if mean > 0.0 { mean } else { 1.0 };
        let samples = known.iter().zip(ratios).map(|(r, ratio)| Sample {
            at: r.measured_at,
            window: r.window,
            value: ratio / scale,
        });
        let forecast = Forecast::new(&Series::new(samples, now)?, outlook)?;
        Ok(Level { forecast, curve, scale, memory: self.memory, windows: windows(&known) })
    }
}

impl Level {
    /// The readings that the guest would give at `level` times its long-term curve.
    pub fn readings(&self, level: f64, measured_at: Timestamp) -> Vec<DirtyReading> {
        let reading = |window: &Span| {
            let usual = self.scale * self.curve.unique_bytes(window.as_seconds_f64());
            let unique = Bytes::new((level.max(0.0) * usual).round() as u64).min(self.memory);
            DirtyReading { window: *window, unique, measured_at }
        };
        self.windows.iter().map(reading).collect()
    }
}

/// `unique` against the curve's; a guest that never dirties anything is at its usual level.
fn ratio(unique: f64, usual: f64) -> f64 {
    if usual > 0.0 { unique / usual } else { 1.0 }
}

/// The window lengths that were read, in whole seconds above one, the most frequent ones.
fn windows(readings: &[DirtyReading]) -> Vec<Span> {
    let mut counts: BTreeMap<Span, usize> = BTreeMap::new();
    for reading in readings {
        let micros = reading.window.as_micros();
        let rounded = if micros < 1_000_000 { micros } else { micros / 1_000_000 * 1_000_000 };
        *counts.entry(Span::from_micros(rounded)).or_default() += 1;
    }
    let mut windows: Vec<(usize, Span)> = counts.into_iter().map(|(w, n)| (n, w)).collect();
    windows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    windows.truncate(WINDOWS_MAX);
    let mut windows: Vec<Span> = windows.into_iter().map(|(_, window)| window).collect();
    windows.sort_unstable();
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::draws::Draws;

    const T0: u64 = 1_700_000_000;

    fn history(period: f64, seconds: u64) -> LevelHistory {
        let mut draws = Draws::new(9);
        let mut history = LevelHistory::new(Bytes::mib(2048));
        let mut at = 0.0;
        for k in 0.. {
            let window = [1.0, 4.0, 2.0, 8.0][k % 4];
            at += window + 0.3;
            if at > seconds as f64 {
                break;
            }
            // Busy for the first half of each period: 60 MiB/s, else 5.
            let busy = (0..40)
                .filter(|part| {
                    let t = at - window * (f64::from(*part) + 0.5) / 40.0;
                    (t / period).rem_euclid(1.0) < 0.5
                })
                .count() as f64
                / 40.0;
            let rate = (5.0 + 55.0 * busy) * (0.05 * draws.normal()).exp();
            history.push(DirtyReading {
                window: Span::from_seconds_f64(window),
                unique: Bytes::mib((rate * window) as u64),
                measured_at: Timestamp::from_micros(T0 * 1_000_000 + (at * 1e6) as u64),
            });
        }
        history
    }

    #[test]
    fn a_cyclic_guest_keeps_its_phase() {
        let seconds = 300;
        let now = Timestamp::from_micros((T0 + seconds) * 1_000_000);
        let outlook = Outlook { horizon: Span::from_seconds(120), period: None };
        let level = history(60.0, seconds).level(now, outlook).unwrap();
        let forecast = &level.forecast;
        assert!(!forecast.losses.is_empty());
        let period = forecast.period.unwrap().as_seconds_f64();
        assert!((period - 60.0).abs() < 3.0, "{period}");
        let at = |s: u64| forecast.at(now + Span::from_seconds(s)).p50;
        assert!(at(15) > 1.3 && at(45) < 0.6, "{} and {}", at(15), at(45));
        assert!(at(75) > 1.3 && at(105) < 0.6, "{} and {}", at(75), at(105));
        let rate = |level_of: f64| {
            let readings = level.readings(level_of, now);
            assert!(!readings.is_empty());
            readings[0].unique.as_f64() / readings[0].window.as_seconds_f64()
        };
        assert!((rate(2.0) / rate(1.0) - 2.0).abs() < 0.01);
    }

    #[test]
    fn one_reading_and_impossible_ones_are_refused() {
        let now = Timestamp::from_micros(T0 * 1_000_000);
        let outlook = Outlook { horizon: Span::from_seconds(60), period: None };
        let reading = DirtyReading {
            window: Span::from_seconds(1),
            unique: Bytes::mib(9999),
            measured_at: now,
        };
        let mut history = LevelHistory::new(Bytes::mib(100));
        history.push(reading);
        assert!(matches!(history.level(now, outlook), Err(ForecastError::TooFew { .. })));
        for _ in 0..10 {
            history.push(reading);
        }
        assert!(matches!(history.level(now, outlook), Err(ForecastError::NoCurve(_))));
    }
}
