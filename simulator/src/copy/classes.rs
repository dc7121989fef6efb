//! A guest's memory as classes of pages, in closed form: what clusters are simulated with.
//!
//! Pages with content are sent before the zero pages behind them, and from the classes in
//! proportion to what each has pending: addresses of hot and cold pages are taken as mixed. A page
//! written before its part of the log was cleared in this pass is still to be sent and is not
//! counted twice; the log is cleared a chunk at a time, when its first page is sent.
//!
//! Never here: who gives the rate, or when the bitmap is read.

use whimbrel_core::units::GUEST_PAGE;

use super::bitmap::{Bitmap, Cost, Costs, Lot, Sent, Service};
use crate::{
    memory::{GuestMemory, PageClass},
    physics::Physics,
};

/// Memory in classes with its bitmap.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ClassBitmap {
    memory: GuestMemory,
    classes: Vec<ClassState>,
    /// Pages with content that nobody writes.
    rest: f64,
    rest_pending: f64,
    zero_pending: f64,
    /// Pages with content to send when the bitmap was last read, and how many of them were sent.
    pass_pages: f64,
    pass_sent: f64,
    /// Part of the pages with content whose log is cleared together.
    chunk_share: f64,
    /// Everything was sent once.
    passed: bool,
    /// Pages that an xbzrle cache still has room for; `None` without a cache.
    cache_room: Option<f64>,
}

/// A class with its bits in QEMU's bitmap and in the log.
#[derive(Debug, Clone, Copy, PartialEq)]
struct ClassState {
    class: PageClass,
    /// To be sent.
    pending: f64,
    /// `pending` as of the last read.
    pending_at_read: f64,
    /// Written since their part of the log was cleared.
    logged: f64,
    /// In the xbzrle cache.
    cached: f64,
}

/// Steps into which a pass is cut where the log is cleared bit by bit in its course.
const STEPS_A_PASS: f64 = 16.0;

impl ClassBitmap {
    /// The state after setup: every page is to be sent. `cache_pages` are what an xbzrle cache
    /// holds.
    pub(crate) fn new(memory: &GuestMemory, cache_pages: Option<f64>, physics: &Physics) -> Self {
        let content = (memory.total_pages - memory.zero_pages).max(1.0);
        let rest = resting(memory);
        Self {
            classes: memory.classes.iter().map(|class| ClassState::all(*class)).collect(),
            rest,
            rest_pending: rest,
            zero_pending: memory.zero_pages,
            pass_pages: content,
            pass_sent: 0.0,
            chunk_share: physics.log_clear_chunk.as_f64() / GUEST_PAGE.as_f64() / content,
            passed: false,
            cache_room: cache_pages,
            memory: memory.clone(),
        }
    }

    /// Takes the guest's new way of writing on, in the middle of the copy. What is pending stays
    /// pending; which of the new classes it falls into is taken as even.
    pub(crate) fn rewrite(&mut self, memory: &GuestMemory) {
        let written: f64 = self.classes.iter().map(|c| c.class.pages).sum();
        let share = |part: f64, whole: f64| if whole > 0.0 { (part / whole).min(1.0) } else { 0.0 };
        let content = share(self.content_pending(), written + self.rest);
        let of_written =
            |what: fn(&ClassState) -> f64| share(self.classes.iter().map(what).sum(), written);
        let (pending, at_read) = if self.classes.is_empty() {
            (content, content)
        } else {
            (of_written(|c| c.pending), of_written(|c| c.pending_at_read))
        };
        let (logged, cached) = (of_written(|c| c.logged), of_written(|c| c.cached));
        let total = self.content_pending();
        let remade = |class: &PageClass| ClassState {
            class: *class,
            pending: class.pages * pending,
            pending_at_read: class.pages * at_read,
            logged: class.pages * logged,
            cached: class.pages * cached,
        };
        self.classes = memory.classes.iter().map(remade).collect();
        self.rest = resting(memory);
        let in_classes: f64 = self.classes.iter().map(|c| c.pending).sum();
        self.rest_pending = (total - in_classes).clamp(0.0, self.rest);
        self.memory = memory.clone();
    }

