//! Replay of QEMU's pre-copy loop on a unique-dirty curve.
//!
//! The rule is that of QEMU's `migration/migration.c` and `ram.c`, in own words. The stream has a
//! budget for every quantum of 100 ms. As soon as what is known to remain falls under the
//! threshold T = (bandwidth of the last quantum) x (downtime limit), the dirty bitmap is read
//! again; if the true remainder fits under T too, QEMU switches over, otherwise it goes on
//! sending. A round therefore never drains to zero, and it ends on a quantum's grid.
//!
//! Approximated: pages are sent in address order, so what a round leaves over is a like share of
//! every class of memory; a sweep class has gone past what it left over (its writer and the
//! sender walk the same way), a random class hits leftovers like any other page. Never modelled:
//! auto-converge, post-copy, compression, several channels.

use whimbrel_core::{
    predict::Stall,
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span},
};

use crate::curve::{Access, DirtyCurve};

/// Header of a page on the wire.
const PAGE_HEADER_BYTES: f64 = 8.0;

/// A zero page on the wire: header and a fill byte.
const ZERO_PAGE_WIRE_BYTES: f64 = 9.0;

/// Zero pages that QEMU finds a second at most, whatever the link carries.
const ZERO_PAGES_PER_SECOND: f64 = 2e6;

/// Length of QEMU's rate-limiting quantum (`BUFFER_DELAY`), in seconds: a stream that reaches its
/// cap sleeps to the end of it.
const QUANTUM_SECONDS: f64 = 0.1;

/// Time after which QEMU looks up from sending (`MAX_WAIT`), in seconds: the grid of a stream
/// that the link holds back, not the cap.
const LOOK_UP_SECONDS: f64 = 0.05;

/// The kernel's dirty log is cleared chunk by chunk (2^18 pages), each just before its first page
/// is sent: only then may its pages count as dirtied anew.
const CLEAR_CHUNK_BYTES: f64 = 1_073_741_824.0;

/// Bitmap reads without a new low of the remainder after which it is called a stall, and the part
/// of it by which a new low must be lower.
const READS_WITHOUT_GAIN: u32 = 12;
const GAIN: f64 = 1e-3;

/// Bound on bitmap reads; real migrations need tens, the longest seen 188. Whatever creeps on for
/// longer is a stall to whoever waits for it.
const READS_MAX: u64 = 512;

/// QEMU accepts no downtime limit above 2000 s.
const DOWNTIME_LIMIT_MAX_SECONDS: f64 = 2000.0;

/// How the remainder is compared with the threshold at switch-over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SwitchRule {
    /// It must be below, or nothing: QEMU up to 10.0.
    #[default]
    Below,
    /// It may be equal: QEMU 10.2.
    AtMost,
}

/// A pre-copy migration as far as its loop depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PreCopy {
    /// Memory with content: what the first pass sends.
    pub non_zero: Bytes,
    /// Memory that reads as zero: announced page by page.
    pub zero: Bytes,
    /// What the stream carries before the switch-over, headers included. Above 0.
    pub stream: BytesPerSecond,
    /// What the link carries at the switch-over, when the cap is lifted. Above 0.
    pub line: BytesPerSecond,
    /// Whether the stream is held by its cap rather than by the link.
    pub capped: bool,
    /// QEMU's downtime limit.
    pub downtime_limit: Span,
    /// The comparison at switch-over.
    pub rule: SwitchRule,
}

/// What a replay came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Replay {
    /// From the first page to the switch-over, or to where the stall was recognised.
    pub copying: Span,
    /// Sending the rest with the vCPUs stopped. Without device state and hand-over.
    pub stopped: Span,
    /// Bytes on the wire, headers included, the rest too.
    pub transferred: Bytes,
    /// Bitmap reads, QEMU's dirty-sync-count.
    pub iterations: u64,
    /// Length of the last round.
    pub last_round: Span,
    /// Memory newly dirtied in the last round.
    pub last_dirtied: Bytes,
    /// Whether it switched over.
    pub converged: bool,
}

