//! The back-test: what every method would have said earlier, against what came.
//!
//! From several moments of the past each method continues the series as it was known then; the
//! errors against the samples that followed are kept by how far ahead they were. They are the
//! method's band, and its pinball loss with the band of the *other* moments is what methods are
//! chosen by: no error is judged by a band that it helped to make.

use std::collections::BTreeSet;

use whimbrel_core::predict::QUANTILE_LEVELS;

use super::{
    methods::{Curve, Method, Past},
    series::{Point, SAMPLES_MIN},
};
use crate::quantile::{quantile, sorted};

/// Moments that forecasts are tried from.
const ORIGINS: usize = 8;

/// Part of the series that lies before the first of them.
const FIRST_ORIGIN: f64 = 0.5;

/// Largest part of the series that is kept to judge the last of them.
const LAST_REACH: f64 = 0.25;

/// Samples that judge one forecast.
const JUDGES: usize = 192;

/// Errors that make a band; a bucket with fewer borrows from nearer ones.
const ERRORS_MIN: usize = 12;

/// By how much wider a band is when its errors come from one moment; from more, by that much less.
/// Errors of one moment go together.
const FEW: f64 = 1.5;

/// Buckets of time ahead, each twice as long as the one before.
const BUCKETS: usize = 14;

/// What is asked of a back-test.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trial {
    pub(super) step_seconds: f64,
    pub(super) ahead: usize,
    pub(super) period_seconds: Option<f64>,
}

/// One error of one method.
#[derive(Debug, Clone, Copy)]
struct Miss {
    origin: usize,
    bucket: usize,
    /// Actual minus predicted.
    error: f64,
}

/// Errors of one method.
#[derive(Debug, Clone)]
pub(super) struct Record {
    pub(super) method: Method,
    misses: Vec<Miss>,
}

/// A method's offsets from its curve at the seven quantile levels, by bucket of time ahead.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Band {
    step_seconds: f64,
    offsets: Vec<[f64; 7]>,
}

impl Band {
    /// The same offsets however far ahead.
    pub(super) fn even(offsets: [f64; 7]) -> Self {
        Self { step_seconds: 1.0, offsets: vec![offsets] }
    }

    /// The offsets that far ahead.
    pub(super) fn at(&self, ahead_seconds: f64) -> [f64; 7] {
        let bucket = bucket(ahead_seconds, self.step_seconds);
        self.offsets.get(bucket).or(self.offsets.last()).copied().unwrap_or([0.0; 7])
    }

    /// How far ahead errors were seen, in seconds.
    pub(super) fn tested_seconds(&self) -> f64 {
        self.step_seconds * (self.offsets.len() as f64).exp2()
    }
}

/// Bucket of `ahead_seconds`: less than 2 steps, less than 4, less than 8 ..
fn bucket(ahead_seconds: f64, step_seconds: f64) -> usize {
    let steps = (ahead_seconds / step_seconds * 1.000_001).max(1.0);
    (steps.log2() as usize).min(BUCKETS - 1)
}

/// Tries every method of `methods` on `points`.
pub(super) fn back_test(points: &[Point], trial: Trial, methods: &[Method]) -> Vec<Record> {
    let mut records: Vec<Record> =
        methods.iter().map(|method| Record { method: *method, misses: Vec::new() }).collect();
    for (origin, at) in origins(points, trial).into_iter().enumerate() {
        let Some((known, later)) = points.split_at_checked(at) else { continue };
        let Some(last) = known.last() else { continue };
        let reach = trial.step_seconds * trial.ahead as f64;
        let within = later.partition_point(|p| p.seconds - last.seconds <= reach);
        let stride = within.div_ceil(JUDGES).max(1);
        let judges: Vec<&Point> = later.iter().take(within).step_by(stride).collect();
        let past = Past::new(known, trial.step_seconds, trial.ahead, trial.period_seconds);
        let curves = past.curves();
        for record in &mut records {
            // A method that could say nothing yet would have left it at the mean.
            let curve = curves.get(&record.method).or(curves.get(&Method::Mean));
            let Some(curve) = curve else { continue };
            record.misses.extend(judges.iter().map(|p| miss(origin, p, last, curve, trial)));
        }
    }
    records
}

fn miss(origin: usize, judge: &Point, last: &Point, curve: &Curve, trial: Trial) -> Miss {
    let ahead = judge.seconds - last.seconds;
    let predicted = curve.mean_at(ahead, judge.window_seconds).max(0.0);
    Miss { origin, bucket: bucket(ahead, trial.step_seconds), error: judge.value - predicted }
}

