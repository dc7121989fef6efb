//! Dirty readings: the ones that can be, corrected for rounding, with their standard errors.
//!
//! QEMU's page sampling (`migration/dirtyrate.c`) hashes 512 pages a GiB twice and reports whole
//! MiB/s, cut: on the average half a step is lost, and a reading of 0 means 0 to 1 MiB/s.
//! Never uses a reading that cannot be: a window without length, more dirty than there is.

use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, Span, Timestamp},
};

use super::{
    fit::FitError,
    points::{Point, weighted_mean},
};

/// Guest memory that one sample of QEMU's page sampling stands for: 512 samples a GiB
/// (`migration/dirtyrate.c`, default `sample-pages`).
pub const SAMPLE_STANDS_FOR: Bytes = Bytes::mib(2);

/// QEMU reports whole MiB/s.
pub(super) const RATE_STEP_BYTES_PER_SECOND: f64 = 1_048_576.0;

/// Windows closer than this factor are one window read several times.
const SAME_WINDOW: f64 = 1.1;

/// A reading older than the newest of its window by this much weighs half, in seconds.
pub(super) const HALF_WEIGHT_SECONDS: f64 = 600.0;

/// One reading made ready for arithmetic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Read {
    pub(super) at: Timestamp,
    pub(super) point: Point,
    /// The part of the error that comes from rounding, in bytes: the same rate is always rounded
    /// the same way, so repeating the reading does not lessen it.
    rounding_bytes: f64,
}

impl Read {
    /// The same reading at `factor` times the level.
    pub(super) fn scaled(self, factor: f64) -> Self {
        let rounding_bytes = self.rounding_bytes * factor;
        Self { point: self.point.scaled(factor), rounding_bytes, ..self }
    }

    fn new(reading: &DirtyReading, memory: Bytes) -> Option<Self> {
        let window = reading.window.as_seconds_f64();
        let step = RATE_STEP_BYTES_PER_SECOND * window;
        let memory = memory.as_f64().max(SAMPLE_STANDS_FOR.as_f64());
        let unique = (reading.unique.as_f64() + step / 2.0).min(memory);
        let sampling = sampling_error(unique, memory);
        let rounding_bytes = step.min(memory) / 12f64.sqrt();
        let point = Point::new(window, unique, sampling.hypot(rounding_bytes))?;
        Some(Self { at: reading.measured_at, point, rounding_bytes })
    }
}

/// Standard error of `unique` bytes found by page sampling: the number of dirty samples is
/// binomial, and half a sample at either end is never certain.
fn sampling_error(unique: f64, memory: f64) -> f64 {
    let half = SAMPLE_STANDS_FOR.as_f64() / 2.0;
    let dirty = unique.clamp(half, memory);
    let clean = (1.0 - dirty / memory).max(half / memory);
    (SAMPLE_STANDS_FOR.as_f64() * dirty * clean).sqrt()
}

/// The usable ones of `readings`, by growing window, then time.
///
/// # Errors
/// [`FitError`] when there are some and none is usable: says what is wrong with the newest.
pub(super) fn usable(readings: &[DirtyReading], memory: Bytes) -> Result<Vec<Read>, FitError> {
    let mut sorted: Vec<DirtyReading> = readings.to_vec();
    sorted.sort_by_key(|r| (r.window, r.measured_at, r.unique));
    let reads: Vec<Read> = sorted
        .iter()
        .filter(|r| fault(r, memory).is_none())
        .filter_map(|r| Read::new(r, memory))
        .collect();
    let newest = sorted.iter().max_by_key(|r| r.measured_at);
    match newest.and_then(|r| fault(r, memory)) {
        Some(fault) if reads.is_empty() => Err(fault),
        _ => Ok(reads),
    }
}

/// Why `reading` cannot be.
fn fault(reading: &DirtyReading, memory: Bytes) -> Option<FitError> {
    let DirtyReading { unique, window, .. } = *reading;
    if window == Span::ZERO {
        return Some(FitError::EmptyWindow);
    }
    // One rate step and one sample may come from rounding.
    let slack = window.as_seconds_f64() * RATE_STEP_BYTES_PER_SECOND;
    let most = memory.as_f64() + slack + SAMPLE_STANDS_FOR.as_f64();
    (unique.as_f64() > most).then_some(FitError::MoreThanMemory { unique, window, memory })
}

