//! The phase of short cycles, from irregular windows: a harmonic regression over the best period.
//!
//! A window of length w shows the mean over it, which flattens a harmonic of frequency f by
//! sin(pi f w) / (pi f w). The regression has that factor in its columns, so the fitted wave is
//! the level itself and not its blurred image. The period is scanned as in a Lomb-Scargle
//! periodogram with a floating mean (Zechmeister and Kuerster, 2009): every frequency that the
//! series can tell apart, least squares for each. How many harmonics, and whether there is a
//! cycle at all, is decided by the Bayesian information criterion (Schwarz, 1978).
//!
//! Never finds a period that was not seen for more than once and a quarter.

use std::f64::consts::{PI, TAU};

use super::series::{Point, reach_seconds};

/// Harmonics at most: enough to tell a square wave's edges apart from its middle.
const HARMONICS_MAX: usize = 3;

/// Samples that a scan looks at, the newest.
const SCANNED_MAX: usize = 512;

/// Frequencies tried for each that the reach of the series can tell apart.
const OVERSAMPLING: f64 = 5.0;

/// A period must fit into the series this often.
const TURNS_MIN: f64 = 1.25;

/// Peaks of the scan that are looked at closely.
const PEAKS: usize = 5;

/// Halvings of the frequency step around a peak.
const REFINEMENTS: u32 = 7;

/// By how much a longer period must do better: very strong evidence (Kass and Raftery, 1995).
const EVIDENCE: f64 = 10.0;

/// Periods within this factor are one.
const SAME_PERIOD: f64 = 1.2;

/// Ridge against columns that the windows have flattened to nothing, relative to the diagonal.
const RIDGE: f64 = 1e-3;

/// A periodic level.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wave {
    pub(super) period_seconds: f64,
    mean: f64,
    /// Cosine and sine of each harmonic; phase 0 is at the last sample.
    terms: Vec<(f64, f64)>,
}

impl Wave {
    /// Mean over `window_seconds` around `ahead_seconds` after the last sample.
    pub(super) fn mean_at(&self, ahead_seconds: f64, window_seconds: f64) -> f64 {
        let columns =
            columns(ahead_seconds, window_seconds, 1.0 / self.period_seconds, self.terms.len());
        self.mean
            + self.terms.iter().zip(columns).map(|((a, b), (c, s))| a * c + b * s).sum::<f64>()
    }

    /// The best wave through `points`, or at `period_seconds` if it is known; `None` where no
    /// cycle is better than none.
    pub(super) fn fit(points: &[Point], period_seconds: Option<f64>) -> Option<Self> {
        let points = points.get(points.len().saturating_sub(SCANNED_MAX)..)?;
        let frequencies = match period_seconds {
            Some(period) => vec![1.0 / period],
            None => scan(points),
        };
        let tries = frequencies.len().max(1);
        let none = criterion(spread(points), points.len(), 1, 1);
        let fits: Vec<(Self, f64)> = frequencies
            .iter()
            .flat_map(|f| (1..=HARMONICS_MAX).map(move |harmonics| (*f, harmonics)))
            .filter_map(|(f, harmonics)| {
                let (wave, misfit) = regress(points, f, harmonics)?;
                let free = 2 * harmonics + 1 + usize::from(period_seconds.is_none());
                Some((wave, criterion(misfit, points.len(), free, tries)))
            })
            .filter(|(_, score)| *score < none)
            .collect();
        let best = fits.iter().map(|(_, score)| *score).min_by(f64::total_cmp)?;
        // Two turns of a wave are a wave of twice the period, and fit noise better.
        let by_period = |a: &Self, b: &Self| a.period_seconds.total_cmp(&b.period_seconds);
        let near = fits.iter().filter(|(_, score)| *score < best + EVIDENCE).map(|(wave, _)| wave);
        let period = near.min_by(|a, b| by_period(a, b))?.period_seconds;
        let same = |wave: &Self| wave.period_seconds < period * SAME_PERIOD;
        fits.into_iter()
            .filter(|(wave, _)| same(wave))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(wave, _)| wave)
    }
}

