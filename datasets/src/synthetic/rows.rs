//! A drawn trace as rows, like those of any other trace, and the sizes that cannot be.
//!
//! Lives come first, by arrival, then what each guest uses: nothing is held but the batches in
//! which guests arrive. Never here: what is drawn.

use thiserror::Error;
use whimbrel_core::{
    trace::{Life, UseSample},
    units::Span,
};

use super::{GUESTS_MAX, LASTS_MAX, SyntheticTrace};
use crate::public::{Loader, Sink, Tally, TraceError, TraceRows};

/// Most samples of all guests together: about 8 GB on disk.
const SAMPLES_MAX: u64 = 1_000_000_000;

/// Shortest and longest interval between two samples of a guest.
const INTERVALS: [Span; 2] = [Span::from_seconds(1), Span::from_seconds(86_400)];

/// Samples that are put into the queue at a time.
const BLOCK: usize = 4096;

/// Why a trace cannot be drawn.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyntheticError {
    /// No guest, or more than any trace has.
    #[error(
        "{guests} guests cannot be drawn, the limits are 1 and {GUESTS_MAX} (hint: a public cloud \
         sees about 73,000 guests a day)"
    )]
    Guests {
        /// What was asked for.
        guests: u32,
    },
    /// No time, or more than the project's own form of a trace has room for.
    #[error(
        "a trace of {} cannot be drawn, the limits are 1 s and {} (hint: --hours 24 is a day)",
        lasts.human(), LASTS_MAX.human()
    )]
    Lasts {
        /// What was asked for.
        lasts: Span,
    },
    /// Samples too near to each other, or too far.
    #[error(
        "an interval of {} between samples cannot be drawn, the limits are {} and {} (hint: public \
         traces have 5 min)",
        interval.human(), INTERVALS[0].human(), INTERVALS[1].human()
    )]
    Interval {
        /// What was asked for.
        interval: Span,
    },
    /// More samples than a disk should be asked to hold.
    #[error(
        "these guests would have {samples} samples, the limit is {SAMPLES_MAX} (hint: fewer guests \
         or hours, or a longer interval)"
    )]
    Samples {
        /// What it would come to.
        samples: u64,
    },
}

impl SyntheticTrace {
    /// The trace as rows: lives by arrival, then the samples guest by guest. Its progress is counted
    /// in rows.
    ///
    /// # Errors
    /// [`SyntheticError`] for sizes that cannot be.
    pub fn rows(&self) -> Result<TraceRows, SyntheticError> {
        let total = u64::from(self.guests).saturating_add(self.check()?);
        let tally = Tally::default();
        let drawn = Drawn {
            trace: *self,
            lives: Box::new(self.lives()),
            sampled: Box::new(self.lives()),
            samples: Box::new(std::iter::empty()),
            tally: tally.clone(),
        };
        Ok(TraceRows::new(Box::new(drawn), Sink::with_lives(self.interval), tally, total))
    }

    /// How many samples there are.
    fn check(&self) -> Result<u64, SyntheticError> {
        let Self { guests, lasts, interval, .. } = *self;
        if !(1..=GUESTS_MAX).contains(&guests) {
            return Err(SyntheticError::Guests { guests });
        }
        if lasts < Span::from_seconds(1) || lasts > LASTS_MAX {
            return Err(SyntheticError::Lasts { lasts });
        }
        let [least, most] = INTERVALS;
        if interval < least || interval > most {
            return Err(SyntheticError::Interval { interval });
        }
        let of = |life: Life| {
            let left = lasts.saturating_sub(life.begins);
            life.stays.unwrap_or(left).as_micros().div_ceil(interval.as_micros())
        };
        let samples = self.lives().map(of).fold(0, u64::saturating_add);
        if samples > SAMPLES_MAX {
            return Err(SyntheticError::Samples { samples });
        }
        Ok(samples)
    }
}

/// Draws row after row.
struct Drawn {
    trace: SyntheticTrace,
    lives: Box<dyn Iterator<Item = Life> + Send>,
    /// The same lives again, as far as their samples were not drawn yet.
    sampled: Box<dyn Iterator<Item = Life> + Send>,
    /// What is left of the samples of one guest.
    samples: Box<dyn Iterator<Item = UseSample> + Send>,
    tally: Tally,
}

impl Loader for Drawn {
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError> {
        if let Some(life) = self.lives.next() {
            sink.unnamed().ok_or_else(|| TraceError::crowded("drawn trace", 0))?;
            sink.life(life);
            self.tally.add(1);
            return Ok(true);
        }
        let mut drawn = 0;
        for sample in self.samples.by_ref().take(BLOCK) {
            sink.sample(sample);
            drawn += 1;
        }
        self.tally.add(drawn);
        if drawn == 0 {
            let Some(life) = self.sampled.next() else { return Ok(false) };
            self.samples = Box::new(self.trace.samples(&life));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::TraceRow;

    const DAY: SyntheticTrace = SyntheticTrace {
        seed: 1,
        guests: 300,
        lasts: Span::from_seconds(86_400),
        interval: Span::from_seconds(300),
        stay: false,
    };

    #[test]
    fn rows_are_the_lives_and_samples_and_as_many_as_foretold() {
        let mut rows = DAY.rows().unwrap();
        let (mut lives, mut samples) = (Vec::new(), Vec::new());
        for row in rows.by_ref() {
            match row.unwrap() {
                TraceRow::Life(life) => lives.push(life),
                TraceRow::Use(sample) => samples.push(sample),
            }
        }
        assert_eq!(lives, DAY.lives().collect::<Vec<_>>());
        let expected: Vec<UseSample> = DAY.lives().flat_map(|life| DAY.samples(&life)).collect();
        assert_eq!(samples, expected);
        let (read, total) = rows.progress();
        assert_eq!((read, rows.repairs().iter().count()), (total, 0));
        assert_eq!(total, (lives.len() + samples.len()) as u64);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused_with_the_limit() {
        let said = |trace: SyntheticTrace| trace.rows().err().unwrap().to_string();
        for (trace, word) in [
            (SyntheticTrace { guests: 0, ..DAY }, "0 guests"),
            (SyntheticTrace { guests: u32::MAX, ..DAY }, "20000000"),
            (SyntheticTrace { lasts: Span::ZERO, ..DAY }, "the limits are 1 s"),
            (
                SyntheticTrace { lasts: Span::from_seconds(u64::MAX >> 24), ..DAY },
                "cannot be drawn",
            ),
            (SyntheticTrace { interval: Span::ZERO, ..DAY }, "interval"),
            (SyntheticTrace { interval: Span::from_seconds(86_401), ..DAY }, "interval"),
            (
                SyntheticTrace {
                    guests: 20_000,
                    stay: true,
                    interval: Span::from_seconds(1),
                    ..DAY
                },
                "1728000000 samples",
            ),
        ] {
            let message = said(trace);
            assert!(message.contains(word) && message.contains("(hint: "), "{message}");
        }
    }
}
