//! One decision: who leaves overloaded hosts, which hosts are emptied, and where guests go.
//!
//! The heuristic of Beloglazov and Buyya (CCPE 2012, section 6), in the order in which the reference
//! does it. Never here: a change of the hosts; moves are proposed only.

use rand_chacha::ChaCha8Rng;

use super::{
    super::{
        decision::{Decides, Situation, Step},
        guest::Guests,
        kinds::PowerCurve,
    },
    overload::{Outlook, Overload},
    select::Selection,
    trial::Trial,
};

/// How hosts are relieved and emptied.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rules {
    /// When a host is overloaded.
    pub overload: Overload,
    /// Which guest leaves it.
    pub selection: Selection,
}

/// A decision in the making.
struct Decision<'a> {
    rules: Rules,
    guests: &'a Guests,
    outlook: Outlook,
    curves: &'a [PowerCurve],
    trials: Vec<Trial>,
    /// Hosts that nothing is placed on.
    closed: Vec<bool>,
    /// Hosts that a guest may be placed on and that run, in order; and those that are off.
    running: Vec<u32>,
    off: Vec<u32>,
}

/// [`Rules`] with the draws that one of them needs.
pub(in super::super) struct Heuristic {
    pub(in super::super) rules: Rules,
    pub(in super::super) draws: ChaCha8Rng,
}

impl Decides for Heuristic {
    fn decide(&mut self, now: &Situation<'_>) -> Vec<Step> {
        let mut decision = Decision::new(now, self.rules);
        let mut leaving = decision.relieve(&mut self.draws);
        decision.by_demand(&mut leaving);
        let mut steps = Vec::new();
        for guest in leaving {
            steps.extend(decision.put(guest));
        }
        decision.empty_hosts(&mut steps);
        steps
    }
}

impl<'a> Decision<'a> {
    fn new(now: &Situation<'a>, rules: Rules) -> Self {
        let Situation { setup, hosts, guests, .. } = *now;
        let outlook = Outlook::new(guests);
        let trials: Vec<Trial> = hosts
            .iter()
            .map(|host| Trial::new(host, &setup.curves[host.kind], guests, &outlook))
            .collect();
        let (off, running) =
            (0..hosts.len() as u32).partition(|host| hosts[*host as usize].load() == 0.0);
        Self {
            rules,
            guests,
            outlook,
            curves: &setup.curves,
            closed: vec![false; trials.len()],
            trials,
            running,
            off,
        }
    }

    fn overloaded(&mut self, host: u32, with: Option<u32>) -> bool {
        let trial = &mut self.trials[host as usize];
        self.rules.overload.hits(trial, with, self.guests, &self.outlook)
    }

    /// Takes guests from overloaded hosts until they are none, and closes those hosts.
    fn relieve(&mut self, draws: &mut ChaCha8Rng) -> Vec<u32> {
        let overloaded: Vec<u32> = {
            let all = 0..self.trials.len() as u32;
            all.filter(|host| self.overloaded(*host, None)).collect()
        };
        let mut leaving = Vec::new();
        for host in overloaded {
            self.closed[host as usize] = true;
            while let Some(guest) =
                self.rules.selection.pick(&self.trials[host as usize], self.guests, draws)
            {
                leaving.push(guest);
                self.trials[host as usize].take(guest, self.guests, &self.outlook);
                if !self.overloaded(host, None) {
                    break;
                }
            }
        }
        leaving
    }

    /// Those that want most first.
    fn by_demand(&self, guests: &mut [u32]) {
        let wants = |guest: &u32| self.guests.of(*guest).wants;
        guests.sort_by(|a, b| wants(b).total_cmp(&wants(a)));
    }

