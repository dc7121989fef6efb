//! What of the guest's memory QEMU knows to be dirty, between two bitmap reads.
//!
//! Never decides when the bitmap is read, nor what sending a page costs.

use whimbrel_core::units::{Bytes, GUEST_PAGE};

use super::cache::Cache;
use crate::curve::{Access, Class, DirtyCurve};

/// The kernel's dirty log is cleared chunk by chunk (2^18 pages), each just before its first page
/// is sent: only then may its pages count as dirtied anew.
const CLEAR_CHUNK_BYTES: f64 = 1_073_741_824.0;

/// What was done to the memory between two bitmap reads.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Round {
    /// Guest memory sent, zero pages not counted.
    pub sent: f64,
    /// Its length.
    pub seconds: f64,
    /// How long the guest needs for its writes of this round without a throttle.
    pub written_seconds: f64,
}

/// Amounts are bytes of guest memory with content.
#[derive(Debug, Clone)]
pub(super) struct Memory<'a> {
    classes: &'a [Class],
    /// Dirty part of each class, 0..=1.
    dirty: Vec<f64>,
    /// Memory that no class writes and that was not sent yet.
    cold: f64,
    remaining: f64,
    /// Size of the guest, zero pages included.
    size: f64,
    /// Chunks in which the dirty log is cleared.
    chunks: f64,
    cache: Option<Cache>,
}

impl<'a> Memory<'a> {
    pub(super) fn new(curve: &'a DirtyCurve, non_zero: Bytes, zero: Bytes) -> Self {
        let classes = curve.classes();
        let written: f64 = classes.iter().map(|c| c.size_bytes).sum();
        let remaining = non_zero.as_f64().max(written);
        let size = remaining + zero.as_f64();
        Self {
            classes,
            dirty: vec![1.0; classes.len()],
            cold: remaining - written,
            remaining,
            size,
            chunks: (size / CLEAR_CHUNK_BYTES).ceil().max(1.0),
            cache: None,
        }
    }

    /// Keeps resent pages in a cache of `size` from the second pass on.
    pub(super) fn with_cache(mut self, size: Bytes) -> Self {
        self.cache = Some(Cache::new(size, self.classes, self.size));
        self
    }

    /// What was dirty at the last read.
    pub(super) fn remaining(&self) -> f64 {
        self.remaining
    }

    /// Part of what was dirty at the last read that is in the cache, 0..=1.
    pub(super) fn cached(&self) -> f64 {
        self.cache
            .as_ref()
            .map_or(0.0, |cache| cache.hits(self.classes, &self.dirty, self.remaining))
    }

    /// Parts without a gap in what is dirty: post-copy announces each for discarding.
    pub(super) fn dirty_ranges(&self) -> f64 {
        let page = GUEST_PAGE.as_f64();
        let of = |(class, dirty): (&Class, &f64)| match class.access {
            // A page begins a range where its neighbour is clean.
            Access::Random => class.size_bytes / page * dirty * (1.0 - dirty) + 1.0,
            Access::Sweep => 1.0,
        };
        self.classes.iter().zip(&self.dirty).map(of).sum::<f64>() + 1.0
    }

    /// Classes with their dirty part.
    pub(super) fn classes(&self) -> impl Iterator<Item = (&Class, f64)> {
        self.classes.iter().zip(self.dirty.iter().copied())
    }

    /// Takes what was dirtied in `round` into the remainder and returns how much is new.
    pub(super) fn read(&mut self, round: Round, first_pass: bool) -> f64 {
        let kept = if self.remaining > 0.0 {
            (1.0 - round.sent / self.remaining).clamp(0.0, 1.0)
        } else {
            0.0
        };
        if let Some(cache) = self.cache.as_mut().filter(|_| !first_pass) {
            cache.insert(self.classes, &self.dirty, 1.0 - kept);
        }
        // Pages known as dirty are counted anew only from their chunk's clearing on.
        for (dirty, class) in self.dirty.iter_mut().zip(self.classes) {
            let turns = round.written_seconds / class.period_seconds;
            let late = touched_by_chunk(class.access, turns, self.chunks);
            let full = class.touched(round.written_seconds);
            let anew = *dirty * late + (1.0 - *dirty) * full;
            let left = *dirty * kept;
            *dirty = match class.access {
                Access::Random => left + (1.0 - left) * anew,
                Access::Sweep => (left + anew).min(1.0),
            };
        }
        self.cold *= kept;
        let known = self.remaining * kept;
        self.remaining = self.cold + self.classes().map(|(c, d)| c.size_bytes * d).sum::<f64>();
        (self.remaining - known).max(0.0)
    }
}

/// The part of a class that is written after its chunk was cleared: chunks are cleared one after
/// the other through the round, so the mean over windows of 1/chunks, 2/chunks, ..., all of it.
fn touched_by_chunk(access: Access, turns: f64, chunks: f64) -> f64 {
    match access {
        Access::Random => {
            let step = turns / chunks;
            // Sum of exp(-k step) for k = 1..=chunks.
            let untouched = if step < 1e-9 {
                chunks
            } else {
                (-step).exp() * (-turns).exp_m1() / (-step).exp_m1()
            };
            1.0 - untouched / chunks
        }
        Access::Sweep => {
            let partial = if turns > 0.0 { (chunks / turns).floor().min(chunks) } else { chunks };
            let rising = turns * partial * (partial + 1.0) / (2.0 * chunks);
            (rising + chunks - partial) / chunks
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_clearing_counts_less_in_large_guests() {
        for access in [Access::Random, Access::Sweep] {
            assert!(
                (touched_by_chunk(access, 0.4, 1.0) - crate::curve::touched(access, 0.4)).abs()
                    < 1e-9
            );
            let many = touched_by_chunk(access, 1e-3, 1e4);
            assert!((many / 1e-3 - 0.5).abs() < 1e-2, "half the time on average, not {many}");
            assert!((touched_by_chunk(access, 1e9, 64.0) - 1.0).abs() < 1e-9);
        }
    }
}
