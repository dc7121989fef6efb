//! The laboratory's small guest page by page: where its memory lies, and which pages it writes.
//!
//! The guest (`tests/lab/guest`) keeps its kernel in the first 4 MiB and firmware in the last one;
//! between them lies the arena, whose first part has content. The working set is its begin.
//!
//! Never here: what is sent.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use whimbrel_core::{
    settings::Compression,
    units::{Bytes, GUEST_PAGE, Span},
};

use super::{Case, load::Load};
use crate::{
    copy::{
        bitmap::Bitmap,
        delta::DeltaCache,
        pages::{Holds, PageBitmap, Writer},
    },
    kernel::Streams,
    physics::Physics,
};

/// A recorded guest at some resolution.
pub(super) trait LabGuest: Bitmap + Sized {
    /// The guest of `case` after the `setup` of its migration.
    fn begin(case: &Case, setup: Span, physics: &Physics, streams: Streams) -> Self;

    /// The guest's load goes on: it is now `seconds` after the request.
    fn follow(&mut self, case: &Case, seconds: f64);
}

impl LabGuest for PageBitmap<LabWriter> {
    fn begin(case: &Case, setup: Span, _: &Physics, streams: Streams) -> Self {
        let random = streams.stream_of("guest", &case.name);
        let phase_millis = (case.phase + setup).as_seconds_f64() * 1e3;
        let writer = LabWriter::new(&case.load, phase_millis, random);
        let slots = |pages: f64| DeltaCache::new(pages as usize);
        let holds = holds(case.memory, &case.load);
        Self::new(writer, holds, cache_pages(case).map(slots))
    }

    /// The writer keeps its own clock.
    fn follow(&mut self, _: &Case, _: f64) {}
}

/// Pages that an xbzrle cache holds, where there is one.
pub(super) fn cache_pages(case: &Case) -> Option<f64> {
    match case.settings.compression {
        Compression::Xbzrle { cache } => Some(cache.as_f64() / GUEST_PAGE.as_f64()),
        _ => None,
    }
}

/// Pages before the arena: the kernel's 4 MiB, of which so many have content.
const ARENA_START: usize = 1024;
const KERNEL_CONTENT: usize = 41;

/// Pages behind the arena within the memory: 1 MiB, without content.
const KEPT_AT_TOP: usize = 256;

/// Pages of firmware behind the memory, and how many have content.
const FIRMWARE: usize = 132;
const FIRMWARE_CONTENT: usize = 91;

/// Pages of the kernel that every turn of its loop writes: stack, counters, serial line.
const KERNEL_HOT: usize = 3;

/// Pages of the arena whose generations stand in one page of the guest's table.
const GENERATIONS_A_PAGE: usize = 4096;

/// A writer never catches up with more than this, in seconds.
const CATCHES_UP_SECONDS: f64 = 0.5;

/// How long an emulated processor takes for a rewrite, and for each byte that it changes, of
/// random bytes and of text, in seconds. Source: the laboratory's learning guests under auto-converge.
const REWRITE_SECONDS: f64 = 3.5e-6;
const REWRITE_SECONDS_A_BYTE: [f64; 2] = [15e-9, 45e-9];

/// What a difference says of a page's first and last word, and of where they are.
const MARKS_BYTES: f64 = 5.0;

/// The guest's writer.
#[derive(Debug, Clone)]
pub(super) struct LabWriter {
    load: Load,
    /// Milliseconds since the load's shape began.
    clock_millis: f64,
    /// Pages that are due.
    due: f64,
    hot_credit: u32,
    hot_cursor: usize,
    cold_cursor: usize,
    random: ChaCha8Rng,
    most_a_second: f64,
}

/// What each page of a guest with `memory` and `load` holds, in the order of addresses.
fn holds(memory: Bytes, load: &Load) -> Vec<Holds> {
    let pages = usize::try_from(memory.get() / GUEST_PAGE.get()).unwrap_or(usize::MAX);
    let arena = pages.saturating_sub(ARENA_START + KEPT_AT_TOP);
    let share = 100_usize.saturating_sub(load.zero_percent as usize);
    let filled = (arena.saturating_mul(share) / 100).max(load.working_set).min(arena);
    let content = |page: usize| if is_plain(page, load) { Holds::Text } else { Holds::Random };
    let mut holds = vec![Holds::Random; KERNEL_CONTENT];
    holds.resize(ARENA_START, Holds::Zero);
    // The kernel lies behind its first pages, which are empty.
    holds.reverse();
    holds.extend((0..filled).map(content));
    holds.resize(pages.max(holds.len()), Holds::Zero);
    holds.extend([Holds::Random; FIRMWARE_CONTENT]);
    holds.resize(holds.len() + FIRMWARE - FIRMWARE_CONTENT, Holds::Zero);
    holds
}

