//! What migration streams achieve: of a cap, of a link, and at most.
//!
//! A stream is held by the least of three: its cap, its part of the link, and what the CPUs at
//! both ends can push, which encryption and compression lower. QEMU pays for a cap in quanta and
//! may exceed it by what the last page of a quantum, or a packet of each channel, brings.
//!
//! Never says which link a migration takes or how many share it.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    settings::{Compression, MigrationSettings, Transport},
    telemetry::{JobSample, MigrationTrace},
    units::BytesPerSecond,
};

use crate::quantile::level_and_spread;

/// Fewest streams of a kind that a rate is learnt from.
const STREAMS_MIN: usize = 4;

/// Streams shorter than this are too short to tell a rate, in seconds.
const STREAM_SECONDS_MIN: f64 = 0.4;

/// Range of a ratio that still counts as held by a cap or link.
const HELD: std::ops::RangeInclusive<f64> = 0.6..=2.5;

/// A link this much slower than what streams of the kind can push is what holds them.
const CLEARLY_BELOW: f64 = 0.7;

/// A link this much faster than a stream does not hold it.
const CLEARLY_ABOVE: f64 = 1.5;

/// A link that the CPUs of both ends hardly fill, in bytes a second.
const FAST_LINK: f64 = 100.0 * 1_048_576.0;

/// Bounds on spreads.
const SPREAD_MIN: f64 = 0.01;
const SPREAD_MAX: f64 = 0.5;

/// Streams that behave alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kind {
    /// Protection.
    pub transport: Transport,
    /// More than one channel.
    pub several: bool,
    /// zlib or zstd.
    pub compressed: bool,
    /// xbzrle.
    pub delta: bool,
}

impl Kind {
    /// Of `settings`.
    pub fn of(settings: &MigrationSettings) -> Self {
        Self {
            transport: settings.transport,
            several: settings.channels > 1,
            compressed: matches!(settings.compression, Compression::Zlib | Compression::Zstd),
            delta: matches!(settings.compression, Compression::Xbzrle { .. }),
        }
    }
}

/// A ratio or a rate with its spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Median. Above 0.
    pub value: f64,
    /// Spread. Range 0.01..=0.5.
    pub spread: f64,
}

/// One kind with its level.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfKind {
    /// Which.
    pub kind: Kind,
    /// What was learnt.
    pub level: Level,
}

/// What streams achieve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rates {
    /// Of a cap, where no kind says otherwise.
    pub of_cap: Level,
    /// Of a cap, by kind.
    pub of_cap_by_kind: Vec<OfKind>,
    /// Of a link that nobody shares.
    pub of_link: Level,
    /// Of an equal part of a link that others share at the start: they may end before, or need less.
    pub of_part: Level,
    /// Bytes a second that one stream reaches when nothing else holds it, by kind; none where it
    /// was never seen.
    pub ceilings: Vec<OfKind>,
}

impl Default for Rates {
    fn default() -> Self {
        // QEMU sleeps at the end of each quantum for a little longer than it must.
        let nearly = Level { value: 0.985, spread: 0.012 };
        Self {
            of_cap: nearly,
            of_cap_by_kind: Vec::new(),
            of_link: nearly,
            of_part: Level { value: 1.1, spread: 0.2 },
            ceilings: Vec::new(),
        }
    }
}

/// What holds a stream, and how it is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stream {
    /// Bytes a second before the switch-over.
    pub(crate) rate: f64,
    pub(crate) spread: f64,
    /// Bytes a second once the cap is lifted.
    pub(crate) line: f64,
    pub(crate) line_spread: f64,
    pub(crate) capped: bool,
}

impl Rates {
    fn of_cap(&self, kind: Kind) -> Level {
        find(&self.of_cap_by_kind, kind).unwrap_or(self.of_cap)
    }

    /// The ceiling of `kind`, or of the plain streams with the same protection. What compressing
    /// takes is no part of it.
    fn ceiling(&self, kind: Kind) -> Option<Level> {
        let kind = Kind { compressed: false, ..kind };
        let plain = Kind { several: false, compressed: false, delta: false, ..kind };
        find(&self.ceilings, kind).or_else(|| find(&self.ceilings, plain))
    }

    /// What a stream with `settings` reaches on a link of `path` bytes a second that `sharing`
    /// migrations share at the start, this one included.
    pub(crate) fn stream(&self, settings: &MigrationSettings, path: f64, sharing: u32) -> Stream {
        let kind = Kind::of(settings);
        let of_link = if sharing > 1 { self.of_part } else { self.of_link };
        let link = path / f64::from(sharing.max(1)) * of_link.value;
        let ceiling = self.ceiling(kind);
        let (line, line_spread) = match ceiling {
            Some(ceiling) if ceiling.value < link => (ceiling.value, ceiling.spread),
            _ => (link, of_link.spread),
        };
        let of_cap = self.of_cap(kind);
        let cap = settings.bandwidth_limit.map(|cap| cap.as_f64() * of_cap.value);
        match cap {
            Some(cap) if cap < line => {
                Stream { rate: cap, spread: of_cap.spread, line, line_spread, capped: true }
            }
            _ => Stream { rate: line, spread: line_spread, line, line_spread, capped: false },
        }
    }

