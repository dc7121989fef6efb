//! How often each kind of fault strikes.
//!
//! Never here: when one does (`draws`), or what it does.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use whimbrel_core::units::Span;

use crate::physics::Range;

/// How often things go wrong. Rates are in events an hour, range 0..=3600: of one host, of one
/// guest, or of the cluster, as each says. What is absent never happens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct FaultRates {
    /// Kernel deaths of one host an hour; each returns by itself in one case of two.
    pub host_crash: f64,
    /// Power cuts of one host an hour; the power does not return.
    pub power_cut: f64,
    /// Cuts of one host's management network an hour.
    pub management_cut: f64,
    /// Cuts of one host's migration network an hour.
    pub migration_cut: f64,
    /// Cuts of one host's storage network an hour.
    pub storage_cut: f64,
    /// Cuts of all of one host's networks an hour.
    pub link_cut: f64,
    /// Times an hour that one host's NIC becomes slow.
    pub slow_link: f64,
    /// Hangs of one host's daemon an hour.
    pub daemon_hang: f64,
    /// Times an hour that one host begins to refuse arrivals.
    pub refuse_arrivals: f64,
    /// Times an hour that one host's readings become stale.
    pub stale_readings: f64,
    /// Failures of one host's power controller an hour; in one case of two it says nothing.
    pub bmc_failure: f64,
    /// Times an hour that one guest can no longer be migrated.
    pub refuse_migration: f64,
    /// Times an hour that one guest's migration gets stuck.
    pub stuck_migration: f64,
    /// Times an hour that one guest's readings begin to lie.
    pub lying_readings: f64,
    /// Partitions of the cluster an hour.
    pub partition: f64,
    /// Outages of Ceph an hour.
    pub ceph_outage: f64,
    /// Times an hour that Ceph becomes slow.
    pub slow_ceph: f64,
    /// Deaths of the controller an hour; it comes back.
    pub controller_restart: f64,
    /// How long what passes lasts: drawn evenly.
    pub lasts: Range,
}

impl Default for FaultRates {
    fn default() -> Self {
        Self {
            host_crash: 0.0,
            power_cut: 0.0,
            management_cut: 0.0,
            migration_cut: 0.0,
            storage_cut: 0.0,
            link_cut: 0.0,
            slow_link: 0.0,
            daemon_hang: 0.0,
            refuse_arrivals: 0.0,
            stale_readings: 0.0,
            bmc_failure: 0.0,
            refuse_migration: 0.0,
            stuck_migration: 0.0,
            lying_readings: 0.0,
            partition: 0.0,
            ceph_outage: 0.0,
            slow_ceph: 0.0,
            controller_restart: 0.0,
            lasts: Range { least: Span::from_seconds(1), most: Span::from_seconds(60) },
        }
    }
}

/// Most events an hour of one kind and subject.
const RATE_MAX: f64 = 3600.0;

/// Where in the list of kinds those of hosts end, and those of guests.
const HOST_KINDS: usize = 11;
const GUEST_KINDS: usize = 14;

/// A rate that is out of its range.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("fault-rates.{key} is {value} (hint: it takes {range})")]
pub struct RateError {
    /// The kind.
    pub key: &'static str,
    /// What was asked for.
    pub value: String,
    /// What is accepted.
    pub range: &'static str,
}

impl FaultRates {
    /// Whether every rate is in its range.
    ///
    /// # Errors
    /// [`RateError`] for the first one that is not.
    pub fn check_ranges(&self) -> Result<(), RateError> {
        for (key, value) in self.listed() {
            if !(0.0..=RATE_MAX).contains(&value) {
                let range = "0 to 3600 an hour";
                return Err(RateError { key, value: value.to_string(), range });
            }
        }
        let Range { least, most } = self.lasts;
        if least > most || most > Span::from_seconds(86_400) {
            let value = format!("{least} to {most}");
            return Err(RateError { key: "lasts", value, range: "least up to most, at most 1 d" });
        }
        Ok(())
    }

    /// Faults to be expected on so many hosts and guests over `horizon`.
    pub(crate) fn expected(&self, hosts: usize, vms: usize, horizon: Span) -> f64 {
        let subjects = |place: usize| match place {
            0..HOST_KINDS => hosts,
            HOST_KINDS..GUEST_KINDS => vms,
            _ => 1,
        };
        let rates = self.listed();
        let an_hour = rates.iter().enumerate().map(|(place, (_, r))| r * subjects(place) as f64);
        an_hour.sum::<f64>() * horizon.as_seconds_f64() / 3600.0
    }

    /// Kinds with their rates: of hosts, then of guests, then of the cluster.
    fn listed(&self) -> [(&'static str, f64); 18] {
        [
            ("host-crash", self.host_crash),
            ("power-cut", self.power_cut),
            ("management-cut", self.management_cut),
            ("migration-cut", self.migration_cut),
            ("storage-cut", self.storage_cut),
            ("link-cut", self.link_cut),
            ("slow-link", self.slow_link),
            ("daemon-hang", self.daemon_hang),
            ("refuse-arrivals", self.refuse_arrivals),
            ("stale-readings", self.stale_readings),
            ("bmc-failure", self.bmc_failure),
            ("refuse-migration", self.refuse_migration),
            ("stuck-migration", self.stuck_migration),
            ("lying-readings", self.lying_readings),
            ("partition", self.partition),
            ("ceph-outage", self.ceph_outage),
            ("slow-ceph", self.slow_ceph),
            ("controller-restart", self.controller_restart),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_is_named() {
        for rate in [-1.0, f64::NAN, f64::INFINITY, 1e9] {
            let rates = FaultRates { slow_ceph: rate, ..FaultRates::default() };
            let error = rates.check_ranges().unwrap_err().to_string();
            assert!(error.contains("fault-rates.slow-ceph") && error.contains("hint"), "{error}");
        }
    }
}