    /// Puts `guest` where its power costs least, if anywhere.
    fn put(&mut self, guest: u32) -> Option<Step> {
        let to = self.place(guest)?;
        self.trials[to as usize].put(guest, self.guests, &self.outlook);
        if let Ok(at) = self.off.binary_search(&to) {
            self.off.remove(at);
            let at = self.running.partition_point(|host| *host < to);
            self.running.insert(at, to);
        }
        Some(Step { guest, to })
    }

    /// The host whose power rises least by `guest` and that it does not overload; of equal ones
    /// the first.
    fn place(&mut self, guest: u32) -> Option<u32> {
        let wants = self.guests.of(guest).wants;
        let mut best: Option<(f64, u32)> = None;
        for at in 0..self.running.len() {
            let host = self.running[at];
            let trial = &mut self.trials[host as usize];
            if self.closed[host as usize] || !trial.suits(wants) {
                continue;
            }
            let works = trial.gives != 0.0;
            if works {
                trial.tried(self.guests);
            }
            let rise = self.rise(host, wants);
            if rise < best.map_or(f64::MAX, |(least, _)| least)
                && !(works && self.overloaded(host, Some(guest)))
            {
                best = Some((rise, host));
            }
        }
        if let Some((rise, host)) = self.first_off(wants)
            && best.is_none_or(|least| (rise, host) < least)
        {
            return Some(host);
        }
        best.map(|(_, host)| host)
    }

    /// By how many watts `host` rises by `wants`.
    fn rise(&self, host: u32, wants: f64) -> f64 {
        let trial = &self.trials[host as usize];
        let curve = &self.curves[trial.kind];
        curve.watts_at((trial.gives + wants) / trial.mips) - trial.watts
    }

    /// The best host that is off: those of a kind are alike.
    fn first_off(&self, wants: f64) -> Option<(f64, u32)> {
        let mut best: Option<(f64, u32)> = None;
        let mut seen = 0_u64;
        for host in self.off.iter().copied() {
            if seen.count_ones() as usize == self.curves.len() {
                break;
            }
            let trial = &self.trials[host as usize];
            let kind = 1 << trial.kind;
            if self.closed[host as usize] || seen & kind != 0 {
                continue;
            }
            seen |= kind;
            let rise = self.rise(host, wants);
            if trial.suits(wants) && rise < best.map_or(f64::MAX, |(least, _)| least) {
                best = Some((rise, host));
            }
        }
        best
    }

    /// Empties the least loaded hosts one by one, where all guests of a host find a place.
    fn empty_hosts(&mut self, steps: &mut Vec<Step>) {
        for host in self.off.drain(..) {
            self.closed[host as usize] = true;
        }
        for step in &*steps {
            // A host that was off when the decision began is not looked at, whoever goes there.
            let trial = &self.trials[step.to as usize];
            self.closed[step.to as usize] |= trial.load == 0.0;
        }
        let mut excluded = self.closed.clone();
        let load = |host: &u32| self.trials[*host as usize].load;
        let mut least_loaded: Vec<u32> =
            self.running.iter().copied().filter(|host| load(host) < 1.0).collect();
        least_loaded.sort_by(|a, b| load(a).total_cmp(&load(b)));
        for host in least_loaded {
            if excluded[host as usize] || self.trials[host as usize].guests.is_empty() {
                continue;
            }
            excluded[host as usize] = true;
            self.closed[host as usize] = true;
            for step in self.emptied(host) {
                excluded[step.to as usize] = true;
                steps.push(step);
            }
        }
    }

    /// Moves that empty `host`; none where a guest finds no place.
    fn emptied(&mut self, host: u32) -> Vec<Step> {
        let mut guests = self.trials[host as usize].guests.clone();
        self.by_demand(&mut guests);
        let mut steps = Vec::with_capacity(guests.len());
        for guest in guests {
            if let Some(step) = self.put(guest) {
                steps.push(step);
                continue;
            }
            for step in steps.drain(..) {
                self.trials[step.to as usize].take(step.guest, self.guests, &self.outlook);
            }
            break;
        }
        steps
    }
}
