//! One recorded migration, page by page.

use whimbrel_core::{
    settings::Compression,
    units::{Bytes, GUEST_PAGE, Span},
};

use super::{Case, Ending, guest};
use crate::{
    copy::{Copy, Turn, delta::DeltaCache, pages::PageBitmap},
    kernel::Streams,
    physics::{Draws, Physics},
};

/// Replays `case` with the means of what `physics` draws.
pub(super) fn replay(case: &Case, physics: &Physics, streams: Streams) -> Ending {
    let draws = Draws::middle(&case.settings, physics);
    let patience = case.patience.as_seconds_f64() - draws.setup.as_seconds_f64();
    let phase = case.phase + draws.setup;
    let random = streams.stream_of("guest", &case.name);
    let writer =
        guest::LabWriter::new(&case.load, phase.as_seconds_f64() * 1e3, random);
    let cache = match case.settings.compression {
        Compression::Xbzrle { cache } => {
            Some(DeltaCache::new(usize::try_from(cache.get() / GUEST_PAGE.get()).unwrap_or(1)))
        }
        _ => None,
    };
    let bitmap = PageBitmap::new(writer, guest::holds(case.memory, &case.load), cache);
    let mut copy = Copy::new(bitmap, &case.settings, case.qemu, physics);
    let line = case.path.as_f64() * draws.efficiency;
    let rate = line / f64::from(case.sharing.max(1));
    let mut copying = 0.0;
    let moves = loop {
        if copying > patience {
            return Ending { arrived: false, iterations: copy.reads(), throttle_percent: copy.throttle_percent(), transferred: copy.transferred(), ..Ending::default() };
        }
        match copy.consider_counted() {
            Turn::Continues { .. } => copying += copy.step(rate),
            Turn::SwitchesOver => break false,
            Turn::Moves => break true,
        }
    };
    let queue = if copy.is_capped(rate) { Span::ZERO } else { physics.queue(rate) };
    let stopped = if moves { copy.move_guest() } else { copy.finish(rate) };
    let downtime = stopped + queue + draws.device_downtime;
    let before = copy.clock_seconds();
    if moves {
        while copy.remaining() > Bytes::ZERO {
            copy.serve(Span::from_seconds(1), rate, physics);
        }
    }
    let served = copy.clock_seconds() - before;
    Ending {
        arrived: true,
        total_time: draws.setup + Span::from_seconds_f64(copying + served) + downtime,
        transferred: copy.transferred() + physics.stream.device_state,
        downtime,
        iterations: copy.reads(),
        throttle_percent: copy.throttle_percent(),
        post_copy_requests: copy.faults(),
    }
}
