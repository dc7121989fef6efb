//! Looking at as few points of the space as the answer needs.
//!
//! A prediction costs some tenths of a millisecond, so a space of five hundred is not tried point
//! by point. What is used instead: a longer downtime limit, a higher cap or more channels never
//! make a migration slower or less likely to converge, and never its downtime shorter. So a family
//! of settings whose fastest point does not converge is done with one look; channels that do not
//! matter between most and fewest do not matter in between; an interval of downtime limits is
//! entered only if its fastest end's time with its slowest end's downtime could still be the best.
//!
//! Never judges: what was seen is picked from elsewhere.

use whimbrel_core::{
    predict::{PredictError, Prediction, Predictor},
    settings::{MigrationSettings, Mode},
    units::{BytesPerSecond, Span},
};

use super::{
    Occasion, Priorities, Rejected, Safety, Space, Why,
    space::Family,
    verdict::{self, Miss},
};

/// Costs closer than this part count as equal.
pub(super) const EQUAL: f64 = 0.02;

/// Predictions whose times and bytes differ by less than this part, and by less than this span,
/// are of one migration.
const SAME: f64 = 0.01;
const SAME_SECONDS: f64 = 0.002;

/// A point that was looked at.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) settings: MigrationSettings,
    pub(super) prediction: Prediction,
    pub(super) starts_in: Span,
    pub(super) misses: Vec<Miss>,
    pub(super) cost: f64,
    pub(super) oddity: u32,
}

/// All that was looked at.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) seen: Vec<Seen>,
    /// What was not looked at, and why.
    pub(super) excluded: Vec<Rejected>,
    pub(super) error: Option<PredictError>,
}

pub(super) struct Search<'a, P: ?Sized> {
    predictor: &'a P,
    priorities: &'a Priorities,
    found: Found,
    /// Where the points of the occasion at hand begin.
    begin: usize,
    /// Cost of the best point that keeps the limits.
    best: f64,
}

/// Channels and cap of a column of downtime limits.
type Column = (u8, Option<BytesPerSecond>);

impl<'a, P: Predictor + ?Sized> Search<'a, P> {
    pub(super) fn new(predictor: &'a P, priorities: &'a Priorities) -> Self {
        Self { predictor, priorities, found: Found::default(), begin: 0, best: f64::INFINITY }
    }

    pub(super) fn finish(self) -> Found {
        self.found
    }

    /// Looks at the space as it is at one occasion, the caller's own settings first.
    pub(super) fn occasion(&mut self, occasion: &Occasion<'_>, space: &Space) {
        self.begin = self.found.seen.len();
        let template = occasion.request.settings;
        if template.check(occasion.request.qemu).is_ok()
            && self.excludes(template.mode, occasion).is_none()
        {
            self.look(occasion, template.clone());
        }
        for family in space.families(&occasion.request) {
            match self.excludes(family.way.mode(), occasion) {
                Some(why) => self.exclude(occasion, &family, why),
                None => self.family(occasion, &family),
            }
        }
    }

    fn excludes(&self, mode: Mode, occasion: &Occasion<'_>) -> Option<Why> {
        match self.priorities.safety {
            _ if mode != Mode::PostCopy => None,
            Safety::Free => None,
            Safety::PostCopyOverSteadyLinks if occasion.link_steady => None,
            Safety::PostCopyOverSteadyLinks => Some(Why::LinkNotSteady),
            Safety::AvoidPostCopy => Some(Why::PostCopyAvoided),
        }
    }

    /// Notes one plain member of a family that is not looked at; once is enough.
    fn exclude(&mut self, occasion: &Occasion<'_>, family: &Family, why: Why) {
        if self.found.excluded.iter().all(|one| one.why != why) {
            let template = occasion.request.settings;
            let settings =
                family.point(template, (1, template.bandwidth_limit, template.downtime_limit));
            self.found.excluded.push(Rejected { settings, prediction: None, why });
        }
    }

    /// The index of what is seen of `settings`, predicted at most once.
    fn look(&mut self, occasion: &Occasion<'_>, settings: MigrationSettings) -> Option<usize> {
        let known = self.found.seen.iter().skip(self.begin).position(|s| s.settings == settings);
        if let Some(known) = known {
            return Some(self.begin + known);
        }
        let request = occasion.request.clone();
        let asked =
            whimbrel_core::predict::MigrationRequest { to: None, settings: &settings, ..request };
        match self.predictor.predict(&asked) {
            Ok(prediction) => Some(self.keep(occasion, settings, prediction)),
            Err(error) => {
                let why = Why::NotPredicted(error.to_string());
                self.found.excluded.push(Rejected { settings, prediction: None, why });
                self.found.error.get_or_insert(error);
                None
            }
        }
    }

    fn keep(
        &mut self,
        occasion: &Occasion<'_>,
        settings: MigrationSettings,
        prediction: Prediction,
    ) -> usize {
        let cost = verdict::cost(self.priorities, &settings, &prediction);
        let misses = verdict::misses(self.priorities, occasion.starts_in, &prediction);
        if misses.is_empty() {
            self.best = self.best.min(cost);
        }
        let oddity = verdict::oddity(&settings, occasion.request.settings);
        let starts_in = occasion.starts_in;
        self.found.seen.push(Seen { settings, prediction, starts_in, misses, cost, oddity });
        self.found.seen.len() - 1
    }

