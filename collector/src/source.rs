//! The seam to a host: what a worker asks, and the reading that it gets.
//!
//! Never here: interpretation over time. A source states what the host says now; rates, states
//! that need a history and the schedule of windows are the record's and the worker's.

use thiserror::Error;
use whimbrel_core::{
    VmId,
    settings::QemuVersion,
    units::{Bytes, MilliCores, Span},
};

use crate::{
    jobs::JobLook,
    stats::{DomainStats, Status},
};

/// How much to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Everything.
    Full,
    /// States and jobs only: cheap enough for several looks a second while migrations run.
    Jobs,
}

/// A host that can be asked. Calls may block for as long as the host hangs: each source belongs
/// to one worker thread, and nobody else waits for it.
pub trait HostSource: Send {
    /// Connects, afresh where it was connected before.
    ///
    /// # Errors
    /// [`SourceError`] when the host does not answer.
    fn connect(&mut self) -> Result<(), SourceError>;

    /// Reads the host.
    ///
    /// # Errors
    /// [`SourceError`] when the connection is of no more use. What only one domain refuses is
    /// absent from its reading instead.
    fn collect(&mut self, depth: Depth) -> Result<HostReading, SourceError>;

    /// Begins to measure how much memory `vm` dirties within the next `window_seconds`. Does not
    /// wait for the domain; a window that did not begin after all never shows a result.
    ///
    /// # Errors
    /// [`SourceError`] when it cannot begin; the connection may be fine.
    fn start_window(&mut self, vm: &VmId, window_seconds: u32) -> Result<(), SourceError>;

    /// Lets the connection go.
    fn disconnect(&mut self);
}

/// Why a source has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct SourceError {
    /// The host's or the library's words.
    pub message: String,
}

/// What a host says at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct HostReading {
    /// Facts about the machine, where it was asked.
    pub facts: Option<NodeFacts>,
    /// CPU time that was not idle since boot, over all CPUs.
    pub cpu_busy: Option<Span>,
    /// Memory of the machine.
    pub memory_total: Option<Bytes>,
    /// Memory not in use, caches counted as free.
    pub memory_free: Option<Bytes>,
    /// Its domains, in any order.
    pub domains: Vec<DomainReading>,
}

/// What does not change while a machine answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NodeFacts {
    /// Its CPUs.
    pub cpu: MilliCores,
    /// Its memory.
    pub memory: Bytes,
    /// The QEMU that its libvirt starts guests with, where it says so.
    pub qemu: Option<QemuVersion>,
}

/// What a host says of one domain.
#[derive(Debug, Clone, PartialEq)]
pub struct DomainReading {
    /// Its name as libvirt has it; not every such name is a [`VmId`].
    pub name: String,
    /// Its UUID.
    pub uuid: String,
    /// State and reason; `None` when the host did not say.
    pub status: Option<Status>,
    /// Its figures; all absent in a [`Depth::Jobs`] reading.
    pub stats: DomainStats,
    /// What its host says about a migration.
    pub job: JobLook,
}
