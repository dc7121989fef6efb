//! What a simulated cluster is made of.
//!
//! Never here: what happens in it.

use std::collections::BTreeMap;

use whimbrel_core::ids::{HostId, VmId};

use crate::{
    change::{Change, GuestNeeds, HostFacts},
    fault::Fault,
    network::Backbone,
    physics::Physics,
    replay::Replay,
};

/// What a simulated cluster is made of, beside the snapshot.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Physical constants; [`Physics::check_ranges`] holds for them.
    pub physics: Physics,
    /// Recorded series to follow.
    pub replay: Option<Replay>,
    /// What goes wrong. A fault that names an unknown host or domain strikes nothing.
    pub faults: Vec<Fault>,
    /// What people do. What names an unknown host or domain does nothing.
    pub changes: Vec<Change>,
    /// What is known of hosts beside the snapshot.
    pub facts: BTreeMap<HostId, HostFacts>,
    /// What guests of the snapshot ask of hosts.
    pub needs: BTreeMap<VmId, GuestNeeds>,
    /// Lines that the event log keeps; 0 for none.
    pub log_lines: usize,
    /// What lies between the hosts' interfaces.
    pub backbone: Backbone,
}
