//! Pure values of Whimbrel, shared by every other package.
//!
//! Data flow: a [`Snapshot`] of what was observed and a [`Policy`] of what is wanted go into the
//! planner; out comes a [`Plan`], which [`check`](check::check) replays without the planner's
//! code; the engine executes it through the [`Cluster`] port, writing every intent to a
//! [`Journal`](ports::Journal) first, and each move walks the states of [`migration`].
//!
//! Invariant: no input or output, no clock, no randomness, no threads. Everything in here is a
//! value or a function of values, and the same input gives the same output on every machine.

pub mod check;
pub mod cluster;
pub mod digest;
pub mod ids;
pub mod migration;
pub mod outlook;
pub mod plan;
pub mod policy;
pub mod ports;
pub mod predict;
pub mod settings;
pub mod telemetry;
pub mod trace;
pub mod units;

pub use cluster::{Domain, DomainState, Host, HostState, Snapshot};
pub use ids::{HostId, OrderId, PlanId, VmId};
pub use outlook::Outlook;
pub use plan::{Goal, Move, Plan};
pub use policy::Policy;
pub use ports::Cluster;
pub use predict::{Prediction, Predictor};
pub use settings::MigrationSettings;
