//! QEMU's migration loop, in every mode, on classes of pages or on single pages.
//!
//! The rule (`migration_iteration_run` in `migration/migration.c`, `ram_save_pending` and
//! `ram_save_iterate` in `migration/ram.c`, as of QEMU 10.0):
//!
//! * The first bitmap has every page; its making counts as the first read.
//! * Within each period of the rate limit the budget's worth of pages is sent; who has no budget
//!   is looked up from every 50 ms.
//! * The threshold is the bandwidth of the last period times the downtime limit. Once less than it
//!   is left to send, the bitmap is read at once, with that rest unsent; if what is to send then
//!   is less than the threshold, or nothing, QEMU switches over, else it goes on. (Since 10.2 an
//!   equal rest will do.) So a failed attempt may be followed by another a single period later.
//! * At the switch-over the cap is lifted, the bitmap is read a last time, and the rest is sent
//!   while the guest stands still.
//! * Post-copy moves the guest as soon as it is asked to, sends the list of stale pages while the
//!   guest stands still, and the rest of its memory while it runs.
//!
//! `bitmap` says what is asked of memory, `classes` and `pages` are the two resolutions, `pace` is
//! what a page costs, `throttle` auto-converge, `delta` the cache of xbzrle, `serve` post-copy after
//! the switch, `progress` what QEMU says of itself.
//!
//! Never here: who gives the rate, clocks and events, or the predictor's view of the same rule.

use whimbrel_core::{
    settings::{MigrationSettings, Mode, QemuVersion},
    units::{GUEST_PAGE, Span},
};

use crate::physics::Physics;

pub(crate) mod bitmap;
pub(crate) mod classes;
pub(crate) mod delta;
pub(crate) mod pace;
pub(crate) mod pages;
mod progress;
mod serve;
mod throttle;

use bitmap::{Bitmap, Lot, Sent};
use pace::Pace;
use throttle::Evaluation;

/// First QEMU that switches over when the rest equals the threshold, too.
const SWITCHES_AT_EQUALITY: QemuVersion = QemuVersion::new(10, 2);

/// Keeps the time to the next look finite: three years of periods.
const PERIODS_MAX: f64 = 1e9;

/// Shortest time between two looks, in seconds: who has nothing to send looks again at once.
const LOOK_LEAST_SECONDS: f64 = 1e-3;

/// What a look at the switch-over found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It goes on; the bitmap was read or not.
    Continues {
        /// Whether it was.
        read: bool,
    },
    /// The guest is now to be stopped and its rest sent.
    SwitchesOver,
    /// The guest is now to be stopped and moved.
    Moves,
}

/// One guest's memory on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PageCopy<B> {
    pub(crate) bitmap: B,
    pace: Pace,
    mode: Mode,
    downtime_limit: f64,
    reads_before_move: u64,
    post_copy_poll: f64,
    discard_a_range: f64,
    log_write: f64,
    at_equality: bool,
    /// Seconds since the first page could be sent.
    clock: f64,
    /// The present period: its begin, what was sent in it, and what the last one achieved.
    period: Period,
    reads: u64,
    sent: Sent,
    evaluation: Evaluation,
    /// Part of its vCPUs' time that the host gives the guest, 0..=1.
    host_gives: f64,
    /// Seconds of the guest's writing that were lost.
    lost: f64,
    /// When post-copy was asked for.
    asked_at: Option<f64>,
    faults: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Period {
    passed: f64,
    bytes: f64,
    achieved: f64,
}

impl<B: Bitmap> PageCopy<B> {
    /// The state after setup: every page in `bitmap` is to be sent.
    pub(crate) fn new(
        bitmap: B,
        settings: &MigrationSettings,
        qemu: QemuVersion,
        physics: &Physics,
    ) -> Self {
        let rule = (settings.mode == Mode::AutoConverge).then_some(settings.throttle);
        Self {
            bitmap,
            pace: Pace::new(settings, physics),
            mode: settings.mode,
            downtime_limit: settings.downtime_limit.as_seconds_f64(),
            reads_before_move: settings.reads_before_post_copy.into(),
            post_copy_poll: physics.stream.post_copy_poll.as_seconds_f64(),
            discard_a_range: physics.stream.discard_a_range.as_seconds_f64(),
            log_write: physics.stream.log_write.as_seconds_f64(),
            at_equality: qemu >= SWITCHES_AT_EQUALITY,
            clock: 0.0,
            period: Period::default(),
            reads: 1,
            sent: Sent::default(),
            evaluation: Evaluation::new(rule, qemu),
            host_gives: 1.0,
            lost: 0.0,
            asked_at: None,
            faults: 0.0,
        }
    }

