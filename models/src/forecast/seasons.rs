//! Seasons of a regular grid by autocorrelation, as in cycle detection for migrations (Baruchi,
//! Midorikawa, Sato: "Reducing virtual machine live migration overhead via workload analysis",
//! 2015): the lag at which the series resembles itself best, and the day where it is covered.

/// A lag must correlate by this much to be a season.
const CORRELATION_MIN: f64 = 0.25;

/// A shorter lag is taken when it correlates by this part of the best.
const NEARLY: f64 = 0.9;

const DAY_SECONDS: f64 = 86_400.0;

/// Seasons in cells of the grid `cells`, the clearest first, none twice; at most two.
pub(super) fn seasons(cells: &[f64], step_seconds: f64) -> Vec<usize> {
    let mut found: Vec<usize> = by_correlation(cells).into_iter().collect();
    let day = (DAY_SECONDS / step_seconds).round() as usize;
    if day >= 4 && cells.len() >= 2 * day && found.iter().all(|s| s.abs_diff(day) * 20 > day) {
        found.push(day);
    }
    found
}

/// The shortest peak of the autocorrelation that is nearly as high as the highest.
fn by_correlation(cells: &[f64]) -> Option<usize> {
    let correlations = correlations(cells);
    let at = |lag: usize| correlations.get(lag).copied();
    let peaks: Vec<(usize, f64)> = (2..correlations.len().saturating_sub(1))
        .filter_map(|lag| Some((lag, at(lag - 1)?, at(lag)?, at(lag + 1)?)))
        .filter(|(_, before, here, after)| here > before && here >= after)
        .map(|(lag, _, here, _)| (lag, here))
        .collect();
    let best = peaks.iter().map(|(_, c)| *c).max_by(f64::total_cmp)?;
    let enough = (best * NEARLY).max(CORRELATION_MIN);
    peaks.into_iter().find(|(_, c)| *c >= enough).map(|(lag, _)| lag)
}

/// Autocorrelation at every lag up to half the length, of what a straight line leaves.
fn correlations(cells: &[f64]) -> Vec<f64> {
    let n = cells.len() as f64;
    let middle = (n - 1.0) / 2.0;
    let mean = cells.iter().sum::<f64>() / n.max(1.0);
    let away = |at: usize| at as f64 - middle;
    let along: f64 = cells.iter().enumerate().map(|(at, c)| away(at) * (c - mean)).sum();
    let length: f64 = (0..cells.len()).map(|at| away(at).powi(2)).sum();
    let slope = if length > 0.0 { along / length } else { 0.0 };
    let left: Vec<f64> =
        cells.iter().enumerate().map(|(at, c)| c - mean - slope * away(at)).collect();
    let power: f64 = left.iter().map(|l| l * l).sum();
    if power <= n * mean * mean * 1e-18 {
        return Vec::new();
    }
    let lagged = |lag: usize| -> f64 {
        let pairs = left.iter().zip(left.iter().skip(lag));
        pairs.map(|(a, b)| a * b).sum::<f64>() / power * n / (n - lag as f64)
    };
    (0..=cells.len() / 2).map(lagged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seasons_are_found_and_straight_lines_have_none() {
        let wave: Vec<f64> =
            (0..120).map(|k| 5.0 + (f64::from(k) / 17.0 * std::f64::consts::TAU).sin()).collect();
        assert_eq!(seasons(&wave, 1.0), [17]);
        let line: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(seasons(&line, 1.0), Vec::<usize>::new());
        assert_eq!(seasons(&[1.0; 50], 1.0), Vec::<usize>::new());
        assert_eq!(seasons(&[1.0; 48], 3600.0), [24]);
        assert_eq!(seasons(&[], 1.0), Vec::<usize>::new());
    }
}
