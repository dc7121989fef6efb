//! Why a VM moves or stays: figures there and back; the words are made anew from them.

use whimbrel_core::{
    HostState,
    units::{Bytes, Span},
};
use whimbrel_planner::{
    Explanation,
    explain::{
        Alternative, Answer, Change, Difference, HostLoad, Key, LoadAt, MovePrice, Refused,
        Threshold, Why,
    },
};
use whimbrel_proto::v1;

use super::{Malformed, Wire, count, from_list, from_optional, name, required, share, to_list};

impl Wire for Explanation {
    type Message = v1::Explanation;

    fn to_wire(&self) -> v1::Explanation {
        v1::Explanation {
            vm: self.vm.to_string(),
            from_host: self.home.to_string(),
            to_host: self.end.to_string(),
            reason: Some(self.why.to_wire()),
            loads: to_list(&self.loads),
            price: self.price.as_ref().map(Wire::to_wire),
            alternatives: to_list(&self.alternatives),
            hosts_left_out: self.left_out as u64,
            thresholds: to_list(&self.thresholds),
            thresholds_sought: self.thresholds_sought,
            horizon_micros: self.horizon.as_micros(),
            text: self.to_string(),
        }
    }

    fn from_wire(message: v1::Explanation) -> Result<Self, Malformed> {
        Ok(Self {
            vm: name("explanation.vm", &message.vm)?,
            home: name("explanation.from_host", &message.from_host)?,
            end: name("explanation.to_host", &message.to_host)?,
            why: Why::from_wire(required("explanation.reason", message.reason)?)?,
            loads: from_list(message.loads)?,
            price: from_optional(message.price)?,
            alternatives: from_list(message.alternatives)?,
            left_out: count("explanation.hosts_left_out", message.hosts_left_out)?,
            thresholds: from_list(message.thresholds)?,
            thresholds_sought: message.thresholds_sought,
            horizon: Span::from_micros(message.horizon_micros),
        })
    }
}

impl Wire for HostLoad {
    type Message = v1::HostLoad;

    fn to_wire(&self) -> v1::HostLoad {
        v1::HostLoad {
            host: self.host.to_string(),
            cpu_cores: self.cores,
            memory_limit_bytes: self.memory_limit.get(),
            now: Some(self.now.to_wire()),
            planned: Some(self.planned.to_wire()),
            otherwise: self.otherwise.as_ref().map(Wire::to_wire),
        }
    }

    fn from_wire(message: v1::HostLoad) -> Result<Self, Malformed> {
        Ok(Self {
            host: name("load.host", &message.host)?,
            cores: message.cpu_cores,
            memory_limit: Bytes::new(message.memory_limit_bytes),
            now: LoadAt::from_wire(required("load.now", message.now)?)?,
            planned: LoadAt::from_wire(required("load.planned", message.planned)?)?,
            otherwise: from_optional(message.otherwise)?,
        })
    }
}

impl Wire for LoadAt {
    type Message = v1::LoadAt;

    fn to_wire(&self) -> v1::LoadAt {
        v1::LoadAt {
            cpu_cores: self.cpu_cores,
            memory_bytes: self.memory.get(),
            contention_seconds: self.contention_seconds,
        }
    }

    fn from_wire(message: v1::LoadAt) -> Result<Self, Malformed> {
        Ok(Self {
            cpu_cores: message.cpu_cores,
            memory: Bytes::new(message.memory_bytes),
            contention_seconds: message.contention_seconds,
        })
    }
}

impl Wire for MovePrice {
    type Message = v1::MovePrice;

    fn to_wire(&self) -> v1::MovePrice {
        v1::MovePrice {
            to_host: self.to.to_string(),
            busy_cores: self.busy_cores,
            total_time_micros: self.total_time.as_micros(),
            downtime_micros: self.downtime.as_micros(),
            migration_weight: self.migration_weight,
            downtime_weight: self.downtime_weight,
            brown_out_seconds: self.brown_out_seconds,
            downtime_seconds: self.downtime_seconds,
            gain_factor: self.factor,
        }
    }

    fn from_wire(message: v1::MovePrice) -> Result<Self, Malformed> {
        Ok(Self {
            to: name("price.to_host", &message.to_host)?,
            busy_cores: message.busy_cores,
            total_time: Span::from_micros(message.total_time_micros),
            downtime: Span::from_micros(message.downtime_micros),
            migration_weight: message.migration_weight,
            downtime_weight: message.downtime_weight,
            brown_out_seconds: message.brown_out_seconds,
            downtime_seconds: message.downtime_seconds,
            factor: message.gain_factor,
        })
    }
}

impl Wire for Alternative {
    type Message = v1::Alternative;

    fn to_wire(&self) -> v1::Alternative {
        use v1::alternative::Answer as M;
        let answer = match &self.answer {
            Answer::Possible(by) => M::Possible(by.to_wire()),
            Answer::Refused(all) => M::Refused(v1::Refusals { reasons: to_list(all) }),
        };
        v1::Alternative {
            host: self.host.to_string(),
            is_from_host: self.home,
            answer: Some(answer),
            text: self.to_string(),
        }
    }

