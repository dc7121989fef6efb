//! What is known of guests besides what they do at this moment: the CPU that they are expected to
//! want over the policy's horizon, when they were moved lately, what is planned for them, and when
//! they will be quieter.
//!
//! A snapshot shows one moment; plans made from moments chase noise. Whoever keeps telemetry says
//! here what it shows. Absent guests are planned for by their last reading, and count as at rest:
//! `Outlook::default()` is what is known without any past.
//!
//! Never here: how a quantile is computed, or a decision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    cluster::DirtyReading,
    ids::{HostId, VmId},
    units::{MilliCores, Timestamp},
};

/// What the past says of guests.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Outlook {
    /// CPU to plan for; a guest that is absent is planned for by its last reading.
    pub demands: BTreeMap<VmId, Demand>,
    /// When migrations of each guest began lately, in any order, whoever asked for them and
    /// however they ended. Those of the last day count.
    pub moves: BTreeMap<VmId, Vec<Timestamp>>,
    /// Where a balance that was planned lately, and not carried out, takes guests: what is nearly
    /// as good stays as it was planned.
    pub planned: BTreeMap<VmId, HostId>,
    /// Quieter moments that lie ahead, of guests whose migration is worth waiting for them. A drain
    /// that has the time for it, because it has a deadline, waits; nobody else does.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub quieter: BTreeMap<VmId, Quieter>,
}

/// A quieter moment of one guest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quieter {
    /// When it begins.
    pub at: Timestamp,
    /// What the guest is expected to dirty then, as if it had been measured.
    pub dirty: Vec<DirtyReading>,
}

/// CPU that one guest is expected to want.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demand {
    /// The CPU.
    pub cpu: MilliCores,
    /// Where it comes from.
    pub from: DemandSource,
}

/// Where a demand comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DemandSource {
    /// A quantile of a forecast over the horizon, or what it wants now if that is more.
    Forecast,
    /// A quantile of its readings of the last time as long as the horizon, or what it wants now if
    /// that is more.
    Readings,
}

impl Outlook {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
