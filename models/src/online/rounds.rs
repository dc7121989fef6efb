//! What looks at a running migration tell: rounds between bitmap reads, and bandwidth.
//!
//! A look in which QEMU's dirty-sync-count has risen contains a bitmap read. What was dirtied since
//! the read before is then d(remaining) + 4096 x d(pages sent), exactly, whatever was sent in
//! between: a free point of the unique-dirty curve, sub-second ones included.
//!
//! Never looks ahead: a round is told by the looks up to its end.

use whimbrel_core::{
    telemetry::JobSample,
    units::{GUEST_PAGE, Timestamp},
};

/// Looks over which bandwidth is averaged: the faster of a short and a long while, as zero pages
/// and a bitmap read hold the stream up for moments.
const BANDWIDTH_SECONDS: [f64; 2] = [2.0, 8.0];

/// What happened between two bitmap reads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Round {
    /// When its end was seen.
    pub(super) seen_at: Timestamp,
    /// Its length. Above 0.
    pub(super) seconds: f64,
    /// Distinct memory dirtied in it.
    pub(super) dirtied_bytes: f64,
    /// Still to send after its end.
    pub(super) remaining_bytes: f64,
    /// Guest memory that the stream carried a second.
    pub(super) bandwidth: f64,
    /// Part of the time for which vCPUs were made to sleep.
    pub(super) throttle: f64,
}

/// Guest memory sent so far.
fn sent_bytes(sample: &JobSample) -> f64 {
    let p = &sample.progress;
    let pages = p.normal_pages.saturating_add(p.delta.pages);
    pages as f64 * GUEST_PAGE.as_f64()
}

/// Pages announced as zero count as sent too where remaining is concerned.
fn done_bytes(sample: &JobSample) -> f64 {
    sent_bytes(sample) + sample.progress.zero_pages as f64 * GUEST_PAGE.as_f64()
}

/// Time since the job began; looks of one job are told apart by it even when a clock jumps.
fn elapsed(sample: &JobSample) -> f64 {
    sample.progress.elapsed.as_seconds_f64()
}

/// Every round whose end was seen, in order; the first pass first.
pub(super) fn rounds(samples: &[JobSample]) -> Vec<Round> {
    let mut rounds = Vec::new();
    // The first read happens as the job begins.
    let mut last_read = 0.0;
    for (index, pair) in samples.windows(2).enumerate() {
        let [before, after] = pair else { continue };
        let reads = after.progress.iteration.saturating_sub(before.progress.iteration);
        if reads == 0 || after.progress.iteration < 2 {
            continue;
        }
        let read_at = f64::midpoint(elapsed(before), elapsed(after));
        let remaining = after.progress.remaining.as_f64();
        let dirtied =
            remaining - before.progress.remaining.as_f64() + done_bytes(after) - done_bytes(before);
        let seconds = (read_at - last_read) / reads as f64;
        if seconds > 0.0 && dirtied.is_finite() {
            rounds.push(Round {
                seen_at: after.at,
                seconds,
                dirtied_bytes: dirtied.max(0.0) / reads as f64,
                remaining_bytes: remaining,
                bandwidth: bandwidth(samples.get(..index + 2).unwrap_or_default()),
                throttle: f64::from(after.progress.throttle_percent.min(99)) / 100.0,
            });
        }
        last_read = read_at;
    }
    rounds
}

/// Guest memory that the stream carries a second as of the last of `samples`; 0 of fewer than two
/// looks.
pub(super) fn bandwidth(samples: &[JobSample]) -> f64 {
    let Some(last) = samples.last() else { return 0.0 };
    let over = |seconds: f64| {
        let since = elapsed(last) - seconds;
        let first = samples.iter().find(|sample| elapsed(sample) >= since)?;
        let time = elapsed(last) - elapsed(first);
        (time > 0.0).then(|| (sent_bytes(last) - sent_bytes(first)).max(0.0) / time)
    };
    BANDWIDTH_SECONDS.into_iter().filter_map(over).fold(0.0, f64::max)
}
