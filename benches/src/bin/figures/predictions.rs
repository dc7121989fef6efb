//! Predictions against measured migrations: learnt from the campaign's guests that teach, judged
//! on those that judge.
//!
//! Each judged guest has never been seen to migrate. Errors and coverage are of migrations that
//! arrived and were predicted to; a false arrival counts among all.

use std::{collections::BTreeMap, error::Error};

use whimbrel_core::{ids::VmId, telemetry::MigrationTrace, units::Span};
use whimbrel_datasets::{Campaign, CampaignSet};
use whimbrel_models::evaluate::{History, Report, Trial, Whimbrel, judge};

use crate::{figure::Found, places::Places};

/// Seed of the judgement; any other one gives the same figures to within a few percent of them.
const SEED: u64 = 1;

pub(crate) fn measure(places: &Places, found: &mut Found) -> Result<(), Box<dyn Error>> {
    let campaign = Campaign::read(&places.campaign())?;
    let part = |set| campaign.of(set).cloned().collect::<Vec<_>>();
    put(&judged(&part(CampaignSet::Learn), &part(CampaignSet::Judge)), found);
    Ok(())
}

fn judged(learn: &[MigrationTrace], judged: &[MigrationTrace]) -> Report {
    let families: BTreeMap<VmId, String> = BTreeMap::new();
    let trial = Trial { learn, judged, history: History::None, families: &families, seed: SEED };
    judge(&Whimbrel, &trial, &mut || ())
}

fn put(report: &Report, found: &mut Found) {
    let all = &report.all;
    let figures = [
        ("time_ape_median", all.time_error_median),
        ("time_ape_p90", all.time_error_p90),
        ("bytes_ape_median", all.bytes_error_median),
        ("bytes_ape_p90", all.bytes_error_p90),
        ("false_converges_share", all.false_converges_share),
        (
            "downtime_abs_error_p90_ms",
            all.downtime_error_p90.map(Span::as_seconds_f64).map(|seconds| seconds * 1e3),
        ),
        ("band95_coverage", all.coverage.band95),
        ("noise_floor_ratio", report.noise.as_ref().and_then(|noise| noise.ratio)),
    ];
    for (name, value) in figures {
        if let Some(value) = value {
            found.put(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        HostId, OrderId,
        cluster::CompletedStats,
        settings::MigrationSettings,
        telemetry::MigrationRecord,
        units::{Bytes, BytesPerSecond, Timestamp},
    };

    use super::*;
    use crate::figure::{FIGURES, Group};

    /// A guest that dirties nothing sends its 100 MiB at 10 MiB/s, and some more or less.
    fn trace(vm: &str, minute: u64, extra: u64) -> MigrationTrace {
        let stats = CompletedStats {
            total_time: Span::from_millis(10_500 + extra),
            downtime: Span::from_millis(30),
            transferred: Bytes::mib(100),
            normal_pages: 25_600,
            bandwidth: BytesPerSecond::mib(10),
            ..CompletedStats::default()
        };
        let record = MigrationRecord {
            arrived: true,
            path_bandwidth: Some(BytesPerSecond::mib(50)),
            wall: Span::from_seconds(11),
            stats: Some(stats),
            ..MigrationRecord::beginning(
                OrderId::new(&format!("{vm}-{minute}")).unwrap(),
                Timestamp::from_micros(1_800_000_000_000_000 + minute * 60_000_000),
                VmId::new(vm).unwrap(),
                HostId::unnamed(),
                HostId::unnamed(),
                MigrationSettings {
                    bandwidth_limit: Some(BytesPerSecond::mib(10)),
                    ..MigrationSettings::default()
                },
                Bytes::mib(100),
            )
        };
        record.into()
    }

    #[test]
    fn every_figure_of_the_group_is_found() {
        let learn: Vec<_> = (0..8).map(|k| trace(&format!("l{k}"), k, 10 * k)).collect();
        let judge: Vec<_> = (10..14).map(|k| trace("j", k, 10 * k)).collect();
        let mut found = Found::default();
        put(&judged(&learn, &judge), &mut found);
        for figure in FIGURES.iter().filter(|figure| figure.group == Group::Predictions) {
            assert!(found.get(figure.name).is_some(), "{} is missing", figure.name);
        }
        assert_eq!(found.get("false_converges_share"), Some(0.0));
    }

    #[test]
    fn nothing_recorded_gives_no_figures() {
        let mut found = Found::default();
        put(&judged(&[], &[]), &mut found);
        assert_eq!(found.get("false_converges_share"), None);
    }
}
