//! The discrete-event kernel: an agenda in a total order, and named streams of random numbers.
//!
//! Time is whole microseconds. Events of one instant happen in the order in which they were
//! scheduled, so a run is a function of its input alone. Popping and scheduling allocate nothing
//! once the heap has grown to its working size, provided that the event type owns nothing.
//!
//! Never here: what an event means, or a source of randomness that is not derived from the seed.

use std::{cmp::Reverse, collections::BinaryHeap};

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use serde::{Deserialize, Serialize};
use whimbrel_core::units::{Span, Timestamp};

/// What is going to happen, and the present.
///
/// It can be written and read at any time: what is read back goes on exactly as what was written
/// would have.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(from = "Written<E>", into = "Written<E>", bound(serialize = "E: Clone + Serialize"))]
pub struct Agenda<E> {
    heap: BinaryHeap<Reverse<Scheduled<E>>>,
    now: Timestamp,
    sequence: u64,
    handled: u64,
}

/// An agenda as it is written: what is next comes first, however the heap happens to lie.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<E> {
    now: Timestamp,
    sequence: u64,
    handled: u64,
    next: Vec<Scheduled<E>>,
}

impl<E> From<Agenda<E>> for Written<E> {
    fn from(agenda: Agenda<E>) -> Self {
        let Agenda { heap, now, sequence, handled } = agenda;
        let mut next: Vec<_> = heap.into_iter().map(|Reverse(scheduled)| scheduled).collect();
        next.sort_unstable();
        Self { now, sequence, handled, next }
    }
}

impl<E> From<Written<E>> for Agenda<E> {
    fn from(written: Written<E>) -> Self {
        let Written { now, sequence, handled, next } = written;
        let heap = next.into_iter().map(Reverse).collect();
        Self { heap, now, sequence, handled }
    }
}

/// An event with its place in the total order: time, then sequence number.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scheduled<E> {
    at: Timestamp,
    sequence: u64,
    event: E,
}

impl<E> Scheduled<E> {
    fn place(&self) -> (Timestamp, u64) {
        (self.at, self.sequence)
    }
}

impl<E> PartialEq for Scheduled<E> {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl<E> Eq for Scheduled<E> {}

impl<E> PartialOrd for Scheduled<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Scheduled<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.place().cmp(&other.place())
    }
}

impl<E> Agenda<E> {
    /// An empty agenda at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self { heap: BinaryHeap::new(), now, sequence: 0, handled: 0 }
    }

    /// The present: the time of the event popped last, or the end of the last advance.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Events popped so far.
    pub fn handled(&self) -> u64 {
        self.handled
    }

    /// Schedules `event` in `delay` from now.
    pub fn after(&mut self, delay: Span, event: E) {
        self.at(self.now + delay, event);
    }

    /// Schedules `event` at `at`; a time that has passed means now.
    pub fn at(&mut self, at: Timestamp, event: E) {
        let scheduled = Scheduled { at: at.max(self.now), sequence: self.sequence, event };
        self.sequence += 1;
        self.heap.push(Reverse(scheduled));
    }

    /// The next event up to and including `limit`, having moved the present to it. `None` moves
    /// the present to `limit`.
    pub fn next_until(&mut self, limit: Timestamp) -> Option<E> {
        let due = self.heap.peek().is_some_and(|Reverse(next)| next.at <= limit);
        if !due {
            self.now = self.now.max(limit);
            return None;
        }
        let Reverse(next) = self.heap.pop()?;
        self.now = next.at;
        self.handled += 1;
        Some(next.event)
    }
}

/// Random streams, one for each purpose, all derived from one seed.
///
/// A purpose that draws more or less does not shift what another one draws, so two variants of a
/// scenario differ only by what differs in them (common random numbers).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    seed: u64,
}

impl Streams {
    /// Streams of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// The stream for `purpose`. Its position can be written and read too: the generator is
    /// serialised with it.
    pub fn stream(self, purpose: &str) -> ChaCha8Rng {
        self.numbered(fold(FNV_OFFSET, purpose))
    }

    /// The stream for `purpose` of one thing, for example one order's bandwidth: independent of
    /// when that thing comes up.
    pub fn stream_of(self, purpose: &str, subject: &str) -> ChaCha8Rng {
        self.numbered(fold(fold(fold(FNV_OFFSET, purpose), "/"), subject))
    }

    /// The stream for `purpose` of the thing with a `number`, as [`Self::stream_of`] that with a
    /// name.
    pub fn stream_nth(self, purpose: &str, number: u64) -> ChaCha8Rng {
        let mixed = fold(fold(FNV_OFFSET, purpose), "#");
        self.numbered(mixed.wrapping_add(number.wrapping_mul(FNV_PRIME)))
    }

