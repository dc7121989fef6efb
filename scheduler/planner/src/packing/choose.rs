//! Which hosts to empty, as a choice among hosts alone: a bound on what any plan can reach, and
//! the set of hosts that the search begins with.
//!
//! One yes-or-no for each host. What stays on must carry the sums: memory and vCPUs within the
//! limits, CPU demand under the overload threshold and with headroom, and all of it once more
//! without the `limits.host_failures` largest hosts of those that stay on, where the reserve may
//! not sleep. The sum of the largest few is linear by duality (Ogryczak and Tamir, Minimizing the
//! sum of the k largest functions in linear time, 2003). Where single VMs fit is left out, so every
//! plan is a solution: the optimum here is a bound.

use std::collections::BTreeMap;

use highs::{Col, HighsModelStatus, RowProblem, Sense};

use crate::{
    options,
    scope::{Context, Scope},
    view::View,
};

/// Memory is in GiB here, so that all coefficients are within a few orders of magnitude.
const GIB: f64 = (1u64 << 30) as f64;

/// Slack of every sum, beyond which it is no rounding.
const TOLERANCE: f64 = 1e-6;

/// Branch-and-bound nodes after which the bound so far stands.
const NODES_MAX: i32 = 5_000;

/// A host as a choice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choice {
    /// It runs nothing now.
    pub(super) empty: bool,
    /// VMs on it.
    pub(super) moves: f64,
    /// Guest-seconds that its VMs' migrations cost at their cheapest.
    pub(super) cost_seconds: f64,
}

/// What the hosts that are on carry, in four sums.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sums {
    memory_gib: f64,
    vcpus: f64,
    cpu_cores: f64,
    headroom_cores: f64,
}

/// The choice to be made.
pub(super) struct Choices<'a> {
    view: &'a View<'a>,
    /// Hosts that could be empty; the others stay on or do not count.
    pub(super) hosts: Vec<Option<Choice>>,
    gives: Vec<Sums>,
    needs: Sums,
    /// Guest-seconds that one host is worth.
    worth_seconds: f64,
    gain_factor: f64,
}

/// What to ask for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask {
    /// As many hosts as possible.
    Most,
    /// What pays most, with no more than so many hosts.
    Pays(usize),
    /// Hosts that run nothing now.
    Idle,
}

/// An answer.
pub(super) struct Chosen {
    /// Hosts to be empty.
    pub(super) off: Vec<bool>,
    /// No plan has a better value: hosts for [`Ask::Most`], guest-seconds (below 0 is a gain) for
    /// [`Ask::Pays`].
    pub(super) bound: f64,
}

impl<'a> Choices<'a> {
    pub(super) fn new(context: &'a Context<'a>, scope: &Scope) -> Self {
        let view = context.view;
        let powersave = &view.policy.powersave;
        let mut guests: Vec<Vec<usize>> = vec![Vec::new(); view.hosts.len()];
        for (vm, one) in view.vms.iter().enumerate() {
            guests[one.home].push(vm);
        }
        let hosts = (0..view.hosts.len()).map(|host| choice(context, scope, host, &guests[host]));
        let hosts: Vec<Option<Choice>> = hosts.collect();
        let gives: Vec<Sums> = (0..view.hosts.len()).map(|host| gives(context, host)).collect();
        let needs =
            (0..view.hosts.len()).filter(|&host| view.up(host)).fold(NOTHING, |sum, host| {
                let demand = context.start.demand(host);
                let (memory, vcpus) = context.start.used(host);
                sum.plus(Sums {
                    memory_gib: memory as f64 / GIB,
                    vcpus: vcpus as f64,
                    cpu_cores: demand,
                    headroom_cores: demand,
                })
            });
        let worth_seconds = powersave.worth_seconds();
        let gain_factor = view.policy.balance.gain_factor;
        Self { view, hosts, gives, needs, worth_seconds, gain_factor }
    }

    /// Guest-seconds by which the plan is better or worse for `host` being empty; below 0 it pays.
    pub(super) fn net_seconds(&self, choice: Choice) -> f64 {
        self.gain_factor * choice.cost_seconds - self.worth_seconds
    }

    /// Guest-seconds that one host is worth.
    pub(super) fn worth_seconds(&self) -> f64 {
        self.worth_seconds
    }

    /// How many times its cost a move must gain.
    pub(super) fn gain_factor(&self) -> f64 {
        self.gain_factor
    }

    /// Whether `host` runs nothing now.
    pub(super) fn is_empty(&self, host: usize) -> bool {
        self.hosts.get(host).copied().flatten().is_some_and(|choice| choice.empty)
    }

    /// The best set of hosts; `None` where even all that is on does not carry the sums.
    pub(super) fn solve(&self, ask: Ask) -> Option<Chosen> {
        let mut program = RowProblem::default();
        let limit = if let Ask::Pays(limit) = ask { limit } else { usize::MAX };
        let columns = self.rows(&mut program, limit, |choice| match ask {
            Ask::Idle if !choice.empty => None,
            Ask::Most | Ask::Idle => Some(-1.0),
            Ask::Pays(_) => Some(self.net_seconds(choice)),
        });
        let moves =
            columns.iter().filter_map(|(&host, &column)| Some((column, self.hosts[host]?.moves)));
        program.add_row(..=f64::from(self.view.policy.limits.moves_max), moves);
        self.run(program, &columns)
    }

