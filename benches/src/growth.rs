//! How the simulator's and the planner's cost grows: CPU time at rising sizes, and the slope of each
//! curve.
//!
//! A curve is drawn in logarithms: its slope there is the exponent of the power of the size that
//! the cost grows with. n log n is no power; over a curve's sizes its slope is somewhat above 1,
//! and is told with the curve's own.
//!
//! Making the input is not timed. Never here: what is measured (`subjects`, `planner`), or pictures.

use std::error::Error;

use crate::cpu_time;

mod demand;
mod planner;
mod subjects;

pub use planner::PLANNER;
pub use subjects::{SUBJECTS, Subject};

/// Every size is measured again until that took so many seconds together, a large one once. The
/// least counts, as others' work on the machine only adds.
const ENOUGH: f64 = 0.5;

/// CPU time is counted in hundredths of a second: what is shorter is done several times in a row,
/// for so many seconds.
const ROUND_LEAST: f64 = 0.15;

/// Most repetitions in a row.
const TIMES_MAX: f64 = 1000.0;

/// What is added to a cost must be this part of it to be told from noise.
const ADDED_LEAST: f64 = 0.2;

/// What one size costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Hosts, migrations or what the subject counts.
    pub size: u32,
    /// CPU time of one run.
    pub seconds: f64,
}

/// What a subject costs at all of its sizes.
#[derive(Debug, Clone)]
pub struct Curve {
    /// What was measured.
    pub subject: &'static Subject,
    /// By rising size.
    pub points: Vec<Point>,
}

impl Curve {
    /// The exponent of its growth; none where a cost was too small to be measured. Where the cost
    /// without any of what is counted is known, the exponent is of what they add, over the sizes at
    /// which that is [`ADDED_LEAST`] of it or more.
    pub fn exponent(&self) -> Option<f64> {
        let without = self.without().unwrap_or(0.0);
        let added = self.sized().map(|point| (f64::from(point.size), point.seconds - without));
        slope(added.filter(|(_, added)| *added >= ADDED_LEAST * without))
    }

    /// Points of sizes that have a logarithm.
    pub fn sized(&self) -> impl Iterator<Item = &Point> + Clone {
        self.points.iter().filter(|point| point.size > 0)
    }

    /// The cost without any of what is counted, where that was measured.
    pub fn without(&self) -> Option<f64> {
        self.points.iter().find(|point| point.size == 0).map(|point| point.seconds)
    }

    /// What the exponent of n log n is over the same sizes.
    pub fn exponent_of_n_log_n(&self) -> Option<f64> {
        let n = self.sized().map(|point| f64::from(point.size));
        slope(n.map(|n| (n, n * n.ln())))
    }
}

/// Measures `subject` at all of its sizes.
///
/// # Errors
/// What the simulator or the planner has against the input, or the lack of a count of CPU time.
pub fn measure(subject: &'static Subject) -> Result<Curve, Box<dyn Error>> {
    let mut points = Vec::new();
    for size in subject.sizes {
        let work = (subject.prepare)(*size)?;
        let once = cpu_time::seconds_each(1, &work)?;
        let times = (ROUND_LEAST / once.max(1e-3)).ceil().clamp(1.0, TIMES_MAX);
        let mut seconds = if times > 1.0 { f64::INFINITY } else { once };
        for _ in 0..(ENOUGH / (times * once).max(ROUND_LEAST)) as u32 {
            seconds = seconds.min(cpu_time::seconds_each(times as u32, &work)?);
        }
        points.push(Point { size: *size, seconds });
    }
    Ok(Curve { subject, points })
}

/// Slope of the straight line through the logarithms of `points`, by least squares; none for fewer
/// than two sizes, or where one has no logarithm.
fn slope(points: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points.map(|(x, y)| (x.ln(), y.ln())).collect();
    let count = logs.len() as f64;
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let across: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let along: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    Some(across / along).filter(|slope| slope.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exponent(cost: impl Fn(f64) -> f64) -> Option<f64> {
        let point = |size| Point { size, seconds: cost(f64::from(size)) };
        let points = vec![point(1000), point(3000), point(20_000)];
        Curve { subject: &SUBJECTS[0], points }.exponent()
    }

    #[test]
    fn the_slope_is_the_exponent_of_a_power() {
        for power in [0.5, 1.0, 2.0] {
            let found = exponent(|n| 3e-6 * n.powf(power)).unwrap();
            assert!((found - power).abs() < 1e-9, "{found}");
        }
        let found = exponent(|n| n * n.ln()).unwrap();
        assert!((1.1..1.15).contains(&found), "{found}");
        assert_eq!(exponent(|_| 0.0), None, "nothing was measured");
        let points = [0, 10, 1000, 10_000, 100_000]
            .map(|size| Point { size, seconds: 2.0 + 1e-3 * f64::from(size) });
        let curve = Curve { subject: &SUBJECTS[0], points: points.to_vec() };
        assert!((curve.exponent().unwrap() - 1.0).abs() < 1e-9, "what is added counts");
        assert_eq!(slope([(2.0, 3.0)].into_iter()), None, "one point has no slope");
    }

    #[test]
    fn every_subject_can_be_run_at_its_least_size() {
        for subject in SUBJECTS.iter().chain(&PLANNER) {
            assert!(subject.sizes.windows(2).all(|pair| pair[0] < pair[1]), "{}", subject.name);
            (subject.prepare)(subject.sizes[0]).unwrap()().unwrap();
        }
    }
}
