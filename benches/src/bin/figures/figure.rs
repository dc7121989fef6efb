//! The headline figures: their names, units and targets, and the line that each becomes.
//!
//! What is to hold is written here and nowhere else.

use std::collections::BTreeMap;

use serde::Serialize;

/// Figures that are measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// CPU time and time on the clock of parts of the program, on made-up input.
    Timings,
    /// Predictions of guests that were never seen, against what was measured.
    Predictions,
    /// The simulator beside its peers, on public traces where they are.
    Simulation,
    /// The simulator beside real hosts, as they were recorded.
    Reality,
    /// The demonstration as a user runs it.
    Demo,
    /// Real hosts: needs root.
    Lab,
}

/// What a value must be to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    /// Nothing is promised.
    Open,
    /// Less than this.
    Below(f64),
    /// More than this.
    Above(f64),
    /// This, to two decimals.
    Exactly(f64),
    /// From the first to the second, both included.
    Within(f64, f64),
}

/// One headline figure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) target: Target,
    pub(crate) group: Group,
}

const fn figure(name: &'static str, unit: &'static str, target: Target, group: Group) -> Figure {
    Figure { name, unit, target, group }
}

/// Every headline figure, in the order of the table.
pub(crate) const FIGURES: [Figure; 49] = [
    figure("demo_seconds", "s", Target::Below(60.0), Group::Demo),
    figure("demo_peak_memory_mib", "MiB", Target::Open, Group::Demo),
    figure("lab_up_seconds", "s", Target::Below(30.0), Group::Lab),
    figure("lab_moves_lost", "guests", Target::Exactly(0.0), Group::Lab),
    figure("lab_moves_arrived_share", "of 1", Target::Exactly(1.0), Group::Lab),
    figure("collector_cpu_share", "of one core", Target::Below(0.02), Group::Lab),
    figure("collector_telemetry_bytes_per_second", "B/s", Target::Below(2000.0), Group::Lab),
    figure("time_ape_median", "of 1", Target::Below(0.05), Group::Predictions),
    figure("time_ape_p90", "of 1", Target::Below(0.12), Group::Predictions),
    figure("bytes_ape_median", "of 1", Target::Below(0.03), Group::Predictions),
    figure("bytes_ape_p90", "of 1", Target::Below(0.08), Group::Predictions),
    figure("false_converges_share", "of 1", Target::Below(0.01), Group::Predictions),
    figure("downtime_abs_error_p90_ms", "ms", Target::Below(50.0), Group::Predictions),
    figure("band95_coverage", "of 1", Target::Within(0.93, 0.97), Group::Predictions),
    figure("noise_floor_ratio", "times", Target::Below(1.5), Group::Predictions),
    figure(
        "collection_cycle_10000_vms_milliseconds",
        "ms CPU",
        Target::Below(500.0),
        Group::Timings,
    ),
    figure("planner_drain_milliseconds", "ms", Target::Open, Group::Timings),
    figure("planner_gap_1000_hosts", "of 1", Target::Below(0.01), Group::Timings),
    figure("planner_seconds_1000_hosts", "s CPU", Target::Below(10.0), Group::Timings),
    figure("evacuate_makespan_over_bound", "times", Target::Below(1.024), Group::Timings),
    figure("drain_40_over_best_fixed_worst", "times", Target::Within(0.0, 1.05), Group::Timings),
    figure("evacuate_seconds", "s CPU", Target::Below(10.0), Group::Timings),
    figure("planner_growth_exponent", "log-log", Target::Open, Group::Timings),
    figure("powersave_hosts_under_bound", "hosts", Target::Exactly(0.0), Group::Timings),
    figure("powersave_seconds_100_hosts", "s CPU", Target::Open, Group::Timings),
    figure("plans_alike_share", "of 1", Target::Open, Group::Timings),
    figure("place_p99_ms_1000_hosts", "ms", Target::Below(2.0), Group::Timings),
    figure("place_p99_ms_10000_hosts", "ms", Target::Below(20.0), Group::Timings),
    figure("capacity_seconds_100_hosts", "s CPU", Target::Below(1.0), Group::Timings),
    figure("predict_microseconds", "us", Target::Below(1000.0), Group::Timings),
    figure("mode_search_milliseconds", "ms", Target::Below(100.0), Group::Timings),
    figure("hbal_cpu_ratio_20_hosts", "times", Target::Above(100.0), Group::Timings),
    figure("hbal_score_ratio_20_hosts", "of 1", Target::Below(1.0), Group::Timings),
    figure("planetlab_energy_kwh", "kWh", Target::Exactly(163.48), Group::Simulation),
    figure("planetlab_migrations", "moves", Target::Exactly(27_859.0), Group::Simulation),
    figure("planetlab_lr_mmt_cpu_seconds", "s CPU", Target::Below(0.1), Group::Simulation),
    figure("simulate_100k_vms_seconds", "s CPU", Target::Below(120.0), Group::Simulation),
    figure("azure_replay_seconds", "s CPU", Target::Below(5.0), Group::Simulation),
    figure("balance_moved_back_within_hour", "moves", Target::Exactly(0.0), Group::Simulation),
    figure("balance_moves_per_vm_day", "moves", Target::Below(0.1), Group::Simulation),
    figure("balance_overload_over_best_peer", "times", Target::Within(0.0, 1.0), Group::Simulation),
    figure("migration_storm_microseconds", "us CPU", Target::Below(10.0), Group::Simulation),
    figure("simgrid_agreement_error", "of 1", Target::Below(0.001), Group::Simulation),
    figure("simulator_growth_exponent", "log-log", Target::Below(1.15), Group::Simulation),
    figure("events_per_second", "a CPU-s", Target::Above(3e6), Group::Simulation),
    figure("simulated_vs_real_time_ape_median", "of 1", Target::Below(0.06), Group::Reality),
    figure("simulated_vs_real_bytes_ape_median", "of 1", Target::Below(0.06), Group::Reality),
    figure("simulated_verdict_right_share", "of 1", Target::Above(0.98), Group::Reality),
    figure("concurrent_walltime_error", "of 1", Target::Below(0.1), Group::Reality),
];

