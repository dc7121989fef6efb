//! Recorded series that simulated guests follow.
//!
//! A recording is periodic: its position is the present modulo its length, so a recording of the
//! last day replays "this time yesterday", and one that is shorter than the simulation wraps
//! around. The step from its last sample to its first takes the mean step of the others.
//!
//! Never here: interpolation. A value holds until the next sample.

use std::collections::BTreeMap;

use whimbrel_core::{
    ids::VmId,
    telemetry::DirtySample,
    units::{Bytes, MilliCores, Span, Timestamp},
};

/// Recorded series by domain. Domains without one keep what the snapshot says of them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Replay {
    /// CPU in use.
    pub cpu: BTreeMap<VmId, Vec<(Timestamp, MilliCores)>>,
    /// Dirty-rate windows. A domain that has any here starts with the newest of each length, not
    /// with the snapshot's.
    pub dirty: BTreeMap<VmId, Vec<DirtySample>>,
    /// Memory that past migrations showed not to be all-zero. Where it is absent, the process's
    /// resident memory is the upper bound.
    pub content: BTreeMap<VmId, Bytes>,
}

/// A periodic series with the sample that comes next.
#[derive(Debug, Clone)]
pub(crate) struct Track<T> {
    samples: Vec<(Timestamp, T)>,
    next: usize,
}

/// The step from the last sample to the first is at least this, so that time always goes on.
const WRAP_LEAST: Span = Span::from_seconds(1);

impl<T: Clone> Track<T> {
    /// `samples` in any order; `None` when there are none.
    pub(crate) fn new(mut samples: Vec<(Timestamp, T)>) -> Option<Self> {
        samples.sort_by_key(|(at, _)| *at);
        (!samples.is_empty()).then_some(Self { samples, next: 0 })
    }

    /// Goes to the position of `now`: the samples that are in force, oldest first (each at most
    /// once), and the time until the next. A single instant never changes.
    pub(crate) fn seek(&mut self, now: Timestamp) -> (Vec<T>, Option<Span>) {
        let length = self.length();
        let position = self.position(now, length);
        let begin = self.begin();
        self.next = self.samples.partition_point(|(at, _)| at.since(begin) <= position);
        let (after, before) = (self.samples.iter().skip(self.next), self.samples.iter());
        let in_force = after.chain(before.take(self.next)).map(|(_, value)| value.clone());
        let in_force = in_force.collect();
        if self.span() == Span::ZERO {
            return (in_force, None);
        }
        let wait = if let Some((at, _)) = self.samples.get(self.next) {
            at.since(begin).saturating_sub(position)
        } else {
            self.next = 0;
            length.saturating_sub(position)
        };
        (in_force, Some(wait))
    }

    /// The sample whose time has come, and the time until the one after it.
    pub(crate) fn step(&mut self) -> Option<(&T, Span)> {
        let current = self.next;
        let now = self.samples.get(current)?.0;
        let wait = if let Some((at, _)) = self.samples.get(current + 1) {
            self.next = current + 1;
            at.since(now)
        } else {
            self.next = 0;
            self.length().saturating_sub(self.span())
        };
        self.samples.get(current).map(|(_, value)| (value, wait))
    }

    fn begin(&self) -> Timestamp {
        self.samples.first().map_or(Timestamp::default(), |(at, _)| *at)
    }

    fn span(&self) -> Span {
        self.samples.last().map_or(Span::ZERO, |(at, _)| at.since(self.begin()))
    }

    fn length(&self) -> Span {
        let steps = self.samples.len().saturating_sub(1).max(1) as u64;
        self.span() + Span::from_micros(self.span().as_micros() / steps).max(WRAP_LEAST)
    }

    fn position(&self, now: Timestamp, length: Span) -> Span {
        let (begin, length) = (self.begin(), length.as_micros());
        let position = if now >= begin {
            now.since(begin).as_micros() % length
        } else {
            (length - begin.since(now).as_micros() % length) % length
        };
        Span::from_micros(position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    fn track() -> Track<char> {
        Track::new(vec![(at(120), 'c'), (at(100), 'a'), (at(110), 'b')]).unwrap()
    }

    #[test]
    fn the_position_wraps_both_ways() {
        let seconds = Span::from_seconds;
        // The recording is 30 s long: 100, 110, 120 and back at 130.
        for (now, newest, wait) in [(100, 'a', 10), (119, 'b', 1), (125, 'c', 5), (131, 'a', 9)] {
            let (in_force, next) = track().seek(at(now));
            assert_eq!((in_force.last(), next), (Some(&newest), Some(seconds(wait))), "at {now}");
        }
        assert_eq!(track().seek(at(95)).0, ['a', 'b', 'c']);
        assert_eq!(track().seek(at(1000)).0, ['b', 'c', 'a']);
    }

    #[test]
    fn steps_go_round() {
        let mut track = track();
        let (_, wait) = track.seek(at(115));
        assert_eq!(wait, Some(Span::from_seconds(5)));
        let seen: Vec<(char, Span)> =
            (0..4).filter_map(|_| track.step().map(|(c, w)| (*c, w))).collect();
        let ten = Span::from_seconds(10);
        assert_eq!(seen, [('c', ten), ('a', ten), ('b', ten), ('c', ten)]);
    }

    #[test]
    fn one_instant_never_changes() {
        let mut track = Track::new(vec![(at(5), 'a'), (at(5), 'b')]).unwrap();
        assert_eq!(track.seek(at(900)), (vec!['a', 'b'], None));
        assert!(Track::<char>::new(Vec::new()).is_none());
    }
}
