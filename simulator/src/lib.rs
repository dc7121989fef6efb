//! A cluster in memory that the engine drives as it drives a real one.
//!
//! Data flow: a [`Snapshot`](whimbrel_core::Snapshot), recorded series and a script of faults make
//! a [`SimCluster`]; [`simulate`] lets the same engine that drives libvirt execute a plan on it and
//! hands back an [`Outcome`]: how every move ended, what it cost, how the hosts fared, and what
//! happened that must never happen. [`simulate_many`] does so under many seeds, and a
//! [`Scenario`] is all of it in a file with what must come of it. A [`Simulation`] can be stopped
//! at any moment, copied, and struck by a fault: what if it happened now?
//!
//! ```text
//! kernel (time, chance) -> world (truth) -> cluster (events, readings) -> run (engine, journal)
//!                          memory, copy, network (physics)                checkers, outcome
//!                          fault (what goes wrong), change (what people do)
//! ```
//!
//! Beside it [`fleet`] places arrivals on many hosts, [`storm`] runs thousands of migrations among
//! many guests, [`consolidation`] compares policies on traces as `CloudSim` does, and [`balancing`]
//! compares balancers on them; they take numbers instead of names, and no engine.
//!
//! The physics are written apart from the predictor, which is no dependency of this package;
//! [`fidelity`] holds them against recorded migrations.
//! What it leaves out so far: the guests' own traffic on the links.
//!
//! Never here: a clock, a file, a thread, or randomness that does not come from a seed.

pub mod balancing;
mod bands;
pub mod change;
pub mod checkers;
pub mod cluster;
pub mod consolidation;
mod copy;
mod expect;
pub mod fault;
pub mod fidelity;
pub mod fleet;
pub mod journal;
pub mod kernel;
mod limits;
mod memory;
mod network;
pub mod outcome;
pub mod physics;
pub mod replay;
pub mod run;
pub mod scenario;
pub mod storm;
mod use_meter;
pub mod whatif;
mod world;

pub use bands::{Band, Bands, MoveBands, simulate_many};
pub use change::{Change, Guest, GuestNeeds, GuestReading, HostFacts};
pub use checkers::{Breach, Violation};
pub use cluster::{ClusterOptions, Happening, HostPower, SimCluster};
pub use expect::{Expectations, ExpectedLine};
pub use fault::{Fault, FaultRates, Plane};
pub use journal::{CrashPoint, MemoryJournal};
pub use network::{Backbone, BackboneError, Rack};
pub use outcome::{HostOutcome, Outcome, UsePoint};
pub use physics::{Physics, StreamPhysics, content_of};
pub use replay::Replay;
pub use run::{Death, Restart, Simulation, SimulationError, SimulationOptions, simulate};
pub use scenario::{Scenario, ScenarioError, ScenarioReport, replay_command};
