//! The placement problem as a mixed-integer program.
//!
//! Variables: `x[vm, host]`, whether a movable VM ends on a host; for each host its CPU demand and
//! its contention, which lies above every chord of [`Contention`](crate::contention::Contention);
//! for each rule that is broken now, how far it stays broken. Rows: one host per VM, memory and
//! vCPUs, huge pages and NUMA nodes of hosts that may receive, rules, the number of moves, budgets of
//! disruption, and cuts.
//!
//! Rules that hold now are hard. A rule that is broken now is charged for as long as it stays so,
//! and nothing may break it further: the present placement is always a solution (unless a host
//! must be left), and a rule that nobody can mend does not make the rest unsolvable.
//!
//! Builds only; [`solve`](crate::solve) runs it and trusts no answer before it has checked it.

use std::collections::{BTreeMap, BTreeSet};

use good_lp::{
    Constraint, Expression, ProblemVariables, SolverModel, Variable, solvers::highs::HighsProblem,
    variable,
};

use crate::{
    contention::{Curve, Load},
    scope::{Context, Scope},
};

mod rules;

/// Memory is in GiB here, so that all coefficients are within a few orders of magnitude.
const GIB: f64 = (1u64 << 30) as f64;

/// A placement that must not come out again: these VMs on these hosts together.
pub(crate) type Cut = Vec<(usize, usize)>;

/// Where each VM that may move may end, with its price there, home included if it may stay.
/// Everything else stays where it is.
pub(crate) type Options = BTreeMap<usize, BTreeMap<usize, f64>>;

/// The options that `scope` leaves on `hosts`.
pub(crate) fn options(context: &Context<'_>, scope: &Scope, hosts: &BTreeSet<usize>) -> Options {
    let places = |vm: usize| {
        let hosts = hosts.iter().copied();
        hosts.filter_map(|host| Some((host, context.price(scope, vm, host)?))).collect()
    };
    scope.vms().map(|vm| (vm, places(vm))).collect()
}

/// The program with the meaning of its columns.
pub(crate) struct Problem {
    pub(crate) program: HighsProblem,
    /// Column of each decision, by VM and host.
    pub(crate) decisions: BTreeMap<(usize, usize), usize>,
    /// The incumbent's value of every column.
    pub(crate) start: Option<Vec<f64>>,
}

/// The program of `options`, which excludes `cuts`, with `incumbent` as its first solution.
pub(crate) fn build(
    context: &Context<'_>,
    options: &Options,
    incumbent: Option<&[usize]>,
    cuts: &[Cut],
) -> Problem {
    let mut builder = Builder {
        context,
        options,
        incumbent,
        variables: ProblemVariables::new(),
        start: Vec::new(),
        x: BTreeMap::new(),
        objective: Expression::default(),
        rows: Vec::new(),
    };
    builder.decisions();
    for host in 0..context.view.hosts.len() {
        builder.host(host);
    }
    builder.rules();
    builder.moves_max();
    builder.budgets();
    for cut in cuts {
        builder.cut(cut);
    }
    let mut program = builder.variables.minimise(builder.objective).using(good_lp::highs);
    for row in builder.rows {
        program.add_constraint(row);
    }
    Problem {
        program,
        // Columns are numbered as they are added, the decisions first.
        decisions: builder.x.into_keys().zip(0..).collect(),
        start: incumbent.is_some().then_some(builder.start),
    }
}

struct Builder<'a> {
    context: &'a Context<'a>,
    options: &'a Options,
    incumbent: Option<&'a [usize]>,
    variables: ProblemVariables,
    start: Vec<f64>,
    x: BTreeMap<(usize, usize), Variable>,
    objective: Expression,
    rows: Vec<Constraint>,
}

