//! What a scenario expects of its outcome.

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_core::{
    ids::{HostId, VmId},
    migration::MoveState,
    units::Span,
};

use crate::outcome::Outcome;

/// What must come of a scenario. What is absent is not looked at, except violations: those are
/// expected to be none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expectations {
    /// Moves that arrived.
    pub arrived: Option<usize>,
    /// Moves that failed with the guest at its source.
    pub failed: Option<usize>,
    /// Moves that were cancelled.
    pub cancelled: Option<usize>,
    /// Moves that the world refused.
    pub refused: Option<usize>,
    /// Moves that were not begun.
    pub skipped: Option<usize>,
    /// Moves that were put aside for a human.
    pub unknown: Option<usize>,
    /// Things that must never happen.
    pub violations: usize,
    /// Whether every move has ended.
    pub ended: Option<bool>,
    /// The last move ends before this, counted from the start.
    pub makespan_at_most: Option<Span>,
    /// The last move does not end before this.
    pub makespan_at_least: Option<Span>,
    /// Where guests run at the end, as the controller sees it.
    pub places: BTreeMap<VmId, HostId>,
    /// Guests that run nowhere at the end, as the controller sees it.
    pub gone: Vec<VmId>,
}

impl Expectations {
    /// What `outcome` does not fulfil, one line each.
    pub fn disappointed_by(&self, outcome: &Outcome) -> Vec<String> {
        let mut lines = self.states(outcome);
        if outcome.violations.len() != self.violations {
            lines.push(format!(
                "{} violations, expected {}: {:?}",
                outcome.violations.len(),
                self.violations,
                outcome.violations
            ));
        }
        if self.ended.is_some_and(|ended| ended != outcome.execution.ended) {
            lines.push(format!("ended is {}", outcome.execution.ended));
        }
        let makespan = outcome.makespan.unwrap_or(Span::ZERO);
        if self.makespan_at_most.is_some_and(|most| makespan > most)
            || self.makespan_at_least.is_some_and(|least| makespan < least)
        {
            lines.push(format!("makespan is {}", makespan.human()));
        }
        self.whereabouts(outcome, &mut lines);
        lines
    }

    fn states(&self, outcome: &Outcome) -> Vec<String> {
        let expected = [
            (MoveState::Settled, self.arrived),
            (MoveState::Failed, self.failed),
            (MoveState::Cancelled, self.cancelled),
            (MoveState::Refused, self.refused),
            (MoveState::Skipped, self.skipped),
            (MoveState::Unknown, self.unknown),
        ];
        let disappointed = |(state, expected): (MoveState, Option<usize>)| {
            let (found, expected) = (outcome.execution.count(state), expected?);
            (found != expected).then(|| format!("{found} moves {state:?}, expected {expected}"))
        };
        expected.into_iter().filter_map(disappointed).collect()
    }

    fn whereabouts(&self, outcome: &Outcome, lines: &mut Vec<String>) {
        let homes = |vm: &VmId| -> Vec<&HostId> {
            let sightings = outcome.snapshot.domains.iter();
            sightings.filter(|d| d.vm == *vm && d.state.lives_here()).map(|d| &d.host).collect()
        };
        for (vm, host) in &self.places {
            let found = homes(vm);
            if found != [host] {
                lines.push(format!("{vm} is on {found:?}, expected {host}"));
            }
        }
        for vm in &self.gone {
            let found = homes(vm);
            if !found.is_empty() {
                lines.push(format!("{vm} is on {found:?}, expected nowhere"));
            }
        }
    }
}
