//! What every loader gives: lives and samples, checked, with repairs counted.
//!
//! The memory that is held grows with the guests, never with the rows. Rows of one guest come in
//! the order of time, each moment once. A guest's life comes before its samples where the set has
//! a table of lives, and after all samples where it was only seen to use something. Between guests
//! the order is the set's own: by guest, or by time.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    path::{Path, PathBuf},
};

use serde::Serialize;
use whimbrel_core::{
    trace::{Life, Size, UseSample},
    units::{Bytes, MilliCores, Span},
};

use super::{
    error::TraceError,
    files::Tally,
    limits::{CPU_MAX_MILLICORES, GUESTS_MAX, MEMORY_MAX_BYTES},
};

/// A row of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TraceRow {
    /// A guest from its arrival to its departure.
    Life(Life),
    /// What a guest was seen to use.
    Use(UseSample),
}

/// What was done to a row that is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repair {
    /// A second row of the same guest and moment: left out.
    Duplicate,
    /// A sample earlier than its guest's last one: left out.
    Backwards,
    /// An empty value where one is needed: row left out.
    Missing,
    /// A value that the set's documentation calls none (-1, 101): row left out.
    Invalid,
    /// A sample or an end of a guest that never began: left out.
    Unknown,
    /// A guest that ended within the interval in which it began: it stays for a second. A fragment
    /// of no length: left out.
    Short,
    /// A guest that began before the trace: it begins with it.
    Early,
    /// More than one and a half intervals between two samples of a guest: kept, the earlier one
    /// holds over the gap.
    Gap,
}

/// How often what was repaired.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct Repairs(BTreeMap<Repair, u64>);

impl Repairs {
    /// How often `repair` was done.
    pub fn of(&self, repair: Repair) -> u64 {
        self.0.get(&repair).copied().unwrap_or(0)
    }

    /// Every kind that occurred, with its count.
    pub fn iter(&self) -> impl Iterator<Item = (Repair, u64)> + '_ {
        self.0.iter().map(|(repair, count)| (*repair, *count))
    }

    fn count(&mut self, repair: Repair) {
        *self.0.entry(repair).or_insert(0) += 1;
    }
}

/// A loader: reads some more of its set.
pub(crate) trait Loader: Send {
    /// Puts the next rows into `sink`; false when there are none.
    fn advance(&mut self, sink: &mut Sink) -> Result<bool, TraceError>;
}

/// A trace that was read whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WholeTrace {
    /// Lives by arrival; guests that arrive together by their number.
    pub lives: Vec<Life>,
    /// Samples by time; those of the same moment by guest.
    pub samples: Vec<UseSample>,
    /// What was repaired.
    pub repairs: Repairs,
}

/// The rows of a trace. Ends with the first error; a trace without a single guest is one.
pub struct TraceRows {
    loader: Option<Box<dyn Loader>>,
    sink: Sink,
    tally: Tally,
    total: u64,
    /// What messages call it.
    place: PathBuf,
}

impl TraceRows {
    pub(crate) fn new(loader: Box<dyn Loader>, sink: Sink, tally: Tally, total: u64) -> Self {
        Self { loader: Some(loader), sink, tally, total, place: PathBuf::new() }
    }

    /// The same rows, which messages say to be of `place`.
    pub(crate) fn of(mut self, place: &Path) -> Self {
        place.clone_into(&mut self.place);
        self
    }

    /// Reads the rest at once and puts it in order, for who replays it from memory: 40 bytes a
    /// sample.
    ///
    /// # Errors
    /// [`TraceError`] of a row; [`TraceError::TooLarge`] beyond `samples_max` samples.
    pub fn whole(mut self, samples_max: usize) -> Result<WholeTrace, TraceError> {
        let mut whole = WholeTrace::default();
        for row in self.by_ref() {
            match row? {
                TraceRow::Life(life) => whole.lives.push(life),
                TraceRow::Use(sample) => whole.samples.push(sample),
            }
            if whole.samples.len() > samples_max {
                return Err(TraceError::TooLarge {
                    file: TraceError::shown(&self.place),
                    row: 0,
                    what: format!("has more than {samples_max} samples"),
                });
            }
        }
        whole.lives.sort_by_key(|life| (life.begins, life.guest));
        whole.samples.sort_by_key(|sample| (sample.at, sample.guest));
        whole.repairs = self.sink.repairs;
        Ok(whole)
    }

    /// What was repaired so far.
    pub fn repairs(&self) -> &Repairs {
        &self.sink.repairs
    }

    /// Bytes of the stored files that were read so far, and that will be; the first may be more
    /// than the second, since headers are read twice.
    pub fn progress(&self) -> (u64, u64) {
        (self.tally.get(), self.total)
    }

    /// Guests that were seen so far.
    pub fn guests(&self) -> usize {
        self.sink.seen.len()
    }
}

impl Iterator for TraceRows {
    type Item = Result<TraceRow, TraceError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.sink.queue.pop_front() {
                return Some(Ok(row));
            }
            match self.loader.as_mut()?.advance(&mut self.sink) {
                Ok(true) => {}
                Ok(false) => {
                    self.loader = None;
                    if self.sink.seen.is_empty() {
                        let what = "holds no guest, or not the part that is asked";
                        return Some(Err(TraceError::absent(&self.place, what)));
                    }
                }
                Err(error) => {
                    self.loader = None;
                    self.sink.queue.clear();
                    return Some(Err(error));
                }
            }
            if self.loader.is_none() {
                self.sink.close();
            }
        }
    }
}

