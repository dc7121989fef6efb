//! Auto-converge: when QEMU slows the guest's vCPUs, and by how much.
//!
//! `migration_trigger_throttle` in `migration/ram.c`: at a bitmap read, at most once a second,
//! memory dirtied since the last evaluation is compared with half of the bytes sent in the same
//! time. The second time that it is more (not necessarily in a row), `mig_throttle_guest_down`
//! sets the first throttle or adds a step, up to 99 %. A throttle stays until the migration ends.
//! Since QEMU 9.2 a timer reads the bitmap every 5 s after the first pass, unless it was read since
//! (`cpu_throttle_dirty_sync_timer_tick` in `system/cpu-throttle.c`).
//!
//! Never here: what a throttle leaves of a guest's writing.

use whimbrel_core::{
    settings::{QemuVersion, Throttle},
    units::GUEST_PAGE,
};

/// Shortest time between two evaluations, in seconds.
const PERIOD_SECONDS: f64 = 1.0;

/// `throttle-trigger-threshold`: dirtied over sent.
const TRIGGER_SHARE: f64 = 0.5;

/// `max-cpu-throttle`, in percent.
const PERCENT_MAX: u8 = 99;

/// The timer's interval, in seconds, and the first QEMU that has it.
const TIMER_SECONDS: f64 = 5.0;
const TIMER_SINCE: QemuVersion = QemuVersion::new(9, 2);

/// The evaluation at bitmap reads: QEMU's dirty-pages-rate, and the throttle where it is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Evaluation {
    rule: Option<Throttle>,
    percent: u8,
    strikes: u8,
    evaluated_at: f64,
    sent_then: f64,
    new_pages: f64,
    pages_per_second: f64,
    /// The timer's next tick, and the reads that it saw at the last one.
    tick_at: f64,
    reads_at_tick: u64,
}

impl Evaluation {
    /// From the start of a copy on; `rule` where the guest is to be slowed.
    pub(crate) fn new(rule: Option<Throttle>, qemu: QemuVersion) -> Self {
        let ticks = rule.is_some() && qemu >= TIMER_SINCE;
        Self {
            rule,
            percent: 0,
            strikes: 0,
            evaluated_at: 0.0,
            sent_then: 0.0,
            new_pages: 0.0,
            pages_per_second: 0.0,
            tick_at: if ticks { TIMER_SECONDS } else { f64::INFINITY },
            reads_at_tick: 1,
        }
    }

    /// Part of the time that vCPUs sleep, in percent.
    pub(crate) fn percent(&self) -> u8 {
        self.percent
    }

    /// Pages newly dirtied a second, as of the last evaluation.
    pub(crate) fn pages_per_second(&self) -> f64 {
        self.pages_per_second
    }

    /// When the timer ticks next, in seconds of the copy.
    pub(crate) fn tick_at(&self) -> f64 {
        self.tick_at
    }

    /// Whether the timer, if it ticked by `now`, wants the bitmap read; `reads` were made so far.
    pub(crate) fn wants_read(&mut self, now: f64, reads: u64) -> bool {
        let mut wants = false;
        while self.tick_at <= now {
            self.tick_at += TIMER_SECONDS;
            wants = reads > 1 && reads == self.reads_at_tick;
            self.reads_at_tick = reads + u64::from(wants);
        }
        wants
    }

    /// The bitmap was read at `now` seconds, with `new` pages in it and `sent` bytes on the wire.
    pub(crate) fn note_read(&mut self, now: f64, new: f64, sent: f64) {
        self.new_pages += new;
        let period = now - self.evaluated_at;
        if period <= PERIOD_SECONDS {
            return;
        }
        let dirtied = self.new_pages * GUEST_PAGE.as_f64();
        if dirtied > (sent - self.sent_then) * TRIGGER_SHARE {
            self.strike();
        }
        self.pages_per_second = self.new_pages / period;
        self.new_pages = 0.0;
        self.evaluated_at = now;
        self.sent_then = sent;
    }

    fn strike(&mut self) {
        let Some(Throttle { initial_percent, increment_percent }) = self.rule else { return };
        self.strikes += 1;
        if self.strikes >= 2 {
            self.strikes = 0;
            let next = if self.percent == 0 {
                initial_percent
            } else {
                self.percent.saturating_add(increment_percent)
            };
            self.percent = next.min(PERCENT_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB_PAGES: f64 = 256.0;
    const MIB: f64 = 1_048_576.0;

    fn evaluation() -> Evaluation {
        Evaluation::new(Some(Throttle::default()), QemuVersion::new(10, 0))
    }

    #[test]
    fn two_strikes_of_more_than_half_make_a_step() {
        let mut one = evaluation();
        // 10 MiB sent and 6 dirtied in each period of 2 s.
        for (strike, percent) in [0, 20, 20, 30, 30, 40].into_iter().enumerate() {
            let at = strike as f64 + 1.0;
            one.note_read(2.0 * at, 6.0 * MIB_PAGES, 10.0 * MIB * at);
            assert_eq!(one.percent(), percent, "strike {strike}");
        }
        assert!((one.pages_per_second() - 3.0 * MIB_PAGES).abs() < 1e-9);
    }

    #[test]
    fn half_is_not_more_than_half_and_strikes_need_not_follow_each_other() {
        let mut one = evaluation();
        for (at, mib, percent) in [(2.0, 6.0, 0), (4.0, 5.0, 0), (6.0, 5.1, 20)] {
            one.note_read(at, mib * MIB_PAGES, 10.0 * MIB * at / 2.0);
            assert_eq!(one.percent(), percent, "at {at}");
        }
    }

    #[test]
    fn reads_within_a_second_are_evaluated_together() {
        let mut one = evaluation();
        for n in 1..=10 {
            one.note_read(f64::from(n) * 0.1, 2.0 * MIB_PAGES, MIB * f64::from(n));
        }
        assert!(one.pages_per_second().abs() < 1e-9, "1.0 s is not more than a second");
        one.note_read(1.1, 0.0, 11.0 * MIB);
        assert!((one.pages_per_second() - 20.0 * MIB_PAGES / 1.1).abs() < 1e-6);
        assert_eq!(one.percent(), 0, "one strike");
    }

    #[test]
    fn it_never_sleeps_the_whole_time_and_only_where_it_is_asked_to() {
        let mut one = evaluation();
        let mut none = Evaluation::new(None, QemuVersion::new(10, 0));
        for n in 1..100 {
            one.note_read(2.0 * f64::from(n), MIB_PAGES, 0.0);
            none.note_read(2.0 * f64::from(n), MIB_PAGES, 0.0);
        }
        assert_eq!((one.percent(), none.percent()), (99, 0));
        assert!(none.tick_at().is_infinite());
    }

    #[test]
    fn the_timer_reads_when_nobody_else_did_after_the_first_pass() {
        let mut one = evaluation();
        assert!(!one.wants_read(4.9, 1), "it has not ticked");
        assert!(!one.wants_read(5.0, 1), "the first pass");
        assert!(!one.wants_read(10.0, 2), "it was read since");
        assert!(one.wants_read(15.0, 2));
        assert!(one.wants_read(20.0, 3), "only by the timer itself");
        assert!(
            Evaluation::new(Some(Throttle::default()), QemuVersion::new(9, 1))
                .tick_at()
                .is_infinite()
        );
    }
}
