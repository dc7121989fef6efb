//! How old the pages of a first pass are when it ends.
//!
//! With KVM the dirty log of a chunk of 2^18 pages is cleared just before its first page is sent
//! (`migration/ram.c`, `clear_bmap`): a page's window begins with its chunk, not with the pass.
//! Guests within one chunk are not concerned. Never looks at later passes.

/// Memory of a chunk: 2^18 pages (`CLEAR_BITMAP_SHIFT_DEFAULT`).
pub(crate) const CHUNK_BYTES: f64 = 1_073_741_824.0;

/// Exponent of U between the windows of chunks, for their mean: measured guests follow U ~ t^0.5
/// to t^1.
const EXPONENT: f64 = 0.75;

/// Progress of a pass through memory in address order.
#[derive(Debug, Default)]
pub(crate) struct PageClock {
    /// Seconds, memory passed, memory with content passed; rising.
    marks: Vec<(f64, f64, f64)>,
}

impl PageClock {
    /// At `seconds` the pass had gone through `passed` bytes, `content` of them not zero.
    pub(crate) fn passed(&mut self, seconds: f64, passed: f64, content: f64) {
        self.marks.push((seconds, passed, content));
    }

    /// The window that all pages together had, as a part of the one from `began` to `ended`:
    /// 0..=1. Pages with content count, zero pages are hardly ever written.
    pub(crate) fn age_share(&self, began: f64, ended: f64) -> f64 {
        let whole = ended - began;
        let (mut before, mut weights, mut sum) = ((began, 0.0, 0.0), 0.0, 0.0);
        let mut chunk_began = began;
        for mark in &self.marks {
            let (seconds, passed, content) = *mark;
            let (last_seconds, last_passed, last_content) = before;
            let pieces = ((passed - last_passed) / CHUNK_BYTES).ceil().clamp(1.0, 4096.0);
            for piece in 1..=pieces as u32 {
                let part = f64::from(piece) / pieces;
                let at = last_passed + (passed - last_passed) * part;
                let now = last_seconds + (seconds - last_seconds) * part;
                let weight = (content - last_content) / pieces;
                let age = ((ended - chunk_began) / whole).clamp(0.0, 1.0);
                weights += weight;
                sum += weight * age.powf(EXPONENT);
                let earlier = last_passed + (passed - last_passed) * (part - 1.0 / pieces);
                if (at / CHUNK_BYTES).floor() > (earlier / CHUNK_BYTES).floor() {
                    chunk_began = now;
                }
            }
            before = *mark;
        }
        if weights > 0.0 && whole > 0.0 { (sum / weights).powf(1.0 / EXPONENT) } else { 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_chunk_is_as_old_as_the_pass() {
        let mut clock = PageClock::default();
        clock.passed(5.0, 0.4e9, 0.3e9);
        clock.passed(10.0, 0.9e9, 0.8e9);
        assert!((clock.age_share(0.0, 10.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn many_chunks_are_half_as_old_and_only_content_counts() {
        let mut even = PageClock::default();
        for second in 1..=64 {
            let passed = f64::from(second) * CHUNK_BYTES;
            even.passed(f64::from(second), passed, passed);
        }
        // The mean of t^0.75 over 0 to 1 is 1/1.75, to the power 4/3.
        let share = even.age_share(0.0, 64.0);
        assert!((share - 0.474).abs() < 0.02, "{share}");
        let mut late = PageClock::default();
        for second in 1..=64 {
            let passed = f64::from(second) * CHUNK_BYTES;
            late.passed(f64::from(second), passed, (passed - 56.0 * CHUNK_BYTES).max(0.0));
        }
        let share = late.age_share(0.0, 64.0);
        assert!((0.03..0.12).contains(&share), "{share}");
    }
}