    fn from_wire(message: v1::Alternative) -> Result<Self, Malformed> {
        use v1::alternative::Answer as M;
        let answer = match required("alternative.answer", message.answer)? {
            M::Possible(by) => Answer::Possible(Difference::from_wire(by)?),
            M::Refused(all) => Answer::Refused(from_list(all.reasons)?),
        };
        let host = name("alternative.host", &message.host)?;
        Ok(Self { host, home: message.is_from_host, answer })
    }
}

impl Wire for Difference {
    type Message = v1::Difference;

    fn to_wire(&self) -> v1::Difference {
        v1::Difference {
            total_seconds: self.total_seconds,
            contention_seconds: self.contention_seconds,
            price_seconds: self.price_seconds,
            rules_seconds: self.rules_seconds,
            displaced_seconds: self.displaced_seconds,
        }
    }

    fn from_wire(message: v1::Difference) -> Result<Self, Malformed> {
        Ok(Self {
            total_seconds: message.total_seconds,
            contention_seconds: message.contention_seconds,
            price_seconds: message.price_seconds,
            rules_seconds: message.rules_seconds,
            displaced_seconds: message.displaced_seconds,
        })
    }
}

impl Wire for Refused {
    type Message = v1::Refusal;

    fn to_wire(&self) -> v1::Refusal {
        use v1::refusal::Kind as M;
        let kind = match self {
            Self::Emptied => M::Emptied(v1::RefusalEmptied {}),
            Self::NotUp { state } => M::HostState(state.to_wire()),
            Self::Rule { rule, with } => M::Rule(v1::RefusalByRule {
                rule: rule.clone(),
                with_vm: with.as_ref().map(ToString::to_string),
            }),
            Self::MemoryShort { short } => M::MemoryShortBytes(short.get()),
            Self::VcpusShort { short } => M::VcpusShort(*short),
            Self::Stalls { converges, downtime_limit_needed } => M::Stalls(v1::RefusalStalls {
                converges_share: converges.get(),
                downtime_limit_needed_micros: downtime_limit_needed.map(Span::as_micros),
            }),
            Self::Unpredictable { why } => M::Unpredictable(why.clone()),
            Self::Unfit => M::Unfit(v1::RefusalUnfit {}),
        };
        v1::Refusal { kind: Some(kind), text: self.to_string() }
    }

    fn from_wire(message: v1::Refusal) -> Result<Self, Malformed> {
        use v1::refusal::Kind as M;
        Ok(match required("refusal.kind", message.kind)? {
            M::Emptied(_) => Self::Emptied,
            M::HostState(state) => Self::NotUp {
                state: HostState::from_wire(state)
                    .map_err(|e| Malformed { field: "refusal.host_state", ..e })?,
            },
            M::Rule(by) => Self::Rule {
                rule: by.rule,
                with: by.with_vm.map(|vm| name("refusal.rule.with_vm", &vm)).transpose()?,
            },
            M::MemoryShortBytes(short) => Self::MemoryShort { short: Bytes::new(short) },
            M::VcpusShort(short) => Self::VcpusShort { short },
            M::Stalls(stalls) => Self::Stalls {
                converges: share("refusal.stalls.converges_share", stalls.converges_share)?,
                downtime_limit_needed: stalls.downtime_limit_needed_micros.map(Span::from_micros),
            },
            M::Unpredictable(why) => Self::Unpredictable { why },
            M::Unfit(_) => Self::Unfit,
        })
    }
}

impl Wire for Threshold {
    type Message = v1::Threshold;

    fn to_wire(&self) -> v1::Threshold {
        use v1::threshold::Change as M;
        let change = match &self.change {
            Change::Value { key, now, at, below } => M::Value(v1::PolicyValue {
                key: key.name().to_owned(),
                now: *now,
                at: *at,
                below: *below,
            }),
            Change::WithoutRule { rule } => M::WithoutRule(rule.clone()),
        };
        v1::Threshold {
            change: Some(change),
            host: self.host.to_string(),
            confirmed: self.confirmed,
        }
    }

    fn from_wire(message: v1::Threshold) -> Result<Self, Malformed> {
        use v1::threshold::Change as M;
        let change = match required("threshold.change", message.change)? {
            M::Value(v1::PolicyValue { key, now, at, below }) => {
                let known = Key::ALL.into_iter().find(|one| one.name() == key);
                let unknown =
                    || Malformed::new("threshold.value.key", &format!("{key:?} is not known"));
                Change::Value { key: known.ok_or_else(unknown)?, now, at, below }
            }
            M::WithoutRule(rule) => Change::WithoutRule { rule },
        };
        let host = name("threshold.host", &message.host)?;
        Ok(Self { change, host, confirmed: message.confirmed })
    }
}
