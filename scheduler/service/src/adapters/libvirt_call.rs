//! What the thread of one order does: migrate, abort, or follow an order of an earlier process.
//!
//! Peer-to-peer: the source's libvirtd drives the migration, so that it goes on when this program
//! dies. Nothing is retried; whatever a call returned, the engine looks at both hosts.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use whimbrel_collector::{
    BackoffSettings, ConnectionSettings,
    jobs::JobLook,
    libvirt::{
        Connection, ConnectionError, DomainHandle, FailureKind, MigrationCall, MigrationFlags,
    },
};
use whimbrel_core::{
    cluster::{CallState, CompletedStats},
    ports::Order,
    predict::{Mode, Transport},
    units::Timestamp,
};

/// How long an adopted order is followed after its deadline before its thread gives up.
const FOLLOW_AFTER_DEADLINE: Duration = Duration::from_mins(1);

/// How often an adopted order's target is asked for figures.
const FOLLOW_PERIOD: Duration = Duration::from_millis(500);

/// How a host is reached.
#[derive(Debug, Clone)]
pub struct HostLink {
    /// By this program.
    pub uri: String,
    /// By the other hosts' libvirtd.
    pub migration_uri: String,
}

/// The latest that is known of an order's call; written by its thread.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) order: Order,
    pub(super) state: CallState,
    pub(super) stats: Option<CompletedStats>,
    /// When it was first seen to have ended.
    pub(super) ended_at: Option<Timestamp>,
}

/// A call shared between its thread and the cluster.
pub(super) type SharedCall = Arc<Mutex<Call>>;

/// The call's state; a thread that panicked leaves it as it was, which is all there is to know.
pub(super) fn locked(call: &SharedCall) -> MutexGuard<'_, Call> {
    call.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Both ends of an order.
pub(super) struct Ends {
    pub(super) source: HostLink,
    pub(super) target: HostLink,
    pub(super) connection: ConnectionSettings,
}

impl Ends {
    /// A connection of this thread's own: libvirtd serves few calls of one connection at a time,
    /// and a migration lasts.
    fn open(&self, link: &HostLink) -> Connection {
        Connection::new(&link.uri, self.connection, BackoffSettings::default())
    }
}

/// Migrates, and fetches the figures from the target once that returned.
pub(super) fn migrate(ends: &Ends, call: &SharedCall) {
    let order = locked(call).order.clone();
    let outcome = start_and_wait(ends, &order);
    let stats = figures(ends, &order);
    let mut call = locked(call);
    call.stats = stats;
    call.state = match outcome {
        Ok(()) => CallState::Returned,
        Err(error) => CallState::Errored(error.to_string()),
    };
}

fn start_and_wait(ends: &Ends, order: &Order) -> Result<(), ConnectionError> {
    let domain = ends.open(&ends.source).domain(&order.vm, &order.uuid)?;
    domain.set_max_downtime(order.settings.downtime_limit)?;
    let mut flags =
        MigrationFlags::LIVE | MigrationFlags::PEER_TO_PEER | MigrationFlags::ABORT_ON_ERROR;
    match order.settings.transport {
        Transport::Tls => flags = flags | MigrationFlags::TLS,
        Transport::Tcp => {}
    }
    if domain.is_persistent()? {
        flags = flags | MigrationFlags::PERSIST_DESTINATION | MigrationFlags::UNDEFINE_SOURCE;
    }
    match order.settings.mode {
        Mode::PreCopy => {}
        other => return Err(unsupported(&domain, &format!("mode {other:?}"))),
    }
    domain.migrate(&MigrationCall {
        destination: ends.target.migration_uri.clone(),
        data_uri: None,
        flags,
        bandwidth_limit: order.settings.bandwidth_limit,
    })
}

fn unsupported(domain: &DomainHandle, what: &str) -> ConnectionError {
    ConnectionError::Failed {
        call: format!("migration of {}", domain.vm()),
        message: format!("{what} is not supported"),
        kind: FailureKind::Unsupported,
    }
}

/// QEMU's figures of the migration, if the domain arrived and the target kept them.
fn figures(ends: &Ends, order: &Order) -> Option<CompletedStats> {
    let target = ends.open(&ends.target);
    target.domain(&order.vm, &order.uuid).ok()?.completed_job().ok()?
}

/// Asks the source to give the job up. Not finding it means that it is over.
pub(super) fn abort(ends: &Ends, call: &SharedCall) {
    let order = locked(call).order.clone();
    let outcome = ends
        .open(&ends.source)
        .domain(&order.vm, &order.uuid)
        .and_then(|domain| domain.abort_job());
    if let Err(error) = outcome {
        tracing::info!(order = %order.id, "cancel: {error}");
    }
}

/// Waits for the figures of an order whose call belongs to a process that is gone.
pub(super) fn follow(ends: &Ends, call: &SharedCall) {
    let order = locked(call).order.clone();
    let patience = Duration::from(order.deadline.since(std::time::SystemTime::now().into()));
    let until = Instant::now() + patience + FOLLOW_AFTER_DEADLINE;
    let (source, target) = (ends.open(&ends.source), ends.open(&ends.target));
    loop {
        let at_source = source.domain(&order.vm, &order.uuid).and_then(|domain| domain.job());
        let job_runs = matches!(at_source, Ok(JobLook::Migrating(_)));
        let stats = target
            .domain(&order.vm, &order.uuid)
            .and_then(|domain| domain.completed_job())
            .unwrap_or_default();
        if stats.is_some() || !job_runs || Instant::now() > until {
            let mut call = locked(call);
            call.stats = stats;
            call.state = match (&call.stats, at_source) {
                (Some(_), _) => CallState::Returned,
                (None, Ok(_)) => {
                    CallState::Errored("its job ended while nobody held the call".to_owned())
                }
                (None, Err(error)) => CallState::Errored(error.to_string()),
            };
            return;
        }
        thread::sleep(FOLLOW_PERIOD);
    }
}
