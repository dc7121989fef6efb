//! The ends of one domain's migrations, as its source tells them while somebody listens.
//!
//! libvirt keeps the figures of a migration at its target, but not of one that switched to
//! post-copy: those are told once, by an event at the source. Never here: whether the domain
//! arrived.

use std::{
    fmt,
    sync::mpsc::{self, Receiver},
    time::Duration,
};

use virt::{connect::Connect, domain::Domain, error::Error as VirtError};
use whimbrel_core::cluster::CompletedStats;

use super::raw::JobListener;
use crate::jobs::parse_event;

/// What is told of one domain's migrations from one host, from the moment of listening on.
pub struct Completions {
    told: Receiver<CompletedStats>,
    _listener: JobListener,
}

impl Completions {
    /// # Errors
    /// libvirt's error.
    pub(super) fn of(connect: &Connect, domain: &Domain) -> Result<Self, VirtError> {
        let (tell, told) = mpsc::channel();
        let listener = JobListener::of(connect, domain, move |record| {
            if let Some(stats) = parse_event(record) {
                // Nobody may be listening any more.
                tell.send(stats).ok();
            }
        })?;
        Ok(Self { told, _listener: listener })
    }

    /// QEMU's own figures of a migration that has ended with success, once; waits for them for
    /// `patience`. `None` when none has, or the connection was lost meanwhile.
    pub fn next(&self, patience: Duration) -> Option<CompletedStats> {
        self.told.recv_timeout(patience).ok()
    }
}

impl fmt::Debug for Completions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Completions").finish_non_exhaustive()
    }
}
