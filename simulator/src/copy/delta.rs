//! The pages that xbzrle can send as differences: QEMU's `migration/page_cache.c`.
//!
//! A page has one slot, its number modulo the number of slots. A slot whose page was used within
//! the last two bitmap reads is not given to another one.
//!
//! Never here: what a difference costs.

/// Bitmap reads for which a page keeps its slot (`CACHED_PAGE_LIFETIME`).
const LIFETIME_READS: u64 = 2;

/// Which pages are in the cache.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DeltaCache {
    slots: Vec<Option<(usize, u64)>>,
}

impl DeltaCache {
    /// An empty cache of `slots` pages, a power of two in QEMU; at least one.
    pub(crate) fn new(slots: usize) -> Self {
        Self { slots: vec![None; slots.max(1)] }
    }

    fn slot(&mut self, page: usize) -> Option<&mut Option<(usize, u64)>> {
        let slot = page % self.slots.len();
        self.slots.get_mut(slot)
    }

    /// Whether `page` is in it, which makes it young again.
    pub(crate) fn has(&mut self, page: usize, reads: u64) -> bool {
        match self.slot(page) {
            Some(Some((held, age))) if *held == page => {
                *age = reads;
                true
            }
            _ => false,
        }
    }

    /// Takes `page` in, if its slot is free or old.
    pub(crate) fn insert(&mut self, page: usize, reads: u64) {
        if let Some(slot) = self.slot(page) {
            let young =
                slot.is_some_and(|(held, age)| held != page && age + LIFETIME_READS > reads);
            if !young {
                *slot = Some((page, reads));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_young_page_keeps_its_slot_and_an_old_one_gives_way() {
        let mut cache = DeltaCache::new(8);
        cache.insert(3, 1);
        assert!(cache.has(3, 1) && !cache.has(11, 1));
        cache.insert(11, 2);
        assert!(cache.has(3, 2), "used at read 1, wanted at read 2");
        cache.insert(11, 4);
        assert!(cache.has(11, 4) && !cache.has(3, 4), "two reads later");
    }

    #[test]
    fn pages_of_other_slots_do_not_meet() {
        let mut cache = DeltaCache::new(4);
        for page in 0..4 {
            cache.insert(page, 1);
        }
        assert!((0..4).all(|page| cache.has(page, 9)));
        assert!(!DeltaCache::new(0).has(0, 1));
    }
}
