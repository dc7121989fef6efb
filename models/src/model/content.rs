//! Memory with content, guessed from the size of the guest's process.
//!
//! A process is as large as the pages that its guest ever touched, and an overhead of its own
//! that grows a little with the guest's memory (page tables, bitmaps). A page that was touched
//! and is zero again counts as touched.
//!
//! Never answers for a guest that migrated with the same memory before: its history knows.

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::Domain,
    telemetry::MigrationTrace,
    units::{Bytes, GUEST_PAGE, Share},
};

use crate::quantile::{level_and_spread, median, quantile, sorted};

/// Migrations below which the rule stays as it is.
const OBSERVATIONS_MIN: usize = 5;

/// Most that the overhead grows with a byte of memory.
const SLOPE_MAX: f64 = 0.03;

/// The least content that is assumed of a guest on no better grounds than its process's size.
const CONTENT_MIN: Bytes = Bytes::mib(4);

/// From a process's size to its guest's content.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ContentRule {
    /// Memory of a QEMU process that is not its guest's.
    pub overhead: Bytes,
    /// What each byte of the guest's memory adds to it. Range 0..=0.03.
    pub overhead_of_memory: f64,
    /// How far a process's overhead may be off: a standard deviation.
    pub overhead_spread: Bytes,
    /// Part of the memory that was touched that has content. Range 0.01..=1.
    pub of_touched: f64,
    /// Spread of it. Range 0..=1.
    pub of_touched_spread: f64,
    /// Part of a domain's memory that has content where the process's size is not known.
    pub of_memory: f64,
    /// Spread of it. Range 0..=1.
    pub of_memory_spread: f64,
    /// Part of the memory without content that lies behind all content.
    pub zeros_last: Share,
}

impl Default for ContentRule {
    fn default() -> Self {
        Self {
            // Nine guests of 48 to 128 MiB under QEMU 10.0.2: 46 to 47 MiB each.
            overhead: Bytes::mib(46),
            overhead_of_memory: 0.0,
            overhead_spread: Bytes::mib(4),
            of_touched: 0.97,
            of_touched_spread: 0.12,
            of_memory: 0.7,
            of_memory_spread: 0.35,
            zeros_last: Share::clamped(0.0),
        }
    }
}

/// What one migration showed: all in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) memory: f64,
    pub(crate) resident: Option<f64>,
    pub(crate) content: f64,
}

impl ContentRule {
    /// Median of `domain`'s content in bytes, and its spread.
    pub(crate) fn guess(&self, domain: &Domain) -> (f64, f64) {
        let memory = domain.memory.as_f64();
        let Some(resident) = domain.resident else {
            return (memory * self.of_memory, self.of_memory_spread);
        };
        let touched = (resident.as_f64() - self.overhead_for(memory)).clamp(0.0, memory);
        let content = (touched * self.of_touched).max(CONTENT_MIN.as_f64()).min(memory);
        // The overhead is known to some MiB, which is much of a small guest.
        let spread = self.overhead_spread.as_f64() / content.max(1.0);
        (content, self.of_touched_spread.hypot(spread))
    }

    fn overhead_for(&self, memory: f64) -> f64 {
        self.overhead.as_f64() + self.overhead_of_memory * memory
    }

    /// Learns from what migrations showed.
    pub(crate) fn learn(shown: &[Shown]) -> Self {
        let mut learnt = Self::default();
        let of_memory: Vec<f64> = shown.iter().map(|s| s.content / s.memory.max(1.0)).collect();
        if let Some((middle, spread)) = level_and_spread(&of_memory, OBSERVATIONS_MIN) {
            learnt.of_memory = middle.clamp(0.01, 1.0);
            learnt.of_memory_spread = spread.clamp(0.02, 1.0);
        }
        let beyond: Vec<(f64, f64)> =
            shown.iter().filter_map(|s| Some((s.memory, s.resident? - s.content))).collect();
        if beyond.len() < OBSERVATIONS_MIN {
            return learnt;
        }
        learnt.learn_overhead(&beyond);
        let of_touched: Vec<f64> = shown
            .iter()
            .filter_map(|s| {
                Some(s.content / (s.resident? - learnt.overhead_for(s.memory)).max(1.0))
            })
            .collect();
        if let Some((middle, spread)) = level_and_spread(&of_touched, OBSERVATIONS_MIN) {
            learnt.of_touched = middle.clamp(0.01, 1.05);
            learnt.of_touched_spread = spread.clamp(0.005, 1.0);
        }
        learnt
    }

    /// Learns where zero pages lie from looks at first passes.
    pub(crate) fn learn_layout(&mut self, traces: &[&MigrationTrace]) {
        let last: Vec<f64> = traces.iter().filter_map(|trace| zeros_last(trace)).collect();
        if let Some(median) = median(&last).filter(|_| last.len() >= OBSERVATIONS_MIN) {
            self.zeros_last = Share::clamped(median);
        }
    }

    /// The line through what processes have beyond their guests' content, by medians of slopes
    /// (Theil and Sen, 1968): guests with touched pages that are zero again lie above it.
    fn learn_overhead(&mut self, beyond: &[(f64, f64)]) {
        let mut slopes = Vec::new();
        // Neighbours say little about a slope; each is compared with one half a list away.
        let mut by_memory = beyond.to_vec();
        by_memory.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let half = by_memory.len() / 2;
        for (low, high) in by_memory.iter().zip(by_memory.iter().skip(half)) {
            if high.0 - low.0 > 1.0 {
                slopes.push((high.1 - low.1) / (high.0 - low.0));
            }
        }
        self.overhead_of_memory = median(&slopes).unwrap_or(0.0).clamp(0.0, SLOPE_MAX);
        let rest: Vec<f64> =
            beyond.iter().map(|(memory, over)| over - self.overhead_of_memory * memory).collect();
        let rest = sorted(&rest);
        let at = |level| quantile(&rest, level).unwrap_or(0.0);
        self.overhead = Bytes::new(at(0.5).max(0.0).round() as u64);
        let spread = (at(0.75) - at(0.25)) / 1.349;
        self.overhead_spread = Bytes::new(spread.max(262_144.0).round() as u64);
    }
}

/// Part of the zero pages that lay behind all content, by the last look at the first pass that
/// saw most but not all of the content sent: of zero pages that lie evenly between the content as
/// large a part would have been announced.
fn zeros_last(trace: &MigrationTrace) -> Option<f64> {
    let zero = trace.record.stats?.zero_pages as f64;
    let content = trace.record.memory.as_f64() / GUEST_PAGE.as_f64() - zero;
    if zero * 20.0 < content {
        return None;
    }
    let sent = |pages: u64| pages as f64 / content.max(1.0);
    let telling = trace
        .samples
        .iter()
        .rev()
        .map(|sample| &sample.progress)
        .find(|job| job.iteration == 1 && (0.3..0.95).contains(&sent(job.normal_pages)))?;
    let announced = telling.zero_pages as f64 / zero;
    Some((1.0 - announced / sent(telling.normal_pages)).clamp(0.0, 1.0))
}
