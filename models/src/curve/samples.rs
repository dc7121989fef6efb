//! Points of U(t) from past migrations: exact, free, and shorter than any reading.
//!
//! Every read of the dirty bitmap that a trace lets see is one point. Corrected are the kernel's
//! late clearing of its log and pages that were written while they waited to be sent; what the
//! correction may be wrong by is in the point's error. Left out: windows in which auto-converge
//! made vCPUs sleep, everything after a switch to post-copy, and looks whose counters or clocks
//! run backwards.
//!
//! Never says more than was seen: a migration without looks gives no points.

use whimbrel_core::{
    telemetry::MigrationTrace,
    units::{Bytes, GUEST_PAGE, Span, Timestamp},
};

use super::{
    drift::{Residual, change},
    pages::CHUNK_BYTES,
    points::{CurvePoint, Point},
    shapes::{most_likely, sort},
    trace::{BitmapRead, bitmap_reads},
};

/// Windows shorter than this are between two looks of QEMU itself and show nothing, in seconds.
const SHORTEST_SECONDS: f64 = 0.03;

/// What a guest's writes vary by from window to window, as a part.
const SCATTER: f64 = 0.05;

/// Slope of ln U over ln t by which an error of the window is one of the value: that of a
/// constant rate, the steepest.
const SLOPE: f64 = 1.0;

/// Error of the mean over several reads that no look separates, as a part: U bends between them.
const BLURRED: f64 = 0.1;

/// Error of a first pass over several chunks, as a part: memory is not alike everywhere.
const UNEVEN: f64 = 0.1;

/// A window in which vCPUs were made to sleep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThrottledPoint {
    /// Part of the window that they slept, 0..=1.
    pub slept: f64,
    /// What was dirtied in it all the same.
    pub point: CurvePoint,
}

/// Points of U(t) that `trace` shows, in order of time.
///
/// When the level changed for good while it ran (a load that ended), those of the longer side:
/// points of two levels make no curve.
pub fn points(trace: &MigrationTrace) -> Vec<CurvePoint> {
    let memory = counted_memory(trace);
    let free = |read: &BitmapRead| read.throttled <= 0.0;
    let all: Vec<CurvePoint> =
        bitmap_reads(trace).iter().filter(|r| free(r)).filter_map(|r| point(r, memory)).collect();
    match changed_at(&all, memory) {
        Some(at) => longer_side(all, at),
        None => all,
    }
}

/// When the level of `points` changed for good; `None` where it did not.
fn changed_at(points: &[CurvePoint], memory: Bytes) -> Option<Timestamp> {
    let mut plain: Vec<Point> = points.iter().filter_map(CurvePoint::point).collect();
    sort(&mut plain);
    let curve = most_likely(&plain, memory)?;
    let residuals: Vec<Residual> = points
        .iter()
        .filter_map(|point| Some(Residual::of(point.measured_at, &point.point()?, &curve)))
        .collect();
    change(&residuals).map(|change| change.at)
}

/// Those of `points` before `at` or from then on, whichever saw more time.
fn longer_side(points: Vec<CurvePoint>, at: Timestamp) -> Vec<CurvePoint> {
    let (before, after): (Vec<_>, Vec<_>) = points.into_iter().partition(|p| p.measured_at < at);
    let seen = |side: &[CurvePoint]| side.iter().map(|p| p.window.as_seconds_f64()).sum::<f64>();
    if seen(&before) > seen(&after) { before } else { after }
}

/// What `trace` shows of the guest while auto-converge slowed it, in order of time.
pub fn throttled(trace: &MigrationTrace) -> Vec<ThrottledPoint> {
    let memory = counted_memory(trace);
    bitmap_reads(trace)
        .iter()
        .filter(|read| read.throttled > 0.0)
        .filter_map(|read| {
            Some(ThrottledPoint { slept: read.throttled, point: point(read, memory)? })
        })
        .collect()
}

/// The guest's memory as QEMU counts it, or as the record says.
fn counted_memory(trace: &MigrationTrace) -> Bytes {
    trace.samples.iter().map(|s| s.progress.total).max().unwrap_or(trace.record.memory)
}

fn point(read: &BitmapRead, memory: Bytes) -> Option<CurvePoint> {
    let chunks = (memory.as_f64() / CHUNK_BYTES).ceil().max(1.0);
    let (share, share_error) = age(read, chunks);
    let window = read.window_seconds * share;
    if window < SHORTEST_SECONDS {
        return None;
    }
    let (unseen, unseen_error) = unseen(read);
    let unique = (read.new_bytes + unseen).min(memory.as_f64());
    let relative = (SLOPE * read.window_error_seconds / read.window_seconds)
        .hypot(share_error)
        .hypot(SCATTER)
        .hypot(if read.reads > 1 { BLURRED } else { 0.0 });
    let error = unseen_error.hypot(relative * unique).hypot(GUEST_PAGE.as_f64());
    Some(CurvePoint {
        window: Span::from_seconds_f64(window),
        unique: Bytes::new(unique.round() as u64),
        error: Bytes::new(error.round() as u64),
        measured_at: read.at,
    })
}

/// How old pages are at `read` as a part of its window, and the error of it as a part.
fn age(read: &BitmapRead, chunks: f64) -> (f64, f64) {
    if chunks <= 1.0 {
        return (1.0, 0.0);
    }
    if read.first {
        return (read.age_share, UNEVEN);
    }
    // Pages that were dirty at the read before are clean from their chunk's turn on, at
    // 1, 2, ... chunks of the window; others from the read on. Which is which is not known.
    let youngest = (chunks + 1.0) / (2.0 * chunks);
    let middle = f64::midpoint(youngest, 1.0);
    (middle, (1.0 - youngest) / 12f64.sqrt() / middle)
}

/// Memory that was written while it waited to be sent and is therefore not in the new pages.
///
/// At most the part of what waited that was rewritten of what was sent, at least nothing: a
/// writer that walks ahead of the sender leaves behind what waits.
fn unseen(read: &BitmapRead) -> (f64, f64) {
    let rewritten = (read.new_bytes / read.sent_bytes.max(1.0)).min(1.0);
    let most = rewritten * read.left_bytes;
    (most / 2.0, most / 12f64.sqrt())
}
