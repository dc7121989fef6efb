//! The cheapest start before a deadline.
//!
//! Decides when a migration should begin, from a forecast of the guest's dirty level, one of the
//! path's free bandwidth and a predictor behind a closure. Converging comes first, then the cost;
//! it waits only where waiting pays with the asked confidence, and says so in words. Never starts
//! anything, never proposes a start that is not expected to end by the deadline while another is.

use std::collections::BTreeMap;

use serde::Serialize;
use whimbrel_core::{
    predict::{Prediction, Quantiles},
    units::{Share, Span, Timestamp},
};

use crate::forecast::Forecast;

/// Probabilities of the values between the seven quantiles' midpoints, in their order.
const WEIGHTS: [f64; 7] = [0.0375, 0.1125, 0.225, 0.25, 0.225, 0.1125, 0.0375];

/// Most evaluations of the cost.
const EVALUATIONS_MAX: usize = 200;

/// Levels and bandwidths within this factor are one case.
const BUCKET: f64 = 1.08;

/// Buckets to either side of 1: from 1e-7 to 1e7 times a unit, beyond is the same.
const BUCKETS: f64 = 210.0;

/// Starts that are looked at.
const STARTS_MAX: u64 = 400;

/// Starts in a cycle of the level, at least.
const STARTS_A_CYCLE: f64 = 16.0;

/// Shortest time between two starts that are looked at.
const STEP_MIN: Span = Span::from_millis(250);

/// Probabilities of converging closer than this are equal.
const AS_LIKELY: f64 = 0.02;

/// An earlier start is taken when it costs at most this part more than the cheapest.
const AS_CHEAP: f64 = 0.01;

/// A later start must save this part of the cost: less is below what predictors tell apart.
const WORTH: f64 = 0.05;

/// What a start at some level and bandwidth comes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StartCost {
    /// In any unit, at least 0: seconds, bytes, a price.
    pub cost: f64,
    /// Probability that it ends by itself.
    pub converges: Share,
    /// How long it takes if it does.
    pub takes: Span,
}

impl From<&Prediction> for StartCost {
    /// The expected seconds are what it costs.
    fn from(prediction: &Prediction) -> Self {
        let takes = prediction.total_time.p50;
        Self { cost: takes.as_seconds_f64(), converges: prediction.converges, takes }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// The earliest start.
    pub now: Timestamp,
    /// When the migration must be over.
    pub deadline: Timestamp,
    /// Probability with which waiting must pay, 0..=1; 0.8 is a usual choice.
    pub confidence: Share,
    /// What a second of waiting costs, in the cost's unit; 0 where nobody is in a hurry.
    pub price_per_second: f64,
}

/// A start with what it is expected to bring.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Window {
    /// When to start; `now` where waiting does not pay.
    pub start: Timestamp,
    /// Time until then.
    pub wait: Span,
    /// Expected cost of starting then, waiting not included.
    pub cost: f64,
    /// Expected cost of starting now.
    pub cost_now: f64,
    /// What is saved, the price of waiting taken off; at least 0.
    pub saving: f64,
    /// Probability of converging then.
    pub converges: Share,
    /// Probability of converging now.
    pub converges_now: Share,
    /// Probability that this start is better than one now; 1 for now.
    pub confidence: Share,
    /// Median level over the migration that starts then.
    pub level: f64,
    /// Median level over the migration that starts now.
    pub level_now: f64,
    /// Evaluations of the cost that it took; at most 200.
    pub evaluations: usize,
    /// The reason, for people.
    pub why: String,
}

/// One start with its possible outcomes.
struct Candidate {
    start: Timestamp,
    outcomes: Vec<(f64, StartCost)>,
    cost: f64,
    converges: f64,
    level: f64,
    /// When it is over, the cautious way.
    ends: Timestamp,
}

