//! The question where the domains of failed hosts start again, as people put it.

use std::collections::BTreeMap;

use whimbrel_core::{HostId, Snapshot, VmId, units::Share};
use whimbrel_planner::placing::{self, Emergency, Rescue, RescueRequest, Room};

use super::Advisor;
use crate::Failure;

/// Which hosts have failed, who comes first, and what may be done for the rest.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RescueQuestion {
    /// Hosts to take for failed; all that do not answer where none is named.
    pub failed: Vec<HostId>,
    /// Higher is restarted first; 0 for domains that are not named.
    pub priorities: BTreeMap<VmId, i64>,
    /// For domains that find no host otherwise: part of each host's memory kept free.
    /// Range 0..=0.95.
    pub emergency_reserve: Option<Share>,
    /// For domains that find no host otherwise: vCPUs for each core. Range 0.1..=100.
    pub emergency_overcommit: Option<f64>,
}

impl Advisor {
    /// Where the domains of failed hosts start again in `snapshot`.
    ///
    /// # Errors
    /// [`Failure`] where a domain or host is not there, no host has failed or is left, or a limit is
    /// impossible.
    pub fn rescue(&self, snapshot: &Snapshot, asked: &RescueQuestion) -> Result<Rescue, Failure> {
        let absent = asked.priorities.keys().find(|vm| snapshot.sightings(vm).next().is_none());
        if let Some(vm) = absent {
            return Err(Failure::not_found(format!(
                "domain {vm}, which is given a priority, is not in the cluster \
                 (hint: whimbrel inventory lists the domains)"
            )));
        }
        let limits = &self.policy.limits;
        let wider = asked.emergency_reserve.is_some() || asked.emergency_overcommit.is_some();
        let emergency = wider.then(|| Emergency {
            memory_reserve: asked.emergency_reserve.unwrap_or(limits.memory_reserve),
            cpu_overcommit: asked.emergency_overcommit.unwrap_or(limits.cpu_overcommit),
        });
        let request = RescueRequest {
            failed: asked.failed.clone(),
            priorities: asked.priorities.clone(),
            emergency,
        };
        let room = Room::new(snapshot, &self.policy).map_err(Failure::invalid)?;
        Ok(placing::rescue(&room, &request)?)
    }
}
