//! What is left after the correction makes the bands hold.

use whimbrel_core::predict::Quantiles;

use super::Unseen;
use crate::{
    conformal::{Conformal, Score},
    learned::Residuals,
    model::Bands,
};

/// Learns from `unseen` predictions and what a correction that had not seen their guests says of
/// each.
pub(super) fn learn(unseen: &[Unseen], held_out: &[Residuals]) -> Bands {
    let conformal = |of: fn(&Unseen, &Residuals) -> (Quantiles<f64>, f64, f64)| {
        let score = |(unseen, residuals): (&Unseen, &Residuals)| {
            let (quantiles, residual, actual) = of(unseen, residuals);
            let predicted = quantiles.map(|value| value * residual.exp());
            Score { class: unseen.draft.class, predicted, actual, weight: 1.0 }
        };
        Conformal::fit(&unseen.iter().zip(held_out).map(score).collect::<Vec<Score>>())
    };
    Bands {
        time: conformal(|u, r| (u.draft.stated.time_seconds, r.time, u.time)),
        bytes: conformal(|u, r| (u.draft.stated.bytes, r.bytes, u.bytes)),
        downtime: conformal(|u, r| (u.draft.stated.downtime_seconds, r.downtime, u.downtime)),
        scores: unseen.len(),
    }
}
