//! Tables as Markdown has them, and the figures in their cells.

use whimbrel_core::units::{Bytes, Span};

use super::statistics::Estimate;

/// A table; the first column to the left, figures to the right.
pub fn markdown(heads: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
    let rule = (0..heads.len()).map(|column| if column == 0 { "---" } else { "---:" });
    let mut text = line(heads.to_vec()) + &line(rule.collect());
    for row in rows {
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

/// `12.3 s`.
pub fn seconds(value: f64) -> String {
    format!("{value:.1} s")
}

/// `12 ms`.
pub fn millis(seconds: f64) -> String {
    format!("{:.0} ms", seconds * 1000.0)
}

/// `12 MiB`.
pub fn mib(value: f64) -> String {
    format!("{value:.0} MiB")
}

/// `12 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// `12 % (8 to 16)`.
pub fn percent_of(estimate: Estimate) -> String {
    let Estimate { value, low, high } = estimate;
    format!("{} ({:.0} to {:.0})", percent(value), low * 100.0, high * 100.0)
}

/// `1.2 s (0.8 to 1.6)`.
pub fn seconds_of(estimate: Estimate) -> String {
    format!("{} ({:.1} to {:.1})", seconds(estimate.value), estimate.low, estimate.high)
}

/// A span in seconds.
pub fn as_seconds(span: Span) -> f64 {
    span.as_seconds_f64()
}

/// Bytes in MiB.
pub fn as_mib(bytes: Bytes) -> f64 {
    bytes.as_f64() / f64::from(1 << 20)
}

#[cfg(test)]
pub(super) mod tests {
    use whimbrel_core::{
        settings::MigrationSettings,
        units::{BytesPerSecond, Timestamp},
    };

    use super::*;
    use crate::experiment::run::{Arm, Outcome, Row};

    /// A run of `case` that took so many seconds, and sent a MiB in each.
    pub(crate) fn row<C: std::fmt::Debug>(case: C, arm: Arm, seconds: f64) -> Row<C> {
        let id = format!("case-{}", arm.word());
        Row {
            id: id.parse().unwrap(),
            arm,
            case,
            at: Timestamp::from_micros(1_800_000_000_000_000),
            waited: Span::from_seconds(3),
            from: "h1".parse().unwrap(),
            to: "h2".parse().unwrap(),
            settings: MigrationSettings::default(),
            path: BytesPerSecond::mib(100),
            outcome: Outcome {
                arrived: true,
                failure: None,
                total: Span::from_seconds_f64(seconds),
                sent: Bytes::mib(seconds as u64),
                downtime: Span::from_millis(100),
                reads: 3,
                lost_guest_seconds: None,
            },
            predicted: None,
            why: String::new(),
        }
    }

    #[test]
    fn a_table_has_a_rule_and_a_line_a_row() {
        let text = markdown(&["arm", "time"], &[vec!["told".to_owned(), seconds(1.25)]]);
        assert_eq!(text, "| arm | time |\n| --- | ---: |\n| told | 1.2 s |\n");
        let estimate = Estimate { value: 0.314, low: 0.2, high: 0.4 };
        assert_eq!(percent_of(estimate), "31 % (20 to 40)");
        assert_eq!(seconds_of(estimate), "0.3 s (0.2 to 0.4)");
    }
}
