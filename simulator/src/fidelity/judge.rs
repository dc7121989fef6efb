//! How far simulated endings are from recorded ones.

use super::{Case, Ending};

/// Errors of a group of cases. Relative errors are parts of what was recorded, 0 and more; lower is
/// better. Times, bytes and downtimes are compared where the guest arrived in both worlds; where
/// it did in none of them, the errors are 0 and `arrived` says so.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Errors {
    /// Cases.
    pub cases: usize,
    /// Cases that arrived in both worlds.
    pub arrived: usize,
    /// Part of the cases whose verdict is right, 0..=1; higher is better.
    pub verdict_right: f64,
    /// Median and nine-tenths quantile of the error of the total time.
    pub time: [f64; 2],
    /// The same of the bytes on the wire.
    pub bytes: [f64; 2],
    /// The same of the downtime.
    pub downtime: [f64; 2],
    /// The same of the downtime in milliseconds: parts of short downtimes say little.
    pub downtime_millis: [f64; 2],
}

/// Compares `endings` with what was recorded of `cases`, in the same order.
pub fn judge<'a>(pairs: impl IntoIterator<Item = (&'a Case, &'a Ending)>) -> Errors {
    let mut errors = Errors::default();
    let (mut right, mut lists) = (0_usize, [const { Vec::new() }; 4]);
    for (case, simulated) in pairs {
        let recorded = &case.recorded;
        errors.cases += 1;
        right += usize::from(recorded.arrived == simulated.arrived);
        if !(recorded.arrived && simulated.arrived) {
            continue;
        }
        let seconds = |ending: &Ending| ending.total_time.as_seconds_f64();
        let millis = |ending: &Ending| ending.downtime.as_seconds_f64() * 1e3;
        let [time, bytes, downtime, off] = &mut lists;
        time.push(relative(seconds(simulated), seconds(recorded)));
        bytes.push(relative(simulated.transferred.as_f64(), recorded.transferred.as_f64()));
        downtime.push(relative(millis(simulated), millis(recorded)));
        off.push((millis(simulated) - millis(recorded)).abs());
    }
    let [time, bytes, downtime, off] = lists;
    errors.arrived = time.len();
    errors.verdict_right = right as f64 / errors.cases.max(1) as f64;
    errors.time = quantiles(time);
    errors.bytes = quantiles(bytes);
    errors.downtime = quantiles(downtime);
    errors.downtime_millis = quantiles(off);
    errors
}

/// Part of what was recorded by which the simulated value is off; of nothing, everything.
fn relative(simulated: f64, recorded: f64) -> f64 {
    if recorded > 0.0 { (simulated / recorded - 1.0).abs() } else { 1.0 }
}

/// Median and nine-tenths quantile; 0 of nothing.
fn quantiles(mut values: Vec<f64>) -> [f64; 2] {
    values.sort_by(f64::total_cmp);
    [0.5, 0.9].map(|part: f64| {
        let at = (values.len().saturating_sub(1) as f64 * part).round() as usize;
        values.get(at).copied().unwrap_or(0.0)
    })
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::{Bytes, Span};

    use super::*;
    use crate::fidelity::tests::case;

    fn ending(seconds: u64, mib: u64, millis: u64) -> Ending {
        Ending {
            arrived: true,
            total_time: Span::from_seconds(seconds),
            transferred: Bytes::mib(mib),
            downtime: Span::from_millis(millis),
            ..Ending::default()
        }
    }

    #[test]
    fn errors_are_parts_of_what_was_recorded() {
        let recorded = Case { recorded: ending(10, 100, 20), ..case("rate=0 ws=8") };
        let failed = Case { recorded: Ending::default(), ..recorded.clone() };
        let [near, far] = [ending(11, 100, 30), ending(5, 150, 20)];
        let errors = judge([(&recorded, &near), (&failed, &near), (&recorded, &far)]);
        assert_eq!((errors.cases, errors.arrived), (3, 2));
        assert!((errors.verdict_right - 2.0 / 3.0).abs() < 1e-9);
        assert!((errors.time[1] - 0.5).abs() < 1e-9);
        assert!((errors.bytes[1] - 0.5).abs() < 1e-9);
        assert!((errors.downtime[1] - 0.5).abs() < 1e-9);
        assert!((errors.downtime_millis[1] - 10.0).abs() < 1e-9);
        assert_eq!(judge([]), Errors { cases: 0, ..Errors::default() });
        let nothing = judge([(&failed, &near)]);
        assert_eq!((nothing.arrived, nothing.time), (0, [0.0, 0.0]));
    }
}
