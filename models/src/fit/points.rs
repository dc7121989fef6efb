//! Readings merged into one point for each window, with its standard error.
//!
//! Refuses readings that cannot be: a window without length, more dirty than there is.

use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, Span},
};

use super::FitError;

/// Guest memory that one sample of QEMU's page sampling stands for: 512 samples a GiB
/// (`migration/dirtyrate.c`, default `sample-pages`).
pub const SAMPLE_STANDS_FOR: Bytes = Bytes::mib(2);

/// QEMU reports whole MiB/s.
pub(super) const RATE_STEP_BYTES_PER_SECOND: f64 = 1_048_576.0;

/// Windows closer than this factor are one window read several times.
const SAME_WINDOW: f64 = 1.1;

/// A reading older than the newest of its window by this much weighs half, in seconds.
const HALF_WEIGHT_SECONDS: f64 = 600.0;

/// One point of U(t), merged from the readings of one window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) window_seconds: f64,
    pub(super) unique_bytes: f64,
    pub(super) error_bytes: f64,
}

/// Standard error of a page-sampled reading. The number of dirty samples is binomial, one sample
/// stands for 2 MiB, and the rate is cut to whole MiB/s (a uniform error of 1/sqrt 12).
fn reading_error(reading: &DirtyReading, memory: Bytes) -> f64 {
    let sample = SAMPLE_STANDS_FOR.as_f64();
    // Half a sample at either end: no reading is certain.
    let dirty = reading.unique.as_f64().clamp(sample / 2.0, memory.as_f64().max(sample));
    let clean =
        (1.0 - dirty / memory.as_f64().max(1.0)).max(sample / 2.0 / memory.as_f64().max(1.0));
    let sampling = sample * dirty * clean;
    let step = reading.window.as_seconds_f64() * RATE_STEP_BYTES_PER_SECOND;
    (sampling + step * step / 12.0).sqrt()
}

/// One point for each window, by growing window.
pub(super) fn merged(readings: &[DirtyReading], memory: Bytes) -> Result<Vec<Point>, FitError> {
    let mut sorted: Vec<DirtyReading> = readings.to_vec();
    sorted.sort_by_key(|r| (r.window, r.measured_at, r.unique));
    for r in &sorted {
        if r.window == Span::ZERO {
            return Err(FitError::EmptyWindow);
        }
        // One rate step and one sample may come from rounding.
        let slack = r.window.as_seconds_f64() * RATE_STEP_BYTES_PER_SECOND;
        if r.unique.as_f64() > memory.as_f64() + slack + SAMPLE_STANDS_FOR.as_f64() {
            let DirtyReading { unique, window, .. } = *r;
            return Err(FitError::MoreThanMemory { unique, window, memory });
        }
    }
    let same = |a: &DirtyReading, b: &DirtyReading| {
        b.window.as_seconds_f64() < a.window.as_seconds_f64() * SAME_WINDOW
    };
    let points: Vec<Point> = sorted.chunk_by(same).map(|group| mean(group, memory)).collect();
    if points.is_empty() { Err(FitError::NoReadings) } else { Ok(points) }
}

/// The mean of readings of one window, newer ones weighing more.
fn mean(group: &[DirtyReading], memory: Bytes) -> Point {
    let newest = group.iter().map(|r| r.measured_at).max().unwrap_or_default();
    let (mut weights, mut window, mut unique, mut variance) = (0.0, 0.0, 0.0, 0.0);
    for r in group {
        let age = newest.since(r.measured_at).as_seconds_f64();
        let weight = (-age / HALF_WEIGHT_SECONDS).exp2();
        let error = reading_error(r, memory);
        weights += weight;
        window += weight * r.window.as_seconds_f64();
        unique += weight * r.unique.as_f64();
        variance += weight * weight * error * error;
    }
    Point {
        window_seconds: window / weights,
        unique_bytes: unique / weights,
        error_bytes: variance.sqrt() / weights,
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::units::Timestamp;

    use super::*;

    const MEMORY: Bytes = Bytes::mib(1024);

    fn reading(window_millis: u64, unique_mib: u64, at_seconds: u64) -> DirtyReading {
        DirtyReading {
            window: Span::from_millis(window_millis),
            unique: Bytes::mib(unique_mib),
            measured_at: Timestamp::from_micros(at_seconds * 1_000_000),
        }
    }

    #[test]
    fn the_error_is_that_of_binomial_samples_of_2_mib() {
        // 512 samples, a quarter of them dirty: 2 MiB x sqrt(512 x 1/4 x 3/4), and 1 MiB/sqrt 12.
        let error = reading_error(&reading(1000, 256, 0), MEMORY) / 1_048_576.0;
        assert!((error - (4.0 * 96.0 + 1.0 / 12.0f64).sqrt()).abs() < 1e-9, "{error}");
    }

    #[test]
    fn repeated_windows_become_one_point_with_less_error() {
        let once = merged(&[reading(1000, 100, 0)], MEMORY).unwrap();
        let twice = merged(&[reading(1010, 120, 0), reading(1000, 80, 0)], MEMORY).unwrap();
        assert_eq!((once.len(), twice.len()), (1, 1));
        assert!((twice[0].unique_bytes - once[0].unique_bytes).abs() < 1.0);
        assert!(twice[0].error_bytes < 0.75 * once[0].error_bytes);
    }

    #[test]
    fn newer_readings_weigh_more() {
        let point = merged(&[reading(1000, 0, 0), reading(1000, 90, 600)], MEMORY).unwrap()[0];
        assert!((point.unique_bytes - Bytes::mib(60).as_f64()).abs() < 1.0);
    }

    #[test]
    fn impossible_readings_are_refused() {
        assert_eq!(merged(&[], MEMORY), Err(FitError::NoReadings));
        assert_eq!(merged(&[reading(0, 1, 0)], MEMORY), Err(FitError::EmptyWindow));
        let fault = merged(&[reading(1000, 1030, 0)], MEMORY).unwrap_err().to_string();
        assert!(fault.contains("1030 MiB dirtied within 1 s"), "{fault}");
    }
}
