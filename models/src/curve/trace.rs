//! Reads of the dirty bitmap in what was seen of a migration.
//!
//! Between two looks, newly dirtied memory is the growth of the remainder and of the pages sent:
//! an exact identity of QEMU's counters (`ram.remaining` counts the bits that are set, each page
//! sent clears one, only a bitmap read sets them). All new pages appear at the read, and a page
//! that waits to be sent is not counted again.
//!
//! Never trusts a look: pairs between which a counter or the clock runs backwards are left out,
//! and with them the window that they belong to.

use whimbrel_core::{
    cluster::{CompletedStats, DeltaCoding, JobProgress},
    settings::Mode,
    telemetry::{JobSample, MigrationTrace},
    units::{Bytes, GUEST_PAGE, Span, Timestamp},
};

use super::pages::PageClock;

/// Length of QEMU's rate-limiting quantum (`BUFFER_DELAY`), in seconds; reads happen on its grid.
const QUANTUM_SECONDS: f64 = 0.1;

/// Standard error of the moment of a read that was found from the leftover at it: a uniform
/// quantum, and the jitter of the bandwidth.
const FOUND_ERROR_SECONDS: f64 = 0.04;

/// A clock that differs from QEMU's by more than this, and by half the time between two looks,
/// has jumped, in seconds.
const CLOCK_SLACK_SECONDS: f64 = 1.0;

/// Zero pages that QEMU finds a second at most.
const ZERO_PAGES_PER_SECOND: f64 = 2e6;

/// No migration takes longer, and none was before or after these years: 30 days, the year 9999.
const ELAPSED_MAX: Span = Span::from_seconds(30 * 86_400);
const AT_MAX: Timestamp = Timestamp::from_micros(253_402_300_799_000_000);

/// No guest is larger: 1 PiB.
const MEMORY_MAX: u64 = 1 << 50;

/// One read of the bitmap, or several that no look separates: then figures are of their mean.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BitmapRead {
    /// When it was, on the wall clock.
    pub(crate) at: Timestamp,
    /// Time since the read before, in seconds; above 0.
    pub(crate) window_seconds: f64,
    /// Standard error of that time.
    pub(crate) window_error_seconds: f64,
    /// Memory dirtied since the read before that was not waiting to be sent.
    pub(crate) new_bytes: f64,
    /// Memory that waited to be sent.
    pub(crate) left_bytes: f64,
    /// Memory sent since the read before.
    pub(crate) sent_bytes: f64,
    /// How many reads these are; at least 1.
    pub(crate) reads: u64,
    /// Mean part of the window that vCPUs were made to sleep, 0..=1.
    pub(crate) throttled: f64,
    /// Whether all reads together end the first pass, before which nothing was clean.
    pub(crate) first: bool,
    /// For the read that ends the first pass: mean age of its pages as a part of the window,
    /// 0..=1, for the kernel's log is cleared chunk by chunk (`CLEAR_BITMAP_SHIFT`).
    pub(crate) age_share: f64,
}

/// A look in plain numbers.
#[derive(Debug, Clone, Copy)]
struct Look {
    at: Timestamp,
    seconds: f64,
    remaining: f64,
    /// Memory taken from the bitmap so far.
    taken: f64,
    /// The part of it that had content.
    content: f64,
    iteration: u64,
    throttled: f64,
    bandwidth: f64,
    transferred: f64,
}

/// Where the walk stands since the last read.
struct Since {
    seconds: f64,
    error: f64,
    sent: f64,
    /// Seconds times part slept.
    slept: f64,
    first: bool,
}

/// All reads that `trace` lets see, in order of time.
pub(crate) fn bitmap_reads(trace: &MigrationTrace) -> Vec<BitmapRead> {
    let looks = looks(trace);
    let limit = trace.record.settings.downtime_limit.as_seconds_f64();
    let mut walk = Walk { limit, since: None, reads: Vec::new(), clock: PageClock::default() };
    if let Some(start) = looks.first().and_then(|look| start(look, trace)) {
        walk.begin(&start);
        if let Some(first) = looks.first() {
            walk.step(&start, first, 0);
        }
    }
    for pair in looks.windows(2) {
        if let [before, after] = pair {
            walk.step(before, after, 0);
        }
    }
    let stop = looks.last().zip(trace.record.stats.as_ref());
    if let Some((last, end)) = stop.and_then(|(last, s)| Some((last, end(last, s, trace)?))) {
        // The stop reads the bitmap once more, a few milliseconds after the read before.
        walk.step(last, &end, 1);
    }
    walk.reads
}

