//! The script that one seed makes of rates: which faults strike, and when.
//!
//! Each kind strikes each of its subjects after times that are exponentially distributed (a
//! Poisson process), from a random stream of that kind and subject alone. So a kind that is added,
//! or a host, does not shift what the others draw.
//!
//! Never here: what a fault does.

use whimbrel_core::{
    ids::{HostId, VmId},
    units::{BytesPerSecond, Span},
};

use super::{
    Fault, FaultRates, Plane,
    script::{Chance, Make, Script},
};
use crate::{
    kernel::Streams,
    run::{Death, Restart},
};

impl FaultRates {
    /// The script that `streams` make of the rates over `horizon`, in order of time: faults, and
    /// the controller's deaths.
    pub fn draw(
        &self,
        hosts: &[&HostId],
        vms: &[&VmId],
        horizon: Span,
        streams: Streams,
    ) -> (Vec<Fault>, Vec<Restart>) {
        let mut script = Script::new(self.lasts, horizon, streams);
        for host in hosts {
            self.draw_of_host(host, &mut script);
        }
        for vm in vms {
            self.draw_of_guest(vm, &mut script);
        }
        self.draw_of_cluster(hosts, &mut script);
        let mut restarts = Vec::new();
        script.each("controller-restart", "", self.controller_restart, |at, chance| {
            restarts.push(Restart { dies: Death::At(at), away: chance.lasts });
        });
        let mut faults = script.faults;
        faults.sort_by_key(Fault::at);
        (faults, restarts)
    }

