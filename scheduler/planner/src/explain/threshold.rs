//! From which value of the policy on the answer would be another.
//!
//! Gain factor and horizon weigh one term each, so their values are computed; the overload
//! threshold bends the contention itself, so its value is searched for on the real function, on a
//! grid first because more than the VM's own host depends on it, then by bisection. Limits and
//! rules are asked about on hosts that nothing else forbids. Each value is rounded to the side on
//! which the answer is another.
//!
//! All else is as planned: what others would do under such a policy is for a new plan to say, and
//! [`confirm`](super::confirm) asks for it.

use whimbrel_core::{policy::Balance, units::Share};

use super::{
    case::Case,
    value::{Alternative, Answer, Change, Key, Refused, Threshold},
};
use crate::{
    PlanRequest,
    contention::Contention,
    costs::{Costs, Price},
    scope::{broken_in, unwished_in},
    view::{Occupancy, View},
};

/// Gains below this, in guest-seconds, are rounding.
const GAIN_MIN_SECONDS: f64 = 1e-6;

/// Values of the overload threshold that are tried before the bisection.
const GRID: u32 = 40;

/// Halvings after that: finer than four digits.
const HALVINGS: u32 = 12;

/// Rules that are left out on trial, each in a view of its own.
const RULES_TRIED: usize = 3;

/// What alternatives are asked about.
type Alternatives<'a> = [(usize, Alternative)];

