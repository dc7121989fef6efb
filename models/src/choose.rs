//! Choosing how and when to migrate: settings, prediction, time-out and the reason in one value.
//!
//! A choice keeps the caller's limits with the confidence that the caller asks for, and among what
//! keeps them costs the least by the caller's weights; where costs are equal to a few percent the
//! simpler and safer setting wins. Where nothing keeps the limits, the least bad is named together
//! with what it misses. The same question gets the same answer.
//!
//! Never proposes what QEMU refuses, and post-copy only where the priorities admit it. Never
//! changes how the stream is protected, and never exceeds a cap that the caller has set.

use serde::Serialize;
use thiserror::Error;
use whimbrel_core::{
    predict::{MigrationRequest, PredictError, Prediction, Predictor},
    settings::{MigrationSettings, SettingsConflict},
    units::Span,
};

mod pick;
mod priorities;
mod search;
mod sentence;
mod space;
#[cfg(test)]
mod tests;
mod verdict;

pub use priorities::{Confidence, Preset, Priorities, Safety, Weights};
pub use sentence::describe;
pub use space::{Space, Way};
pub use verdict::{Miss, Why};

/// A moment at which the migration could start, and what would be asked of it then.
#[derive(Debug, Clone)]
pub struct Occasion<'a> {
    /// Wait before the start. A deadline counts it.
    pub starts_in: Span,
    /// The request as it would be then: level of dirtying, bandwidth, sharing. Its settings are
    /// the template: what no axis of the space covers stays as they have it.
    pub request: MigrationRequest<'a>,
    /// Whether the link between source and target is known to hold: no loss, no flapping.
    pub link_steady: bool,
}

/// What was chosen and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Choice {
    /// How to migrate.
    pub settings: MigrationSettings,
    /// What that is expected to cost.
    pub prediction: Prediction,
    /// What it weighs by the priorities; comparable within one choice only.
    pub cost: f64,
    /// Wait before the start.
    pub starts_in: Span,
    /// After how long it should be given up, in whole seconds: longer than 39 in 40 take.
    pub timeout: Span,
    /// Limits that it does not keep; empty where it keeps all.
    pub misses: Vec<Miss>,
    /// The choice in a sentence, with figures and the runner-up.
    pub sentence: String,
    /// The best of every other kind of setting, best first, and why it was not taken.
    pub rejected: Vec<Rejected>,
}

/// A setting that was not taken.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rejected {
    /// How it would have been migrated.
    pub settings: MigrationSettings,
    /// What that was expected to cost, where it was predicted.
    pub prediction: Option<Prediction>,
    /// Why not.
    pub why: Why,
}

/// Why there is no choice.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChooseError {
    /// Nothing to choose from.
    #[error("no start time was given to choose from (hint: give at least one, now)")]
    NoOccasion,
    /// Nothing in the space and its template passes QEMU's checks.
    #[error("QEMU accepts none of the settings to choose from: {conflict}")]
    AllConflict {
        /// What is wrong with the template.
        conflict: SettingsConflict,
    },
    /// The priorities exclude every setting.
    #[error(
        "only post-copy is left to choose from, and the priorities exclude it \
         (hint: add pre-copy to the space or allow post-copy)"
    )]
    AllExcluded,
    /// No prediction.
    #[error(transparent)]
    Predict(#[from] PredictError),
}

/// Chooses how to migrate now.
///
/// # Errors
/// [`ChooseError`] where nothing can be predicted.
pub fn choose<P: Predictor + ?Sized>(
    predictor: &P,
    request: &MigrationRequest<'_>,
    link_steady: bool,
    priorities: &Priorities,
    space: &Space,
) -> Result<Choice, ChooseError> {
    let now = Occasion { starts_in: Span::ZERO, request: request.clone(), link_steady };
    choose_when(predictor, &[now], priorities, space)
}

/// Chooses how and when to migrate: among all settings at all `occasions`.
///
/// # Errors
/// [`ChooseError`] where nothing can be predicted.
pub fn choose_when<P: Predictor + ?Sized>(
    predictor: &P,
    occasions: &[Occasion<'_>],
    priorities: &Priorities,
    space: &Space,
) -> Result<Choice, ChooseError> {
    let first = occasions.first().ok_or(ChooseError::NoOccasion)?;
    let mut search = search::Search::new(predictor, priorities);
    for occasion in occasions {
        search.occasion(occasion, space);
    }
    let found = search.finish();
    pick::pick(found).map_err(|error| match first.request.settings.check(first.request.qemu) {
        Err(conflict) => ChooseError::AllConflict { conflict },
        Ok(()) => error.map_or(ChooseError::AllExcluded, ChooseError::Predict),
    })
}