    fn draw_of_host(&self, id: &HostId, script: &mut Script) {
        let host = || id.clone();
        let cut = |at, networks: &[Plane], chance: Chance| Fault::LinkCut {
            at,
            host: host(),
            networks: networks.to_vec(),
            lasts: Some(chance.lasts),
        };
        let kinds: [(&str, f64, Make<'_>); 11] = [
            ("host-crash", self.host_crash, &|at, c| {
                let returns = (c.part < 0.5).then_some(c.lasts);
                Fault::HostCrash { at, host: host(), returns }
            }),
            ("power-cut", self.power_cut, &|at, _| Fault::PowerCut { at, host: host() }),
            ("management-cut", self.management_cut, &|at, c| cut(at, &[Plane::Management], c)),
            ("migration-cut", self.migration_cut, &|at, c| cut(at, &[Plane::Migration], c)),
            ("storage-cut", self.storage_cut, &|at, c| cut(at, &[Plane::Storage], c)),
            ("link-cut", self.link_cut, &|at, c| cut(at, &Plane::ALL, c)),
            ("slow-link", self.slow_link, &|at, c| {
                let bandwidth = BytesPerSecond::new((1e6 * 100f64.powf(c.part)) as u64);
                Fault::SlowLink { at, host: host(), bandwidth, lasts: Some(c.lasts) }
            }),
            ("daemon-hang", self.daemon_hang, &|at, c| Fault::DaemonHang {
                at,
                host: host(),
                lasts: Some(c.lasts),
            }),
            ("refuse-arrivals", self.refuse_arrivals, &|at, c| Fault::RefuseArrivals {
                at,
                host: host(),
                lasts: Some(c.lasts),
            }),
            ("stale-readings", self.stale_readings, &|at, c| {
                let age = Span::from_seconds_f64(30.0 * c.part);
                Fault::StaleReadings { at, host: host(), age, lasts: Some(c.lasts) }
            }),
            ("bmc-failure", self.bmc_failure, &|at, c| {
                let silent = c.part < 0.5;
                Fault::BmcFailure { at, host: host(), silent, lasts: Some(c.lasts) }
            }),
        ];
        for (kind, rate, make) in kinds {
            script.draw(kind, id.as_str(), rate, make);
        }
    }

    fn draw_of_guest(&self, id: &VmId, script: &mut Script) {
        let vm = || id.clone();
        let kinds: [(&str, f64, Make<'_>); 3] = [
            ("refuse-migration", self.refuse_migration, &|at, _| Fault::RefuseMigration {
                at,
                vm: vm(),
            }),
            ("stuck-migration", self.stuck_migration, &|at, _| Fault::StuckMigration {
                at,
                vm: vm(),
            }),
            ("lying-readings", self.lying_readings, &|at, c| {
                let percent = (10.0 * 100f64.powf(c.part)) as u32;
                let lasts = Some(c.lasts);
                Fault::LyingReadings {
                    at,
                    vm: vm(),
                    dirty_percent: percent,
                    cpu_percent: percent,
                    lasts,
                }
            }),
        ];
        for (kind, rate, make) in kinds {
            script.draw(kind, id.as_str(), rate, make);
        }
    }

    fn draw_of_cluster(&self, hosts: &[&HostId], script: &mut Script) {
        let split = |part: f64| {
            let first = (part * hosts.len() as f64) as usize;
            let names = |hosts: &[&HostId]| hosts.iter().map(|host| (*host).clone()).collect();
            let (near, far) = hosts.split_at(first.min(hosts.len()));
            vec![names(near), names(far)]
        };
        script.draw("partition", "", self.partition, &|at, c| {
            let chosen = Plane::ALL.get((c.part * 1000.0) as usize % 4).copied();
            let networks = chosen.map_or(Plane::ALL.to_vec(), |plane| vec![plane]);
            Fault::Partition { at, groups: split(c.part), networks, lasts: Some(c.lasts) }
        });
        script.draw("ceph-outage", "", self.ceph_outage, &|at, c| Fault::CephOutage {
            at,
            lasts: Some(c.lasts),
        });
        script.draw("slow-ceph", "", self.slow_ceph, &|at, c| {
            let delay = Span::from_seconds_f64(5.0 * c.part);
            Fault::SlowCeph { at, delay, lasts: Some(c.lasts) }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> ([HostId; 2], [VmId; 1]) {
        (["h1", "h2"].map(|h| h.parse().unwrap()), ["a".parse().unwrap()])
    }

    fn drawn(rates: &FaultRates, seed: u64) -> (Vec<Fault>, Vec<Restart>) {
        let (hosts, vms) = names();
        let hosts: Vec<&HostId> = hosts.iter().collect();
        let vms: Vec<&VmId> = vms.iter().collect();
        rates.draw(&hosts, &vms, Span::from_seconds(100 * 3600), Streams::new(seed))
    }

    #[test]
    fn a_rate_is_events_an_hour_of_each_host() {
        let rates = FaultRates { power_cut: 2.0, ..FaultRates::default() };
        let (faults, restarts) = drawn(&rates, 1);
        // Two hosts, 100 hours, two an hour: 400, and its deviation is 20.
        assert!((320..480).contains(&faults.len()), "{}", faults.len());
        assert!(restarts.is_empty());
        assert!(faults.windows(2).all(|pair| pair[0].at() <= pair[1].at()));
    }

    #[test]
    fn what_is_expected_is_about_what_is_drawn() {
        let rates = FaultRates {
            daemon_hang: 3.0,
            stuck_migration: 4.0,
            slow_ceph: 5.0,
            controller_restart: 1.0,
            ..FaultRates::default()
        };
        let expected = rates.expected(2, 1, Span::from_seconds(100 * 3600));
        assert!((expected - 1600.0).abs() < 1e-6, "{expected}");
        let (faults, restarts) = drawn(&rates, 1);
        // The deviation is 40.
        let found = (faults.len() + restarts.len()) as f64;
        assert!((found - expected).abs() < 160.0, "{found}");
    }

    #[test]
    fn kinds_do_not_shift_each_other_and_seeds_differ() {
        let one = FaultRates { power_cut: 2.0, ..FaultRates::default() };
        let two = FaultRates { ceph_outage: 5.0, daemon_hang: 1.0, ..one.clone() };
        let cuts = |faults: Vec<Fault>| -> Vec<Fault> {
            faults.into_iter().filter(|f| matches!(f, Fault::PowerCut { .. })).collect()
        };
        assert_eq!(cuts(drawn(&one, 1).0), cuts(drawn(&two, 1).0));
        assert_ne!(drawn(&one, 1), drawn(&one, 2));
    }
}
