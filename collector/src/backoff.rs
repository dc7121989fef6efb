//! How long to wait before trying again: doubling from a first pause to a longest one.
//!
//! Pure; the caller owns the clock. Never gives up: a host may come back after a week.

use whimbrel_core::units::Span;

/// Limits of a back-off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackoffSettings {
    /// Pause after the first failure. Range 1 ms.., shorter tries more often.
    pub first: Span,
    /// Longest pause. At least `first`.
    pub longest: Span,
}

impl Default for BackoffSettings {
    /// 1 s to 30 s: one failed try a second is nothing to a host, and half a minute is short
    /// beside the minutes that a host needs to boot.
    fn default() -> Self {
        Self { first: Span::from_seconds(1), longest: Span::from_seconds(30) }
    }
}

/// A running back-off.
#[derive(Debug, Clone)]
pub struct Backoff {
    settings: BackoffSettings,
    failures: u32,
}

impl Backoff {
    /// Starts without a failure.
    pub fn new(settings: BackoffSettings) -> Self {
        Self { settings, failures: 0 }
    }

    /// Counts a failure and says how long to wait.
    pub fn pause(&mut self) -> Span {
        let factor = 1_u64.checked_shl(self.failures).unwrap_or(u64::MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = self.settings.first.as_micros().saturating_mul(factor);
        Span::from_micros(pause.min(self.settings.longest.as_micros()))
    }

    /// Forgets the failures: something worked.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_its_limit_and_starts_over() {
        let mut backoff = Backoff::new(BackoffSettings::default());
        let seconds: Vec<u64> = (0..7).map(|_| backoff.pause().as_millis() / 1000).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        for _ in 0..200 {
            assert_eq!(backoff.pause(), Span::from_seconds(30));
        }
        backoff.reset();
        assert_eq!(backoff.pause(), Span::from_seconds(1));
    }
}
