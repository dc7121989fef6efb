//! Learning a [`Model`] from traces of migrations.
//!
//! [`learn`] takes constants from medians and histories from every guest, in a moment.
//! [`train`] does that too, and then predicts every migration by a model that never saw its
//! guest: what those predictions missed is what the correction learns, and how far off they still
//! were then is what makes the bands hold.
//!
//! Robust throughout: medians for levels, bounds on every result. Never judges itself: figures of
//! a training are of guests that its parts had not seen, yet they are not those of data that was
//! set aside.

use std::collections::BTreeMap;

use whimbrel_core::{
    ids::VmId,
    telemetry::MigrationTrace,
    units::{Bytes, GUEST_PAGE, Span},
};

use crate::{
    curve::prior::Prior,
    guest::GuestHistory,
    learned::{Correction, CostObservation, Example, FixedCosts, Residuals},
    model::{Coding, ContentRule, Costs, Model, Rates, content::Shown},
    past::{PathGuess, domain_before, folds},
    predictor::{Draft, ReplayPredictor},
    quantile::{quantile, sorted},
};

mod bands;
mod trying;

/// Usable migrations below which nothing but guests' histories is learnt.
pub const USABLE_MIN: usize = 5;

/// Parts that guests are divided into: each is predicted by what the others taught.
const FOLDS: usize = 6;

/// Constants and histories from `past`, in any order.
///
/// With fewer than [`USABLE_MIN`] completed migrations the constants stay the defaults and
/// [`Model::learnt_from`] stays 0. Guests' histories are kept from any number.
pub fn learn(past: &[MigrationTrace]) -> Model {
    let mut ordered: Vec<&MigrationTrace> = past.iter().collect();
    ordered.sort_by(|a, b| (a.record.at, &a.record.id).cmp(&(b.record.at, &b.record.id)));
    let mut model = Model::default();
    for trace in &ordered {
        model.remember(trace);
    }
    let usable: Vec<&MigrationTrace> = ordered.into_iter().filter(|t| is_complete(t)).collect();
    if usable.len() < USABLE_MIN {
        return model;
    }
    model.learnt_from = usable.len();
    model.prior = Prior::learn(past);
    model.rates = Rates::learn(&usable);
    model.content = ContentRule::learn(&shown(&usable, &model.guests));
    model.content.learn_layout(&usable);
    let guests: Vec<&GuestHistory> = model.guests.values().collect();
    model.coding = Coding::learn(&guests, &usable);
    learn_costs(&mut model, &usable);
    trying::learn(&mut model, &usable);
    model
}

/// A model and how well its parts did on guests that they had not seen.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trained {
    /// What was learnt.
    pub model: Model,
    /// Errors by name with the unit last; empty where too little was there to learn from.
    pub metrics: BTreeMap<String, f64>,
}

/// Everything that [`learn`] gives, a correction and bands, with `seed` for whatever is drawn.
pub fn train(past: &[MigrationTrace], seed: u64) -> Trained {
    let mut model = learn(past);
    if model.learnt_from < USABLE_MIN {
        return Trained { model, metrics: BTreeMap::new() };
    }
    let unseen = predicted_unseen(past, seed);
    let examples: Vec<Example> = unseen.iter().map(|one| one.example.clone()).collect();
    let held_out = Correction::held_out(&examples, seed);
    model.correction = Correction::fit(&examples, seed);
    model.bands = bands::learn(&unseen, &held_out);
    Trained { model, metrics: metrics(&unseen, &held_out) }
}

