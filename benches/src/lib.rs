//! Inputs of the benchmarks, made up from fixed seeds: a fleet of hosts that answer at once, and
//! clusters with readings of every VM; and what the simulator and the planner cost at
//! rising sizes.
//!
//! Shared by the benchmarks and by `whimbrel-figures`, so that a figure times what a benchmark
//! times. Never here: files, hosts, or inputs that differ from run to run.

pub mod again;
pub mod cluster;
pub mod cpu_time;
mod draw;
pub mod fleet;
mod gate;
pub mod growth;
pub mod pace;
pub mod placing;
pub mod record;