/// Where loaders put what they read.
#[derive(Default)]
pub(crate) struct Sink {
    queue: VecDeque<TraceRow>,
    repairs: Repairs,
    // Asked only by name, never walked through: its order cannot show.
    numbers: HashMap<Box<str>, u32>,
    seen: Vec<Seen>,
    /// Microseconds between two samples of a guest; 0 where the set has no interval.
    interval: u64,
    /// Latest sample of all guests.
    latest: u64,
    /// Guests without a life in the set get one from their samples.
    observe: bool,
}

/// What is known of a guest.
#[derive(Default, Clone, Copy)]
struct Seen {
    first: u64,
    last: Option<u64>,
    lives: bool,
    size: Size,
}

impl Sink {
    /// For a set with a table of lives, and samples every `interval`, if any.
    pub(crate) fn with_lives(interval: Span) -> Self {
        Self { interval: interval.as_micros(), ..Self::default() }
    }

    /// For a set in which guests are only seen to use something, every `interval`.
    pub(crate) fn observing(interval: Span) -> Self {
        Self { interval: interval.as_micros(), observe: true, ..Self::default() }
    }

    /// The number of the guest called `name`, if it was seen before.
    pub(crate) fn known(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// The number of the guest called `name`: the next one when it was never seen; `None` when
    /// there are too many guests.
    pub(crate) fn guest(&mut self, name: &str) -> Option<u32> {
        if let Some(number) = self.known(name) {
            return Some(number);
        }
        let number = self.unnamed()?;
        self.numbers.insert(name.into(), number);
        Some(number)
    }

    /// The number of a guest that no later row will name; `None` when there are too many.
    pub(crate) fn unnamed(&mut self) -> Option<u32> {
        let number = u32::try_from(self.seen.len()).ok()?;
        if self.seen.len() >= GUESTS_MAX {
            return None;
        }
        self.seen.push(Seen::default());
        Some(number)
    }

    /// Forgets the name of a guest that ended, so that it may be given again.
    pub(crate) fn forget(&mut self, name: &str) {
        self.numbers.remove(name);
    }

    /// Takes a life of the set. A guest's second one is left out.
    pub(crate) fn life(&mut self, life: Life) {
        let Some(seen) = self.seen.get_mut(life.guest as usize) else { return };
        if seen.lives {
            self.repairs.count(Repair::Duplicate);
            return;
        }
        (seen.lives, seen.size) = (true, life.size);
        self.queue.push_back(TraceRow::Life(life));
    }

    /// Takes a sample, unless one of the same moment or a later one was taken before.
    pub(crate) fn sample(&mut self, sample: UseSample) {
        let Some(seen) = self.seen.get_mut(sample.guest as usize) else { return };
        let at = sample.at.as_micros();
        match seen.last {
            Some(last) if last == at => return self.repairs.count(Repair::Duplicate),
            Some(last) if last > at => return self.repairs.count(Repair::Backwards),
            Some(last) if self.interval > 0 && 2 * (at - last) > 3 * self.interval => {
                self.repairs.count(Repair::Gap);
            }
            Some(_) => {}
            None => seen.first = at,
        }
        seen.last = Some(at);
        self.latest = self.latest.max(at);
        self.queue.push_back(TraceRow::Use(sample));
    }

    /// A guest was seen with this size; the largest counts.
    pub(crate) fn grows(&mut self, guest: u32, size: Size) {
        if let Some(seen) = self.seen.get_mut(guest as usize) {
            seen.size.cpu = seen.size.cpu.max(size.cpu);
            seen.size.memory = seen.size.memory.max(size.memory);
        }
    }

    /// The size of a guest, as far as it is known.
    pub(crate) fn size(&self, guest: u32) -> Size {
        self.seen.get(guest as usize).map_or_else(Size::default, |seen| seen.size)
    }

    /// Counts a repair that the loader did itself.
    pub(crate) fn repaired(&mut self, repair: Repair) {
        self.repairs.count(repair);
    }

    /// Guests that were seen so far.
    pub(crate) fn guests(&self) -> usize {
        self.seen.len()
    }

    /// Gives every guest without a life one from its samples: from its first one to an interval
    /// after its last one, and without end where that reaches the end of the trace.
    fn close(&mut self) {
        if !self.observe {
            return;
        }
        self.observe = false;
        for (guest, seen) in (0_u32..).zip(&self.seen) {
            let Some(last) = seen.last.filter(|_| !seen.lives) else { continue };
            let ends = last + self.interval;
            let ended = ends < self.latest;
            self.queue.push_back(TraceRow::Life(Life {
                guest,
                begins: Span::from_micros(seen.first),
                stays: ended.then(|| Span::from_micros((ends - seen.first).max(1))),
                size: seen.size,
            }));
        }
    }
}

/// Thousandths of a core from a number that was checked before.
pub(crate) fn millicores(number: f64) -> MilliCores {
    MilliCores::new(number.clamp(0.0, CPU_MAX_MILLICORES).round() as u64)
}

/// Bytes from a number that was checked before.
pub(crate) fn bytes(number: f64) -> Bytes {
    Bytes::new(number.clamp(0.0, MEMORY_MAX_BYTES).round() as u64)
}

/// A span from microseconds that were checked before.
pub(crate) fn span(micros: f64) -> Span {
    Span::from_micros(micros.max(0.0).round() as u64)
}

#[cfg(test)]
mod tests;
