//! What past migrations teach: fixed costs, bandwidth, memory with content, remaining error.
//!
//! A calibration is a value that is stored beside the model's name; [`Calibration::fit`] learns
//! one from records and falls back to the defaults where there are too few. Spreads are standard
//! deviations of a natural logarithm: 0.1 is about 10 %.
//!
//! Never learns from a migration that failed or whose figures were not kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use whimbrel_core::{
    cluster::Domain,
    ids::VmId,
    units::{Bytes, BytesPerSecond, Span},
};

mod learn;

pub use learn::USABLE_RECORDS_MIN;

/// Constants of a cluster and the errors that remain.
///
/// The defaults were measured with QEMU 10.0 and libvirt 9 to 11 on two loaded cores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calibration {
    /// Migrations that it was learnt from; 0 says that these are the defaults.
    pub learnt_from: usize,
    /// Time before the first page: libvirt's preparation and the start of QEMU at the target.
    pub fixed_cost: Span,
    /// Spread of `fixed_cost`. Range 0..=1.
    pub fixed_cost_spread: f64,
    /// What a stream achieves of its limit or its part of the path. Range 0.1..=1.
    pub efficiency: f64,
    /// Spread of `efficiency`. Range 0..=1.
    pub efficiency_spread: f64,
    /// Downtime besides sending the rest: device state, hand-over, the start at the target.
    pub downtime_constant: Span,
    /// Memory of a QEMU process that is not its guest's.
    pub resident_overhead: Bytes,
    /// Part of the resident memory without overhead that has content. Range 0..=1.
    pub non_zero_of_resident: f64,
    /// Spread of `non_zero_of_resident`. Range 0..=1.
    pub non_zero_of_resident_spread: f64,
    /// Part of a domain's memory that has content where `resident` is not known. Range 0..=1.
    pub non_zero_of_memory: f64,
    /// Spread of `non_zero_of_memory`. Range 0..=1.
    pub non_zero_of_memory_spread: f64,
    /// Spread of the dirtying level between a fresh reading and the migration. Range 0..=1.
    pub level_spread_fresh: f64,
    /// Spread that an hour adds to it; it grows with the square root of the age. Range 0..=2.
    pub level_spread_hour: f64,
    /// Dirtying rate that is assumed of a guest without readings.
    pub unread_rate: BytesPerSecond,
    /// Spread of `unread_rate`. Range 0..=3.
    pub unread_spread: f64,
    /// Spread of actual against predicted total time. Range 0..=2.
    pub time_residual: f64,
    /// Spread of actual against predicted bytes. Range 0..=2.
    pub bytes_residual: f64,
    /// Spread of actual against predicted downtime. Range 0..=2.
    pub downtime_residual: f64,
    /// Guests that have migrated before.
    pub guests: BTreeMap<VmId, GuestHistory>,
}

/// What the past migrations of one guest showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GuestHistory {
    /// Memory with content, as of its newest migration.
    pub non_zero: Bytes,
    /// Its memory then: after a resize the history does not hold.
    pub memory: Bytes,
    /// Migrations seen.
    pub migrations: u32,
}

/// Spread of the memory with content between two migrations of one guest.
const GUEST_SPREAD: f64 = 0.02;

/// How far a process's overhead may be from [`Calibration::resident_overhead`]; also the least
/// content that is assumed of a guest on no better grounds than its process's size.
const OVERHEAD_ERROR: Bytes = Bytes::mib(4);

impl Default for Calibration {
    fn default() -> Self {
        Self {
            learnt_from: 0,
            // 0.3 to 0.5 s on a quiet laboratory, 1.0 to 1.5 s on a busy one: until migrations of
            // this cluster were seen, nobody knows which it is.
            fixed_cost: Span::from_millis(700),
            fixed_cost_spread: 0.8,
            efficiency: 1.0,
            efficiency_spread: 0.02,
            downtime_constant: Span::from_millis(30),
            // Nine guests of 48 to 128 MiB under QEMU 10.0.2: 46 to 47 MiB each.
            resident_overhead: Bytes::mib(46),
            non_zero_of_resident: 0.97,
            non_zero_of_resident_spread: 0.12,
            non_zero_of_memory: 0.7,
            non_zero_of_memory_spread: 0.35,
            level_spread_fresh: 0.03,
            level_spread_hour: 0.3,
            unread_rate: BytesPerSecond::mib(8),
            unread_spread: 1.5,
            time_residual: 0.06,
            bytes_residual: 0.03,
            downtime_residual: 1.0,
            guests: BTreeMap::new(),
        }
    }
}

impl Calibration {
    /// Spread of the dirtying level when the newest reading is `age` old.
    pub fn level_spread(&self, age: Span) -> f64 {
        let hours = age.as_seconds_f64() / 3600.0;
        self.level_spread_fresh.hypot(self.level_spread_hour * hours.sqrt())
    }

    /// Median of the domain's memory with content in bytes, and its spread.
    pub(crate) fn non_zero(&self, domain: &Domain) -> (f64, f64) {
        let memory = domain.memory.as_f64();
        match (self.guests.get(&domain.vm), domain.resident) {
            (Some(past), _) if past.memory == domain.memory => {
                (past.non_zero.as_f64().min(memory), GUEST_SPREAD)
            }
            (_, Some(resident)) => {
                let touched = resident.saturating_sub(self.resident_overhead).as_f64().min(memory);
                let content = (touched * self.non_zero_of_resident).max(OVERHEAD_ERROR.as_f64());
                // The overhead is known to a few MiB, which is much of a small guest.
                let spread = OVERHEAD_ERROR.as_f64() / content;
                (content.min(memory), self.non_zero_of_resident_spread.hypot(spread))
            }
            (_, None) => (memory * self.non_zero_of_memory, self.non_zero_of_memory_spread),
        }
    }
}
