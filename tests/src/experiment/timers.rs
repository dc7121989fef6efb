//! Time-outs in the manner of `KubeVirt`: what an operator does who watches and does not predict.
//!
//! `KubeVirt` gives a migration 150 s for each GiB of the guest (`completionTimeoutPerGiB`), and then
//! switches it to post-copy where that is allowed, else gives it up; one that has not sent more
//! of its memory for 150 s (`progressTimeout`) is given up as well. The guests here are a tenth of a
//! GiB, so that the first is kept as it is and the second is taken for a GiB too: a guest of one
//! GiB would have `KubeVirt`'s own numbers.

use whimbrel_core::{
    cluster::JobProgress,
    units::{Bytes, Span},
};

/// Of both time-outs, for each GiB of the guest.
const SECONDS_PER_GIB: f64 = 150.0;

/// The time-outs of one migration.
#[derive(Debug, Clone, PartialEq)]
pub struct Timers {
    /// After so long it is ended in another way.
    pub completion: Span,
    /// After so long without progress it is given up.
    pub progress: Span,
    /// Whether that other way is post-copy.
    pub post_copy: bool,
    /// The least that was ever left, and when that was seen.
    best: Option<(Bytes, Span)>,
    switched: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing.
    Wait,
    /// Switch to post-copy.
    Switch,
    /// Give up, for this reason.
    GiveUp(&'static str),
}

impl Timers {
    /// Of a guest with `memory`.
    pub fn new(memory: Bytes, post_copy: bool) -> Self {
        let gib = memory.as_f64() / f64::from(1 << 30);
        let span = Span::from_seconds_f64(SECONDS_PER_GIB * gib);
        Self { completion: span, progress: span, post_copy, best: None, switched: false }
    }

    /// What is to be done `elapsed` after the begin, with the newest progress.
    pub fn look(&mut self, elapsed: Span, progress: Option<&JobProgress>) -> Act {
        let known = progress.filter(|progress| progress.total > Bytes::ZERO);
        if let Some(progress) = known
            && self.best.is_none_or(|(least, _)| progress.remaining < least)
        {
            self.best = Some((progress.remaining, elapsed));
        }
        if self.switched {
            return Act::Wait;
        }
        if elapsed >= self.completion {
            self.switched = self.post_copy;
            let late = Act::GiveUp("not complete within its time-out");
            return if self.post_copy { Act::Switch } else { late };
        }
        let since = self.best.map_or(Span::ZERO, |(_, at)| at);
        if elapsed.saturating_sub(since) >= self.progress {
            return Act::GiveUp("no progress within its time-out");
        }
        Act::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(mib: u64) -> JobProgress {
        JobProgress { remaining: Bytes::mib(mib), total: Bytes::mib(64), ..JobProgress::default() }
    }

    #[test]
    fn a_late_one_is_switched_once_or_given_up() {
        let at = |seconds| Span::from_seconds_f64(seconds);
        // 128 MiB: 18.75 s.
        let mut allowed = Timers::new(Bytes::mib(128), true);
        assert_eq!(allowed.look(at(18.0), Some(&left(4))), Act::Wait);
        assert_eq!(allowed.look(at(18.8), Some(&left(9))), Act::Switch);
        assert_eq!(allowed.look(at(40.0), Some(&left(9))), Act::Wait);
        let mut forbidden = Timers::new(Bytes::mib(128), false);
        assert!(matches!(forbidden.look(at(18.8), None), Act::GiveUp(_)));
    }

    #[test]
    fn one_that_makes_no_progress_is_given_up() {
        let mut timers =
            Timers { progress: Span::from_seconds(5), ..Timers::new(Bytes::mib(128), true) };
        let mut look = |seconds, mib| timers.look(Span::from_seconds(seconds), Some(&left(mib)));
        assert_eq!(look(1, 40), Act::Wait);
        assert_eq!(look(5, 41), Act::Wait);
        assert_eq!(look(5, 39), Act::Wait);
        assert_eq!(look(9, 60), Act::Wait);
        assert_eq!(look(10, 39), Act::GiveUp("no progress within its time-out"));
    }
}
