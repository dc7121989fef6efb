//! The columns that a correction is learnt from: what is known of a migration before it starts.
//!
//! Sizes and rates enter as natural logarithms, so that a guest of 1 GiB and one of 64 GiB are a
//! few steps apart. The order of the columns is a part of every stored model; a model with other
//! columns is refused.
//!
//! Never holds what only a finished migration shows.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    settings::{Compression, MigrationSettings, Mode, Transport},
    units::{Bytes, BytesPerSecond, GUEST_PAGE, MilliCores, Span},
};

use crate::curve::DirtyCurve;

/// Number of columns.
pub const FEATURES: usize = 25;

/// Names of the columns, in their order.
pub const COLUMNS: [&str; FEATURES] = [
    "auto_converge",
    "post_copy",
    "tls",
    "xbzrle",
    "zlib",
    "zstd",
    "ln_channels",
    "ln_cap",
    "ln_path",
    "ln_sharing",
    "ln_non_zero",
    "zero_share",
    "ln_unique_100_ms",
    "ln_unique_1_s",
    "ln_unique_10_s",
    "saturation",
    "ln_rate_over_stream",
    "ln_replayed_iterations",
    "ln_replayed_time",
    "ln_replayed_over_once",
    "ln_threshold_over_unique",
    "ln_downtime_limit",
    "cpu_used_known",
    "cpu_used_cores",
    "ln_past_migrations",
];

/// Logarithms of ratios are held within this distance from 0: a guest that writes nothing is not
/// infinitely far from one that writes little.
const LN_RATIO_MAX: f64 = 7.0;

/// Window after which a guest is taken to have touched what it will touch.
const SATURATION_WINDOW: Span = Span::from_seconds(60);

/// What is known of a migration before it starts, with its replay at the median of everything
/// that is uncertain.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    /// How it is to be done.
    pub settings: &'a MigrationSettings,
    /// What the path carries when nobody else uses it.
    pub path_bandwidth: BytesPerSecond,
    /// Migrations that share the path, this one included; 0 counts as 1.
    pub sharing: u32,
    /// The guest's memory.
    pub memory: Bytes,
    /// Part of it that has content.
    pub non_zero: Bytes,
    /// The guest's unique-dirty curve.
    pub curve: &'a DirtyCurve,
    /// Total time that the replay comes to.
    pub replayed_time: Span,
    /// Bytes that the replay comes to.
    pub replayed_transferred: Bytes,
    /// Bitmap reads of the replay.
    pub replayed_iterations: u64,
    /// CPU that the guest uses; `None` where it was not read.
    pub cpu_used: Option<MilliCores>,
    /// Migrations of the guest that were seen before.
    pub past_migrations: u32,
}

/// One row of features. Every value is finite.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Features([f64; FEATURES]);

impl Features {
    /// The row of `known`.
    pub fn of(known: &Known<'_>) -> Self {
        let settings = known.settings;
        let is = |yes: bool| f64::from(u8::from(yes));
        let path = known.path_bandwidth.as_f64();
        let share = path / f64::from(known.sharing.max(1));
        let cap = settings.bandwidth_limit.map_or(path, BytesPerSecond::as_f64).min(path);
        let stream = cap.min(share);
        let unique = |millis| known.curve.unique(Span::from_millis(millis)).as_f64();
        let later = known.curve.unique(SATURATION_WINDOW).as_f64();
        let threshold = stream * settings.downtime_limit.as_seconds_f64();
        let zero = known.memory.saturating_sub(known.non_zero).as_f64();
        Self([
            is(settings.mode == Mode::AutoConverge),
            is(settings.mode == Mode::PostCopy),
            is(settings.transport == Transport::Tls),
            is(matches!(settings.compression, Compression::Xbzrle { .. })),
            is(settings.compression == Compression::Zlib),
            is(settings.compression == Compression::Zstd),
            f64::from(settings.channels.max(1)).ln(),
            ln_size(cap),
            ln_size(path),
            f64::from(known.sharing.max(1)).ln(),
            ln_size(known.non_zero.as_f64()),
            (zero / known.memory.as_f64().max(1.0)).clamp(0.0, 1.0),
            ln_size(unique(100)),
            ln_size(unique(1_000)),
            ln_size(unique(10_000)),
            (later / known.non_zero.as_f64().max(1.0)).clamp(0.0, 1.0),
            ln_ratio(known.curve.rate_at_zero().as_f64(), stream),
            (known.replayed_iterations as f64).ln_1p(),
            known.replayed_time.as_seconds_f64().max(1e-3).ln(),
            ln_ratio(known.replayed_transferred.as_f64(), known.non_zero.as_f64()),
            ln_ratio(threshold, unique(1_000)),
            settings.downtime_limit.as_seconds_f64().max(1e-3).ln(),
            is(known.cpu_used.is_some()),
            known.cpu_used.map_or(0.0, MilliCores::as_cores_f64),
            f64::from(known.past_migrations).ln_1p(),
        ])
    }

