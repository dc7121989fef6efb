//! What a migration's pages show beside their number: content, size when coded, CPU.

use whimbrel_core::{
    cluster::CompletedStats,
    telemetry::MigrationTrace,
    units::{Bytes, GUEST_PAGE, Span},
};

use crate::curve::{DirtyCurve, samples::ThrottledPoint, trace::zero_of_first_pass};

/// A zero page on the wire: header and a fill byte.
const ZERO_PAGE_WIRE_BYTES: f64 = 9.0;

/// Halvings by which a speed is found: to a thousandth.
const HALVINGS: u32 = 10;

/// Memory with content at the start of the migration in `trace`; `None` where nothing tells.
///
/// Bounded by every page sent with content, and by what was not announced as zero: in the first
/// pass where looks tell it apart, otherwise in all.
pub(super) fn content(trace: &MigrationTrace) -> Option<Bytes> {
    let record = &trace.record;
    let of_pages = |pages: u64| Bytes::new(pages.saturating_mul(GUEST_PAGE.get()));
    let stats = record.stats.filter(|stats| record.arrived && stats.normal_pages > 0);
    let zero = zero_of_first_pass(trace).or(stats.map(|stats| of_pages(stats.zero_pages)))?;
    let not_zero = record.memory.saturating_sub(zero);
    let bound = if not_zero > Bytes::ZERO { not_zero } else { record.memory };
    let sent = stats.map_or(bound, |s| of_pages(s.normal_pages.saturating_add(s.delta.pages)));
    Some(sent.min(bound))
}

/// Bytes on the wire over bytes of pages; `None` where figures do not say.
pub(super) fn ratio(stats: &CompletedStats) -> Option<f64> {
    let pages = stats.normal_pages as f64 * GUEST_PAGE.as_f64();
    let wire = stats.transferred.as_f64() - stats.zero_pages as f64 * ZERO_PAGE_WIRE_BYTES;
    (pages > 0.0 && wire > 0.0).then(|| (wire / pages).min(1.0))
}

/// How far the writes behind `slow` windows follow the CPU time that the guest had, 0..=1, judged
/// by what it writes without throttling; the mean, longer sleeps counting more.
pub(super) fn cpu_bound(curve: &DirtyCurve, slow: &[ThrottledPoint]) -> Option<f64> {
    let (mut weights, mut sum) = (0.0, 0.0);
    for one in slow {
        let window = one.point.window.as_seconds_f64();
        let unique = one.point.unique.as_f64();
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(low, high);
            let span = Span::from_seconds_f64(middle * window);
            if curve.unique(span).as_f64() < unique {
                low = middle;
            } else {
                high = middle;
            }
        }
        let error = one.point.error.as_f64() / unique.max(one.point.error.as_f64()).max(1.0);
        let weight = one.slept * one.slept / (error * error).max(1e-4);
        weights += weight;
        sum += weight * ((1.0 - low) / one.slept).clamp(0.0, 1.0);
    }
    (weights > 0.0).then(|| sum / weights)
}
