//! What makes a prediction less certain than usual, in plain words.

use whimbrel_core::units::Span;

use super::{Ground, Writes};

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
        let domain = self.request.domain;
        match &self.writes {
            Writes::Read(fit) => {
                let age = self.request.now.since(fit.newest());
                if age > Span::from_seconds(OLD_SECONDS) {
                    caveats.push(format!("dirty readings are {} old", age.human()));
                }
                let (shortest, longest) = fit.reach_seconds();
                if shortest > SHORT_WINDOW_SECONDS {
                    caveats.push(format!(
                        "no dirty reading shorter than {shortest:.0} s: the last rounds are \
                         extrapolated"
                    ));
                }
                if (longest - shortest).abs() < f64::EPSILON {
                    caveats.push(
                        "dirty readings of one window only: the size of the writable working set \
                         is not known"
                            .to_owned(),
                    );
                }
            }
            Writes::Unread => caveats.push(format!(
                "no dirty reading: assumes about {} dirtied, a wide guess",
                self.calibration.unread_rate.human()
            )),
            Writes::None => {}
        }
        if !self.calibration.guests.contains_key(&domain.vm) {
            let from = if domain.resident.is_some() { "its process's size" } else { "its memory" };
            caveats
                .push(format!("never migrated before: memory with content is guessed from {from}"));
        }
        if self.calibration.learnt_from == 0 {
            caveats.push("not calibrated on this cluster: fixed costs are defaults".to_owned());
        }
        caveats
    }
}
