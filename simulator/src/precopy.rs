//! QEMU's pre-copy loop on page classes, in steps of one rate-limit quantum.
//!
//! The rule (`migration_iteration_run` in `migration/migration.c`, `ram_save_pending` and
//! `ram_save_iterate` in `migration/ram.c`, as of QEMU 10.2):
//!
//! * The first bitmap has every page; its making counts as the first sync.
//! * Within each quantum the rate's worth of pages is sent, in address order, wrapping.
//! * The threshold is the bandwidth achieved in the last quantum times the downtime limit. Once
//!   less than it is left to send, the bitmap is synchronised at once, with that rest unsent; if
//!   what is to send then is no more than the threshold, QEMU switches over, else it goes on. So
//!   a failed attempt may be followed by another a single quantum later.
//! * A page written before its part of the log was cleared in this pass is still to be sent and
//!   is not counted twice; the log is cleared a chunk at a time, when its first page is sent.
//!
//! Pages to send are taken from the classes in proportion to what each has pending: addresses of
//! hot and cold pages are taken as mixed.
//!
//! Never here: who gives the rate, clocks and events, or the predictor's view of the same rule.

use whimbrel_core::units::{Bytes, BytesPerSecond, GUEST_PAGE, Span};

use crate::{
    memory::{GuestMemory, PageClass},
    physics::Physics,
};

/// One guest's memory on its way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PreCopy {
    constants: Constants,
    total_pages: f64,
    /// Written pages with their state.
    classes: Vec<ClassState>,
    /// Pages with content that nobody writes.
    rest: f64,
    rest_pending: f64,
    zero_pending: f64,
    /// Pages to send when the bitmap was last synchronised, and how many of them were sent.
    pass_pages: f64,
    pass_sent: f64,
    sent_normal: f64,
    sent_zero: f64,
    syncs: u64,
    dirty: DirtyMeter,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Constants {
    quantum: f64,
    page: f64,
    zero_page: f64,
    zero_pages_per_second: f64,
    downtime_limit: f64,
    /// Part of the guest's memory whose log is cleared together.
    chunk_share: f64,
}

/// A class with its bits in QEMU's bitmap and in the kernel's log.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ClassState {
    class: PageClass,
    /// To be sent.
    pending: f64,
    /// `pending` as of the last sync.
    pending_at_sync: f64,
    /// Written since their part of the log was cleared.
    logged: f64,
}

/// QEMU's dirty-pages-rate: evaluated at a sync, at most once a second (`migration_trigger_throttle`
/// and `migration_update_rates` in `migration/ram.c`).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct DirtyMeter {
    seconds: f64,
    new_pages: f64,
    pages_per_second: f64,
}

/// How the sender gets on at one bandwidth.
#[derive(Debug, Clone, Copy)]
struct Pace {
    pages_per_second: f64,
    bytes_per_second: f64,
}

impl PreCopy {
    /// The state after setup: every page is to be sent.
    pub(crate) fn new(memory: &GuestMemory, downtime_limit: Span, physics: &Physics) -> Self {
        let total = memory.total_pages.max(1.0);
        let classes: Vec<ClassState> = memory.classes.iter().map(|c| ClassState::all(*c)).collect();
        let rest = resting(memory);
        Self {
            constants: Constants {
                quantum: physics.quantum.as_seconds_f64(),
                page: physics.page_on_wire.as_f64(),
                zero_page: physics.zero_page_on_wire.as_f64(),
                zero_pages_per_second: physics.zero_pages_per_second,
                downtime_limit: downtime_limit.as_seconds_f64(),
                chunk_share: physics.log_clear_chunk.as_f64() / GUEST_PAGE.as_f64() / total,
            },
            total_pages: memory.total_pages,
            classes,
            rest,
            rest_pending: rest,
            zero_pending: memory.zero_pages,
            pass_pages: total,
            pass_sent: 0.0,
            sent_normal: 0.0,
            sent_zero: 0.0,
            syncs: 1,
            dirty: DirtyMeter::default(),
        }
    }

