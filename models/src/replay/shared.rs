//! Several migrations that share one link and start together: equal parts while they run.
//!
//! A fluid approximation: TCP streams of equal standing get equal parts of a link, what a cap
//! leaves over goes to the others, and whoever ends makes room. Never models queues or loss.

use whimbrel_core::units::BytesPerSecond;

use super::{Migration, Replay, run::Run};
use crate::curve::DirtyCurve;

/// Replays `parties` over one `link`. What each says of its `stream` is taken as its cap where it
/// is capped and otherwise ignored, as is its `line`. In the order of `parties`.
pub fn replay_shared(parties: &[(Migration, &DirtyCurve)], link: BytesPerSecond) -> Vec<Replay> {
    let mut running: Vec<(usize, Run<'_>)> =
        parties.iter().map(|(m, c)| Run::new(m, c)).enumerate().collect();
    let mut ended: Vec<(usize, Replay)> = Vec::with_capacity(parties.len());
    while !running.is_empty() {
        let caps: Vec<f64> =
            running.iter().filter_map(|(at, _)| parties.get(*at)).map(|(m, _)| cap(m)).collect();
        let part = fair_part(&caps, link.as_f64());
        for ((_, run), cap) in running.iter_mut().zip(&caps) {
            let stream = bytes_a_second(cap.min(part));
            // At its switch-over a cap is lifted, and the others still send.
            let line = bytes_a_second(part.max(link.as_f64() / caps.len() as f64));
            run.share(stream, line, *cap <= part, stream);
        }
        let ends: Vec<(f64, Replay)> = running.iter().map(|(_, run)| end(run)).collect();
        let first = ends.iter().map(|(at, _)| *at).fold(f64::INFINITY, f64::min);
        let mut next = Vec::with_capacity(running.len());
        for ((at, mut run), (end, replay)) in running.into_iter().zip(ends) {
            if end <= first {
                ended.push((at, replay));
            } else {
                run.advance(first);
                next.push((at, run));
            }
        }
        running = next;
    }
    ended.sort_by_key(|(at, _)| *at);
    ended.into_iter().map(|(_, replay)| replay).collect()
}

/// When `run` would end if nothing changed, and as what.
fn end(run: &Run<'_>) -> (f64, Replay) {
    let mut run = run.clone();
    run.advance(f64::INFINITY);
    let replay = run.outcome();
    (replay.total().as_seconds_f64(), replay)
}

/// What a party never exceeds, bytes a second.
fn cap(migration: &Migration) -> f64 {
    if migration.capped { migration.stream.as_f64() } else { f64::INFINITY }
}

/// The part of `link` that whoever has no lower cap gets: filled up evenly from the lowest cap.
fn fair_part(caps: &[f64], link: f64) -> f64 {
    let mut sorted = caps.to_vec();
    sorted.sort_by(f64::total_cmp);
    let mut left = link;
    for (done, cap) in sorted.iter().enumerate() {
        let even = left / (sorted.len() - done) as f64;
        if *cap > even {
            return even;
        }
        left -= cap;
    }
    // Every cap is met: more than any of them.
    link
}

fn bytes_a_second(rate: f64) -> BytesPerSecond {
    BytesPerSecond::new((rate.round() as u64).max(1))
}
