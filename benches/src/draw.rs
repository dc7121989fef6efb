//! Choices from a fixed seed, for inputs that are equal everywhere.

/// Splitmix64 (Steele et al., OOPSLA 2014): enough for choices, the same everywhere.
pub(crate) struct Draw(pub(crate) u64);

impl Draw {
    /// One of 0..`bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// One of 0..1.
    pub(crate) fn part(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
