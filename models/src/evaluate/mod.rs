//! The judge: how good predictions are on migrations that their predictor has not seen.
//!
//! Data flow: a [`Learner`] is trained on past migrations; [`judge`] asks it for every judged one,
//! from what was known before its start alone; the [`Report`] summarises the rows as
//! [`Evaluation`]s, over all and by mode, family and path, lists the worst, and compares them with
//! what no predictor can know: how far repetitions of one migration differ ([`NoiseFloor`]).
//! [`folds`](crate::past::folds) makes a cross-validation whose judged guests were never learnt from.
//!
//! Never here: a clock (who calls measures time), or a look at the outcome of a judged migration
//! before it was predicted.

mod judge;
mod learner;
mod noise;
mod report;
mod score;

#[cfg(test)]
pub(crate) use judge::samples;
pub use judge::{History, Outcome, Trial, cross_validate, judge, outcome};
pub use learner::{Learner, Student, Whimbrel};
pub use noise::{NoiseErrors, NoiseFloor};
pub use report::{Report, Row, Unanswered};
pub use score::{Came, Coverage, Evaluation, evaluate};
