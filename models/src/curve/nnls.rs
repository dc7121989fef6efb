//! Non-negative least squares over a few dozen columns.
//!
//! The active-set method of Lawson and Hanson ("Solving Least Squares Problems", 1974, ch. 23),
//! with one addition: it stops once the misfit is small enough, so that noise is not fitted.
//! Deterministic; ties go to the earlier column, so the caller orders columns by preference.

/// Columns of unit length, all as long as the observations, and their inner products, which a
/// repeated fit does not need to form again.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    columns: Vec<Vec<f64>>,
    /// Inner products, row after row.
    gram: Vec<f64>,
}

/// A solution on its way.
struct Search<'a> {
    columns: &'a Columns,
    /// Inner products of the columns with the observations.
    target: &'a [f64],
    /// Below this a coefficient or a gradient counts as zero.
    zero: f64,
    solution: Vec<f64>,
    /// Columns that may be above zero.
    passive: Vec<usize>,
}

/// Relative size below which a gradient or a coefficient counts as zero.
const NEGLIGIBLE: f64 = 1e-9;

/// Added to the diagonal: columns that the observations cannot tell apart stay solvable.
const RIDGE: f64 = 1e-10;

/// Observations as the columns see them.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    target: Vec<f64>,
    square: f64,
}

impl Columns {
    /// Takes `columns` of unit length.
    pub(crate) fn new(columns: Vec<Vec<f64>>) -> Self {
        let inner = |a: &Vec<f64>| columns.iter().map(|b| dot(a, b)).collect::<Vec<f64>>();
        let mut gram: Vec<f64> = columns.iter().flat_map(inner).collect();
        let diagonal = columns.len() + 1;
        gram.iter_mut().step_by(diagonal).for_each(|cell| *cell += RIDGE);
        Self { columns, gram }
    }

    /// What `observed` is to these columns.
    pub(crate) fn observe(&self, observed: &[f64]) -> Observed {
        let target = self.columns.iter().map(|column| dot(column, observed)).collect();
        Observed { target, square: dot(observed, observed) }
    }

    fn inner(&self, row: usize) -> &[f64] {
        let size = self.columns.len();
        &self.gram[row * size..(row + 1) * size]
    }

    /// The x >= 0 that minimises |Ax - b| for b = `observed`, over the columns that `allowed`
    /// admits; or the first on the way whose misfit is `enough`.
    pub(crate) fn solve(
        &self,
        observed: &Observed,
        enough: f64,
        allowed: impl Fn(usize) -> bool,
    ) -> Vec<f64> {
        let top = observed.target.iter().fold(0.0, |top: f64, b| top.max(b.abs()));
        let mut search = Search {
            columns: self,
            target: &observed.target,
            zero: NEGLIGIBLE * top,
            solution: vec![0.0; self.columns.len()],
            passive: Vec::with_capacity(8),
        };
        let mut open: Vec<bool> = (0..self.columns.len()).map(allowed).collect();
        for _ in 0..3 * self.columns.len() {
            if enough > 0.0 && self.misfit(observed, &search.solution) <= enough {
                break;
            }
            let Some(entering) = search.steepest(&open) else { break };
            open[entering] = false;
            search.passive.push(entering);
            let left = search.settle();
            if left.contains(&entering) {
                // Only rounding made it look worth while.
                break;
            }
            for column in left {
                open[column] = true;
            }
        }
        search.solution
    }

    /// Sum of the squares that `solution` leaves of `observed`.
    pub(crate) fn misfit(&self, observed: &Observed, solution: &[f64]) -> f64 {
        let explained: f64 = solution
            .iter()
            .enumerate()
            .filter(|(_, x)| **x > 0.0)
            .map(|(row, x)| x * (2.0 * observed.target[row] - dot(self.inner(row), solution)))
            .sum();
        (observed.square - explained).max(0.0)
    }
}

