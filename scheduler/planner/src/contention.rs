//! What load on a host costs its guests: a convex, piecewise-linear function of CPU demand.
//!
//! Unit: guest-seconds of slow-down over the policy's horizon, where one guest-second is one busy
//! vCPU that waits for one second. With utilisation u = demand / cores and the policy's threshold
//! T, a host of C cores costs `C * horizon * g(u)` with
//!
//! `g(u) = SPREAD * u^2 / 2 + max(0, u - T)^2 / (2 (1 - T))`
//!
//! Its slope is the part of one more core-second of demand that somebody waits: none at T, all of
//! it at u = 1, where the host has nothing left to give, and more than all of it beyond, because
//! every newcomer also delays the others. Convex, as waiting times in a queue are (Kleinrock,
//! Queueing Systems I, 1975, M/M/1: u / (1 - u)), but finite at u = 1, so that overload can be
//! compared with overload. The function is replaced by chords between a few points: exact there,
//! above it in between. The solver's model and the report use the same chords.

use crate::view::View;

/// Weight of evenness below the threshold. So small that it never pays for a move (half a
/// guest-second an hour for each core moved from a full to an empty host); it only decides between
/// targets that are equal otherwise.
const SPREAD: f64 = 1e-4;

/// Least width of the ramp from the threshold to full use, for thresholds near 1.
const RAMP_MIN: f64 = 0.05;

/// The function for one policy.
pub(crate) struct Contention {
    lines: Vec<Line>,
}

/// `slope * demand_cores + intercept * cores`, in guest-seconds over the horizon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line {
    pub(crate) slope: f64,
    pub(crate) intercept: f64,
}

impl Contention {
    /// For the policy of `view`.
    pub(crate) fn new(view: &View<'_>) -> Self {
        let balance = &view.policy.balance;
        Self::of(balance.overload_above.get(), balance.horizon.as_seconds_f64())
    }

    fn of(threshold: f64, horizon_seconds: f64) -> Self {
        let ramp = (1.0 - threshold).max(RAMP_MIN);
        let value = |u: f64| {
            let over = (u - threshold).max(0.0);
            SPREAD * u * u / 2.0 + over * over / (2.0 * ramp)
        };
        let mut points = vec![0.0, threshold / 2.0];
        points.extend([0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.0].map(|k| threshold + k * ramp));
        points.dedup_by(|next, before| *next - *before < 1e-9);
        let line = |pair: &[f64]| {
            let (left, right) = (pair.first()?, pair.last()?);
            let slope = (value(*right) - value(*left)) / (right - left);
            let intercept = value(*left) - slope * left;
            Some(Line { slope: slope * horizon_seconds, intercept: intercept * horizon_seconds })
        };
        Self { lines: points.windows(2).filter_map(line).collect() }
    }

    /// The chords; the function is the largest of them.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Guest-seconds of slow-down on a host of `cores` with `demand_cores`, 0 or more.
    pub(crate) fn at(&self, demand_cores: f64, cores: f64) -> f64 {
        self.lines
            .iter()
            .map(|line| line.slope * demand_cores + line.intercept * cores)
            .fold(0.0, f64::max)
    }

    /// Summed over all hosts under `place`.
    pub(crate) fn total(&self, view: &View<'_>, place: &[usize]) -> f64 {
        let demands = view.demands(place);
        view.hosts.iter().zip(demands).map(|(host, demand)| self.at(demand, host.cores)).sum()
    }

    /// Change of the sum when `demand_cores` leave a host for another, each given as its demand
    /// before and its cores; below 0 is a gain.
    pub(crate) fn change(&self, demand_cores: f64, from: (f64, f64), to: (f64, f64)) -> f64 {
        self.at(from.0 - demand_cores, from.1) - self.at(from.0, from.1)
            + self.at(to.0 + demand_cores, to.1)
            - self.at(to.0, to.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_and_is_convex() {
        for threshold in [0.0, 0.3, 0.7, 0.99, 1.0] {
            let contention = Contention::of(threshold, 3600.0);
            let values: Vec<f64> =
                (0..400).map(|step| contention.at(f64::from(step) * 0.1, 10.0)).collect();
            let slopes: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
            assert!(slopes.iter().all(|slope| *slope >= 0.0), "{threshold}");
            assert!(slopes.windows(2).all(|pair| pair[1] >= pair[0] - 1e-6), "{threshold}");
        }
    }

    #[test]
    fn a_full_host_delays_every_further_core() {
        let contention = Contention::of(0.7, 3600.0);
        let slope_at_full = (contention.at(10.05, 10.0) - contention.at(9.95, 10.0)) / 0.1;
        assert!((0.8..1.3).contains(&(slope_at_full / 3600.0)), "{slope_at_full}");
        assert!(contention.at(7.0, 10.0) < 2.0);
        assert!(contention.at(1.0, 0.0) > 3600.0);
    }
}
