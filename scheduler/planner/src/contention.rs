//! What load on a host costs its guests: a convex, piecewise-linear function of CPU demand and of
//! memory.
//!
//! Unit: guest-seconds of slow-down over the policy's horizon, where one guest-second is one busy
//! vCPU that waits for one second. With utilisation u = demand / cores, the part m of the memory
//! that guests may have and the policy's threshold T, a host of C cores costs
//! `C * horizon * (g(u) + memory_evenness * m^2 / 2)` with
//!
//! `g(u) = cpu_evenness * u^2 / 2 + max(0, u - T)^2 / (2 (1 - T))`
//!
//! Its slope is the part of one more core-second of demand that somebody waits: none at T, all of
//! it at u = 1, where the host has nothing left to give, and more than all of it beyond, because
//! every newcomer also delays the others. Convex, as waiting times in a queue are (Kleinrock,
//! Queueing Systems I, 1975, M/M/1: u / (1 - u)), but finite at u = 1, so that overload can be
//! compared with overload. A sum over hosts and not the hottest one: relieving the second hottest
//! counts too, and no coefficient depends on how many hosts there are.
//!
//! The function is replaced by chords between a few points: exact there, above it in between. The
//! solver's model, the bound and the report use the same chords.

use whimbrel_core::policy::Balance;

use crate::view::{HostView, Occupancy, View};

/// Least width of the ramp from the threshold to full use, for thresholds near 1.
const RAMP_MIN: f64 = 0.05;

/// Straight pieces below the threshold. Few while evenness only decides between targets that are
/// equal otherwise; more where it is what the policy asks for, or hosts would stay uneven uncharged.
const STEPS_FEW: u32 = 2;
const STEPS_MANY: u32 = 16;

/// Evenness from which on there are many pieces.
const EVENNESS_ASKED_FOR: f64 = 0.01;

/// The function for one policy.
#[derive(Debug, Clone)]
pub(crate) struct Contention {
    cpu: Curve,
    /// Absent where memory need not be even.
    memory: Option<Curve>,
}

/// The largest of several lines in a share of a host.
#[derive(Debug, Clone)]
pub(crate) struct Curve {
    lines: Vec<Line>,
    /// Shares between which the lines hold, from 0 on; the last line holds to infinity.
    points: Vec<f64>,
}

/// `slope * load_cores + intercept * cores`, in guest-seconds over the horizon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) slope: f64,
    pub(crate) intercept: f64,
}

/// Load of a host in cores: its CPU demand, and its memory as the part that guests may have, times
/// its cores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Load {
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
}

impl Load {
    /// Of `host` in `occupancy`.
    pub(crate) fn of(view: &View<'_>, occupancy: &Occupancy, host: usize) -> Self {
        let memory = view.hosts[host].memory_as_cores(occupancy.used(host).0);
        Self { cpu: occupancy.demand(host), memory }
    }

    /// What `vm` would add on `host`.
    pub(crate) fn by(view: &View<'_>, vm: usize, host: usize) -> Self {
        let one = &view.vms[vm];
        Self { cpu: one.demand_cores, memory: view.hosts[host].memory_as_cores(one.memory()) }
    }

    /// With `times` as much of `other`.
    pub(crate) fn plus(self, other: Self, times: f64) -> Self {
        Self { cpu: self.cpu + times * other.cpu, memory: self.memory + times * other.memory }
    }
}

impl Contention {
    /// For the policy of `view`.
    pub(crate) fn new(view: &View<'_>) -> Self {
        Self::of(&view.policy.balance)
    }

    /// For `balance`.
    pub(crate) fn of(balance: &Balance) -> Self {
        let horizon = balance.horizon.as_seconds_f64();
        let even = balance.memory_evenness.get();
        Self {
            cpu: Curve::of(balance.overload_above.get(), balance.cpu_evenness.get(), horizon),
            memory: (even > 0.0).then(|| Curve::of(f64::INFINITY, even, horizon)),
        }
    }

    /// What CPU demand costs.
    pub(crate) fn cpu(&self) -> &Curve {
        &self.cpu
    }

    /// What memory costs, where it costs anything.
    pub(crate) fn memory(&self) -> Option<&Curve> {
        self.memory.as_ref()
    }

    /// Straight pieces that the load of a host is charged by.
    pub(crate) fn pieces(&self) -> usize {
        let memory = self.memory.as_ref().map_or(0, |curve| curve.lines.len());
        self.cpu.lines.len() + memory
    }

    /// Guest-seconds of slow-down on `host` under `load`, 0 or more.
    pub(crate) fn at(&self, host: &HostView<'_>, load: Load) -> f64 {
        self.with(host.cores, load)
    }

    /// Guest-seconds of slow-down on a host of `cores` under `load`, 0 or more.
    pub(crate) fn with(&self, cores: f64, load: Load) -> f64 {
        let memory = self.memory.as_ref().map_or(0.0, |curve| curve.at(load.memory, cores));
        self.cpu.at(load.cpu, cores) + memory
    }

    /// Summed over all hosts.
    pub(crate) fn total(&self, view: &View<'_>, occupancy: &Occupancy) -> f64 {
        let load = |host| self.at(&view.hosts[host], Load::of(view, occupancy, host));
        (0..view.hosts.len()).map(load).sum()
    }

