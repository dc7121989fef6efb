//! What a copy says of itself, as QEMU counts it.

use whimbrel_core::units::{Bytes, BytesPerSecond, GUEST_PAGE};

use super::{
    PageCopy,
    bitmap::{Bitmap, Sent},
};

impl<B: Bitmap> PageCopy<B> {
    /// Memory still to send, as QEMU counts it: whole pages, zero or not.
    pub(crate) fn remaining(&self) -> Bytes {
        Bytes::new((self.bitmap.pending() * GUEST_PAGE.as_f64()).round() as u64)
    }

    /// The guest's memory, as QEMU counts it.
    pub(crate) fn total(&self) -> Bytes {
        Bytes::new((self.bitmap.total() * GUEST_PAGE.as_f64()).round() as u64)
    }

    /// Bytes on the wire so far.
    pub(crate) fn transferred(&self) -> Bytes {
        Bytes::new(self.sent.bytes.round() as u64)
    }

    /// Everything sent so far.
    pub(crate) fn sent(&self) -> &Sent {
        &self.sent
    }

    /// QEMU's dirty-sync-count.
    pub(crate) fn reads(&self) -> u64 {
        self.reads
    }

    /// Auto-converge's throttle, in percent.
    pub(crate) fn throttle_percent(&self) -> u8 {
        self.evaluation.percent()
    }

    /// Seconds of its writing that the guest did not get done, to the dirty log, throttle, host and
    /// missing pages.
    pub(crate) fn lost_seconds(&self) -> f64 {
        self.lost
    }

    /// Pages that the guest waited for after a switch to post-copy.
    pub(crate) fn faults(&self) -> u64 {
        self.faults.round() as u64
    }

    /// Newly dirtied memory a second as of the last evaluation.
    pub(crate) fn dirty_rate(&self) -> BytesPerSecond {
        let bytes = self.evaluation.pages_per_second() * GUEST_PAGE.as_f64();
        BytesPerSecond::new(bytes.round() as u64)
    }
}