/// Promising frequencies in hertz, the best first: peaks of a scan with one harmonic, refined,
/// and their halves, for a wave whose second harmonic is the strongest.
fn scan(points: &[Point]) -> Vec<f64> {
    let reach = reach_seconds(points);
    let gap = reach / (points.len().saturating_sub(1)).max(1) as f64;
    if !(reach > 0.0 && gap > 0.0) {
        return Vec::new();
    }
    let lowest = TURNS_MIN / reach;
    let step = 1.0 / (OVERSAMPLING * reach);
    // Two samples a turn, as of a regular series; irregular ones could tell more, at some risk.
    let count = ((0.5 / gap - lowest) / step).max(0.0) as usize + 1;
    let misfit = |f: f64| regress(points, f, 1).map_or(f64::INFINITY, |(_, misfit)| misfit);
    let scanned: Vec<f64> = (0..count).map(|k| misfit(lowest + step * k as f64)).collect();
    let lower = |k: usize, other: Option<&f64>| other.is_none_or(|o| scanned[k] <= *o);
    let mut peaks: Vec<usize> = (0..count)
        .filter(|&k| lower(k, k.checked_sub(1).and_then(|b| scanned.get(b))))
        .filter(|&k| lower(k, scanned.get(k + 1)))
        .collect();
    peaks.sort_by(|a, b| scanned[*a].total_cmp(&scanned[*b]));
    peaks.truncate(PEAKS);
    let refined = peaks.into_iter().map(|k| {
        let mut best = (lowest + step * k as f64, scanned[k]);
        let mut around = step;
        for _ in 0..REFINEMENTS {
            around /= 2.0;
            for f in [best.0 - around, best.0 + around] {
                let found = misfit(f);
                if f >= lowest && found < best.1 {
                    best = (f, found);
                }
            }
        }
        best.0
    });
    refined
        .flat_map(|f| [Some(f), Some(f / 2.0).filter(|half| *half >= lowest)])
        .flatten()
        .collect()
}

/// Bayesian information criterion with the look-elsewhere penalty of `tries` frequencies.
fn criterion(misfit: f64, samples: usize, free: usize, tries: usize) -> f64 {
    let n = samples as f64;
    n * (misfit / n).max(f64::MIN_POSITIVE).ln() + free as f64 * n.ln() + 2.0 * (tries as f64).ln()
}

/// Sum of squares around the mean.
fn spread(points: &[Point]) -> f64 {
    let mean = points.iter().map(|p| p.value).sum::<f64>() / points.len().max(1) as f64;
    points.iter().map(|p| (p.value - mean).powi(2)).sum()
}

/// Cosine and sine of every harmonic as a window of `window` seconds around `at` shows them.
fn columns(at: f64, window: f64, hertz: f64, harmonics: usize) -> impl Iterator<Item = (f64, f64)> {
    (1..=harmonics).map(move |k| {
        let f = hertz * k as f64;
        let half = PI * f * window;
        let seen = if half.abs() < 1e-9 { 1.0 } else { half.sin() / half };
        let (sine, cosine) = (TAU * f * at).sin_cos();
        (seen * cosine, seen * sine)
    })
}

/// Least squares of `harmonics` at `hertz`, with the sum of squared misfits.
fn regress(points: &[Point], hertz: f64, harmonics: usize) -> Option<(Wave, f64)> {
    const SIZE: usize = 2 * HARMONICS_MAX + 1;
    let used = 2 * harmonics + 1;
    if points.len() < used + 2 || !hertz.is_finite() || hertz <= 0.0 {
        return None;
    }
    let last = points.last()?.seconds;
    let mut normal = [[0.0; SIZE]; SIZE];
    let mut right = [0.0; SIZE];
    let mut squares = 0.0;
    for p in points {
        let mut row = [0.0; SIZE];
        row[0] = 1.0;
        for (k, (c, s)) in columns(p.seconds - last, p.window_seconds, hertz, harmonics).enumerate()
        {
            row[2 * k + 1] = c;
            row[2 * k + 2] = s;
        }
        for i in 0..used {
            right[i] += row[i] * p.value;
            for j in 0..used {
                normal[i][j] += row[i] * row[j];
            }
        }
        squares += p.value * p.value;
    }
    for (i, row) in normal.iter_mut().enumerate().take(used).skip(1) {
        row[i] += RIDGE * points.len() as f64;
    }
    let weights = solve(normal, right, used)?;
    let explained: f64 = (0..used).map(|i| weights[i] * right[i]).sum();
    let terms = (0..harmonics).map(|k| (weights[2 * k + 1], weights[2 * k + 2])).collect();
    let wave = Wave { period_seconds: 1.0 / hertz, mean: weights[0], terms };
    Some((wave, (squares - explained).max(squares * 1e-12)))
}

