//! What workers and readers share: records behind locks that are held for moments only.
//!
//! No lock is held while a host is asked, so nobody ever waits for a host here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use whimbrel_core::{
    HostId, VmId,
    telemetry::Batch,
    units::{Span, Timestamp},
};

use crate::{CollectorSettings, record::HostRecord, windows::DirtyBook};

/// Rows that wait for [`Collector::drain_batch`](crate::Collector::drain_batch) at most; 10,000
/// domains fill it in about a minute and a half. Further rows are dropped and counted.
const PENDING_ROWS_MAX: usize = 500_000;

/// The present by the machine's clock.
pub(crate) fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// A lock that a panic elsewhere does not close: the values in it are replaced whole.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shared by all workers and the readers.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) settings: CollectorSettings,
    pub(crate) hosts: BTreeMap<HostId, Slot>,
    pub(crate) dirty: Mutex<DirtyBook>,
    /// Domains for which no window may be started.
    pub(crate) held: Mutex<BTreeSet<VmId>>,
    pending: Mutex<Batch>,
    lost_rows: AtomicU64,
    stopping: AtomicBool,
}

/// The place of one host.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) record: Mutex<HostRecord>,
    /// Time between quick looks, while somebody is interested.
    pub(crate) interest: Mutex<Option<Span>>,
    pub(crate) bell: Bell,
}

/// Wakes a worker before its time.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: Mutex<bool>,
    changed: Condvar,
}

impl Bell {
    pub(crate) fn ring(&self) {
        *locked(&self.rung) = true;
        self.changed.notify_all();
    }

    /// Waits for a ring, `longest` at most.
    pub(crate) fn wait(&self, longest: Duration) {
        let rung = locked(&self.rung);
        let (mut rung, _) = self
            .changed
            .wait_timeout_while(rung, longest, |rung| !*rung)
            .unwrap_or_else(PoisonError::into_inner);
        *rung = false;
    }
}

impl Store {
    pub(crate) fn new(settings: CollectorSettings, hosts: BTreeMap<HostId, HostRecord>) -> Self {
        let slot = |record| Slot {
            record: Mutex::new(record),
            interest: Mutex::new(None),
            bell: Bell::default(),
        };
        Self {
            dirty: Mutex::new(DirtyBook::new(settings.windows.clone())),
            settings,
            hosts: hosts.into_iter().map(|(id, record)| (id, slot(record))).collect(),
            held: Mutex::default(),
            pending: Mutex::default(),
            lost_rows: AtomicU64::new(0),
            stopping: AtomicBool::new(false),
        }
    }

    /// Counters further apart than this give no rate.
    pub(crate) fn gap_max(&self) -> Span {
        Span::from_micros(self.settings.period.as_micros().saturating_mul(3))
    }

    /// Adds rows for the telemetry store.
    pub(crate) fn queue(&self, batch: Batch) {
        let rows = |batch: &Batch| {
            batch.hosts.len() + batch.domains.len() + batch.dirty.len() + batch.jobs.len()
        };
        let mut pending = locked(&self.pending);
        let more = rows(&batch);
        if rows(&pending) + more > PENDING_ROWS_MAX {
            let lost = self.lost_rows.fetch_add(more as u64, Ordering::Relaxed) + more as u64;
            tracing::warn!(
                lost,
                limit = PENDING_ROWS_MAX,
                "telemetry is not drained, rows dropped"
            );
            return;
        }
        pending.hosts.extend(batch.hosts);
        pending.domains.extend(batch.domains);
        pending.dirty.extend(batch.dirty);
        pending.jobs.extend(batch.jobs);
    }

    /// Takes the waiting rows.
    pub(crate) fn drain(&self) -> Batch {
        std::mem::take(&mut *locked(&self.pending))
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for slot in self.hosts.values() {
            slot.bell.ring();
        }
    }

    pub(crate) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}