    /// Lets `span` pass at `rate` bytes a second: pages are sent, and written again.
    pub(crate) fn advance(&mut self, span: Span, rate: f64) {
        let mut left = span.as_seconds_f64();
        self.dirty.seconds += left;
        while left > 0.0 {
            let step = left.min(self.constants.quantum);
            self.send(step, rate);
            self.write(step);
            left -= step;
            // Nothing left to send and every class written round: nothing changes any more.
            if self.pending() <= 0.0 && self.classes.iter().all(ClassState::is_round) {
                break;
            }
        }
    }

    /// Time until the switch-over is next to be considered at `rate`; `None` while nothing flows.
    pub(crate) fn next_check(&self, rate: f64) -> Option<Span> {
        let pace = self.pace(rate)?;
        let above = self.pending() - self.threshold_pages(pace);
        let quanta = (above / (pace.pages_per_second * self.constants.quantum)).floor() + 1.0;
        Some(Span::from_seconds_f64(quanta.clamp(1.0, QUANTA_MAX) * self.constants.quantum))
    }

    /// Considers the switch-over: synchronises the bitmap if little enough is left, and says
    /// whether the guest is now to be stopped.
    pub(crate) fn switches_over(&mut self, rate: f64) -> bool {
        let Some(pace) = self.pace(rate) else { return false };
        let threshold = self.threshold_pages(pace);
        if self.pending() >= threshold {
            return false;
        }
        self.synchronise();
        self.pending() <= threshold
    }

    /// Sends everything that is left while the guest stands still, and says how long that takes
    /// at `line_rate` bytes a second: QEMU lifts its cap for it.
    pub(crate) fn finish(&mut self, line_rate: f64) -> Span {
        let seconds = self.pace(line_rate).map_or(0.0, |p| self.pending() / p.pages_per_second);
        let all = self.pending();
        self.take(all);
        Span::from_seconds_f64(seconds)
    }

    /// Takes the guest's new way of writing on, in the middle of the copy. What is pending stays
    /// pending; which of the new classes it falls into is taken as even.
    pub(crate) fn rewrite(&mut self, memory: &GuestMemory) {
        let written: f64 = self.classes.iter().map(|c| c.class.pages).sum();
        let share = |part: f64, whole: f64| if whole > 0.0 { (part / whole).min(1.0) } else { 0.0 };
        let content = share(self.content_pending(), written + self.rest);
        let of_written =
            |what: fn(&ClassState) -> f64| share(self.classes.iter().map(what).sum(), written);
        let (pending, at_sync) = if self.classes.is_empty() {
            (content, content)
        } else {
            (of_written(|c| c.pending), of_written(|c| c.pending_at_sync))
        };
        let logged = of_written(|c| c.logged);
        let total = self.content_pending();
        let remade = |class: &PageClass| ClassState {
            class: *class,
            pending: class.pages * pending,
            pending_at_sync: class.pages * at_sync,
            logged: class.pages * logged,
        };
        self.classes = memory.classes.iter().map(remade).collect();
        self.rest = resting(memory);
        let in_classes: f64 = self.classes.iter().map(|c| c.pending).sum();
        self.rest_pending = (total - in_classes).clamp(0.0, self.rest);
    }

    /// Memory still to send, as QEMU counts it: whole pages, zero or not.
    pub(crate) fn remaining(&self) -> Bytes {
        Bytes::new((self.pending() * GUEST_PAGE.as_f64()).round() as u64)
    }

    /// The guest's memory, as QEMU counts it.
    pub(crate) fn total(&self) -> Bytes {
        Bytes::new((self.total_pages * GUEST_PAGE.as_f64()).round() as u64)
    }

    /// Bytes on the wire so far.
    pub(crate) fn transferred(&self) -> Bytes {
        let Constants { page, zero_page, .. } = self.constants;
        Bytes::new((self.sent_normal * page + self.sent_zero * zero_page).round() as u64)
    }

    /// Pages sent with content, and as zero.
    pub(crate) fn pages_sent(&self) -> (u64, u64) {
        (self.sent_normal.round() as u64, self.sent_zero.round() as u64)
    }

