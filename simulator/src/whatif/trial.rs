//! What one simulated run came to, and what many runs did.
//!
//! A run is condensed as soon as it has ended, so that thousands of them fit into memory.
//!
//! Never here: a verdict; whoever asked the question has it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use whimbrel_core::{
    Domain, Policy, Snapshot,
    ids::{HostId, VmId},
    units::{Bytes, Share, Span},
};

use super::room::{Homeless, Room};
use crate::{bands::Band, outcome::Outcome};

/// One simulated run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trial {
    /// Its seed.
    pub seed: u64,
    /// Moves that were planned.
    pub moves: usize,
    /// Those that arrived.
    pub arrived: usize,
    /// From the begin to the end of the last move; `None` where no move ended.
    pub makespan: Option<Span>,
    /// The longest downtime of a move; `None` where none arrived.
    pub longest_downtime: Option<Span>,
    /// Downtime of all moves together.
    pub downtime: Span,
    /// Bytes on the wire.
    pub sent: Bytes,
    /// Each host over the horizon, in the order of names.
    pub hosts: Vec<HostTrial>,
    /// What must never happen, and did, in words.
    pub violations: Vec<String>,
    /// Guests that ran at the begin and at the end ran nowhere.
    pub down: Vec<VmId>,
    /// Those of them that no host could start again.
    pub stranded: Vec<Homeless>,
}

/// One host in one run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HostTrial {
    /// The host.
    pub host: HostId,
    /// CPU that guests wanted and did not get, in core-seconds; lower is better.
    pub contention_core_seconds: f64,
    /// Time with more wanted than there was; lower is better.
    pub overload: Span,
}

impl Trial {
    /// What `outcome` came to, of `moves` planned. Guests of `lost`, a host without power, are
    /// down and are started again where `policy` lets them, but on no host that is `out`.
    pub fn of(
        outcome: &Outcome,
        moves: usize,
        lost: Option<&HostId>,
        policy: &Policy,
        out: &BTreeSet<HostId>,
    ) -> Self {
        let stats = || outcome.execution.moves.iter().filter_map(|one| one.stats);
        let (down, stranded) = lost.map_or_else(Default::default, |lost| {
            let mut gone = out.clone();
            gone.insert(lost.clone());
            started_again(&outcome.snapshot, lost, policy, &gone)
        });
        Self {
            seed: outcome.seed,
            moves,
            arrived: outcome.arrived(),
            makespan: outcome.makespan,
            longest_downtime: outcome.longest_downtime(),
            downtime: stats().map(|stats| stats.downtime).sum(),
            sent: outcome.bytes_on_the_wire,
            hosts: outcome
                .hosts
                .iter()
                .map(|host| HostTrial {
                    host: host.host.clone(),
                    contention_core_seconds: host.contention_core_seconds,
                    overload: host.overload,
                })
                .collect(),
            violations: outcome.violations.iter().map(|one| one.breach.to_string()).collect(),
            down,
            stranded,
        }
    }

    /// Contention of all hosts, in core-seconds; lower is better.
    pub fn contention_core_seconds(&self) -> f64 {
        self.hosts.iter().map(|host| host.contention_core_seconds).sum()
    }

    /// Overload of all hosts, added up; lower is better.
    pub fn overload(&self) -> Span {
        self.hosts.iter().map(|host| host.overload).sum()
    }

    /// Whether every move arrived, by `deadline` where there is one.
    pub fn in_time(&self, deadline: Option<Span>) -> bool {
        let over = self.makespan.unwrap_or_default();
        self.arrived == self.moves && deadline.is_none_or(|deadline| over <= deadline)
    }