/// Gaussian elimination with pivoting of the leading `used` rows; `None` if they are singular.
fn solve<const N: usize>(
    mut matrix: [[f64; N]; N],
    mut right: [f64; N],
    used: usize,
) -> Option<[f64; N]> {
    for column in 0..used {
        let pivot = (column..used)
            .max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))?;
        if matrix[pivot][column].abs() < 1e-12 {
            return None;
        }
        matrix.swap(column, pivot);
        right.swap(column, pivot);
        for row in column + 1..used {
            let factor = matrix[row][column] / matrix[column][column];
            let above = matrix[column];
            for (cell, from) in matrix[row].iter_mut().zip(above).take(used).skip(column) {
                *cell -= factor * from;
            }
            right[row] -= factor * right[column];
        }
    }
    let mut solution = [0.0; N];
    for row in (0..used).rev() {
        let known: f64 = (row + 1..used).map(|c| matrix[row][c] * solution[c]).sum();
        solution[row] = (right[row] - known) / matrix[row][row];
    }
    solution.iter().all(|w| w.is_finite()).then_some(solution)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::curve::draws::Draws;

    /// Mean of 1 + 0.6 sin(tau t / period) over windows of 4..8 s, one after the other with short
    /// pauses, with noise of 5 % of the mean.
    fn windows(period: f64, turns: f64, phase: f64, seed: u64) -> Vec<Point> {
        let mut draws = Draws::new(seed);
        let mut points = Vec::new();
        let mut at = 0.0;
        while at < period * turns {
            let window = 6.0 + 2.0 * draws.normal().clamp(-1.0, 1.0);
            let integral = |t: f64| -(TAU * (t / period + phase)).cos() * period / TAU;
            let mean = 1.0 + 0.6 * (integral(at + window) - integral(at)) / window;
            let value = mean + 0.05 * draws.normal();
            points.push(Point { seconds: at + window / 2.0, window_seconds: window, value });
            at += window + 0.5 * draws.normal().abs();
        }
        points
    }

    /// Where the wave rises through its mean fastest, in turns of the true period, against the truth.
    fn phase_error(points: &[Point], wave: &Wave, period: f64, phase: f64) -> f64 {
        let last = points.last().unwrap().seconds;
        let grid = |level: &dyn Fn(f64) -> f64| {
            let (mut c, mut s) = (0.0, 0.0);
            for k in 0..400 {
                let t = period * f64::from(k) / 400.0;
                c += level(t) * (TAU * t / period).cos();
                s += level(t) * (TAU * t / period).sin();
            }
            s.atan2(c) / TAU
        };
        let error = grid(&|t| wave.mean_at(t, 0.0))
            - grid(&|t| 1.0 + 0.6 * (TAU * ((t + last) / period + phase)).sin());
        (error - error.round()).abs()
    }

    proptest! {
        #![proptest_config(ProptestConfig { rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn phase_of_a_known_period_after_two_and_a_half_turns(
            period in 30.0..600.0f64, phase in 0.0..1.0f64, seed in 0u64..1000,
        ) {
            let points = windows(period, 2.5, phase, seed);
            let wave = Wave::fit(&points, Some(period)).unwrap();
            let error = phase_error(&points, &wave, period, phase);
            prop_assert!(error < 0.1, "{error} of {period} s");
        }

        #[test]
        fn an_unknown_period_is_found_with_its_phase(
            period in 40.0..600.0f64, phase in 0.0..1.0f64, seed in 0u64..1000,
        ) {
            let points = windows(period, 4.0, phase, seed);
            let wave = Wave::fit(&points, None).unwrap();
            prop_assert!((wave.period_seconds / period - 1.0).abs() < 0.1, "{}", wave.period_seconds);
            let error = phase_error(&points, &wave, period, phase);
            prop_assert!(error < 0.1, "{error} of {period} s");
        }
    }

    #[test]
    fn noise_is_no_cycle() {
        let mut draws = Draws::new(3);
        let mut found = 0;
        for _ in 0..20 {
            let points: Vec<Point> = (0..60)
                .map(|k| Point {
                    seconds: f64::from(k) * 6.0,
                    window_seconds: 5.0,
                    value: 1.0 + 0.1 * draws.normal(),
                })
                .collect();
            found += usize::from(Wave::fit(&points, None).is_some());
        }
        assert!(found <= 2, "{found} of 20");
    }
}
