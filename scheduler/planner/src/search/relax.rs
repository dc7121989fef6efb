//! A lower bound of what any placement costs, and which VMs the best of all dreams would move.
//!
//! A linear program that leaves out where each VM goes: a VM leaves its home in part or whole, and
//! what leaves somewhere flows in anywhere, as CPU, memory and vCPUs of their own. Every placement
//! is a solution of it with the same value or less, so its optimum is a bound; rows are few (three
//! or four a host), so it is solved for thousands of hosts in seconds where the placement problem
//! itself is hopeless. Then each host of which a VM leaves in part only is asked once more, at the
//! prices that the program found for what flows, with VMs that leave whole or not at all
//! ([`refine`]): Lagrange's bound of a problem that falls apart into hosts (Geoffrion, Lagrangean
//! relaxation for integer programming, 1974).
//!
//! Left out too, and therefore at their cheapest: rules among VMs, preferences about where a VM goes,
//! budgets of disruption, huge pages and NUMA nodes.

use highs::{ColProblem, HighsModelStatus, Sense};

use super::refine;
use crate::{
    contention::{Curve, Load},
    scope::{BROKEN_RULE_SECONDS, Context, Scope},
};

/// The answer.
pub(crate) struct Relaxed {
    /// No placement within the scope costs less, in guest-seconds.
    pub(crate) bound: f64,
    /// How much of each VM leaves its home in the dream, 0..=1.
    pub(crate) leaves: Vec<f64>,
}

/// Memory is in GiB here, so that all coefficients are within a few orders of magnitude.
const GIB: f64 = (1u64 << 30) as f64;

/// Part of the bound that is not relied on: the solver's own tolerance.
const TOLERANCE: f64 = 1e-6;

/// A VM that leaves by less than this stays, and one that stays by less leaves.
const WHOLE: f64 = 1e-6;

/// Rows of a host: its CPU, memory and vCPUs, and its memory in cores where that is to be even.
pub(super) const LOCAL: usize = 4;
const CPU: usize = 0;
const MEMORY: usize = 1;
const VCPUS: usize = 2;
const EVEN: usize = 3;

/// Rows of all hosts: what leaves is what comes (CPU, memory, vCPUs), and the number of moves.
pub(super) const GLOBAL: usize = 4;
const MOVES: usize = 3;

/// A column of one host: a VM that may leave, a segment of load, or what flows in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// The VM, where it is one: it leaves whole or not at all.
    pub(super) vm: Option<usize>,
    pub(super) cost: f64,
    pub(super) bounds: (f64, f64),
    pub(super) local: [f64; LOCAL],
    pub(super) global: [f64; GLOBAL],
}

/// The part of the program that is about one host.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// Least and most of each of its rows.
    pub(super) rows: [(f64, f64); LOCAL],
    pub(super) columns: Vec<Column>,
}

/// The bound for `scope`; `None` where the solver has none.
pub(crate) fn relax(context: &Context<'_>, scope: &Scope) -> Option<Relaxed> {
    let mut constant = kept_broken(context, scope);
    let mut parts: Vec<Part> =
        (0..context.view.hosts.len()).map(|host| host_part(context, scope, host)).collect();
    for vm in scope.vms() {
        let (column, anyway) = leaver(context, scope, vm)?;
        parts[context.view.vms[vm].home].columns.push(column);
        constant += anyway;
    }
    let moves_max = f64::from(context.view.policy.limits.moves_max);
    let solved = solve(&parts, moves_max)?;
    let mut leaves = vec![0.0; context.view.vms.len()];
    let mut split = Vec::new();
    let mut values = solved.columns.iter();
    for part in &parts {
        let mut whole = true;
        for (column, &value) in part.columns.iter().zip(values.by_ref()) {
            let Some(vm) = column.vm else { continue };
            leaves[vm] = value;
            whole &= !(WHOLE..=1.0 - WHOLE).contains(&value);
        }
        if !whole {
            split.push(part);
        }
    }
    let mut bound = solved.value - TOLERANCE * solved.value.abs() + constant;
    for answer in refine::all(&split, solved.prices) {
        bound += answer.gain;
        for (vm, leaving) in answer.leaves {
            leaves[vm] = leaving;
        }
    }
    Some(Relaxed { bound, leaves })
}

/// What VMs that may not move keep broken, whatever the others do.
pub(super) fn kept_broken(context: &Context<'_>, scope: &Scope) -> f64 {
    let view = context.view;
    let fixed = (0..view.vms.len()).filter(|&vm| !scope.movable[vm]);
    let banned = fixed.filter(|&vm| view.ban(vm, view.vms[vm].home).is_some()).count();
    BROKEN_RULE_SECONDS * banned as f64
}

