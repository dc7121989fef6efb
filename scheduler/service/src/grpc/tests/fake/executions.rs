//! Executions of the fake's plan in any state.

use whimbrel_core::{
    Move, Plan,
    cluster::{CompletedStats, DeltaCoding, JobProgress},
    migration::MoveState,
    units::{Bytes, BytesPerSecond, Span},
};
use whimbrel_engine::{Execution, MoveView};

use super::at;

pub(in crate::grpc) fn progress(remaining_mib: u64) -> JobProgress {
    JobProgress {
        elapsed: Span::from_seconds(3),
        remaining: Bytes::mib(remaining_mib),
        transferred: Bytes::mib(700),
        total: Bytes::mib(1024),
        bandwidth: BytesPerSecond::mib(110),
        dirty_rate: BytesPerSecond::mib(9),
        iteration: 2,
        normal_pages: 179_000,
        zero_pages: 600,
        throttle_percent: 20,
        post_copy_requests: 5,
        delta: DeltaCoding { pages: 700, bytes: 9000, misses: 3 },
    }
}

/// The execution of `plan` with every move in `state`.
pub(in crate::grpc) fn execution(plan: &Plan, state: MoveState) -> Execution {
    let view = |(id, one): (_, &Move)| MoveView {
        id,
        vm: one.vm.clone(),
        from: one.from.clone(),
        to: one.to.clone(),
        state,
        detail: String::new(),
        begun_at: Some(at(5)),
        ended_at: state.is_final().then(|| at(15)),
        progress: Some(progress(40)),
        stats: (state == MoveState::Settled).then_some(CompletedStats {
            total_time: Span::from_seconds(10),
            downtime: Span::from_millis(57),
            setup_time: Span::from_millis(5),
            transferred: Bytes::mib(1100),
            normal_pages: 281_000,
            zero_pages: 600,
            iterations: 4,
            bandwidth: BytesPerSecond::mib(110),
            throttle_percent: 30,
            post_copy_requests: 40,
            delta: DeltaCoding { pages: 7000, bytes: 90_000, misses: 12 },
        }),
        predicted: one.predicted.clone(),
    };
    Execution {
        plan: plan.id(),
        moves: plan.moves().map(view).collect(),
        cancelled: state == MoveState::Cancelled,
        ended: state.is_final(),
        records: Vec::new(),
    }
}
