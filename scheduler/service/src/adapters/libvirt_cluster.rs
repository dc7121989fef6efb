//! The `Cluster` port on real hosts.
//!
//! Reading is the collector's: `observe` answers from its latest readings at once. Acting is a
//! thread for each order, because libvirt's migration call returns only when the migration has
//! ended; what that call returned is reported as a hint beside the sightings.
//!
//! Never here: a decision, a retry, or any call that destroys or starts a domain.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::SystemTime,
};

use whimbrel_collector::{Collector, ConnectionSettings};
use whimbrel_core::{
    Cluster, Snapshot,
    cluster::{CallState, OrderReport},
    ids::{HostId, OrderId},
    ports::{Order, Power, Refusal, TelemetrySink},
    units::{Span, Timestamp},
};
use whimbrel_datasets::SnapshotSource;

use super::libvirt_call::{self, Call, HostLink, SharedCall, Turn, locked};
use crate::scene;

/// How often hosts are looked at while a migration that touches them runs: a short migration of
/// a small guest takes about a second.
const INTEREST_PERIOD: Span = Span::from_millis(200);

/// How long an ended call is reported: the engine reads its figures within seconds.
const ENDED_CALLS_KEPT: Span = Span::from_seconds(600);

/// Real hosts.
pub struct LibvirtCluster {
    collector: Collector,
    links: BTreeMap<HostId, HostLink>,
    connection: ConnectionSettings,
    calls: BTreeMap<OrderId, SharedCall>,
    sink: Option<Box<dyn TelemetrySink + Send>>,
    lost_batches: u64,
    kept: Option<SnapshotSource>,
}

impl LibvirtCluster {
    /// Over a running collector. Telemetry goes to `sink` as it comes, where there is one.
    pub fn new(
        collector: Collector,
        links: BTreeMap<HostId, HostLink>,
        connection: ConnectionSettings,
        sink: Option<Box<dyn TelemetrySink + Send>>,
    ) -> Self {
        Self {
            collector,
            links,
            connection,
            calls: BTreeMap::new(),
            sink,
            lost_batches: 0,
            kept: None,
        }
    }

    /// Domains that this process has not measured yet are given the recent readings that `kept`
    /// has of them.
    #[must_use]
    pub fn with_kept(mut self, kept: Option<SnapshotSource>) -> Self {
        self.kept = kept;
        self
    }

    /// Looks after an order that an earlier process began: its figures are fetched once it has
    /// arrived. Begins nothing.
    pub fn adopt(&mut self, order: &Order) {
        let call = self.shared_call(order);
        self.spawn(&call, libvirt_call::follow);
        self.mind();
    }

    /// How the collection goes, host by host.
    pub fn health(&self) -> Vec<whimbrel_collector::HostHealth> {
        self.collector.health(self.now())
    }

    fn shared_call(&mut self, order: &Order) -> SharedCall {
        let call = Arc::new(Mutex::new(Call {
            order: order.clone(),
            state: CallState::Active,
            stats: None,
            ended_at: None,
            turn: Turn::Open,
        }));
        self.calls.insert(order.id.clone(), Arc::clone(&call));
        call
    }

    fn spawn(&self, call: &SharedCall, work: fn(&libvirt_call::Ends, &SharedCall)) {
        let order = locked(call).order.clone();
        let (Some(source), Some(target)) = (self.links.get(&order.from), self.links.get(&order.to))
        else {
            locked(call).state = CallState::Errored("a host is not configured".to_owned());
            return;
        };
        let ends = libvirt_call::Ends {
            source: source.clone(),
            target: target.clone(),
            connection: self.connection,
        };
        let shared = Arc::clone(call);
        let thread = std::thread::Builder::new().name(format!("order {}", order.id));
        if let Err(error) = thread.spawn(move || work(&ends, &shared)) {
            locked(call).state = CallState::Errored(format!("no thread for it: {error}"));
        }
    }

    /// Looks often at hosts that have calls under way, and keeps dirty-rate windows away from
    /// their domains.
    fn mind(&self) {
        let active: Vec<Order> = self
            .calls
            .values()
            .map(|call| locked(call))
            .filter(|call| call.state == CallState::Active)
            .map(|call| call.order.clone())
            .collect();
        let capped: Vec<_> = active
            .iter()
            .filter(|order| order.settings.bandwidth_limit.is_some())
            .map(|order| order.vm.clone())
            .collect();
        let hosts: Vec<HostId> =
            active.iter().flat_map(|o| [o.from.clone(), o.to.clone()]).collect();
        let vms: Vec<_> = active.into_iter().map(|order| order.vm).collect();
        self.collector.expect_caps(&capped);
        self.collector.hold_windows(&vms);
        self.collector.refresh_interest(&hosts, INTEREST_PERIOD);
    }

    /// Tells the collector of figures that have come in, and forgets calls that ended long ago.
    fn note_ended(&mut self, now: Timestamp) {
        self.calls.retain(|_, call| {
            let mut call = locked(call);
            if call.state == CallState::Active {
                return true;
            }
            let Some(ended_at) = call.ended_at else {
                call.ended_at = Some(now);
                // What a limit of its own held back says nothing of the link.
                let free = call.order.settings.bandwidth_limit.is_none();
                if let Some(stats) = call.stats.filter(|_| free) {
                    self.collector.note_completed(&call.order.from, &stats, now);
                }
                return true;
            };
            now.since(ended_at) < ENDED_CALLS_KEPT
        });
    }

    fn store_telemetry(&mut self, now: Timestamp) {
        let batch = self.collector.drain_batch(now);
        let Some(sink) = &mut self.sink else { return };
        if let Err(error) = sink.record(&batch) {
            self.lost_batches += 1;
            tracing::warn!(lost_batches = self.lost_batches, "telemetry was lost: {error}");
        }
    }
}

impl Cluster for LibvirtCluster {
    fn now(&self) -> Timestamp {
        SystemTime::now().into()
    }

    fn observe(&mut self) -> Snapshot {
        let now = self.now();
        self.store_telemetry(now);
        self.mind();
        self.note_ended(now);
        let mut snapshot = self.collector.snapshot(now);
        if let Some(kept) = &self.kept {
            scene::fill_in(&mut snapshot, kept);
        }
        snapshot.orders = self
            .calls
            .iter()
            .map(|(id, call)| {
                let call = locked(call);
                OrderReport { id: id.clone(), call: call.state.clone(), stats: call.stats }
            })
            .collect();
        snapshot
    }

    fn begin(&mut self, order: &Order) -> Result<(), Refusal> {
        if self.calls.contains_key(&order.id) {
            return Ok(());
        }
        for host in [&order.from, &order.to] {
            if !self.links.contains_key(host) {
                return Err(Refusal::HostUnreachable { host: host.clone() });
            }
        }
        let call = self.shared_call(order);
        self.mind();
        self.spawn(&call, libvirt_call::migrate);
        Ok(())
    }

    fn cancel(&mut self, id: &OrderId) -> Result<(), Refusal> {
        let Some(call) = self.calls.get(id) else { return Ok(()) };
        {
            let mut call = locked(call);
            if call.state != CallState::Active {
                return Ok(());
            }
            if !call.give_up() {
                return Err(Refusal::PastNoReturn { id: id.clone() });
            }
        }
        // Asked on a thread of its own: the source may hang. What came of it is seen.
        self.spawn(call, libvirt_call::abort);
        Ok(())
    }

    fn set_power(&mut self, _host: &HostId, _power: Power) -> Result<(), Refusal> {
        Err(Refusal::Unsupported { what: "switching a host's power".to_owned() })
    }
}