    fn content_pending(&self) -> f64 {
        self.classes.iter().map(|c| c.pending).sum::<f64>() + self.rest_pending
    }

    /// Pages pending that the cache holds.
    fn cached_pending(&self) -> f64 {
        let of = |c: &ClassState| c.pending * c.cached / c.class.pages;
        if self.cache_room.is_some() { self.classes.iter().map(of).sum() } else { 0.0 }
    }

    /// What a page with content costs in the mean.
    fn content_cost(&self, costs: &Costs) -> (Cost, f64) {
        let whole = costs.text.mixed(self.memory.text_share, costs.random);
        let pending = self.content_pending();
        let hits = if pending > 0.0 { self.cached_pending() / pending } else { 0.0 };
        (costs.difference(self.memory.delta_bytes).mixed(hits, whole), hits)
    }

    /// Takes the part `sent` of what is pending in each class, 0..=1.
    fn take(&mut self, sent: f64) {
        let pending = self.content_pending();
        self.pass_sent += pending * sent;
        self.rest_pending *= 1.0 - sent;
        for state in &mut self.classes {
            let taken = state.pending * sent;
            state.pending -= taken;
            if let Some(room) = &mut self.cache_room
                && self.passed
            {
                // Only what is sent again enters the cache, once.
                let new = (taken * (1.0 - state.cached / state.class.pages)).clamp(0.0, *room);
                state.cached += new;
                *room -= new;
            }
        }
    }

    /// Part of the log that counts: QEMU has passed it in this pass.
    fn cleared(&self) -> f64 {
        (self.pass_sent / self.pass_pages.max(1.0) + self.chunk_share).min(1.0)
    }
}

impl Bitmap for ClassBitmap {
    fn pending(&self) -> f64 {
        self.content_pending() + self.zero_pending
    }

    fn content(&self) -> f64 {
        self.content_pending()
    }

    fn total(&self) -> f64 {
        self.memory.total_pages
    }

    fn text_share(&self) -> f64 {
        self.memory.text_share
    }

    fn send(&mut self, lot: &Lot) -> Sent {
        let mut sent = Sent::default();
        let pending = self.content_pending();
        let (cost, hits) = self.content_cost(&lot.costs);
        let lot = &flushed(lot, cost);
        if pending > 0.0 {
            let pages = affordable(cost, lot, &sent).min(pending);
            self.take(pages / pending);
            let deltas = pages * hits;
            sent += Sent {
                bytes: pages * cost.bytes,
                seconds: pages * cost.seconds,
                normal: pages - deltas,
                zero: 0.0,
                deltas,
                delta_bytes: deltas * self.memory.delta_bytes,
                misses: if self.cache_room.is_some() { pages - deltas } else { 0.0 },
            };
        }
        if self.content_pending() <= 0.0 && self.zero_pending > 0.0 {
            let cost = lot.costs.zero;
            let zero = affordable(cost, lot, &sent).min(self.zero_pending);
            self.zero_pending -= zero;
            let (bytes, seconds) = (zero * cost.bytes, zero * cost.seconds);
            sent += Sent { bytes, seconds, zero, ..Sent::default() };
        }
        sent
    }

    fn write(&mut self, seconds: f64, available: f64) -> f64 {
        let done = self.memory.done(available);
        let cleared = self.cleared();
        for state in &mut self.classes {
            state.write(seconds * done, cleared);
        }
        done
    }

    fn synchronise(&mut self) -> f64 {
        let new = self.classes.iter_mut().map(ClassState::synchronise).sum();
        self.pass_pages = self.content_pending();
        self.pass_sent = 0.0;
        self.passed = true;
        new
    }

    fn seconds_until(&self, pages: f64, costs: &Costs) -> f64 {
        let above = (self.pending() - pages).max(0.0);
        let content = above.min(self.content_pending());
        let (cost, _) = self.content_cost(costs);
        content * cost.seconds + (above - content) * costs.zero.seconds
    }

