//! The collector: workers behind, snapshots and batches in front.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use whimbrel_core::{
    HostId, Snapshot, VmId,
    cluster::CompletedStats,
    telemetry::Batch,
    units::{Span, Timestamp},
};

use crate::{
    CollectorSettings, HostHealth, HostSource, HostTarget, SettingsError,
    record::HostRecord,
    settings::distinct,
    store::{Store, locked},
    told::Told,
    worker::Worker,
};

/// How long a shutdown waits for workers; one that is stuck in a call is left to itself.
const STOP_PATIENCE: Duration = Duration::from_millis(500);

/// Reads hosts all the time; answers at once from what was read. Stops when dropped.
#[derive(Debug)]
pub struct Collector {
    store: Arc<Store>,
    workers: Vec<JoinHandle<()>>,
    told: Told,
}

impl Collector {
    /// Starts a worker for every target, each speaking libvirt.
    ///
    /// # Errors
    /// [`SettingsError`] when a setting or the list is no good; a host that does not answer is no
    /// error.
    #[cfg(feature = "libvirt")]
    pub fn new(
        targets: Vec<HostTarget>,
        settings: CollectorSettings,
    ) -> Result<Self, SettingsError> {
        let connection = settings.connection;
        let source = |target: HostTarget| {
            let source = crate::libvirt::LibvirtSource::new(&target.uri, connection);
            (target, Box::new(source) as Box<dyn HostSource>)
        };
        Self::with_sources(targets.into_iter().map(source).collect(), settings)
    }

    /// Starts a worker for every target with a source of its own.
    ///
    /// # Errors
    /// [`SettingsError`] when a setting or the list is no good.
    pub fn with_sources(
        sources: Vec<(HostTarget, Box<dyn HostSource>)>,
        settings: CollectorSettings,
    ) -> Result<Self, SettingsError> {
        settings.check()?;
        distinct(sources.iter().map(|(target, _)| target))?;
        let records: BTreeMap<HostId, HostRecord> = sources
            .iter()
            .map(|(target, _)| (target.id.clone(), HostRecord::new(target.clone())))
            .collect();
        let store = Arc::new(Store::new(settings, records));
        let mut collector =
            Self { store: Arc::clone(&store), workers: Vec::new(), told: Told::default() };
        for (target, source) in sources {
            let worker = Worker { host: target.id.clone(), source, store: Arc::clone(&store) };
            let thread = std::thread::Builder::new()
                .name(format!("collect {}", target.id))
                .spawn(move || worker.run())
                .map_err(|error| SettingsError::NoThread {
                    host: target.id,
                    message: error.to_string(),
                })?;
            collector.workers.push(thread);
        }
        Ok(collector)
    }

    /// With what people tell about hosts and domains in its snapshots.
    #[must_use]
    pub fn with_told(mut self, told: Told) -> Self {
        self.told = told;
        self
    }

    /// What is known at `now`: the latest reading of every host, with its age. Asks nobody, so
    /// hosts carry the time of their last answer. `orders` is empty: the adapter that executes
    /// orders fills it.
    pub fn snapshot(&self, now: Timestamp) -> Snapshot {
        let silent_after = self.store.settings.silent_after;
        let mut snapshot = Snapshot {
            taken_at: now,
            hosts: BTreeMap::new(),
            domains: Vec::new(),
            orders: Vec::new(),
        };
        for slot in self.store.hosts.values() {
            let record = locked(&slot.record);
            let (id, host, domains) = record.snapshot(now, silent_after);
            snapshot.hosts.insert(id, host);
            snapshot.domains.extend(domains);
        }
        let mut book = locked(&self.store.dirty);
        book.forget_unseen(now);
        for domain in &mut snapshot.domains {
            domain.dirty = book.readings(&domain.vm, &domain.uuid);
        }
        drop(book);
        self.told.add_to(&mut snapshot);
        snapshot.normalise();
        snapshot
    }

    /// Takes the rows of telemetry that piled up, with a row for every host that is silent.
    pub fn drain_batch(&self, now: Timestamp) -> Batch {
        let mut batch = self.store.drain();
        let silent_after = self.store.settings.silent_after;
        let silent = |slot: &crate::store::Slot| locked(&slot.record).silence(now, silent_after);
        batch.hosts.extend(self.store.hosts.values().filter_map(silent));
        batch
    }

    /// How the collection goes, host by host.
    pub fn health(&self, now: Timestamp) -> Vec<HostHealth> {
        let silent_after = self.store.settings.silent_after;
        let health = |slot: &crate::store::Slot| locked(&slot.record).health(now, silent_after);
        self.store.hosts.values().map(health).collect()
    }

    /// Looks at states and jobs of `hosts` every `period` (50 ms at least), beside the full
    /// readings. Replaces the interest named before; hosts that are not named lose it.
    pub fn refresh_interest(&self, hosts: &[HostId], period: Span) {
        let period = period.max(Span::from_millis(50));
        for (id, slot) in &self.store.hosts {
            let wanted = hosts.contains(id).then_some(period);
            let before = std::mem::replace(&mut *locked(&slot.interest), wanted);
            if wanted.is_some() && wanted != before {
                slot.bell.ring();
            }
        }
    }

    /// Starts no dirty-rate window for `vms` until the next call. To be called before a migration
    /// begins: libvirt lets the start of a window wait for the migration's job, 30 s at most, and
    /// no other guest of that host is measured meanwhile.
    pub fn hold_windows(&self, vms: &[VmId]) {
        *locked(&self.store.held) = vms.iter().cloned().collect::<BTreeSet<_>>();
    }

    /// Migrations of `vms` are held back by a limit of their own until the next call: what they
    /// achieve is not the link's bandwidth.
    pub fn expect_caps(&self, vms: &[VmId]) {
        for slot in self.store.hosts.values() {
            locked(&slot.record).capped(vms);
        }
    }

    /// Takes the figures of a migration without a limit that left `host` and ended, for the host's
    /// `migration_bandwidth`: a short one may pass between two looks.
    pub fn note_completed(&self, host: &HostId, stats: &CompletedStats, at: Timestamp) {
        if let Some(slot) = self.store.hosts.get(host) {
            locked(&slot.record).completed(stats, at);
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.store.stop();
        let deadline = Instant::now() + STOP_PATIENCE;
        for worker in self.workers.drain(..) {
            while !worker.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            // The join of a finished thread returns at once; its panic was printed already.
            if worker.is_finished() && worker.join().is_err() {
                tracing::error!("a collector's worker panicked");
            }
        }
    }
}
