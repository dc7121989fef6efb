//! What makes a prediction less certain than usual, in plain words.

use whimbrel_core::units::Span;

use super::ground::Ground;
use crate::curve::{evidence::Basis, fit::CurveFit};

/// Readings older than this are called old.
const OLD_SECONDS: u64 = 300;

/// A shortest window longer than this leaves the last rounds of a migration unmeasured.
const SHORT_WINDOW_SECONDS: f64 = 2.5;

/// The caveat of figures that hold for another downtime limit than the one asked for.
pub(super) fn needs_limit(limit: Span) -> String {
    format!(
        "does not converge under these settings: times and bytes are those with a downtime \
         limit of about {}",
        limit.human()
    )
}

impl Ground<'_> {
    pub(super) fn caveats(&self) -> Vec<String> {
        let mut caveats = Vec::new();
        if let Some(fit) = &self.writes {
            self.of_writes(fit, &mut caveats);
        }
        if self.past.is_none() {
            let resident = self.request.domain.resident.is_some();
            let from = if resident { "its process's size" } else { "its memory" };
            caveats
                .push(format!("never migrated before: memory with content is guessed from {from}"));
        }
        if self.model.learnt_from == 0 {
            caveats.push("not calibrated on this cluster: fixed costs are defaults".to_owned());
        }
        caveats
    }

    fn of_writes(&self, fit: &CurveFit, caveats: &mut Vec<String>) {
        match fit.basis() {
            Basis::Similar { guests } => {
                caveats
                    .push(format!("no dirty reading: a wide guess from {guests} similar guests"));
                return;
            }
            Basis::Assumed => {
                caveats.push("no dirty reading: a rate is assumed, a wide guess".to_owned());
                return;
            }
            Basis::ReadingsAgainstPast => {
                caveats.push("it writes at another level than in its past migrations".to_owned());
            }
            Basis::Readings | Basis::Past | Basis::ReadingsAndPast => {}
        }
        let age = self.request.now.since(fit.newest());
        if age > Span::from_seconds(OLD_SECONDS) {
            caveats.push(format!("dirty readings are {} old", age.human()));
        }
        if fit.basis() != Basis::Readings {
            return;
        }
        let (shortest, longest) = fit.reach_seconds();
        if shortest > SHORT_WINDOW_SECONDS {
            caveats.push(format!(
                "no dirty reading shorter than {shortest:.0} s: the last rounds are extrapolated"
            ));
        }
        if (longest - shortest).abs() < f64::EPSILON {
            caveats.push(
                "dirty readings of one window only: the size of the writable working set is not \
                 known"
                    .to_owned(),
            );
        }
    }
}
