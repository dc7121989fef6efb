//! The loop itself: sends rounds, reads the bitmap, switches over or gives up.
//!
//! A run can be advanced to any moment and then be given another part of the link, which is how
//! several share one. Never looks ahead.

use whimbrel_core::{
    settings::QemuVersion,
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Share, Span},
};

use super::{
    Encoding, Method, Migration, PostCopy, Replay, Verdict,
    converge::Throttling,
    memory::{Memory, Round},
    pace::{QUANTUM_SECONDS, Stream},
    serve::{Background, Serving, discard_seconds},
};
use crate::curve::DirtyCurve;

/// Bitmap reads without a new low of the remainder after which it is called a stall, and the part
/// of it by which a new low must be lower.
const READS_WITHOUT_GAIN: u32 = 12;
const GAIN: f64 = 1e-3;

/// Bound on bitmap reads; real migrations need tens, the longest seen 199. Whatever creeps on for
/// longer is a stall to whoever waits for it. A throttle that goes up by single percents may need
/// more.
const READS_MAX: u64 = 512;
const THROTTLED_READS_MAX: u64 = 4096;

/// Reading the bitmap of 1 TiB takes a few tenths of a second; seconds a byte of guest memory.
const READ_SECONDS_A_BYTE: f64 = 0.2 / 1_099_511_627_776.0;

/// The switch to post-copy is asked for by who polls the job, every 50 ms.
const POST_COPY_POLL_SECONDS: f64 = 0.05;

/// First QEMU that switches over when the remainder equals the threshold, too.
const SWITCHES_AT_EQUALITY: QemuVersion = QemuVersion::new(10, 2);

#[derive(Debug, Clone)]
enum Phase {
    Copying,
    Serving(Serving),
    Ended(Verdict),
}

/// One migration under way. Amounts are bytes of guest memory unless named so.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    migration: &'a Migration,
    stream: Stream,
    /// What carries the pages after a switch to post-copy.
    background: BytesPerSecond,
    memory: Memory<'a>,
    throttling: Option<Throttling>,
    phase: Phase,
    threshold: f64,
    read_seconds: f64,
    /// Zero pages that were not announced yet.
    zero_pages: f64,
    round: Round,
    elapsed: f64,
    /// Bytes on the wire.
    sent: f64,
    reads: u64,
    /// When post-copy is asked for, in seconds of the migration.
    switch_at: f64,
    lowest: f64,
    without_gain: u32,
    last_round: f64,
    last_dirtied: f64,
    stopped: f64,
    asleep_seconds: f64,
    unwritten_seconds: f64,
}

impl<'a> Run<'a> {
    pub(super) fn new(migration: &'a Migration, curve: &'a DirtyCurve) -> Self {
        let memory = Memory::new(curve, migration.non_zero, migration.zero);
        let memory = match migration.encoding {
            Encoding::Delta { cache, .. } => memory.with_cache(cache),
            Encoding::Plain | Encoding::Stream { .. } => memory,
        };
        let throttling = match migration.method {
            Method::AutoConverge(rule) => Some(Throttling::new(rule, migration.qemu)),
            Method::PreCopy | Method::PostCopy(_) => None,
        };
        let (background, at_once) = match migration.method {
            Method::PostCopy(rule) => (rule.background, rule.reads == 0),
            Method::PreCopy | Method::AutoConverge(_) => (migration.stream, false),
        };
        let all = memory.remaining() + migration.zero.as_f64();
        Self {
            migration,
            stream: Stream::new(migration),
            background,
            memory,
            throttling,
            phase: Phase::Copying,
            threshold: migration.stream.as_f64() * migration.downtime_limit.as_seconds_f64(),
            read_seconds: all * READ_SECONDS_A_BYTE,
            zero_pages: migration.zero.as_f64() / GUEST_PAGE.as_f64(),
            round: Round::default(),
            elapsed: 0.0,
            sent: 0.0,
            reads: 1,
            switch_at: if at_once { POST_COPY_POLL_SECONDS } else { f64::INFINITY },
            lowest: f64::INFINITY,
            without_gain: 0,
            last_round: 0.0,
            last_dirtied: 0.0,
            stopped: 0.0,
            asleep_seconds: 0.0,
            unwritten_seconds: 0.0,
        }
    }

