//! The command line's client: blocking calls with the values that the local verbs use.
//!
//! It asks a server and believes no answer that is malformed. Decides and keeps nothing.

use std::{net::IpAddr, time::Duration};

use tokio::{
    runtime::{self, Runtime},
    time,
};
use tonic::{
    Status,
    transport::{Channel, Endpoint, Uri},
};
use whimbrel_core::{HostId, PlanId, Prediction, Snapshot, VmId};
use whimbrel_engine::Execution;
use whimbrel_planner::placing::{Batch, Capacity, CapacityRequest, NewVm, Placement, Rescue};
use whimbrel_proto::v1::{self, scheduler_client::SchedulerClient};

use super::{
    ClientTls, ExplainQuestion, Explained, MESSAGE_SIZE_MAX, Page, PlanQuestion, Planned,
    Simulated, Subject,
    api::ANSWER_TIME_MAX,
    convert::{self, Malformed, Wire},
    status, tls,
};
use crate::{Failure, FailureKind, advice::RescueQuestion};

/// Time to reach the server and to shake hands.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a silent server is asked whether it lives, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Longest time between two looks away from a stream.
const MEANWHILE: Duration = Duration::from_millis(200);

/// A connection to a Whimbrel server.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    scheduler: SchedulerClient<Channel>,
}

impl Client {
    /// Connects to `endpoint`: `host:port`, with or without `https://` (or `http://`, which is
    /// for a loopback address without TLS).
    ///
    /// # Errors
    /// [`Failure`] naming the TLS file or the endpoint and its fault.
    pub fn connect(endpoint: &str, tls: Option<&ClientTls>) -> Result<Self, Failure> {
        // One thread of its own: the server's keep-alives are answered between calls too.
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("whimbrel-client")
            .enable_all()
            .build()
            .map_err(Failure::unavailable)?;
        let endpoint = configure(endpoint, tls)?;
        let channel = runtime.block_on(endpoint.connect()).map_err(|e| {
            let mut failure = Failure::unavailable(e).about(endpoint.uri());
            failure.hint = Some("check address, port and certificates".to_owned());
            failure
        })?;
        let scheduler = SchedulerClient::new(channel)
            .max_decoding_message_size(MESSAGE_SIZE_MAX)
            .max_encoding_message_size(MESSAGE_SIZE_MAX);
        Ok(Self { runtime, scheduler })
    }

