//! What compression makes of pages of guests whose own are not known.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    settings::Compression,
    telemetry::MigrationTrace,
    units::{BytesPerSecond, GUEST_PAGE},
};

use crate::{guest::GuestHistory, quantile::median};

/// Pages' usual sizes after compression.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Coding {
    /// Bytes of a page that is sent as a difference. Range 0..=4096.
    pub delta_page: f64,
    /// Bytes on the wire over bytes of pages with zlib. Above 0.
    pub zlib: f64,
    /// Bytes on the wire over bytes of pages with Zstandard. Above 0.
    pub zstd: f64,
    /// What one channel deflates a second.
    pub zlib_page_bytes_per_second: BytesPerSecond,
    /// What one channel compresses with Zstandard a second.
    pub zstd_page_bytes_per_second: BytesPerSecond,
}

impl Default for Coding {
    /// A laboratory of two cores; QEMU's own measurements (qatzip-compression.rst) are faster.
    fn default() -> Self {
        Self {
            delta_page: 120.0,
            zlib: 0.7,
            zstd: 0.7,
            zlib_page_bytes_per_second: BytesPerSecond::mib(25),
            zstd_page_bytes_per_second: BytesPerSecond::mib(120),
        }
    }
}

impl Coding {
    /// The medians of what guests' histories show, where any does.
    pub(crate) fn learn(guests: &[&GuestHistory], traces: &[&MigrationTrace]) -> Self {
        let mut learnt = Self::default();
        let mean = |of: fn(&GuestHistory) -> Option<f64>| {
            median(&guests.iter().filter_map(|guest| of(guest)).collect::<Vec<f64>>())
        };
        let page = GUEST_PAGE.as_f64();
        learnt.delta_page =
            mean(|g| g.delta_page.mean()).unwrap_or(learnt.delta_page).clamp(0.0, page);
        learnt.zlib = mean(|g| g.zlib.mean()).unwrap_or(learnt.zlib).clamp(0.01, 1.2);
        learnt.zstd = mean(|g| g.zstd.mean()).unwrap_or(learnt.zstd).clamp(0.01, 1.2);
        let rate = |which: Compression| page_rate(traces, which);
        if let Some(rate) = rate(Compression::Zlib) {
            learnt.zlib_page_bytes_per_second = rate;
        }
        if let Some(rate) = rate(Compression::Zstd) {
            learnt.zstd_page_bytes_per_second = rate;
        }
        learnt
    }
}

/// What one channel got through a second where no cap held it.
fn page_rate(traces: &[&MigrationTrace], which: Compression) -> Option<BytesPerSecond> {
    let rates: Vec<f64> = traces
        .iter()
        .filter(|t| t.record.settings.compression == which)
        .filter_map(|t| {
            let stats = t.record.stats?;
            let seconds = stats.transferred.as_f64() / stats.bandwidth.as_f64();
            let cap =
                t.record.settings.bandwidth_limit.map_or(f64::INFINITY, BytesPerSecond::as_f64);
            let held = stats.bandwidth.as_f64() > 0.9 * cap;
            let pages = stats.normal_pages as f64 * GUEST_PAGE.as_f64();
            let channels = f64::from(t.record.settings.channels.max(1));
            (!held && seconds > 0.0 && pages > 0.0).then(|| pages / seconds / channels)
        })
        .collect();
    median(&rates).filter(|rate| rate.is_finite()).map(super::whole_rate)
}
