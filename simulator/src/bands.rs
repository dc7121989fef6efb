//! One plan under many seeds: how much of an outcome is chance.

use std::collections::BTreeMap;

use serde::Serialize;
use whimbrel_core::{
    Plan, Snapshot,
    ids::VmId,
    migration::MoveState,
    units::{Bytes, Share, Span},
};

use crate::{
    outcome::Outcome,
    run::{SimulationError, SimulationOptions, simulate},
};

/// The least, the median and the 95th percentile of what was seen.
///
/// Percentiles are values that occurred (nearest rank), so with fewer than 20 values `p95` is the
/// largest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Band<T> {
    /// The least.
    pub min: T,
    /// Half lie at or below.
    pub median: T,
    /// 95 % lie at or below.
    pub p95: T,
}

/// Outcomes of one plan over several seeds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bands {
    /// Simulations that were run.
    pub runs: usize,
    /// Part of them in which every move arrived.
    pub succeeded: Share,
    /// Part of them in which something happened that must never happen; 0 is the only good value.
    pub violated: Share,
    /// From the start to the end of the last move.
    pub makespan: Option<Band<Span>>,
    /// The longest downtime of any move of a run.
    pub longest_downtime: Option<Band<Span>>,
    /// Bytes on the wire.
    pub bytes_on_the_wire: Option<Band<Bytes>>,
    /// Contention of all hosts over the horizon, in thousandths of a core-second.
    pub contention_core_milliseconds: Option<Band<u64>>,
    /// Each move's own figures, over the runs in which it arrived.
    pub moves: BTreeMap<VmId, MoveBands>,
}

/// One guest's move over several seeds; with several moves of one guest, all of them together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MoveBands {
    /// Part of the runs' moves that arrived.
    pub arrived: Share,
    /// From begin to completion.
    pub total_time: Option<Band<Span>>,
    /// vCPUs stopped.
    pub downtime: Option<Band<Span>>,
    /// Bytes on the wire.
    pub transferred: Option<Band<Bytes>>,
}

impl<T: Ord + Copy> Band<T> {
    /// The band of `values`, or `None` of none.
    pub fn of(mut values: Vec<T>) -> Option<Self> {
        values.sort_unstable();
        let count = values.len();
        let rank = |percent: usize| (count * percent).div_ceil(100).saturating_sub(1);
        let at = |index: usize| values.get(index).copied();
        Some(Self { min: at(0)?, median: at(rank(50))?, p95: at(rank(95))? })
    }
}

/// Simulates `plan` once for each of `seeds`; everything else is as in `options`.
///
/// # Errors
/// [`SimulationError`] of the first simulation that cannot be run.
pub fn simulate_many(
    plan: &Plan,
    snapshot: &Snapshot,
    options: &SimulationOptions,
    seeds: impl IntoIterator<Item = u64>,
) -> Result<Bands, SimulationError> {
    let one = |seed| simulate(plan, snapshot, &SimulationOptions { seed, ..options.clone() });
    let outcomes: Vec<Outcome> = seeds.into_iter().map(one).collect::<Result<_, _>>()?;
    Ok(bands(&outcomes))
}

fn bands(outcomes: &[Outcome]) -> Bands {
    let milliseconds = |o: &Outcome| (o.contention_core_seconds() * 1e3).round() as u64;
    let part = |holds: fn(&Outcome) -> bool| {
        share(outcomes.iter().filter(|o| holds(o)).count(), outcomes.len())
    };
    Bands {
        runs: outcomes.len(),
        succeeded: part(|o| o.execution.succeeded()),
        violated: part(|o| !o.violations.is_empty()),
        makespan: Band::of(outcomes.iter().filter_map(|o| o.makespan).collect()),
        longest_downtime: Band::of(outcomes.iter().filter_map(Outcome::longest_downtime).collect()),
        bytes_on_the_wire: Band::of(outcomes.iter().map(|o| o.bytes_on_the_wire).collect()),
        contention_core_milliseconds: Band::of(outcomes.iter().map(milliseconds).collect()),
        moves: move_bands(outcomes),
    }
}

fn move_bands(outcomes: &[Outcome]) -> BTreeMap<VmId, MoveBands> {
    let mut moves: BTreeMap<&VmId, Vec<_>> = BTreeMap::new();
    for one in outcomes.iter().flat_map(|outcome| &outcome.execution.moves) {
        moves.entry(&one.vm).or_default().push(one);
    }
    let banded = moves.into_iter().map(|(vm, moves)| {
        let arrived: Vec<_> = moves.iter().filter(|one| one.state == MoveState::Settled).collect();
        let stats: Vec<_> = arrived.iter().filter_map(|one| one.stats).collect();
        let bands = MoveBands {
            arrived: share(arrived.len(), moves.len()),
            total_time: Band::of(stats.iter().map(|s| s.total_time).collect()),
            downtime: Band::of(stats.iter().map(|s| s.downtime).collect()),
            transferred: Band::of(stats.iter().map(|s| s.transferred).collect()),
        };
        (vm.clone(), bands)
    });
    banded.collect()
}

fn share(part: usize, whole: usize) -> Share {
    Share::clamped(part as f64 / whole.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_values_that_occurred() {
        assert_eq!(Band::<u64>::of(Vec::new()), None);
        assert_eq!(Band::of(vec![7]), Some(Band { min: 7, median: 7, p95: 7 }));
        let hundred = Band::of((1..=100).rev().collect::<Vec<u32>>());
        assert_eq!(hundred, Some(Band { min: 1, median: 50, p95: 95 }));
        assert_eq!(Band::of(vec![3, 1, 2]), Some(Band { min: 1, median: 2, p95: 3 }));
    }
}
