//! Balancers that bring down how much hosts differ, the best move first.
//!
//! `PROXMOX` is the dynamic mode of Proxmox VE 9's balancer with its defaults (it acts where the
//! coefficient of variation of nodes' loads is above 0.3; a move has to take away a tenth of it).
//! `DEVIATION` is the outline that `VMware` published of DRS before version 7 (Gulati et al.,
//! `VMware` Technical Journal 1, 2012): the standard deviation of hosts' CPU loads is compared with a target
//! and brought down by the best move until it is below. Its filter by cost and risk is not public
//! enough to be written anew, so a least gain stands for it; its target here is 0.1.

use super::{Balancer, Seen, Step, draft::Draft};

/// Acts above a measure of difference, by moves that take away enough of it.
pub(super) struct Even {
    /// Difference above which it acts.
    above: f64,
    /// Part of the difference that a move has to take away.
    margin: f64,
    /// Moves of one question.
    moves: usize,
    /// Whether the difference counts by the mean of all loads.
    relative: bool,
    /// Weight of memory in a host's load, 0 to 1; the rest is CPU.
    memory: f64,
}

impl Even {
    pub(super) const PROXMOX: Self =
        Self { above: 0.3, margin: 0.1, moves: 6, relative: true, memory: 0.5 };
    pub(super) const DEVIATION: Self =
        Self { above: 0.1, margin: 0.02, moves: 8, relative: false, memory: 0.0 };

    /// How much loads differ that add up to `sum`, and their squares to `squares`.
    fn difference(&self, count: f64, (sum, squares): (f64, f64)) -> f64 {
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.0).sqrt();
        if self.relative && mean > 0.0 { deviation / mean } else { deviation }
    }

    fn load(&self, draft: &Draft<'_>, host: usize) -> f64 {
        self.memory * draft.memory_share(host) + (1.0 - self.memory) * draft.share(host)
    }

    fn best(&self, draft: &Draft<'_>) -> Option<(usize, usize)> {
        let loads: Vec<f64> = (0..draft.hosts()).map(|host| self.load(draft, host)).collect();
        let count = loads.len().max(1) as f64;
        let sums =
            loads.iter().fold((0.0, 0.0), |sums, load| (sums.0 + load, sums.1 + load * load));
        let present = self.difference(count, sums);
        if present <= self.above {
            return None;
        }
        let mut best: Option<(f64, usize, usize)> = None;
        for guest in 0..draft.wants.len() {
            let from = draft.host(guest);
            for to in (0..draft.hosts()).filter(|to| *to != from && loads[*to] < loads[from]) {
                if !draft.holds(guest, to) {
                    continue;
                }
                let part = |host: usize| {
                    let memory = draft.seen.guests()[guest].memory.as_f64();
                    let whole = draft.seen.hosts()[host].memory.as_f64().max(1.0);
                    self.memory * memory / whole
                        + (1.0 - self.memory) * draft.wants[guest] / draft.cores(host)
                };
                let (less, more) = (loads[from] - part(from), loads[to] + part(to));
                let sum = sums.0 - loads[from] - loads[to] + less + more;
                let squares =
                    sums.1 - loads[from].powi(2) - loads[to].powi(2) + less.powi(2) + more.powi(2);
                let after = self.difference(count, (sum, squares));
                if best.is_none_or(|(least, ..)| after < least) {
                    best = Some((after, guest, to));
                }
            }
        }
        let (after, guest, to) = best?;
        (present - after >= self.margin * present).then_some((guest, to))
    }
}

impl Balancer for Even {
    fn decide(&mut self, seen: &Seen<'_>) -> Vec<Step> {
        let mut draft = Draft::new(seen);
        for _ in 0..self.moves {
            let Some((guest, to)) = self.best(&draft) else { break };
            draft.put(guest, to);
        }
        draft.steps()
    }
}
