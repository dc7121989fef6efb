//! Hosts of a scenario.

use serde::Deserialize;
use whimbrel_core::units::{Bytes, BytesPerSecond, MilliCores, Span};

use crate::change::HostFacts;

/// A host of a scenario.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScenarioHost {
    /// CPU that guests may use.
    pub cpu: MilliCores,
    /// Memory that guests may use.
    pub memory: Bytes,
    /// What its NIC carries in each direction; the physics' default when absent.
    pub bandwidth: Option<BytesPerSecond>,
    /// Memory of its NUMA nodes; one node when absent.
    #[serde(default)]
    pub numa: Vec<Bytes>,
    /// The CPU model that it can show to guests.
    pub cpu_model: Option<String>,
    /// Power when nothing runs, in watts. Range 0..=1e6; goes with `max_watts`.
    pub idle_watts: Option<f64>,
    /// Power when every core is busy, in watts. Range `idle_watts`..=1e6.
    pub max_watts: Option<f64>,
    /// From power on until it answers; the physics' default when absent.
    pub boot: Option<Span>,
    /// From an orderly shutdown's begin until its power goes.
    #[serde(default)]
    pub shutdown: Span,
}

impl ScenarioHost {
    pub(super) fn facts(&self) -> HostFacts {
        HostFacts {
            idle_watts: self.idle_watts,
            max_watts: self.max_watts,
            boot: self.boot,
            shutdown: self.shutdown,
            cpu_model: self.cpu_model.clone(),
            numa: self.numa.clone(),
        }
    }
}
