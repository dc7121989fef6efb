//! Post-copy after the switch: the guest runs at its target and waits for what it misses.
//!
//! After the switch pages travel plainly over the one stream, whatever was chosen before: channels,
//! compression and xbzrle belong to pre-copy. A page that the guest waits for wakes QEMU from its
//! rate limit (`migration_make_urgent_request` in `migration/migration.c`), so that such pages go
//! beyond a cap.
//!
//! Never here: reads. Classes and writers know what is written; a guest that reads much more than
//! it writes waits for more pages.

use whimbrel_core::units::Span;

use super::{
    PageCopy,
    bitmap::{Bitmap, Lot, Service},
};
use crate::physics::Physics;

/// Shortest time between two looks, in seconds.
const LEAST_SECONDS: f64 = 1e-3;

/// Steps in which the rest is followed, at least one period long each.
const STEPS: f64 = 64.0;

impl<B: Bitmap> PageCopy<B> {
    /// The guest stands still: its stale pages are read and announced. Says how long that takes.
    pub(crate) fn move_guest(&mut self) -> Span {
        self.read_bitmap();
        Span::from_seconds_f64(self.bitmap.stale_ranges() * self.discard_a_range)
    }

    /// Time until all of it has come at `rate` bytes a second, if nothing changes; `None` while
    /// nothing flows.
    pub(crate) fn served_in(&self, rate: f64, physics: &Physics) -> Option<Span> {
        if rate <= 0.0 {
            return None;
        }
        let costs = self.pace.plain_costs(rate.min(self.pace.capped_rate()));
        let longest = self.bitmap.seconds_until(0.0, &costs) + self.pace.period;
        let mut ahead = self.clone();
        ahead.serve(Span::from_seconds_f64(longest), rate, physics);
        let seconds = ahead.clock - self.clock;
        Some(Span::from_seconds_f64(seconds.max(LEAST_SECONDS)))
    }

    /// Lets `span` pass for a guest that runs at its target; what is pending comes at `rate`.
    pub(crate) fn serve(&mut self, span: Span, rate: f64, physics: &Physics) {
        let mut left = span.as_seconds_f64();
        if rate <= 0.0 {
            return;
        }
        let costs = self.pace.plain_costs(rate);
        let wait_seconds = physics.stream.fault_wait.as_seconds_f64() + costs.random.seconds;
        while left > 0.0 && self.bitmap.pending() > 0.0 {
            let whole = self.bitmap.seconds_until(0.0, &costs);
            let seconds = left.min((whole / STEPS).max(self.pace.period));
            let budget = self.pace.capped_rate() * seconds;
            let lot = Lot { seconds, budget, grain: self.pace.grain, costs, reads: self.reads };
            let service = Service { lot, wait_seconds, runs: self.host_gives };
            let (sent, faults) = self.bitmap.serve(&service);
            self.sent += sent;
            self.faults += faults;
            self.lost += faults * wait_seconds;
            self.clock += sent.seconds;
            left -= seconds;
        }
    }

    /// Seconds since the first page could be sent.
    pub(crate) fn clock_seconds(&self) -> f64 {
        self.clock
    }
}
