//! How good predictions were.
//!
//! Judges by what a migration came to, per prediction and never by an average of signed errors,
//! where faults cancel. Downtime is judged in milliseconds: a relative error of 10 ms means
//! nothing.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::CompletedStats,
    predict::{Prediction, Quantiles},
    units::{Bytes, Span},
};

use crate::quantile::{quantile, sorted};

/// A summary of predictions against what happened. Errors are relative to the actual figure:
/// 0.1 is 10 %. Figures without any data are absent.
///
/// Errors, coverage and widths are of migrations that arrived and were predicted to; what was
/// said of the others is in the counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// What predicted.
    pub predictor: String,
    /// Pairs that were judged.
    pub pairs: usize,
    /// Those that arrived and were predicted to.
    pub arrived_as_predicted: usize,
    /// Median absolute relative error of total time.
    pub time_error_median: Option<f64>,
    /// Its 90 % quantile.
    pub time_error_p90: Option<f64>,
    /// Median absolute relative error of bytes.
    pub bytes_error_median: Option<f64>,
    /// Its 90 % quantile.
    pub bytes_error_p90: Option<f64>,
    /// Median absolute error of downtime.
    pub downtime_error_median: Option<Span>,
    /// Its 90 % quantile.
    pub downtime_error_p90: Option<Span>,
    /// Part of the actual total times inside their bands.
    pub coverage: Coverage,
    /// Part of the actual bytes inside their bands.
    pub bytes_coverage: Coverage,
    /// Part of the actual downtimes inside their bands.
    pub downtime_coverage: Coverage,
    /// Predicted to converge and never did: the costly error.
    pub false_converges: usize,
    /// Their part of all pairs, 0..=1.
    pub false_converges_share: Option<f64>,
    /// Predicted to hang and arrived.
    pub false_stalls: usize,
    /// Predicted to hang and given up.
    pub foreseen_stalls: usize,
    /// Of those predicted to hang, the part that did, 0..=1.
    pub stall_precision: Option<f64>,
    /// Of those given up, the part that was predicted to hang, 0..=1.
    pub stall_recall: Option<f64>,
}

/// Part of the actual figures inside the predicted bands, 0..=1, and how wide those are; absent
/// without data, and for predictors that state a single figure.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Coverage {
    /// Inside the 50 % band.
    pub band50: Option<f64>,
    /// Inside the 90 % band.
    pub band90: Option<f64>,
    /// Inside the 95 % band.
    pub band95: Option<f64>,
    /// Mean width of the 90 % band over its median; smaller is sharper.
    pub width90: Option<f64>,
}

/// A prediction and what came of it.
type Ended<'a> = (&'a Prediction, CompletedStats);

/// What came of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It arrived.
    Arrived(CompletedStats),
    /// It had not ended by itself after so long.
    GaveUp(Span),
}

impl Came {
    fn arrived(&self) -> Option<CompletedStats> {
        match self {
            Self::Arrived(stats) => Some(*stats),
            Self::GaveUp(_) => None,
        }
    }

    /// Whether `predicted` says that it ends: more likely than not, and within the time that a
    /// migration was given that was given up.
    pub fn is_predicted_to_end(&self, predicted: &Prediction) -> bool {
        let in_time = match self {
            Self::Arrived(_) => true,
            Self::GaveUp(after) => predicted.total_time.p50 <= *after,
        };
        predicted.likely_converges() && in_time
    }
}

/// Judges `pairs` of a prediction and what came of it.
pub fn evaluate(predictor: &str, pairs: &[(Prediction, Came)]) -> Evaluation {
    let ended: Vec<Ended<'_>> = pairs
        .iter()
        .filter(|(p, _)| p.likely_converges())
        .filter_map(|(p, came)| came.arrived().map(|a| (p, a)))
        .collect();
    let count = |arrived: bool, predicted: bool| {
        let same = |(p, came): &&(Prediction, Came)| {
            came.arrived().is_some() == arrived && came.is_predicted_to_end(p) == predicted
        };
        pairs.iter().filter(same).count()
    };
    let (false_converges, false_stalls) = (count(false, true), count(true, false));
    let foreseen_stalls = count(false, false);
    let time =
        relative_errors(&ended, |p, a| (seconds(&p.total_time), a.total_time.as_seconds_f64()));
    let bytes =
        relative_errors(&ended, |p, a| (p.transferred.p50.as_f64(), a.transferred.as_f64()));
    let downtime: Vec<f64> = ended
        .iter()
        .map(|(p, a)| (seconds(&p.downtime) - a.downtime.as_seconds_f64()).abs())
        .collect();
    let downtime = sorted(&downtime);
    Evaluation {
        predictor: predictor.to_owned(),
        pairs: pairs.len(),
        arrived_as_predicted: ended.len(),
        time_error_median: quantile(&time, 0.5),
        time_error_p90: quantile(&time, 0.9),
        bytes_error_median: quantile(&bytes, 0.5),
        bytes_error_p90: quantile(&bytes, 0.9),
        downtime_error_median: quantile(&downtime, 0.5).map(Span::from_seconds_f64),
        downtime_error_p90: quantile(&downtime, 0.9).map(Span::from_seconds_f64),
        coverage: coverage(&ended, |p, a| {
            (p.total_time.map(Span::as_micros), a.total_time.as_micros())
        }),
        bytes_coverage: coverage(&ended, |p, a| {
            (p.transferred.map(Bytes::get), a.transferred.get())
        }),
        downtime_coverage: coverage(&ended, |p, a| {
            (p.downtime.map(Span::as_micros), a.downtime.as_micros())
        }),
        false_converges,
        false_converges_share: share(false_converges, pairs.len()),
        false_stalls,
        foreseen_stalls,
        stall_precision: share(foreseen_stalls, foreseen_stalls + false_stalls),
        stall_recall: share(foreseen_stalls, foreseen_stalls + false_converges),
    }
}

