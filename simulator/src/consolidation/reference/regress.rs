//! How much of one series others explain: the coefficient of determination of a linear regression.
//!
//! Guests that ask for the same all the time make the problem singular but for rounding, and the
//! reference takes what rounding leaves. So this is Householder's decomposition with the operations
//! in the order of Apache Commons Math 3.0 (`QRDecomposition`, `OLSMultipleLinearRegression`,
//! `SecondMoment`), which the reference uses.

/// The coefficient of determination of `series` by a constant and `others`, each as long as
/// `series`. `None` where there are too few values, or where one of them is explained to the last
/// bit by those before it.
pub(super) fn explained<'a>(
    series: &[f64],
    others: impl Iterator<Item = &'a [f64]>,
) -> Option<f64> {
    let constant = vec![1.0; series.len()];
    let columns: Vec<Vec<f64>> =
        std::iter::once(constant).chain(others.map(<[f64]>::to_vec)).collect();
    if columns.len() < 2 || columns.len() > series.len() {
        return None;
    }
    let mut reflected = columns.clone();
    let diagonal = reflect(&mut reflected);
    if diagonal.contains(&0.0) {
        return None;
    }
    let weights = solve(&reflected, &diagonal, series);
    let mut residual = 0.0;
    for (row, value) in series.iter().enumerate() {
        let fitted = columns
            .iter()
            .zip(&weights)
            .fold(0.0, |sum, (column, weight)| sum + column[row] * weight);
        residual += (value - fitted) * (value - fitted);
    }
    Some(1.0 - residual / second_moment(series))
}

/// Makes `columns` upper triangular by reflections, which stay in what was below the diagonal;
/// hands back the diagonal.
fn reflect(columns: &mut [Vec<f64>]) -> Vec<f64> {
    let mut diagonal = Vec::with_capacity(columns.len());
    for minor in 0..columns.len() {
        let (done, later) = columns.split_at_mut(minor + 1);
        let Some(own) = done.last_mut().and_then(|column| column.get_mut(minor..)) else { break };
        let norm = own.iter().fold(0.0, |sum, value| sum + value * value).sqrt();
        let a = if own[0] > 0.0 { -norm } else { norm };
        diagonal.push(a);
        if a == 0.0 {
            continue;
        }
        own[0] -= a;
        for column in later {
            let below = &mut column[minor..];
            let along = below.iter().zip(&*own).fold(0.0, |sum, (value, own)| sum - value * own);
            let along = along / (a * own[0]);
            for (value, own) in below.iter_mut().zip(&*own) {
                *value -= along * own;
            }
        }
    }
    diagonal
}

/// Weights of the columns with which they come closest to `series`.
fn solve(reflected: &[Vec<f64>], diagonal: &[f64], series: &[f64]) -> Vec<f64> {
    let mut y = series.to_vec();
    for (minor, (column, a)) in reflected.iter().zip(diagonal).enumerate() {
        let (own, below) = (&column[minor..], &mut y[minor..]);
        let along = below.iter().zip(own).fold(0.0, |sum, (value, own)| sum + value * own);
        let along = along / (a * own[0]);
        for (value, own) in below.iter_mut().zip(own) {
            *value += along * own;
        }
    }
    for (row, (column, a)) in reflected.iter().zip(diagonal).enumerate().rev() {
        let (above, own) = y.split_at_mut(row);
        own[0] /= a;
        for (value, column) in above.iter_mut().zip(column) {
            *value -= own[0] * column;
        }
    }
    y.truncate(diagonal.len());
    y
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
        let (a, b) = ([1.0, 2.0, 4.0, 3.0, 7.0], [5.0, 1.0, 0.0, 2.0, 2.0]);
        let sum: Vec<f64> = a.iter().zip(&b).map(|(a, b)| 2.0 * a - b + 3.0).collect();
        let all = explained(&sum, [&a[..], &b].into_iter()).unwrap();
        assert!((all - 1.0).abs() < 1e-12, "{all}");
    }

    #[test]
    fn with_one_other_it_is_the_square_of_the_correlation() {
        let part =
            explained(&[1.0, 2.0, 3.0, 4.0, 5.0], [&[2.0, 4.0, 3.0, 5.0, 6.0][..]].into_iter());
        // sxy = 9, sxx = 10, syy = 10.
        assert!((part.unwrap() - 0.81).abs() < 1e-12);
    }

    #[test]
    fn too_few_values_and_repeated_series_explain_nothing() {
        let series = [1.0, 2.0];
        assert_eq!(explained(&series, [&[1.0, 3.0][..], &[2.0, 5.0]].into_iter()), None);
        assert_eq!(explained(&series, std::iter::empty()), None);
        let zeros = [0.0; 3];
        assert_eq!(explained(&[1.0, 2.0, 4.0], [&zeros[..]].into_iter()), None);
    }
}
