//! The recorded predictions, each made before its migration began from the records before it,
//! against what was measured.
//!
//! Errors and coverage are of migrations that arrived and were predicted to converge; the first
//! ones, which had nothing to learn from, count as all others. Nothing is predicted anew, so no
//! later record can help an earlier prediction.

use std::error::Error;

use whimbrel_core::{Prediction, cluster::CompletedStats, telemetry::MigrationRecord};
use whimbrel_datasets::TelemetryReader;
use whimbrel_models::evaluate;

use crate::{figure::Found, places::Places};

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    let records = TelemetryReader::open(&places.recorded())?.migrations()?;
    judge(&records, found);
    Ok(())
}

fn judge(records: &[MigrationRecord], found: &mut Found) {
    let expected: Vec<_> = records
        .iter()
        .filter_map(pair)
        .filter(|(predicted, _)| predicted.likely_converges())
        .collect();
    let evaluation = evaluate("recorded", &expected);
    let figures = [
        ("prediction_time_ape_median", evaluation.time_error_median),
        ("prediction_bytes_ape_median", evaluation.bytes_error_median),
        ("prediction_band90_coverage", evaluation.coverage.band90),
        (
            "prediction_false_converges_share",
            Some(evaluation.false_converges as f64 / expected.len() as f64),
        ),
    ];
    for (name, value) in figures {
        if let Some(value) = value {
            found.put(name, value);
        }
    }
}

/// The prediction and what came of it; `None` where one of them was not kept.
fn pair(record: &MigrationRecord) -> Option<(Prediction, Option<CompletedStats>)> {
    let predicted = record.predicted.clone()?;
    match (record.arrived, record.stats) {
        (true, Some(stats)) => Some((predicted, Some(stats))),
        (true, None) => None,
        (false, _) => Some((predicted, None)),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        HostId, OrderId, VmId,
        predict::{MigrationSettings, Mode, Quantiles, Transport},
        units::{Bytes, Share, Span, Timestamp},
    };

    use super::*;

    /// A migration predicted to take 10 s and to send 100 MiB.
    fn record(converges: f64, arrived_in: Option<u64>) -> MigrationRecord {
        let stats = |seconds| CompletedStats {
            total_time: Span::from_seconds(seconds),
            transferred: Bytes::mib(80),
            ..CompletedStats::default()
        };
        MigrationRecord {
            id: OrderId::unnamed(),
            at: Timestamp::from_micros(0),
            vm: VmId::unnamed(),
            from: HostId::unnamed(),
            to: HostId::unnamed(),
            settings: MigrationSettings {
                mode: Mode::PreCopy,
                transport: Transport::Tcp,
                bandwidth_limit: None,
                downtime_limit: Span::from_millis(300),
            },
            arrived: arrived_in.is_some(),
            failure: None,
            memory: Bytes::mib(100),
            resident: None,
            dirty_before: Vec::new(),
            sharing: 1,
            predicted: Some(Prediction {
                model: String::new(),
                converges: Share::clamped(converges),
                total_time: Quantiles::from_array(
                    [7, 8, 9, 10, 11, 12, 13].map(Span::from_seconds),
                ),
                transferred: Quantiles::from_array([Bytes::mib(100); 7]),
                downtime: Quantiles::from_array([Span::from_millis(50); 7]),
                stall: None,
                caveats: Vec::new(),
            }),
            wall: Span::from_seconds(1),
            stats: arrived_in.map(stats),
        }
    }

    #[test]
    fn only_migrations_that_were_expected_to_converge_are_judged() {
        let unpredicted = MigrationRecord { predicted: None, ..record(1.0, Some(99)) };
        let records = [
            record(1.0, Some(8)),
            record(0.9, Some(20)),
            record(0.6, None),
            record(0.8, Some(10)),
            record(0.1, Some(90)),
            record(0.0, None),
            unpredicted,
        ];
        let mut found = Found::default();
        judge(&records, &mut found);
        for (name, expected) in [
            ("prediction_time_ape_median", 0.25),
            ("prediction_bytes_ape_median", 0.25),
            ("prediction_band90_coverage", 2.0 / 3.0),
            ("prediction_false_converges_share", 0.25),
        ] {
            let value = found.get(name).unwrap();
            assert!((value - expected).abs() < 1e-9, "{name} is {value}");
        }
    }

    #[test]
    fn nothing_recorded_gives_no_figures() {
        let mut found = Found::default();
        judge(&[], &mut found);
        assert_eq!(found.get("prediction_false_converges_share"), None);
    }
}
