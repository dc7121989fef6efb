//! One VM on another host than the plan leaves it on, everything else as the plan leaves it: what
//! that would change, or everything that forbids it.
//!
//! Uses the planner's own terms and limits, so that what is told is what was weighed. Chooses
//! nothing.

use whimbrel_core::units::Bytes;

use super::value::{Alternative, Answer, Difference, HostLoad, LoadAt, MovePrice, Refused};
use crate::{
    contention::{Contention, Load},
    costs::Price,
    scope::{BROKEN_RULE_SECONDS, Context, DISPLACED_SECONDS, Scope},
    view::Occupancy,
};

/// The end of a plan, to ask about single VMs.
pub(crate) struct Case<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) scope: Scope,
    /// Where everything is at the end.
    pub(crate) end: Occupancy,
    /// VMs that are not where they were.
    pub(crate) moved: usize,
}

impl Case<'_> {
    /// The `most` best hosts but the one where `vm` ends, best first.
    pub(super) fn alternatives(&self, vm: usize, most: usize) -> Vec<(usize, Alternative)> {
        let view = self.context.view;
        let at = self.end.place[vm];
        let mut all: Vec<(f64, usize, Answer)> = (0..view.hosts.len())
            .filter(|&host| host != at)
            .map(|host| {
                let refused = self.refusals(vm, host);
                let answer = if refused.is_empty() {
                    Answer::Possible(self.difference(vm, host))
                } else {
                    Answer::Refused(refused)
                };
                (rank(&answer), host, answer)
            })
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let named = all.into_iter().take(most).map(|(_, host, answer)| {
            let home = host == view.vms[vm].home;
            (host, Alternative { host: view.hosts[host].id.clone(), home, answer })
        });
        named.collect()
    }

    /// Everything that keeps `vm` from ending on `host`, the hardest to change first.
    pub(crate) fn refusals(&self, vm: usize, host: usize) -> Vec<Refused> {
        let view = self.context.view;
        if self.scope.empties(host) {
            return vec![Refused::Emptied];
        }
        let home = view.vms[vm].home;
        let native = || (0..view.vms.len()).all(|o| self.end.place[o] != host || self.native(o));
        if host == home && native() {
            // It was there beside these before, whatever limits or rules that breaks.
            return Vec::new();
        }
        let mut all = Vec::new();
        if !view.up(host) && host != home {
            all.push(Refused::NotUp { state: view.hosts[host].host.state });
        }
        self.rules_against(vm, host, &mut all);
        self.room_against(vm, host, &mut all);
        if host != home {
            match self.context.costs.price(vm, home, host) {
                Price::Seconds(_) => {}
                Price::Stalls { converges, downtime_limit_needed } => {
                    all.push(Refused::Stalls { converges, downtime_limit_needed });
                }
                Price::Unknown(error) => {
                    all.push(Refused::Unpredictable { why: error.to_string() });
                }
            }
        }
        if all.is_empty() && host != home && !self.end.keeps(view, vm, host) {
            all.push(Refused::Unfit);
        }
        all
    }

    fn native(&self, vm: usize) -> bool {
        self.end.place[vm] == self.context.view.vms[vm].home
    }

    fn rules_against(&self, vm: usize, host: usize, all: &mut Vec<Refused>) {
        let (view, place) = (self.context.view, &self.end.place);
        if host != view.vms[vm].home
            && let Some(rule) = view.ban(vm, host)
        {
            all.push(Refused::Rule { rule: rule.to_owned(), with: None });
        }
        let name = |other: &usize| view.vms[*other].domain.vm.clone();
        if let Some(rule) = self.end.clash(view, vm, host) {
            let mut groups = view.vms[vm].apart.iter().map(|&group| &view.apart[group]);
            let there = groups.find(|group| group.name == rule).and_then(|group| {
                let same = |other: usize| group.place(other) == group.place(host);
                group.vms.iter().find(|&&other| other != vm && same(place[other]))
            });
            all.push(Refused::Rule { rule: rule.to_owned(), with: there.map(name) });
        }
        for &group in &view.vms[vm].together {
            let group = &view.together[group];
            let other = group.vms.iter().find(|&&other| other != vm);
            let whole = group.vms.iter().all(|&other| place[other] == place[vm]);
            if whole && other.is_some() {
                let there = other.map(name);
                all.push(Refused::Rule { rule: group.name.to_owned(), with: there });
            }
        }
    }

    fn room_against(&self, vm: usize, host: usize, all: &mut Vec<Refused>) {
        let limits = &self.context.view.hosts[host];
        let (memory, vcpus) = self.needed(vm, host);
        if memory > limits.memory_limit {
            let short = Bytes::new(memory.saturating_sub(limits.memory_limit));
            all.push(Refused::MemoryShort { short });
        }
        if vcpus as f64 > limits.vcpu_limit {
            all.push(Refused::VcpusShort { short: vcpus as f64 - limits.vcpu_limit });
        }
    }

    /// Memory in bytes and vCPUs of `host` with `vm` on it.
    pub(super) fn needed(&self, vm: usize, host: usize) -> (u64, u64) {
        let (memory, vcpus) = self.end.used(host);
        let one = &self.context.view.vms[vm];
        (memory.saturating_add(one.memory()), vcpus.saturating_add(one.vcpus()))
    }

    /// What the objective would change by with `vm` on `host`.
    pub(super) fn difference(&self, vm: usize, host: usize) -> Difference {
        let contention = self.context.contention;
        self.difference_under(contention, self.scope.price_factor, vm, host)
    }

    /// The same under another contention and price factor.
    pub(super) fn difference_under(
        &self,
        contention: &Contention,
        factor: f64,
        vm: usize,
        host: usize,
    ) -> Difference {
        let (view, at) = (self.context.view, self.end.place[vm]);
        let displaced = |host: usize| {
            let home = view.vms[vm].home;
            let other = self.scope.displaces(home);
            if other && host != home { DISPLACED_SECONDS } else { 0.0 }
        };
        let contention_seconds = contention.change(view, &self.end, vm, host);
        let price_seconds = factor * (self.seconds_to(vm, host) - self.seconds_to(vm, at));
        let rules_seconds = BROKEN_RULE_SECONDS * (self.broken(vm, host) - self.broken(vm, at))
            + (view.unwelcome(vm, host) - view.unwelcome(vm, at))
            + self.end.rule_change(view, vm, host);
        let displaced_seconds = displaced(host) - displaced(at);
        Difference {
            total_seconds: contention_seconds + price_seconds + rules_seconds + displaced_seconds,
            contention_seconds,
            price_seconds,
            rules_seconds,
            displaced_seconds,
        }
    }

    /// Guest-seconds of the move from home to `host`; none where that is home or has no price.
    pub(super) fn seconds_to(&self, vm: usize, host: usize) -> f64 {
        if host == self.context.view.vms[vm].home {
            return 0.0;
        }
        self.context.costs.seconds_to(vm, host).unwrap_or(0.0)
    }

    /// Hard rules of single VMs and hosts, and of VMs to keep on one host, that `vm` breaks by being
    /// on `host`, all others being where they end.
    fn broken(&self, vm: usize, host: usize) -> f64 {
        let (view, place) = (self.context.view, &self.end.place);
        let scattered = |&&group: &&usize| {
            let group = &view.together[group];
            let mut others = group.vms.iter().filter(|&&other| other != vm);
            let arriving = group.arriving.iter().any(|&there| there != host);
            others.any(|&other| place[other] != host) || arriving
        };
        let banned = usize::from(view.ban(vm, host).is_some());
        (banned + view.vms[vm].together.iter().filter(scattered).count()) as f64
    }

    /// The load of `host` now, at the end, and with `vm` on `other` instead of where it ends.
    pub(super) fn load(&self, host: usize, vm: usize, other: Option<usize>) -> HostLoad {
        let (view, contention) = (self.context.view, self.context.contention);
        let limits = &view.hosts[host];
        let at = |load: Load, memory: u64| LoadAt {
            cpu_cores: load.cpu,
            memory: Bytes::new(memory),
            contention_seconds: contention.at(limits, load),
        };
        let of = |occupancy: &Occupancy| (Load::of(view, occupancy, host), occupancy.used(host).0);
        let (load, memory) = of(&self.end);
        let otherwise = other.map(|other| {
            let one = Load::by(view, vm, host);
            let bytes = view.vms[vm].memory();
            if self.end.place[vm] == host {
                at(load.plus(one, -1.0), memory.saturating_sub(bytes))
            } else if other == host {
                at(load.plus(one, 1.0), memory.saturating_add(bytes))
            } else {
                at(load, memory)
            }
        });
        let (load_now, memory_now) = of(self.context.start);
        HostLoad {
            host: limits.id.clone(),
            cores: limits.cores,
            memory_limit: Bytes::new(limits.memory_limit),
            now: at(load_now, memory_now),
            planned: at(load, memory),
            otherwise,
        }
    }

    /// What the move of `vm` from home to `to` costs, taken apart; `None` where it has no price.
    pub(super) fn price(&self, vm: usize, to: usize) -> Option<MovePrice> {
        let (view, costs) = (self.context.view, self.context.costs);
        let answer = costs.predict(vm, view.vms[vm].home, to, 1);
        let prediction = answer.as_ref().as_ref().ok()?;
        let balance = &view.policy.balance;
        let busy_cores = view.vms[vm].demand_cores.max(1.0);
        let downtime = prediction.downtime.p50;
        let downtime_seconds = busy_cores * balance.downtime_weight * downtime.as_seconds_f64();
        Some(MovePrice {
            to: view.hosts[to].id.clone(),
            busy_cores,
            total_time: prediction.total_time.p50,
            downtime,
            migration_weight: balance.migration_weight,
            downtime_weight: balance.downtime_weight,
            // What is left of the price as it was weighed.
            brown_out_seconds: costs.seconds(vm, prediction) - downtime_seconds,
            downtime_seconds,
            factor: self.scope.price_factor,
        })
    }
}

/// What alternatives are sorted by: the difference, then refusals by how little is missing.
fn rank(answer: &Answer) -> f64 {
    const REFUSED: f64 = 1e30;
    match answer {
        Answer::Possible(by) => by.total_seconds,
        Answer::Refused(all) => {
            let least = match all.first() {
                Some(Refused::Stalls { .. }) => 1.0,
                Some(Refused::VcpusShort { .. }) => 2.0,
                Some(Refused::MemoryShort { short }) => 3.0 + short.as_f64() / 1e20,
                Some(Refused::Rule { .. }) => 4.0,
                Some(Refused::Unpredictable { .. } | Refused::Unfit) | None => 5.0,
                Some(Refused::NotUp { .. }) => 6.0,
                Some(Refused::Emptied) => 7.0,
            };
            REFUSED * (least + all.len() as f64 * 10.0)
        }
    }
}