    /// Gives it another part of the link from now on.
    pub(super) fn share(
        &mut self,
        stream: BytesPerSecond,
        line: BytesPerSecond,
        capped: bool,
        background: BytesPerSecond,
    ) {
        self.stream.share(stream, line, capped);
        self.background = background;
        if let Phase::Serving(serving) = &mut self.phase {
            serving.share(Background { rate: background, line: self.stream.line(), capped });
        }
    }

    /// Seconds since its first page; after its end, how long it took.
    pub(super) fn now(&self) -> f64 {
        match &self.phase {
            Phase::Serving(serving) => self.elapsed + self.stopped + serving.seconds(),
            Phase::Copying => self.elapsed,
            Phase::Ended(_) => f64::INFINITY,
        }
    }

    /// Goes on until `until`, in seconds since its first page, or to its end.
    pub(super) fn advance(&mut self, until: f64) {
        while self.now() < until {
            match &mut self.phase {
                Phase::Copying => self.copy(until),
                Phase::Serving(serving) => {
                    let from = self.elapsed + self.stopped;
                    serving.advance(until - from);
                    if serving.is_done() {
                        return;
                    }
                }
                Phase::Ended(_) => return,
            }
        }
    }

    /// Sends until the next event: a bitmap read, the timer, the switch, the end of patience.
    fn copy(&mut self, until: f64) {
        let patience = self.migration.patience.as_seconds_f64();
        let tick = self.throttling.as_ref().map_or(f64::INFINITY, Throttling::next_tick);
        let deadline = until.min(patience).min(tick).min(self.switch_at);
        if self.send(deadline) {
            self.read();
        } else if self.elapsed >= self.switch_at {
            self.move_guest();
        } else if self.elapsed >= patience {
            self.phase = Phase::Ended(Verdict::OutOfPatience);
        } else if self.elapsed >= tick {
            let reads = self.reads;
            if self.throttling.as_mut().is_some_and(|t| t.tick(reads)) {
                self.read();
            }
        }
    }

    /// Sends until the known remainder is under the threshold, on the grid of QEMU's looks.
    /// Returns false where `deadline` came first.
    fn send(&mut self, deadline: f64) -> bool {
        let pace = self.stream.sending(self.memory.cached());
        let left = (self.memory.remaining() - self.round.sent).max(0.0);
        let limit = self.migration.downtime_limit.as_seconds_f64();
        if left / pace.memory >= QUANTUM_SECONDS {
            self.threshold = pace.bandwidth() * limit;
        }
        let step = pace.memory * pace.grid_seconds;
        let steps = ((left - self.enough_left()).max(0.0) / step).floor() + 1.0;
        let sent = (steps * step).min(left);
        let (sending, bandwidth) = pace.seconds(sent);
        if let Some(bandwidth) = bandwidth {
            self.threshold = bandwidth * limit;
        }
        // Zero pages are announced along the first pass.
        let (zero_seconds, zero_wire) = self.stream.zeros(self.zero_pages);
        let seconds = self.with_zeros(sending, sent / pace.line, zero_seconds) + self.read_seconds;
        let whole = self.elapsed + seconds <= deadline;
        let part = if whole { 1.0 } else { ((deadline - self.elapsed) / seconds).clamp(0.0, 1.0) };
        self.sent += (sent * pace.wire + zero_wire) * part;
        self.zero_pages *= 1.0 - part;
        self.pass(seconds * part);
        self.round.sent += sent * part;
        self.elapsed = if whole { self.elapsed + seconds } else { self.elapsed.max(deadline) };
        whole
    }

    /// Time to send content, which alone takes `sending`, and to find zero pages. Those between the
    /// content are found while a capped stream would sleep.
    fn with_zeros(&self, sending: f64, at_line: f64, zero_seconds: f64) -> f64 {
        let last = self.migration.zeros_last.get();
        let between = zero_seconds * (1.0 - last);
        let first =
            if self.stream.capped() { sending.max(at_line + between) } else { sending + between };
        first + zero_seconds * last
    }

    /// Memory with content below which the bitmap is read. In the first pass QEMU counts zero
    /// pages that it has not come to as memory that is left to send.
    fn enough_left(&self) -> f64 {
        if self.reads > 1 {
            return self.threshold;
        }
        let zero = self.migration.zero.as_f64();
        let last = zero * self.migration.zeros_last.get();
        let between = (zero - last) / self.memory.remaining().max(1.0);
        ((self.threshold - last) / (1.0 + between)).max(0.0)
    }

