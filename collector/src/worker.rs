//! The thread of one host: connects, reads, posts, starts windows, and begins again on failure.
//!
//! Only this thread waits for its host. It leaves as soon as it notices the stop flag; a thread
//! that is stuck in a call leaves whenever the call returns, and nobody waits for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use whimbrel_core::{
    HostId,
    telemetry::{Batch, DirtySample},
    units::Span,
};

use crate::{
    Backoff, Depth, HostSource, SourceError,
    record::Posted,
    store::{Slot, Store, locked, now},
};

/// Rest after a reading that took longer than its period, as a part of the period: a slow host is
/// not asked without a pause.
const REST_DIVISOR: u32 = 4;

pub(crate) struct Worker {
    pub(crate) host: HostId,
    pub(crate) source: Box<dyn HostSource>,
    pub(crate) store: Arc<Store>,
}

impl Worker {
    /// Works until the store says stop.
    pub(crate) fn run(mut self) {
        let store = Arc::clone(&self.store);
        let Some(slot) = store.hosts.get(&self.host) else { return };
        let mut backoff = Backoff::new(store.settings.backoff);
        while !store.stopping() {
            let ended = match self.source.connect() {
                Ok(()) => self.serve(slot, &mut backoff),
                Err(error) => Some(error),
            };
            self.source.disconnect();
            if let Some(error) = ended {
                let pause = backoff.pause();
                tracing::warn!(host = %self.host, %error, retry_in = %pause, "host does not answer");
                let batch = locked(&slot.record).fail(error.message, now());
                store.queue(batch);
                slot.bell.wait(pause.into());
            }
        }
    }

    /// Reads the host until a reading fails or the store says stop.
    fn serve(&mut self, slot: &Slot, backoff: &mut Backoff) -> Option<SourceError> {
        let store = Arc::clone(&self.store);
        let period = Duration::from(store.settings.period);
        let mut full_due = Instant::now();
        while !store.stopping() {
            let begun = Instant::now();
            let depth = if begun >= full_due { Depth::Full } else { Depth::Jobs };
            let reading = match self.source.collect(depth) {
                Ok(reading) => reading,
                Err(error) => return Some(error),
            };
            backoff.reset();
            let took = Span::from(begun.elapsed());
            let posted = locked(&slot.record).post(reading, depth, now(), took, store.gap_max());
            match depth {
                Depth::Full => {
                    full_due = (begun + period).max(Instant::now() + period / REST_DIVISOR);
                    self.measure(&posted);
                }
                Depth::Jobs if posted.stranger => full_due = begun,
                Depth::Jobs => {}
            }
            store.queue(posted.batch);
            let look_due = locked(&slot.interest).map(|period| begun + Duration::from(period));
            let due = look_due.map_or(full_due, |look_due| look_due.min(full_due));
            slot.bell.wait(due.saturating_duration_since(Instant::now()));
        }
        None
    }

    /// Takes results of dirty-rate windows and starts what is due.
    fn measure(&mut self, posted: &Posted) {
        let at = now();
        let mut batch = Batch::default();
        let due = {
            let mut book = locked(&self.store.dirty);
            for (vm, status) in &posted.dirty {
                if let Some(reading) = book.look(vm, &self.host, status, at) {
                    batch.dirty.push(DirtySample {
                        at: reading.measured_at,
                        host: self.host.clone(),
                        vm: vm.clone(),
                        window: reading.window,
                        unique: reading.unique,
                    });
                }
            }
            let held = locked(&self.store.held);
            posted
                .measurable
                .iter()
                .filter(|(vm, _)| !held.contains(vm))
                .filter_map(|(vm, uuid)| book.due(vm, uuid, at).map(|seconds| (vm, seconds)))
                .collect::<Vec<_>>()
        };
        self.store.queue(batch);
        for (vm, seconds) in due {
            // Asked again: a migration may have been announced while another window was started.
            if self.store.stopping() || locked(&self.store.held).contains(vm) {
                continue;
            }
            let started = self.source.start_window(vm, seconds);
            let mut book = locked(&self.store.dirty);
            match started {
                Ok(()) => book.started(vm, &self.host, seconds, now()),
                Err(error) => {
                    tracing::debug!(host = %self.host, %vm, %error, "no dirty-rate window");
                    book.refused(vm, seconds, now());
                }
            }
        }
    }
}
