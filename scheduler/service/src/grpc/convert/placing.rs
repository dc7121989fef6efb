//! Hosts for new VMs, and how many more would fit.

use whimbrel_core::units::Bytes;
use whimbrel_planner::placing::{
    Candidate, Capacity, CapacityRequest, Counted, Fit, Flavour, Loss, Miss, NewVm, Placed,
    Placement, Refused, Stop, Stranded, Unplaced,
};
use whimbrel_proto::v1;

use super::{
    Malformed, Wire, bounded, count as number, finite, from_list, name, names, required, to_list,
};

impl Wire for NewVm {
    type Message = v1::NewVm;

    fn to_wire(&self) -> v1::NewVm {
        v1::NewVm {
            vm: self.name.to_string(),
            vcpus: self.vcpus,
            memory_bytes: self.memory.get(),
            demand_cores: self.demand_cores,
            exclude_hosts: self.exclude.iter().map(ToString::to_string).collect(),
        }
    }

    fn from_wire(message: v1::NewVm) -> Result<Self, Malformed> {
        let demand = message.demand_cores.map(|cores| finite("demand_cores", cores));
        Ok(Self {
            name: name("vm", &message.vm)?,
            vcpus: message.vcpus,
            memory: Bytes::new(message.memory_bytes),
            demand_cores: demand.transpose()?,
            exclude: names("exclude_hosts", &message.exclude_hosts)?,
        })
    }
}

impl Wire for Placement {
    type Message = v1::PlaceResponse;

    fn to_wire(&self) -> v1::PlaceResponse {
        v1::PlaceResponse { placed: to_list(&self.placed), unplaced: to_list(&self.unplaced) }
    }

    fn from_wire(message: v1::PlaceResponse) -> Result<Self, Malformed> {
        Ok(Self { placed: from_list(message.placed)?, unplaced: from_list(message.unplaced)? })
    }
}

impl Wire for Placed {
    type Message = v1::PlacedVm;

    fn to_wire(&self) -> v1::PlacedVm {
        v1::PlacedVm {
            vm: self.vm.to_string(),
            on: Some(self.on.to_wire()),
            runners_up: to_list(&self.runners_up),
            refused: Some(self.refused.to_wire()),
        }
    }

    fn from_wire(message: v1::PlacedVm) -> Result<Self, Malformed> {
        Ok(Self {
            vm: name("vm", &message.vm)?,
            on: Candidate::from_wire(required("on", message.on)?)?,
            runners_up: from_list(message.runners_up)?,
            refused: Refused::from_wire(required("refused", message.refused)?)?,
        })
    }
}

impl Wire for Candidate {
    type Message = v1::Candidate;

    fn to_wire(&self) -> v1::Candidate {
        v1::Candidate {
            host: self.host.to_string(),
            score_seconds: self.score_seconds,
            cpu_after: self.cpu_after,
            memory_left_bytes: self.memory_left.get(),
            vcpus_left: self.vcpus_left,
        }
    }

    fn from_wire(message: v1::Candidate) -> Result<Self, Malformed> {
        Ok(Self {
            host: name("host", &message.host)?,
            score_seconds: message.score_seconds,
            cpu_after: message.cpu_after,
            memory_left: Bytes::new(message.memory_left_bytes),
            vcpus_left: message.vcpus_left,
        })
    }
}

impl Wire for Unplaced {
    type Message = v1::UnplacedVm;

    fn to_wire(&self) -> v1::UnplacedVm {
        v1::UnplacedVm {
            vm: self.vm.to_string(),
            memory_bytes: self.memory.get(),
            vcpus: self.vcpus,
            together_with: self.together_with.iter().map(ToString::to_string).collect(),
            refused: Some(self.refused.to_wire()),
        }
    }

    fn from_wire(message: v1::UnplacedVm) -> Result<Self, Malformed> {
        let together = message.together_with.iter();
        Ok(Self {
            vm: name("vm", &message.vm)?,
            memory: Bytes::new(message.memory_bytes),
            vcpus: message.vcpus,
            together_with: together
                .map(|vm| name("together_with", vm))
                .collect::<Result<_, _>>()?,
            refused: Refused::from_wire(required("refused", message.refused)?)?,
        })
    }
}

impl Wire for Refused {
    type Message = v1::Refused;

    fn to_wire(&self) -> v1::Refused {
        let count = |one: &Counted| v1::RefusalCount {
            reason: one.reason.clone(),
            hosts: one.hosts as u64,
        };
        let miss = |one: &Miss| v1::NearMiss {
            host: one.host.to_string(),
            memory_short_bytes: one.memory_short.get(),
            vcpus_short: one.vcpus_short,
        };
        v1::Refused {
            reasons: self.reasons.iter().map(count).collect(),
            nearest: self.nearest.iter().map(miss).collect(),
        }
    }

