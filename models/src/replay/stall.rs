//! Where rounds stop getting shorter, and the downtime limit that would help.

use whimbrel_core::{predict::Stall, units::Span};

use super::{Method, Migration, replay};
use crate::curve::DirtyCurve;

/// QEMU accepts no downtime limit above 2000 s.
const DOWNTIME_LIMIT_MAX_SECONDS: f64 = 2000.0;

/// Nobody's patience is asked for: a stall is one however long it takes to show.
const UNBOUNDED: Span = Span::from_micros(u64::MAX);

/// Where `migration` would hang, or `None` where it switches over or moves its guest.
///
/// The needed limit is found by bisection over replays, to 1 % and above whole milliseconds.
pub fn stall(migration: &Migration, curve: &DirtyCurve) -> Option<Stall> {
    if matches!(migration.method, Method::PostCopy(_)) {
        return None;
    }
    let patient = Migration { patience: UNBOUNDED, ..*migration };
    let hung = replay(&patient, curve);
    if hung.converged() {
        return None;
    }
    let converges = |seconds: f64| {
        let downtime_limit = Span::from_seconds_f64(seconds);
        replay(&Migration { downtime_limit, ..patient }, curve).converged()
    };
    let mut low = migration.downtime_limit.as_seconds_f64().max(1e-3);
    let mut high = low * 2.0;
    while high < DOWNTIME_LIMIT_MAX_SECONDS && !converges(high) {
        low = high;
        high *= 2.0;
    }
    while high > low * 1.01 {
        let middle = f64::midpoint(low, high);
        if converges(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    let needed_millis = (high.min(DOWNTIME_LIMIT_MAX_SECONDS) * 1e3).ceil() as u64;
    Some(Stall {
        round: hung.last_round.rounded(),
        remaining: hung.last_dirtied.rounded(),
        downtime_limit_needed: Span::from_millis(needed_millis),
    })
}
