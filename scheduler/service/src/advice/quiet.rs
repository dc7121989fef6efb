//! Quieter moments that lie ahead of guests that a drain has the time to wait for.
//!
//! For each guest on the hosts that are emptied, the recorded dirty levels are forecast up to the
//! deadline, and the start that is cheapest in expectation is looked for. Waits for nobody.

use std::{borrow::Cow, collections::BTreeMap};

use whimbrel_core::{
    Domain, Goal, Outlook, Plan, VmId,
    cluster::DirtyReading,
    outlook::Quieter,
    predict::{MigrationRequest, Predictor},
    units::{Share, Span},
};
use whimbrel_models::{
    forecast::{self, Forecast, ForecastError, LevelHistory, level::Level},
    window::{Search, StartCost, cheapest},
};

use super::{Advisor, Situation};

/// Probability with which waiting must pay.
const CONFIDENCE: f64 = 0.8;

/// Seconds of migration that a second of waiting is worth.
const WAITING_PRICE: f64 = 0.01;

/// Guests that quiet moments are looked for; those with more memory first.
const GUESTS_MAX: usize = 64;

/// The dirty level of `domain` from what was recorded of it, else from its newest readings.
///
/// # Errors
/// [`ForecastError`] where there are not enough readings.
pub fn level(
    situation: &Situation,
    domain: &Domain,
    outlook: forecast::Outlook,
) -> Result<Level, ForecastError> {
    let mut history = LevelHistory::new(domain.memory);
    let recorded = situation.replay.as_ref().and_then(|replay| replay.dirty.get(&domain.vm));
    match recorded.filter(|samples| !samples.is_empty()) {
        Some(samples) => samples
            .iter()
            .map(|s| DirtyReading { window: s.window, unique: s.unique, measured_at: s.at })
            .for_each(|reading| history.push(reading)),
        None => domain.dirty.iter().for_each(|reading| history.push(*reading)),
    }
    history.level(situation.now, outlook)
}

impl Advisor {
    /// What the past says of guests, for planning `goal`: the situation's outlook, and for a drain
    /// with a deadline the quieter moments before it.
    pub(super) fn outlook_for<'s>(
        &self,
        situation: &'s Situation,
        goal: &Goal,
    ) -> Cow<'s, Outlook> {
        let Goal::Drain { deadline: Some(deadline), .. } = goal else {
            return Cow::Borrowed(&situation.outlook);
        };
        let leaves = |domain: &&Domain| {
            domain.state.lives_here() && goal.emptied().any(|host| *host == domain.host)
        };
        let mut leaving: Vec<&Domain> = situation.snapshot.domains.iter().filter(leaves).collect();
        leaving.sort_by_key(|domain| (std::cmp::Reverse(domain.memory), &domain.vm));
        let quieter: BTreeMap<VmId, Quieter> = leaving
            .into_iter()
            .take(GUESTS_MAX)
            .filter_map(|domain| {
                Some((domain.vm.clone(), self.quieter(situation, domain, *deadline)?))
            })
            .collect();
        if quieter.is_empty() {
            return Cow::Borrowed(&situation.outlook);
        }
        Cow::Owned(Outlook { quieter, ..situation.outlook.clone() })
    }

    /// What `plan` was made with: a plan that waits for nobody knew of no quieter moments, or had no
    /// time for them.
    pub(super) fn outlook_of<'s>(&self, situation: &'s Situation, plan: &Plan) -> Cow<'s, Outlook> {
        if plan.moves.iter().any(|one| one.not_before.is_some()) {
            self.outlook_for(situation, &plan.goal)
        } else {
            Cow::Borrowed(&situation.outlook)
        }
    }

    /// The cheapest start of a migration of `domain` that ends before the deadline, where it is
    /// not now.
    fn quieter(&self, situation: &Situation, domain: &Domain, deadline: Span) -> Option<Quieter> {
        let now = situation.now;
        let ahead = forecast::Outlook { horizon: deadline, period: None };
        let level = level(situation, domain, ahead).ok()?;
        let host = situation.snapshot.hosts.get(&domain.host)?;
        let lasts = |factor: f64| {
            let then = Domain { dirty: level.readings(factor, now), ..domain.clone() };
            let answer = self.predictor.predict(&MigrationRequest {
                domain: &then,
                to: None,
                settings: &self.policy.migration,
                path_bandwidth: host
                    .migration_bandwidth
                    .unwrap_or(self.policy.limits.path_bandwidth),
                sharing: 1,
                qemu: host.qemu.unwrap_or_default(),
                now,
                seed: 0,
            });
            answer.map(|prediction| StartCost::from(&prediction))
        };
        let search = Search {
            now,
            deadline: now + deadline,
            confidence: Share::clamped(CONFIDENCE),
            price_per_second: WAITING_PRICE,
        };
        // Nobody records what a path carries while it is idle: it counts as it is known now.
        let path = Forecast::constant(1.0, now);
        let window = cheapest(&level.forecast, &path, search, |factor, _| lasts(factor)).ok()?;
        let dirty = level.readings(window.level, now);
        (window.wait > Span::ZERO).then_some(Quieter { at: window.start, dirty })
    }
}