    /// The host gives the guest this part of the CPU that it asks for from now on, 0..=1.
    pub(crate) fn host_gives(&mut self, share: f64) {
        self.host_gives = share.clamp(0.0, 1.0);
    }

    /// Changes the downtime limit of the running migration.
    pub(crate) fn set_downtime_limit(&mut self, limit: Span) {
        self.downtime_limit = limit.as_seconds_f64();
    }

    /// Lets `span` pass at `rate` bytes a second, in as few steps as the bitmap allows: pages are
    /// sent, and written again.
    pub(crate) fn advance(&mut self, span: Span, rate: f64) {
        let mut left = span.as_seconds_f64();
        while left > 0.0 {
            let mut step = left;
            if rate > 0.0 {
                let costs = self.pace.costs(rate);
                step = left.min(self.bitmap.longest_step(&costs).max(self.pace.period));
                let lot = Lot {
                    seconds: step,
                    budget: f64::INFINITY,
                    grain: 1,
                    costs,
                    reads: self.reads,
                };
                self.sent += self.bitmap.send(&lot);
            }
            self.guest_writes(step);
            self.clock += step;
            left -= step;
        }
    }

    /// One step of QEMU's own at `rate` bytes a second: to the end of the period, to the next look
    /// up, or until nothing is left. Returns the seconds that it took.
    pub(crate) fn step(&mut self, rate: f64) -> f64 {
        if self.period.passed >= self.pace.period - LOOK_LEAST_SECONDS / 2.0 {
            let achieved = self.period.bytes / self.period.passed;
            self.period = Period { achieved, ..Period::default() };
        }
        let to_end = self.pace.period - self.period.passed;
        let seconds = to_end.min(self.pace.look_up);
        let budget = self.pace.budget - self.period.bytes;
        let mut took = to_end;
        if budget > 0.0 && rate > 0.0 {
            let costs = self.pace.costs(rate);
            let lot = Lot { seconds, budget, grain: self.pace.grain, costs, reads: self.reads };
            let sent = self.bitmap.send(&lot);
            self.period.bytes += sent.bytes;
            self.sent += sent;
            if self.bitmap.pending() <= 0.0 {
                took = sent.seconds.clamp(LOOK_LEAST_SECONDS, to_end.max(LOOK_LEAST_SECONDS));
            } else if sent.bytes < budget {
                took = seconds;
            }
        }
        self.guest_writes(took);
        self.period.passed += took;
        self.clock += took;
        took
    }

    fn guest_writes(&mut self, seconds: f64) {
        let available = 1.0 - f64::from(self.evaluation.percent()) / 100.0;
        let done = self.bitmap.write(seconds * self.host_gives, available);
        self.lost += seconds * (1.0 - done * self.host_gives);
    }

    /// Time until the switch-over is next to be considered at `rate`; `None` while nothing flows.
    pub(crate) fn next_check(&self, rate: f64) -> Option<Span> {
        if rate <= 0.0 {
            return None;
        }
        let costs = self.pace.costs(rate);
        // What is left when the last page with content goes decides which threshold is met first.
        let (content, zero) = self.thresholds(rate);
        let meets = self.bitmap.pending() - content < self.bitmap.content();
        let until = self.bitmap.seconds_until(if meets { content } else { zero }, &costs);
        let period = self.pace.period;
        let periods = ((until / period).floor() + 1.0).clamp(1.0, PERIODS_MAX);
        let mut wait = periods * period;
        let tick = self.evaluation.tick_at() - self.clock;
        wait = wait.min(tick.max(LOOK_LEAST_SECONDS));
        if self.mode == Mode::PostCopy && self.is_wanted_at_target() {
            let asked = self.asked_at.map_or(self.post_copy_poll, |at| at - self.clock);
            wait = wait.min(asked.max(LOOK_LEAST_SECONDS));
        }
        Some(Span::from_seconds_f64(wait))
    }