    fn numbered(self, number: u64) -> ChaCha8Rng {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(number);
        rng
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// FNV-1a (Fowler, Noll, Vo), continued from `hash`: the cipher keeps its 2^64 streams apart, so
/// all that is asked of it is to number names the same way everywhere.
fn fold(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

/// Things that happened, kept on request and up to a limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Log<T> {
    lines: Vec<(Timestamp, T)>,
    #[serde(skip)]
    limit: usize,
    dropped: u64,
}

impl<T> Log<T> {
    /// Keeps the first `limit` lines; 0 keeps none.
    pub fn new(limit: usize) -> Self {
        Self { lines: Vec::new(), limit, dropped: 0 }
    }

    /// Notes what happened at `at`; `line` is not called when it would not be kept.
    pub fn note(&mut self, at: Timestamp, line: impl FnOnce() -> T) {
        if self.lines.len() < self.limit {
            self.lines.push((at, line()));
        } else {
            self.dropped += 1;
        }
    }

    /// What was kept, oldest first.
    pub fn lines(&self) -> &[(Timestamp, T)] {
        &self.lines
    }

    /// Lines that came after the limit was reached.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::Rng;

    use super::*;

    #[test]
    fn events_of_one_instant_keep_their_order() {
        let start = Timestamp::from_micros(10);
        let mut agenda = Agenda::new(start);
        for (delay, event) in [(5, 'c'), (1, 'a'), (5, 'd'), (1, 'b'), (9, 'e')] {
            agenda.after(Span::from_micros(delay), event);
        }
        let limit = start + Span::from_micros(5);
        let order: String = std::iter::from_fn(|| agenda.next_until(limit)).collect();
        assert_eq!((order.as_str(), agenda.now()), ("abcd", limit));
    }

    #[test]
    fn the_past_is_now() {
        let start = Timestamp::from_micros(10);
        let mut agenda = Agenda::new(start);
        agenda.at(Timestamp::from_micros(3), ());
        assert_eq!(agenda.next_until(start), Some(()));
        assert_eq!(agenda.now(), start);
    }

    /// Events that schedule others by chance, up to `until`, and their times.
    fn play(
        agenda: &mut Agenda<u32>,
        chance: &mut ChaCha8Rng,
        until: Timestamp,
    ) -> Vec<(Timestamp, u32)> {
        let mut played = Vec::new();
        while let Some(event) = agenda.next_until(until) {
            played.push((agenda.now(), event));
            for _ in 0..chance.next_u32() % 3 {
                agenda.after(Span::from_micros(chance.next_u64() % 9), event.wrapping_mul(31) + 1);
            }
        }
        played
    }

    proptest! {
        #[test]
        fn stopped_anywhere_written_and_read_it_goes_on_the_same(
            seed: u64,
            stops in prop::collection::btree_set(0..60_u64, 0..4),
        ) {
            let begin = || {
                let mut agenda = Agenda::new(Timestamp::default());
                (0..8).for_each(|event| agenda.after(Span::from_micros(u64::from(event % 3)), event));
                (agenda, Streams::new(seed).stream("play"))
            };
            let end = Timestamp::from_micros(60);
            let (mut agenda, mut chance) = begin();
            let whole = play(&mut agenda, &mut chance, end);
            let (mut agenda, mut chance) = begin();
            let mut parts = Vec::new();
            for stop in stops {
                parts.extend(play(&mut agenda, &mut chance, Timestamp::from_micros(stop)));
                let written = serde_json::to_string(&(&agenda, &chance)).unwrap();
                (agenda, chance) = serde_json::from_str(&written).unwrap();
                prop_assert_eq!(serde_json::to_string(&(&agenda, &chance)).unwrap(), written);
            }
            parts.extend(play(&mut agenda, &mut chance, end));
            prop_assert_eq!(parts, whole);
        }
    }

    #[test]
    fn streams_depend_on_seed_purpose_and_subject_only() {
        let first = |mut rng: ChaCha8Rng| rng.next_u64();
        let streams = Streams::new(7);
        assert_eq!(first(streams.stream("setup")), first(Streams::new(7).stream("setup")));
        let others = [
            first(Streams::new(8).stream("setup")),
            first(streams.stream("bandwidth")),
            first(streams.stream_of("setup", "a")),
            first(streams.stream_of("setup", "b")),
            first(streams.stream_nth("setup", 0)),
            first(streams.stream_nth("setup", 1)),
        ];
        for (index, one) in others.iter().enumerate() {
            assert_ne!(*one, first(streams.stream("setup")));
            assert!(!others[index + 1..].contains(one));
        }
    }

    #[test]
    fn a_log_is_bounded() {
        let mut log = Log::new(2);
        for line in 0..5 {
            log.note(Timestamp::default(), || line);
        }
        assert_eq!((log.lines().len(), log.dropped()), (2, 3));
    }
}
