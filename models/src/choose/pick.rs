//! Picking from what was looked at: the least cost that keeps the limits, or the least bad.

use std::cmp::Ordering;

use whimbrel_core::{predict::PredictError, settings::Mode};

use super::{
    Choice, Rejected, Why,
    search::{EQUAL, Found, Seen},
    sentence,
    verdict::severity,
};

/// Alternatives that are kept of what was looked at.
const ALTERNATIVES_MAX: usize = 6;

/// The choice among `found`; without one, the first reason for which something was not predicted.
pub(super) fn pick(found: Found) -> Result<Choice, Option<PredictError>> {
    let Found { mut seen, excluded, error } = found;
    let Some(best) = index_of_best(&seen) else { return Err(error) };
    let best = seen.swap_remove(best);
    let mut rejected = alternatives(&best, seen);
    rejected.extend(excluded);
    let timeout = best.prediction.timeout();
    let sentence = sentence::sentence(&best, rejected.first());
    let Seen { settings, prediction, starts_in, misses, cost, .. } = best;
    Ok(Choice { settings, prediction, cost, starts_in, timeout, misses, sentence, rejected })
}

fn index_of_best(seen: &[Seen]) -> Option<usize> {
    let keeping = || seen.iter().enumerate().filter(|(_, one)| one.misses.is_empty());
    let least = keeping().map(|(_, one)| one.cost).fold(f64::INFINITY, f64::min);
    let simplest = keeping()
        .filter(|(_, one)| one.cost <= least * (1.0 + EQUAL))
        .min_by(|(_, a), (_, b)| simpler(a, b));
    let least_bad = || seen.iter().enumerate().min_by(|(_, a), (_, b)| better(a, b));
    simplest.or_else(least_bad).map(|(index, _)| index)
}

/// Simpler first, then sooner, then cheaper.
fn simpler(a: &Seen, b: &Seen) -> Ordering {
    a.oddity.cmp(&b.oddity).then(a.starts_in.cmp(&b.starts_in)).then(a.cost.total_cmp(&b.cost))
}

/// What misses less first. What keeps the limits is then ordered by cost; what misses them as
/// badly as the other by simplicity: the figures of what does not converge say little.
fn better(a: &Seen, b: &Seen) -> Ordering {
    let by_cost = if a.misses.is_empty() { a.cost.total_cmp(&b.cost) } else { Ordering::Equal };
    severity(&a.misses).total_cmp(&severity(&b.misses)).then(by_cost).then(simpler(a, b))
}

/// The best of every other kind of setting, best first.
fn alternatives(best: &Seen, mut seen: Vec<Seen>) -> Vec<Rejected> {
    seen.sort_by(better);
    let mut kinds = vec![kind(best)];
    let mut alternatives = Vec::new();
    for one in seen {
        let own = kind(&one);
        if kinds.contains(&own) || alternatives.len() == ALTERNATIVES_MAX {
            continue;
        }
        kinds.push(own);
        let why = if one.misses.is_empty() {
            Why::Dearer { cost: one.cost }
        } else {
            Why::Misses(one.misses)
        };
        let prediction = Some(one.prediction);
        alternatives.push(Rejected { settings: one.settings, prediction, why });
    }
    alternatives
}

/// What people take for one and the same way to migrate.
fn kind(seen: &Seen) -> (Mode, bool, whimbrel_core::settings::Compression) {
    (seen.settings.mode, seen.settings.channels > 1, seen.settings.compression)
}
