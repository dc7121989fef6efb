//! A forest of extremely randomised trees (Geurts, Ernst, Wehenkel: "Extremely randomized trees",
//! 2006), fitted by smartcore and kept as plain arrays.
//!
//! The arrays are ours because a stored model must outlive the library's own layout, and because
//! the library wants a matrix for every question. Evaluation walks each tree from its root and
//! takes the mean of the leaves.
//!
//! Never answers with anything but means of training targets: it cannot leave their range.

use serde::{Deserialize, Serialize};
use smartcore::{
    ensemble::extra_trees_regressor::{ExtraTreesRegressor, ExtraTreesRegressorParameters},
    linalg::basic::matrix::DenseMatrix,
};

use super::features::FEATURES;

/// Trees of a forest: more changed the error by less than 1 % in the comparison of ADR 5.
const TREES: usize = 64;

/// Columns that are tried for a split, of [`FEATURES`].
const COLUMNS_TRIED: usize = 14;

/// Fewest rows in a leaf, and the part of all rows that a leaf has at least: the bound on the
/// size of a stored model.
const LEAF_ROWS_MIN: usize = 5;
const LEAVES_MAX: usize = 100;

/// Trees, one after the other, each from its root in pre-order: the node after an inner one is
/// its lower branch. The default has no tree and answers 0.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Arrays", into = "Arrays")]
pub(super) struct Forest {
    nodes: Vec<Node>,
    /// Positions of the roots.
    roots: Vec<u32>,
}

/// A node; 16 bytes, so that a step of a walk touches one line of the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Node {
    /// Greatest value that goes to the lower branch of an inner node; the answer of a leaf.
    value: f64,
    /// Position of an inner node's upper branch; 0 marks a leaf.
    upper: u32,
    /// Column that an inner node looks at; 0 in a leaf.
    column: u8,
}

/// A [`Forest`] as it is stored: the fields of its nodes as lists.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arrays {
    column: Vec<u8>,
    value: Vec<f64>,
    upper: Vec<u32>,
    roots: Vec<u32>,
}

impl Forest {
    /// Fits to `rows` and their `targets`; `None` where there are too few or the library refuses.
    pub(super) fn fit(rows: &[[f64; FEATURES]], targets: &[f64], seed: u64) -> Option<Self> {
        if rows.len() < 2 * LEAF_ROWS_MIN || rows.len() != targets.len() {
            return None;
        }
        let parameters = ExtraTreesRegressorParameters::default()
            .with_n_trees(TREES)
            .with_m(COLUMNS_TRIED)
            .with_min_samples_leaf(LEAF_ROWS_MIN.max(rows.len() / LEAVES_MAX))
            .with_seed(seed);
        let matrix = DenseMatrix::from_2d_vec(&rows.iter().map(|r| r.to_vec()).collect()).ok()?;
        let fitted = ExtraTreesRegressor::fit(&matrix, &targets.to_vec(), parameters).ok()?;
        let fitted: library::Fitted =
            serde_json::from_value(serde_json::to_value(&fitted).ok()?).ok()?;
        let mut forest = Self::default();
        for tree in fitted.forest_regressor?.trees? {
            forest.roots.push(u32::try_from(forest.nodes.len()).ok()?);
            forest.append(&tree.nodes)?;
        }
        forest.checked().ok()
    }

    /// Mean of the trees' answers for `row`; 0 without trees.
    pub(super) fn answer(&self, row: &[f64; FEATURES]) -> f64 {
        let sum: f64 = self.roots.iter().filter_map(|root| self.leaf(*root, row)).sum();
        sum / self.roots.len().max(1) as f64
    }

    /// What the tree at `root` answers. Ends because every step leads to a later node.
    fn leaf(&self, root: u32, row: &[f64; FEATURES]) -> Option<f64> {
        let mut at = root as usize;
        loop {
            let node = self.nodes.get(at)?;
            if node.upper == 0 {
                return Some(node.value);
            }
            let found = *row.get(usize::from(node.column))?;
            at = if found <= node.value { at + 1 } else { node.upper as usize };
        }
    }

    /// Appends `tree` in pre-order.
    fn append(&mut self, tree: &[library::Node]) -> Option<()> {
        // Nodes still to append, and the inner node whose upper branch each of them is.
        let mut waiting = vec![(0usize, None)];
        while let Some((index, parent)) = waiting.pop() {
            let here = self.nodes.len();
            if let Some(parent) = parent {
                self.nodes.get_mut::<usize>(parent)?.upper = u32::try_from(here).ok()?;
            }
            let node = tree.get(index)?;
            let mut ours = Node { value: node.output, upper: 0, column: 0 };
            if let (Some(limit), Some(lower), Some(upper)) =
                (node.split_value, node.true_child, node.false_child)
            {
                ours.value = limit;
                ours.column = u8::try_from(node.split_feature).ok()?;
                waiting.push((upper, Some(here)));
                waiting.push((lower, None));
            }
            self.nodes.push(ours);
        }
        Some(())
    }

    /// The forest, if every walk through it ends in a leaf.
    fn checked(self) -> Result<Self, String> {
        let count = self.nodes.len();
        let inside = |at: u32| (at as usize) < count;
        let leads_on = |(at, node): (usize, &Node)| {
            // A lower branch follows at once, so the upper one stands behind it.
            let ends = node.upper == 0 || (node.upper as usize > at + 1 && inside(node.upper));
            ends && usize::from(node.column) < FEATURES && node.value.is_finite()
        };
        if let Some(at) = self.nodes.iter().enumerate().position(|one| !leads_on(one)) {
            return Err(format!("node {at} of a forest leads nowhere (hint: fit it again)"));
        }
        if !self.roots.iter().all(|root| inside(*root)) {
            return Err(format!("a tree's root lies behind {count} nodes (hint: fit it again)"));
        }
        Ok(self)
    }
}