/// Finds the cheapest start. `cost` is asked with a level (1 is the guest's long-term curve) and
/// a bandwidth in the bandwidth forecast's unit, at most 200 times, and not twice for nearly the
/// same.
///
/// # Errors
/// The first error of `cost`.
pub fn cheapest<E>(
    level: &Forecast,
    bandwidth: &Forecast,
    search: Search,
    cost: impl FnMut(f64, f64) -> Result<StartCost, E>,
) -> Result<Window, E> {
    let mut known = Known { cost, seen: BTreeMap::new() };
    let now = known.candidate(level, bandwidth, search.now)?;
    let mut starts = Vec::new();
    for start in starts_of(level, search) {
        let candidate = known.candidate(level, bandwidth, start)?;
        if candidate.ends <= search.deadline {
            starts.push(candidate);
        }
    }
    let evaluations = known.seen.len();
    let late = now.ends > search.deadline;
    let Some(best) = best_of(&starts, search) else {
        let why = if late {
            "start now: no start is expected to end by the deadline"
        } else {
            "start now: no later start is expected to end by the deadline"
        };
        return Ok(stay(&now, evaluations, why.to_owned()));
    };
    let confidence = best.beats(&now, search);
    let saving = now.cost - best.total(search);
    if likelier(best.converges, now.converges)
        || (saving > WORTH * now.cost && !likelier(now.converges, best.converges))
    {
        if confidence < search.confidence.get() {
            let why = format!(
                "start now: a start in {} would be better with a probability of {:.0} %, asked \
                 are {:.0} %",
                best.start.since(search.now).human(),
                100.0 * confidence,
                100.0 * search.confidence.get()
            );
            return Ok(stay(&now, evaluations, why));
        }
        return Ok(wait(best, &now, search, confidence, evaluations));
    }
    Ok(stay(&now, evaluations, "start now: no later start costs clearly less".to_owned()))
}

fn stay(now: &Candidate, evaluations: usize, why: String) -> Window {
    Window {
        start: now.start,
        wait: Span::ZERO,
        cost: now.cost,
        cost_now: now.cost,
        saving: 0.0,
        converges: Share::clamped(now.converges),
        converges_now: Share::clamped(now.converges),
        confidence: Share::ONE,
        level: now.level,
        level_now: now.level,
        evaluations,
        why,
    }
}

fn wait(
    best: &Candidate,
    now: &Candidate,
    search: Search,
    confidence: f64,
    evaluations: usize,
) -> Window {
    let waiting = best.start.since(search.now);
    let why = if likelier(best.converges, now.converges) {
        format!(
            "start in {}: it then ends by itself with a probability of {:.0} % instead of {:.0} %",
            waiting.human(),
            100.0 * best.converges,
            100.0 * now.converges
        )
    } else {
        let lower = if best.level < now.level * 0.95 {
            "the guest writes less then"
        } else {
            "more is free on the path then"
        };
        format!(
            "start in {}: {lower}, {:.0} % sure that it pays",
            waiting.human(),
            100.0 * confidence
        )
    };
    Window {
        start: best.start,
        wait: waiting,
        cost: best.cost,
        cost_now: now.cost,
        saving: (now.cost - best.total(search)).max(0.0),
        converges: Share::clamped(best.converges),
        converges_now: Share::clamped(now.converges),
        confidence: Share::clamped(confidence),
        level: best.level,
        level_now: now.level,
        evaluations,
        why,
    }
}

fn likelier(a: f64, b: f64) -> bool {
    a > b + AS_LIKELY
}

/// Later starts up to the deadline, evenly spread and fine enough for the level's cycle.
fn starts_of(level: &Forecast, search: Search) -> impl Iterator<Item = Timestamp> {
    let range = search.deadline.since(search.now).as_micros();
    let even = range / STARTS_MAX;
    let cycle = level.period.map_or(f64::INFINITY, Span::as_seconds_f64) / STARTS_A_CYCLE;
    let fine = Span::from_seconds_f64(cycle.min(1e9)).as_micros();
    // A short cycle before a far deadline: its first turns, then no finer than the rest allows.
    let step = (range / 100).min(fine).max(even.min(fine)).max(STEP_MIN.as_micros());
    let count = (range / step).min(STARTS_MAX);
    (1..=count).map(move |k| search.now + Span::from_micros(k.saturating_mul(step)))
}

/// The earliest start that is as good as the best.
fn best_of(starts: &[Candidate], search: Search) -> Option<&Candidate> {
    let surest = starts.iter().map(|c| c.converges).max_by(f64::total_cmp)?;
    let sure = || starts.iter().filter(|c| !likelier(surest, c.converges));
    let least = sure().map(|c| c.total(search)).min_by(f64::total_cmp)?;
    sure().find(|c| c.total(search) <= least + least.abs() * AS_CHEAP)
}