/// Multiples of the golden ratio spread the text evenly, as the guest's `page_is_plain` does.
fn is_plain(page: usize, load: &Load) -> bool {
    let spread = (page as u32).wrapping_mul(2_654_435_769) >> 16;
    u64::from(spread) * 100 < u64::from(load.plain_percent) << 16
}

/// Pages a second that an emulated processor rewrites if it does nothing else.
pub(super) fn most_a_second(load: &Load) -> f64 {
    let plain = f64::from(load.plain_percent) / 100.0;
    let [random_byte, text_byte] = REWRITE_SECONDS_A_BYTE;
    let byte = random_byte * (1.0 - plain) + text_byte * plain;
    1.0 / (REWRITE_SECONDS + byte * f64::from(load.touch))
}

/// Bytes that a difference says of a page that `load` rewrote, as the learning guests' counters
/// tell: of long stretches bytes stay as they were.
pub(super) fn delta_bytes(load: &Load) -> f64 {
    let changed = f64::from(load.touch);
    MARKS_BYTES + changed.min(64.0) + (changed - 64.0).max(0.0) * 0.6
}

impl LabWriter {
    /// A writer whose load is `phase_millis` into its shape.
    fn new(load: &Load, phase_millis: f64, mut random: ChaCha8Rng) -> Self {
        let any = |pages: usize, random: &mut ChaCha8Rng| {
            if pages > 0 { random.random_range(0..pages) } else { 0 }
        };
        Self {
            hot_cursor: any(load.hot, &mut random),
            cold_cursor: any(load.working_set - load.hot, &mut random),
            load: load.clone(),
            clock_millis: phase_millis,
            due: 0.0,
            hot_credit: 0,
            random,
            most_a_second: most_a_second(load),
        }
    }

    fn pick(&mut self) -> usize {
        let (hot, all) = (self.load.hot, self.load.working_set);
        let random = self.load.random;
        if hot > 0 {
            self.hot_credit += self.load.hot_share_percent;
            let to_hot = self.hot_credit >= 100;
            if to_hot {
                self.hot_credit -= 100;
            }
            if to_hot || hot == all {
                return next(&mut self.hot_cursor, hot, random, &mut self.random);
            }
        }
        hot + next(&mut self.cold_cursor, all - hot, random, &mut self.random)
    }
}

fn next(cursor: &mut usize, count: usize, random: bool, draws: &mut ChaCha8Rng) -> usize {
    if count == 0 {
        return 0;
    }
    if random {
        return draws.random_range(0..count);
    }
    *cursor = (*cursor + 1) % count;
    *cursor
}

impl Writer for LabWriter {
    fn write(&mut self, seconds: f64, available: f64, mut write: impl FnMut(usize) -> bool) -> f64 {
        let rate = self.load.rate_at(self.clock_millis + seconds * 500.0);
        self.clock_millis += seconds * 1e3;
        self.due = (self.due + rate * seconds).min(rate * CATCHES_UP_SECONDS + 1.0);
        let most = self.most_a_second * available * seconds;
        let done = self.due.min(most).floor().max(0.0);
        let mut runs = true;
        for hot in 0..KERNEL_HOT {
            runs = runs && write(ARENA_START - KERNEL_CONTENT + hot);
        }
        if self.load.working_set == 0 {
            return 1.0;
        }
        let mut left = done;
        while runs && left >= 1.0 {
            let page = self.pick();
            runs = write(ARENA_START + page)
                && write(ARENA_START - KERNEL_CONTENT + KERNEL_HOT + page / GENERATIONS_A_PAGE);
            left -= 1.0;
        }
        self.due -= done - left;
        let wanted = rate * seconds;
        if wanted > most { most / wanted } else { 1.0 }
    }

    fn delta_bytes(&self) -> f64 {
        delta_bytes(&self.load)
    }
}