    /// Lets `seconds` pass for the guest.
    fn pass(&mut self, seconds: f64) {
        let (writing, percent) =
            self.throttling.as_ref().map_or((1.0, 0), |t| (t.writing(), t.percent()));
        self.round.seconds += seconds;
        self.round.written_seconds += seconds * writing;
        self.asleep_seconds += seconds * f64::from(percent) / 100.0;
        self.unwritten_seconds += seconds * (1.0 - writing);
    }

    /// Takes what was dirtied since the last read into the remainder.
    fn take_dirtied(&mut self) {
        self.last_dirtied = self.memory.read(self.round, self.reads == 1);
        self.last_round = self.round.seconds;
        self.round = Round::default();
        self.reads += 1;
    }

    /// Reads the bitmap and acts on it.
    fn read(&mut self) {
        self.take_dirtied();
        let stepped = self
            .throttling
            .as_mut()
            .is_some_and(|t| t.read(self.elapsed, self.last_dirtied, self.sent));
        if self.may_switch() {
            self.stopped =
                self.stream.stopped_seconds(self.memory.remaining(), self.memory.cached());
            self.sent += self.memory.remaining() * self.stream.wire(self.memory.cached());
            // Switching over reads the bitmap a last time.
            self.reads += 1;
            self.phase = Phase::Ended(Verdict::SwitchedOver);
            return;
        }
        match self.migration.method {
            Method::PostCopy(PostCopy { reads, .. }) => {
                if self.reads > u64::from(reads).min(READS_MAX) {
                    self.switch_at = self.switch_at.min(self.elapsed + POST_COPY_POLL_SECONDS);
                }
            }
            Method::PreCopy | Method::AutoConverge(_) => self.judge(stepped),
        }
    }

    fn may_switch(&self) -> bool {
        let rest = self.memory.remaining();
        // Less than a page on average is nothing.
        rest < self.threshold
            || rest < GUEST_PAGE.as_f64()
            || (self.migration.qemu >= SWITCHES_AT_EQUALITY && rest <= self.threshold)
    }

    /// Recognises a stall. While a throttle can go up there is none.
    fn judge(&mut self, stepped: bool) {
        let rest = self.memory.remaining();
        let hopes = stepped || self.throttling.as_ref().is_some_and(|t| !t.exhausted());
        if rest < self.lowest * (1.0 - GAIN) || hopes {
            self.lowest = rest;
            self.without_gain = 0;
        } else {
            self.without_gain += 1;
        }
        let reads_max = if self.throttling.is_some() { THROTTLED_READS_MAX } else { READS_MAX };
        if self.without_gain >= READS_WITHOUT_GAIN || self.reads >= reads_max {
            self.phase = Phase::Ended(Verdict::Stalled);
        }
    }

    /// Switches to post-copy: the bitmap is read a last time and what is stale there discarded.
    fn move_guest(&mut self) {
        self.take_dirtied();
        let Method::PostCopy(rule) = self.migration.method else { return };
        self.stopped = discard_seconds(self.memory.dirty_ranges());
        let stream = Background {
            rate: self.background,
            line: self.stream.line(),
            capped: self.stream.capped(),
        };
        let serving = Serving::new(rule, stream, &self.memory, self.zero_pages);
        self.sent += serving.wire();
        self.phase = Phase::Serving(serving);
    }

    /// What it came to; of a run that has not ended, so far.
    pub(super) fn outcome(&self) -> Replay {
        let (verdict, post_copy, faults) = match &self.phase {
            Phase::Ended(verdict) => (*verdict, 0.0, 0.0),
            Phase::Copying => (Verdict::OutOfPatience, 0.0, 0.0),
            Phase::Serving(serving) => (Verdict::PostCopied, serving.seconds(), serving.faults()),
        };
        let over_copying = |seconds: f64| {
            Share::clamped(if self.elapsed > 0.0 { seconds / self.elapsed } else { 0.0 })
        };
        Replay {
            copying: Span::from_seconds_f64(self.elapsed),
            stopped: Span::from_seconds_f64(self.stopped),
            post_copy: Span::from_seconds_f64(post_copy),
            transferred: Bytes::new(self.sent.round() as u64),
            iterations: self.reads,
            last_round: Span::from_seconds_f64(self.last_round),
            last_dirtied: Bytes::new(self.last_dirtied.round() as u64),
            verdict,
            throttle_percent: self.throttling.as_ref().map_or(0, Throttling::percent),
            throttled: over_copying(self.asleep_seconds),
            slowed: over_copying(self.unwritten_seconds),
            faults: faults.round() as u64,
        }
    }
}
