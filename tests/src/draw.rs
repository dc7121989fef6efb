//! Choices from a seed: the same seed makes the same choices everywhere.

/// Splitmix64 (Steele et al., OOPSLA 2014): enough for choices, the same on every machine.
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// Choices that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to `bound`, which is left out; 0 for a bound of 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    /// A whole number from `least` to `most`, both included.
    pub fn between(&mut self, least: u32, most: u32) -> u32 {
        let span = most.saturating_sub(least) as usize;
        least.saturating_add(u32::try_from(self.below(span + 1)).unwrap_or(u32::MAX))
    }

    /// A number from 0 up to 1, which is left out.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A number from `least` to `most` whose logarithm is evenly spread; both above 0.
    pub fn log_between(&mut self, least: f64, most: f64) -> f64 {
        let (from, to) = (least.ln(), most.max(least).ln());
        (from + (to - from) * self.share()).exp()
    }

    /// True in `percent` of 100 cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One element of a list that is not empty.
    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// Puts `list` into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_stay_in_range_and_follow_the_seed() {
        let mut draw = Draw::new(7);
        for _ in 0..2000 {
            assert!((3..=5).contains(&draw.between(3, 5)));
            assert!((6.0..=60.0).contains(&draw.log_between(6.0, 60.0)));
            assert!(draw.below(4) < 4);
        }
        assert_eq!(draw.between(9, 9), 9);
        let list = |seed| {
            let mut list: Vec<u32> = (0..20).collect();
            Draw::new(seed).shuffle(&mut list);
            list
        };
        assert_eq!(list(1), list(1));
        assert_ne!(list(1), list(2));
    }
}