    /// The values in the order of [`COLUMNS`].
    pub fn to_array(self) -> [f64; FEATURES] {
        self.0
    }

    /// From values in the order of [`COLUMNS`]; `None` where one is not finite.
    pub fn from_array(values: [f64; FEATURES]) -> Option<Self> {
        values.iter().all(|value| value.is_finite()).then_some(Self(values))
    }
}

/// Logarithm of a size or a rate, from a page upwards.
fn ln_size(bytes: f64) -> f64 {
    bytes.max(GUEST_PAGE.as_f64()).ln()
}

/// Logarithm of a ratio whose parts may be 0.
fn ln_ratio(part: f64, whole: f64) -> f64 {
    (part.max(1.0) / whole.max(1.0)).ln().clamp(-LN_RATIO_MAX, LN_RATIO_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(features: &Features, name: &str) -> f64 {
        features.to_array()[COLUMNS.iter().position(|column| *column == name).unwrap()]
    }

    fn known<'a>(settings: &'a MigrationSettings, curve: &'a DirtyCurve) -> Known<'a> {
        Known {
            settings,
            path_bandwidth: BytesPerSecond::mib(100),
            sharing: 2,
            memory: Bytes::mib(1000),
            non_zero: Bytes::mib(750),
            curve,
            replayed_time: Span::from_seconds(20),
            replayed_transferred: Bytes::mib(1500),
            replayed_iterations: 6,
            cpu_used: Some(MilliCores::new(1500)),
            past_migrations: 0,
        }
    }

    #[test]
    fn columns_hold_what_their_names_say() {
        let settings = MigrationSettings { transport: Transport::Tls, ..Default::default() };
        let curve = DirtyCurve::sweep(BytesPerSecond::mib(25), Bytes::mib(300));
        let features = Features::of(&known(&settings, &curve));
        let near = |name: &str, expected: f64| {
            let found = column(&features, name);
            assert!((found - expected).abs() < 1e-6, "{name}: {found} instead of {expected}");
        };
        near("tls", 1.0);
        near("post_copy", 0.0);
        near("ln_cap", Bytes::mib(100).as_f64().ln());
        near("ln_sharing", 2f64.ln());
        near("zero_share", 0.25);
        near("ln_unique_1_s", Bytes::mib(25).as_f64().ln());
        near("saturation", 0.4);
        near("ln_rate_over_stream", 0.5f64.ln());
        near("ln_replayed_over_once", 2f64.ln());
        near("ln_threshold_over_unique", (15.0f64 / 25.0).ln());
        near("cpu_used_cores", 1.5);
    }

    #[test]
    fn nothing_known_gives_finite_values() {
        let settings = MigrationSettings {
            bandwidth_limit: Some(BytesPerSecond::ZERO),
            downtime_limit: Span::ZERO,
            channels: 0,
            ..Default::default()
        };
        let curve = DirtyCurve::still();
        let nothing = Known {
            path_bandwidth: BytesPerSecond::ZERO,
            sharing: 0,
            memory: Bytes::ZERO,
            non_zero: Bytes::ZERO,
            replayed_time: Span::ZERO,
            replayed_transferred: Bytes::ZERO,
            replayed_iterations: 0,
            cpu_used: None,
            ..known(&settings, &curve)
        };
        let values = Features::of(&nothing).to_array();
        assert!(Features::from_array(values).is_some(), "{values:?}");
        assert_eq!(Features::from_array([f64::NAN; FEATURES]), None);
    }

    #[test]
    fn names_are_unique() {
        let names: std::collections::BTreeSet<&str> = COLUMNS.into_iter().collect();
        assert_eq!(names.len(), FEATURES);
    }
}
