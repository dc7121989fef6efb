//! What the thread of one order does: migrate, abort, or follow an order of an earlier process.
//!
//! Peer-to-peer: the source's libvirtd drives the migration, so that it goes on when this program
//! dies. Nothing is retried; whatever a call returned, the engine looks at both hosts. Never here:
//! the abort of a migration that has switched to post-copy.

mod post_copy;
mod translate;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use whimbrel_collector::{
    BackoffSettings, ConnectionSettings,
    jobs::JobLook,
    libvirt::{Connection, ConnectionError},
};
use whimbrel_core::{
    cluster::{CallState, CompletedStats},
    ports::Order,
    settings::Mode,
    units::Timestamp,
};

use post_copy::Watch;

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
    pub(super) turn: Turn,
}

/// Which of two acts that exclude each other came first. Only ever read and changed under the
/// call's lock, so that no abort follows a switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It may be given up, or be switched to post-copy.
    Open,
    /// It is being given up, and is not switched to post-copy any more.
    GivenUp,
    /// Post-copy was asked for: there is no way back.
    Switched,
}

impl Call {
    /// Takes the turn to give the order up; `false` when it was switched to post-copy.
    pub(super) fn give_up(&mut self) -> bool {
        if self.turn == Turn::Open {
            self.turn = Turn::GivenUp;
        }
        self.turn == Turn::GivenUp
    }
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

/// Migrates, and fetches the figures once that returned.
pub(super) fn migrate(ends: &Ends, call: &SharedCall) {
    let order = locked(call).order.clone();
    let mut watch = Watch::of(&order, call);
    let outcome = start_and_wait(ends, &order, &mut watch);
    let stats = figures(ends, &order).or_else(|| watch.figures());
    let mut call = locked(call);
    call.stats = stats;
    call.state = match outcome {
        Ok(()) => CallState::Returned,
        Err(error) => CallState::Errored(error.to_string()),
    };
}

fn start_and_wait(
    ends: &Ends,
    order: &Order,
    watch: &mut Watch<'_>,
) -> Result<(), ConnectionError> {
    let domain = ends.open(&ends.source).domain(&order.vm, &order.uuid)?;
    domain.set_max_downtime(order.settings.downtime_limit)?;
    let destination = &ends.target.migration_uri;
    let call = translate::call(&order.settings, destination, domain.is_persistent()?);
    match order.settings.mode {
        Mode::PreCopy | Mode::AutoConverge => domain.migrate(&call),
        Mode::PostCopy => thread::scope(|scope| {
            let (returned, over) = mpsc::channel();
            let watched = post_copy::watched(ends, order)?;
            scope.spawn(move || watch.until(&over, &watched));
            let outcome = domain.migrate(&call);
            drop(returned);
            outcome
        }),
    }
}

/// QEMU's figures of the migration, if the domain arrived and the target kept them: after a switch
/// to post-copy it keeps none.
fn figures(ends: &Ends, order: &Order) -> Option<CompletedStats> {
    let target = ends.open(&ends.target);
    target.domain(&order.vm, &order.uuid).ok()?.completed_job().ok()?
}

/// Asks the source to give the job up. Not finding it means that it is over.
pub(super) fn abort(ends: &Ends, call: &SharedCall) {
    let order = locked(call).order.clone();
    let outcome = ends.open(&ends.source).domain(&order.vm, &order.uuid).and_then(|domain| {
        // An order of an earlier process may have been switched by that. libvirt refuses the
        // abort then as well.
        if post_copy::has_switched(&domain, &order)? {
            locked(call).turn = Turn::Switched;
            return Ok(());
        }
        domain.abort_job()
    });
    if let Err(error) = outcome {
        tracing::info!(order = %order.id, "cancel: {error}");
    }
}

/// Waits for the figures of an order whose call belongs to a process that is gone, and switches
/// it to post-copy when its settings say so.
pub(super) fn follow(ends: &Ends, call: &SharedCall) {
    let order = locked(call).order.clone();
    let patience = Duration::from(order.deadline.since(std::time::SystemTime::now().into()));
    let until = Instant::now() + patience + FOLLOW_AFTER_DEADLINE;
    let (source, target) = (ends.open(&ends.source), ends.open(&ends.target));
    let mut watch = Watch::of(&order, call);
    let switches = order.settings.mode == Mode::PostCopy;
    let period = if switches { post_copy::PERIOD } else { FOLLOW_PERIOD };
    loop {
        let at_source = source.domain(&order.vm, &order.uuid).and_then(|domain| {
            if post_copy::has_switched(&domain, &order)? {
                locked(call).turn = Turn::Switched;
            }
            watch.look(&domain);
            domain.job()
        });
        let job_runs = matches!(at_source, Ok(JobLook::Migrating(_)));
        let kept = target
            .domain(&order.vm, &order.uuid)
            .and_then(|domain| domain.completed_job())
            .unwrap_or_default();
        if kept.is_some() || !job_runs || Instant::now() > until {
            let stats = kept.or_else(|| watch.figures());
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
        thread::sleep(period);
    }
}
