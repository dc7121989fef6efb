//! What a prediction is worth: limits that it misses and what it weighs.

use serde::Serialize;
use whimbrel_core::{
    predict::Prediction,
    settings::{MigrationSettings, Mode},
    units::{Share, Span},
};

use super::{Confidence, Priorities};
use crate::impact::ImpactModel;

/// A limit that is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Miss {
    /// It ends by itself less surely than asked.
    Converges {
        /// How surely it does.
        share: Share,
        /// How surely it should.
        needed: Share,
    },
    /// It arrives too late.
    Deadline {
        /// When it arrives, at the asked confidence, the wait before the start included.
        expected: Span,
        /// When it should.
        limit: Span,
    },
    /// It stops the guest for too long.
    Downtime {
        /// For how long, at the asked confidence.
        expected: Span,
        /// How long it may.
        limit: Span,
    },
}

/// Why a setting was not taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It keeps the limits and costs more, or as much with more features.
    Dearer {
        /// What it weighs.
        cost: f64,
    },
    /// It misses limits.
    Misses(Vec<Miss>),
    /// The priorities avoid post-copy.
    PostCopyAvoided,
    /// The priorities want a steady link for post-copy, and this one is not called so.
    LinkNotSteady,
    /// The predictor has no answer.
    NotPredicted(String),
}

/// Weight of missing convergence against exceeding a limit: 5 % less sure is as bad as a limit
/// that is exceeded by all of itself.
const UNSURE_WEIGHT: f64 = 20.0;

/// Below this probability the figures of a prediction belong to other settings.
const FIGURES_HOLD: f64 = 0.5;

/// Loss of a guest's work that a prediction implies where its predictor does not say.
fn loss(settings: &MigrationSettings, prediction: &Prediction) -> f64 {
    match &prediction.impact {
        Some(impact) => impact.throughput_loss.get(),
        None => ImpactModel::default().presumed(settings).get(),
    }
}

/// Work that the guest does not get done.
fn lost_guest_seconds(settings: &MigrationSettings, prediction: &Prediction) -> f64 {
    loss(settings, prediction) * prediction.total_time.p50.as_seconds_f64()
}

/// What `prediction` weighs. What may not converge may have to be repeated.
pub(super) fn cost(
    priorities: &Priorities,
    settings: &MigrationSettings,
    prediction: &Prediction,
) -> f64 {
    /// Of a hopeless one.
    const CONVERGES_MIN: f64 = 0.01;
    let once = priorities.weights.sound().cost(
        prediction.downtime.p50,
        prediction.total_time.p50,
        prediction.transferred.p50,
        lost_guest_seconds(settings, prediction),
    );
    once / prediction.converges.get().max(CONVERGES_MIN)
}

/// The least that a setting may weigh which is no faster than `fast` and stops the guest no
/// shorter than `downtime`.
pub(super) fn least_cost(
    priorities: &Priorities,
    fast: (&MigrationSettings, &Prediction),
    downtime: Span,
) -> f64 {
    let (settings, prediction) = fast;
    priorities.weights.sound().cost(
        downtime,
        prediction.total_time.p50,
        prediction.transferred.p50,
        lost_guest_seconds(settings, prediction),
    )
}

/// Whether it converges as surely as asked.
pub(super) fn sure(confidence: Confidence, prediction: &Prediction) -> bool {
    prediction.converges.get() >= confidence.level().get()
}

/// Limits that `prediction` misses.
pub(super) fn misses(
    priorities: &Priorities,
    starts_in: Span,
    prediction: &Prediction,
) -> Vec<Miss> {
    let confidence = priorities.confidence;
    let mut misses = Vec::new();
    if !sure(confidence, prediction) {
        misses.push(Miss::Converges { share: prediction.converges, needed: confidence.level() });
    }
    if prediction.converges.get() < FIGURES_HOLD {
        return misses;
    }
    let expected = starts_in + confidence.of(&prediction.total_time);
    if let Some(limit) = priorities.deadline.filter(|limit| expected > *limit) {
        misses.push(Miss::Deadline { expected, limit });
    }
    let expected = confidence.of(&prediction.downtime);
    if let Some(limit) = priorities.downtime_max.filter(|limit| expected > *limit) {
        misses.push(Miss::Downtime { expected, limit });
    }
    misses
}

/// How bad `misses` are together; 0 for none.
pub(super) fn severity(misses: &[Miss]) -> f64 {
    let exceeds = |expected: Span, limit: Span| {
        expected.saturating_sub(limit).as_seconds_f64() / limit.as_seconds_f64().max(1e-3)
    };
    misses
        .iter()
        .map(|miss| match miss {
            Miss::Converges { share, needed } => {
                UNSURE_WEIGHT * (needed.get() - share.get()).max(0.0)
            }
            Miss::Deadline { expected, limit } | Miss::Downtime { expected, limit } => {
                exceeds(*expected, *limit)
            }
        })
        .sum()
}

/// How special `settings` are: features beyond one plain pre-copy stream with the template's
/// limits. The number of channels tells apart what is equal in that.
pub(super) fn oddity(settings: &MigrationSettings, template: &MigrationSettings) -> u32 {
    let mode = match settings.mode {
        Mode::PreCopy => 0,
        Mode::AutoConverge => 2,
        Mode::PostCopy => 4,
    };
    let features = [
        settings.compression != whimbrel_core::settings::Compression::None,
        settings.channels > 1,
        settings.bandwidth_limit != template.bandwidth_limit,
        settings.downtime_limit != template.downtime_limit,
    ];
    let features = mode + features.into_iter().filter(|one| *one).map(u32::from).sum::<u32>();
    1000 * features + u32::from(settings.channels)
}