    /// Its figures, each named with its unit last; one that does not exist is left out.
    pub fn figures(&self) -> Vec<(&'static str, f64)> {
        let seconds = |span: Option<Span>| span.map(Span::as_seconds_f64);
        let figures = [
            ("moves", Some(self.moves as f64)),
            ("moves_not_arrived", Some(self.moves.saturating_sub(self.arrived) as f64)),
            ("makespan_seconds", seconds(self.makespan)),
            ("longest_downtime_seconds", seconds(self.longest_downtime)),
            ("downtime_seconds", seconds(Some(self.downtime))),
            ("sent_bytes", Some(self.sent.as_f64())),
            ("contention_core_seconds", Some(self.contention_core_seconds())),
            ("overload_seconds", seconds(Some(self.overload()))),
            ("guests_down", Some(self.down.len() as f64)),
            ("guests_stranded", Some(self.stranded.len() as f64)),
            ("violations", Some(self.violations.len() as f64)),
        ];
        figures.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// Guests that live on no host but `lost`, and those of them that the hosts that are left cannot
/// start again.
fn started_again(
    end: &Snapshot,
    lost: &HostId,
    policy: &Policy,
    gone: &BTreeSet<HostId>,
) -> (Vec<VmId>, Vec<Homeless>) {
    let alive: BTreeSet<&VmId> = end
        .domains
        .iter()
        .filter(|d| d.state.lives_here() && d.host != *lost)
        .map(|d| &d.vm)
        .collect();
    let fell = |d: &&Domain| d.state.lives_here() && d.host == *lost && !alive.contains(&d.vm);
    let down: Vec<&Domain> = end.domains.iter().filter(fell).collect();
    let packed = Room::new(end, policy, gone).place(&down);
    (down.into_iter().map(|domain| domain.vm.clone()).collect(), packed.homeless)
}

/// Runs that differ in their seed only.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub runs: usize,
    /// Part of them in which every move arrived, by the deadline where there is one.
    pub in_time: Share,
    /// Part of them in which something happened that must never happen; 0 is the only good value.
    pub violated: Share,
    /// Part of them that stranded nobody.
    pub nobody_stranded: Share,
    /// From the begin to the end of the last move.
    pub makespan: Option<Band<Span>>,
    /// The longest downtime of a move.
    pub longest_downtime: Option<Band<Span>>,
    /// Bytes on the wire.
    pub sent: Option<Band<Bytes>>,
    /// Contention of all hosts, in thousandths of a core-second.
    pub contention_core_milliseconds: Option<Band<u64>>,
    /// Overload of all hosts.
    pub overload: Option<Band<Span>>,
    /// Guests that were down at the end.
    pub down: Option<Band<usize>>,
    /// Each host.
    pub hosts: BTreeMap<HostId, HostSpread>,
}

/// One host over runs that differ in their seed only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostSpread {
    /// Contention, in thousandths of a core-second.
    pub contention_core_milliseconds: Option<Band<u64>>,
    /// Time with more wanted than there was.
    pub overload: Option<Band<Span>>,
}

impl Spread {
    /// Of `trials`, which had until `deadline`.
    pub fn of(trials: &[Trial], deadline: Option<Span>) -> Self {
        let part = |holds: &dyn Fn(&Trial) -> bool| {
            let count = trials.iter().filter(|trial| holds(trial)).count();
            Share::clamped(count as f64 / trials.len().max(1) as f64)
        };
        let mut hosts: BTreeMap<&HostId, Vec<&HostTrial>> = BTreeMap::new();
        for host in trials.iter().flat_map(|trial| &trial.hosts) {
            hosts.entry(&host.host).or_default().push(host);
        }
        let of_host = |(host, runs): (&HostId, Vec<&HostTrial>)| {
            let contention = runs.iter().map(|run| milli(run.contention_core_seconds));
            let spread = HostSpread {
                contention_core_milliseconds: Band::of(contention.collect()),
                overload: Band::of(runs.iter().map(|run| run.overload).collect()),
            };
            (host.clone(), spread)
        };
        let contention = trials.iter().map(|trial| milli(trial.contention_core_seconds()));
        Self {
            runs: trials.len(),
            in_time: part(&|trial| trial.in_time(deadline)),
            violated: part(&|trial| !trial.violations.is_empty()),
            nobody_stranded: part(&|trial| trial.stranded.is_empty()),
            makespan: Band::of(trials.iter().filter_map(|trial| trial.makespan).collect()),
            longest_downtime: Band::of(
                trials.iter().filter_map(|trial| trial.longest_downtime).collect(),
            ),
            sent: Band::of(trials.iter().map(|trial| trial.sent).collect()),
            contention_core_milliseconds: Band::of(contention.collect()),
            overload: Band::of(trials.iter().map(Trial::overload).collect()),
            down: Band::of(trials.iter().map(|trial| trial.down.len()).collect()),
            hosts: hosts.into_iter().map(of_host).collect(),
        }
    }
}

fn milli(value: f64) -> u64 {
    (value * 1e3).round() as u64
}
