//! Beside a post-copy migration: asks for the switch when the settings say so, and hears figures.
//!
//! The switch and the abort exclude each other under the call's lock ([`Turn`]). Never here: a
//! switch that the settings did not ask for, or one of an order that is being given up.

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::Duration,
};

use whimbrel_collector::{
    jobs::JobLook,
    libvirt::{Completions, ConnectionError, DomainHandle},
};
use whimbrel_core::{DomainState, cluster::CompletedStats, ports::Order, settings::Mode};

use super::{Ends, SharedCall, Turn, locked};

/// How often such a migration is looked at.
pub(super) const PERIOD: Duration = Duration::from_millis(50);

/// How long the event with the figures may come after the end of the call.
const FIGURES_WAIT: Duration = Duration::from_secs(1);

/// The domain of `order` at its source, to be looked at while another thread migrates it: over a
/// connection of its own. A call that shares one with a migration under way is now and then heard
/// only when that has ended (4 of 12 with libvirt 9.0's client), which is too late for the switch.
///
/// # Errors
/// Why the source could not be asked.
pub(super) fn watched(ends: &Ends, order: &Order) -> Result<DomainHandle, ConnectionError> {
    ends.open(&ends.source).domain(&order.vm, &order.uuid)
}

/// Looks at one order's migration. Does nothing in modes that never switch.
pub(super) struct Watch<'a> {
    call: &'a SharedCall,
    /// Bitmap reads after the first before the switch; `None` in other modes.
    reads: Option<u64>,
    completions: Option<Completions>,
}

impl<'a> Watch<'a> {
    /// A watch over `order`, whose call is `call`.
    pub(super) fn of(order: &Order, call: &'a SharedCall) -> Self {
        let reads = u64::from(order.settings.reads_before_post_copy);
        let reads = (order.settings.mode == Mode::PostCopy).then_some(reads);
        Self { call, reads, completions: None }
    }

    /// Looks again and again until `over` hangs up.
    pub(super) fn until(&mut self, over: &Receiver<()>, domain: &DomainHandle) {
        while let Err(RecvTimeoutError::Timeout) = over.recv_timeout(PERIOD) {
            self.look(domain);
        }
    }

    /// Looks once. What cannot be read or is refused now is tried again with the next look: for
    /// the first moments of its call a migration has not begun.
    pub(super) fn look(&mut self, domain: &DomainHandle) {
        let Some(reads) = self.reads else { return };
        if self.completions.is_none() {
            self.completions = domain.listen().ok();
        }
        if let Ok(JobLook::Migrating(progress)) = domain.job()
            && is_due(progress.iteration, reads)
        {
            self.switch(domain);
        }
    }

    /// QEMU's own figures of the migration, if it succeeded while this listened.
    pub(super) fn figures(&self) -> Option<CompletedStats> {
        self.completions.as_ref()?.next(FIGURES_WAIT)
    }

    fn switch(&self, domain: &DomainHandle) {
        {
            let mut call = locked(self.call);
            if call.turn != Turn::Open {
                return;
            }
            // Before it is asked for: from here on nobody may abort.
            call.turn = Turn::Switched;
        }
        match domain.start_post_copy() {
            Ok(()) => {}
            // It may have happened.
            Err(error) if error.connection_lost() => tracing::info!("{error}"),
            Err(error) => {
                locked(self.call).turn = Turn::Open;
                tracing::debug!("not yet: {error}");
            }
        }
    }
}

/// Whether the switch is due: QEMU counts its bitmap reads from 1 and has counted none before its
/// stream runs.
fn is_due(counted: u64, reads: u64) -> bool {
    counted > reads
}

/// Whether the migration of `domain` by `order` has switched to post-copy, as its source says.
///
/// # Errors
/// Why the source could not be asked.
pub(super) fn has_switched(domain: &DomainHandle, order: &Order) -> Result<bool, ConnectionError> {
    if order.settings.mode != Mode::PostCopy {
        return Ok(false);
    }
    let state = domain.state()?;
    Ok(matches!(state, DomainState::Outgoing | DomainState::PostCopyFailed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_due_after_the_reads_that_were_asked_for() {
        assert!(!is_due(0, 0), "its stream does not run yet");
        assert!(is_due(1, 0), "at once");
        assert!(!is_due(1, 1), "the first pass is under way");
        assert!(is_due(2, 1));
        assert!(is_due(9, 3), "a look came late");
    }
}
