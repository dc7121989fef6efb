//! Reads hosts into snapshots and telemetry.
//!
//! Data flow: each host has one worker thread that asks a [`HostSource`] (libvirt, or a fake in
//! tests) for a [`HostReading`] every period; the worker posts it into the host's record; and
//! [`Collector::snapshot`] puts the records together into a
//! [`Snapshot`](whimbrel_core::Snapshot) without asking anybody. Samples for the telemetry store
//! pile up beside it until [`Collector::drain_batch`] takes them. Between readings the worker
//! starts dirty-rate windows ([`windows`]) and reads their results with the next reading.
//!
//! Guarantees: a host that hangs makes its own readings old and nobody else's; a counter that
//! goes backwards gives no rate; a gap stays a gap; a domain seen on two hosts is two sightings.
//!
//! Never here: changing a host, except that a dirty-rate measurement is started, which the guest
//! does not notice but for a little CPU. The methods that migrate are in [`libvirt`] for the
//! adapter that executes plans; the collector does not call them.

mod backoff;
mod bandwidth;
mod collector;
pub mod jobs;
mod record;
mod settings;
mod sighting;
mod source;
pub mod stats;
mod store;
mod told;
pub mod windows;
mod worker;

#[cfg(feature = "libvirt")]
pub mod libvirt;

pub use backoff::{Backoff, BackoffSettings};
pub use collector::Collector;
pub use record::{HostHealth, SkippedDomain};
pub use settings::{CollectorSettings, ConnectionSettings, HostTarget, SettingsError};
pub use source::{Depth, DomainReading, HostReading, HostSource, NodeFacts, SourceError};
pub use told::Told;
