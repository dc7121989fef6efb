//! How an execution stands: for people, for the API and for the records that models learn from.

use whimbrel_core::{
    Plan,
    cluster::{CompletedStats, JobProgress},
    ids::{HostId, OrderId, PlanId, VmId},
    migration::MoveState,
    predict::Prediction,
    telemetry::MigrationRecord,
    units::{Span, Timestamp},
};

use crate::run::MoveRun;

/// How the execution of a plan stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// The plan.
    pub plan: PlanId,
    /// Its moves in order.
    pub moves: Vec<MoveView>,
    /// Whether it is being given up.
    pub cancelled: bool,
    /// Whether every move has ended.
    pub ended: bool,
    /// Records of the moves that were begun and have ended.
    pub records: Vec<MigrationRecord>,
}

/// How one move stands.
#[derive(Debug, Clone, PartialEq)]
pub struct MoveView {
    /// Its order.
    pub id: OrderId,
    /// The VM.
    pub vm: VmId,
    /// From.
    pub from: HostId,
    /// To.
    pub to: HostId,
    /// Its state.
    pub state: MoveState,
    /// Why, where the state does not say all.
    pub detail: String,
    /// When it was begun.
    pub begun_at: Option<Timestamp>,
    /// When it was seen to have ended.
    pub ended_at: Option<Timestamp>,
    /// Last progress of its job.
    pub progress: Option<JobProgress>,
    /// QEMU's figures of it.
    pub stats: Option<CompletedStats>,
    /// What was predicted.
    pub predicted: Prediction,
}

impl Execution {
    pub(crate) fn of(plan: &Plan, runs: &[MoveRun], cancelled: bool, ended: bool) -> Self {
        let planned = || plan.moves().map(|(_, one)| &one.predicted);
        Self {
            plan: plan.id(),
            moves: runs.iter().zip(planned()).map(|(run, p)| MoveView::of(run, p)).collect(),
            cancelled,
            ended,
            records: runs.iter().zip(planned()).filter_map(|(run, p)| record(run, p)).collect(),
        }
    }

    /// Moves in `state`.
    pub fn count(&self, state: MoveState) -> usize {
        self.moves.iter().filter(|one| one.state == state).count()
    }

    /// Whether every move arrived.
    pub fn succeeded(&self) -> bool {
        self.ended && self.moves.iter().all(|one| one.state == MoveState::Settled)
    }
}

impl MoveView {
    fn of(run: &MoveRun, predicted: &Prediction) -> Self {
        Self {
            id: run.order.id.clone(),
            vm: run.order.vm.clone(),
            from: run.order.from.clone(),
            to: run.order.to.clone(),
            state: run.state,
            detail: run.detail.clone(),
            begun_at: run.begun_at,
            ended_at: run.ended_at,
            progress: run.progress,
            stats: run.stats,
            predicted: predicted.clone(),
        }
    }

    /// Time from its begin to its end, if it has ended.
    pub fn wall(&self) -> Option<Span> {
        Some(self.ended_at?.since(self.begun_at?))
    }
}

/// The record of a move that was begun and has ended.
fn record(run: &MoveRun, predicted: &Prediction) -> Option<MigrationRecord> {
    let before = run.before.as_ref().filter(|_| run.state.is_final())?;
    let domain = &before.domain;
    let (begun_at, ended_at) = (run.begun_at?, run.ended_at?);
    let arrived = run.state == MoveState::Settled;
    Some(MigrationRecord {
        id: run.order.id.clone(),
        at: begun_at,
        vm: run.order.vm.clone(),
        from: run.order.from.clone(),
        to: run.order.to.clone(),
        settings: run.order.settings.clone(),
        arrived,
        failure: (!arrived).then(|| format!("{:?}: {}", run.state, run.detail)),
        memory: domain.memory,
        resident: domain.resident,
        cpu_used: domain.cpu_used,
        dirty_before: domain.dirty.clone(),
        path_bandwidth: before.path_bandwidth,
        sharing: before.sharing,
        qemu: before.qemu,
        predicted: Some(predicted.clone()),
        wall: ended_at.since(begun_at),
        stats: run.stats,
    })
}