/// Medians of what corrected predictions of unseen guests were off.
fn metrics(unseen: &[Unseen], held_out: &[Residuals]) -> BTreeMap<String, f64> {
    let off = |of: fn(&Residuals) -> f64| -> Vec<f64> {
        let pairs = unseen.iter().zip(held_out);
        pairs.map(|(u, r)| (of(&u.example.residuals) - of(r)).exp_m1().abs()).collect()
    };
    let named = |name: &str, values: Vec<f64>, level: f64| {
        quantile(&sorted(&values), level).map(|value| (name.to_owned(), value))
    };
    [
        named("unseen_time_error_median_share", off(|r| r.time), 0.5),
        named("unseen_time_error_p90_share", off(|r| r.time), 0.9),
        named("unseen_bytes_error_median_share", off(|r| r.bytes), 0.5),
        named("unseen_bytes_error_p90_share", off(|r| r.bytes), 0.9),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A finished migration as a model predicted it that had not seen its guest.
struct Unseen {
    draft: Draft,
    example: Example,
    /// Seconds, bytes and seconds.
    time: f64,
    bytes: f64,
    downtime: f64,
}

/// Every completed migration by models of the other guests: once as that of a stranger, and, where
/// the guest had migrated before, once more with its earlier migrations known. Those that were
/// predicted to hang are left out: what they came to says nothing of the figures "if it
/// converges".
fn predicted_unseen(past: &[MigrationTrace], seed: u64) -> Vec<Unseen> {
    let mut unseen = Vec::new();
    for fold in folds(past, FOLDS, seed) {
        let paths = PathGuess::learn(&fold.learn);
        let stranger = ReplayPredictor { model: learn(&fold.learn) };
        let mut knowing = stranger.clone();
        let mut judged: Vec<&MigrationTrace> = fold.judged.iter().collect();
        judged.sort_by(|a, b| (a.record.at, &a.record.id).cmp(&(b.record.at, &b.record.id)));
        for trace in judged {
            if is_complete(trace) {
                unseen.extend(predict_unseen(&stranger, paths, trace, seed));
                if knowing.model.guests.contains_key(&trace.record.vm) {
                    unseen.extend(predict_unseen(&knowing, paths, trace, seed));
                }
            }
            knowing.model.remember(trace);
        }
    }
    unseen
}

fn predict_unseen(
    predictor: &ReplayPredictor,
    paths: PathGuess,
    trace: &MigrationTrace,
    seed: u64,
) -> Option<Unseen> {
    let record = &trace.record;
    let stats = record.stats?;
    let domain = domain_before(record);
    let request = paths.request(record, &domain, seed);
    let draft = predictor.draft(&request, Some(Residuals::default())).ok()?;
    let (time, bytes) = (stats.total_time.as_seconds_f64(), stats.transferred.as_f64());
    let downtime = stats.downtime.max(Span::from_millis(1)).as_seconds_f64();
    let off = |actual: f64, predicted: f64| (actual / predicted.max(1e-9)).ln();
    let residuals = Residuals {
        time: off(time, draft.stated.time_seconds.p50),
        bytes: off(bytes, draft.stated.bytes.p50),
        downtime: off(downtime, draft.stated.downtime_seconds.p50),
    };
    let finite = residuals.time + residuals.bytes + residuals.downtime;
    if draft.converges.get() < 0.5 || !finite.is_finite() {
        return None;
    }
    let example = Example { vm: record.vm.clone(), features: draft.features, residuals };
    Some(Unseen { draft, example, time, bytes, downtime })
}

/// Whether it arrived and all figures are there that learning divides by.
fn is_complete(trace: &MigrationTrace) -> bool {
    let record = &trace.record;
    record.arrived
        && record.failure.is_none()
        && record.memory > Bytes::ZERO
        && record.stats.is_some_and(|stats| {
            stats.total_time > Span::ZERO
                && stats.transferred > Bytes::ZERO
                && stats.bandwidth.get() > 0
        })
}

/// What migrations showed of their guests' content.
fn shown(usable: &[&MigrationTrace], guests: &BTreeMap<VmId, GuestHistory>) -> Vec<Shown> {
    let one = |trace: &&MigrationTrace| {
        let record = &trace.record;
        let known = guests.get(&record.vm).and_then(|guest| guest.content(record.memory));
        let content = known.or_else(|| {
            let sent = record.stats?.normal_pages.saturating_mul(GUEST_PAGE.get());
            Some(Bytes::new(sent).min(record.memory))
        })?;
        Some(Shown {
            memory: record.memory.as_f64(),
            resident: record.resident.map(Bytes::as_f64),
            content: content.as_f64(),
        })
    };
    usable.iter().filter_map(one).collect()
}

/// Fixed costs, and the downtime that sending the rest does not explain.
fn learn_costs(model: &mut Model, usable: &[&MigrationTrace]) {
    let observations: Vec<CostObservation> =
        usable.iter().filter_map(|trace| outside_copying(trace)).collect();
    let seconds: Vec<f64> =
        observations.iter().map(|o| o.outside_copying.as_seconds_f64()).collect();
    model.costs.learn_fixed(&seconds);
    model.pairs = FixedCosts::fit(&observations);
    let paths = PathGuess::learn(usable.iter().copied());
    // What the default adds to the downtime explains nothing here.
    let costs = Costs { downtime: Span::ZERO, ..model.costs.clone() };
    let predictor = ReplayPredictor { model: Model { costs, ..model.clone() } };
    let unexplained: Vec<_> = usable
        .iter()
        .filter_map(|trace| {
            let record = &trace.record;
            let domain = domain_before(record);
            let request = paths.request(record, &domain, 0);
            let draft = predictor.draft(&request, Some(Residuals::default())).ok()?;
            let off = record.stats?.downtime.as_seconds_f64() - draft.stated.downtime_seconds.p50;
            (draft.converges.get() > 0.5).then_some((record.settings.mode, off))
        })
        .collect();
    model.costs.learn_downtime(&unexplained);
}

/// What a migration took besides sending. QEMU's mean throughput leaves out what comes before the
/// first page (`migration_calculate_complete`), so the time that it does not explain is fixed; the
/// downtime is counted apart.
fn outside_copying(trace: &MigrationTrace) -> Option<CostObservation> {
    let record = &trace.record;
    let stats = record.stats?;
    let sending = stats.transferred.as_f64() / stats.bandwidth.as_f64();
    let outside = stats.total_time.as_seconds_f64() - sending;
    (outside >= 0.0).then(|| CostObservation {
        from: record.from.clone(),
        to: record.to.clone(),
        mode: record.settings.mode,
        transport: record.settings.transport,
        outside_copying: Span::from_seconds_f64(outside),
    })
}
