//! Failed hosts, and where their VMs start again.

use std::collections::BTreeMap;

use whimbrel_core::{VmId, units::Share};
use whimbrel_planner::placing::{Candidate, Refused, Rescue, Restarted, Unrescued};
use whimbrel_proto::v1;

use super::{Malformed, Wire, bounded, from_list, name, names, required, share, to_list};
use crate::advice::RescueQuestion;

const RESERVE: &str = "emergency.memory_reserve_share";
/// Largest part of its memory that a host keeps free of guests.
const RESERVE_MAX: f64 = 0.95;

impl Wire for RescueQuestion {
    type Message = v1::RescueRequest;

    fn to_wire(&self) -> v1::RescueRequest {
        let limits = v1::EmergencyLimits {
            memory_reserve_share: self.emergency_reserve.map(Share::get),
            vcpus_per_core: self.emergency_overcommit,
        };
        let given = self.emergency_reserve.is_some() || self.emergency_overcommit.is_some();
        let class = |(vm, priority): (&VmId, &i64)| v1::VmPriority {
            vm: vm.to_string(),
            priority: *priority,
        };
        v1::RescueRequest {
            failed_hosts: self.failed.iter().map(ToString::to_string).collect(),
            priorities: self.priorities.iter().map(class).collect(),
            emergency: given.then_some(limits),
        }
    }

    fn from_wire(message: v1::RescueRequest) -> Result<Self, Malformed> {
        let mut priorities = BTreeMap::new();
        bounded("priorities", &message.priorities)?;
        for one in message.priorities {
            let vm: VmId = name("priorities.vm", &one.vm)?;
            if priorities.insert(vm, one.priority).is_some() {
                let fault = format!("names {} twice (hint: give each VM one class)", one.vm);
                return Err(Malformed::new("priorities.vm", &fault));
            }
        }
        let limits = message.emergency.unwrap_or_default();
        let reserve = limits.memory_reserve_share.map(|value| match share(RESERVE, value) {
            Ok(reserve) if value > RESERVE_MAX => {
                let fault =
                    format!("{reserve} is out of range (hint: it takes 0 to {RESERVE_MAX})");
                Err(Malformed::new(RESERVE, &fault))
            }
            read => read,
        });
        let overcommit = limits.vcpus_per_core.map(|value| {
            // Written so that NaN is out of range.
            if (0.1..=100.0).contains(&value) {
                return Ok(value);
            }
            let fault = format!("{value} is out of range (hint: it takes 0.1 to 100)");
            Err(Malformed::new("emergency.vcpus_per_core", &fault))
        });
        Ok(Self {
            failed: names("failed_hosts", &message.failed_hosts)?,
            priorities,
            emergency_reserve: reserve.transpose()?,
            emergency_overcommit: overcommit.transpose()?,
        })
    }
}

impl Wire for Rescue {
    type Message = v1::RescueResponse;

    fn to_wire(&self) -> v1::RescueResponse {
        v1::RescueResponse {
            failed_hosts: self.failed.iter().map(ToString::to_string).collect(),
            restarts: to_list(&self.restarts),
            unrescued: to_list(&self.unrescued),
        }
    }

    fn from_wire(message: v1::RescueResponse) -> Result<Self, Malformed> {
        let failed = message.failed_hosts.iter().map(|host| name("failed_hosts", host));
        Ok(Self {
            failed: failed.collect::<Result<_, _>>()?,
            restarts: from_list(message.restarts)?,
            unrescued: from_list(message.unrescued)?,
        })
    }
}

impl Wire for Restarted {
    type Message = v1::RestartedVm;

    fn to_wire(&self) -> v1::RestartedVm {
        v1::RestartedVm {
            vm: self.vm.to_string(),
            from_host: self.from.to_string(),
            priority: self.priority,
            on: Some(self.on.to_wire()),
            emergency: self.emergency,
        }
    }

    fn from_wire(message: v1::RestartedVm) -> Result<Self, Malformed> {
        Ok(Self {
            vm: name("restarts.vm", &message.vm)?,
            from: name("restarts.from_host", &message.from_host)?,
            priority: message.priority,
            on: Candidate::from_wire(required("restarts.on", message.on)?)?,
            emergency: message.emergency,
        })
    }
}

impl Wire for Unrescued {
    type Message = v1::UnrescuedVm;

    fn to_wire(&self) -> v1::UnrescuedVm {
        v1::UnrescuedVm {
            vm: self.vm.to_string(),
            from_host: self.from.to_string(),
            priority: self.priority,
            refused: Some(self.refused.to_wire()),
        }
    }

    fn from_wire(message: v1::UnrescuedVm) -> Result<Self, Malformed> {
        Ok(Self {
            vm: name("unrescued.vm", &message.vm)?,
            from: name("unrescued.from_host", &message.from_host)?,
            priority: message.priority,
            refused: Refused::from_wire(required("unrescued.refused", message.refused)?)?,
        })
    }
}
