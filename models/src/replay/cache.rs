//! The pages that xbzrle can send as differences: QEMU's `page_cache.c` and `xbzrle.c`.
//!
//! The cache fills from the second pass on: a page is sent whole when it is resent for the first
//! time, and as a difference after that. A slot whose page was used within the last two bitmap
//! reads is not given to another page, so a cache that is smaller than what the guest rewrites
//! keeps what it has: hits are its share of that, not none.

use whimbrel_core::units::Bytes;

use crate::curve::{Access, Class};

#[derive(Debug, Clone)]
pub(super) struct Cache {
    /// Part of the written memory that it has slots for, 0..=1.
    room: f64,
    /// Part of each class that was resent, 0..=1.
    resent: Vec<f64>,
}

impl Cache {
    /// A cache of `size` for the `classes` of a guest of `memory` bytes.
    ///
    /// A page's slot is its address modulo the cache's size. Written memory in one piece fills
    /// min(1, size / written) of its slots' pages; scattered over a memory of k times the cache's
    /// size, a slot is used unless none of its k pages is written. The truth lies between.
    pub(super) fn new(size: Bytes, classes: &[Class], memory: f64) -> Self {
        let written: f64 = classes.iter().map(|c| c.size_bytes).sum();
        let size = size.as_f64();
        let room = if written > 0.0 && size > 0.0 {
            let fits = size / written;
            let pages_a_slot = (memory / size).max(1.0);
            let unused = (1.0 - (written / memory).min(1.0)).powf(pages_a_slot);
            f64::midpoint(fits.min(1.0), (fits * (1.0 - unused)).min(1.0))
        } else {
            0.0
        };
        Self { room, resent: vec![0.0; classes.len()] }
    }

    /// Part of `remaining` that is in the cache, of which `dirty` are the parts of the classes.
    pub(super) fn hits(&self, classes: &[Class], dirty: &[f64], remaining: f64) -> f64 {
        let of = |((class, dirty), resent): ((&Class, &f64), &f64)| {
            class.size_bytes * both(class.access, *dirty, *resent)
        };
        let bytes: f64 = classes.iter().zip(dirty).zip(&self.resent).map(of).sum();
        if remaining > 0.0 { (self.room * bytes / remaining).clamp(0.0, 1.0) } else { 0.0 }
    }

    /// Takes in what was sent: the `sent` part of what is `dirty`.
    pub(super) fn insert(&mut self, classes: &[Class], dirty: &[f64], sent: f64) {
        for ((resent, dirty), class) in self.resent.iter_mut().zip(dirty).zip(classes) {
            let first_time = dirty - both(class.access, *dirty, *resent);
            *resent = (*resent + first_time * sent).min(1.0);
        }
    }
}

/// The part of a class that is dirty and was resent before.
fn both(access: Access, dirty: f64, resent: f64) -> f64 {
    match access {
        Access::Random => dirty * resent,
        // What was written longest ago comes next, and has not been resent yet.
        Access::Sweep => (dirty + resent - 1.0).max(0.0),
    }
}