impl Case<'_> {
    /// Everything that alone would let `vm` end elsewhere.
    pub(super) fn thresholds(
        &self,
        request: &PlanRequest<'_>,
        vm: usize,
        alternatives: &Alternatives<'_>,
    ) -> Vec<Threshold> {
        if !self.scope.must_leave.is_empty() || self.context.view.vms[vm].held.is_some() {
            return Vec::new();
        }
        let possible: Vec<usize> = alternatives
            .iter()
            .filter_map(|(host, one)| matches!(one.answer, Answer::Possible(_)).then_some(*host))
            .collect();
        let overload = self.context.view.policy.balance.overload_above.get();
        let mut found = Vec::new();
        let works = self.anything_to_gain(overload);
        let better = |host: &usize| self.difference(vm, *host).total_seconds < -GAIN_MIN_SECONDS;
        if works && !possible.iter().any(better) {
            found.extend(self.gain_factor(vm, &possible));
            found.extend(self.horizon(vm, &possible));
        }
        found.extend(self.overload_above(vm, &possible));
        if works {
            found.extend(self.moves_max(vm, &possible));
            found.extend(self.memory_reserve(vm, alternatives));
            found.extend(self.cpu_overcommit(vm, alternatives));
            found.extend(self.downtime_limit(request, vm, alternatives));
            found.extend(self.without_rule(request, vm, alternatives));
        }
        found
    }

    fn threshold(&self, host: usize, key: Key, (now, at, below): (f64, f64, bool)) -> Threshold {
        let change = Change::Value { key, now, at, below };
        Threshold { change, host: self.context.view.hosts[host].id.clone(), confirmed: None }
    }

    /// Whether a balance looks at anything at all under this overload threshold.
    fn anything_to_gain(&self, overload: f64) -> bool {
        let (view, start) = (self.context.view, self.context.start);
        let (balance, ties) = (&view.policy.balance, Balance::default());
        balance.memory_evenness > ties.memory_evenness
            || balance.cpu_evenness > ties.cpu_evenness
            || (0..view.hosts.len())
                .any(|host| start.demand(host) > view.hosts[host].cores * overload)
            || broken_in(view, start) > 0
            || unwished_in(view, start) > 0.0
    }

    /// Price and everything else of `vm` on each of `hosts`, as the gain factor weighs them.
    fn gain_factor(&self, vm: usize, hosts: &[usize]) -> Option<Threshold> {
        let now = self.scope.price_factor;
        let terms = hosts.iter().map(|&host| {
            let by = self.difference(vm, host);
            (host, by.price_seconds / now, by.total_seconds - by.price_seconds)
        });
        let (host, at, below) = crossing(terms)?;
        let at = to_side(at, 1e3, below);
        let known = (1.0..=1000.0).contains(&at);
        known.then(|| self.threshold(host, Key::GainFactor, (now, at, below)))
    }

    /// Contention grows with the horizon, nothing else does.
    fn horizon(&self, vm: usize, hosts: &[usize]) -> Option<Threshold> {
        let now = self.context.view.policy.balance.horizon.as_seconds_f64();
        let terms = hosts.iter().map(|&host| {
            let by = self.difference(vm, host);
            (host, by.contention_seconds / now, by.total_seconds - by.contention_seconds)
        });
        let (host, at, below) = crossing(terms)?;
        let at = to_side(at, 1.0, below);
        let known = (1.0..=604_800.0).contains(&at);
        known.then(|| self.threshold(host, Key::Horizon, (now, at, below)))
    }

    /// Where `vm` would end under another overload threshold, if elsewhere.
    fn elsewhere(&self, vm: usize, hosts: &[usize], overload: f64) -> Option<usize> {
        let home = self.context.view.vms[vm].home;
        if !self.anything_to_gain(overload) {
            return (self.end.place[vm] != home).then_some(home);
        }
        let overload_above = Share::clamped(overload);
        let balance = Balance { overload_above, ..self.context.view.policy.balance.clone() };
        let contention = Contention::of(&balance);
        let factor = self.scope.price_factor;
        let total =
            |host: usize| self.difference_under(&contention, factor, vm, host).total_seconds;
        let all = hosts.iter().map(|&host| (total(host), host));
        let best = all.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        best.filter(|best| best.0 < -GAIN_MIN_SECONDS).map(|best| best.1)
    }

    /// The nearest overload threshold below the policy's at which a VM that stays would move, or
    /// above it at which one that moves would not.
    fn overload_above(&self, vm: usize, hosts: &[usize]) -> Option<Threshold> {
        let now = self.context.view.policy.balance.overload_above.get();
        if self.elsewhere(vm, hosts, now).is_some() {
            return None;
        }
        let below = self.end.place[vm] == self.context.view.vms[vm].home;
        let last = if below { 0.0 } else { 1.0 };
        let step = |k: u32| now + (last - now) * f64::from(k) / f64::from(GRID);
        let first = (1..=GRID).find(|&k| self.elsewhere(vm, hosts, step(k)).is_some())?;
        let (mut same, mut other) = (step(first - 1), step(first));
        for _ in 0..HALVINGS {
            let middle = f64::midpoint(same, other);
            match self.elsewhere(vm, hosts, middle) {
                Some(_) => other = middle,
                None => same = middle,
            }
        }
        let rounded = to_side(other, 1e4, below);
        let (at, host) = [rounded, other]
            .into_iter()
            .find_map(|at| Some((at, self.elsewhere(vm, hosts, at)?)))?;
        Some(self.threshold(host, Key::OverloadAbove, (now, at, below)))
    }

    fn moves_max(&self, vm: usize, hosts: &[usize]) -> Option<Threshold> {
        let limit = self.context.view.policy.limits.moves_max;
        let stays = self.end.place[vm] == self.context.view.vms[vm].home;
        let better = |&&host: &&usize| self.difference(vm, host).total_seconds < -GAIN_MIN_SECONDS;
        let host = *hosts.iter().find(better)?;
        let full = stays && self.moved >= limit as usize;
        let values = (f64::from(limit), self.moved as f64 + 1.0, false);
        full.then(|| self.threshold(host, Key::MovesMax, values))
    }

    /// Hosts that only one thing forbids and that would gain without it, the best first.
    fn only<'b>(
        &'b self,
        vm: usize,
        alternatives: &'b Alternatives<'_>,
    ) -> impl Iterator<Item = (usize, &'b Refused)> {
        let away = move |host: usize| host != self.context.view.vms[vm].home;
        let single = alternatives.iter().filter_map(move |(host, one)| match &one.answer {
            Answer::Refused(all) if all.len() == 1 && away(*host) => Some((*host, all.first()?)),
            _ => None,
        });
        single.filter(move |(host, refused)| {
            let by = self.difference(vm, *host);
            let broken = matches!(refused, Refused::Rule { .. });
            let rules = if broken { by.rules_seconds } else { 0.0 };
            by.total_seconds - rules < -GAIN_MIN_SECONDS
        })
    }

    /// The largest reserve under which a host takes it.
    fn memory_reserve(&self, vm: usize, alternatives: &Alternatives<'_>) -> Option<Threshold> {
        let view = self.context.view;
        if self.context.contention.memory().is_some() {
            // The reserve is then part of what memory costs, everywhere.
            return None;
        }
        let now = view.policy.limits.memory_reserve.get();
        let reserve = |host: usize| {
            let needed = self.needed(vm, host).0;
            let all = view.hosts[host].host.memory.as_f64();
            let at = to_side(1.0 - needed as f64 / all.max(1.0), 1e4, true);
            ((all * (1.0 - at)) as u64 >= needed && (0.0..now).contains(&at)).then_some((at, host))
        };
        let short = |refused: &Refused| matches!(refused, Refused::MemoryShort { .. });
        let hosts = self.only(vm, alternatives).filter(|one| short(one.1));
        let best = hosts.filter_map(|(host, _)| reserve(host)).max_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(at, host)| self.threshold(host, Key::MemoryReserve, (now, at, true)))
    }

    /// The smallest overcommit under which a host takes it.
    fn cpu_overcommit(&self, vm: usize, alternatives: &Alternatives<'_>) -> Option<Threshold> {
        let view = self.context.view;
        let now = view.policy.limits.cpu_overcommit;
        let overcommit = |host: usize| {
            let at = self.needed(vm, host).1 as f64 / view.hosts[host].cores;
            let at = to_side(at, 1e3, false);
            (0.1..=100.0).contains(&at).then_some((at, host))
        };
        let short = |refused: &Refused| matches!(refused, Refused::VcpusShort { .. });
        let hosts = self.only(vm, alternatives).filter(|one| short(one.1));
        let best =
            hosts.filter_map(|(host, _)| overcommit(host)).min_by(|a, b| a.0.total_cmp(&b.0));
        best.map(|(at, host)| self.threshold(host, Key::CpuOvercommit, (now, at, false)))
    }

    /// The downtime limit at which a migration to a host would end, if it pays then.
    fn downtime_limit(
        &self,
        request: &PlanRequest<'_>,
        vm: usize,
        alternatives: &Alternatives<'_>,
    ) -> Option<Threshold> {
        let (host, needed) = self.only(vm, alternatives).find_map(|(host, refused)| {
            let Refused::Stalls { downtime_limit_needed, .. } = refused else { return None };
            Some((host, (*downtime_limit_needed)?))
        })?;
        let now = request.policy.migration.downtime_limit;
        let at = to_side(needed.as_seconds_f64(), 1e3, false);
        let values = (now.as_seconds_f64(), at, false);
        let threshold = self.threshold(host, Key::DowntimeLimit, values);
        let policy = threshold.change.applied(request.policy);
        let changed = PlanRequest { policy: &policy, goal: request.goal.clone(), ..*request };
        let view = View::new(request.snapshot, &policy).ok()?;
        let home = view.vms.get(vm)?.home;
        match Costs::new(&view, &changed).price(vm, home, host) {
            Price::Seconds(seconds) => {
                let price = seconds * self.scope.price_factor;
                let total = self.difference(vm, host).total_seconds + price;
                (needed > now && total < -GAIN_MIN_SECONDS).then_some(threshold)
            }
            Price::Stalls { .. } | Price::Unknown(_) => None,
        }
    }

    /// A rule without which a host would take it and gain: held against a view without it, because
    /// a second rule may stand behind the one that was named.
    fn without_rule(
        &self,
        request: &PlanRequest<'_>,
        vm: usize,
        alternatives: &Alternatives<'_>,
    ) -> Option<Threshold> {
        let named = self.only(vm, alternatives).filter_map(|(host, refused)| match refused {
            Refused::Rule { rule, .. } => Some((host, Change::WithoutRule { rule: rule.clone() })),
            _ => None,
        });
        named.take(RULES_TRIED).find_map(|(host, change)| {
            let policy = change.applied(request.policy);
            let view = View::new(request.snapshot, &policy).ok()?;
            let end = Occupancy::new(&view, &self.end.place);
            let host_id = self.context.view.hosts[host].id.clone();
            end.keeps(&view, vm, host).then_some(Threshold {
                change,
                host: host_id,
                confirmed: None,
            })
        })
    }
}

/// Where the first of `terms`, each `weighed * x + rest`, falls below zero as x leaves its present
/// value, at which none of them is: the host, x, and whether below it.
fn crossing(terms: impl Iterator<Item = (usize, f64, f64)>) -> Option<(usize, f64, bool)> {
    let mut least: Option<(usize, f64)> = None;
    let mut most: Option<(usize, f64)> = None;
    for (host, weighed, rest) in terms {
        let at = (-GAIN_MIN_SECONDS - rest) / weighed;
        if !at.is_finite() || at <= 0.0 {
            continue;
        }
        if weighed > 0.0 && least.is_none_or(|(_, known)| at > known) {
            least = Some((host, at));
        }
        if weighed < 0.0 && most.is_none_or(|(_, known)| at < known) {
            most = Some((host, at));
        }
    }
    let below = least.map(|(host, at)| (host, at, true));
    below.or(most.map(|(host, at)| (host, at, false)))
}

/// `value` in steps of `1 / steps`, at or below it, or at or above it.
fn to_side(value: f64, steps: f64, below: bool) -> f64 {
    let scaled = value * steps;
    (if below { scaled.floor() } else { scaled.ceil() }) / steps
}
