//! One host of the relaxed problem, exactly: which of its VMs leave, whole, at given prices for
//! what flows between hosts.
//!
//! The prices make the hosts independent of each other, so that each is a program of some dozens
//! of columns. By how much its exact optimum is above its relaxed one may be added to the bound.
//! Two halves of the hosts are solved side by side; the answers are the same in any order.

use std::thread;

use highs::{ColProblem, HighsModelStatus, Sense};

use super::relax::{GLOBAL, Part};

/// Relative distance to the optimum that a host's program may keep.
const GAP: f64 = 1e-6;

/// Branch-and-bound nodes after which a host's relaxed answer stands.
const NODES_MAX: i32 = 1_000;

/// What one host says.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// What the bound gains, 0 or more, in guest-seconds.
    pub(super) gain: f64,
    /// Its VMs with 1 for those that leave; empty where the solver found nothing.
    pub(super) leaves: Vec<(usize, f64)>,
}

/// Asks every one of `parts`, in their order.
pub(super) fn all(parts: &[&Part], prices: [f64; GLOBAL]) -> Vec<Answer> {
    let (left, right) = parts.split_at(parts.len() / 2);
    let ask = |parts: &[&Part]| parts.iter().map(|part| one(part, prices)).collect::<Vec<_>>();
    thread::scope(|scope| {
        let other = scope.spawn(|| ask(right));
        let mut answers = ask(left);
        // A thread that failed has no answers, and the bound gains nothing by it.
        answers.extend(other.join().unwrap_or_default());
        answers
    })
}

fn one(part: &Part, prices: [f64; GLOBAL]) -> Answer {
    let (Some((relaxed, _)), Some((exact, leaves))) =
        (solve(part, prices, false), solve(part, prices, true))
    else {
        return Answer::default();
    };
    Answer { gain: (exact - relaxed - GAP * exact.abs()).max(0.0), leaves }
}

/// The optimum's value, and its VMs with how much of each leaves.
fn solve(part: &Part, prices: [f64; GLOBAL], whole: bool) -> Option<(f64, Vec<(usize, f64)>)> {
    let mut program = ColProblem::new();
    let rows = part.rows.map(|(least, most)| program.add_row(least..=most));
    for column in &part.columns {
        let flows: f64 = column.global.iter().zip(prices).map(|(by, price)| by * price).sum();
        let factors = rows.iter().zip(column.local).filter(|(_, factor)| *factor != 0.0);
        let factors = factors.map(|(row, factor)| (*row, factor));
        let (cost, bounds) = (column.cost - flows, column.bounds.0..=column.bounds.1);
        let whole = whole && column.vm.is_some();
        program.add_column_with_integrality(cost, bounds, factors, whole);
    }
    let mut model = program.try_optimise(Sense::Minimise).ok()?;
    let set = model
        .try_set_option("threads", 1)
        .and_then(|()| model.try_set_option("mip_rel_gap", GAP))
        .and_then(|()| model.try_set_option("mip_max_nodes", NODES_MAX));
    set.ok()?;
    let solved = model.try_solve().ok()?;
    if solved.status() != HighsModelStatus::Optimal {
        return None;
    }
    let solution = solved.get_solution();
    let columns = part.columns.iter().zip(solution.columns());
    let vms = columns.filter_map(|(column, value)| Some((column.vm?, value.round())));
    Some((solved.objective_value(), vms.collect()))
}
