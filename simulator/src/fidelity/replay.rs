//! Recorded migrations: one alone on its path, or several that share it.
//!
//! Sharing is max-min: who takes less than an equal part leaves the rest to the others.

use whimbrel_core::units::{Bytes, Span};

use super::{Case, Ending, guest::LabGuest};
use crate::{
    copy::{PageCopy, Turn},
    kernel::Streams,
    physics::{Draws, Physics},
};

/// Steps in which a guest at its target is followed, in seconds.
const SERVE_SECONDS: f64 = 0.1;

/// Replays `cases`, which share one path and begin together, with the means of what `physics`
/// draws.
pub(super) fn together<B: LabGuest>(
    cases: &[&Case],
    physics: &Physics,
    streams: Streams,
) -> Vec<Ending> {
    let mut runs: Vec<Run<'_, B>> =
        cases.iter().map(|case| Run::new(case, physics, streams)).collect();
    loop {
        let under_way = runs.iter().enumerate().filter(|(_, run)| run.ending.is_none());
        let next = under_way.min_by(|(_, a), (_, b)| a.at.total_cmp(&b.at)).map(|(at, _)| at);
        let Some(next) = next else { break };
        let others: Vec<Stream> = runs
            .iter()
            .enumerate()
            .filter(|(at, run)| *at != next && run.ending.is_none())
            .map(|(_, run)| run.stream())
            .collect();
        if let Some(run) = runs.get_mut(next) {
            let rate = left(&others, run.stream().connections, run.line);
            run.step(rate);
        }
    }
    runs.into_iter().filter_map(|run| run.ending).collect()
}

/// What others take of a link: at most `demand`, and otherwise a part for each of its connections.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stream {
    demand: f64,
    connections: f64,
}

/// What `others` leave of `line` to one that would take everything over so many `connections`.
fn left(others: &[Stream], connections: f64, line: f64) -> f64 {
    let mut sorted = others.to_vec();
    sorted.sort_by(|a, b| (a.demand / a.connections).total_cmp(&(b.demand / b.connections)));
    let mut all = connections + sorted.iter().map(|stream| stream.connections).sum::<f64>();
    let mut left = line;
    for Stream { demand, connections } in sorted {
        left -= demand.min(left * connections / all);
        all -= connections;
    }
    left
}

/// One of them.
struct Run<'a, B> {
    case: &'a Case,
    physics: &'a Physics,
    draws: Draws,
    copy: PageCopy<B>,
    line: f64,
    /// Seconds since the request.
    at: f64,
    /// The guest stood still for so long, where it has moved and its memory follows.
    moved: Option<Span>,
    ending: Option<Ending>,
}

impl<'a, B: LabGuest> Run<'a, B> {
    fn new(case: &'a Case, physics: &'a Physics, streams: Streams) -> Self {
        let draws = Draws::middle(&case.settings, physics);
        let setup = draws.setup.as_seconds_f64();
        let bitmap = B::begin(case, draws.setup, physics, streams);
        Self {
            case,
            physics,
            copy: PageCopy::new(bitmap, &case.settings, case.qemu, physics),
            line: (case.path.as_f64() * draws.efficiency).max(1.0),
            draws,
            at: setup,
            moved: None,
            ending: None,
        }
    }

    fn step(&mut self, rate: f64) {
        let rate = rate.max(1.0);
        if let Some(stopped) = self.moved {
            return self.serve(rate, stopped);
        }
        if self.at > self.case.patience.as_seconds_f64() {
            self.ending = Some(self.ending(false, Span::ZERO));
            return;
        }
        match self.copy.consider_counted() {
            Turn::Continues { .. } => {
                self.at += self.copy.step(rate);
                self.copy.bitmap.follow(self.case, self.at);
            }
            Turn::SwitchesOver => {
                let stopped = self.queued(rate) + self.copy.finish(rate);
                self.stop(stopped);
                self.ending = Some(self.ending(true, stopped + self.draws.device_downtime));
            }
            Turn::Moves => {
                // Its device state is queued behind the pages, but counts as sent.
                let stopped = self.copy.move_guest();
                self.stop(stopped);
                self.moved = Some(stopped + self.draws.device_downtime);
            }
        }
    }

    fn stream(&self) -> Stream {
        let connections = f64::from(self.case.settings.channels.max(1));
        // After a switch to post-copy the one plain stream carries everything.
        let connections = if self.moved.is_some() { 1.0 } else { connections };
        Stream { demand: self.copy.demand(), connections }
    }

    /// What a full link has queued goes before what the guest waits for.
    fn queued(&self, rate: f64) -> Span {
        if self.copy.fills(rate) { self.physics.queue(rate) } else { Span::ZERO }
    }

    fn stop(&mut self, stopped: Span) {
        self.at += (stopped + self.draws.device_downtime).as_seconds_f64();
    }

    fn serve(&mut self, rate: f64, stopped: Span) {
        if self.copy.remaining() == Bytes::ZERO {
            self.ending = Some(self.ending(true, stopped));
            return;
        }
        let before = self.copy.clock_seconds();
        self.copy.serve(Span::from_seconds_f64(SERVE_SECONDS), rate, self.physics);
        self.at += self.copy.clock_seconds() - before;
    }

    fn ending(&self, arrived: bool, downtime: Span) -> Ending {
        Ending {
            arrived,
            total_time: Span::from_seconds_f64(self.at),
            transferred: self.copy.transferred() + self.physics.stream.device_state,
            downtime,
            iterations: self.copy.reads(),
            throttle_percent: self.copy.throttle_percent(),
            post_copy_requests: self.copy.faults(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_leave_is_max_min() {
        // Alone: everything. Beside one with no end: half. Beside a small one: what it leaves.
        let stream = |demand, connections| Stream { demand, connections };
        let endless = stream(f64::INFINITY, 1.0);
        for (others, expected) in [
            (vec![], 100.0),
            (vec![endless], 50.0),
            (vec![stream(10.0, 1.0)], 90.0),
            (vec![stream(10.0, 1.0), stream(90.0, 1.0)], 45.0),
            (vec![endless, endless], 100.0 / 3.0),
            (vec![stream(f64::INFINITY, 3.0)], 25.0),
        ] {
            assert!((left(&others, 1.0, 100.0) - expected).abs() < 1e-9, "{others:?}");
        }
    }
}
