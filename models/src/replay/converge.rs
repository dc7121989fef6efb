//! Auto-converge: when QEMU throttles the guest, and what a throttle leaves of its writing.
//!
//! QEMU's `ram.c` and `cpu-throttle.c`, in own words: at bitmap reads, but once a second at most,
//! memory dirtied in the period is compared with half of the bytes sent in it. The second time
//! that it is more, the throttle starts or goes up a step. It stays until the migration ends.
//! Never decides when the bitmap is read, but says when a timer wants it read.

use whimbrel_core::settings::QemuVersion;

use super::AutoConverge;

/// Time that the comparison needs between two evaluations, in seconds.
const PERIOD_SECONDS: f64 = 1.0;

/// `throttle-trigger-threshold`: dirtied over sent.
const TRIGGER: f64 = 0.5;

/// QEMU throttles no further, in percent.
const THROTTLE_MAX: u8 = 99;

/// Interval of the timer that reads the bitmap during long rounds, in seconds, and the QEMU that
/// has it first.
const TIMER_SECONDS: f64 = 5.0;
const TIMER_SINCE: QemuVersion = QemuVersion::new(9, 2);

#[derive(Debug, Clone)]
pub(super) struct Throttling {
    rule: AutoConverge,
    percent: u8,
    /// Evaluations above the trigger since the last step.
    hits: u8,
    /// Start of the period, in seconds of the migration, and the bytes sent by then.
    period_start: f64,
    sent_before: f64,
    dirtied: f64,
    /// The timer's next tick after the first pass, in seconds of the migration, and the reads it
    /// saw at the last one.
    has_timer: bool,
    next_tick: f64,
    reads_at_tick: u64,
}

impl Throttling {
    pub(super) fn new(rule: AutoConverge, qemu: QemuVersion) -> Self {
        Self {
            rule,
            percent: 0,
            hits: 0,
            period_start: 0.0,
            sent_before: 0.0,
            dirtied: 0.0,
            has_timer: qemu >= TIMER_SINCE,
            next_tick: f64::INFINITY,
            reads_at_tick: 1,
        }
    }

    pub(super) fn percent(&self) -> u8 {
        self.percent
    }

    pub(super) fn exhausted(&self) -> bool {
        self.percent >= THROTTLE_MAX
    }

    /// Part of its writing that the guest gets done, 0..=1.
    pub(super) fn writing(&self) -> f64 {
        let duty = 1.0 - f64::from(self.percent) / 100.0;
        let need = self.rule.cpu_need.get();
        if duty < need { duty / need } else { 1.0 }
    }

    /// When the timer ticks next.
    pub(super) fn next_tick(&self) -> f64 {
        self.next_tick
    }

    /// Ticks: whether the bitmap has to be read because nothing read it since the last tick.
    pub(super) fn tick(&mut self, reads: u64) -> bool {
        self.next_tick += TIMER_SECONDS;
        let overdue = reads == self.reads_at_tick;
        self.reads_at_tick = reads + u64::from(overdue);
        overdue
    }

    /// A bitmap read at `now` that found `dirtied` after `sent` bytes in all. Returns whether the
    /// throttle changed.
    pub(super) fn read(&mut self, now: f64, dirtied: f64, sent: f64) -> bool {
        self.dirtied += dirtied;
        if self.has_timer && self.next_tick.is_infinite() {
            // It has ticked since the beginning, without effect on the first pass.
            self.next_tick = ((now / TIMER_SECONDS).floor() + 1.0) * TIMER_SECONDS;
        }
        if now <= self.period_start + PERIOD_SECONDS {
            return false;
        }
        let above = self.dirtied > TRIGGER * (sent - self.sent_before);
        self.period_start = now;
        self.sent_before = sent;
        self.dirtied = 0.0;
        self.hits += u8::from(above);
        if self.hits < 2 || !above {
            return false;
        }
        self.hits = 0;
        let before = self.percent;
        self.percent = match before {
            0 => self.rule.throttle.initial_percent.clamp(1, THROTTLE_MAX),
            percent => {
                percent.saturating_add(self.rule.throttle.increment_percent).min(THROTTLE_MAX)
            }
        };
        self.percent != before
    }
}