impl Group {
    /// Those that disturb nobody first.
    pub(crate) const ALL: [Self; 6] =
        [Self::Timings, Self::Predictions, Self::Simulation, Self::Reality, Self::Demo, Self::Lab];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Timings => "timings",
            Self::Predictions => "predictions",
            Self::Simulation => "simulation",
            Self::Reality => "reality",
            Self::Demo => "demo",
            Self::Lab => "lab",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name() == name)
    }
}

/// Values that were found so far, by the names of their figures.
#[derive(Debug, Default)]
pub(crate) struct Found(BTreeMap<&'static str, f64>);

impl Found {
    pub(crate) fn put(&mut self, name: &'static str, value: f64) {
        self.0.insert(name, value);
    }

    pub(crate) fn get(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied().filter(|value| value.is_finite())
    }
}

/// One figure with its value, as it is printed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Line {
    pub(crate) figure: &'static str,
    /// To three significant digits, or two decimals where it is to be exact; null when it was not measured.
    pub(crate) value: Option<f64>,
    pub(crate) unit: &'static str,
    /// Null when nothing is promised.
    pub(crate) target: Option<String>,
    /// Null when there is no target or no value.
    pub(crate) holds: Option<bool>,
    /// What measures it again, in the root of the workspace.
    pub(crate) command: String,
    /// Why there is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

impl Figure {
    /// Its line for `value`, or with the `reason` for having none.
    pub(crate) fn line(&self, value: Option<f64>, reason: &str, command: &str) -> Line {
        let value = value.map(|value| match self.target {
            Target::Exactly(_) => (value * 100.0).round() / 100.0,
            _ => rounded(value),
        });
        Line {
            figure: self.name,
            value,
            unit: self.unit,
            target: self.target.text(),
            holds: value.and_then(|value| self.target.holds(value)),
            command: command.to_owned(),
            reason: value.is_none().then(|| reason.to_owned()),
        }
    }
}

impl Line {
    /// Whether it was measured and misses no target.
    pub(crate) fn is_well(&self) -> bool {
        self.value.is_some() && self.holds != Some(false)
    }
}

impl Target {
    fn text(self) -> Option<String> {
        match self {
            Self::Open => None,
            Self::Below(limit) => Some(format!("< {limit}")),
            Self::Above(limit) => Some(format!("> {limit}")),
            Self::Exactly(wanted) => Some(format!("= {wanted}")),
            Self::Within(low, high) => Some(format!("{low}..{high}")),
        }
    }

    fn holds(self, value: f64) -> Option<bool> {
        match self {
            Self::Open => None,
            Self::Below(limit) => Some(value < limit),
            Self::Above(limit) => Some(value > limit),
            Self::Exactly(wanted) => Some((value - wanted).abs() < 5e-4),
            Self::Within(low, high) => Some((low..=high).contains(&value)),
        }
    }
}

/// To three significant digits: more are not repeatable.
fn rounded(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(target: Target, value: Option<f64>) -> Line {
        figure("x", "s", target, Group::Demo).line(value, "no root", "again")
    }

    #[test]
    fn a_line_holds_misses_or_says_why_not() {
        let held = line(Target::Below(60.0), Some(12.3456));
        assert_eq!((held.holds, held.is_well()), (Some(true), true));
        assert_eq!(
            serde_json::to_string(&held).unwrap(),
            r#"{"figure":"x","value":12.3,"unit":"s","target":"< 60","holds":true,"command":"again"}"#
        );
        let missed = line(Target::Exactly(1.0), Some(0.99));
        assert_eq!((missed.holds, missed.is_well()), (Some(false), false));
        let within = line(Target::Within(0.93, 0.97), Some(0.95));
        assert_eq!((within.holds, within.target.as_deref()), (Some(true), Some("0.93..0.97")));
        assert_eq!(line(Target::Within(0.93, 0.97), Some(0.98)).holds, Some(false));
        let open = line(Target::Open, Some(123_456.0));
        assert_eq!((open.value, open.holds, open.is_well()), (Some(123_000.0), None, true));
        let absent = line(Target::Below(1.0), None);
        assert_eq!((absent.holds, absent.is_well()), (None, false));
        assert_eq!(absent.reason.as_deref(), Some("no root"));
    }

    #[test]
    fn every_figure_has_a_name_of_its_own_and_nonsense_is_no_value() {
        let names: std::collections::BTreeSet<_> = FIGURES.iter().map(|f| f.name).collect();
        assert_eq!(names.len(), FIGURES.len());
        let mut found = Found::default();
        found.put("x", f64::NAN);
        assert_eq!(found.get("x"), None);
    }
}
