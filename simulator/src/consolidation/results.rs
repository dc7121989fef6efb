//! What a policy cost: the measures of Beloglazov and Buyya (CCPE 2012, section 7), and what an
//! operator asks besides.
//!
//! Never here: which policy is better.

use serde::Serialize;

use super::{guest::Guests, host::Host};

/// What came of a study.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Results {
    /// Energy of all hosts, in kWh.
    pub energy_kwh: f64,
    /// Migrations begun.
    pub migrations: u64,
    /// Times that a host was switched off.
    pub shutdowns: u64,
    /// SLATAH: part of the hosts' running time in which their guests did not get all they wanted,
    /// 0 to 1. A guest that arrives counts with all it wants, and gets a tenth.
    pub short_time_share: f64,
    /// PDM: part of the wanted work that guests did not get because they migrated, 0 to 1.
    pub migration_loss_share: f64,
    /// Part of the wanted work that guests did not get, 0 to 1.
    pub loss_share: f64,
    /// Mean part that a guest did not get, over the times when it did not get all, 0 to 1.
    pub mean_shortage: f64,
    /// Time in which the guests of a host, those that arrive aside, wanted more than it has; summed
    /// over hosts, in minutes.
    pub overload_host_minutes: f64,
    /// Time that migrations took, summed over them, in seconds.
    pub migration_seconds: f64,
    /// Memory that migrations carried, in bytes.
    pub migration_bytes: u64,
    /// Hosts that worked, on average over time.
    pub hosts_in_use_mean: f64,
    /// Hosts that worked at a time, at most.
    pub hosts_in_use_max: u64,
    /// Migrations that brought a guest back to a host that it had left less than an hour before.
    pub moves_undone_within_hour: u64,
}

/// What is counted while a study runs.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    /// In watt-seconds.
    pub(super) energy: f64,
    pub(super) migrations: u64,
    pub(super) migration_seconds: f64,
    pub(super) migration_megabytes: u64,
    pub(super) hosts_in_use_max: usize,
    pub(super) moves_undone: u64,
}

impl Results {
    /// SLAV: the product of [`Self::short_time_share`] and [`Self::migration_loss_share`].
    pub fn violation(&self) -> f64 {
        self.short_time_share * self.migration_loss_share
    }

    /// Of `hosts` and `guests` at the end, `seconds` after the beginning.
    pub(super) fn of(tally: Tally, seconds: f64, hosts: &[Host], guests: &Guests) -> Self {
        let host = |of: fn(&Host) -> f64| hosts.iter().map(of).fold(0.0, |sum, part| sum + part);
        let (mut got, mut wanted, mut lost) = (0.0, 0.0, 0.0);
        let (mut short, mut shortages) = (0.0, 0);
        for account in guests.accounts() {
            got += account.got;
            wanted += account.wanted;
            lost += account.lost_migrating;
            short += account.short;
            shortages += account.shortages;
        }
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let worked = host(|host| host.account.seconds);
        Self {
            energy_kwh: tally.energy / (3600.0 * 1000.0),
            migrations: tally.migrations,
            shutdowns: hosts.iter().map(|host| host.account.shutdowns()).sum(),
            short_time_share: share(host(|host| host.account.short_seconds), worked),
            migration_loss_share: share(lost, wanted),
            loss_share: share(wanted - got, wanted),
            mean_shortage: share(short, shortages as f64),
            overload_host_minutes: host(|host| host.account.full_seconds) / 60.0,
            migration_seconds: tally.migration_seconds,
            migration_bytes: tally.migration_megabytes.saturating_mul(1_000_000),
            hosts_in_use_mean: share(worked, seconds),
            hosts_in_use_max: tally.hosts_in_use_max as u64,
            moves_undone_within_hour: tally.moves_undone,
        }
    }
}
