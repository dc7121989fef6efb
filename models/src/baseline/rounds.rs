//! Rounds of pre-copy that send all that is dirty before they look again, as published models
//! have them.
//!
//! What the models add to each other is how much gets dirty within a round; that is a parameter.
//! Beyond the papers, so that they can answer for every mode: auto-converge slows the guest by
//! QEMU's rule, once a round (`migration/ram.c`: dirtied over 50 % of sent, twice), and post-copy
//! switches after as many rounds as it is told to and then sends the rest once.

use whimbrel_core::{
    predict::{MigrationRequest, PredictError, Stall},
    settings::Mode,
    units::{Bytes, Span},
};

use super::{Constants, Figures};

/// Bytes on the wire for one of a page with content: 8 bytes of header (Gudkov, qemu-devel 2023).
const WIRE: f64 = (4096.0 + 8.0) / 4096.0;

/// Bytes on the wire for a page of zeros, as the same source has it.
const ZERO_PAGE: f64 = 8.0;

/// Bound on rounds; QEMU itself has none.
const ROUNDS_MAX: u32 = 500;

/// A round that shrinks by less than this has stopped shrinking.
const SHRINKS: f64 = 0.999;

/// Most that auto-converge slows a guest, percent.
const THROTTLE_MAX: f64 = 99.0;

/// How a guest is slowed.
struct Throttle {
    percent: f64,
    strikes: u32,
}

/// Plays the rounds of `request`.
///
/// `dirtied(seconds, sent)` says how many bytes get dirty, each page counted once, while `sent`
/// bytes of memory are sent in `seconds` of the guest's own time.
///
/// # Errors
/// [`PredictError::NoBandwidth`].
pub(super) fn rounds(
    constants: &Constants,
    request: &MigrationRequest<'_>,
    mut dirtied: impl FnMut(f64, f64) -> f64,
) -> Result<Figures, PredictError> {
    let (stream, line) = constants.stream(request)?;
    let settings = request.settings;
    let content = constants.content(request.domain);
    let zeros = (request.domain.memory.as_f64() - content).max(0.0) / 4096.0 * ZERO_PAGE;
    let limit = settings.downtime_limit.as_seconds_f64();
    let mut throttle = Throttle { percent: 0.0, strikes: 0 };
    let (mut seconds, mut bytes) = (constants.fixed_seconds, 0.0);
    let (mut dirty, mut extra) = (content, zeros);
    let mut stall = None;
    for reads in 0..ROUNDS_MAX {
        let wire = dirty * WIRE + extra;
        let switches = settings.mode == Mode::PostCopy && reads >= settings.reads_before_post_copy;
        if switches || wire / stream <= limit {
            break;
        }
        let length = wire / stream;
        seconds += length;
        bytes += wire;
        let speed = 1.0 - throttle.percent / 100.0;
        let next = dirtied(length * speed, dirty).clamp(0.0, content);
        let slowed = settings.mode == Mode::AutoConverge && throttle.look(settings, next, dirty);
        let can_slow = settings.mode == Mode::AutoConverge && throttle.percent < THROTTLE_MAX;
        let hangs = next >= dirty * SHRINKS && !slowed && !can_slow;
        (dirty, extra) = (next, 0.0);
        if hangs && settings.mode != Mode::PostCopy && dirty * WIRE / stream > limit {
            stall = Some(stalled(length, dirty, stream));
            break;
        }
    }
    // What is left goes in the downtime at line speed, or after the switch to post-copy.
    let last = dirty * WIRE + extra;
    let post_copy = settings.mode == Mode::PostCopy;
    let left_seconds = last / if post_copy { stream } else { line };
    let unexplained = constants.downtime(settings.mode);
    Ok(Figures {
        converges: stall.is_none(),
        seconds: seconds + left_seconds,
        bytes: bytes + last,
        downtime_seconds: (unexplained + if post_copy { 0.0 } else { left_seconds }).max(0.0),
        stall,
    })
}

impl Throttle {
    /// Looks at a round as QEMU does; whether it slowed the guest further.
    fn look(
        &mut self,
        settings: &whimbrel_core::settings::MigrationSettings,
        dirtied: f64,
        sent: f64,
    ) -> bool {
        self.strikes += u32::from(dirtied > sent / 2.0);
        if self.strikes < 2 {
            return false;
        }
        self.strikes = 0;
        let step = if self.percent > 0.0 {
            settings.throttle.increment_percent
        } else {
            settings.throttle.initial_percent
        };
        let before = self.percent;
        self.percent = (before + f64::from(step)).min(THROTTLE_MAX);
        self.percent > before
    }
}

fn stalled(length: f64, dirty: f64, stream: f64) -> Stall {
    Stall {
        round: Span::from_seconds_f64(length).rounded(),
        remaining: Bytes::new(dirty.round() as u64).rounded(),
        downtime_limit_needed: Span::from_seconds_f64(dirty * WIRE / stream).rounded(),
    }
}
