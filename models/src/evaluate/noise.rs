//! How far repetitions of one and the same migration differ: what no predictor can beat.
//!
//! Rows with equal guest, settings, path and sharing are repetitions. Each is predicted by the
//! median of the others, which is what a predictor would say that knows everything but chance.

use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Bytes, Span};

use super::report::Row;
use crate::quantile::{median, quantile, sorted};

/// Repetitions below which a group is left out: with one other only, its own chance error would
/// count as the floor's.
const REPETITIONS_MIN: usize = 3;

/// The error of repetitions, and a predictor's on the very same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseFloor {
    /// Rows that have repetitions, arrived and were predicted to.
    pub rows: usize,
    /// Of each row against the median of the others of its group.
    pub floor: NoiseErrors,
    /// The predictor's.
    pub own: NoiseErrors,
    /// The predictor's median error of time over the floor's: 1 is as good as repetition. Absent
    /// where repetitions do not differ.
    pub ratio: Option<f64>,
}

/// Medians and 90 % quantiles of absolute errors; those of time and bytes relative (0.1 is 10 %).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoiseErrors {
    /// Of total time, median.
    pub time_median: f64,
    /// Of total time, 90 % quantile.
    pub time_p90: f64,
    /// Of bytes, median.
    pub bytes_median: f64,
    /// Of bytes, 90 % quantile.
    pub bytes_p90: f64,
    /// Of downtime, median.
    pub downtime_median: Span,
    /// Of downtime, 90 % quantile.
    pub downtime_p90: Span,
}

/// Errors of one row: of time and bytes relative, of downtime in seconds.
type Errors = [f64; 3];

impl NoiseFloor {
    /// Of `rows`; `None` without repetitions.
    pub(super) fn of(rows: &[Row]) -> Option<Self> {
        let counted: Vec<&Row> = rows.iter().filter(|row| row.time_error().is_some()).collect();
        let mut floor = Vec::new();
        let mut own = Vec::new();
        let mut groups: Vec<Vec<&Row>> = Vec::new();
        for row in counted {
            match groups.iter_mut().find(|group| group.first().is_some_and(|r| repeats(r, row))) {
                Some(group) => group.push(row),
                None => groups.push(vec![row]),
            }
        }
        for group in groups.iter().filter(|group| group.len() >= REPETITIONS_MIN) {
            for (at, row) in group.iter().enumerate() {
                let others = group.iter().enumerate().filter(|(other, _)| *other != at);
                let others: Vec<[f64; 3]> = others.filter_map(|(_, r)| actual(r)).collect();
                let column = |of: usize| {
                    let values: Vec<f64> =
                        others.iter().filter_map(|r| r.get(of).copied()).collect();
                    median(&values)
                };
                let expected = (column(0), column(1), column(2));
                if let ((Some(time), Some(bytes), Some(downtime)), Some(actual)) =
                    (expected, actual(row))
                {
                    floor.push(errors([time, bytes, downtime], actual));
                    own.push(errors(predicted(row), actual));
                }
            }
        }
        let (rows, floor, own) = (floor.len(), summary(&floor)?, summary(&own)?);
        let ratio = (floor.time_median > 0.0).then(|| own.time_median / floor.time_median);
        Some(Self { rows, floor, own, ratio })
    }
}

fn repeats(a: &Row, b: &Row) -> bool {
    (&a.vm, &a.settings, a.path_bandwidth, a.sharing)
        == (&b.vm, &b.settings, b.path_bandwidth, b.sharing)
}

fn actual(row: &Row) -> Option<[f64; 3]> {
    let stats = row.actual?;
    Some([
        stats.total_time.as_seconds_f64(),
        stats.transferred.as_f64(),
        stats.downtime.as_seconds_f64(),
    ])
}

fn predicted(row: &Row) -> [f64; 3] {
    let of = &row.predicted;
    [
        of.total_time.p50.as_seconds_f64(),
        of.transferred.p50.as_f64(),
        of.downtime.p50.as_seconds_f64(),
    ]
}

fn errors([time, bytes, downtime]: [f64; 3], [t, b, d]: [f64; 3]) -> Errors {
    let relative = |predicted: f64, actual: f64| (predicted / actual.max(1e-9) - 1.0).abs();
    [relative(time, t), relative(bytes, b.max(Bytes::new(1).as_f64())), (downtime - d).abs()]
}

fn summary(errors: &[Errors]) -> Option<NoiseErrors> {
    let at = |column: usize, level: f64| {
        let values: Vec<f64> = errors.iter().filter_map(|e| e.get(column).copied()).collect();
        quantile(&sorted(&values), level)
    };
    Some(NoiseErrors {
        time_median: at(0, 0.5)?,
        time_p90: at(0, 0.9)?,
        bytes_median: at(1, 0.5)?,
        bytes_p90: at(1, 0.9)?,
        downtime_median: Span::from_seconds_f64(at(2, 0.5)?),
        downtime_p90: Span::from_seconds_f64(at(2, 0.9)?),
    })
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        predict::{Prediction, Quantiles},
        units::Share,
    };

    use super::{super::score::Came, *};
    use crate::evaluate::judge::samples::trace;

    fn row(vm: u64, minute: u64, seconds: Option<u64>) -> Row {
        let predicted = Prediction {
            model: String::new(),
            converges: Share::ONE,
            total_time: Quantiles::from_array([Span::from_seconds(15); 7]),
            transferred: Quantiles::from_array([Bytes::mib(1000); 7]),
            downtime: Quantiles::from_array([Span::from_millis(60); 7]),
            impact: None,
            stall: None,
            caveats: Vec::new(),
        };
        let record = trace(vm, minute, seconds).record;
        let came = record.stats.map_or(Came::GaveUp(record.wall), Came::Arrived);
        Row::new(&record, None, predicted, came)
    }

    #[test]
    fn each_repetition_is_judged_by_the_median_of_the_others() {
        let rows = [
            row(1, 0, Some(10)),
            row(1, 1, Some(10)),
            row(1, 2, Some(20)),
            row(1, 3, None),
            row(2, 4, Some(99)),
            row(2, 5, Some(11)),
        ];
        let noise = NoiseFloor::of(&rows).unwrap();
        assert_eq!(noise.rows, 3, "two of a guest are too few, and given up is no figure");
        // Expected 15, 15 and 10 of 10, 10 and 20; predicted 15 of each.
        assert!((noise.floor.time_median - 0.5).abs() < 1e-9);
        assert!((noise.own.time_median - 0.5).abs() < 1e-9);
        assert!((noise.ratio.unwrap() - 1.0).abs() < 1e-9);
        assert_eq!(noise.floor.downtime_p90, Span::ZERO);
        assert_eq!(noise.own.downtime_median, Span::from_millis(10));
    }

    #[test]
    fn without_repetitions_there_is_no_floor() {
        assert_eq!(NoiseFloor::of(&[row(1, 0, Some(1)), row(2, 0, Some(1))]), None);
    }
}
