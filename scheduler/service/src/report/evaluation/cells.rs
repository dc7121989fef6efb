//! The columns of tables of predictors, as text: on the terminal and on the page alike.

use whimbrel_core::units::{Bytes, Span};
use whimbrel_models::evaluate::{Coverage, Evaluation, NoiseFloor, Report, Row};

/// Shown where there is no figure.
const NONE: &str = "-";

/// Heads of the columns that [`cells`] fills; each is aligned to the right.
pub(crate) const COLUMNS: [&str; 13] = [
    "judged",
    "time error",
    "p90",
    "bytes error",
    "p90",
    "downtime error",
    "p90",
    "false arrivals",
    "hangs right",
    "hangs found",
    "in 50 %",
    "in 90 %",
    "in 95 %",
];

/// What the columns mean, in one sentence.
pub(crate) const LEGEND: &str = "Errors are absolute, of the predicted median, over migrations that \
     arrived and were predicted to: median and 90 % quantile. False arrivals: predicted to converge \
     and given up, of all. Hangs right: given up, of those predicted to hang. Hangs found: predicted \
     to hang, of those given up. Bands: total times inside the predicted band; - for models that \
     state a single figure.";

/// One row of figures.
pub(crate) fn cells(of: &Evaluation) -> [String; 13] {
    [
        of.pairs.to_string(),
        percent(of.time_error_median),
        percent(of.time_error_p90),
        percent(of.bytes_error_median),
        percent(of.bytes_error_p90),
        span(of.downtime_error_median),
        span(of.downtime_error_p90),
        percent(of.false_converges_share),
        percent(of.stall_precision),
        percent(of.stall_recall),
        percent(of.coverage.band50),
        percent(of.coverage.band90),
        percent(of.coverage.band95),
    ]
}

/// The row of repetitions, which no predictor can beat.
pub(crate) fn floor_cells(of: &NoiseFloor) -> [String; 13] {
    let none = || NONE.to_owned();
    let floor = &of.floor;
    [
        of.rows.to_string(),
        percent(Some(floor.time_median)),
        percent(Some(floor.time_p90)),
        percent(Some(floor.bytes_median)),
        percent(Some(floor.bytes_p90)),
        span(Some(floor.downtime_median)),
        span(Some(floor.downtime_p90)),
        none(),
        none(),
        none(),
        none(),
        none(),
        none(),
    ]
}

/// Break-downs of `report`, each with its heading, in the order in which they are shown.
pub(crate) fn break_downs(report: &Report) -> Vec<(&'static str, Vec<(&String, &Evaluation)>)> {
    [("mode", &report.by_mode), ("family", &report.by_family), ("path", &report.by_path)]
        .into_iter()
        .filter(|(_, groups)| !groups.is_empty())
        .map(|(name, groups)| (name, groups.iter().collect()))
        .collect()
}

/// Heads of the columns that [`band_cells`] fills.
pub(crate) const BAND_COLUMNS: [&str; 4] = ["in 50 %", "in 90 %", "in 95 %", "mean width of 90 %"];

/// How well the bands of one quantity hold, and how wide they are.
pub(crate) fn band_cells(of: &Coverage) -> [String; 4] {
    [percent(of.band50), percent(of.band90), percent(of.band95), percent(of.width90)]
}

/// The three quantities of which there are bands.
pub(crate) fn bands(of: &Evaluation) -> [(&'static str, Coverage); 3] {
    [("total time", of.coverage), ("bytes", of.bytes_coverage), ("downtime", of.downtime_coverage)]
}

/// Heads of the columns that [`worst_cells`] fills.
pub(crate) const WORST_COLUMNS: [&str; 8] = [
    "migration",
    "guest",
    "family",
    "time predicted",
    "measured",
    "bytes predicted",
    "measured",
    "fault",
];

/// One of the worst rows.
pub(crate) fn worst_cells(row: &Row) -> [String; 8] {
    let of = &row.predicted;
    let fault = match (row.verdict_holds(), row.actual, row.time_error()) {
        (false, None, _) => format!("said to arrive ({}), given up", of.converges),
        (false, Some(_), _) => format!("said to hang ({}), arrived", of.converges),
        (true, _, error) => percent(error),
    };
    let measured = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
    [
        row.id.to_string(),
        row.vm.to_string(),
        row.family.clone().unwrap_or_else(|| NONE.to_owned()),
        of.total_time.p50.human(),
        measured(row.actual.map(|stats| stats.total_time.human())),
        of.transferred.p50.human(),
        measured(row.actual.map(|stats| Bytes::human(stats.transferred))),
        fault,
    ]
}

/// `12.3 %`, or a dash.
pub(crate) fn percent(share: Option<f64>) -> String {
    share
        .filter(|s| s.is_finite())
        .map_or_else(|| NONE.to_owned(), |s| format!("{:.1} %", s * 100.0))
}

fn span(of: Option<Span>) -> String {
    of.map_or_else(|| NONE.to_owned(), |of| format!("{} ms", of.as_millis()))
}