impl Builder<'_> {
    fn home(&self, vm: usize) -> usize {
        self.context.view.vms[vm].home
    }

    fn movable(&self, vm: usize) -> bool {
        self.options.contains_key(&vm)
    }

    /// A yes-or-no or continuous column from 0 with its value in the incumbent.
    fn column(&mut self, whole: bool, start: impl FnOnce(&[usize]) -> f64) -> Variable {
        self.start.push(self.incumbent.map_or(0.0, start));
        let kind = if whole { variable().binary() } else { variable().min(0) };
        self.variables.add(kind)
    }

    fn decisions(&mut self) {
        for (&vm, places) in self.options {
            let mut one = Expression::default();
            for (&host, &price) in places {
                let x = self.column(true, |place| f64::from(u8::from(place[vm] == host)));
                self.x.insert((vm, host), x);
                self.objective.add_mul(price, x);
                one.add_mul(1, x);
            }
            self.rows.push(one.eq(1));
        }
    }

    /// Movable VMs that may end on `host`, with their decisions.
    fn candidates(&self, host: usize) -> Vec<(usize, Variable)> {
        let here = self.options.keys().filter_map(|&vm| Some((vm, *self.x.get(&(vm, host))?)));
        here.collect()
    }

    fn host(&mut self, host: usize) {
        let candidates = self.candidates(host);
        if candidates.is_empty() {
            return;
        }
        let (view, start) = (self.context.view, self.context.start);
        let (mut memory, mut vcpus) = start.used(host);
        let mut fixed = Load::of(view, start, host);
        for &vm in self.options.keys().filter(|&&vm| view.vms[vm].home == host) {
            memory = memory.saturating_sub(view.vms[vm].memory());
            vcpus = vcpus.saturating_sub(view.vms[vm].vcpus());
            fixed = fixed.plus(Load::by(view, vm, host), -1.0);
        }
        let limits = &view.hosts[host];
        if candidates.iter().any(|(vm, _)| view.vms[*vm].home != host) {
            let free_gib = (limits.memory_limit as f64 - memory as f64) / GIB;
            let free_vcpus = (limits.vcpu_limit - vcpus as f64).floor();
            self.room(host, &candidates, (free_gib, free_vcpus));
            self.pages(host, &candidates);
            self.nodes(host, &candidates);
        }
        let contention = self.context.contention;
        let cores = |vm: usize| view.vms[vm].demand_cores;
        self.load(contention.cpu(), (host, fixed.cpu), &candidates, cores);
        if let Some(curve) = contention.memory() {
            let part = |vm: usize| Load::by(view, vm, host).memory;
            self.load(curve, (host, fixed.memory), &candidates, part);
        }
    }

    /// Who ends on a host fits into what is free there. A host that is over its limits now may
    /// stay so as long as it takes nobody.
    fn room(&mut self, host: usize, candidates: &[(usize, Variable)], free: (f64, f64)) {
        let view = self.context.view;
        let (mut gib, mut vcpus, mut come) =
            (Expression::default(), Expression::default(), Expression::default());
        let mut most = (0.0, 0.0);
        for &(vm, x) in candidates {
            let size = (view.vms[vm].memory() as f64 / GIB, view.vms[vm].vcpus() as f64);
            gib.add_mul(size.0, x);
            vcpus.add_mul(size.1, x);
            if view.vms[vm].home == host {
                most = (most.0 + size.0, most.1 + size.1);
            } else {
                come.add_mul(1, x);
            }
        }
        if self.context.start.within(view, host, (0, 0)) {
            self.rows.push(gib.leq(free.0));
            self.rows.push(vcpus.leq(free.1));
            return;
        }
        let comes = |place: &[usize], vm: usize| place[vm] == host && view.vms[vm].home != host;
        let takes = self.column(true, |place| {
            f64::from(u8::from(candidates.iter().any(|(vm, _)| comes(place, *vm))))
        });
        gib.add_mul((most.0 - free.0).max(0.0), takes);
        vcpus.add_mul((most.1 - free.1).max(0.0), takes);
        self.rows.push((come - candidates.len() as f64 * takes).leq(0));
        self.rows.push(gib.leq(most.0.max(free.0)));
        self.rows.push(vcpus.leq(most.1.max(free.1)));
    }

    /// What the load on a host costs, where `fixed` cores of it are not decided here and each
    /// candidate brings `cores`.
    fn load(
        &mut self,
        curve: &Curve,
        (host, fixed): (usize, f64),
        candidates: &[(usize, Variable)],
        cores: impl Fn(usize) -> f64,
    ) {
        let all = self.context.view.hosts[host].cores;
        let moving = |place: &[usize]| -> f64 {
            let here = candidates.iter().filter(|(vm, _)| place[*vm] == host);
            here.map(|(vm, _)| cores(*vm)).sum()
        };
        let load = self.column(false, moving);
        let cost = self.column(false, |place| curve.at(fixed + moving(place), all));
        let mut sum = Expression::from(load);
        for &(vm, x) in candidates {
            sum.add_mul(-cores(vm), x);
        }
        self.rows.push(sum.eq(0));
        for line in curve.lines() {
            let above = Expression::from(cost) - line.slope * load;
            self.rows.push(above.geq(line.slope * fixed + line.intercept * all));
        }
        self.objective.add_mul(1, cost);
    }

    fn moves_max(&mut self) {
        let mut moves = Expression::default();
        for (&(vm, host), &x) in &self.x {
            if host != self.home(vm) {
                moves.add_mul(1, x);
            }
        }
        self.rows.push(moves.leq(self.context.view.policy.limits.moves_max));
    }

    fn cut(&mut self, cut: &Cut) {
        let mut sum = Expression::default();
        for decision in cut {
            if let Some(&x) = self.x.get(decision) {
                sum.add_mul(1, x);
            }
        }
        self.rows.push(sum.leq(cut.len() as f64 - 1.0));
    }
}