/// A host's rows, its load in segments, and what flows in.
fn host_part(context: &Context<'_>, scope: &Scope, host: usize) -> Part {
    let (view, contention) = (context.view, context.contention);
    let limits = &view.hosts[host];
    let load = Load::of(view, context.start, host);
    let (memory, vcpus) = context.start.used(host);
    // A host over its limit may stay so as long as nobody comes: at least as much leaves as comes.
    let free_gib = limits.memory_limit.saturating_sub(memory) as f64 / GIB;
    let free_vcpus = (limits.vcpu_limit.floor() - vcpus as f64).max(0.0);
    let below = f64::NEG_INFINITY;
    let even = contention.memory().map_or((below, f64::INFINITY), |_| (load.memory, load.memory));
    let mut part = Part {
        // Load in segments, less what comes and with what leaves, is the load now. What comes less
        // what leaves is what is free.
        rows: [(load.cpu, load.cpu), (below, free_gib), (below, free_vcpus), even],
        columns: Vec::new(),
    };
    part.segments(contention.cpu(), limits.cores, CPU);
    if let Some(curve) = contention.memory() {
        part.segments(curve, limits.cores, EVEN);
    }
    if view.up(host) && !scope.empties(host) {
        part.flow(CPU, [-1.0, 0.0, 0.0, 0.0]);
        let even = contention.memory().map_or(0.0, |_| -limits.memory_as_cores(1 << 30));
        part.flow(MEMORY, [0.0, 1.0, 0.0, even]);
        part.flow(VCPUS, [0.0, 0.0, 1.0, 0.0]);
    }
    part
}

impl Part {
    /// The load of `row` on a host of `cores`, in the segments of `curve`.
    fn segments(&mut self, curve: &Curve, cores: f64, row: usize) {
        for (cost, width) in curve.segments() {
            let most = if width.is_finite() { width * cores } else { f64::INFINITY };
            let mut local = [0.0; LOCAL];
            local[row] = 1.0;
            let bounds = (0.0, most);
            self.columns.push(Column { vm: None, cost, bounds, local, global: [0.0; GLOBAL] });
        }
    }

    /// What flows in from where VMs left.
    fn flow(&mut self, kind: usize, local: [f64; LOCAL]) {
        let mut global = [0.0; GLOBAL];
        global[kind] = -1.0;
        let bounds = (0.0, f64::INFINITY);
        self.columns.push(Column { vm: None, cost: 0.0, bounds, local, global });
    }
}

/// The column of a VM that may leave, and what it costs whether or not it does; `None` where it
/// must leave and cannot.
fn leaver(context: &Context<'_>, scope: &Scope, vm: usize) -> Option<(Column, f64)> {
    let (view, one) = (context.view, &context.view.vms[vm]);
    // Hosts of one class have one price, and most of them take it. What a host is disliked by comes
    // on top, so that leaving it out keeps the bound.
    let price = |hosts: &Vec<usize>| {
        let mut away = hosts.iter().filter(|&&host| host != one.home);
        away.find_map(|&host| context.price_of_move(scope, vm, host))
    };
    let least = context.costs.classes().iter().filter_map(price).min_by(f64::total_cmp);
    let stay = context.price(scope, vm, one.home);
    let (bounds, cost) = match (stay, least) {
        (Some(stay), Some(least)) => ((0.0, 1.0), least - stay),
        (Some(_), None) => ((0.0, 0.0), 0.0),
        (None, Some(least)) => ((1.0, 1.0), least),
        (None, None) => return None,
    };
    let (gib, vcpus) = (one.memory() as f64 / GIB, one.vcpus() as f64);
    let even = context.contention.memory().map_or(0.0, |_| Load::by(view, vm, one.home).memory);
    let column = Column {
        vm: Some(vm),
        cost,
        bounds,
        local: [one.demand_cores, -gib, -vcpus, even],
        global: [one.demand_cores, gib, vcpus, 1.0],
    };
    Some((column, stay.unwrap_or(0.0)))
}

/// The program's optimum.
struct Solved {
    value: f64,
    /// Values of all columns, part by part.
    columns: Vec<f64>,
    /// What one more unit of each global row would cost.
    prices: [f64; GLOBAL],
}

fn solve(parts: &[Part], moves_max: f64) -> Option<Solved> {
    let mut program = ColProblem::new();
    let mut limits = [(0.0, 0.0); GLOBAL];
    limits[MOVES] = (f64::NEG_INFINITY, moves_max);
    let global = limits.map(|(least, most)| program.add_row(least..=most));
    for part in parts {
        let local = part.rows.map(|(least, most)| program.add_row(least..=most));
        for column in &part.columns {
            let rows = local.iter().zip(column.local).chain(global.iter().zip(column.global));
            let factors = rows.filter(|(_, factor)| *factor != 0.0).map(|(row, f)| (*row, f));
            program.add_column(column.cost, column.bounds.0..=column.bounds.1, factors);
        }
    }
    let mut model = program.try_optimise(Sense::Minimise).ok()?;
    model.try_set_option("threads", 1).ok()?;
    let solved = model.try_solve().ok()?;
    if solved.status() != HighsModelStatus::Optimal {
        return None;
    }
    let solution = solved.get_solution();
    let mut prices = [0.0; GLOBAL];
    for (price, dual) in prices.iter_mut().zip(solution.dual_rows()) {
        *price = *dual;
    }
    let columns = solution.columns().to_vec();
    Some(Solved { value: solved.objective_value(), columns, prices })
}
