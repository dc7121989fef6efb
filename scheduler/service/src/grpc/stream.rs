//! The stream behind `WatchOperation`.
//!
//! Sends the present state, then every change that the reader is fast enough for, and always the
//! last one. Ends with the operation, with the reader, or with the server.

use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use whimbrel_engine::Execution;
use whimbrel_proto::v1::WatchOperationResponse;

use super::{convert::Wire, status};
use crate::Failure;

/// What the API's method returns.
pub(super) type OperationStream = ReceiverStream<Result<WatchOperationResponse, Status>>;

/// Streams `states` until the operation has ended or `stopping` becomes true.
pub(super) fn operation(
    states: watch::Receiver<Execution>,
    mut stopping: watch::Receiver<bool>,
) -> OperationStream {
    // One message waits while one is sent: a slow reader gets merged states, not a backlog.
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let interrupted = tokio::select! {
            interruption = forward(states, &sender) => interruption,
            () = sender.closed() => None,
            // An error says that the server is gone, which is the same.
            _ = stopping.wait_for(|stopping| *stopping) => Some("the server is stopping"),
        };
        if let Some(why) = interrupted {
            // Whether that arrives is the reader's affair.
            let _ = sender.send(Err(interruption(why))).await;
        }
    });
    ReceiverStream::new(receiver)
}

/// Sends every state; says why it stopped before the operation had ended.
async fn forward(
    mut states: watch::Receiver<Execution>,
    sender: &mpsc::Sender<Result<WatchOperationResponse, Status>>,
) -> Option<&'static str> {
    loop {
        let (message, ended) = {
            let state = states.borrow_and_update();
            (WatchOperationResponse { operation: Some(state.to_wire()) }, state.ended)
        };
        if sender.send(Ok(message)).await.is_err() || ended {
            return None;
        }
        if states.changed().await.is_err() {
            return Some("nobody executes the operation any more");
        }
    }
}

fn interruption(why: &str) -> Status {
    let hint = "(hint: the plan is in the journal; watch it again once the server is back)";
    status::to_status(&Failure::unavailable(format!("{why} {hint}")))
}
