//! A small cluster as one program: which hosts are empty and where every VM is, together.
//!
//! Rows are those of the choice among hosts, and one for memory, vCPUs, CPU and every rule of each
//! host. The reserve is in it as sums only; whoever asks tries it by placing.

use std::collections::{BTreeMap, BTreeSet};

use highs::{Col, HighsModelStatus, RowProblem, Sense};

use super::{choose::Choices, cores_max};
use crate::{
    scope::{Context, Scope},
    search::seed,
    view::VmView,
};

/// What one VM takes of its host.
type Part = fn(&VmView<'_>) -> f64;

/// Most yes-or-no decisions for which the program is built.
const DECISIONS_MAX: usize = 3_000;

/// Branch-and-bound nodes after which the best so far is taken.
const NODES_MAX: i32 = 1_000;

/// Memory is in GiB here, so that all coefficients are within a few orders of magnitude.
const GIB: f64 = (1u64 << 30) as f64;

/// The best placement with no more than `limit` hosts off, and these hosts.
pub(super) fn solve(
    context: &Context<'_>,
    scope: &Scope,
    choices: &Choices<'_>,
    limit: usize,
) -> Option<(Vec<usize>, Vec<bool>)> {
    let movable: Vec<usize> = scope.vms().collect();
    let blocks = seed::blocks(context, &movable);
    if blocks.len().saturating_mul(context.view.hosts.len()) > DECISIONS_MAX {
        return None;
    }
    let mut program = RowProblem::default();
    let off = choices.rows(&mut program, limit, |_| Some(-choices.worth_seconds()));
    let mut builder =
        Builder { context, scope, choices, blocks, program, off, x: Vec::new(), columns: 0 };
    builder.columns = builder.program.num_cols();
    builder.decisions();
    for host in 0..context.view.hosts.len() {
        builder.host(host);
    }
    builder.apart();
    builder.solve()
}

struct Builder<'a> {
    context: &'a Context<'a>,
    scope: &'a Scope,
    choices: &'a Choices<'a>,
    /// VMs that travel together.
    blocks: Vec<Vec<usize>>,
    program: RowProblem,
    /// Whether each host is empty, where it is up.
    off: BTreeMap<usize, Col>,
    /// Block, host and decision, in the order of their columns.
    x: Vec<(usize, usize, Col)>,
    /// Columns before these.
    columns: usize,
}