    /// Change of the cost of `host` when `vm` comes (`times` 1) or goes (`times` -1).
    pub(crate) fn change_at(
        &self,
        view: &View<'_>,
        occupancy: &Occupancy,
        vm: usize,
        (host, times): (usize, f64),
    ) -> f64 {
        let (before, one) = (Load::of(view, occupancy, host), Load::by(view, vm, host));
        let limits = &view.hosts[host];
        self.at(limits, before.plus(one, times)) - self.at(limits, before)
    }

    /// Change of the sum when `vm` goes from where it is to `to`; below 0 is a gain.
    pub(crate) fn change(&self, view: &View<'_>, now: &Occupancy, vm: usize, to: usize) -> f64 {
        self.change_at(view, now, vm, (now.place[vm], -1.0))
            + self.change_at(view, now, vm, (to, 1.0))
    }
}

impl Curve {
    fn of(threshold: f64, evenness: f64, horizon_seconds: f64) -> Self {
        let ramp = if threshold.is_finite() { (1.0 - threshold).max(RAMP_MIN) } else { 1.0 };
        let value = |u: f64| {
            let over = (u - threshold).max(0.0);
            evenness * u * u / 2.0 + over * over / (2.0 * ramp)
        };
        let steps = if evenness < EVENNESS_ASKED_FOR { STEPS_FEW } else { STEPS_MANY };
        let top = threshold.min(1.0);
        let mut points: Vec<f64> = [0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0]
            .into_iter()
            .filter(|_| threshold.is_finite())
            .map(|k| threshold + k * ramp)
            .collect();
        points.extend((0..=steps).map(|k| top * f64::from(k) / f64::from(steps)));
        points.sort_by(f64::total_cmp);
        points.dedup_by(|next, before| *next - *before < 1e-3);
        let line = |pair: &[f64]| {
            let (left, right) = (pair.first()?, pair.last()?);
            let slope = (value(*right) - value(*left)) / (right - left);
            let intercept = value(*left) - slope * left;
            Some(Line { slope: slope * horizon_seconds, intercept: intercept * horizon_seconds })
        };
        Self { lines: points.windows(2).filter_map(line).collect(), points }
    }

    /// The lines; the function is the largest of them.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Each line's slope with the width of the share of a host where it is the largest, in rising
    /// order; the last has no end. Added up from the left they are the function.
    pub(crate) fn segments(&self) -> impl Iterator<Item = (f64, f64)> {
        let last = self.lines.len().saturating_sub(1);
        self.lines.iter().zip(self.points.windows(2)).enumerate().map(move |(at, (line, pair))| {
            let width = pair.last().zip(pair.first()).map_or(0.0, |(right, left)| right - left);
            (line.slope, if at == last { f64::INFINITY } else { width })
        })
    }

    /// Guest-seconds under `load_cores` on a host of `cores`, 0 or more.
    pub(crate) fn at(&self, load_cores: f64, cores: f64) -> f64 {
        let above = |point: &f64| point * cores <= load_cores;
        // The lines meet at the points, so the one of the right interval is the largest.
        let interval = self.points.partition_point(above).clamp(1, self.lines.len().max(1)) - 1;
        self.lines
            .get(interval)
            .map_or(0.0, |line| (line.slope * load_cores + line.intercept * cores).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curves() -> Vec<Curve> {
        let thresholds = [0.0, 0.3, 0.7, 0.99, 1.0, f64::INFINITY];
        let evenness = [0.0, 1e-4, 0.5];
        let all = thresholds.into_iter().flat_map(|t| evenness.map(|even| (t, even)));
        all.map(|(threshold, even)| Curve::of(threshold, even, 3600.0)).collect()
    }

    #[test]
    fn grows_and_is_convex() {
        for curve in curves() {
            let values: Vec<f64> =
                (0..400).map(|step| curve.at(f64::from(step) * 0.1, 10.0)).collect();
            let slopes: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(slopes.iter().all(|slope| *slope >= 0.0));
            assert!(slopes.windows(2).all(|pair| pair[1] >= pair[0] - 1e-6));
        }
    }

    #[test]
    fn it_is_the_largest_of_its_lines_and_the_sum_of_its_segments() {
        for curve in curves() {
            for step in 0..300 {
                let load = f64::from(step) * 0.17;
                let at = curve.at(load, 10.0);
                let lines = curve.lines().iter();
                let largest =
                    lines.map(|l| l.slope * load + l.intercept * 10.0).fold(0.0, f64::max);
                assert!((at - largest).abs() < 1e-6, "{at} {largest}");
                let mut left = load;
                let mut sum = curve.at(0.0, 10.0);
                for (slope, width) in curve.segments() {
                    let part = left.min(width * 10.0);
                    sum += slope * part;
                    left -= part;
                }
                assert!((at - sum).abs() < 1e-6, "{at} {sum}");
            }
        }
    }

    #[test]
    fn a_full_host_delays_every_further_core() {
        let curve = Curve::of(0.7, 1e-4, 3600.0);
        let slope_at_full = (curve.at(10.05, 10.0) - curve.at(9.95, 10.0)) / 0.1;
        assert!((0.8..1.3).contains(&(slope_at_full / 3600.0)), "{slope_at_full}");
        assert!(curve.at(7.0, 10.0) < 2.0);
        assert!(curve.at(1.0, 0.0) > 3600.0);
    }
}
