//! What compression makes of pages of guests whose own are not known.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    settings::Compression,
    telemetry::MigrationTrace,
    units::{BytesPerSecond, GUEST_PAGE},
};

use crate::{
    guest::GuestHistory,
    quantile::{level_and_spread, median},
    replay::beyond_cap,
};

/// Fewest migrations that a rate is learnt from.
const RATES_MIN: usize = 4;

/// Most channels that are told apart.
const CHANNELS_MAX: u8 = 8;

/// A rate below this part of a cap or a link is not held by it.
const FREE: f64 = 0.9;

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
    /// What one channel deflates a second of pages that do not compress. Others go faster, so that
    /// about as much comes out.
    pub zlib_page_bytes_per_second: BytesPerSecond,
    /// What one channel compresses of them with Zstandard a second.
    pub zstd_page_bytes_per_second: BytesPerSecond,
    /// Channels that deflate side by side: more are no faster together. At least 1.
    pub zlib_side_by_side: u8,
    /// The same with Zstandard.
    pub zstd_side_by_side: u8,
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
            zlib_side_by_side: u8::MAX,
            zstd_side_by_side: u8::MAX,
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
        if let Some((one, side_by_side)) = one_channel(&free_rates(traces, Compression::Zlib)) {
            learnt.zlib_page_bytes_per_second = one;
            learnt.zlib_side_by_side = side_by_side;
        }
        if let Some((one, side_by_side)) = one_channel(&free_rates(traces, Compression::Zstd)) {
            learnt.zstd_page_bytes_per_second = one;
            learnt.zstd_side_by_side = side_by_side;
        }
        learnt
    }
}

/// Channels, and what came out of all of them together a second, of compressing migrations that
/// neither their cap nor the link held.
fn free_rates(traces: &[&MigrationTrace], which: Compression) -> Vec<(u8, f64)> {
    let free = |trace: &&MigrationTrace| {
        let record = &trace.record;
        let (settings, stats) = (&record.settings, record.stats?);
        let rate = stats.bandwidth.as_f64();
        let path = record.path_bandwidth.map_or(f64::INFINITY, BytesPerSecond::as_f64);
        let link = path / f64::from(record.sharing.max(1));
        let pages = stats.normal_pages as f64 * GUEST_PAGE.as_f64();
        let ratio = stats.transferred.as_f64() / pages.max(1.0);
        let cap = settings.bandwidth_limit.map_or(f64::INFINITY, |cap| {
            cap.as_f64() + beyond_cap(f64::from(settings.channels), ratio)
        });
        (rate > 0.0 && rate < FREE * cap && rate < FREE * link).then_some((settings.channels, rate))
    };
    let compressing = |trace: &&&MigrationTrace| trace.record.settings.compression == which;
    traces.iter().filter(compressing).filter_map(free).collect()
}

/// What one channel does, and how many do so side by side: the number by which rates of different
/// numbers of channels differ least.
fn one_channel(rates: &[(u8, f64)]) -> Option<(BytesPerSecond, u8)> {
    let each = |side_by_side: u8| -> Vec<f64> {
        rates
            .iter()
            .map(|(channels, rate)| rate / f64::from((*channels).clamp(1, side_by_side)))
            .collect()
    };
    let levels = (1..=CHANNELS_MAX).filter_map(|side_by_side| {
        let (level, spread) = level_and_spread(&each(side_by_side), RATES_MIN)?;
        Some((spread, side_by_side, level))
    });
    let (_, side_by_side, level) = levels.min_by(|a, b| a.0.total_cmp(&b.0))?;
    Some((super::whole_rate(level), side_by_side))
}