impl Candidate {
    /// Expected cost with the price of waiting.
    fn total(&self, search: Search) -> f64 {
        self.cost + search.price_per_second.max(0.0) * self.start.since(search.now).as_seconds_f64()
    }

    /// Probability that starting here is better than `now`, as if both were drawn independently.
    fn beats(&self, now: &Self, search: Search) -> f64 {
        let price = self.total(search) - self.cost;
        let pairs = self.outcomes.iter().flat_map(|a| now.outcomes.iter().map(move |b| (a, b)));
        pairs
            .filter(|((_, here), (_, there))| {
                let (a, b) = (here.converges.get(), there.converges.get());
                likelier(a, b) || (!likelier(b, a) && here.cost + price < there.cost)
            })
            .map(|((w, _), (v, _))| w * v)
            .sum()
    }
}

/// The cost as far as it was asked for, by buckets of level and bandwidth.
struct Known<F> {
    cost: F,
    seen: BTreeMap<(i32, i32), StartCost>,
}

impl<F, E> Known<F>
where
    F: FnMut(f64, f64) -> Result<StartCost, E>,
{
    fn at(&mut self, level: f64, bandwidth: f64) -> Result<StartCost, E> {
        let key = (bucket(level), bucket(bandwidth));
        if let Some(seen) = self.seen.get(&key) {
            return Ok(*seen);
        }
        if self.seen.len() >= EVALUATIONS_MAX {
            let far = |k: &(i32, i32)| (k.0 - key.0).abs() + (k.1 - key.1).abs();
            if let Some((_, near)) = self.seen.iter().min_by_key(|(k, _)| far(k)) {
                return Ok(*near);
            }
        }
        // The bucket's own middle, so that the answer does not hang on who asked first.
        let middle = |bucket: i32| BUCKET.powi(bucket);
        let found = (self.cost)(middle(key.0), middle(key.1))?;
        self.seen.insert(key, found);
        Ok(found)
    }

    /// What a start at `start` may come to. The level that counts is the mean over the migration,
    /// whose length depends on it in turn: two rounds settle that.
    fn candidate(
        &mut self,
        level: &Forecast,
        bandwidth: &Forecast,
        start: Timestamp,
    ) -> Result<Candidate, E> {
        let mut takes = self.at(level.at(start).p50, bandwidth.at(start).p50)?.takes;
        for _ in 0..2 {
            let levels = level.over(start, takes);
            takes = self.at(levels.p50, bandwidth.over(start, takes).p50)?.takes;
        }
        let levels = level.over(start, takes);
        let paths = weighted(bandwidth.over(start, takes));
        let mut outcomes = Vec::with_capacity(7 * paths.len());
        for (level, weight) in levels.to_array().into_iter().zip(WEIGHTS) {
            for (path, part) in &paths {
                outcomes.push((weight * part, self.at(level, *path)?));
            }
        }
        let expected = |of: fn(&StartCost) -> f64| outcomes.iter().map(|(w, o)| w * of(o)).sum();
        let ends = start + self.at(levels.p75, bandwidth.over(start, takes).p25)?.takes;
        Ok(Candidate {
            start,
            cost: expected(|o| o.cost),
            converges: expected(|o| o.converges.get()),
            level: levels.p50,
            ends,
            outcomes,
        })
    }
}

/// Three values for a bandwidth with a band, one for a bandwidth without.
fn weighted(band: Quantiles<f64>) -> Vec<(f64, f64)> {
    if bucket(band.p05) == bucket(band.p95) {
        return vec![(band.p50, 1.0)];
    }
    // Swanson's rule for a mean and variance from three quantiles (Keefer and Bodily, 1983).
    vec![(band.p05, 0.185), (band.p50, 0.63), (band.p95, 0.185)]
}

fn bucket(value: f64) -> i32 {
    let logarithm = (value.max(f64::MIN_POSITIVE).ln() / BUCKET.ln()).round();
    logarithm.clamp(-BUCKETS, 4.0 * BUCKETS) as i32
}

#[cfg(test)]
mod tests;
