//! What a balancer cost and what guests had of it.
//!
//! Never here: which balancer is better.

use serde::Serialize;

/// What came of the days after the first.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct BalanceResults {
    /// Moves begun.
    pub moves: u64,
    /// The same by guest and day.
    pub moves_per_guest_day: f64,
    /// Moves that brought a guest back to a host that it had left less than an hour before.
    pub moved_back_within_hour: u64,
    /// Moves of a guest whose last move had begun less than an hour before.
    pub moved_again_within_hour: u64,
    /// Moves that the target had no memory for.
    pub refused: u64,
    /// Time in which guests of a host wanted more than the threshold's part of its CPU; summed over
    /// hosts, in minutes.
    pub overload_host_minutes: f64,
    /// The same for all of its CPU.
    pub full_host_minutes: f64,
    /// Work that guests wanted and their hosts did not have: seconds in which one busy vCPU waited.
    pub contention_guest_seconds: f64,
    /// Time that moves took, summed over them, in seconds.
    pub migration_seconds: f64,
    /// Memory that moves carried, in bytes.
    pub migration_bytes: u64,
    /// The largest part of its CPU that guests of a host wanted.
    pub demand_max_share: f64,
}