/// Memory that was all-zero in the first pass, where a trace lets see its end.
pub(crate) fn zero_of_first_pass(trace: &MigrationTrace) -> Option<Bytes> {
    let looks = looks(trace);
    let place = looks.iter().position(|look| look.iteration > 1)?;
    let (before, after) = (looks.get(place.checked_sub(1)?)?, looks.get(place)?);
    let zero = |look: &Look| (look.taken - look.content).max(0.0);
    let at_end = match &trace.record.stats {
        Some(stats) => bytes_of(stats.zero_pages),
        None => looks.iter().map(zero).fold(0.0, f64::max),
    };
    // The pass ends with some memory not yet looked at; later passes find a page zero again.
    let most = zero(after) + before.remaining;
    Some(Bytes::new(at_end.max(zero(after)).min(most).round() as u64))
}

fn looks(trace: &MigrationTrace) -> Vec<Look> {
    let record = &trace.record;
    let reads_max = match record.settings.mode {
        Mode::PostCopy => u64::from(record.settings.reads_before_post_copy).saturating_add(1),
        Mode::PreCopy | Mode::AutoConverge => u64::MAX,
    };
    // Looks that count no pages say nothing of what was dirtied: one that arrived would seem to have
    // sent all of them at the end.
    let counts = |sample: &JobSample| {
        let progress = &sample.progress;
        progress.normal_pages > 0 || progress.zero_pages > 0 || progress.delta.pages > 0
    };
    if !trace.samples.iter().any(counts) {
        return Vec::new();
    }
    trace.samples.iter().filter_map(|sample| Look::new(sample, reads_max)).collect()
}

fn bytes_of(pages: u64) -> f64 {
    pages as f64 * GUEST_PAGE.as_f64()
}

impl Look {
    fn new(sample: &JobSample, reads_max: u64) -> Option<Self> {
        let JobProgress { elapsed, remaining, total, bandwidth, iteration, delta, .. } =
            sample.progress;
        let progress = &sample.progress;
        let possible = (1..=MEMORY_MAX).contains(&total.get())
            && remaining <= total
            && elapsed <= ELAPSED_MAX
            && sample.at + elapsed <= AT_MAX;
        let before_the_switch = progress.post_copy_requests == 0 && iteration <= reads_max;
        (possible && before_the_switch && iteration > 0).then(|| Self {
            at: sample.at,
            seconds: elapsed.as_seconds_f64(),
            remaining: remaining.as_f64(),
            taken: bytes_of(progress.normal_pages)
                + bytes_of(progress.zero_pages)
                + bytes_of(delta.pages),
            content: bytes_of(progress.normal_pages) + bytes_of(delta.pages),
            iteration,
            throttled: f64::from(progress.throttle_percent.min(99)) / 100.0,
            bandwidth: bandwidth.as_f64(),
            transferred: progress.transferred.as_f64(),
        })
    }

    /// Whether every counter and both clocks run forwards from here to `after`.
    fn precedes(&self, after: &Self) -> bool {
        let seconds = after.seconds - self.seconds;
        let by_wall = after.at.since(self.at).as_seconds_f64();
        let jumped = (by_wall - seconds).abs() > CLOCK_SLACK_SECONDS + seconds / 2.0;
        seconds > 0.0
            && !jumped
            && after.at >= self.at
            && after.iteration >= self.iteration
            && after.taken >= self.taken
            && after.transferred >= self.transferred
    }
}

/// The start of the first pass, before `first`: libvirt's time begins with its preparation.
fn start(first: &Look, trace: &MigrationTrace) -> Option<Look> {
    let all = trace.samples.iter().map(|s| s.progress.total.as_f64()).fold(0.0, f64::max);
    let zero_seconds = (first.taken - first.content) / GUEST_PAGE.as_f64() / ZERO_PAGES_PER_SECOND;
    let sending = if first.bandwidth > 0.0 { first.transferred / first.bandwidth } else { 0.0 };
    let seconds = (first.seconds - sending - zero_seconds.max(0.0)).max(0.0);
    let before = Span::from_seconds_f64(first.seconds - seconds);
    let at = Timestamp::from_micros(first.at.as_micros().saturating_sub(before.as_micros()));
    (seconds < first.seconds).then_some(Look {
        at,
        seconds,
        remaining: all,
        taken: 0.0,
        content: 0.0,
        iteration: 1,
        throttled: 0.0,
        transferred: 0.0,
        ..*first
    })
}

/// The stop of a pre-copy that arrived, after `last`.
fn end(last: &Look, stats: &CompletedStats, trace: &MigrationTrace) -> Option<Look> {
    let record = &trace.record;
    let by_pre_copy = record.arrived && record.settings.mode != Mode::PostCopy;
    let seconds = stats.total_time.saturating_sub(stats.downtime).as_seconds_f64();
    let more = seconds > last.seconds
        && stats.total_time <= ELAPSED_MAX
        && stats.iterations >= last.iteration;
    let DeltaCoding { pages, .. } = stats.delta;
    let content = bytes_of(stats.normal_pages) + bytes_of(pages);
    let later = Span::from_seconds_f64(seconds - last.seconds);
    (by_pre_copy && more).then(|| Look {
        at: last.at + later,
        seconds,
        remaining: 0.0,
        taken: content + bytes_of(stats.zero_pages),
        content,
        iteration: stats.iterations,
        throttled: f64::from(stats.throttle_percent.min(99)) / 100.0,
        bandwidth: last.bandwidth,
        transferred: stats.transferred.as_f64(),
    })
}

