//! Cells that are balancers on a trace: how much each moves, what it takes back, and how long hosts
//! are too hot meanwhile.
//!
//! Guests of the trace that are there all the time live on equal hosts, which are sized by what the
//! guests want on average. A change names how much that is of the hosts' CPU.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use whimbrel_core::{
    policy::Balance,
    units::{BytesPerSecond, Share, Span},
};
use whimbrel_simulator::balancing::{Arena, INTERVAL, Peer, PlayOptions, play};

use super::{
    Axes, Cell, Matrix, Work,
    kept::{self, Kept},
    study::located,
};
use crate::Failure;

mod guests;
mod ours;

use guests::{Guest, guests};
use ours::{Demand, Whimbrel};

/// How matrix files call this kind.
pub(super) const KIND: &str = "balance";

/// Name of our own planner among the balancers.
const OURS: &str = "whimbrel";

/// A matrix file of this kind.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BalanceMatrix {
    /// What it is about, in a sentence.
    #[serde(default)]
    intent: String,
    /// [`KIND`].
    #[serde(rename = "kind")]
    _kind: String,
    /// The first seed: it draws the first placement.
    #[serde(default = "one")]
    seed: u64,
    /// Cells of each combination.
    #[serde(default = "one")]
    seeds: u64,
    /// Hosts above this part of their CPU count as overloaded, whoever balances them.
    overload_above: Share,
    /// What a path carries.
    bandwidth: BytesPerSecond,
    /// What is replayed.
    trace: BalanceTrace,
    /// Balancers by the name of their cells.
    policy: BTreeMap<String, Entry>,
    /// How full hosts are, by the name of the cells.
    change: BTreeMap<String, Fill>,
}

/// A trace and its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct BalanceTrace {
    /// Its layout, as `whimbrel dataset list` names them.
    layout: String,
    /// The set of the manifest that has it, where no path is given.
    set: Option<String>,
    /// Its directory or archive.
    data: Option<PathBuf>,
    /// Days that are passed over at its begin.
    #[serde(default)]
    from_day: u32,
    /// Days that are played; one more before them is only looked at.
    days: u32,
    /// Hosts.
    hosts: usize,
}

/// One balancer.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// `whimbrel`, or a baseline by name.
    balancer: String,
    /// Time between two questions: a multiple of five minutes.
    #[serde(default = "interval")]
    every: Span,
    /// What our own goes by.
    #[serde(default)]
    demand: Demand,
    /// Where a baseline with a threshold acts; where hosts count as overloaded, if not given.
    above: Option<Share>,
    /// Our own's policy.
    #[serde(default)]
    balance: Balance,
}

/// How full hosts are.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fill {
    /// Part of all CPU that guests want on average.
    cpu: Share,
    /// Part of all memory that they have.
    memory: Share,
}

fn one() -> u64 {
    1
}

fn interval() -> Span {
    INTERVAL
}

impl BalanceMatrix {
    /// From the text of its file; paths are relative to `base`.
    ///
    /// # Errors
    /// [`Failure`] naming line and key.
    pub fn parse(text: &str, base: &Path) -> Result<Self, Failure> {
        let mut matrix: Self = toml::from_str(text).map_err(|e| super::misread(&e))?;
        if let Some(data) = &mut matrix.trace.data {
            *data = base.join(&*data);
        }
        for (name, entry) in &matrix.policy {
            entry.check().map_err(|failure| failure.about(format_args!("policy {name}")))?;
        }
        Ok(matrix)
    }

