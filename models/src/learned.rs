//! What past migrations teach on top of the replay: its remaining errors, and fixed costs.
//!
//! Data flow: [`Features`] says what is known of a migration before it starts; [`Correction`]
//! learns from [`Example`]s by which factor the replay misses time, bytes and downtime;
//! [`FixedCosts`] learns what a migration takes outside of copying, by pair of hosts and by kind.
//! The bands around a corrected prediction are the business of [`crate::conformal`].
//!
//! Never replaces the replay: a correction is a factor from one half to two, and none at all for
//! migrations unlike those that it was learnt from.

mod correction;
mod features;
mod fixed_costs;
mod forest;

pub use correction::{Correction, Example, Residuals};
pub use features::{COLUMNS, FEATURES, Features, Known};
pub use fixed_costs::{CostObservation, FixedCost, FixedCosts};