/// Replays `migration` of a guest that dirties memory by `curve`.
pub fn replay(migration: &PreCopy, curve: &DirtyCurve) -> Replay {
    let mut state = State::new(migration, curve);
    let mut lowest = f64::INFINITY;
    let mut without_gain = 0;
    let mut switched = false;
    while !switched && without_gain < READS_WITHOUT_GAIN && state.reads < READS_MAX {
        state.send_round();
        state.read_bitmap();
        switched = state.may_switch();
        if state.remaining < lowest * (1.0 - GAIN) {
            lowest = state.remaining;
            without_gain = 0;
        } else {
            without_gain += 1;
        }
    }
    state.outcome(migration, switched)
}

/// Where `migration` would hang, or `None` where it switches over.
///
/// The needed limit is found by bisection over replays, to 1 % and above whole milliseconds.
pub fn stall(migration: &PreCopy, curve: &DirtyCurve) -> Option<Stall> {
    let hung = replay(migration, curve);
    if hung.converged {
        return None;
    }
    let with =
        |seconds: f64| PreCopy { downtime_limit: Span::from_seconds_f64(seconds), ..*migration };
    let mut low = migration.downtime_limit.as_seconds_f64().max(1e-3);
    let mut high = low * 2.0;
    while high < DOWNTIME_LIMIT_MAX_SECONDS && !replay(&with(high), curve).converged {
        low = high;
        high *= 2.0;
    }
    while high > low * 1.01 {
        let middle = f64::midpoint(low, high);
        if replay(&with(middle), curve).converged {
            high = middle;
        } else {
            low = middle;
        }
    }
    let needed_millis = (high.min(DOWNTIME_LIMIT_MAX_SECONDS) * 1e3).ceil() as u64;
    Some(Stall {
        round: hung.last_round.rounded(),
        remaining: hung.last_dirtied.rounded(),
        downtime_limit_needed: Span::from_millis(needed_millis),
    })
}

/// The loop's state between two bitmap reads. Amounts are bytes of guest memory unless named so.
struct State<'a> {
    curve: &'a DirtyCurve,
    /// Dirty part of each class, 0..=1.
    dirty: Vec<f64>,
    /// Bytes of memory that no class writes and that were not sent yet.
    cold: f64,
    remaining: f64,
    /// Guest memory that the stream carries a second.
    payload: f64,
    threshold: f64,
    rule: SwitchRule,
    grid_seconds: f64,
    /// Chunks in which the dirty log is cleared.
    chunks: f64,
    zero_pages: f64,
    zero_seconds: f64,
    elapsed: f64,
    sent: f64,
    reads: u64,
    last_round: f64,
    last_dirtied: f64,
}

impl<'a> State<'a> {
    fn new(migration: &PreCopy, curve: &'a DirtyCurve) -> Self {
        let stream = migration.stream.as_f64().max(1.0);
        let page = GUEST_PAGE.as_f64();
        let zero_pages = migration.zero.as_f64() / page;
        let written: f64 = curve.classes().iter().map(|c| c.size_bytes).sum();
        let remaining = migration.non_zero.as_f64().max(written);
        let memory = remaining + migration.zero.as_f64();
        Self {
            curve,
            dirty: vec![1.0; curve.classes().len()],
            cold: remaining - written,
            remaining,
            payload: stream * page / (page + PAGE_HEADER_BYTES),
            threshold: stream * migration.downtime_limit.as_seconds_f64(),
            rule: migration.rule,
            grid_seconds: if migration.capped { QUANTUM_SECONDS } else { LOOK_UP_SECONDS },
            chunks: (memory / CLEAR_CHUNK_BYTES).ceil().max(1.0),
            zero_pages,
            zero_seconds: zero_pages
                * (ZERO_PAGE_WIRE_BYTES / stream).max(1.0 / ZERO_PAGES_PER_SECOND),
            elapsed: 0.0,
            sent: 0.0,
            reads: 1,
            last_round: 0.0,
            last_dirtied: 0.0,
        }
    }

    /// Sends until the known remainder is under the threshold, on the grid of QEMU's looks.
    fn send_round(&mut self) {
        let step = self.payload * self.grid_seconds;
        let over = (self.remaining - self.threshold).max(0.0);
        let steps = (over / step).floor() + 1.0;
        let sent = (steps * step).min(self.remaining);
        let mut seconds = (sent / self.payload).max(LOOK_UP_SECONDS);
        if self.reads == 1 {
            seconds += self.zero_seconds;
        }
        let kept = if self.remaining > 0.0 { 1.0 - sent / self.remaining } else { 0.0 };
        // Pages known as dirty are counted anew only from their chunk's clearing on.
        for (dirty, class) in self.dirty.iter_mut().zip(self.curve.classes()) {
            let turns = seconds / class.period_seconds;
            let late = touched_by_chunk(class.access, turns, self.chunks);
            let full = class.touched(seconds);
            let anew = *dirty * late + (1.0 - *dirty) * full;
            let left = *dirty * kept;
            *dirty = match class.access {
                Access::Random => left + (1.0 - left) * anew,
                Access::Sweep => (left + anew).min(1.0),
            };
        }
        self.cold *= kept;
        self.remaining -= sent;
        self.sent += sent;
        self.elapsed += seconds;
        self.last_round = seconds;
    }

