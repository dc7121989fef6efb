//! Pure prediction: unique-dirty curve, pre-copy replay, cost of a migration.
//!
//! Data flow: [`fit`] turns a domain's dirty readings into a [`DirtyCurve`]; [`replay`] runs
//! QEMU's pre-copy rule on it; [`ReplayPredictor`] does both over many draws of what is uncertain
//! and states the outcome in quantiles; [`Calibration`] holds what past migrations taught about
//! fixed costs, bandwidth and the remaining error. [`baseline`] has the two naive predictors to
//! compare with and [`evaluate`] the comparison.
//!
//! Invariant: no input or output, no clock, no ambient randomness. Shares no code with the
//! simulator's memory model, or prediction error in simulation would be zero by construction.

pub mod baseline;
pub mod calibration;
pub mod curve;
mod draw;
pub mod evaluate;
pub mod fit;
mod nnls;
pub mod predictor;
mod quantile;
pub mod replay;

pub use calibration::{Calibration, GuestHistory};
pub use curve::DirtyCurve;
pub use evaluate::{Evaluation, evaluate};
pub use predictor::ReplayPredictor;