    fn longest_step(&self, costs: &Costs) -> f64 {
        if self.chunk_share >= 1.0 {
            return f64::INFINITY;
        }
        self.pass_pages * costs.random.seconds / STEPS_A_PASS
    }

    fn stale_ranges(&self) -> f64 {
        // Stale pages lie scattered: a range begins wherever a stale page follows a fresh one.
        let stale = self.pending();
        stale * (1.0 - stale / self.memory.total_pages.max(1.0)).max(0.0)
    }

    fn serve(&mut self, service: &Service) -> (Sent, f64) {
        let Service { lot, wait_seconds, runs: done } = service;
        // Pages that it comes to for the first time, if it did not have to wait for any.
        let touched = |c: &ClassState| c.class.writes_per_second * c.pending / c.class.pages;
        let touches: f64 = self.classes.iter().map(touched).sum::<f64>() * done;
        let faults_a_second = touches / (1.0 + touches * wait_seconds);
        let mut faults = 0.0;
        let mut sent = Sent::default();
        for state in &mut self.classes {
            let share = if touches > 0.0 { touched(state) * done / touches } else { 0.0 };
            let pulled = (faults_a_second * share * lot.seconds).min(state.pending);
            state.pending -= pulled;
            faults += pulled;
        }
        let whole = lot.costs.text.mixed(self.memory.text_share, lot.costs.random);
        let pending = self.pending();
        sent += Sent { bytes: faults * whole.bytes, normal: faults, ..Sent::default() };
        sent += self.send(lot);
        // The last of it comes in the part of the time that it takes of budget or link.
        let taken = (sent.bytes / lot.budget).max(sent.seconds / lot.seconds);
        let part = if self.pending() > 0.0 { 1.0 } else { taken };
        sent.seconds = if pending > 0.0 { lot.seconds * part.min(1.0) } else { 0.0 };
        (sent, faults)
    }
}

/// `lot` with its budget rounded up to whole buffers of pages of `cost`: it is looked at when they
/// are flushed.
fn flushed(lot: &Lot, cost: Cost) -> Lot {
    let buffer = f64::from(lot.grain.max(1)) * cost.bytes;
    let full = lot.budget.is_finite() && lot.budget > 0.0 && lot.grain > 1;
    Lot { budget: if full { (lot.budget / buffer).ceil() * buffer } else { lot.budget }, ..*lot }
}

/// Pages of `cost` that `lot` still has room for after `sent`.
fn affordable(cost: Cost, lot: &Lot, sent: &Sent) -> f64 {
    let room = |left: f64, one: f64| if one > 0.0 { (left / one).max(0.0) } else { f64::INFINITY };
    let by_time = room(lot.seconds - sent.seconds, cost.seconds);
    by_time.min(room(lot.budget - sent.bytes, cost.bytes))
}

/// Pages with content outside every class.
fn resting(memory: &GuestMemory) -> f64 {
    let written: f64 = memory.classes.iter().map(|c| c.pages).sum();
    (memory.total_pages - memory.zero_pages - written).max(0.0)
}

impl ClassState {
    fn all(class: PageClass) -> Self {
        let pending = class.pages;
        Self { class, pending, pending_at_read: pending, logged: 0.0, cached: 0.0 }
    }

    /// Pages of the class whose log counts: those that were not pending at the last read, and of
    /// the others the part that the sender has passed.
    fn countable(&self, cleared: f64) -> f64 {
        (self.class.pages - self.pending_at_read * (1.0 - cleared)).max(0.0)
    }

    fn write(&mut self, seconds: f64, cleared: f64) {
        let countable = self.countable(cleared);
        let rate = self.class.writes_per_second * countable / self.class.pages;
        self.logged = (self.logged + rate * seconds).min(countable.max(self.logged));
    }

    /// Moves the log into the bitmap. What is pending already is counted once; being what was
    /// written last, it is what a writer that goes round comes to last.
    fn synchronise(&mut self) -> f64 {
        let new = self.logged.min(self.class.pages - self.pending).max(0.0);
        self.pending += new;
        self.pending_at_read = self.pending;
        self.logged = 0.0;
        new
    }
}
