//! What a plan is for, on the wire and back.

use whimbrel_core::{
    Goal,
    plan::{Emptied, Flavour},
    units::{Bytes, Span},
};
use whimbrel_proto::v1;

use super::{Malformed, Wire, from_list, name, required, to_list};

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
            // The API has no name for it; the plan's own file tells it.
            Self::Restore { .. } => return v1::Goal { kind: None },
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
                Self::Defragment { flavours: from_list(flavours)? }
            }
            Kind::Powersave(v1::PowersaveGoal {}) => Self::Powersave,
            Kind::Even(v1::EvenGoal {}) => Self::Even,
        })
    }
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
        // The planner refuses sizes that no VM has, by name.
        Ok(Self { name, vcpus, memory: Bytes::new(memory_bytes), count })
    }
}
