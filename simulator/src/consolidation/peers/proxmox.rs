//! A balancer like that of Proxmox VE 9.2 (the automatic rebalancing of its cluster resource
//! scheduling in the dynamic mode, with its defaults): it evens out load and empties nothing.
//!
//! A node's load is the mean of the parts of its processor and memory in use. Unlike other policies
//! it counts memory. Never here: hosts that are switched off, or what a move costs.

use super::{
    super::decision::{Decides, Situation, Step},
    draft::Draft,
};

/// Imbalance above which it acts: the coefficient of variation of nodes' loads.
const THRESHOLD: f64 = 0.3;

/// Part of the imbalance that a move has to take away.
const MARGIN: f64 = 0.1;

/// Moves between two decisions of the study: it moves one guest at a time, after three rounds of ten
/// seconds that call for it, and a guest moves for some twenty.
const MOVES: usize = 6;

/// Evens out load.
#[derive(Debug)]
pub(in super::super) struct Proxmox;

impl Decides for Proxmox {
    fn decide(&mut self, now: &Situation<'_>) -> Vec<Step> {
        let wants: Vec<f64> = now.guests.iter().map(|guest| guest.wants).collect();
        let mut draft = Draft::new(*now, &wants);
        for _ in 0..MOVES {
            let Some(Step { guest, to }) = best_move(&draft) else { break };
            draft.put(guest, to);
        }
        draft.steps()
    }
}

/// Loads of all nodes as sums.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    nodes: f64,
    sum: f64,
    squares: f64,
}

impl Spread {
    fn replaced(self, old: f64, new: f64) -> Self {
        let squares = self.squares - old * old + new * new;
        Self { sum: self.sum - old + new, squares, ..self }
    }

    /// The coefficient of variation.
    fn imbalance(self) -> f64 {
        let mean = self.sum / self.nodes;
        if mean > 0.0 {
            (self.squares / self.nodes - mean * mean).max(0.0).sqrt() / mean
        } else {
            0.0
        }
    }
}

/// The move that leaves the least imbalance, if it is worth it.
fn best_move(draft: &Draft<'_>) -> Option<Step> {
    let loads: Vec<f64> = (0..draft.now.hosts.len() as u32).map(|host| load(draft, host)).collect();
    let spread = loads.iter().fold(Spread::default(), |spread, load| Spread {
        nodes: spread.nodes + 1.0,
        sum: spread.sum + load,
        squares: spread.squares + load * load,
    });
    let present = spread.imbalance();
    if present <= THRESHOLD {
        return None;
    }
    // Of nodes of a kind the least loaded is the best target for any guest.
    let mut targets: Vec<Option<u32>> = vec![None; draft.now.setup.host_kinds.len()];
    for (host, load) in loads.iter().enumerate() {
        let target = &mut targets[draft.now.hosts[host].kind];
        if target.is_none_or(|so_far| *load < loads[so_far as usize]) {
            *target = Some(host as u32);
        }
    }
    let mut best: Option<(f64, Step)> = None;
    for (from, old) in loads.iter().copied().enumerate() {
        for guest in draft.guests(from as u32).iter().copied() {
            let left = spread.replaced(old, old - part(draft, guest, from as u32));
            for to in targets.iter().flatten().copied().filter(|to| *to as usize != from) {
                let load = loads[to as usize];
                let after = left.replaced(load, load + part(draft, guest, to)).imbalance();
                if best.is_none_or(|(least, _)| after < least) {
                    best = Some((after, Step { guest, to }));
                }
            }
        }
    }
    best.filter(|(after, _)| present - after >= MARGIN * present).map(|(_, step)| step)
}

/// Load of `host`.
fn load(draft: &Draft<'_>, host: u32) -> f64 {
    draft.guests(host).iter().fold(0.0, |sum, guest| sum + part(draft, *guest, host))
}

/// Load of `host` by `guest`.
fn part(draft: &Draft<'_>, guest: u32, host: u32) -> f64 {
    let on = &draft.now.hosts[host as usize];
    let memory = f64::from(draft.now.guests.of(guest).memory_mb);
    let of_memory = memory / f64::from(draft.now.setup.host_kinds[on.kind].memory_mb);
    f64::midpoint(draft.wants(guest) / on.mips, of_memory)
}

#[cfg(test)]
mod tests {
    use super::{super::super::decision::worlds::World, *};

    #[test]
    fn the_most_telling_move_is_made_first_and_small_gains_are_left() {
        let world = World::new(2, &[(2, 0, 1.0), (2, 0, 1.0), (3, 0, 0.5), (3, 0, 0.5)]);
        let steps = Proxmox.decide(&world.now());
        assert!(!steps.is_empty() && steps.iter().all(|step| step.to == 1), "{steps:?}");
        let even = World::new(2, &[(2, 0, 0.7), (2, 1, 1.0)]);
        assert!(Proxmox.decide(&even.now()).is_empty());
    }

    #[test]
    fn imbalance_is_the_coefficient_of_variation() {
        let of = |loads: [f64; 2]| {
            let none = Spread { nodes: 2.0, ..Spread::default() };
            none.replaced(0.0, loads[0]).replaced(0.0, loads[1]).imbalance()
        };
        assert!((of([0.2, 0.6]) - 0.5).abs() < 1e-12 && of([0.3, 0.3]) < 1e-6);
        assert!(of([0.0, 0.0]).abs() < 1e-12);
    }
}
