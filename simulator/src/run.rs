//! Executes a plan with the real engine against a simulated cluster.
//!
//! Never here: a second engine. What ticks is `whimbrel_engine::Engine`, with a journal in memory;
//! what it cannot tell from the world is [`SimCluster`](crate::SimCluster).

use whimbrel_core::{Plan, Snapshot};

use crate::outcome::Outcome;

mod controller;
mod options;
mod simulation;

pub use options::{Death, Restart, SimulationError, SimulationOptions};
pub use simulation::Simulation;

/// Simulates the execution of `plan` from `snapshot` over the horizon. A plan without moves
/// simulates the cluster being left alone.
///
/// # Errors
/// [`SimulationError`] when plan, snapshot or options cannot be simulated. What goes wrong within
/// a simulation is data in its outcome.
pub fn simulate(
    plan: &Plan,
    snapshot: &Snapshot,
    options: &SimulationOptions,
) -> Result<Outcome, SimulationError> {
    Simulation::new(plan, snapshot, options)?.finish()
}