    fn is_wanted_at_target(&self) -> bool {
        self.mode == Mode::PostCopy && self.reads > self.reads_before_move
    }

    /// Considers the switch-over at `rate`: reads the bitmap if little enough is left, and says
    /// what is to be done.
    pub(crate) fn consider(&mut self, rate: f64) -> Turn {
        let (content, zero) = self.thresholds(rate);
        let only_zeros = self.bitmap.content() <= 0.0 && self.bitmap.pending() > 0.0;
        self.consider_below(if only_zeros { zero } else { content })
    }

    /// The same with the bandwidth of the last period, as [`Self::step`] counted it.
    pub(crate) fn consider_counted(&mut self) -> Turn {
        let pages = self.period.achieved * self.downtime_limit / GUEST_PAGE.as_f64();
        self.consider_below(pages)
    }

    fn consider_below(&mut self, threshold: f64) -> Turn {
        let mut read = false;
        if self.evaluation.wants_read(self.clock, self.reads) {
            self.read_bitmap();
            read = true;
        }
        if self.is_wanted_at_target() {
            let at = *self.asked_at.get_or_insert(self.clock + self.post_copy_poll / 2.0);
            if self.clock >= at {
                return Turn::Moves;
            }
        }
        if self.bitmap.pending() < threshold {
            self.read_bitmap();
            read = true;
        }
        let rest = self.bitmap.pending();
        let fits = rest < threshold || rest <= 0.0 || (self.at_equality && rest <= threshold);
        // A rest that fits was read just now, or there is none.
        if fits { Turn::SwitchesOver } else { Turn::Continues { read } }
    }

    fn read_bitmap(&mut self) {
        let new = self.bitmap.synchronise();
        self.reads += 1;
        // Each of them was caught once by the log.
        self.lost += new * self.log_write;
        self.evaluation.note_read(self.clock, new, self.sent.bytes);
    }

    /// Sends everything that is left while the guest stands still, and says how long that takes
    /// at `line_rate` bytes a second: QEMU lifts its cap for it.
    pub(crate) fn finish(&mut self, line_rate: f64) -> Span {
        self.read_bitmap();
        let costs = self.pace.costs(line_rate.max(1.0));
        let lot = Lot {
            seconds: f64::INFINITY,
            budget: f64::INFINITY,
            grain: 1,
            costs,
            reads: self.reads,
        };
        let sent = self.bitmap.send(&lot);
        self.sent += sent;
        Span::from_seconds_f64(sent.seconds)
    }

    /// Whether a link that gives `rate` is what holds the stream, rather than its cap or its
    /// processors: bytes queue up before it then.
    pub(crate) fn fills(&self, rate: f64) -> bool {
        rate < self.demand() * (1.0 - 1e-9)
    }

    /// The most that the stream asks of a link, bytes a second: its cap, or what its processors
    /// make of the guest's content.
    pub(crate) fn demand(&self) -> f64 {
        self.pace.demand(self.bitmap.text_share())
    }

    /// Cores that the sender and the receiver of the stream need while it carries `rate` bytes a
    /// second.
    pub(crate) fn cores(&self, rate: f64) -> (f64, f64) {
        self.pace.cores(rate, self.bitmap.text_share())
    }

    /// Pages that the stream carries within the downtime limit, as QEMU reckons while pages with
    /// content go, and while only all-zero ones are left: those hardly count as bandwidth.
    fn thresholds(&self, rate: f64) -> (f64, f64) {
        let pages = |achieved: f64| achieved * self.downtime_limit / GUEST_PAGE.as_f64();
        let content = rate.min(self.pace.capped_rate());
        let zero = if rate > 0.0 { self.pace.costs(rate).zero } else { bitmap::Cost::default() };
        let found = if zero.seconds > 0.0 { zero.bytes / zero.seconds } else { 0.0 };
        (pages(content), pages(content.min(found)))
    }
}

#[cfg(test)]
mod tests;
