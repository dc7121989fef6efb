//! The laboratory's small guest as classes of pages, made as a cluster's guests are: from what
//! windows of several lengths would have read.
//!
//! Never here: the pages themselves (`guest`).

use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span, Timestamp},
};

use super::{
    Case,
    guest::{LabGuest, cache_pages, delta_bytes, most_a_second},
    load::Load,
};
use crate::{copy::classes::ClassBitmap, kernel::Streams, memory::GuestMemory, physics::Physics};

/// Windows that are read, in seconds: each twice as long as the one before.
const WINDOWS: u32 = 11;
const WINDOW_LEAST_SECONDS: f64 = 0.05;

/// Memory outside the load's own that has content: kernel and firmware.
const OTHER_CONTENT_PAGES: f64 = 132.0;

/// The guest's memory while its load rewrites `rate` pages a second.
fn memory(memory: Bytes, load: &Load, rate: f64) -> GuestMemory {
    let page = GUEST_PAGE.as_f64();
    let pages = memory.as_f64() / page;
    let arena = (pages - 1280.0).max(0.0);
    let filled = (arena * f64::from(100 - load.zero_percent.min(100)) / 100.0).floor();
    let content = (filled.max(load.working_set as f64) + OTHER_CONTENT_PAGES).min(pages);
    let reading = |n: u32| {
        let seconds = WINDOW_LEAST_SECONDS * f64::from(1_u32 << n);
        DirtyReading {
            window: Span::from_seconds_f64(seconds),
            unique: Bytes::new((unique(load, rate * seconds) * page) as u64),
            measured_at: Timestamp::default(),
        }
    };
    let readings: Vec<DirtyReading> = (0..WINDOWS).map(reading).collect();
    let touched = Some(Bytes::new((content * page) as u64));
    let memory = GuestMemory::new(memory, touched, &readings, BytesPerSecond::ZERO);
    GuestMemory {
        text_share: f64::from(load.plain_percent) / 100.0,
        delta_bytes: delta_bytes(load),
        needs: (rate / most_a_second(load)).clamp(1e-6, 1.0),
        ..memory
    }
}

/// Distinct pages that `writes` rewrites hit.
fn unique(load: &Load, writes: f64) -> f64 {
    let part = |writes: f64, pages: f64| match () {
        () if pages <= 0.0 => 0.0,
        () if load.random => pages * (1.0 - (-writes / pages).exp()),
        () => writes.min(pages),
    };
    let (hot, all) = (load.hot as f64, load.working_set as f64);
    let to_hot = if load.hot > 0 { f64::from(load.hot_share_percent) / 100.0 } else { 0.0 };
    part(writes * to_hot, hot) + part(writes * (1.0 - to_hot), all - hot)
}

impl LabGuest for ClassBitmap {
    fn begin(case: &Case, setup: Span, physics: &Physics, _: Streams) -> Self {
        let rate = case.load.rate_at((case.phase + setup).as_seconds_f64() * 1e3);
        Self::new(&memory(case.memory, &case.load, rate), cache_pages(case), physics)
    }

    /// A load that swings is another guest every moment.
    fn follow(&mut self, case: &Case, seconds: f64) {
        if case.load.swings() {
            let rate = case.load.rate_at((case.phase.as_seconds_f64() + seconds) * 1e3);
            self.rewrite(&memory(case.memory, &case.load, rate));
        }
    }
}
