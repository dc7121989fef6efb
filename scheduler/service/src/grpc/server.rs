//! The server's life: it binds, serves until it is told to stop, and stops in time.
//!
//! Mutual TLS, or no TLS on loopback only; the standard health service and reflection are on.
//! Never here: what a call means (`api`).

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use tokio::{runtime, sync::watch, time};
use tonic::transport::{self, server::TcpIncoming};
use tonic_health::server::HealthReporter;
use whimbrel_proto::{FILE_DESCRIPTOR_SET, v1::scheduler_server::SchedulerServer};

use super::{
    Backend, MESSAGE_SIZE_MAX, Security,
    api::{ANSWER_TIME_MAX, Api},
    tls,
};
use crate::Failure;

/// Time that a client has for the TLS handshake.
const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);
/// Calls at one time on one connection.
const CALLS_PER_CONNECTION_MAX: u32 = 64;
/// How often a silent connection is asked whether it lives, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(20));
/// Time that calls have to end after the server was told to stop.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);
/// Threads for calls into the backend, which block.
const BACKEND_THREADS_MAX: usize = 32;

/// Where and how the API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How the socket is protected.
    pub security: Security,
}

/// A server that has its socket and has not begun to answer.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    builder: transport::Server,
}

/// Serves `backend` until `shutdown` completes and the calls under way have ended, or 10 s later.
///
/// Blocks the calling thread. Executions go on in the backend: stopping the API stops no move.
///
/// # Errors
/// [`Failure`] as of [`Server::bind`] and [`Server::run`].
pub fn serve(
    options: &ServeOptions,
    backend: Arc<dyn Backend>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Failure> {
    Server::bind(options)?.run(backend, shutdown)
}

impl Server {
    /// Reads the TLS material and opens the socket.
    ///
    /// # Errors
    /// [`Failure`] naming the file, or the address and its fault; without TLS also for every
    /// address that is not a loopback one.
    pub fn bind(options: &ServeOptions) -> Result<Self, Failure> {
        let mut builder = transport::Server::builder()
            .timeout(ANSWER_TIME_MAX)
            .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE.0))
            .http2_keepalive_timeout(Some(KEEPALIVE.1));
        match &options.security {
            Security::MutualTls { cert, key, client_ca } => {
                let config = tls::server_config(cert, key, client_ca)?.timeout(HANDSHAKE_TIME_MAX);
                builder = builder.tls_config(config).map_err(Failure::invalid)?;
            }
            Security::InsecureLoopback if !options.listen.ip().is_loopback() => {
                return Err(Failure::invalid(format!(
                    "without TLS the API listens on loopback only, and {} is not \
                     (hint: give certificate, key and client CA, or listen on 127.0.0.1)",
                    options.listen
                )));
            }
            Security::InsecureLoopback => {}
        }
        let fault = |e: std::io::Error| {
            Failure::unavailable(format!("{e} (hint: choose another address or port)"))
                .about(options.listen)
        };
        let listener = TcpListener::bind(options.listen).map_err(fault)?;
        listener.set_nonblocking(true).map_err(fault)?;
        let address = listener.local_addr().map_err(fault)?;
        Ok(Self { listener, address, builder })
    }

    /// The address that it has, with the port that was free.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers calls until `shutdown` completes and the calls under way have ended, or 10 s later.
    ///
    /// # Errors
    /// [`Failure`] when the threads cannot be started or the socket breaks.
    pub fn run(
        self,
        backend: Arc<dyn Backend>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(BACKEND_THREADS_MAX)
            .thread_name("whimbrel-grpc")
            .enable_all()
            .build()
            .map_err(Failure::unavailable)?;
        let outcome = runtime.block_on(self.answer(backend, shutdown));
        // A call that still blocks in the backend must not hold up the end of the program.
        runtime.shutdown_background();
        outcome
    }

    async fn answer(
        mut self,
        backend: Arc<dyn Backend>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), Failure> {
        let (stop, stopping) = watch::channel(false);
        let (health, health_service) = tonic_health::server::health_reporter();
        let faults = backend.fault();
        show_fault(&health, &faults).await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(Failure::unavailable)?;
        tokio::spawn(report_faults(faults, health.clone(), stopping.clone()));
        let scheduler = SchedulerServer::new(Api::new(backend, stopping.clone()))
            .max_decoding_message_size(MESSAGE_SIZE_MAX)
            .max_encoding_message_size(MESSAGE_SIZE_MAX);
        let listener =
            tokio::net::TcpListener::from_std(self.listener).map_err(Failure::unavailable)?;
        let serving = self
            .builder
            .add_service(health_service)
            .add_service(reflection)
            .add_service(scheduler)
            .serve_with_incoming_shutdown(
                TcpIncoming::from(listener).with_nodelay(Some(true)),
                begin_to_stop(shutdown, stop, health),
            );
        tokio::select! {
            served = serving => served.map_err(Failure::unavailable),
            () = out_of_time(stopping) => Ok(()),
        }
    }
}

/// Waits for `shutdown`, then tells streams and health checks.
async fn begin_to_stop(
    shutdown: impl Future<Output = ()>,
    stop: watch::Sender<bool>,
    health: HealthReporter,
) {
    shutdown.await;
    stop.send_replace(true);
    health.set_not_serving::<SchedulerServer<Api>>().await;
}

/// Keeps the health service's answer for the API at what the backend can do.
async fn report_faults(
    mut faults: watch::Receiver<Option<String>>,
    health: HealthReporter,
    mut stopping: watch::Receiver<bool>,
) {
    loop {
        let changed = tokio::select! {
            changed = faults.changed() => changed,
            // Whoever stops the server has the last word.
            _ = stopping.changed() => return,
        };
        match changed {
            Ok(()) => show_fault(&health, &faults).await,
            Err(_) => return health.set_not_serving::<SchedulerServer<Api>>().await,
        }
    }
}

async fn show_fault(health: &HealthReporter, faults: &watch::Receiver<Option<String>>) {
    let sound = faults.borrow().is_none();
    if sound {
        health.set_serving::<SchedulerServer<Api>>().await;
    } else {
        health.set_not_serving::<SchedulerServer<Api>>().await;
    }
}

/// Completes when the server was told to stop and its time for that is over.
async fn out_of_time(mut stopping: watch::Receiver<bool>) {
    // An error says that nobody is left who could tell, which is the same.
    let _ = stopping.wait_for(|stopping| *stopping).await;
    time::sleep(STOP_TIME_MAX).await;
}
