//! Post-copy after the switch: how long the rest takes and for how many pages the guest waits.
//!
//! After the switch pages travel plainly over the one stream, whatever was chosen before it: the
//! channels and xbzrle belong to pre-copy. Never counts reads of pages: the curve knows writes
//! only, so a guest that reads much more memory than it writes waits for more pages.

use whimbrel_core::units::{BytesPerSecond, GUEST_PAGE};

use super::{
    PostCopy,
    memory::Memory,
    pace::{plain_wire, zero_seconds},
};
use crate::curve::{Access, Class};

/// Time by which one range to discard lengthens the downtime, in seconds: it is announced in 16
/// bytes and given back to the kernel at the target. Measured: 4 ms at once, 74 ms with about
/// 80 000 ranges.
const DISCARD_SECONDS_A_RANGE: f64 = 0.8e-6;

/// Halvings of the interval in which the guest's slowed progress is sought.
const PROGRESS_STEPS: u32 = 24;

/// Seconds that the vCPUs stand still to announce `ranges` for discarding.
pub(super) fn discard_seconds(ranges: f64) -> f64 {
    ranges * DISCARD_SECONDS_A_RANGE
}

/// The background stream of a guest that has moved.
#[derive(Debug, Clone)]
pub(super) struct Serving {
    rule: PostCopy,
    background: f64,
    /// Guest memory that it still missed at the switch.
    missing: f64,
    wire: f64,
    zero_seconds: f64,
    /// Part that has not arrived, 0..=1.
    left: f64,
    seconds: f64,
}

impl Serving {
    pub(super) fn new(
        rule: PostCopy,
        background: BytesPerSecond,
        missing: f64,
        zero_pages: f64,
    ) -> Self {
        Self {
            rule,
            background: background.as_f64().max(1.0),
            missing,
            wire: plain_wire(missing, zero_pages),
            zero_seconds: zero_seconds(zero_pages),
            left: 1.0,
            seconds: 0.0,
        }
    }

    /// Gives it another part of the link.
    pub(super) fn share(&mut self, background: BytesPerSecond) {
        self.background = background.as_f64().max(1.0);
    }

    /// Bytes on the wire of all of it.
    pub(super) fn wire(&self) -> f64 {
        self.wire
    }

    /// How long it has been sent for.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }

    pub(super) fn is_done(&self) -> bool {
        self.left <= 0.0
    }

    /// Sends until `until`, in seconds since the switch, or to the end.
    pub(super) fn advance(&mut self, until: f64) {
        let whole = (self.wire / self.background).max(self.zero_seconds).max(1e-9);
        let rest = whole * self.left;
        if self.seconds + rest <= until {
            self.seconds += rest;
            self.left = 0.0;
        } else {
            let spent = (until - self.seconds).max(0.0);
            self.seconds = self.seconds.max(until);
            self.left = (self.left - spent / whole).max(0.0);
        }
    }

    /// Pages that the guest had to wait for, if it took as long as it did.
    ///
    /// Waiting slows the guest, and a slower guest touches fewer pages before they arrive: its
    /// progress g, 0..=1, is where g = 1 - faults(g) x wait / (vCPUs x time).
    pub(super) fn faults(&self, memory: &Memory<'_>) -> f64 {
        let seconds = self.seconds.max(1e-9);
        let awake = f64::from(self.rule.vcpus.max(1)) * seconds;
        let wait = self.rule.fault_wait.as_seconds_f64();
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..PROGRESS_STEPS {
            let progress = f64::midpoint(low, high);
            if 1.0 - self.faults_at(memory, progress) * wait / awake > progress {
                low = progress;
            } else {
                high = progress;
            }
        }
        self.faults_at(memory, high)
    }

    /// The same for a guest that makes `progress`, 0..=1.
    fn faults_at(&self, memory: &Memory<'_>, progress: f64) -> f64 {
        let page = GUEST_PAGE.as_f64();
        let seconds = self.seconds.max(1e-9);
        let sent_a_second = self.missing / seconds;
        let of = |(class, dirty): (&Class, f64)| {
            let turns = seconds * progress / class.period_seconds;
            let early = touched_before_arrival(class.access, turns);
            let faulting = match class.access {
                Access::Random => early,
                // The background stream goes on behind the page that was asked for, so it walks
                // before a sweep that is slower than itself: one wait, and few more.
                Access::Sweep => {
                    let written = class.size_bytes * progress / class.period_seconds;
                    early * (1.0 - sent_a_second / written.max(1e-9)).max(0.0)
                }
            };
            class.size_bytes / page * dirty * faulting + f64::from(dirty > 0.0 && turns > 0.0)
        };
        memory.classes().map(of).sum()
    }
}

/// The part of a class that is touched before it arrives, if pages arrive evenly over `turns` of
/// its period: the mean over that time of what is touched by then.
fn touched_before_arrival(access: Access, turns: f64) -> f64 {
    match access {
        Access::Random if turns < 1e-4 => turns / 2.0,
        Access::Random => 1.0 + (-turns).exp_m1() / turns,
        Access::Sweep if turns <= 1.0 => turns / 2.0,
        Access::Sweep => 1.0 - 0.5 / turns,
    }
}
