//! What a migration needs of a guest's memory, whatever its resolution: classes of pages for
//! clusters, single pages for small guests.
//!
//! Never here: when the bitmap is read, or what a page costs.

use std::ops::AddAssign;

/// What one page takes of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Cost {
    /// On the wire, header included.
    pub(crate) bytes: f64,
    /// Of the stream's time, the link's or the processor's, whichever is the longer.
    pub(crate) seconds: f64,
}

impl Cost {
    /// `share` of this and the rest of `other`.
    pub(crate) fn mixed(self, share: f64, other: Self) -> Self {
        let mix = |one: f64, two: f64| one * share + two * (1.0 - share);
        Self { bytes: mix(self.bytes, other.bytes), seconds: mix(self.seconds, other.seconds) }
    }
}

/// Costs of every kind of page.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Costs {
    /// All-zero.
    pub(crate) zero: Cost,
    /// With content that does not compress.
    pub(crate) random: Cost,
    /// With content that does.
    pub(crate) text: Cost,
    /// Sent as a difference; its bytes are the header's alone.
    pub(crate) delta: Cost,
    /// Stream time of one byte of a difference.
    pub(crate) delta_byte_seconds: f64,
}

impl Costs {
    /// A page of which `bytes` have changed, sent as a difference.
    pub(crate) fn difference(&self, bytes: f64) -> Cost {
        let Cost { bytes: header, seconds } = self.delta;
        let wire = (header + bytes) * self.delta_byte_seconds;
        Cost { bytes: header + bytes, seconds: seconds.max(wire) }
    }
}

/// What may be sent in one go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lot {
    /// Stream time.
    pub(crate) seconds: f64,
    /// Wire bytes after which no further page is begun; infinity without a cap.
    pub(crate) budget: f64,
    /// Pages that are sent before the budget is looked at again.
    pub(crate) grain: u32,
    /// By kind of page.
    pub(crate) costs: Costs,
    /// Bitmap reads so far: the age of what a cache takes in now.
    pub(crate) reads: u64,
}

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Sent {
    /// On the wire, headers included.
    pub(crate) bytes: f64,
    /// Stream time.
    pub(crate) seconds: f64,
    /// Pages with content, whole ones only.
    pub(crate) normal: f64,
    /// All-zero pages.
    pub(crate) zero: f64,
    /// Pages sent as differences.
    pub(crate) deltas: f64,
    /// Bytes of the differences, without headers.
    pub(crate) delta_bytes: f64,
    /// Pages that were not in the cache and went whole.
    pub(crate) misses: f64,
}

impl AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.seconds += other.seconds;
        self.normal += other.normal;
        self.zero += other.zero;
        self.deltas += other.deltas;
        self.delta_bytes += other.delta_bytes;
        self.misses += other.misses;
    }
}

/// A guest that runs at its target while its memory is still coming.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Service {
    /// Background pages: the cap holds them.
    pub(crate) lot: Lot,
    /// Time that one missing page makes the guest wait.
    pub(crate) wait_seconds: f64,
    /// Part of the CPU that the guest asks for that its host gives it, 0..=1.
    pub(crate) runs: f64,
}

/// A guest's memory with QEMU's bitmap of it.
pub(crate) trait Bitmap: Clone {
    /// Pages to send as QEMU's estimate counts them: whole, zero or not.
    fn pending(&self) -> f64;

    /// Those of them with content.
    fn content(&self) -> f64;

    /// All pages of the guest.
    fn total(&self) -> f64;

    /// Part of the pages with content that compresses, 0..=1.
    fn text_share(&self) -> f64;

    /// Sends what `lot` has room for.
    fn send(&mut self, lot: &Lot) -> Sent;

    /// The guest writes for `seconds`, having `available` of its vCPUs' time, 0..=1. Returns the
    /// part of its writing that it got done, 0..=1.
    fn write(&mut self, seconds: f64, available: f64) -> f64;

    /// Reads the log into the bitmap; the pages that were new.
    fn synchronise(&mut self) -> f64;

    /// Stream time until fewer than `pages` are pending, if the guest wrote nothing.
    fn seconds_until(&self, pages: f64, costs: &Costs) -> f64;

    /// Stream time after which the log has to be looked at again, for its clearing in chunks.
    fn longest_step(&self, costs: &Costs) -> f64;

    /// Ranges of pages that are stale at the target when it takes over now.
    fn stale_ranges(&self) -> f64;

    /// Lets the guest run at its target for the lot's time. What it waits for comes first and
    /// beyond the budget. Returns what was sent in which time, and how many pages were waited for.
    fn serve(&mut self, service: &Service) -> (Sent, f64);
}