impl From<Forest> for Arrays {
    fn from(forest: Forest) -> Self {
        Self {
            column: forest.nodes.iter().map(|node| node.column).collect(),
            value: forest.nodes.iter().map(|node| node.value).collect(),
            upper: forest.nodes.iter().map(|node| node.upper).collect(),
            roots: forest.roots,
        }
    }
}

impl TryFrom<Arrays> for Forest {
    type Error = String;

    fn try_from(arrays: Arrays) -> Result<Self, String> {
        let Arrays { column, value, upper, roots } = arrays;
        if column.len() != value.len() || upper.len() != value.len() {
            return Err(format!(
                "a forest of {} columns, {} values and {} branches \
                 (hint: each node has one of each)",
                column.len(),
                value.len(),
                upper.len()
            ));
        }
        let rows = column.into_iter().zip(value).zip(upper);
        let nodes = rows.map(|((column, value), upper)| Node { value, upper, column }).collect();
        Self { nodes, roots }.checked()
    }
}

/// The parts of a fitted regressor as the library writes them; it has no other way to them.
mod library {
    use serde::Deserialize;

    #[derive(Deserialize)]
    pub(super) struct Fitted {
        pub(super) forest_regressor: Option<Trees>,
    }

    #[derive(Deserialize)]
    pub(super) struct Trees {
        pub(super) trees: Option<Vec<Tree>>,
    }

    #[derive(Deserialize)]
    pub(super) struct Tree {
        pub(super) nodes: Vec<Node>,
    }

    #[derive(Deserialize)]
    pub(super) struct Node {
        pub(super) output: f64,
        pub(super) split_feature: usize,
        pub(super) split_value: Option<f64>,
        pub(super) true_child: Option<usize>,
        pub(super) false_child: Option<usize>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::curve::draws::Draws;

    fn sample(rows: usize) -> (Vec<[f64; FEATURES]>, Vec<f64>) {
        let mut draws = Draws::new(5);
        let rows: Vec<[f64; FEATURES]> =
            (0..rows).map(|_| std::array::from_fn(|_| draws.normal())).collect();
        let targets = rows.iter().map(|r| (r[0] * r[1]).tanh() + 0.2 * r[2]).collect();
        (rows, targets)
    }

    #[test]
    fn our_arrays_answer_as_the_library_does() {
        let (rows, targets) = sample(300);
        let matrix = DenseMatrix::from_2d_vec(&rows.iter().map(|r| r.to_vec()).collect()).unwrap();
        let parameters = ExtraTreesRegressorParameters::default()
            .with_n_trees(TREES)
            .with_m(COLUMNS_TRIED)
            .with_min_samples_leaf(LEAF_ROWS_MIN)
            .with_seed(9);
        let theirs = ExtraTreesRegressor::fit(&matrix, &targets, parameters).unwrap();
        let expected: Vec<f64> = theirs.predict(&matrix).unwrap();
        let ours = Forest::fit(&rows, &targets, 9).unwrap();
        for (row, expected) in rows.iter().zip(expected) {
            assert!((ours.answer(row) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn the_seed_alone_decides_and_text_keeps_every_answer() {
        let (rows, targets) = sample(120);
        let forest = Forest::fit(&rows, &targets, 1).unwrap();
        assert_eq!(Forest::fit(&rows, &targets, 1).unwrap(), forest);
        assert_ne!(Forest::fit(&rows, &targets, 2).unwrap(), forest);
        let text = serde_json::to_string(&forest).unwrap();
        assert_eq!(serde_json::from_str::<Forest>(&text).unwrap(), forest);
    }

    #[test]
    fn too_few_rows_make_no_forest() {
        let (rows, targets) = sample(9);
        assert_eq!(Forest::fit(&rows, &targets, 1), None);
        assert!(Forest::default().answer(&[0.0; FEATURES]).abs() < f64::EPSILON);
    }

    #[test]
    fn arrays_that_do_not_fit_are_refused() {
        let read = |text: &str| serde_json::from_str::<Forest>(text).map_err(|e| e.to_string());
        let good = r#"{"column":[3,0,0],"value":[0.5,1.0,2.0],"upper":[2,0,0],"roots":[0]}"#;
        assert!(read(good).is_ok());
        for bad in [
            r#"{"column":[3,0],"value":[0.5,1.0,2.0],"upper":[2,0,0],"roots":[0]}"#,
            r#"{"column":[99,0,0],"value":[0.5,1.0,2.0],"upper":[2,0,0],"roots":[0]}"#,
            r#"{"column":[3,0,0],"value":[0.5,1.0,2.0],"upper":[1,0,0],"roots":[0]}"#,
            r#"{"column":[3,0,0],"value":[0.5,1.0,2.0],"upper":[7,0,0],"roots":[0]}"#,
            r#"{"column":[3,0,0],"value":[0.5,1.0,2.0],"upper":[2,0,0],"roots":[3]}"#,
        ] {
            assert!(read(bad).unwrap_err().contains("hint"), "{bad}");
        }
    }
}