    /// Takes what was dirtied since the last read into the remainder.
    fn read_bitmap(&mut self) {
        let classes = self.curve.classes().iter().zip(&self.dirty);
        let exact = self.cold + classes.map(|(c, dirty)| c.size_bytes * dirty).sum::<f64>();
        self.last_dirtied = (exact - self.remaining).max(0.0);
        self.remaining = exact;
        self.reads += 1;
    }

    fn may_switch(&self) -> bool {
        match self.rule {
            SwitchRule::Below => self.remaining < self.threshold || self.remaining < 1.0,
            SwitchRule::AtMost => self.remaining <= self.threshold,
        }
    }

    fn outcome(&self, migration: &PreCopy, converged: bool) -> Replay {
        let page = GUEST_PAGE.as_f64();
        let with_headers = (page + PAGE_HEADER_BYTES) / page;
        let rest = if converged { self.remaining } else { 0.0 };
        let wire = (self.sent + rest) * with_headers + self.zero_pages * ZERO_PAGE_WIRE_BYTES;
        let stopped = rest * with_headers / migration.line.as_f64().max(1.0);
        Replay {
            copying: Span::from_seconds_f64(self.elapsed),
            stopped: Span::from_seconds_f64(stopped),
            transferred: Bytes::new(wire.round() as u64),
            // Switching over reads the bitmap a last time.
            iterations: self.reads + u64::from(converged),
            last_round: Span::from_seconds_f64(self.last_round),
            last_dirtied: Bytes::new(self.last_dirtied.round() as u64),
            converged,
        }
    }
}

