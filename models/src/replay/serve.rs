//! Post-copy after the switch: how long the rest takes and for how many pages the guest waits.
//!
//! After the switch pages travel plainly over the one stream, whatever was chosen before it: the
//! channels and xbzrle belong to pre-copy. A page that the guest waits for wakes QEMU from its
//! rate limit (`migration_make_urgent_request` in `migration/migration.c`), so that requests go
//! beyond a cap while they are part of what a link carries. Never counts reads of pages: the curve
//! knows writes only, so a guest that reads much more memory than it writes waits for more pages.

use whimbrel_core::units::{BytesPerSecond, GUEST_PAGE};

use super::{
    PostCopy,
    memory::Memory,
    pace::{PAGE_WIRE, plain_wire, zero_seconds},
};
use crate::curve::Access;

/// Time by which one range to discard lengthens the downtime, in seconds: it is announced in 16
/// bytes and given back to the kernel at the target. Measured: 4 ms at once, 74 ms with about
/// 80 000 ranges.
const DISCARD_SECONDS_A_RANGE: f64 = 0.8e-6;

/// Steps in which what is missing is followed.
const STEPS: f64 = 48.0;

/// Seconds that the vCPUs stand still to announce `ranges` for discarding.
pub(super) fn discard_seconds(ranges: f64) -> f64 {
    ranges * DISCARD_SECONDS_A_RANGE
}

/// What carries pages after the switch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Background {
    /// Of the pages that nobody waits for.
    pub(super) rate: BytesPerSecond,
    /// What the link carries at most, bytes a second.
    pub(super) line: f64,
    /// Whether a cap holds it, which requests go beyond.
    pub(super) capped: bool,
}

/// Pages of one class that have not arrived.
#[derive(Debug, Clone, Copy)]
struct Missing {
    pages: f64,
    /// A second, if nothing delayed the guest: touches of each of these pages where it writes at
    /// random, new pages that a sweep comes to.
    touches: f64,
    access: Access,
}

/// The stream of a guest that has moved.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    rule: PostCopy,
    stream: Background,
    /// By class; the last are those that nobody writes.
    missing: Vec<Missing>,
    /// Pages at the switch.
    all: f64,
    wire: f64,
    /// What finding zero pages takes at least.
    zero_seconds: f64,
    seconds: f64,
    faults: f64,
}

impl Serving {
    pub(super) fn new(
        rule: PostCopy,
        stream: Background,
        memory: &Memory<'_>,
        zero_pages: f64,
    ) -> Self {
        let page = GUEST_PAGE.as_f64();
        let mut missing: Vec<Missing> = memory
            .classes()
            .map(|(class, dirty)| {
                let pages = class.size_bytes / page * dirty;
                let touches = match class.access {
                    Access::Random => 1.0 / class.period_seconds,
                    Access::Sweep => pages / class.period_seconds,
                };
                Missing { pages, touches, access: class.access }
            })
            .collect();
        let written: f64 = missing.iter().map(|class| class.pages).sum();
        let all = memory.remaining() / page;
        // Zero pages travel between the others.
        let zeros = plain_wire(0.0, zero_pages) / PAGE_WIRE;
        let pages = (all - written).max(0.0) + zeros;
        missing.push(Missing { pages, touches: 0.0, access: Access::Random });
        Self {
            rule,
            stream,
            missing,
            all: all + zeros,
            wire: plain_wire(memory.remaining(), zero_pages),
            zero_seconds: zero_seconds(zero_pages),
            seconds: 0.0,
            faults: 0.0,
        }
    }

    /// Gives it another part of the link.
    pub(super) fn share(&mut self, stream: Background) {
        self.stream = stream;
    }

    /// Bytes on the wire of all of it.
    pub(super) fn wire(&self) -> f64 {
        self.wire
    }

    /// How long it has been sent for.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Pages that the guest had to wait for.
    pub(super) fn faults(&self) -> f64 {
        self.faults
    }

    pub(super) fn is_done(&self) -> bool {
        self.left() < 1.0 && self.seconds >= self.zero_seconds
    }

    fn left(&self) -> f64 {
        self.missing.iter().map(|class| class.pages).sum()
    }

    /// Sends until `until`, in seconds since the switch, or to the end.
    pub(super) fn advance(&mut self, until: f64) {
        while self.left() >= 1.0 && self.seconds < until {
            self.step(until);
        }
        if self.left() < 1.0 {
            self.seconds = self.seconds.max(self.zero_seconds.min(until));
        }
    }

    /// A small part of it, or what is left of it.
    fn step(&mut self, until: f64) {
        let background = self.stream.rate.as_f64().max(1.0) / PAGE_WIRE;
        let wanted: f64 = self.missing.iter().map(|class| class.wanted(background)).sum();
        // Waiting slows the guest, and a slower guest asks for fewer pages.
        let wait = self.rule.fault_wait.as_seconds_f64() / f64::from(self.rule.vcpus.max(1));
        let asked = wanted / (1.0 + wanted * wait);
        let line = self.stream.line.max(1.0) / PAGE_WIRE;
        let pace = if self.stream.capped {
            (background + asked).min(line.max(background))
        } else {
            background
        };
        let asked = asked.min(pace);
        let left = self.left();
        let seconds = (left.min(self.all / STEPS + 1.0) / pace).min(until - self.seconds);
        let unasked = (pace - asked) * seconds / left;
        for class in &mut self.missing {
            let share = if wanted > 0.0 { class.wanted(background) / wanted } else { 0.0 };
            let arrived = class.pages * unasked + asked * seconds * share;
            class.pages = (class.pages - arrived).max(0.0);
        }
        self.faults += asked * seconds;
        self.seconds += seconds;
    }
}

impl Missing {
    /// Pages a second that an undelayed guest would have to wait for. The stream goes on behind
    /// the page that was asked for, so it walks before a sweep that is slower than itself.
    fn wanted(&self, background: f64) -> f64 {
        match self.access {
            Access::Random => self.pages * self.touches,
            Access::Sweep if self.pages > 0.0 => (self.touches - background).max(0.0),
            Access::Sweep => 0.0,
        }
    }
}
