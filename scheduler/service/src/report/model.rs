//! What a report is made from: plain values of the core and the engine.
//!
//! Holds facts and derives joint views of them (which VMs move, how each order went,
//! which migrations have both a prediction and figures). Formats nothing.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_core::{
    HostId, OrderId, Plan, Snapshot, VmId,
    cluster::{CompletedStats, DirtyReading},
    predict::Prediction,
    telemetry::MigrationRecord,
    units::{Bytes, Share, Span},
};
use whimbrel_engine::{Execution, MoveView};

/// Everything that one report shows.
#[derive(Debug, Clone)]
pub struct ReportModel {
    /// Heading of the page, as the operator would say it.
    pub title: String,
    /// The exact command that repeats the report.
    pub command: String,
    /// Where the figures of `execution` and `history` come from.
    pub happened: Happened,
    /// The cluster that the plan was made from.
    pub before: Snapshot,
    /// The cluster after the plan: observed where it was executed, expected where it was not.
    pub after: Snapshot,
    /// Part of each host's memory that the policy keeps free of guests; drawn as a mark.
    pub memory_reserve: Share,
    /// Part of its CPU above which a host counts as overloaded; drawn as a mark.
    pub overload_above: Share,
    /// The plan.
    pub plan: Plan,
    /// How its execution went; `None` where it was not executed.
    pub execution: Option<Execution>,
    /// The plan and other ways to do the same, by the same terms; lower is better.
    pub comparison: Vec<ComparisonColumn>,
    /// Earlier migrations, for predicted against measured. Those of `execution` are added to it.
    pub history: Vec<MigrationRecord>,
    /// Dirty readings that the predictions rest on.
    pub dirty: BTreeMap<VmId, Vec<DirtyReading>>,
    /// Points of each VM's fitted unique-dirty curve U(t), by rising window.
    pub curves: BTreeMap<VmId, Vec<(Span, Bytes)>>,
    /// What the checker says of the plan, one remark an entry; empty where it has no remark.
    pub checker_notes: Vec<String>,
    /// What simulations of the plan showed, one finding an entry; empty where none was run.
    pub simulation: Vec<String>,
}

/// Where figures that were not predicted come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happened {
    /// The simulator played it; no host was touched.
    Simulated,
    /// It was done on real hosts and measured there.
    Measured,
}

/// One way to reach the goal, by its terms.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparisonColumn {
    /// What it is called, for example `this plan` or `first fit`.
    pub name: String,
    /// Terms in their order of weight: name with its unit last, value. Lower is better.
    pub terms: Vec<(String, f64)>,
}

/// One migration that has both a prediction and figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) predicted: &'a Prediction,
    pub(crate) stats: CompletedStats,
    /// Whether it belongs to the execution that the report is about.
    pub(crate) of_this_run: bool,
}

impl Happened {
    /// The word for a figure that was not predicted: `simulated` or `measured`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Measured => "measured",
        }
    }
}

impl ReportModel {
    /// VMs that the plan moves, in the plan's order.
    pub(crate) fn movers(&self) -> Vec<&VmId> {
        let mut seen = BTreeSet::new();
        self.plan.moves().map(|(_, one)| &one.vm).filter(|vm| seen.insert(*vm)).collect()
    }

    /// Hosts that a move leaves or enters.
    pub(crate) fn touched_hosts(&self) -> BTreeSet<&HostId> {
        self.plan.moves().flat_map(|(_, one)| [&one.from, &one.to]).collect()
    }

    /// How the order `id` went, where the plan was executed.
    pub(crate) fn view(&self, id: &OrderId) -> Option<&MoveView> {
        self.execution.as_ref()?.moves.iter().find(|view| view.id == *id)
    }

    /// Time from the first begin to the last end, where anything was begun and all has ended.
    pub(crate) fn measured_makespan(&self) -> Option<Span> {
        let execution = self.execution.as_ref().filter(|e| e.ended)?;
        let begun = execution.moves.iter().filter_map(|m| m.begun_at).min()?;
        let ended = execution.moves.iter().filter_map(|m| m.ended_at).max()?;
        Some(ended.since(begun))
    }

    /// Arrived migrations with prediction and figures, and how many records have not both.
    pub(crate) fn pairs(&self) -> (Vec<Pair<'_>>, usize) {
        let of_run = self.execution.iter().flat_map(|e| &e.records);
        let mut records: BTreeMap<&OrderId, (&MigrationRecord, bool)> =
            self.history.iter().map(|record| (&record.id, (record, false))).collect();
        records.extend(of_run.map(|record| (&record.id, (record, true))));
        let total = records.len();
        let pairs: Vec<_> = records
            .into_values()
            .filter(|(record, _)| record.arrived)
            .filter_map(|(record, of_this_run)| {
                let (predicted, stats) = (record.predicted.as_ref()?, record.stats?);
                Some(Pair { predicted, stats, of_this_run })
            })
            .collect();
        let left_out = total - pairs.len();
        (pairs, left_out)
    }
}