    /// The axes, and the work; no trace is read yet.
    ///
    /// # Errors
    /// [`Failure`] naming the trace that is not there.
    pub fn ready(self) -> Result<Matrix, Failure> {
        let trace = &self.trace;
        let root = located(trace.data.as_deref(), trace.set.as_deref())?;
        let identity = kept::identity(root.parent().filter(|_| root.is_file()).unwrap_or(&root))?;
        let version = env!("CARGO_PKG_VERSION");
        let axes = Axes {
            kind: KIND.to_owned(),
            common: format!(
                "whimbrel {version}, {} hosts, {}, overload above {}, {}/s",
                trace.hosts, trace.layout, self.overload_above, self.bandwidth
            ),
            traces: BTreeMap::from([(
                format!("{}-days-from-{}", trace.days, trace.from_day),
                identity.to_string(),
            )]),
            policies: self.policy.iter().map(|(name, one)| (name.clone(), one.text())).collect(),
            changes: self.change.iter().map(|(name, one)| (name.clone(), one.text())).collect(),
            seed: self.seed,
            seeds: self.seeds,
        };
        axes.check()?;
        let intent = self.intent.clone();
        let work = Balancing { matrix: self, root, guests: Kept::new() };
        Ok(Matrix { intent, axes, work: Box::new(work) })
    }
}

impl Entry {
    fn check(&self) -> Result<(), Failure> {
        if self.balancer != OURS {
            self.balancer.parse::<Peer>().map_err(Failure::invalid)?;
        }
        let whole = self.every.as_micros().is_multiple_of(INTERVAL.as_micros());
        if !whole || self.every == Span::ZERO {
            return Err(Failure::invalid(format!(
                "every = {} is no multiple of {INTERVAL} (hint: \"5 min\")",
                self.every
            )));
        }
        ours::policy(&self.balance).check_ranges().map_err(Failure::invalid)
    }

    fn text(&self) -> String {
        let Self { balancer, every, demand, above, balance } = self;
        if balancer != OURS {
            let above = above.map(|above| format!(" above {above}")).unwrap_or_default();
            return format!("{balancer} every {every}{above}");
        }
        format!("{balancer} every {every} by {demand:?}, {balance:?}")
    }
}

impl Fill {
    fn text(self) -> String {
        format!("CPU {}, memory {}", self.cpu, self.memory)
    }
}

/// Plays the trace of each cell.
struct Balancing {
    matrix: BalanceMatrix,
    root: PathBuf,
    guests: Kept<Vec<Guest>>,
}

impl Work for Balancing {
    fn figures(&self, cell: &Cell) -> Result<BTreeMap<String, f64>, Failure> {
        let matrix = &self.matrix;
        let trace = &matrix.trace;
        let missing = || Failure::not_found(format!("cell {} is not in the matrix", cell.id));
        let entry = matrix.policy.get(&cell.policy).ok_or_else(missing)?;
        let fill = matrix.change.get(&cell.change).ok_or_else(missing)?;
        let slot = self.guests.slot(&cell.trace);
        let read = || guests(&trace.layout, &self.root, trace.from_day, trace.days);
        let guests = slot.get_or_init(read).as_ref().map_err(Clone::clone)?;
        let hosts = Arena::equal_hosts(trace.hosts, guests, fill.cpu.get(), fill.memory.get());
        let arena = Arena::new(hosts, guests.clone()).map_err(Failure::invalid)?;
        let options = PlayOptions {
            seed: cell.seed,
            every: (entry.every.as_micros() / INTERVAL.as_micros()) as usize,
            overload_above: matrix.overload_above,
            bandwidth: matrix.bandwidth,
            moves_at_once: 4,
        };
        let results = if entry.balancer == OURS {
            let mut ours = Whimbrel::new(&entry.balance, entry.demand, options);
            let results = play(&arena, &mut ours, &options).map_err(Failure::invalid)?;
            ours.ended()?;
            results
        } else {
            let peer: Peer = entry.balancer.parse().map_err(Failure::invalid)?;
            let mut peer = peer.balancer(entry.above.unwrap_or(matrix.overload_above));
            play(&arena, peer.as_mut(), &options).map_err(Failure::invalid)?
        };
        let table = serde_json::to_value(results).map_err(Failure::invalid)?;
        let columns = table.as_object().into_iter().flatten();
        Ok(columns.filter_map(|(name, value)| Some((name.clone(), value.as_f64()?))).collect())
    }
}

#[cfg(test)]
mod tests;
