//! How an earlier plan stands, VM by VM.

use whimbrel_core::HostId;
use whimbrel_planner::undo::{Found, Standing};
use whimbrel_proto::v1;

use super::{Malformed, Wire, name, required};

impl Wire for Standing {
    type Message = v1::Standing;

    fn to_wire(&self) -> v1::Standing {
        use v1::Whereabouts as W;
        let (whereabouts, host) = match &self.found {
            Found::Arrived => (W::Arrived, None),
            Found::NotMoved => (W::NotMoved, None),
            Found::OnTheWay { host } => (W::OnTheWay, Some(host)),
            Found::Elsewhere { host } => (W::Elsewhere, Some(host)),
            Found::OtherMachine => (W::OtherMachine, None),
            Found::Gone => (W::Gone, None),
        };
        v1::Standing {
            vm: self.vm.to_string(),
            from_host: self.from.to_string(),
            to_host: self.to.to_string(),
            whereabouts: whereabouts.into(),
            host: host.map(ToString::to_string),
            text: self.to_string(),
        }
    }

    fn from_wire(message: v1::Standing) -> Result<Self, Malformed> {
        use v1::Whereabouts as W;
        const FIELD: &str = "standing.whereabouts";
        let host = || -> Result<HostId, Malformed> {
            name("standing.host", &required("standing.host", message.host.clone())?)
        };
        let found = match W::try_from(message.whereabouts) {
            Ok(W::Arrived) => Found::Arrived,
            Ok(W::NotMoved) => Found::NotMoved,
            Ok(W::OnTheWay) => Found::OnTheWay { host: host()? },
            Ok(W::Elsewhere) => Found::Elsewhere { host: host()? },
            Ok(W::OtherMachine) => Found::OtherMachine,
            Ok(W::Gone) => Found::Gone,
            Ok(W::Unspecified) => return Err(Malformed::new(FIELD, "is not given")),
            Err(_) => {
                let fault = format!("{} is not known", message.whereabouts);
                return Err(Malformed::new(FIELD, &fault));
            }
        };
        Ok(Self {
            vm: name("standing.vm", &message.vm)?,
            from: name("standing.from_host", &message.from_host)?,
            to: name("standing.to_host", &message.to_host)?,
            found,
        })
    }
}
