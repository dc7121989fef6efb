//! What a scenario expects of its outcome.
//!
//! Never here: what the simulator itself holds every run to (`checkers`).

use std::collections::BTreeMap;

use serde::Deserialize;
use whimbrel_core::{
    ids::{HostId, VmId},
    migration::MoveState,
    units::{Bytes, Span},
};

use crate::{checkers::Breach, cluster::HostPower, outcome::Outcome, scenario::ScenarioError};

mod log;

pub use log::ExpectedLine;

/// What must come of a scenario. What is absent is not looked at, except violations: those are
/// expected to be none.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
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
    /// The state of every move, in the plan's order.
    pub states: Option<Vec<MoveState>>,
    /// Words in what is said of a guest's last move.
    pub says: BTreeMap<VmId, String>,
    /// Things that must never happen.
    pub violations: usize,
    /// Their kinds, in any order; all of them.
    pub breaches: Option<Vec<String>>,
    /// Whether every move has ended.
    pub ended: Option<bool>,
    /// The last move ends before this, counted from the start.
    pub makespan_at_most: Option<Span>,
    /// The last move does not end before this.
    pub makespan_at_least: Option<Span>,
    /// No move that arrived stopped its guest for longer.
    pub downtime_at_most: Option<Span>,
    /// A move that arrived stopped its guest for this long.
    pub downtime_at_least: Option<Span>,
    /// Bytes on the wire, failed moves included.
    pub bytes_at_most: Option<Bytes>,
    /// Bytes on the wire, failed moves included.
    pub bytes_at_least: Option<Bytes>,
    /// Energy of all hosts whose power curve is known. Range: 0 or more.
    pub energy_kilowatt_hours_at_most: Option<f64>,
    /// Energy of all hosts whose power curve is known.
    pub energy_kilowatt_hours_at_least: Option<f64>,
    /// The longest that a guest's I/O stood still.
    pub io_stalled_at_most: Option<Span>,
    /// Some guest's I/O stood still for this long.
    pub io_stalled_at_least: Option<Span>,
    /// Where guests run at the end, as the controller sees it.
    pub places: BTreeMap<VmId, HostId>,
    /// Guests that run nowhere at the end, as the controller sees it.
    pub gone: Vec<VmId>,
    /// How hosts stand at the end.
    pub power: BTreeMap<HostId, HostPower>,
    /// Lines of the event log, in any order.
    pub log: Vec<ExpectedLine>,
}

impl Expectations {
    /// What `outcome` does not fulfil, one line each.
    pub fn disappointed_by(&self, outcome: &Outcome) -> Vec<String> {
        let mut lines = self.states(outcome);
        self.violations(outcome, &mut lines);
        if self.ended.is_some_and(|ended| ended != outcome.execution.ended) {
            lines.push(format!("ended is {}", outcome.execution.ended));
        }
        self.figures(outcome, &mut lines);
        self.whereabouts(outcome, &mut lines);
        for (host, expected) in &self.power {
            let found = outcome.power.get(host);
            if found != Some(expected) {
                lines.push(format!("{host} is {found:?}, expected {expected:?}"));
            }
        }
        lines.extend(self.log.iter().filter_map(|line| line.disappointed_by(outcome)));
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
        let mut lines: Vec<String> = expected.into_iter().filter_map(disappointed).collect();
        let moves = &outcome.execution.moves;
        let found: Vec<MoveState> = moves.iter().map(|one| one.state).collect();
        if self.states.as_ref().is_some_and(|expected| *expected != found) {
            lines.push(format!("moves are {found:?}"));
        }
        for (vm, words) in &self.says {
            let said = moves.iter().rev().find(|one| one.vm == *vm).map(|one| &one.detail);
            if !said.is_some_and(|said| said.contains(words.as_str())) {
                lines.push(format!("of {vm} is said {said:?}, expected {words:?}"));
            }
        }
        lines
    }

    fn violations(&self, outcome: &Outcome, lines: &mut Vec<String>) {
        let found = &outcome.violations;
        let mut kinds: Vec<&str> = found.iter().map(|one| one.breach.kind()).collect();
        kinds.sort_unstable();
        let as_expected = match &self.breaches {
            None => found.len() == self.violations,
            Some(expected) => {
                let mut expected: Vec<&str> = expected.iter().map(String::as_str).collect();
                expected.sort_unstable();
                kinds == expected
            }
        };
        if !as_expected {
            let expected = (self.violations, &self.breaches);
            lines.push(format!("violations {found:?}, expected {expected:?}"));
        }
    }

    fn figures(&self, outcome: &Outcome, lines: &mut Vec<String>) {
        let spans = [
            ("makespan", outcome.makespan, self.makespan_at_least, self.makespan_at_most),
            (
                "longest downtime",
                outcome.longest_downtime(),
                self.downtime_at_least,
                self.downtime_at_most,
            ),
            (
                "longest stall of I/O",
                outcome.io_stalled.values().max().copied(),
                self.io_stalled_at_least,
                self.io_stalled_at_most,
            ),
        ];
        for (name, found, least, most) in spans {
            let found = found.unwrap_or(Span::ZERO);
            if least.is_some_and(|least| found < least) || most.is_some_and(|most| found > most) {
                lines.push(format!("{name} is {}", found.human()));
            }
        }
        let bytes = outcome.bytes_on_the_wire;
        if self.bytes_at_least.is_some_and(|least| bytes < least)
            || self.bytes_at_most.is_some_and(|most| bytes > most)
        {
            lines.push(format!("{} on the wire", bytes.human()));
        }
        let energy: f64 = outcome.energy_kilowatt_hours.values().sum();
        if self.energy_kilowatt_hours_at_least.is_some_and(|least| energy < least)
            || self.energy_kilowatt_hours_at_most.is_some_and(|most| energy > most)
        {
            lines.push(format!("energy is {energy} kWh"));
        }
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

    /// Whether every name in it is one of the scenario's, and every kind one that there is.
    pub(crate) fn check(
        &self,
        has_vm: &dyn Fn(&VmId) -> bool,
        has_host: &dyn Fn(&HostId) -> bool,
    ) -> Result<(), ScenarioError> {
        let bad = |key, what: String| Err(ScenarioError::BadExpectation { key, what });
        let guests = self.places.keys().chain(&self.gone).chain(self.says.keys());
        if let Some(vm) = guests.into_iter().find(|vm| !has_vm(vm)) {
            return bad("places", format!("no such domain: {vm}"));
        }
        let hosts = self.places.values().chain(self.power.keys());
        if let Some(host) = hosts.into_iter().find(|host| !has_host(host)) {
            return bad("places", format!("no such host: {host}"));
        }
        let mut kinds = self.breaches.iter().flatten();
        if let Some(kind) = kinds.find(|kind| !Breach::KINDS.contains(&kind.as_str())) {
            return bad("breaches", format!("no such kind: {kind}"));
        }
        self.log.iter().try_for_each(ExpectedLine::check)
    }
}
