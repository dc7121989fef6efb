//! What a machine takes of its host, in whole numbers, so that sums never drift.

use whimbrel_core::units::Bytes;

/// Parts that a core is counted in.
const PARTS: f64 = 1e6;

/// What a machine takes of its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Size {
    /// Memory in bytes.
    pub(super) memory: u64,
    /// Virtual CPUs.
    pub(super) vcpus: u64,
    /// CPU demand in millionths of a core.
    pub(super) demand: u64,
}

impl Size {
    /// Of a machine with `memory` and `vcpus` that is expected to keep `demand_cores` busy.
    pub fn new(memory: Bytes, vcpus: u32, demand_cores: f64) -> Self {
        Self { memory: memory.get(), vcpus: vcpus.into(), demand: parts(demand_cores) }
    }

    /// CPU demand in cores.
    pub(super) fn cores(self) -> f64 {
        self.demand as f64 / PARTS
    }

    /// The part of `largest` that it takes, of memory or of vCPUs, whichever is more.
    pub(super) fn dominant(self, largest: Self) -> f64 {
        let part = |of: u64, all: u64| of as f64 / all.max(1) as f64;
        part(self.memory, largest.memory).max(part(self.vcpus, largest.vcpus))
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            vcpus: self.vcpus.saturating_add(other.vcpus),
            demand: self.demand.saturating_add(other.demand),
        }
    }

    pub(super) fn minus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_sub(other.memory),
            vcpus: self.vcpus.saturating_sub(other.vcpus),
            demand: self.demand.saturating_sub(other.demand),
        }
    }
}

/// In millionths of a core; what is no number is nothing.
pub(super) fn parts(cores: f64) -> u64 {
    (cores * PARTS).round() as u64
}