/// The part of a class that is written after its chunk was cleared: chunks are cleared one after
/// the other through the round, so the mean over windows of 1/chunks, 2/chunks, ..., all of it.
fn touched_by_chunk(access: Access, turns: f64, chunks: f64) -> f64 {
    match access {
        Access::Random => {
            let step = turns / chunks;
            // Sum of exp(-k step) for k = 1..=chunks.
            let untouched = if step < 1e-9 {
                chunks
            } else {
                (-step).exp() * (-turns).exp_m1() / (-step).exp_m1()
            };
            1.0 - untouched / chunks
        }
        Access::Sweep => {
            let partial = if turns > 0.0 { (chunks / turns).floor().min(chunks) } else { chunks };
            let rising = turns * partial * (partial + 1.0) / (2.0 * chunks);
            (rising + chunks - partial) / chunks
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::curve::Class;

    const MIB: f64 = 1_048_576.0;

    /// 184 MiB with content over 60 MiB/s with 300 ms: T = 18 MiB, 6 MiB a quantum.
    fn migration() -> PreCopy {
        PreCopy {
            non_zero: Bytes::mib(184),
            zero: Bytes::ZERO,
            stream: BytesPerSecond::mib(60),
            line: BytesPerSecond::mib(200),
            capped: true,
            downtime_limit: Span::from_millis(300),
            rule: SwitchRule::Below,
        }
    }

    #[test]
    fn a_still_guest_is_sent_once_and_switched_before_the_end() {
        let run = replay(&migration(), &DirtyCurve::still());
        assert!(run.converged);
        // 28 quanta leave less than 18 MiB; setup, the end of the pass and the switch read the
        // bitmap.
        assert_eq!(run.copying, Span::from_millis(2800));
        assert_eq!(run.iterations, 3);
        let wire = 184.0 * 4104.0 / 4096.0;
        assert!((run.transferred.as_f64() / MIB - wire).abs() < 0.01);
    }

    #[test]
    fn bitmap_reads_are_as_many_as_measured() {
        // Measured on QEMU 10.0: 23 reads, 14.9 and 15.3 s with about 1.2 s of preparation.
        let run =
            replay(&migration(), &DirtyCurve::sweep(BytesPerSecond::mib(50), Bytes::mib(128)));
        assert!((21..=25).contains(&run.iterations), "{}", run.iterations);
        assert!((13.0..15.0).contains(&run.copying.as_seconds_f64()), "{}", run.copying);
    }

    #[test]
    fn the_stall_is_the_fixed_point() {
        // Faster than the stream until all 128 MiB are dirty: U(t) = 30 t at t = 128 / 30 s.
        let slow = PreCopy { stream: BytesPerSecond::mib(30), ..migration() };
        let curve = DirtyCurve::sweep(BytesPerSecond::mib(50), Bytes::mib(128));
        let stall = stall(&slow, &curve).unwrap();
        assert!((4.0..4.5).contains(&stall.round.as_seconds_f64()), "{stall:?}");
        assert!((118.0..130.0).contains(&(stall.remaining.as_f64() / MIB)), "{stall:?}");
        let enough = PreCopy { downtime_limit: stall.downtime_limit_needed, ..slow };
        assert!(replay(&enough, &curve).converged);
        let short = Span::from_micros(stall.downtime_limit_needed.as_micros() * 97 / 100);
        assert!(!replay(&PreCopy { downtime_limit: short, ..slow }, &curve).converged);
    }

    #[test]
    fn equality_is_enough_for_newer_versions_only() {
        let curve = DirtyCurve::still();
        let all_under =
            PreCopy { non_zero: Bytes::ZERO, downtime_limit: Span::ZERO, ..migration() };
        for rule in [SwitchRule::Below, SwitchRule::AtMost] {
            assert!(replay(&PreCopy { rule, ..all_under }, &curve).converged, "nothing is enough");
        }
        let mut state = State::new(&migration(), &curve);
        state.remaining = state.threshold;
        assert!(!state.may_switch());
        state.rule = SwitchRule::AtMost;
        assert!(state.may_switch());
    }

    #[test]
    fn late_clearing_counts_less_in_large_guests() {
        for access in [Access::Random, Access::Sweep] {
            assert!(
                (touched_by_chunk(access, 0.4, 1.0) - crate::curve::touched(access, 0.4)).abs()
                    < 1e-9
            );
            let many = touched_by_chunk(access, 1e-3, 1e4);
            assert!((many / 1e-3 - 0.5).abs() < 1e-2, "half the time on average, not {many}");
            assert!((touched_by_chunk(access, 1e9, 64.0) - 1.0).abs() < 1e-9);
        }
    }

    proptest! {
        #[test]
        fn any_migration_ends_with_sound_figures(
            non_zero in 0u64..1 << 40, zero in 0u64..1 << 40,
            stream in 1u64..1 << 36, line in 1u64..1 << 36, capped in any::<bool>(),
            limit in 0u64..10_000, size in 1.0..1e12f64, period in 1e-3..1e4f64, random in any::<bool>(),
        ) {
            let migration = PreCopy {
                non_zero: Bytes::new(non_zero),
                zero: Bytes::new(zero),
                stream: BytesPerSecond::new(stream),
                line: BytesPerSecond::new(line),
                capped,
                downtime_limit: Span::from_millis(limit),
                rule: SwitchRule::default(),
            };
            let access = if random { Access::Random } else { Access::Sweep };
            let class = Class { size_bytes: size, period_seconds: period, access };
            let curve = DirtyCurve::bounded(vec![class], migration.non_zero);
            let run = replay(&migration, &curve);
            prop_assert!(run.iterations >= 2);
            if run.converged {
                prop_assert!(run.transferred >= migration.non_zero);
                let rest = run.stopped.as_seconds_f64() * line as f64;
                let threshold = stream as f64 * limit as f64 / 1e3;
                prop_assert!(rest <= threshold * 1.01 + line as f64 * 1e-6 + 8192.0);
            }
        }

        #[test]
        fn a_faster_writer_is_never_cheaper_by_much(rate in 1u64..50) {
            let with = |mib| replay(
                &migration(),
                &DirtyCurve::sweep(BytesPerSecond::mib(mib), Bytes::mib(128)),
            );
            let (slow, fast) = (with(rate), with(rate + 5));
            // The grid of quanta may save a round of the last few.
            prop_assert!(!fast.converged || fast.copying + Span::from_millis(400) >= slow.copying);
        }
    }
}