/// One point for each window, by growing window. `spread` is the one of the level from reading to
/// reading, a standard deviation of its logarithm.
pub(super) fn merged(reads: &[Read], spread: f64) -> Vec<Point> {
    let same = |a: &Read, b: &Read| b.point.window_seconds < a.point.window_seconds * SAME_WINDOW;
    reads.chunk_by(same).filter_map(|group| mean(group, spread)).collect()
}

/// The mean of readings of one window, newer ones weighing more.
fn mean(group: &[Read], spread: f64) -> Option<Point> {
    let newest = group.iter().map(|r| r.at).max()?;
    let (mut weights, mut window, mut unique) = (0.0, 0.0, 0.0);
    let (mut variance, mut rounding) = (0.0, 0.0);
    for read in group {
        let age = newest.since(read.at).as_seconds_f64();
        let weight = (-age / HALF_WEIGHT_SECONDS).exp2();
        let error = read.point.error_bytes.hypot(spread * read.point.unique_bytes);
        weights += weight;
        window += weight * read.point.window_seconds;
        unique += weight * read.point.unique_bytes;
        variance += weight * weight * error * error;
        rounding += weight * read.rounding_bytes;
    }
    // Where chance moves readings over more than a step, roundings differ and the mean is better
    // than one; otherwise all were cut alike.
    let error = (variance.sqrt() / weights).max(rounding / weights);
    Point::new(window / weights, unique / weights, error)
}

/// Standard error of the level that `points` show together, of its logarithm; 1 of nothing.
pub(super) fn level_error(points: &[Point]) -> f64 {
    weighted_mean(points.iter().map(|p| (0.0, p.relative_error()))).map_or(1.0, |(_, error)| error)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMORY: Bytes = Bytes::mib(1024);

    fn reading(window_millis: u64, unique_mib: u64, at_seconds: u64) -> DirtyReading {
        DirtyReading {
            window: Span::from_millis(window_millis),
            unique: Bytes::mib(unique_mib),
            measured_at: Timestamp::from_micros(at_seconds * 1_000_000),
        }
    }

    fn points(readings: &[DirtyReading]) -> Vec<Point> {
        merged(&usable(readings, MEMORY).unwrap(), 0.0)
    }

    #[test]
    fn a_reading_is_raised_by_half_a_step_and_its_error_is_binomial() {
        let point = points(&[reading(1000, 256, 0)])[0];
        assert!((point.unique_bytes / 1_048_576.0 - 256.5).abs() < 1e-9);
        // 512 samples, a quarter of them dirty: 2 MiB x sqrt(512 x 1/4 x 3/4), and 1 MiB/sqrt 12.
        let error = point.error_bytes / 1_048_576.0;
        assert!((error - (4.0 * 96.0 + 1.0 / 12.0f64).sqrt()).abs() < 0.05, "{error}");
    }

    #[test]
    fn zeros_mean_up_to_a_step_however_often_repeated() {
        let readings: Vec<_> = (0..20).map(|at| reading(8000, 0, at)).collect();
        let point = points(&readings)[0];
        assert!((point.unique_bytes / 1_048_576.0 - 4.0).abs() < 1e-9, "{point:?}");
        assert!(point.error_bytes / 1_048_576.0 > 2.3, "{point:?}");
    }

    #[test]
    fn repeated_windows_become_one_point_with_less_error() {
        let once = points(&[reading(1000, 100, 0)]);
        let twice = points(&[reading(1010, 120, 0), reading(1000, 80, 0)]);
        assert_eq!((once.len(), twice.len()), (1, 1));
        assert!((twice[0].unique_bytes - once[0].unique_bytes).abs() < 1e4);
        assert!(twice[0].error_bytes < 0.75 * once[0].error_bytes);
    }

    #[test]
    fn newer_readings_weigh_more() {
        let point = points(&[reading(1000, 0, 0), reading(1000, 90, 600)])[0];
        assert!((point.unique_bytes / 1_048_576.0 - 60.5).abs() < 1e-6);
    }

    #[test]
    fn impossible_readings_are_left_out_and_refused_when_alone() {
        assert_eq!(usable(&[], MEMORY), Ok(Vec::new()));
        assert_eq!(usable(&[reading(0, 1, 0)], MEMORY), Err(FitError::EmptyWindow));
        let fault = usable(&[reading(1000, 1030, 0)], MEMORY).unwrap_err().to_string();
        assert!(fault.contains("1030 MiB dirtied within 1 s"), "{fault}");
        assert_eq!(points(&[reading(1000, 1030, 0), reading(1000, 7, 1)]).len(), 1);
    }
}