    /// One yes-or-no for each host that is up, first in `program`, with the sums that bind them: no
    /// more than `limit` hosts are off. `value` is what a host that is off adds to the objective;
    /// `None` where it stays on.
    pub(super) fn rows(
        &self,
        program: &mut RowProblem,
        limit: usize,
        value: impl Fn(Choice) -> Option<f64>,
    ) -> BTreeMap<usize, Col> {
        let mut columns = BTreeMap::new();
        for host in (0..self.hosts.len()).filter(|&host| self.view.up(host)) {
            let value = self.hosts[host].and_then(&value);
            let most = if value.is_some() { 1.0 } else { 0.0 };
            columns.insert(host, program.add_integer_column(value.unwrap_or(0.0), 0.0..=most));
        }
        let all = columns.keys().fold(NOTHING, |sum, &host| sum.plus(self.gives[host]));
        for (part, reserve) in PARTS {
            let spare = part(all) - part(self.needs) + TOLERANCE;
            let mut row: Vec<(Col, f64)> =
                columns.iter().map(|(&host, &column)| (column, part(self.gives[host]))).collect();
            if reserve && self.failures() > 0 {
                row.extend(self.fallen(program, &columns, part));
            }
            program.add_row(..=spare, row);
        }
        let least_on = f64::from(self.view.policy.powersave.hosts_min);
        let most = (columns.len() as f64 - least_on).max(0.0).min(limit as f64);
        program.add_row(..=most, columns.values().map(|&column| (column, 1.0)));
        columns
    }

    /// Columns that add up to `part` of the largest hosts that are on and may fail, or more.
    fn fallen(
        &self,
        program: &mut RowProblem,
        columns: &BTreeMap<usize, Col>,
        part: fn(Sums) -> f64,
    ) -> Vec<(Col, f64)> {
        let each = program.add_column(0.0, 0.0..);
        let mut sum = vec![(each, f64::from(self.failures()))];
        for (&host, &column) in columns {
            let size = part(self.gives[host]);
            let above = program.add_column(0.0, 0.0..);
            program.add_row(size.., [(above, 1.0), (each, 1.0), (column, size)]);
            sum.push((above, 1.0));
        }
        sum
    }

    /// Hosts that may fail while those that are off cannot help.
    fn failures(&self) -> u32 {
        let policy = self.view.policy;
        if policy.powersave.reserve_may_sleep { 0 } else { policy.limits.host_failures }
    }

    fn run(&self, program: RowProblem, columns: &BTreeMap<usize, Col>) -> Option<Chosen> {
        let mut model = program.try_optimise(Sense::Minimise).ok()?;
        model.try_set_option("threads", 1).ok()?;
        model.try_set_option("parallel", "off").ok()?;
        model.try_set_option("mip_max_nodes", NODES_MAX).ok()?;
        model.try_set_option("mip_rel_gap", 1e-6).ok()?;
        let solved = model.try_solve().ok()?;
        let bad = [HighsModelStatus::Infeasible, HighsModelStatus::UnboundedOrInfeasible];
        if bad.contains(&solved.status()) {
            return None;
        }
        let solution = solved.get_solution();
        let mut off = vec![false; self.hosts.len()];
        for (&host, value) in columns.keys().zip(solution.columns()) {
            off[host] = *value > 0.5;
        }
        let value = solved.objective_value();
        let slack = solved.mip_gap() * value.abs();
        let slack = if slack.is_finite() { slack } else { 0.0 };
        Some(Chosen { off, bound: value - slack })
    }
}

const NOTHING: Sums = Sums { memory_gib: 0.0, vcpus: 0.0, cpu_cores: 0.0, headroom_cores: 0.0 };

/// A sum of [`Sums`], and whether it must hold after failures too.
type Part = (fn(Sums) -> f64, bool);

const PARTS: [Part; 4] = [
    (|sums| sums.memory_gib, true),
    (|sums| sums.vcpus, true),
    (|sums| sums.cpu_cores, false),
    (|sums| sums.headroom_cores, false),
];

impl Sums {
    fn plus(self, other: Self) -> Self {
        Self {
            memory_gib: self.memory_gib + other.memory_gib,
            vcpus: self.vcpus + other.vcpus,
            cpu_cores: self.cpu_cores + other.cpu_cores,
            headroom_cores: self.headroom_cores + other.headroom_cores,
        }
    }
}

/// What `host` can carry while it is on: its limits, or what is there where that is more.
fn gives(context: &Context<'_>, host: usize) -> Sums {
    let (view, limits) = (context.view, &context.view.hosts[host]);
    let (memory, vcpus) = context.start.used(host);
    let headroom = 1.0 - view.policy.powersave.headroom.get();
    Sums {
        memory_gib: memory.max(limits.memory_limit) as f64 / GIB,
        vcpus: limits.vcpu_limit.floor().max(vcpus as f64),
        cpu_cores: super::cores_max(view, host).max(context.start.demand(host)),
        headroom_cores: limits.cores * headroom,
    }
}

/// `host` as a choice; `None` where it cannot be emptied.
fn choice(context: &Context<'_>, scope: &Scope, host: usize, guests: &[usize]) -> Option<Choice> {
    let view = context.view;
    let arriving = view.arriving.values().any(|&target| target == host);
    if !view.up(host) || arriving {
        return None;
    }
    let mut cost_seconds = 0.0;
    for &vm in guests {
        if !scope.movable[vm] {
            return None;
        }
        let others = context.costs.classes().iter().filter_map(|class| {
            let mut class = class.iter().filter(|&&other| other != host);
            class.find_map(|&other| options::price(view, context.costs, vm, other))
        });
        cost_seconds += others.reduce(f64::min)?;
    }
    Some(Choice { empty: guests.is_empty(), moves: guests.len() as f64, cost_seconds })
}