impl Builder<'_> {
    fn decisions(&mut self) {
        let (context, scope) = (self.context, self.scope);
        let factor = self.choices.gain_factor();
        for (index, block) in self.blocks.iter().enumerate() {
            let first = self.x.len();
            for host in 0..context.view.hosts.len() {
                let prices = block.iter().map(|&vm| context.price(scope, vm, host));
                let Some(price) = prices.sum::<Option<f64>>() else { continue };
                let home = block.iter().all(|&vm| context.view.vms[vm].home == host);
                if !home && !self.receives(host) {
                    continue;
                }
                let column = self.program.add_integer_column(price * factor, 0.0..=1.0);
                self.x.push((index, host, column));
            }
            self.program.add_row(1.0..=1.0, self.x[first..].iter().map(|one| (one.2, 1.0)));
        }
        let moves: Vec<(Col, f64)> = self
            .x
            .iter()
            .filter(|(block, host, _)| {
                self.blocks[*block].iter().any(|&vm| context.view.vms[vm].home != *host)
            })
            .map(|(block, _, column)| (*column, self.blocks[*block].len() as f64))
            .collect();
        self.program.add_row(..=f64::from(context.view.policy.limits.moves_max), moves);
    }

    /// Whether `host` is within its limits now: others take nobody.
    fn receives(&self, host: usize) -> bool {
        let (view, start) = (self.context.view, self.context.start);
        view.up(host)
            && start.within(view, host, (0, 0))
            && start.demand(host) <= cores_max(view, host)
    }

    /// What ends on `host` fits, and nothing does where it is off.
    fn host(&mut self, host: usize) {
        let (view, start) = (self.context.view, self.context.start);
        let here: Vec<(usize, Col)> =
            self.x.iter().filter(|one| one.1 == host).map(|one| (one.0, one.2)).collect();
        if here.is_empty() {
            return;
        }
        let native = |block: &[usize]| block.iter().all(|&vm| view.vms[vm].home == host);
        let sums: [(Part, f64, f64); 3] = [
            (
                |vm| vm.memory() as f64 / GIB,
                start.used(host).0 as f64 / GIB,
                view.hosts[host].memory_limit as f64 / GIB,
            ),
            (|vm| vm.vcpus() as f64, start.used(host).1 as f64, view.hosts[host].vcpu_limit),
            (|vm| vm.demand_cores, start.demand(host), cores_max(view, host)),
        ];
        for (part, used, limit) in sums {
            let of = |block: &[usize]| block.iter().map(|&vm| part(&view.vms[vm])).sum::<f64>();
            let leaving: f64 = here
                .iter()
                .map(|(b, _)| &self.blocks[*b])
                .filter(|b| native(b))
                .map(|b| of(b))
                .sum();
            let room = (limit.max(used) - (used - leaving)).max(0.0);
            let mut row: Vec<(Col, f64)> =
                here.iter().map(|(block, column)| (*column, of(&self.blocks[*block]))).collect();
            row.extend(self.off.get(&host).map(|&off| (off, room)));
            self.program.add_row(..=room + 1e-9, row);
        }
        if let Some(&off) = self.off.get(&host) {
            // Guests of no size would be overlooked above.
            let mut row: Vec<(Col, f64)> = here.iter().map(|(_, column)| (*column, 1.0)).collect();
            row.push((off, here.len() as f64));
            self.program.add_row(..=here.len() as f64, row);
        }
    }

    /// At most so many of those to keep apart in a place; nobody comes where it is broken now.
    fn apart(&mut self) {
        let view = self.context.view;
        for one in view.apart.iter().filter(|one| one.hard) {
            let hosts = 0..view.hosts.len();
            let places: BTreeSet<usize> = hosts.filter_map(|host| one.place(host)).collect();
            for place in places {
                let here = |host: usize| one.place(host) == Some(place);
                let there = |vm: &usize| one.vms.contains(vm);
                let native = |block: &usize| {
                    let mut own = self.blocks[*block].iter().filter(|vm| there(vm));
                    own.all(|&vm| here(view.vms[vm].home))
                };
                // A block stays in its place however many of its members are named.
                let members = |block: usize| self.blocks[block].iter().filter(|vm| there(vm));
                let of: Vec<(usize, Col, f64)> = self
                    .x
                    .iter()
                    .map(|(block, at, column)| (*block, *at, *column, members(*block).count()))
                    .filter(|(_, at, _, count)| here(*at) && *count > 0)
                    .map(|(block, _, column, count)| (block, column, count as f64))
                    .collect();
                let at_home = one.vms.iter().filter(|&&vm| here(view.vms[vm].home)).count();
                let now = at_home + one.arriving.iter().filter(|&&host| here(host)).count();
                let movable: BTreeSet<usize> =
                    of.iter().map(|(block, ..)| *block).filter(native).collect();
                let movable: usize = movable.iter().map(|&block| members(block).count()).sum();
                let fixed = now.saturating_sub(movable) as f64;
                if now <= one.most as usize {
                    let row: Vec<_> =
                        of.iter().map(|(_, column, count)| (*column, *count)).collect();
                    self.program.add_row(..=f64::from(one.most) - fixed, row);
                } else {
                    let come = of.iter().filter(|(block, ..)| !native(block));
                    let row: Vec<_> = come.map(|(_, column, _)| (*column, 1.0)).collect();
                    self.program.add_row(..=0.0, row);
                }
            }
        }
    }

    fn solve(self) -> Option<(Vec<usize>, Vec<bool>)> {
        let mut model = self.program.try_optimise(Sense::Minimise).ok()?;
        model.try_set_option("threads", 1).ok()?;
        model.try_set_option("parallel", "off").ok()?;
        model.try_set_option("mip_max_nodes", NODES_MAX).ok()?;
        let solved = model.try_solve().ok()?;
        let bad = [HighsModelStatus::Infeasible, HighsModelStatus::UnboundedOrInfeasible];
        if bad.contains(&solved.status()) {
            return None;
        }
        let solution = solved.get_solution();
        let mut place = self.context.view.present();
        let values = solution.columns().get(self.columns..)?;
        for ((block, host, _), value) in self.x.iter().zip(values) {
            if *value > 0.5 {
                for &vm in &self.blocks[*block] {
                    place[vm] = *host;
                }
            }
        }
        let mut off = vec![false; self.context.view.hosts.len()];
        for (&host, value) in self.off.keys().zip(solution.columns()) {
            off[host] = *value > 0.5;
        }
        let empty = place.iter().all(|&host| !off[host]);
        (empty && self.context.feasible(self.scope, &place)).then_some((place, off))
    }
}
