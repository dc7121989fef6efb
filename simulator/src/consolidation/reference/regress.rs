//! How much of each of some series the others explain: coefficients of determination of linear
//! regressions.
//!
//! Guests that ask for the same all the time make the problem singular but for rounding, and the
//! reference takes what rounding leaves. So this is Householder's decomposition with the same
//! operations on each number, in the same order, as in Apache Commons Math 3.0 (`QRDecomposition`,
//! `OLSMultipleLinearRegression`, `SecondMoment`), which the reference uses. What regressions have in
//! common is done once. Never here: which guest leaves.

/// Columns of numbers, stored by row.
#[derive(Debug, Clone, Default)]
struct Table {
    width: usize,
    cells: Vec<f64>,
    /// The diagonal, as far as columns are reflected.
    diagonal: Vec<f64>,
    /// A number for each column, used by each reflection.
    along: Vec<f64>,
}

/// The coefficient of determination of each series by a constant and all others. All are of one
/// length. `None` where there are too few values, or where one series is explained to the last bit
/// by those before it.
pub(super) fn explained(series: &[Vec<f64>]) -> Option<Vec<f64>> {
    let values = series.first()?.len();
    if series.len() < 2 || series.len() > values {
        return None;
    }
    // The constant and the series before the one that is explained are the same in each regression,
    // and so are their reflections.
    let mut common = Table::of(series, values);
    let mut own = Table::default();
    let mut parts = Vec::with_capacity(series.len());
    for (at, explained) in series.iter().enumerate() {
        common.reflect(at)?;
        own.copy_with_last(&common, at + 1);
        for column in at + 1..series.len() {
            own.reflect(column)?;
        }
        let weights = own.solve();
        let constant = weights.first().copied().unwrap_or_default();
        let others = series.iter().enumerate().filter(|(other, _)| *other != at);
        let mut fitted = vec![constant; values];
        for ((_, column), weight) in others.zip(weights.iter().skip(1)) {
            for (fitted, value) in fitted.iter_mut().zip(column) {
                *fitted += value * weight;
            }
        }
        let distances = explained.iter().zip(&fitted).map(|(value, fitted)| value - fitted);
        let residual = distances.fold(0.0, |sum, distance| sum + distance * distance);
        parts.push(1.0 - residual / second_moment(explained));
    }
    Some(parts)
}

impl Table {
    /// Ones, then `series`.
    fn of(series: &[Vec<f64>], values: usize) -> Self {
        let width = series.len() + 1;
        let mut cells = Vec::with_capacity(width * values);
        for row in 0..values {
            cells.push(1.0);
            cells.extend(series.iter().map(|column| column[row]));
        }
        Self { width, cells, diagonal: Vec::new(), along: vec![0.0; width] }
    }

    /// Becomes `other` with its column `moved` at the end.
    fn copy_with_last(&mut self, other: &Self, moved: usize) {
        self.width = other.width;
        self.cells.clone_from(&other.cells);
        self.diagonal.clone_from(&other.diagonal);
        self.along.clone_from(&other.along);
        for row in self.cells.chunks_exact_mut(other.width) {
            row[moved..].rotate_left(1);
        }
    }

    /// Reflects the columns from `minor` on so that this one is 0 below the diagonal. What is
    /// reflected along stays in it. `None` where it is 0 already.
    fn reflect(&mut self, minor: usize) -> Option<()> {
        let Self { width, cells, diagonal, along } = self;
        let rows = &mut cells[minor * *width..];
        let first = rows[minor];
        let squares = rows.chunks_exact(*width).map(|row| row[minor] * row[minor]);
        let norm = squares.fold(0.0, |sum, square| sum + square).sqrt();
        let a = if first > 0.0 { -norm } else { norm };
        if a == 0.0 {
            return None;
        }
        diagonal.push(a);
        rows[minor] -= a;
        let scale = a * rows[minor];
        let along = &mut along[minor + 1..];
        along.fill(0.0);
        for row in rows.chunks_exact(*width) {
            let (own, later) = (row[minor], &row[minor + 1..]);
            for (along, value) in along.iter_mut().zip(later) {
                *along -= value * own;
            }
        }
        for along in &mut *along {
            *along /= scale;
        }
        for row in rows.chunks_exact_mut(*width) {
            let (before, later) = row.split_at_mut(minor + 1);
            for (value, along) in later.iter_mut().zip(&*along) {
                *value -= along * before[minor];
            }
        }
        Some(())
    }

    /// Weights of all columns but the last with which they come closest to the last.
    fn solve(&self) -> Vec<f64> {
        let cell = |row: usize, column: usize| self.cells[row * self.width + column];
        let last = self.width - 1;
        let mut weights: Vec<f64> = (0..last).map(|row| cell(row, last)).collect();
        for at in (0..last).rev() {
            weights[at] /= self.diagonal[at];
            let weight = weights[at];
            for (row, value) in weights.iter_mut().take(at).enumerate() {
                *value -= weight * cell(row, at);
            }
        }
        weights
    }
}

/// Sum of squared distances from the mean, as values come.
fn second_moment(series: &[f64]) -> f64 {
    let (mut mean, mut moment) = (0.0, 0.0);
    for (before, value) in series.iter().enumerate() {
        let distance: f64 = value - mean;
        let part = distance / (before as f64 + 1.0);
        mean += part;
        moment += before as f64 * distance * part;
    }
    moment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_sum_is_explained_whole() {
        let (a, b) = (vec![1.0, 2.0, 4.0, 3.0, 7.0], vec![5.0, 1.0, 0.0, 2.0, 2.0]);
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 2.0 * a - b + 3.0).collect();
        for part in explained(&[a, b, sum]).unwrap() {
            assert!((part - 1.0).abs() < 1e-12, "{part}");
        }
    }

    #[test]
    fn with_one_other_it_is_the_square_of_the_correlation() {
        // Products of distances from the means sum to 9, squares to 10 and 10.
        let series = [vec![1.0, 2.0, 3.0, 4.0, 5.0], vec![2.0, 4.0, 3.0, 5.0, 6.0]];
        for part in explained(&series).unwrap() {
            assert!((part - 0.81).abs() < 1e-12, "{part}");
        }
    }

    #[test]
    fn what_nobody_follows_is_not_explained() {
        let series = [vec![1.0, -1.0, 1.0, -1.0], vec![1.0, 1.0, -1.0, -1.0]];
        for part in explained(&series).unwrap() {
            assert!(part.abs() < 1e-12, "{part}");
        }
    }

    #[test]
    fn too_few_values_and_repeated_series_explain_nothing() {
        let few = [vec![1.0, 2.0], vec![1.0, 3.0], vec![2.0, 5.0]];
        assert_eq!(explained(&few), None);
        assert_eq!(explained(&few[..1]), None);
        assert_eq!(explained(&[]), None);
        assert_eq!(explained(&[vec![1.0, 2.0, 4.0], vec![0.0; 3]]), None);
    }
}
