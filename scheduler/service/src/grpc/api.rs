//! The methods of the service `whimbrel.v1.Scheduler`, one for one onto the [`Backend`].
//!
//! Checks what can be checked without knowing the cluster, and nothing else. Calls into the
//! backend block and run on threads of their own.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    task,
};
use tonic::{Request, Response, Status};
use whimbrel_core::PlanId;
use whimbrel_engine::Execution;
use whimbrel_planner::placing::{Batch, CapacityRequest, NewVm};
use whimbrel_proto::{
    Message,
    v1::{self, scheduler_server::Scheduler},
};

use super::{
    Backend, ExplainQuestion, MESSAGE_SIZE_MAX, PlanQuestion,
    convert::{self, Malformed, Wire},
    page, status,
    stream::{self, OperationStream},
};
use crate::{Failure, FailureKind, advice::RescueQuestion};

/// Time within which a call is answered.
pub(super) const ANSWER_TIME_MAX: Duration = Duration::from_mins(5);
/// Plans and simulations that are computed at one time; more of them wait. Bounds what clients
/// can take from the engine's CPU, and keeps threads free for `CancelOperation`.
const COMPUTATIONS_MAX: usize = 4;

/// The service.
pub(super) struct Api {
    backend: Arc<dyn Backend>,
    computations: Arc<Semaphore>,
    stopping: watch::Receiver<bool>,
}

impl Api {
    /// Over `backend`; streams end when `stopping` becomes true.
    pub(super) fn new(backend: Arc<dyn Backend>, stopping: watch::Receiver<bool>) -> Self {
        Self { backend, computations: Arc::new(Semaphore::new(COMPUTATIONS_MAX)), stopping }
    }

    /// Runs `work` where it may block.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Backend) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Status> {
        let backend = Arc::clone(&self.backend);
        task::spawn_blocking(move || work(&*backend))
            .await
            .map_err(|_| Status::internal("the call broke off; the server's log has the cause"))?
            .map_err(|failure| status::to_status(&failure))
    }

    /// Runs `work`, which computes for long, when its turn comes.
    async fn compute<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Backend) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Status> {
        let turn = Arc::clone(&self.computations).acquire_owned().await;
        // The turn ends with the work, not with a caller who went away.
        self.call(move |backend| {
            let _turn = turn.map_err(Failure::unavailable)?;
            work(backend)
        })
        .await
    }

    async fn operation(&self, id: PlanId) -> Result<watch::Receiver<Execution>, Status> {
        self.call(move |backend| backend.watch(&id)).await
    }
}

/// The present state in `states`.
fn present(states: &watch::Receiver<Execution>) -> v1::Operation {
    states.borrow().to_wire()
}

fn bad_request(malformed: Malformed) -> Status {
    status::to_status(&malformed.in_request())
}

fn operation_id(text: &str) -> Result<PlanId, Status> {
    convert::name("id", text).map_err(bad_request)
}

/// `failure` of a plan text, with a hint where the reader of the text had none.
fn about_text(mut failure: Failure) -> Failure {
    if failure.kind == FailureKind::Invalid && failure.hint.is_none() {
        failure.hint = Some("send the plan's text exactly as Plan returned it".to_owned());
    }
    failure
}

/// Refuses what cannot be a digest, so that a forgotten field is not taken for a wrong plan.
fn refuse_no_digest(digest: &str) -> Result<(), Status> {
    if digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(status::to_status(&Failure::invalid(
        "field expected_digest is not a digest of 64 hexadecimal digits \
         (hint: send the digest of the plan that was read and approved)",
    )))
}

/// Refuses an explanation of so many VMs that nobody could receive it.
fn refuse_too_long(message: &v1::ExplainResponse) -> Result<(), Status> {
    let size = message.encoded_len();
    if size <= MESSAGE_SIZE_MAX {
        return Ok(());
    }
    Err(status::to_status(&Failure::conflict(format!(
        "the explanations of {} VMs take {size} bytes, a message has {MESSAGE_SIZE_MAX} at most \
         (hint: ask for smaller pages)",
        message.explanations.len()
    ))))
}

#[tonic::async_trait]
impl Scheduler for Api {
    type WatchOperationStream = OperationStream;

    async fn get_inventory(
        &self,
        _: Request<v1::GetInventoryRequest>,
    ) -> Result<Response<v1::GetInventoryResponse>, Status> {
        let snapshot = self.call(|backend| backend.inventory()).await?;
        Ok(Response::new(convert::inventory_response(&snapshot)))
    }

    async fn predict(
        &self,
        request: Request<v1::PredictRequest>,
    ) -> Result<Response<v1::PredictResponse>, Status> {
        let request = request.into_inner();
        let vm = convert::name("vm", &request.vm).map_err(bad_request)?;
        let to = request.to_host.map(|host| convert::name("to_host", &host)).transpose();
        let to = to.map_err(bad_request)?;
        let predictions = self.compute(move |backend| backend.predict(&vm, to.as_ref())).await?;
        let predictions = convert::to_list(&predictions);
        Ok(Response::new(v1::PredictResponse { predictions }))
    }

