//! What to give up where a goal cannot be met as it is asked: the smallest changes, and what each
//! would buy.
//!
//! Rules, reserves, limits, hosts in maintenance and guests that could be shut down are candidates
//! (`change`); each answer was really planned with it given up (`search`). Changes nothing, and
//! recommends nothing: which of them is the least evil is for people.

use std::fmt;

use serde::Serialize;
use whimbrel_core::{
    plan::{Goal, Plan},
    units::{Bytes, Span},
};

use crate::{PlanFailure, PlanRequest, Unsound};
use search::Search;

mod change;
mod search;

pub use change::Relaxation;

/// Answers that are looked for.
const WAYS_MAX: usize = 6;

/// What was found out about a goal that cannot be met.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WaysOut {
    /// The goal.
    pub goal: Goal,
    /// Sets of changes that make it possible, of equal size, the least painful first.
    pub ways: Vec<WayOut>,
    /// Changes that came into question.
    pub candidates: usize,
    /// Plans that were made to find out.
    pub plans: usize,
    /// Whether everything that comes into question was tried.
    pub complete: bool,
}

/// Changes that together make the goal possible, and what it then takes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WayOut {
    /// What to give up, all of it.
    pub changes: Vec<Relaxation>,
    /// Moves of the plan.
    pub moves: usize,
    /// Predicted time from its first begin to its last end.
    pub makespan: Span,
    /// Predicted bytes on the wire.
    pub transferred: Bytes,
}

impl WayOut {
    fn new(changes: Vec<Relaxation>, plan: &Plan) -> Self {
        Self {
            changes,
            moves: plan.moves().count(),
            makespan: plan.report.makespan,
            transferred: plan.moves().map(|(_, one)| one.predicted.transferred.p50).sum(),
        }
    }
}

/// The smallest changes that make `request`, which failed with `failure`, possible. As slow as the
/// plans that it makes: 20 in a cluster of thousands, some hundred in a small one.
///
/// Where the failure is not about what is wanted (a stale snapshot, an unknown host), there are
/// none, and nothing is tried.
pub fn ways_out(request: &PlanRequest<'_>, failure: &PlanFailure) -> WaysOut {
    let goal = request.goal.clone();
    if !about_what_is_wanted(failure) {
        return WaysOut { goal, ways: Vec::new(), candidates: 0, plans: 0, complete: true };
    }
    let (candidates, all) = change::candidates(request, failure);
    let search = Search::new(request, &candidates, (plans_max(request), WAYS_MAX));
    let mut ways = search.run();
    ways.sort_by_key(|way| {
        let pain: u32 = way.changes.iter().map(|change| u32::from(change.rank())).sum();
        (way.changes.len(), pain, way.moves)
    });
    let complete = all && !search.spent();
    WaysOut { goal, ways, candidates: candidates.len(), plans: search.plans(), complete }
}

/// Whether giving something up could help at all.
fn about_what_is_wanted(failure: &PlanFailure) -> bool {
    matches!(
        failure,
        PlanFailure::Unsound(Unsound::Contradictions(_))
            | PlanFailure::NoTargetUp { .. }
            | PlanFailure::WouldStall { .. }
            | PlanFailure::NoTarget { .. }
            | PlanFailure::TooManyMoves { .. }
            | PlanFailure::NoPlacement { .. }
            | PlanFailure::Unreachable(_)
            | PlanFailure::CannotReturn(_)
            | PlanFailure::MovesMax { .. }
    )
}

/// Plans that a search may make: fewer where each takes longer.
fn plans_max(request: &PlanRequest<'_>) -> usize {
    let snapshot = request.snapshot;
    match snapshot.hosts.len().saturating_mul(snapshot.domains.len()) {
        0..10_000 => 400,
        10_000..1_000_000 => 120,
        _ => 40,
    }
}

impl fmt::Display for WayOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes: Vec<String> = self.changes.iter().map(ToString::to_string).collect();
        if self.moves == 0 {
            return write!(f, "{} (then nothing has to move)", changes.join(" and "));
        }
        let moves = if self.moves == 1 { "move" } else { "moves" };
        write!(
            f,
            "{} (then {} {moves}, {}, {} sent)",
            changes.join(" and "),
            self.moves,
            self.makespan.human(),
            self.transferred.human()
        )
    }
}

impl fmt::Display for WaysOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { goal, ways, candidates, plans, complete } = self;
        write!(f, "{goal} is impossible. ")?;
        match (ways.first(), candidates) {
            (None, 0) => write!(f, "No rule and no limit stands in its way that could be relaxed")?,
            (None, _) if *complete => {
                write!(f, "Relaxing all {candidates} rules and limits in question does not help")?;
            }
            (None, _) => write!(f, "No change was found that makes it possible")?,
            (Some(first), _) if first.changes.len() > 1 => {
                write!(f, "No single change helps; smallest found, any one of these lines:")?;
            }
            (Some(_), _) => write!(f, "Smallest change, any one of these:")?,
        }
        for way in ways {
            write!(f, "\n  {way}")?;
        }
        if *complete {
            write!(f, "\n({plans} plans were made to find out)")
        } else {
            write!(f, "\n({plans} plans were made to find out; there may be other ways)")
        }
    }
}