    /// What the server last observed, without its reports on orders.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn inventory(&self) -> Result<Snapshot, Failure> {
        let request = v1::GetInventoryRequest {};
        let response = self.wait(self.scheduler.clone().get_inventory(request))?;
        convert::read_inventory(response).map_err(Malformed::in_answer)
    }

    /// What migrating `vm` would cost; without `to` for every host that is up.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn predict(
        &self,
        vm: &VmId,
        to: Option<&HostId>,
    ) -> Result<Vec<(HostId, Prediction)>, Failure> {
        let request =
            v1::PredictRequest { vm: vm.to_string(), to_host: to.map(ToString::to_string) };
        let response = self.wait(self.scheduler.clone().predict(request))?;
        convert::from_list(response.predictions).map_err(Malformed::in_answer)
    }

    /// Has a plan made, checked and simulated. Changes no host.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn plan(&self, question: &PlanQuestion) -> Result<Planned, Failure> {
        convert::read_planned(self.wait(self.scheduler.clone().plan(question.to_wire()))?)
    }

    /// Has it explained why a plan moves or leaves VMs: all of them from the page on that is asked
    /// for. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn explain(&self, question: &ExplainQuestion) -> Result<Explained, Failure> {
        let ask = |question: &ExplainQuestion| {
            let response = self.wait(self.scheduler.clone().explain(question.to_wire()))?;
            convert::read_explained(response)
        };
        let mut all = ask(question)?;
        while !all.next_page_token.is_empty() {
            let page = Page { token: all.next_page_token, ..question.page };
            let of = Subject::Given { plan_text: all.text.clone() };
            let next = ask(&ExplainQuestion { of, asked: question.asked.clone(), page })?;
            // An empty page with a token would otherwise go on for ever.
            let last = next.explanations.is_empty();
            all.explanations.extend(next.explanations);
            all.next_page_token = if last { String::new() } else { next.next_page_token };
        }
        Ok(all)
    }

    /// Has hosts found for the VMs of failed hosts. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn rescue(&self, question: &RescueQuestion) -> Result<Rescue, Failure> {
        let response = self.wait(self.scheduler.clone().rescue(question.to_wire()))?;
        Rescue::from_wire(response).map_err(Malformed::in_answer)
    }

    /// Has hosts found for new VMs. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn place(&self, vms: &[NewVm], batch: Batch) -> Result<Placement, Failure> {
        let as_many_as_fit = batch == Batch::AsManyAsFit;
        let request = v1::PlaceRequest { vms: convert::to_list(vms), as_many_as_fit };
        let response = self.wait(self.scheduler.clone().place(request))?;
        Placement::from_wire(response).map_err(Malformed::in_answer)
    }

    /// Has it counted how many more VMs fit. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn capacity(&self, request: &CapacityRequest) -> Result<Vec<Capacity>, Failure> {
        let response = self.wait(self.scheduler.clone().capacity(request.to_wire()))?;
        convert::from_list(response.capacities).map_err(Malformed::in_answer)
    }

    /// Has a plan file checked and run in the simulator. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn simulate(&self, plan_text: &str, seed: u64) -> Result<Simulated, Failure> {
        let request = v1::SimulateRequest { plan_text: plan_text.to_owned(), seed };
        let response = self.wait(self.scheduler.clone().simulate(request))?;
        Simulated::from_wire(response).map_err(Malformed::in_answer)
    }

    /// Begins to execute a plan file.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn apply(&self, plan_text: &str, expected_digest: &str) -> Result<Execution, Failure> {
        let request = v1::ApplyRequest {
            plan_text: plan_text.to_owned(),
            expected_digest: expected_digest.to_owned(),
        };
        execution(self.wait(self.scheduler.clone().apply(request))?.operation)
    }

    /// One operation as it stands.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn operation(&self, id: &PlanId) -> Result<Execution, Failure> {
        let request = v1::GetOperationRequest { id: id.to_string() };
        execution(self.wait(self.scheduler.clone().get_operation(request))?.operation)
    }

    /// All operations that the server knows, oldest first.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn operations(&self) -> Result<Vec<Execution>, Failure> {
        let mut operations = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListOperationsRequest { page_size: 0, page_token };
            let page = self.wait(self.scheduler.clone().list_operations(request))?;
            let read = convert::from_list(page.operations).map_err(Malformed::in_answer)?;
            // An empty page with a token would otherwise go on for ever.
            let last = page.next_page_token.is_empty() || read.is_empty();
            operations.extend(read);
            if last {
                return Ok(operations);
            }
            page_token = page.next_page_token;
        }
    }

    /// Asks for an operation to be given up.
    ///
    /// # Errors
    /// [`Failure`] as the server gives it.
    pub fn cancel(&self, id: &PlanId) -> Result<Execution, Failure> {
        let request = v1::CancelOperationRequest { id: id.to_string() };
        execution(self.wait(self.scheduler.clone().cancel_operation(request))?.operation)
    }

    /// Shows every state of an operation to `each` and returns the last one, in which it has
    /// ended. Between states, and several times a second while none comes, `meanwhile` may act.
    ///
    /// # Errors
    /// [`Failure`] as the server or `meanwhile` gives it, and when the stream breaks off.
    pub fn watch(
        &self,
        id: &PlanId,
        mut each: impl FnMut(&Execution),
        mut meanwhile: impl FnMut() -> Result<(), Failure>,
    ) -> Result<Execution, Failure> {
        let request = v1::WatchOperationRequest { id: id.to_string() };
        let mut states = self.wait(self.scheduler.clone().watch_operation(request))?;
        loop {
            meanwhile()?;
            // A message that is half received stays in `states`.
            let next = async { time::timeout(MEANWHILE, states.message()).await };
            let Ok(next) = self.runtime.block_on(next) else { continue };
            let Some(message) = next.map_err(|status| fault(&status))? else {
                return Err(Failure::unavailable(format!(
                    "the stream ended before operation {id} did (hint: watch it again)"
                )));
            };
            let state = execution(message.operation)?;
            each(&state);
            if state.ended {
                return Ok(state);
            }
        }
    }

    fn wait<T>(
        &self,
        call: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, Failure> {
        match self.runtime.block_on(call) {
            Ok(response) => Ok(response.into_inner()),
            Err(status) => Err(fault(&status)),
        }
    }
}

/// What the caller makes of `status`, with a hint where the server could give none.
fn fault(status: &Status) -> Failure {
    let mut failure = status::from_status(status);
    if failure.kind == FailureKind::Unavailable {
        failure.hint.get_or_insert_with(|| {
            "check that the server runs, and whether it wants TLS; what it executes goes on \
             without being watched"
                .to_owned()
        });
    }
    failure
}

fn execution(operation: Option<v1::Operation>) -> Result<Execution, Failure> {
    convert::required("operation", operation)
        .and_then(Wire::from_wire)
        .map_err(Malformed::in_answer)
}

fn configure(endpoint: &str, tls: Option<&ClientTls>) -> Result<Endpoint, Failure> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let uri = match endpoint.split_once("://") {
        None => format!("{scheme}://{endpoint}"),
        Some((given, _)) if given == scheme => endpoint.to_owned(),
        Some(("http", _)) => {
            return Err(refused(endpoint, "plain http takes no certificates", "write https://"));
        }
        Some(("https", _)) => {
            let hint = "give the server's CA and the client's certificate and key";
            return Err(refused(endpoint, "https needs certificates", hint));
        }
        Some(_) => return Err(refused(endpoint, "it is not https", "write https://HOST:PORT")),
    };
    let uri: Uri = uri
        .parse()
        .map_err(|e| refused(endpoint, &format!("it is not an address: {e}"), "write HOST:PORT"))?;
    if tls.is_none() && !is_loopback(&uri) {
        let hint = "give the server's CA and the client's certificate and key";
        return Err(refused(endpoint, "without TLS only a loopback address is reached", hint));
    }
    let configured = Endpoint::from(uri)
        .connect_timeout(CONNECT_TIME_MAX)
        .timeout(ANSWER_TIME_MAX)
        .http2_keep_alive_interval(KEEPALIVE.0)
        .keep_alive_timeout(KEEPALIVE.1);
    match tls {
        None => Ok(configured),
        Some(tls) => configured
            .tls_config(tls::client_config(tls)?)
            .map_err(|e| Failure::invalid(e).about(endpoint)),
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn refused(endpoint: &str, fault: &str, hint: &str) -> Failure {
    Failure::invalid(format!("endpoint {endpoint}: {fault} (hint: {hint})"))
}