    fn family(&mut self, occasion: &Occasion<'_>, family: &Family) {
        let (Some(most), Some(fewest)) = (family.channels.first(), family.channels.last()) else {
            return;
        };
        let limits = limits(family, occasion);
        let (Some(cap), Some(longest)) = (family.caps.first(), limits.first()) else { return };
        let template = occasion.request.settings;
        let Some(fastest) = self.look(occasion, family.point(template, (*most, *cap, *longest)))
        else {
            return;
        };
        if !self.may_keep(fastest) {
            return;
        }
        let Some(plain) = self.look(occasion, family.point(template, (*fewest, *cap, *longest)))
        else {
            return;
        };
        let channels: &[u8] =
            if self.same(fastest, plain) { std::slice::from_ref(fewest) } else { &family.channels };
        for channels in channels {
            for cap in &family.caps {
                if !self.column(occasion, family, (*channels, *cap), &limits) {
                    break;
                }
            }
        }
    }

    /// Looks into one column; says whether the next lower cap may be worth a look.
    fn column(
        &mut self,
        occasion: &Occasion<'_>,
        family: &Family,
        column: Column,
        limits: &[Span],
    ) -> bool {
        let point =
            |limit: Span| family.point(occasion.request.settings, (column.0, column.1, limit));
        let (Some(longest), Some(shortest)) = (limits.first(), limits.last()) else { return false };
        let Some(fast) = self.look(occasion, point(*longest)) else { return false };
        if !self.may_keep(fast) || self.hopeless(fast, Span::ZERO) {
            return false;
        }
        let Some(slow) = self.look(occasion, point(*shortest)) else { return false };
        let mut open = vec![(0, fast, limits.len() - 1, slow)];
        while let Some((low, fast, high, slow)) = open.pop() {
            let middle = usize::midpoint(low, high);
            if middle == low || !self.may_hide(fast, slow) {
                continue;
            }
            let Some(seen) =
                limits.get(middle).and_then(|limit| self.look(occasion, point(*limit)))
            else {
                continue;
            };
            open.push((low, fast, middle, seen));
            if self.may_keep(seen) {
                open.push((middle, seen, high, slow));
            }
        }
        true
    }

    /// Whether something slower than `fast` may keep the limits.
    fn may_keep(&self, fast: usize) -> bool {
        let misses = self.found.seen.get(fast).map_or(&[] as &[Miss], |seen| &seen.misses);
        !misses.iter().any(|miss| matches!(miss, Miss::Converges { .. } | Miss::Deadline { .. }))
    }

    /// Whether nothing slower than `fast` with at least this downtime can be the best.
    fn hopeless(&self, fast: usize, downtime: Span) -> bool {
        self.found.seen.get(fast).is_some_and(|seen| {
            let least =
                verdict::least_cost(self.priorities, (&seen.settings, &seen.prediction), downtime);
            least > self.best * (1.0 + EQUAL)
        })
    }

    /// Whether the choice may lie between two ends of an interval of downtime limits.
    fn may_hide(&self, fast: usize, slow: usize) -> bool {
        let Some(end) = self.found.seen.get(slow) else { return false };
        let sure = verdict::sure(self.priorities.confidence, &end.prediction);
        // What does not converge has no downtime of its own.
        let downtime = if sure { end.prediction.downtime.p50 } else { Span::ZERO };
        let too_long = sure && end.misses.iter().any(|miss| matches!(miss, Miss::Downtime { .. }));
        !too_long && !self.same(fast, slow) && !self.hopeless(fast, downtime)
    }

    fn same(&self, a: usize, b: usize) -> bool {
        let (Some(a), Some(b)) = (self.found.seen.get(a), self.found.seen.get(b)) else {
            return false;
        };
        same(&a.prediction, &b.prediction)
    }
}

/// After the switch to post-copy no limit matters, so only the one nearest to the caller's is
/// looked at.
fn limits(family: &Family, occasion: &Occasion<'_>) -> Vec<Span> {
    if family.way.mode() != Mode::PostCopy {
        return family.limits.clone();
    }
    let wanted = occasion.request.settings.downtime_limit.as_micros();
    let nearest = family.limits.iter().min_by_key(|limit| limit.as_micros().abs_diff(wanted));
    nearest.copied().into_iter().collect()
}

fn same(a: &Prediction, b: &Prediction) -> bool {
    let close = |a: f64, b: f64, least: f64| (a - b).abs() <= (a.max(b) * SAME).max(least);
    let times = |a: Span, b: Span| close(a.as_seconds_f64(), b.as_seconds_f64(), SAME_SECONDS);
    close(a.converges.get(), b.converges.get(), SAME)
        && times(a.total_time.p50, b.total_time.p50)
        && times(a.total_time.p95, b.total_time.p95)
        && times(a.downtime.p50, b.downtime.p50)
        && times(a.downtime.p95, b.downtime.p95)
        && close(a.transferred.p50.as_f64(), b.transferred.p50.as_f64(), 1.0)
}
