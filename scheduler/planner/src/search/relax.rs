//! A lower bound of what any placement costs, and which VMs the best of all dreams would move.
//!
//! A linear program that leaves out where each VM goes: a VM leaves its home in part or whole, and
//! what leaves somewhere flows in anywhere as CPU, memory and vCPUs of their own. Every placement
//! is a solution of it with the same value or less, so its optimum is a bound; rows are few (three
//! a host), so it is solved for thousands of hosts in seconds where the placement problem itself
//! is hopeless. The bound is told as solved; what its rounding may cost is not in it.
//!
//! Left out too, and therefore at their cheapest: affinity groups, rules among VMs that hold now.

use highs::{ColProblem, HighsModelStatus, Row, Sense};

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

/// The bound for `scope`; `None` where the solver has none.
pub(crate) fn relax(context: &Context<'_>, scope: &Scope) -> Option<Relaxed> {
    let mut builder = Builder::new(context, scope);
    let vms: Vec<usize> = scope.vms().collect();
    let mut constant = 0.0;
    for &vm in &vms {
        constant += builder.leaver(vm)?;
    }
    for host in 0..context.view.hosts.len() {
        builder.host(host);
    }
    let mut model = builder.program.try_optimise(Sense::Minimise).ok()?;
    let set = model
        .try_set_option("threads", 1)
        .and_then(|()| model.try_set_option("output_flag", false));
    set.ok()?;
    let solved = model.try_solve().ok()?;
    if solved.status() != HighsModelStatus::Optimal {
        return None;
    }
    let value = solved.objective_value();
    let solution = solved.get_solution();
    let mut leaves = vec![0.0; context.view.vms.len()];
    for (&vm, &part) in vms.iter().zip(solution.columns()) {
        leaves[vm] = part;
    }
    let bound = value - TOLERANCE * value.abs() + constant + kept_broken(context, scope);
    Some(Relaxed { bound, leaves })
}

/// What VMs that may not move keep broken, whatever the others do.
fn kept_broken(context: &Context<'_>, scope: &Scope) -> f64 {
    let view = context.view;
    let fixed = (0..view.vms.len()).filter(|&vm| !scope.movable[vm]);
    let banned = fixed.filter(|&vm| view.ban(vm, view.vms[vm].home).is_some()).count();
    BROKEN_RULE_SECONDS * banned as f64
}

/// Rows of one host.
#[derive(Clone, Copy)]
struct Rows {
    cpu: Row,
    memory: Row,
    vcpus: Row,
    /// Memory in cores, where it is to be even.
    even: Option<Row>,
}

struct Builder<'a> {
    context: &'a Context<'a>,
    scope: &'a Scope,
    program: ColProblem,
    hosts: Vec<Rows>,
    /// What leaves is what comes: CPU, memory, vCPUs.
    flow: Rows,
    moves: Row,
}

impl<'a> Builder<'a> {
    fn new(context: &'a Context<'a>, scope: &'a Scope) -> Self {
        let view = context.view;
        let mut program = ColProblem::new();
        let mut hosts = Vec::new();
        for host in 0..view.hosts.len() {
            let load = Load::of(view, context.start, host);
            let (memory, vcpus) = context.start.used(host);
            let limits = &view.hosts[host];
            let free_gib = (limits.memory_limit as f64 - memory as f64) / GIB;
            let free_vcpus = limits.vcpu_limit.floor() - vcpus as f64;
            hosts.push(Rows {
                // Load in segments, less what comes and with what leaves, is the load now.
                cpu: program.add_row(load.cpu..=load.cpu),
                // What comes less what leaves is what is free; a host over its limit takes nobody
                // before that much has left.
                memory: program.add_row(..=free_gib),
                vcpus: program.add_row(..=free_vcpus),
                even: context
                    .contention
                    .memory()
                    .map(|_| program.add_row(load.memory..=load.memory)),
            });
        }
        let mut balanced = || program.add_row(0.0..=0.0);
        let flow =
            Rows { cpu: balanced(), memory: balanced(), vcpus: balanced(), even: None };
        let moves = program.add_row(..=f64::from(view.policy.limits.moves_max));
        Self { context, scope, program, hosts, flow, moves }
    }

    /// The column of a VM that may leave; what it costs whether or not it does.
    fn leaver(&mut self, vm: usize) -> Option<f64> {
        let (view, one) = (self.context.view, &self.context.view.vms[vm]);
        let away = (0..view.hosts.len()).filter(|&host| host != one.home);
        let least = away
            .filter_map(|host| self.context.price(self.scope, vm, host))
            .min_by(f64::total_cmp);
        let stay = self.context.price(self.scope, vm, one.home);
        let (low, high, cost) = match (stay, least) {
            (Some(stay), Some(least)) => (0.0, 1.0, least - stay),
            (Some(_), None) => (0.0, 0.0, 0.0),
            (None, Some(least)) => (1.0, 1.0, least),
            (None, None) => return None,
        };
        let rows = self.hosts[one.home];
        let (gib, vcpus) = (one.memory() as f64 / GIB, one.vcpus() as f64);
        let even = rows.even.map(|row| (row, Load::by(view, vm, one.home).memory));
        let factors = [
            (rows.cpu, one.demand_cores),
            (rows.memory, -gib),
            (rows.vcpus, -vcpus),
            (self.flow.cpu, one.demand_cores),
            (self.flow.memory, gib),
            (self.flow.vcpus, vcpus),
            (self.moves, 1.0),
        ];
        self.program.add_column(cost, low..=high, factors.into_iter().chain(even));
        Some(stay.unwrap_or(0.0))
    }

    /// The columns of a host: its load in segments, and what flows in.
    fn host(&mut self, host: usize) {
        let (context, rows) = (self.context, self.hosts[host]);
        let limits = &context.view.hosts[host];
        self.segments(context.contention.cpu(), limits.cores, rows.cpu);
        if let Some((curve, row)) = context.contention.memory().zip(rows.even) {
            self.segments(curve, limits.cores, row);
        }
        if !context.view.up(host) || self.scope.must_leave == Some(host) {
            return;
        }
        let flow = self.flow;
        self.program.add_column(0.0, 0.0.., [(rows.cpu, -1.0), (flow.cpu, -1.0)]);
        let even = rows.even.map(|row| (row, -limits.memory_as_cores(1 << 30)));
        let memory = [(rows.memory, 1.0), (flow.memory, -1.0)];
        self.program.add_column(0.0, 0.0.., memory.into_iter().chain(even));
        self.program.add_column(0.0, 0.0.., [(rows.vcpus, 1.0), (flow.vcpus, -1.0)]);
    }

    /// The load of `row` on a host of `cores`, in the segments of `curve`.
    fn segments(&mut self, curve: &Curve, cores: f64, row: Row) {
        for (slope, width) in curve.segments() {
            let most = if width.is_finite() { width * cores } else { f64::INFINITY };
            self.program.add_column(slope, 0.0..=most, [(row, 1.0)]);
        }
    }
}
