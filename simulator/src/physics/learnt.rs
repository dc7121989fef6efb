//! Constants of a cluster's own, from the migrations that it has seen.
//!
//! Written apart from the predictor's calibration: what is learnt here is taken from each record as
//! it stands, without a model of the rounds.

use std::collections::BTreeMap;

use whimbrel_core::{
    VmId,
    telemetry::MigrationRecord,
    units::{Bytes, GUEST_PAGE, Span},
};

use super::{Physics, Range};

/// Fewer migrations teach nothing: one slow start would be taken for the rule.
const RECORDS_MIN: usize = 5;

impl Physics {
    /// These constants, with `setup` and `device_downtime` as the migrations in `records` showed
    /// them. With fewer than five that arrived with figures, unchanged.
    ///
    /// Setup is what a migration took beyond its bytes at its mean throughput; the guest's stop is
    /// taken from the shorter half of the downtimes, which had hardly any pages left to send.
    #[must_use]
    pub fn learnt(self, records: &[MigrationRecord]) -> Self {
        let stats: Vec<_> = records.iter().filter(|r| r.arrived).filter_map(|r| r.stats).collect();
        if stats.len() < RECORDS_MIN {
            return self;
        }
        let setups = stats.iter().map(|s| {
            let sending = s.transferred.as_f64() / s.bandwidth.as_f64().max(1.0);
            s.total_time.saturating_sub(Span::from_seconds_f64(sending) + s.downtime)
        });
        Self {
            setup: between(setups.collect(), 10, 90),
            device_downtime: between(stats.iter().map(|s| s.downtime).collect(), 10, 50),
            ..self
        }
    }
}

/// The percentiles `least` and `most` of `spans`, which are not empty.
fn between(mut spans: Vec<Span>, least: usize, most: usize) -> Range {
    spans.sort_unstable();
    let at = |percent: usize| spans.get(spans.len() * percent / 100).copied().unwrap_or_default();
    Range { least: at(least), most: at(most) }
}

/// Memory with content of every guest that has migrated, from its last migration: QEMU counts the
/// pages that it found all-zero, and what is not zero has content.
pub fn content_of(records: &[MigrationRecord]) -> BTreeMap<VmId, Bytes> {
    let mut content = BTreeMap::new();
    for record in records.iter().filter(|r| r.arrived) {
        if let Some(stats) = record.stats {
            let zero = Bytes::new(stats.zero_pages.saturating_mul(GUEST_PAGE.get()));
            content.insert(record.vm.clone(), record.memory.saturating_sub(zero));
        }
    }
    content
}

#[cfg(test)]
mod tests {
    use whimbrel_core::{
        HostId, OrderId,
        cluster::CompletedStats,
        settings::{MigrationSettings, Mode, Transport},
        units::{BytesPerSecond, Timestamp},
    };

    use super::*;

    /// 30 MiB at 10 MiB/s, so 3 s, with `extra` before.
    fn record(extra: Span) -> MigrationRecord {
        let downtime = Span::from_millis(20);
        MigrationRecord {
            arrived: true,
            stats: Some(CompletedStats {
                total_time: Span::from_seconds(3) + extra + downtime,
                downtime,
                transferred: Bytes::mib(30),
                bandwidth: BytesPerSecond::mib(10),
                zero_pages: 8192,
                ..CompletedStats::default()
            }),
            ..MigrationRecord::beginning(
                OrderId::new("p:0").unwrap(),
                Timestamp::from_micros(0),
                VmId::new("a").unwrap(),
                HostId::new("h1").unwrap(),
                HostId::new("h2").unwrap(),
                MigrationSettings {
                    mode: Mode::PreCopy,
                    transport: Transport::Tcp,
                    bandwidth_limit: None,
                    downtime_limit: Span::from_millis(300),
                    ..MigrationSettings::default()
                },
                Bytes::mib(48),
            )
        }
    }

    #[test]
    fn setup_is_what_the_bytes_do_not_explain() {
        let records: Vec<_> = (0..10).map(|n| record(Span::from_millis(400 + 10 * n))).collect();
        let learnt = Physics::default().learnt(&records);
        assert_eq!(learnt.setup.least, Span::from_millis(410));
        assert_eq!(learnt.setup.most, Span::from_millis(490));
        assert_eq!(learnt.device_downtime.most, Span::from_millis(20));
        assert_eq!(content_of(&records)[&VmId::new("a").unwrap()], Bytes::mib(16));
    }

    #[test]
    fn a_few_migrations_teach_nothing() {
        let records = vec![record(Span::from_millis(400)); RECORDS_MIN - 1];
        assert_eq!(Physics::default().learnt(&records), Physics::default());
    }
}
