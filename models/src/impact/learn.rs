//! Learning the weights of an [`ImpactModel`] from guests whose throughput was measured.

use whimbrel_core::units::Share;

use super::{Causes, Course, ImpactModel};

/// A migration of which the guest's loss was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Felt {
    /// What happened to the guest.
    pub course: Course,
    /// Part of its work before the migration that it did not get done during it.
    pub loss: Share,
}

/// Observations that the model at hand counts as: a weight moves away from it only as far as more
/// than that speak for it.
const PRIOR_OBSERVATIONS: f64 = 2.0;

/// Rounds of descent; three weights settle in a few dozen.
const ROUNDS: u32 = 200;

impl ImpactModel {
    /// This model with weights that fit `observations` better: least squares with the present
    /// weights as a prior, each weight held in 0..=1. Without observations it stays as it is.
    ///
    /// The prior is weighed per cause by the size that the cause had when it was measured, so
    /// that a cause which no observation shows keeps its weight.
    #[must_use]
    pub fn fit(&self, observations: &[Felt]) -> Self {
        if observations.is_empty() {
            return self.clone();
        }
        let rows: Vec<([f64; 3], f64)> = observations
            .iter()
            .map(|felt| {
                let Causes { logging, throttling, waiting } = self.causes(&felt.course);
                ([logging, throttling, waiting], felt.loss.get())
            })
            .collect();
        let busy = self.busy_unknown.get();
        let scale = [busy, busy * 0.3, 0.1];
        let prior = [self.logging, self.throttling, self.waiting];
        let mut weights = prior;
        for _ in 0..ROUNDS {
            for cause in 0..3 {
                weights[cause] = best(cause, &weights, &prior, &scale, &rows);
            }
        }
        let [logging, throttling, waiting] = weights;
        let learnt_from = self.learnt_from + observations.len();
        Self { learnt_from, logging, throttling, waiting, ..self.clone() }
    }
}

/// The best weight of one cause while the others stay.
fn best(
    cause: usize,
    weights: &[f64; 3],
    prior: &[f64; 3],
    scale: &[f64; 3],
    rows: &[([f64; 3], f64)],
) -> f64 {
    let strength = PRIOR_OBSERVATIONS * scale[cause] * scale[cause];
    let (mut above, mut below) = (strength * prior[cause], strength);
    for (row, loss) in rows {
        let told: f64 = row.iter().zip(weights).map(|(size, weight)| size * weight).sum();
        let without = told - row[cause] * weights[cause];
        above += row[cause] * (loss - without);
        below += row[cause] * row[cause];
    }
    if below > 0.0 { (above / below).clamp(0.0, 1.0) } else { prior[cause] }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::Span;

    use super::*;

    fn felt(busy: f64, throttle: f64, loss: f64) -> Felt {
        let course = Course {
            time: Span::from_seconds(30),
            throttle: Share::clamped(throttle),
            faults: 0,
            vcpus: 2,
            busy: Some(Share::clamped(busy)),
        };
        Felt { course, loss: Share::clamped(loss) }
    }

    #[test]
    fn many_observations_outweigh_the_defaults_and_unseen_causes_keep_theirs() {
        let truth = |busy, throttle| felt(busy, throttle, 0.3 * busy + 0.5 * busy * throttle);
        let seen: Vec<_> =
            (0..60).map(|i| truth(f64::from(i % 6) / 5.0, f64::from(i % 4) / 4.0)).collect();
        let learnt = ImpactModel::default().fit(&seen);
        assert!((learnt.logging - 0.3).abs() < 0.02, "{learnt:?}");
        assert!((learnt.throttling - 0.5).abs() < 0.05, "{learnt:?}");
        assert!((learnt.waiting - ImpactModel::default().waiting).abs() < 1e-12);
        assert_eq!(learnt.learnt_from, 60);
    }

    #[test]
    fn nothing_teaches_nothing() {
        let model = ImpactModel::default();
        assert_eq!(model.fit(&[]), model);
        let idle = model.fit(&[felt(0.0, 0.0, 1.0)]);
        assert!((idle.logging - model.logging).abs() < 1e-12);
    }
}