    async fn plan(
        &self,
        request: Request<v1::PlanRequest>,
    ) -> Result<Response<v1::PlanResponse>, Status> {
        let question = PlanQuestion::from_wire(request.into_inner()).map_err(bad_request)?;
        let planned = self.compute(move |backend| backend.plan(&question)).await?;
        Ok(Response::new(convert::planned_message(planned)))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let question = ExplainQuestion::from_wire(request.into_inner()).map_err(bad_request)?;
        let explained = self.compute(move |backend| backend.explain(&question)).await?;
        let message = convert::explained_message(explained);
        refuse_too_long(&message)?;
        Ok(Response::new(message))
    }

    async fn rescue(
        &self,
        request: Request<v1::RescueRequest>,
    ) -> Result<Response<v1::RescueResponse>, Status> {
        let question = RescueQuestion::from_wire(request.into_inner()).map_err(bad_request)?;
        let rescue = self.compute(move |backend| backend.rescue(&question)).await?;
        Ok(Response::new(rescue.to_wire()))
    }

    async fn place(
        &self,
        request: Request<v1::PlaceRequest>,
    ) -> Result<Response<v1::PlaceResponse>, Status> {
        let v1::PlaceRequest { vms, as_many_as_fit } = request.into_inner();
        convert::bounded("vms", &vms).map_err(bad_request)?;
        let vms: Vec<NewVm> = convert::from_list(vms).map_err(bad_request)?;
        let batch = if as_many_as_fit { Batch::AsManyAsFit } else { Batch::AllOrNothing };
        let placement = self.compute(move |backend| backend.place(&vms, batch)).await?;
        Ok(Response::new(placement.to_wire()))
    }

    async fn capacity(
        &self,
        request: Request<v1::CapacityRequest>,
    ) -> Result<Response<v1::CapacityResponse>, Status> {
        let request = CapacityRequest::from_wire(request.into_inner()).map_err(bad_request)?;
        let capacities = self.compute(move |backend| backend.capacity(&request)).await?;
        Ok(Response::new(v1::CapacityResponse { capacities: convert::to_list(&capacities) }))
    }

    async fn simulate(
        &self,
        request: Request<v1::SimulateRequest>,
    ) -> Result<Response<v1::SimulateResponse>, Status> {
        let v1::SimulateRequest { plan_text, seed } = request.into_inner();
        let simulated = self
            .compute(move |backend| backend.simulate(&plan_text, seed).map_err(about_text))
            .await?;
        Ok(Response::new(simulated.to_wire()))
    }

    async fn apply(
        &self,
        request: Request<v1::ApplyRequest>,
    ) -> Result<Response<v1::ApplyResponse>, Status> {
        let v1::ApplyRequest { plan_text, expected_digest } = request.into_inner();
        refuse_no_digest(&expected_digest)?;
        let states = self
            .call(move |backend| {
                let id = backend.apply(&plan_text, &expected_digest).map_err(about_text)?;
                backend.watch(&id)
            })
            .await?;
        Ok(Response::new(v1::ApplyResponse { operation: Some(present(&states)) }))
    }

    async fn get_operation(
        &self,
        request: Request<v1::GetOperationRequest>,
    ) -> Result<Response<v1::GetOperationResponse>, Status> {
        let states = self.operation(operation_id(&request.into_inner().id)?).await?;
        Ok(Response::new(v1::GetOperationResponse { operation: Some(present(&states)) }))
    }

    async fn list_operations(
        &self,
        request: Request<v1::ListOperationsRequest>,
    ) -> Result<Response<v1::ListOperationsResponse>, Status> {
        let request = request.into_inner();
        let response = self.call(move |backend| page::of(&backend.operations()?, &request)).await?;
        Ok(Response::new(response))
    }

    async fn cancel_operation(
        &self,
        request: Request<v1::CancelOperationRequest>,
    ) -> Result<Response<v1::CancelOperationResponse>, Status> {
        let id = operation_id(&request.into_inner().id)?;
        let states = self
            .call(move |backend| {
                backend.cancel(&id)?;
                backend.watch(&id)
            })
            .await?;
        Ok(Response::new(v1::CancelOperationResponse { operation: Some(present(&states)) }))
    }

    async fn watch_operation(
        &self,
        request: Request<v1::WatchOperationRequest>,
    ) -> Result<Response<OperationStream>, Status> {
        let states = self.operation(operation_id(&request.into_inner().id)?).await?;
        Ok(Response::new(stream::operation(states, self.stopping.clone())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_a_message_holds_is_refused_with_a_way_out() {
        let of = |length| {
            let one = v1::Explanation { text: "x".repeat(length), ..Default::default() };
            v1::ExplainResponse { explanations: vec![one], ..Default::default() }
        };
        assert!(refuse_too_long(&of(1 << 20)).is_ok());
        let refused = refuse_too_long(&of(MESSAGE_SIZE_MAX)).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
        assert!(refused.metadata().get(status::HINT).is_some(), "{refused:?}");
    }
}