/// Numbers of points that are known at each moment, rising.
fn origins(points: &[Point], trial: Trial) -> Vec<usize> {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Vec::new() };
    let reach = last.seconds - first.seconds;
    let kept = (trial.step_seconds * trial.ahead as f64).min(reach * LAST_REACH);
    let (from, to) = (first.seconds + reach * FIRST_ORIGIN, last.seconds - kept);
    let mut origins: Vec<usize> = (0..ORIGINS)
        .map(|k| from + (to - from) * k as f64 / (ORIGINS - 1) as f64)
        .map(|moment| points.partition_point(|p| p.seconds <= moment))
        .map(|known| known.clamp(SAMPLES_MIN / 2, points.len().saturating_sub(1)))
        .collect();
    origins.dedup();
    origins
}

impl Record {
    /// Pinball loss over errors and quantile levels, the mean for each moment, in the series'
    /// unit; `None` of nothing.
    pub(super) fn losses(&self) -> Option<Vec<f64>> {
        let origins = self.misses.iter().map(|m| m.origin).max()? + 1;
        let mut losses = Vec::with_capacity(origins);
        for origin in 0..origins {
            // A single moment has no other to be judged by.
            let others = |m: &Miss| origins == 1 || m.origin != origin;
            let mut bands: [Option<[f64; 7]>; BUCKETS] = [None; BUCKETS];
            let (mut sum, mut count) = (0.0, 0.0);
            for miss in self.misses.iter().filter(|m| m.origin == origin) {
                let slot = bands.get_mut(miss.bucket)?;
                let band = slot.get_or_insert_with(|| self.offsets(miss.bucket, others));
                sum += pinball(band, miss.error);
                count += 1.0;
            }
            // Every method has the same judges at the same moments.
            if count > 0.0 {
                losses.push(sum / count);
            }
        }
        losses.iter().all(|loss| loss.is_finite()).then_some(losses)
    }

    /// The band of the errors, wider where few moments were tried.
    pub(super) fn band(&self, trial: Trial) -> Band {
        let buckets = self.misses.iter().map(|m| m.bucket + 1).max().unwrap_or(0);
        let offsets = (0..buckets)
            .map(|bucket| {
                let of_bucket = self.misses.iter().filter(|m| m.bucket == bucket);
                let origins: BTreeSet<usize> = of_bucket.map(|m| m.origin).collect();
                let wider = 1.0 + FEW / origins.len().max(1) as f64;
                let offsets = self.offsets(bucket, |_| true);
                offsets.map(|offset| offsets[3] + (offset - offsets[3]) * wider)
            })
            .collect();
        Band { step_seconds: trial.step_seconds, offsets }
    }

    /// Quantiles of the errors in `bucket`, with those of nearer and then farther buckets until
    /// they are enough.
    fn offsets(&self, bucket: usize, which: impl Fn(&Miss) -> bool) -> [f64; 7] {
        let mut errors = Vec::new();
        for near in 0..BUCKETS {
            let sides = [bucket.checked_sub(near), Some(bucket + near).filter(|_| near > 0)];
            for side in sides.into_iter().flatten() {
                let of_side = self.misses.iter().filter(|m| m.bucket == side && which(m));
                errors.extend(of_side.map(|m| m.error));
            }
            if errors.len() >= ERRORS_MIN {
                break;
            }
        }
        let errors = sorted(&errors);
        QUANTILE_LEVELS.map(|level| quantile(&errors, level).unwrap_or(0.0))
    }
}

/// The method to take: of those that are not worse than the best by more than the standard error
/// of the difference (Breiman et al., 1984), the most trusted. Methods come in order of trust.
pub(super) fn chosen(losses: &[(Method, Vec<f64>)]) -> Option<Method> {
    let (_, best) = losses.iter().min_by(|a, b| mean(&a.1).total_cmp(&mean(&b.1)))?;
    let as_good = |own: &[f64]| {
        let worse: Vec<f64> = own.iter().zip(best).map(|(own, best)| own - best).collect();
        let middle = mean(&worse);
        let spread: f64 = worse.iter().map(|w| (w - middle).powi(2)).sum();
        let freedom = worse.len() * worse.len().saturating_sub(1);
        middle <= (spread / freedom.max(1) as f64).sqrt()
    };
    losses.iter().find(|(_, own)| as_good(own)).map(|(method, _)| *method)
}

/// The mean of `values`; 0 of none.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Mean pinball loss of `error` against the offsets at the seven levels (Koenker, Bassett, 1978).
fn pinball(offsets: &[f64; 7], error: f64) -> f64 {
    let of_level = |(offset, level): (&f64, f64)| {
        let over = error - offset;
        if over >= 0.0 { level * over } else { (level - 1.0) * over }
    };
    offsets.iter().zip(QUANTILE_LEVELS).map(of_level).sum::<f64>() / 7.0
}