    fn from_wire(message: v1::Refused) -> Result<Self, Malformed> {
        let counted = |one: v1::RefusalCount| {
            Ok(Counted { reason: one.reason, hosts: number("hosts", one.hosts)? })
        };
        let miss = |one: v1::NearMiss| {
            Ok(Miss {
                host: name("host", &one.host)?,
                memory_short: Bytes::new(one.memory_short_bytes),
                vcpus_short: one.vcpus_short,
            })
        };
        Ok(Self {
            reasons: message.reasons.into_iter().map(counted).collect::<Result<_, _>>()?,
            nearest: message.nearest.into_iter().map(miss).collect::<Result<_, _>>()?,
        })
    }
}

impl Wire for CapacityRequest {
    type Message = v1::CapacityRequest;

    fn to_wire(&self) -> v1::CapacityRequest {
        let flavour = |one: &Flavour| v1::Flavour {
            name: one.name.clone(),
            vcpus: one.vcpus,
            memory_bytes: one.memory.get(),
            demand_cores: one.demand_cores,
            times: one.times,
        };
        v1::CapacityRequest {
            flavours: self.flavours.iter().map(flavour).collect(),
            mixed: self.mixed,
            survive_loss: self.survive_loss,
        }
    }

    fn from_wire(message: v1::CapacityRequest) -> Result<Self, Malformed> {
        let flavour = |one: v1::Flavour| {
            let demand = one.demand_cores.map(|cores| finite("flavours.demand_cores", cores));
            Ok(Flavour {
                name: one.name,
                vcpus: one.vcpus,
                memory: Bytes::new(one.memory_bytes),
                demand_cores: demand.transpose()?,
                times: one.times,
            })
        };
        bounded("flavours", &message.flavours)?;
        Ok(Self {
            flavours: message.flavours.into_iter().map(flavour).collect::<Result<_, _>>()?,
            mixed: message.mixed,
            survive_loss: message.survive_loss,
        })
    }
}

impl Wire for Capacity {
    type Message = v1::Capacity;

    fn to_wire(&self) -> v1::Capacity {
        let fit =
            |one: &Fit| v1::FlavourFit { flavour: one.flavour.clone(), more: one.more as u64 };
        v1::Capacity {
            fits: self.fits.iter().map(fit).collect(),
            rounds: self.rounds as u64,
            stop: Some(self.stop.to_wire()),
            memory_left_bytes: self.memory_left.get(),
            vcpus_left: self.vcpus_left,
        }
    }

    fn from_wire(message: v1::Capacity) -> Result<Self, Malformed> {
        let fit =
            |one: v1::FlavourFit| Ok(Fit { flavour: one.flavour, more: number("more", one.more)? });
        Ok(Self {
            fits: message.fits.into_iter().map(fit).collect::<Result<_, _>>()?,
            rounds: number("rounds", message.rounds)?,
            stop: Stop::from_wire(required("stop", message.stop)?)?,
            memory_left: Bytes::new(message.memory_left_bytes),
            vcpus_left: message.vcpus_left,
        })
    }
}

impl Wire for Stop {
    type Message = v1::capacity::Stop;

    fn to_wire(&self) -> v1::capacity::Stop {
        use v1::capacity::Stop as M;
        match self {
            Self::Full { flavour, refused } => M::Full(v1::CapacityFull {
                flavour: flavour.clone(),
                refused: Some(refused.to_wire()),
            }),
            Self::LossNotSurvived { flavour, loss, hosts } => {
                M::LossNotSurvived(v1::CapacityLoss {
                    flavour: flavour.clone(),
                    loss: Some(loss.to_wire()),
                    hosts: *hosts as u64,
                })
            }
            Self::UnsafeAlready { losses } => {
                M::UnsafeAlready(v1::CapacityUnsafe { losses: to_list(losses) })
            }
            Self::Counted => M::Counted(v1::CapacityCounted {}),
        }
    }

    fn from_wire(message: v1::capacity::Stop) -> Result<Self, Malformed> {
        use v1::capacity::Stop as M;
        Ok(match message {
            M::Full(full) => Self::Full {
                flavour: full.flavour,
                refused: Refused::from_wire(required("refused", full.refused)?)?,
            },
            M::LossNotSurvived(one) => Self::LossNotSurvived {
                flavour: one.flavour,
                loss: Loss::from_wire(required("loss", one.loss)?)?,
                hosts: number("hosts", one.hosts)?,
            },
            M::UnsafeAlready(one) => Self::UnsafeAlready { losses: from_list(one.losses)? },
            M::Counted(_) => Self::Counted,
        })
    }
}

impl Wire for Loss {
    type Message = v1::Loss;

    fn to_wire(&self) -> v1::Loss {
        let stranded = |one: &Stranded| v1::StrandedVm {
            vm: one.vm.to_string(),
            refused: Some(one.refused.to_wire()),
        };
        v1::Loss {
            host: self.host.to_string(),
            stranded: self.stranded.iter().map(stranded).collect(),
        }
    }

    fn from_wire(message: v1::Loss) -> Result<Self, Malformed> {
        let stranded = |one: v1::StrandedVm| {
            Ok(Stranded {
                vm: name("vm", &one.vm)?,
                refused: Refused::from_wire(required("refused", one.refused)?)?,
            })
        };
        Ok(Self {
            host: name("host", &message.host)?,
            stranded: message.stranded.into_iter().map(stranded).collect::<Result<_, _>>()?,
        })
    }
}