    /// Learns from what streams achieved.
    pub(crate) fn learn(traces: &[&MigrationTrace]) -> Self {
        let seen: Vec<Seen> = traces.iter().filter_map(|trace| Seen::of(trace)).collect();
        let mut learnt = Self::default();
        let free = |s: &&Seen| s.mean < CLEARLY_BELOW * s.cap && s.share > CLEARLY_ABOVE * s.mean;
        let ceilings: Vec<(Kind, f64)> = seen
            .iter()
            .filter(|s| !s.kind.compressed)
            .filter(|s| free(s) || (s.cap.is_infinite() && s.share > FAST_LINK))
            .map(|s| (s.kind, s.mean))
            .collect();
        learnt.ceilings = by_kind(ceilings.into_iter());
        let ceiling = |kind: Kind| find(&learnt.ceilings, kind).map_or(f64::INFINITY, |l| l.value);
        let held = |ratio: f64| HELD.contains(&ratio).then_some(ratio);
        let by_link = |shared: bool| -> Vec<f64> {
            let of = |s: &&Seen| s.shared == shared && !s.kind.several && !s.kind.compressed;
            let held_back = |s: &&Seen| s.share < CLEARLY_BELOW * s.cap.min(ceiling(s.kind));
            let achieved = |s: &Seen| held(s.copying? / s.share);
            seen.iter().filter(of).filter(held_back).filter_map(achieved).collect()
        };
        // What several channels bring beyond a cap is a part of the replay.
        let of_cap: Vec<(Kind, f64)> = seen
            .iter()
            .filter(|s| !s.kind.several && !s.kind.compressed)
            .filter(|s| s.cap < CLEARLY_BELOW * s.share.min(ceiling(s.kind)))
            .filter_map(|s| Some((s.kind, held(s.copying? / s.cap)?)))
            .collect();
        learnt.of_link = level(&by_link(false)).unwrap_or(learnt.of_link);
        learnt.of_part = level(&by_link(true)).unwrap_or(learnt.of_part);
        learnt.of_cap_by_kind = by_kind(of_cap.into_iter());
        learnt
    }
}

/// What one stream achieved, in bytes a second.
struct Seen {
    kind: Kind,
    /// By QEMU's own mean, switch-over included.
    mean: f64,
    /// Between looks, before the switch-over.
    copying: Option<f64>,
    cap: f64,
    share: f64,
    shared: bool,
}

impl Seen {
    fn of(trace: &MigrationTrace) -> Option<Self> {
        let record = &trace.record;
        let settings = &record.settings;
        let share = record.path_bandwidth?.as_f64() / f64::from(record.sharing.max(1));
        let cap = settings.bandwidth_limit.map_or(f64::INFINITY, BytesPerSecond::as_f64);
        let mean = record.stats.filter(|_| record.arrived)?.bandwidth.as_f64();
        let copying = before_switch(&trace.samples);
        let (kind, shared) = (Kind::of(settings), record.sharing > 1);
        (mean > 0.0).then_some(Self { kind, mean, copying, cap, share, shared })
    }
}

/// The rate between the first and the last look at a stream that was still copying.
fn before_switch(samples: &[JobSample]) -> Option<f64> {
    let copying = |s: &&JobSample| {
        let job = &s.progress;
        job.transferred.get() > 0 && job.remaining.get() > 0 && job.post_copy_requests == 0
    };
    let first = samples.iter().find(copying)?.progress;
    let last = samples.iter().rev().find(copying)?.progress;
    let seconds = last.elapsed.as_seconds_f64() - first.elapsed.as_seconds_f64();
    let bytes = last.transferred.as_f64() - first.transferred.as_f64();
    (seconds >= STREAM_SECONDS_MIN && bytes > 0.0).then(|| bytes / seconds)
}

fn find(levels: &[OfKind], kind: Kind) -> Option<Level> {
    levels.iter().find(|of| of.kind == kind).map(|of| of.level)
}

fn by_kind(values: impl Iterator<Item = (Kind, f64)>) -> Vec<OfKind> {
    let mut kinds: std::collections::BTreeMap<Kind, Vec<f64>> = std::collections::BTreeMap::new();
    for (kind, value) in values {
        kinds.entry(kind).or_default().push(value);
    }
    kinds
        .into_iter()
        .filter_map(|(kind, values)| Some(OfKind { kind, level: level(&values)? }))
        .collect()
}

fn level(values: &[f64]) -> Option<Level> {
    let (value, spread) = level_and_spread(values, STREAMS_MIN)?;
    Some(Level { value, spread: spread.clamp(SPREAD_MIN, SPREAD_MAX) })
}