fn seconds(of: &Quantiles<Span>) -> f64 {
    of.p50.as_seconds_f64()
}

/// `part` of `whole`; `None` of nothing.
fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// Absolute relative errors in rising order; pairs whose actual figure is 0 are left out.
fn relative_errors(
    ended: &[Ended<'_>],
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

fn coverage(
    ended: &[Ended<'_>],
    of: impl Fn(&Prediction, &CompletedStats) -> (Quantiles<u64>, u64),
) -> Coverage {
    let pairs: Vec<(Quantiles<u64>, u64)> = ended.iter().map(|(p, a)| of(p, a)).collect();
    // Who states a band anywhere is held to all of them.
    if pairs.iter().all(|(q, _)| q.p025 == q.p975) {
        return Coverage::default();
    }
    let part = |band: fn(&Quantiles<u64>) -> (u64, u64)| {
        let inside = |(q, actual): &&(Quantiles<u64>, u64)| {
            let (low, high) = band(q);
            (low..=high).contains(actual)
        };
        share(pairs.iter().filter(inside).count(), pairs.len())
    };
    let widths: Vec<f64> = pairs
        .iter()
        .filter(|(q, _)| q.p50 > 0)
        .map(|(q, _)| q.p95.saturating_sub(q.p05) as f64 / q.p50 as f64)
        .collect();
    Coverage {
        band50: part(|q| (q.p25, q.p75)),
        band90: part(|q| (q.p05, q.p95)),
        band95: part(|q| (q.p025, q.p975)),
        width90: (!widths.is_empty()).then(|| widths.iter().sum::<f64>() / widths.len() as f64),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::Share;

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
            impact: None,
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
            (predicted(band, 1.0), Came::Arrived(actual(10))),
            (predicted(band, 0.9), Came::Arrived(actual(16))),
            (predicted(band, 0.2), Came::Arrived(actual(40))),
            (predicted(band, 0.8), Came::GaveUp(Span::from_seconds(30))),
            // Nobody waited as long as it was said to take.
            (predicted(band, 0.8), Came::GaveUp(Span::from_seconds(9))),
            (predicted(band, 0.1), Came::GaveUp(Span::from_seconds(30))),
        ];
        let evaluation = evaluate("x", &pairs);
        assert_eq!((evaluation.pairs, evaluation.arrived_as_predicted), (6, 2));
        assert!((evaluation.time_error_median.unwrap() - 0.1875).abs() < 1e-9);
        assert!((evaluation.bytes_error_p90.unwrap() - 0.25).abs() < 1e-9);
        assert_eq!(evaluation.downtime_error_p90, Some(Span::from_millis(30)));
        assert_eq!(evaluation.coverage.band50, Some(0.5));
        assert_eq!(evaluation.coverage.band90, Some(1.0));
        assert!((evaluation.coverage.width90.unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(evaluation.bytes_coverage, Coverage::default(), "a single figure has no band");
        assert_eq!((evaluation.false_converges, evaluation.false_stalls), (1, 1));
        assert_eq!(evaluation.false_converges_share, Some(1.0 / 6.0));
        assert_eq!(evaluation.stall_precision, Some(2.0 / 3.0));
        assert_eq!(evaluation.stall_recall, Some(2.0 / 3.0));
    }

    #[test]
    fn nothing_judged_gives_no_figures() {
        let evaluation = evaluate("x", &[]);
        assert_eq!(evaluation.time_error_median, None);
        assert_eq!(evaluation.coverage.band90, None);
        assert_eq!(evaluation.false_converges_share, None);
    }
}
