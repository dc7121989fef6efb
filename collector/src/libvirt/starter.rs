//! Starting dirty-rate windows without waiting for them to start.
//!
//! libvirt lets the start wait for the domain's current job, 30 s at most ("cannot acquire state
//! change lock"), and a migration is such a job. A thread of its own waits there, so that readings
//! of the host go on; what it could not start in time it forgets.

use std::{
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::{Duration, Instant},
};

use virt::domain::Domain;
use whimbrel_core::VmId;

use super::raw;
use crate::SourceError;

/// Starts that may wait their turn.
const QUEUE_LENGTH: usize = 256;
/// A start that waited for longer than this would end when nobody looks for it.
const WAIT_MAX: Duration = Duration::from_secs(2);

/// Hands starts to a thread, which ends when this is dropped and its last call has returned.
#[derive(Debug)]
pub(super) struct Starter {
    queue: SyncSender<Start>,
}

struct Start {
    vm: VmId,
    domain: Domain,
    window_seconds: u32,
    asked_at: Instant,
}

impl Starter {
    /// # Errors
    /// [`SourceError`] when the system gives no thread.
    pub(super) fn new() -> Result<Self, SourceError> {
        let (queue, starts) = mpsc::sync_channel(QUEUE_LENGTH);
        thread::Builder::new()
            .name("dirty windows".to_owned())
            .spawn(move || work(&starts))
            .map_err(|error| SourceError { message: error.to_string() })?;
        Ok(Self { queue })
    }

    /// Asks for a window; returns at once.
    ///
    /// # Errors
    /// [`SourceError`] when too many wait already.
    pub(super) fn start(
        &self,
        vm: &VmId,
        domain: Domain,
        window_seconds: u32,
    ) -> Result<(), SourceError> {
        let start = Start { vm: vm.clone(), domain, window_seconds, asked_at: Instant::now() };
        self.queue.try_send(start).map_err(|_| SourceError {
            message: format!("{QUEUE_LENGTH} windows wait to be started"),
        })
    }
}

fn work(starts: &Receiver<Start>) {
    for start in starts {
        if start.asked_at.elapsed() > WAIT_MAX {
            continue;
        }
        let seconds = i32::try_from(start.window_seconds).unwrap_or(i32::MAX);
        if let Err(error) = raw::start_dirty_rate(&start.domain, seconds) {
            tracing::debug!(vm = %start.vm, %error, "no dirty-rate window");
        }
    }
}