    /// QEMU's dirty-sync-count.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs
    }

    /// Newly dirtied memory a second as of the last evaluation.
    pub(crate) fn dirty_rate(&self) -> BytesPerSecond {
        BytesPerSecond::new((self.dirty.pages_per_second * GUEST_PAGE.as_f64()).round() as u64)
    }

    fn content_pending(&self) -> f64 {
        self.classes.iter().map(|c| c.pending).sum::<f64>() + self.rest_pending
    }

    fn pending(&self) -> f64 {
        self.content_pending() + self.zero_pending
    }

    /// Pages and bytes a second at `rate`. A zero page costs few bytes and the time to find it.
    fn pace(&self, rate: f64) -> Option<Pace> {
        if rate <= 0.0 {
            return None;
        }
        let Constants { page, zero_page, zero_pages_per_second, .. } = self.constants;
        let pending = self.pending();
        let zero = if pending > 0.0 { self.zero_pending / pending } else { 0.0 };
        let bytes = page * (1.0 - zero) + zero_page * zero;
        let pages_per_second = 1.0 / (bytes / rate + zero / zero_pages_per_second);
        Some(Pace { pages_per_second, bytes_per_second: pages_per_second * bytes })
    }

    fn threshold_pages(&self, pace: Pace) -> f64 {
        pace.bytes_per_second * self.constants.downtime_limit / GUEST_PAGE.as_f64()
    }

    fn send(&mut self, seconds: f64, rate: f64) {
        if let Some(pace) = self.pace(rate) {
            self.take(pace.pages_per_second * seconds);
        }
    }

    /// Takes up to `pages` from everything pending, in proportion.
    fn take(&mut self, pages: f64) {
        let pending = self.pending();
        if pending <= 0.0 {
            return;
        }
        let taken = pages.min(pending);
        let stays = 1.0 - taken / pending;
        let zero = self.zero_pending * (1.0 - stays);
        self.sent_zero += zero;
        self.sent_normal += taken - zero;
        self.pass_sent += taken;
        self.zero_pending *= stays;
        self.rest_pending *= stays;
        for state in &mut self.classes {
            state.pending *= stays;
        }
    }

    fn write(&mut self, seconds: f64) {
        let passed = self.pass_sent / self.pass_pages.max(1.0);
        let cleared = (passed + self.constants.chunk_share).min(1.0);
        for state in &mut self.classes {
            state.write(seconds, cleared);
        }
    }

    fn synchronise(&mut self) {
        let new: f64 = self.classes.iter_mut().map(ClassState::synchronise).sum();
        self.syncs += 1;
        self.pass_pages = self.pending();
        self.pass_sent = 0.0;
        self.dirty.new_pages += new;
        if self.dirty.seconds > 1.0 {
            let pages_per_second = self.dirty.new_pages / self.dirty.seconds;
            self.dirty = DirtyMeter { pages_per_second, ..DirtyMeter::default() };
        }
    }
}

/// Keeps the time to the next check finite: three years of quanta.
const QUANTA_MAX: f64 = 1e9;

/// Pages with content outside every class.
fn resting(memory: &GuestMemory) -> f64 {
    let written: f64 = memory.classes.iter().map(|c| c.pages).sum();
    (memory.total_pages - memory.zero_pages - written).max(0.0)
}

impl ClassState {
    fn all(class: PageClass) -> Self {
        Self { class, pending: class.pages, pending_at_sync: class.pages, logged: 0.0 }
    }

    /// Pages of the class whose log counts: those that were not pending at the last sync, and of
    /// the others the part that the sender has passed.
    fn countable(&self, cleared: f64) -> f64 {
        (self.class.pages - self.pending_at_sync * (1.0 - cleared)).max(0.0)
    }

    fn write(&mut self, seconds: f64, cleared: f64) {
        let countable = self.countable(cleared);
        let rate = self.class.writes_per_second * countable / self.class.pages;
        self.logged = (self.logged + rate * seconds).min(countable.max(self.logged));
    }

    fn is_round(&self) -> bool {
        self.logged >= self.class.pages
    }

    /// Moves the log into the bitmap. What is pending already is counted once; being what was
    /// written last, it is what a writer that goes round comes to last.
    fn synchronise(&mut self) -> f64 {
        let new = self.logged.min(self.class.pages - self.pending).max(0.0);
        self.pending += new;
        self.pending_at_sync = self.pending;
        self.logged = 0.0;
        new
    }
}

#[cfg(test)]
mod tests;
