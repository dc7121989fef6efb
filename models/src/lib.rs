//! Pure prediction: what a migration will cost, with which settings, and when.
//!
//! Data flow: [`curve`] turns what is known of a guest's writes into a [`DirtyCurve`], [`guest`]
//! keeps what its past migrations showed; [`replay`] runs QEMU's rule on it in every mode;
//! [`ReplayPredictor`] does both over many draws of what is uncertain, corrects the outcome by
//! what [`learned`] found out about the replay's errors, and states it in quantiles that
//! [`conformal`] made hold. [`Model`] is everything that was learnt for that; [`train`](train::train)
//! learns it from traces of migrations. [`past`] divides those by guest. [`impact`] says what the guest feels, [`choose`] picks settings by
//! prediction, [`online`] advises on a migration that runs. [`forecast`] continues a guest's level with
//! the phase of its cycles, and [`window`] finds the cheapest start by it. [`baseline`] has published models to
//! compare with and [`evaluate`] the comparison.
//!
//! Invariant: no input or output, no clock, no ambient randomness. Shares no code with the
//! simulator's memory model, or prediction error in simulation would be zero by construction.

pub mod baseline;
pub mod choose;
pub mod conformal;
pub mod curve;
pub mod demand;
pub mod evaluate;
pub mod file;
pub mod forecast;
pub mod guest;
pub mod impact;
pub mod learned;
pub mod model;
pub mod online;
pub mod past;
pub mod predictor;
mod quantile;
pub mod replay;
pub mod train;
pub mod window;

pub use choose::{Choice, Priorities, choose, choose_when};
pub use curve::{
    DirtyCurve,
    evidence::{Basis, Evidence, Past},
    fit::{CurveFit, FitError},
    points::CurvePoint,
    prior::{Likely, Prior},
};
pub use evaluate::{Came, Evaluation, evaluate};
pub use guest::GuestHistory;
pub use impact::ImpactModel;
pub use model::Model;
pub use predictor::ReplayPredictor;