struct Walk {
    /// Downtime limit in seconds.
    limit: f64,
    since: Option<Since>,
    reads: Vec<BitmapRead>,
    clock: PageClock,
}

impl Walk {
    /// Nothing is clean before `start`.
    fn begin(&mut self, start: &Look) {
        let since = Since {
            seconds: start.seconds,
            error: QUANTUM_SECONDS,
            sent: 0.0,
            slept: 0.0,
            first: true,
        };
        self.since = Some(since);
    }

    /// Goes from one look to the next; `at_once` of the reads between them took no time.
    fn step(&mut self, before: &Look, after: &Look, at_once: u64) {
        if !before.precedes(after) {
            self.since = None;
            return;
        }
        let sent = after.taken - before.taken;
        let new = after.remaining - before.remaining + sent;
        let reads = after.iteration - before.iteration;
        if self.since.as_ref().is_some_and(|since| since.first) {
            self.clock.passed(after.seconds, after.taken, after.content);
        }
        if reads == 0 {
            self.carry(before, after, sent, new);
        } else {
            self.read(before, after, reads.saturating_sub(at_once).max(1), sent, new);
        }
    }

    /// No read between two looks. Counters are read one after the other, so a few new pages may
    /// show a look late.
    fn carry(&mut self, before: &Look, after: &Look, sent: f64, new: f64) {
        if let Some(since) = &mut self.since {
            let seconds = after.seconds - before.seconds;
            if let Some(last) = self.reads.last_mut().filter(|_| since.sent == 0.0 && new > 0.0) {
                last.new_bytes += new / last.reads as f64;
            }
            since.sent += sent;
            since.slept += seconds * before.throttled;
        }
    }

    fn read(&mut self, before: &Look, after: &Look, reads: u64, sent: f64, new: f64) {
        let seconds = after.seconds - before.seconds;
        let (into, left, error) = self.moment(before, after, reads, sent);
        let of_them = reads as f64;
        let since = self.since.take();
        self.since = Some(Since {
            seconds: before.seconds + into,
            error,
            sent: sent * (1.0 - into / seconds),
            slept: (seconds - into) * after.throttled,
            first: false,
        });
        let Some(since) = since.filter(|_| new >= -GUEST_PAGE.as_f64()) else { return };
        let window = before.seconds + into - since.seconds;
        if window <= 0.0 {
            return;
        }
        let later = Span::from_seconds_f64(into);
        self.reads.push(BitmapRead {
            at: before.at + later,
            window_seconds: window / of_them,
            window_error_seconds: since.error.hypot(error) / of_them,
            new_bytes: new.max(0.0) / of_them,
            left_bytes: left,
            sent_bytes: (since.sent + sent * into / seconds) / of_them,
            reads,
            throttled: ((since.slept + into * before.throttled) / window).clamp(0.0, 0.99),
            first: since.first,
            age_share: if since.first {
                self.clock.age_share(since.seconds, before.seconds + into)
            } else {
                1.0
            },
        });
    }

    /// When the last of `reads` was, in seconds after `before`; what was left then; the error.
    ///
    /// QEMU reads once less than (bandwidth x downtime limit) remains, so the first is found from
    /// the remainder where the stream is as steady as it says.
    fn moment(&self, before: &Look, after: &Look, reads: u64, sent: f64) -> (f64, f64, f64) {
        let seconds = after.seconds - before.seconds;
        let left = (before.bandwidth * (self.limit - QUANTUM_SECONDS / 2.0)).max(0.0);
        let left = left.min(before.remaining);
        let uniform = seconds / 12f64.sqrt();
        if reads > 1 {
            let into = seconds * (1.0 - 0.5 / reads as f64);
            return (into, left, uniform / reads as f64);
        }
        let found = seconds * (before.remaining - left) / sent.max(1.0);
        if found.is_finite() && (-QUANTUM_SECONDS..=seconds + QUANTUM_SECONDS).contains(&found) {
            let into = found.clamp(0.0, seconds);
            let left = (before.remaining - sent * into / seconds).max(0.0);
            return (into, left, FOUND_ERROR_SECONDS.min(uniform));
        }
        let left = (before.remaining - sent / 2.0).max(0.0);
        (seconds / 2.0, left, uniform)
    }
}