impl Search<'_> {
    /// The `open` column along which the misfit falls fastest, if it falls.
    fn steepest(&self, open: &[bool]) -> Option<usize> {
        let mut gradient = self.target.to_vec();
        for column in &self.passive {
            let x = self.solution[*column];
            for (cell, inner) in gradient.iter_mut().zip(self.columns.inner(*column)) {
                *cell -= x * inner;
            }
        }
        let mut best = None;
        let mut top = self.zero;
        for (column, slope) in gradient.iter().enumerate() {
            // Columns that agree on all observations differ by rounding only.
            if open[column] && *slope > top * (1.0 + NEGLIGIBLE) {
                top = *slope;
                best = Some(column);
            }
        }
        best
    }

    /// Solves for the passive columns and drops those that would turn negative, until none does.
    /// Gives back the columns that were dropped.
    fn settle(&mut self) -> Vec<usize> {
        let mut left = Vec::new();
        while !self.passive.is_empty() {
            let Some(wanted) = self.solve_passive() else {
                // The column that entered last depends on the others.
                left.extend(self.passive.pop());
                break;
            };
            let mut step = 1.0f64;
            for (column, goal) in self.passive.iter().zip(&wanted) {
                let now = self.solution[*column];
                if *goal <= self.zero {
                    step = step.min(if now > *goal { now / (now - goal) } else { 0.0 });
                }
            }
            for (column, goal) in self.passive.iter().zip(&wanted) {
                self.solution[*column] += step * (goal - self.solution[*column]);
            }
            if step >= 1.0 {
                break;
            }
            let (solution, zero) = (&mut self.solution, self.zero);
            self.passive.retain(|column| {
                let stays = solution[*column] > zero;
                if !stays {
                    solution[*column] = 0.0;
                    left.push(*column);
                }
                stays
            });
        }
        left
    }

    /// Unconstrained solution over the passive columns, from the normal equations by Cholesky;
    /// `None` where the columns are linearly dependent.
    fn solve_passive(&self) -> Option<Vec<f64>> {
        let n = self.passive.len();
        let mut lower = vec![0.0; n * n];
        let mut x = vec![0.0; n];
        for (i, row) in self.passive.iter().enumerate() {
            let inner = self.columns.inner(*row);
            for (j, column) in self.passive.iter().enumerate().take(i + 1) {
                let (above, own) = (&lower[j * n..j * n + j], &lower[i * n..i * n + j]);
                let rest = inner[*column] - dot(own, above);
                lower[i * n + j] = if i == j {
                    if rest <= 0.0 {
                        return None;
                    }
                    rest.sqrt()
                } else {
                    rest / lower[j * n + j]
                };
            }
            x[i] = (self.target[*row] - dot(&lower[i * n..i * n + i], &x)) / lower[i * n + i];
        }
        for i in (0..n).rev() {
            let inner: f64 = (i + 1..n).map(|k| lower[k * n + i] * x[k]).sum();
            x[i] = (x[i] - inner) / lower[i * n + i];
        }
        Some(x)
    }
}

/// Inner product.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// For columns of any length: scaled to unit length and back.
    fn solve(columns: &[Vec<f64>], observed: &[f64], enough: f64) -> Vec<f64> {
        let length = |c: &Vec<f64>| dot(c, c).sqrt().max(1e-300);
        let unit =
            columns.iter().map(|c| c.iter().map(|cell| cell / length(c)).collect()).collect();
        let unit = Columns::new(unit);
        let weights = unit.solve(&unit.observe(observed), enough, |_| true);
        weights.iter().zip(columns).map(|(w, c)| w / length(c)).collect()
    }

    #[test]
    fn a_negative_solution_is_cut_at_zero() {
        // Unconstrained the answer is (2, -1).
        let solution = solve(&[vec![1.0, 1.0], vec![0.0, 1.0]], &[2.0, 1.0], 0.0);
        assert!((solution[0] - 1.5).abs() < 1e-6, "{solution:?}");
        assert!(solution[1].abs() < 1e-12, "{solution:?}");
    }

    #[test]
    fn equal_columns_and_zero_observations_are_no_trouble() {
        let twins = [vec![1.0, 0.0], vec![1.0, 0.0]];
        let solution = solve(&twins, &[3.0, 0.0], 0.0);
        assert!((solution[0] + solution[1] - 3.0).abs() < 1e-6);
        assert_eq!(solve(&twins, &[0.0, 0.0], 0.0), vec![0.0, 0.0]);
    }

    #[test]
    fn it_stops_at_a_misfit_that_is_enough() {
        let columns = [vec![1.0, 0.0], vec![0.0, 1.0]];
        assert!(solve(&columns, &[5.0, 0.9], 1.0)[1] < 1e-12);
        assert!(solve(&columns, &[5.0, 1.1], 1.0)[1] > 1.0);
    }

    proptest! {
        /// The optimality conditions of Karush, Kuhn and Tucker.
        #[test]
        fn optimal(
            columns in prop::collection::vec(prop::collection::vec(0.0..1.0f64, 6), 1..9),
            observed in prop::collection::vec(0.0..10.0f64, 6),
        ) {
            let solution = solve(&columns, &observed, 0.0);
            let fitted: Vec<f64> = (0..6)
                .map(|i| columns.iter().zip(&solution).map(|(c, x)| c[i] * x).sum())
                .collect();
            let rest: Vec<f64> = observed.iter().zip(&fitted).map(|(o, f)| o - f).collect();
            for (column, x) in columns.iter().zip(&solution) {
                prop_assert!(*x >= 0.0);
                let gradient = dot(column, &rest);
                prop_assert!(gradient < 1e-4, "{gradient}");
                prop_assert!(*x == 0.0 || gradient > -1e-4, "{gradient} {x}");
            }
        }
    }
}
