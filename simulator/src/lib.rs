//! A cluster in memory that the engine drives as it drives a real one.
//!
//! Data flow: a [`Snapshot`](whimbrel_core::Snapshot), recorded series and a script of faults make
//! a [`SimCluster`]; [`simulate`] lets the same engine that drives libvirt execute a plan on it and
//! hands back an [`Outcome`]: how every move ended, what it cost, how the hosts fared, and what
//! happened that must never happen. [`simulate_many`] does so under many seeds, and a
//! [`Scenario`] is all of it in a file with what must come of it.
//!
//! ```text
//! kernel (time, chance) -> world (truth) -> cluster (events, readings) -> run (engine, journal)
//!                          memory, precopy, network (physics)             checkers, outcome
//! ```
//!
//! Beside it [`fleet`] places arrivals on many hosts, and [`storm`] runs thousands of migrations
//! among many guests; both take numbers instead of names, and no engine.
//!
//! The physics are written apart from the predictor, which is no dependency of this package.
//! What it leaves out so far: post-copy, auto-converge, multifd, migration's own CPU cost, slower
//! guests under contention, and the guests' own traffic on the links.
//!
//! Never here: a clock, a file, a thread, or randomness that does not come from a seed.

mod bands;
pub mod checkers;
pub mod cluster;
mod expect;
pub mod fault;
pub mod fleet;
pub mod journal;
pub mod kernel;
mod memory;
mod network;
pub mod outcome;
pub mod physics;
mod precopy;
pub mod replay;
pub mod run;
pub mod scenario;
pub mod storm;
mod use_meter;
mod world;

pub use bands::{Band, Bands, MoveBands, simulate_many};
pub use checkers::{Breach, Violation};
pub use cluster::{ClusterOptions, Happening, SimCluster};
pub use expect::Expectations;
pub use fault::Fault;
pub use journal::{CrashPoint, MemoryJournal};
pub use network::{Backbone, Rack};
pub use outcome::{HostOutcome, Outcome, UsePoint};
pub use physics::{Physics, content_of};
pub use replay::Replay;
pub use run::{Death, Restart, SimulationError, SimulationOptions, simulate};
pub use scenario::{Scenario, ScenarioError, ScenarioReport};
