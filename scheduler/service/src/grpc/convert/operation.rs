//! Operations: how the execution of a plan stands. Records for learning stay behind.

use whimbrel_core::{
    Prediction,
    cluster::CompletedStats,
    migration::MoveState,
    units::{Bytes, BytesPerSecond, Span, Timestamp},
};
use whimbrel_engine::{Execution, MoveView};
use whimbrel_proto::v1::{self, OperationState};

use super::{
    Malformed, Wire, from_list, from_optional, name, percent, required, same_names, to_list,
};

same_names!(MoveState {
    Planned, Intended, Accepted, Copying, Arrived, Settled, Skipped, Refused, Failed, Cancelled,
    Unknown,
} = MoveState in "move.state");

impl Wire for Execution {
    type Message = v1::Operation;

    fn to_wire(&self) -> v1::Operation {
        v1::Operation {
            id: self.plan.to_string(),
            state: state(self).into(),
            cancel_requested: self.cancelled,
            moves: to_list(&self.moves),
        }
    }

    /// Without records: they are written where the plan is executed.
    fn from_wire(message: v1::Operation) -> Result<Self, Malformed> {
        let ended = match OperationState::try_from(message.state) {
            Ok(OperationState::Running | OperationState::Cancelling) => false,
            Ok(
                OperationState::Succeeded
                | OperationState::Failed
                | OperationState::Cancelled
                | OperationState::Quarantined,
            ) => true,
            Ok(OperationState::Unspecified) | Err(_) => {
                let fault = format!("{} is not known", message.state);
                return Err(Malformed::new("operation.state", &fault));
            }
        };
        Ok(Self {
            plan: name("operation.id", &message.id)?,
            moves: from_list(message.moves)?,
            cancelled: message.cancel_requested,
            ended,
            records: Vec::new(),
        })
    }
}

fn state(execution: &Execution) -> OperationState {
    if !execution.ended {
        return if execution.cancelled {
            OperationState::Cancelling
        } else {
            OperationState::Running
        };
    }
    if execution.count(MoveState::Unknown) > 0 {
        OperationState::Quarantined
    } else if execution.succeeded() {
        OperationState::Succeeded
    } else if execution.cancelled {
        OperationState::Cancelled
    } else {
        OperationState::Failed
    }
}

impl Wire for MoveView {
    type Message = v1::MoveProgress;

    fn to_wire(&self) -> v1::MoveProgress {
        v1::MoveProgress {
            id: self.id.to_string(),
            vm: self.vm.to_string(),
            from_host: self.from.to_string(),
            to_host: self.to.to_string(),
            state: self.state.to_wire(),
            detail: self.detail.clone(),
            begun_at_unix_micros: self.begun_at.map(Timestamp::as_micros),
            ended_at_unix_micros: self.ended_at.map(Timestamp::as_micros),
            progress: self.progress.as_ref().map(Wire::to_wire),
            stats: self.stats.as_ref().map(Wire::to_wire),
            predicted: Some(self.predicted.to_wire()),
        }
    }

    fn from_wire(message: v1::MoveProgress) -> Result<Self, Malformed> {
        Ok(Self {
            id: name("move.id", &message.id)?,
            vm: name("move.vm", &message.vm)?,
            from: name("move.from_host", &message.from_host)?,
            to: name("move.to_host", &message.to_host)?,
            state: MoveState::from_wire(message.state)?,
            detail: message.detail,
            begun_at: message.begun_at_unix_micros.map(Timestamp::from_micros),
            ended_at: message.ended_at_unix_micros.map(Timestamp::from_micros),
            progress: from_optional(message.progress)?,
            stats: from_optional(message.stats)?,
            predicted: Prediction::from_wire(required("move.predicted", message.predicted)?)?,
        })
    }
}

impl Wire for CompletedStats {
    type Message = v1::CompletedStats;

    fn to_wire(&self) -> v1::CompletedStats {
        v1::CompletedStats {
            total_time_micros: self.total_time.as_micros(),
            downtime_micros: self.downtime.as_micros(),
            setup_time_micros: self.setup_time.as_micros(),
            transferred_bytes: self.transferred.get(),
            normal_pages: self.normal_pages,
            zero_pages: self.zero_pages,
            iterations: self.iterations,
            bandwidth_bytes_per_second: self.bandwidth.get(),
            throttle_percent: self.throttle_percent.into(),
            post_copy_requests: self.post_copy_requests,
            delta: Some(self.delta.to_wire()),
        }
    }

    fn from_wire(message: v1::CompletedStats) -> Result<Self, Malformed> {
        Ok(Self {
            total_time: Span::from_micros(message.total_time_micros),
            downtime: Span::from_micros(message.downtime_micros),
            setup_time: Span::from_micros(message.setup_time_micros),
            transferred: Bytes::new(message.transferred_bytes),
            normal_pages: message.normal_pages,
            zero_pages: message.zero_pages,
            iterations: message.iterations,
            bandwidth: BytesPerSecond::new(message.bandwidth_bytes_per_second),
            throttle_percent: percent("stats.throttle_percent", message.throttle_percent)?,
            post_copy_requests: message.post_copy_requests,
            delta: from_optional(message.delta)?.unwrap_or_default(),
        })
    }
}
