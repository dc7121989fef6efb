//! What a policy cost, in the measures of Beloglazov and Buyya (CCPE 2012, section 7).

use super::{guest::Guests, host::Host};

/// What came of a study.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Results {
    /// Energy of all hosts, in kWh.
    pub energy_kwh: f64,
    /// Migrations begun.
    pub migrations: u64,
    /// Times that a host was switched off.
    pub shutdowns: u64,
    /// SLATAH: part of the hosts' running time in which their guests did not get all they wanted.
    pub short_time_share: f64,
    /// PDM: part of the wanted work that guests did not get because they migrated.
    pub migration_loss_share: f64,
    /// Part of the wanted work that guests did not get.
    pub loss_share: f64,
    /// Mean part that a guest did not get, over the times when it did not get all.
    pub mean_shortage: f64,
}

impl Results {
    /// SLAV: the product of [`Self::short_time_share`] and [`Self::migration_loss_share`].
    pub fn violation(&self) -> f64 {
        self.short_time_share * self.migration_loss_share
    }

    pub(super) fn of(energy: f64, migrations: u64, hosts: &[Host], guests: &Guests) -> Self {
        let host = |of: fn(&Host) -> f64| hosts.iter().map(of).fold(0.0, |sum, part| sum + part);
        let accounts = || guests.list.iter().map(|guest| &guest.account);
        let (mut got, mut wanted, mut lost) = (0.0, 0.0, 0.0);
        let (mut short, mut shortages) = (0.0, 0);
        for account in accounts() {
            got += account.got;
            wanted += account.wanted;
            lost += account.lost_migrating;
            short += account.short;
            shortages += account.shortages;
        }
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        Self {
            energy_kwh: energy / (3600.0 * 1000.0),
            migrations,
            shutdowns: hosts.iter().map(|host| host.account.shutdowns()).sum(),
            short_time_share: share(
                host(|host| host.account.short_seconds),
                host(|host| host.account.seconds),
            ),
            migration_loss_share: share(lost, wanted),
            loss_share: share(wanted - got, wanted),
            mean_shortage: share(short, shortages as f64),
        }
    }
}
