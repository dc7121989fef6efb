//! What the goal `even` weighs: which resources are to be equally used on all hosts, how much each
//! counts, and what a move must be worth.
//!
//! Measures nothing and chooses no move.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{RangeError, in_range};
use crate::ids::VmId;

/// Most resources of the operator's own.
pub const LOADS_MAX: usize = 3;

/// Names of the resources that every snapshot knows.
const KNOWN: [&str; 3] = ["cpu", "memory", "vcpus"];

/// How the goal `even` scores a placement: the standard deviation over the hosts of the part of
/// each resource that is in use, times its weight, added up. 0 is perfectly even.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Even {
    /// Weight of the CPU demand by the host's cores. Range 0..=1000.
    pub cpu: f64,
    /// Weight of the guests' memory by what guests may have. Range 0..=1000.
    pub memory: f64,
    /// Weight of the number of vCPUs by the host's cores. Range 0..=1000; 0, the default, trusts
    /// the measured demand.
    pub vcpus: f64,
    /// What each move must be worth, as a part of one host: 0.02 asks that it evens out 2 % of a
    /// host, averaged over the resources by weight. Range 0..=1; more means fewer moves. It does
    /// not depend on the number of hosts.
    pub gain_min: f64,
    /// Resources that the snapshot does not know, at most 3.
    #[serde(rename = "load")]
    pub loads: Vec<EvenLoad>,
}

/// A resource of the operator's own, for example network traffic or licences.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvenLoad {
    /// Its name in reports; not `cpu`, `memory` or `vcpus`.
    pub name: String,
    /// Its weight. Range 0..=1000.
    pub weight: f64,
    /// What one host has of it, in any unit, more than 0.
    pub capacity: f64,
    /// What guests use of it, in the same unit, 0 or more; 0 for those that are not named.
    #[serde(rename = "use")]
    pub used: BTreeMap<VmId, f64>,
}

impl Default for Even {
    fn default() -> Self {
        Self { cpu: 1.0, memory: 1.0, vcpus: 0.0, gain_min: 0.0175, loads: Vec::new() }
    }
}

impl Even {
    /// All weights together.
    pub fn weights(&self) -> f64 {
        self.cpu + self.memory + self.vcpus + self.loads.iter().map(|load| load.weight).sum::<f64>()
    }

    pub(super) fn check(&self) -> Result<(), RangeError> {
        let weight = |key, value| in_range(key, value, 0.0, 1000.0, "0 to 1000");
        weight("even.cpu", self.cpu)?;
        weight("even.memory", self.memory)?;
        weight("even.vcpus", self.vcpus)?;
        in_range("even.gain_min", self.gain_min, 0.0, 1.0, "0 to 1")?;
        let count = self.loads.len() as f64;
        in_range("number of even.load", count, 0.0, LOADS_MAX as f64, "0 to 3 resources")?;
        let mut names: BTreeSet<&str> = KNOWN.into();
        for load in &self.loads {
            if load.name.is_empty() || !names.insert(&load.name) {
                return Err(RangeError::LoadName { name: load.name.clone() });
            }
            let within = |key: &str, value: f64, least: f64, most: f64, range| {
                // Written so that NaN is out of range.
                if value >= least && value <= most {
                    return Ok(());
                }
                let (name, key) = (load.name.clone(), key.to_owned());
                Err(RangeError::Load { name, key, value, range })
            };
            within("weight", load.weight, 0.0, 1000.0, "0 to 1000")?;
            within("capacity", load.capacity, 1e-9, 1e18, "more than 0")?;
            for (vm, &used) in &load.used {
                within(&format!("use.{vm}"), used, 0.0, 1e18, "0 or more")?;
            }
        }
        Ok(())
    }
}
