//! How good predictions were.
//!
//! Judges by what a migration came to, per prediction and never by an average of signed errors,
//! where faults cancel. Downtime is judged in milliseconds: a relative error of 10 ms means
//! nothing.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::CompletedStats,
    predict::{Prediction, Quantiles},
    units::Span,
};

use crate::quantile::{quantile, sorted};

/// A summary of predictions against what happened. Errors are relative to the actual figure:
/// 0.1 is 10 %. Figures without any data are absent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// What predicted.
    pub predictor: String,
    /// Pairs that were judged.
    pub pairs: usize,
    /// Median absolute relative error of total time.
    pub time_error_median: Option<f64>,
    /// Its 90 % quantile.
    pub time_error_p90: Option<f64>,
    /// Median absolute relative error of bytes.
    pub bytes_error_median: Option<f64>,
    /// Its 90 % quantile.
    pub bytes_error_p90: Option<f64>,
    /// 90 % quantile of the absolute error of downtime.
    pub downtime_error_p90: Option<Span>,
    /// Part of the actual total times inside the bands.
    pub coverage: Coverage,
    /// Predicted to converge and never did: the costly error.
    pub false_converges: usize,
    /// Predicted to hang and converged.
    pub false_stalls: usize,
}

/// Part of the actual figures inside the predicted bands, 0..=1; absent without data.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Inside the 50 % band.
    pub band50: Option<f64>,
    /// Inside the 90 % band.
    pub band90: Option<f64>,
    /// Inside the 95 % band.
    pub band95: Option<f64>,
}

/// Judges `pairs` of a prediction and its outcome, `None` for a migration that did not converge.
///
/// Errors and coverage are of those that converged, whatever was predicted of them.
pub fn evaluate(predictor: &str, pairs: &[(Prediction, Option<CompletedStats>)]) -> Evaluation {
    let ended: Vec<(&Prediction, CompletedStats)> =
        pairs.iter().filter_map(|(p, actual)| actual.map(|a| (p, a))).collect();
    let time = relative_errors(&ended, |p, a| {
        (p.total_time.p50.as_seconds_f64(), a.total_time.as_seconds_f64())
    });
    let bytes =
        relative_errors(&ended, |p, a| (p.transferred.p50.as_f64(), a.transferred.as_f64()));
    let downtime: Vec<f64> = ended
        .iter()
        .map(|(p, a)| (p.downtime.p50.as_seconds_f64() - a.downtime.as_seconds_f64()).abs())
        .collect();
    Evaluation {
        predictor: predictor.to_owned(),
        pairs: pairs.len(),
        time_error_median: quantile(&time, 0.5),
        time_error_p90: quantile(&time, 0.9),
        bytes_error_median: quantile(&bytes, 0.5),
        bytes_error_p90: quantile(&bytes, 0.9),
        downtime_error_p90: quantile(&sorted(&downtime), 0.9).map(Span::from_seconds_f64),
        coverage: coverage(&ended),
        false_converges: pairs
            .iter()
            .filter(|(p, actual)| actual.is_none() && p.likely_converges())
            .count(),
        false_stalls: ended.iter().filter(|(p, _)| !p.likely_converges()).count(),
    }
}

/// Absolute relative errors in rising order; pairs whose actual figure is 0 are left out.
fn relative_errors(
    ended: &[(&Prediction, CompletedStats)],
    of: impl Fn(&Prediction, &CompletedStats) -> (f64, f64),
) -> Vec<f64> {
    let errors: Vec<f64> = ended
        .iter()
        .map(|(p, a)| of(p, a))
        .filter(|(_, actual)| *actual > 0.0)
        .map(|(predicted, actual)| (predicted / actual - 1.0).abs())
        .collect();
    sorted(&errors)
}

fn coverage(ended: &[(&Prediction, CompletedStats)]) -> Coverage {
    let part = |band: fn(&Quantiles<Span>) -> (Span, Span)| {
        let inside = ended
            .iter()
            .filter(|(p, a)| {
                let (low, high) = band(&p.total_time);
                (low..=high).contains(&a.total_time)
            })
            .count();
        (!ended.is_empty()).then(|| inside as f64 / ended.len() as f64)
    };
    Coverage {
        band50: part(|q| (q.p25, q.p75)),
        band90: part(|q| (q.p05, q.p95)),
        band95: part(|q| (q.p025, q.p975)),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::{Bytes, Share};

    use super::*;

    fn predicted(seconds: [u64; 7], converges: f64) -> Prediction {
        Prediction {
            model: String::new(),
            converges: Share::clamped(converges),
            total_time: Quantiles::from_array(seconds.map(Span::from_seconds)),
            transferred: Quantiles::from_array([Bytes::mib(100); 7]),
            downtime: Quantiles::from_array([Span::from_millis(50); 7]),
            stall: None,
            caveats: Vec::new(),
        }
    }

    fn actual(seconds: u64) -> CompletedStats {
        CompletedStats {
            total_time: Span::from_seconds(seconds),
            transferred: Bytes::mib(80),
            downtime: Span::from_millis(80),
            ..CompletedStats::default()
        }
    }

    #[test]
    fn errors_coverage_and_verdicts_are_counted() {
        let band = [5, 6, 8, 10, 12, 16, 20];
        let pairs = [
            (predicted(band, 1.0), Some(actual(10))),
            (predicted(band, 0.9), Some(actual(16))),
            (predicted(band, 0.2), Some(actual(40))),
            (predicted(band, 0.8), None),
            (predicted(band, 0.1), None),
        ];
        let evaluation = evaluate("x", &pairs);
        assert_eq!(evaluation.pairs, 5);
        assert!((evaluation.time_error_median.unwrap() - 0.375).abs() < 1e-9);
        assert!((evaluation.bytes_error_p90.unwrap() - 0.25).abs() < 1e-9);
        assert_eq!(evaluation.downtime_error_p90, Some(Span::from_millis(30)));
        let third = 1.0 / 3.0;
        assert!((evaluation.coverage.band50.unwrap() - third).abs() < 1e-9);
        assert!((evaluation.coverage.band90.unwrap() - 2.0 * third).abs() < 1e-9);
        assert_eq!((evaluation.false_converges, evaluation.false_stalls), (1, 1));
    }

    #[test]
    fn nothing_judged_gives_no_figures() {
        let evaluation = evaluate("x", &[]);
        assert_eq!(evaluation.time_error_median, None);
        assert_eq!(evaluation.coverage.band90, None);
    }
}
