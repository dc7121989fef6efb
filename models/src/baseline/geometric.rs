//! Rounds that shrink by dirty rate over bandwidth.

use whimbrel_core::predict::{MigrationRequest, PredictError, Prediction, Predictor};

use super::{Constants, certain, readings, rounds::rounds};

/// Every round sends what the one before let get dirty at a constant rate, that of the longest
/// window (Liu et al., "Performance and energy modeling for live migration of virtual machines",
/// HPDC 2011, 10.1145/1996130.1996154: V(i+1) = D T(i)).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GeometricRounds {
    /// Fixed cost, efficiency, memory with content and downtime.
    pub constants: Constants,
}

impl Predictor for GeometricRounds {
    fn predict(&self, request: &MigrationRequest<'_>) -> Result<Prediction, PredictError> {
        let longest =
            readings(request, &self.constants).into_iter().max_by(|(a, _), (b, _)| a.total_cmp(b));
        let rate = longest.map_or(0.0, |(window, unique)| unique / window);
        let figures = rounds(&self.constants, request, |seconds, _| rate * seconds)?;
        Ok(certain("geometric-rounds/2", figures))
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::settings::Mode;

    use super::*;
    use crate::baseline::samples::ask;

    #[test]
    fn rounds_halve_at_half_the_bandwidth() {
        // 800 + 400 + 200 + 100 + 50 + 25 MiB at 80 MiB/s, then 12.5 fit into 24 and go at 400.
        let said = ask(&GeometricRounds::default(), &[(2, 80)], |_| ());
        let seconds = said.total_time.p50.as_seconds_f64();
        assert!((19.6..19.9).contains(&seconds), "{seconds}");
        let downtime = said.downtime.p50.as_seconds_f64();
        assert!((0.030..0.033).contains(&downtime), "{downtime}");
        assert!(said.likely_converges());
    }

    #[test]
    fn a_rate_above_the_bandwidth_never_ends_unless_it_is_slowed_or_fetched() {
        let model = GeometricRounds::default();
        let hung = ask(&model, &[(2, 180)], |_| ());
        assert!(!hung.likely_converges());
        let needed = hung.stall.unwrap().downtime_limit_needed.as_seconds_f64();
        assert!((10.0..10.1).contains(&needed), "{needed}");
        assert!(ask(&model, &[(2, 180)], |s| s.mode = Mode::AutoConverge).likely_converges());
        let post = ask(&model, &[(2, 180)], |s| s.mode = Mode::PostCopy);
        assert!(post.likely_converges());
        let seconds = post.total_time.p50.as_seconds_f64();
        assert!((20.0..20.1).contains(&seconds), "one pass and all of it again: {seconds}");
        let at_once = ask(&model, &[(2, 180)], |s| {
            s.mode = Mode::PostCopy;
            s.reads_before_post_copy = 0;
        });
        assert!((at_once.total_time.p50.as_seconds_f64() - 10.02).abs() < 0.02);
    }
}
