//! What a plan is for, on the wire and back.

use std::collections::BTreeMap;

use whimbrel_core::{
    Goal, HostId, VmId,
    plan::{Emptied, Flavour, FlavourError},
    units::{Bytes, Span},
};
use whimbrel_proto::v1;

use super::{Malformed, Wire, bounded, from_list, name, required, to_list};

impl Wire for Goal {
    type Message = v1::Goal;

    fn to_wire(&self) -> v1::Goal {
        use v1::goal::Kind;
        let kind = match self {
            Self::Drain { deadline, strict, .. } => Kind::Drain(v1::DrainGoal {
                hosts: self.emptied().map(ToString::to_string).collect(),
                deadline_micros: deadline.map(Span::as_micros),
                strict: *strict,
            }),
            Self::Balance => Kind::Balance(v1::BalanceGoal {}),
            Self::Defragment { flavours } => {
                Kind::Defragment(v1::DefragmentGoal { flavours: to_list(flavours) })
            }
            Self::Powersave => Kind::Powersave(v1::PowersaveGoal {}),
            Self::Even => Kind::Even(v1::EvenGoal {}),
            Self::Restore { places } => {
                let place = |(vm, host): (&VmId, &HostId)| v1::VmPlace {
                    vm: vm.to_string(),
                    host: host.to_string(),
                };
                Kind::Restore(v1::RestoreGoal { places: places.iter().map(place).collect() })
            }
        };
        v1::Goal { kind: Some(kind) }
    }

    fn from_wire(message: v1::Goal) -> Result<Self, Malformed> {
        use v1::goal::Kind;
        Ok(match required("goal.kind", message.kind)? {
            Kind::Drain(v1::DrainGoal { hosts, deadline_micros, strict }) => {
                let named = hosts.iter().map(|host| name("goal.drain.hosts", host));
                let hosts = Emptied::of(named.collect::<Result<Vec<_>, _>>()?);
                Self::Drain {
                    hosts: required("goal.drain.hosts", hosts.ok())?,
                    deadline: deadline_micros.map(Span::from_micros),
                    strict,
                }
            }
            Kind::Balance(v1::BalanceGoal {}) => Self::Balance,
            Kind::Defragment(v1::DefragmentGoal { flavours }) => {
                bounded("goal.defragment.flavours", &flavours)?;
                Self::Defragment { flavours: from_list(flavours)? }
            }
            Kind::Powersave(v1::PowersaveGoal {}) => Self::Powersave,
            Kind::Even(v1::EvenGoal {}) => Self::Even,
            Kind::Restore(goal) => Self::Restore { places: places(goal)? },
        })
    }
}

/// Where each VM is to be.
fn places(goal: v1::RestoreGoal) -> Result<BTreeMap<VmId, HostId>, Malformed> {
    bounded("goal.restore.places", &goal.places)?;
    let mut places = BTreeMap::new();
    for v1::VmPlace { vm, host } in goal.places {
        let host = name("goal.restore.places.host", &host)?;
        if places.insert(name("goal.restore.places.vm", &vm)?, host).is_some() {
            let fault = format!("names {vm} twice (hint: name one host for each VM)");
            return Err(Malformed::new("goal.restore.places.vm", &fault));
        }
    }
    Ok(places)
}

impl Wire for Flavour {
    type Message = v1::WantedFlavour;

    fn to_wire(&self) -> v1::WantedFlavour {
        v1::WantedFlavour {
            name: self.name.clone().unwrap_or_default(),
            vcpus: self.vcpus,
            memory_bytes: self.memory.get(),
            count: self.count,
        }
    }

    fn from_wire(message: v1::WantedFlavour) -> Result<Self, Malformed> {
        let v1::WantedFlavour { name, vcpus, memory_bytes, count } = message;
        let name = (!name.is_empty()).then_some(name);
        let flavour = Self { name, vcpus, memory: Bytes::new(memory_bytes), count };
        let field = |error: &FlavourError| match error {
            FlavourError::Range { what: "vCPUs", .. } => "goal.defragment.flavours.vcpus",
            FlavourError::Range { what: "memory", .. } => "goal.defragment.flavours.memory_bytes",
            _ => "goal.defragment.flavours.count",
        };
        match Self::check_all(std::slice::from_ref(&flavour)) {
            Ok(()) => Ok(flavour),
            Err(error) => Err(Malformed::new(field(&error), &error)),
        }
    }
}
