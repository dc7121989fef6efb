//! Moments at which a kind of fault strikes a subject, drawn one by one.
//!
//! Never here: which kinds there are.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use whimbrel_core::units::Span;

use super::Fault;
use crate::{kernel::Streams, physics::Range};

/// Most faults of one kind and subject, however long the script.
const EACH_MAX: usize = 100_000;

/// How one kind of fault is made at a moment, of what chance decides about it.
pub(super) type Make<'a> = &'a dyn Fn(Span, Chance) -> Fault;

/// What chance decides about one fault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    pub(super) lasts: Span,
    /// Evenly from 0 to 1.
    pub(super) part: f64,
}

/// A script in the making.
pub(super) struct Script {
    lasts: Range,
    horizon: Span,
    streams: Streams,
    pub(super) faults: Vec<Fault>,
}

impl Script {
    pub(super) fn new(lasts: Range, horizon: Span, streams: Streams) -> Self {
        Self { lasts, horizon, streams, faults: Vec::new() }
    }

    /// Adds every fault of `kind` that strikes `subject`, `rate` an hour.
    pub(super) fn draw(&mut self, kind: &str, subject: &str, rate: f64, make: Make<'_>) {
        let mut drawn = Vec::new();
        self.each(kind, subject, rate, |at, chance| drawn.push(make(at, chance)));
        self.faults.append(&mut drawn);
    }

    /// Every moment at which `kind` strikes `subject`.
    pub(super) fn each(
        &self,
        kind: &str,
        subject: &str,
        rate: f64,
        mut strike: impl FnMut(Span, Chance),
    ) {
        if rate <= 0.0 {
            return;
        }
        let mut rng = self.streams.stream_of("faults", &format!("{kind}/{subject}"));
        let mut at = Span::ZERO;
        for _ in 0..EACH_MAX {
            at += Span::from_seconds_f64(waiting_seconds(&mut rng, rate));
            if at >= self.horizon {
                return;
            }
            let width = self.lasts.most.saturating_sub(self.lasts.least).as_seconds_f64();
            let lasts = self.lasts.least + Span::from_seconds_f64(width * rng.random::<f64>());
            strike(at, Chance { lasts, part: rng.random::<f64>() });
        }
    }
}

/// Time to the next event of a Poisson process: -ln(1 - u) / rate, at least a microsecond.
fn waiting_seconds(rng: &mut ChaCha8Rng, rate_per_hour: f64) -> f64 {
    let u: f64 = rng.random();
    (-(-u).ln_1p() * 3600.0 / rate_per_hour).max(1e-6)
}
