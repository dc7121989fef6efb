//! What the past migrations of one guest showed.
//!
//! Kept for each guest: points of its unique-dirty curve, the memory that has content, what its
//! pages come to when compressed or sent as differences, and how its writes fall when its vCPUs
//! are slowed. Bounded in size however long a guest lives; the newest migrations weigh most. A
//! resize makes the content unknown, not the curve.
//!
//! Never learns from figures that contradict each other, and never forgets that a level moves from
//! one migration to the next: its spread is a part of the history.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::{CompletedStats, DeltaCoding},
    settings::{Compression, Mode},
    telemetry::{MigrationRecord, MigrationTrace},
    units::{Bytes, GUEST_PAGE, Span, Timestamp},
};

use crate::curve::{
    evidence::{Evidence, Past},
    fit::CurveFit,
    points::CurvePoint,
    samples,
    sources::{history_offset, past_of_points, reading_offset},
};

mod bins;
mod estimate;
mod pages;

use bins::Bins;
pub use estimate::Estimate;

/// Layout of a stored history. Histories of another one are to be learnt anew from records.
pub const HISTORY_VERSION: u32 = 1;

/// Spread of the level between migrations before two were seen.
const LEVEL_SPREAD: f64 = 0.25;

/// Spread of migrations over readings before any was compared.
const RATIO_SPREAD: f64 = 0.2;

/// Readings older than this at a migration are not compared with it.
const COMPARED_WITHIN: Span = Span::from_seconds(900);

/// Sleep below which a throttled window says nothing, as a part.
const SLEPT_MIN: f64 = 0.15;

/// What is known of one guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestHistory {
    /// Its layout, [`HISTORY_VERSION`].
    pub version: u32,
    /// The guest's memory at its newest migration.
    pub memory: Bytes,
    /// Memory with content then; `None` when no migration showed it.
    #[serde(default)]
    pub non_zero: Option<Bytes>,
    /// Migrations seen.
    pub migrations: u32,
    /// Bytes of one page sent as a difference (xbzrle), headers not included. Range 0..=4096.
    #[serde(default)]
    pub delta_page: Estimate,
    /// Part of pages sent again that were in the xbzrle cache. Range 0..=1.
    #[serde(default)]
    pub delta_hits: Estimate,
    /// Bytes on the wire over bytes of pages with zlib. Range 0..=1.
    #[serde(default)]
    pub zlib: Estimate,
    /// Bytes on the wire over bytes of pages with Zstandard. Range 0..=1.
    #[serde(default)]
    pub zstd: Estimate,
    /// How its writes follow its CPU time when auto-converge slows it: 1 writes half as fast with
    /// half the time, 0 as fast as before. Range 0..=1.
    #[serde(default)]
    pub cpu_bound: Estimate,
    /// Logarithm of a migration's level over the history before it.
    #[serde(default)]
    level: Estimate,
    /// Logarithm of what migrations saw over what readings before them said.
    #[serde(default)]
    readings: Estimate,
    #[serde(default)]
    curve: Bins,
}

impl GuestHistory {
    /// Of a guest with `memory` that was not seen migrating.
    pub fn new(memory: Bytes) -> Self {
        Self {
            version: HISTORY_VERSION,
            memory,
            non_zero: None,
            migrations: 0,
            delta_page: Estimate::default(),
            delta_hits: Estimate::default(),
            zlib: Estimate::default(),
            zstd: Estimate::default(),
            cpu_bound: Estimate::default(),
            level: Estimate::default(),
            readings: Estimate::default(),
            curve: Bins::default(),
        }
    }

    /// Takes one more migration in; the newest last.
    pub fn remember(&mut self, trace: &MigrationTrace) {
        let record = &trace.record;
        if record.memory == Bytes::ZERO {
            return;
        }
        self.migrations = self.migrations.saturating_add(1);
        self.remember_content(trace);
        self.remember_curve(trace);
        self.remember_throttled(trace);
        let kept = record.stats.as_ref().filter(|_| record.arrived && record.failure.is_none());
        if let Some(stats) = kept {
            self.remember_coding(record, stats);
        }
    }

    /// Memory with content, if it still has `memory`: what a resize gives or takes is not known.
    pub fn content(&self, memory: Bytes) -> Option<Bytes> {
        self.non_zero.filter(|_| self.memory == memory).map(|content| content.min(memory))
    }

    /// What it says of the curve at `now`.
    pub fn past(&self, now: Timestamp) -> Past {
        Past {
            points: self.curve.points(now),
            level_spread: self.level.spread_around_zero(LEVEL_SPREAD),
            reading_ratio: self.readings.shrunk().exp(),
            reading_ratio_spread: self.readings.spread_with(RATIO_SPREAD),
        }
    }

    fn remember_content(&mut self, trace: &MigrationTrace) {
        let content = pages::content(trace);
        let resized = self.memory != trace.record.memory;
        self.memory = trace.record.memory;
        if resized || content.is_some() {
            self.non_zero = content;
        }
    }

    fn remember_curve(&mut self, trace: &MigrationTrace) {
        let record = &trace.record;
        let points = samples::points(trace);
        if points.is_empty() {
            return;
        }
        if let Some(off) = self.offset(&points, record) {
            self.level.observe(off);
        }
        let fresh = |at: Timestamp| record.at.since(at) <= COMPARED_WITHIN;
        let readings: Vec<_> =
            record.dirty_before.iter().filter(|r| fresh(r.measured_at)).copied().collect();
        if let Some(off) = reading_offset(&readings, &points, record.memory) {
            self.readings.observe(off);
        }
        self.curve.merge(&points);
    }

    /// Logarithm of the level of `points` over the history so far.
    fn offset(&self, points: &[CurvePoint], record: &MigrationRecord) -> Option<f64> {
        let known = self.curve.points(record.at);
        history_offset(&known, points, record.memory)
    }

    fn remember_throttled(&mut self, trace: &MigrationTrace) {
        let slow: Vec<_> =
            samples::throttled(trace).into_iter().filter(|t| t.slept >= SLEPT_MIN).collect();
        if slow.is_empty() {
            return;
        }
        let free = samples::points(trace);
        let free = if free.is_empty() { self.curve.points(trace.record.at) } else { free };
        let Some(past) = past_of_points(free) else { return };
        let memory = trace.record.memory;
        let evidence = Evidence { past: Some(&past), ..Evidence::of_readings(&[], memory) };
        let Ok(fit) = CurveFit::new(&evidence) else { return };
        let curve = fit.curve(memory);
        if let Some(bound) = pages::cpu_bound(&curve, &slow) {
            self.cpu_bound.observe(bound);
        }
    }

    fn remember_coding(&mut self, record: &MigrationRecord, stats: &CompletedStats) {
        let DeltaCoding { pages, bytes, misses } = stats.delta;
        match record.settings.compression {
            Compression::Xbzrle { .. } if pages > 0 => {
                let page = bytes as f64 / pages as f64;
                self.delta_page.observe(page.min(GUEST_PAGE.as_f64()));
                self.delta_hits.observe(pages as f64 / (pages as f64 + misses as f64));
            }
            Compression::Zlib | Compression::Zstd if record.settings.mode != Mode::PostCopy => {
                let Some(ratio) = pages::ratio(stats) else { return };
                match record.settings.compression {
                    Compression::Zlib => self.zlib.observe(ratio),
                    _ => self.zstd.observe(ratio),
                }
            }
            _ => {}
        }
    }
}
