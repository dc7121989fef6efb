//! Why a scenario could not be run.

use thiserror::Error;
use whimbrel_core::{
    Goal,
    ids::{HostId, VmId},
    policy::{Contradiction, RangeError},
    units::{Bytes, Span},
};

use crate::run::SimulationError;

/// Why a scenario could not be run.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ScenarioError {
    /// It says nothing about itself.
    #[error("the scenario has no intent (hint: say in one sentence what it shows)")]
    NoIntent,
    /// The planner makes no plan of its goal.
    #[error("there is no plan for the goal {goal}: {why}")]
    Unplanned {
        /// The goal.
        goal: Goal,
        /// The planner's reason, with its hint.
        why: String,
    },
    /// A host that cannot be.
    #[error("host {host}: {what} (hint: correct the host)")]
    BadHost {
        /// The host.
        host: HostId,
        /// What is wrong, with its limit.
        what: String,
    },
    /// A rack that cannot be.
    #[error("rack {rack}: {what} (hint: list the rack's hosts, each in one rack)")]
    BadRack {
        /// The rack.
        rack: HostId,
        /// What is wrong.
        what: String,
    },
    /// A guest that cannot be.
    #[error("domain {vm}: {what} (hint: correct the domain)")]
    BadDomain {
        /// The guest.
        vm: VmId,
        /// What is wrong, with its limit.
        what: String,
    },
    /// A guest is on a host that is not in it.
    #[error("domain {vm} is on host {host}, which the scenario does not have (hint: {known})")]
    UnknownHost {
        /// The guest.
        vm: VmId,
        /// The missing host.
        host: HostId,
        /// The hosts that there are.
        known: String,
    },
    /// Guests need more memory than their host has.
    #[error(
        "the domains on host {host} have {}, the host has {} (hint: make them smaller or it larger)",
        needed.human(),
        memory.human()
    )]
    Overfull {
        /// The host.
        host: HostId,
        /// Memory of its guests.
        needed: Bytes,
        /// Its memory.
        memory: Bytes,
    },
    /// A move that cannot be.
    #[error("move of {vm}: {what} (hint: correct the move)")]
    BadMove {
        /// The guest.
        vm: VmId,
        /// What is wrong.
        what: String,
    },
    /// Something is to happen when nobody looks any more.
    #[error("{what} comes at {at}, the scenario ends at {horizon} (hint: lengthen the horizon)")]
    AfterTheEnd {
        /// What.
        what: String,
        /// When.
        at: Span,
        /// The scenario's end.
        horizon: Span,
    },
    /// An event that cannot be.
    #[error("event {place}: {what} (hint: correct the event)")]
    BadEvent {
        /// Its place in the file, from 1.
        place: usize,
        /// What is wrong.
        what: String,
    },
    /// A fault that cannot be.
    #[error("fault {place}: {what} (hint: correct the fault)")]
    BadFault {
        /// Its place in the file, from 1.
        place: usize,
        /// What is wrong.
        what: String,
    },
    /// An expectation that nothing could fulfil or disappoint.
    #[error("expect.{key}: {what} (hint: correct the expectation)")]
    BadExpectation {
        /// Its key.
        key: &'static str,
        /// What is wrong.
        what: String,
    },
    /// A number of the policy is out of its range.
    #[error("policy: {0}")]
    Policy(#[from] RangeError),
    /// The policy's rules cannot hold together.
    #[error("policy: {0}")]
    Rules(#[from] Contradiction),
    /// It cannot be simulated.
    #[error(transparent)]
    Simulation(SimulationError),
}
