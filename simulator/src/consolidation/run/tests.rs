//! Accounts computed by hand, and what holds in any world.

use proptest::prelude::*;

use super::*;

/// Moves one guest at the first decision.
struct Once(Option<Step>);

impl Decides for Once {
    fn decide(&mut self, _: &Situation<'_>) -> Vec<Step> {
        self.0.take().into_iter().collect()
    }
}

/// Four guests, one of each kind, that want `percent` for four samples.
fn four(percent: [u8; 4]) -> Setup {
    Setup::planetlab(2, &percent.map(|percent| vec![percent; 4])).unwrap()
}

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 1e-9 * wanted.abs().max(1.0), "{found}, not {wanted}");
}

#[test]
fn a_guest_that_stays_costs_what_its_host_does_at_its_load() {
    // 1,250 of 5,320 MIPS: between 101 W at 20 % and 105 W at 30 %. From 300.1 to 900.1 seconds.
    let results = study(&four([50, 0, 0, 0]), &Policy::None, 1).unwrap();
    let watts = 101.0 + 4.0 * (1250.0 / 532.0 - 2.0);
    close(results.energy_kwh, watts * 600.0 / 3_600_000.0);
    close(results.hosts_in_use_mean, 1.0);
    assert_eq!((results.migrations, results.hosts_in_use_max), (0, 1));
    // The other host had guests that wanted nothing.
    assert_eq!(results.shutdowns, 1);
    close(results.short_time_share + results.loss_share + results.overload_host_minutes, 0.0);
}

#[test]
fn a_migration_costs_a_tenth_of_the_work_while_it_lasts() {
    // The third guest wants 600 MIPS and goes from the smaller host to the larger one.
    let setup = four([0, 0, 60, 0]);
    let mut study = Study::new(&setup, 0.7).unwrap();
    assert_eq!(study.guests.of(2).host, Some(0));
    study.pass(&mut Once(Some(Step { guest: 2, to: 1 })));
    let results = study.results();
    let moving = 1740.0 / 62.5;
    close(results.migration_seconds, moving);
    assert_eq!((results.migrations, results.migration_bytes), (1, 1_740_000_000));
    close(results.migration_loss_share, 0.1 * moving / 600.0);
    // The larger host is wanted whole and gives a tenth until the guest is there.
    close(results.short_time_share, moving / (600.0 + moving));
    close(results.hosts_in_use_mean, (600.0 + moving) / 600.0);
    close(results.overload_host_minutes, 0.0);
    let small = |mips: f64| setup.curves[0].watts_at(mips / 3720.0);
    let large = |mips: f64| setup.curves[1].watts_at(mips / 5320.0);
    let joules = moving * (small(600.0) + large(60.0)) + (600.0 - moving) * large(600.0);
    close(results.energy_kwh, joules / 3_600_000.0);
}

#[test]
fn who_returns_within_an_hour_is_counted() {
    struct There(u32);
    impl Decides for There {
        fn decide(&mut self, now: &Situation<'_>) -> Vec<Step> {
            self.0 += 1;
            let to = self.0 % 2;
            let moves = now.guests.of(2).host != Some(to) && self.0 < 5;
            moves.then_some(Step { guest: 2, to }).into_iter().collect()
        }
    }
    let series = [0, 0, 60, 0].map(|percent| vec![percent; 12]);
    let setup = Setup::planetlab(2, &series).unwrap();
    let mut study = Study::new(&setup, 0.7).unwrap();
    study.pass(&mut There(0));
    assert_eq!(study.results().migrations, 4);
    assert_eq!(study.results().moves_undone_within_hour, 3);
}

#[test]
fn a_host_that_has_less_than_is_wanted_is_overloaded() {
    let setup = four([0, 0, 60, 0]);
    let mut study = Study::new(&setup, 0.7).unwrap();
    for guest in 0..4 {
        study.guests.of_mut(guest).mips *= 8.0;
    }
    study.pass(&mut Once(None));
    // It wants 4,800 of 3,720 MIPS, and has one core of 1,860.
    let results = study.results();
    close(results.overload_host_minutes, 10.0);
    close(results.loss_share, 1.0 - 1860.0 / 4800.0);
}

#[test]
fn what_does_not_fit_at_the_beginning_is_refused_by_name() {
    let error = study(&Setup::planetlab(1, &[vec![1]]).unwrap(), &Policy::None, 1).unwrap_err();
    assert_eq!(error, StudyError::NoRoom { guest: 0 });
    let mut setup = four([1; 4]);
    setup.guest_kinds[1].memory_mb = 20_000;
    assert_eq!(study(&setup, &Policy::None, 1).unwrap_err(), StudyError::TooLarge { guest: 1 });
}

fn policies() -> impl Strategy<Value = Policy> {
    let rules =
        ["thr-mu-0.8", "mad-mmt-2.5", "iqr-rs-1.5", "lr-mmt-1.2", "lrr-mc-1.2", "thr-mc-0.2"];
    let plain = Policy::PLAIN.map(|(name, _)| name);
    let names: Vec<&str> = rules.into_iter().chain(plain).collect();
    prop::sample::select(names).prop_map(|name| name.parse().unwrap())
}

/// A few guests with as many hosts, and demand that jumps.
fn worlds() -> impl Strategy<Value = (usize, Vec<Vec<u8>>)> {
    (1_usize..24, 1_usize..40).prop_flat_map(|(guests, samples)| {
        let series = prop::collection::vec(0_u8..=100, samples);
        (2 * guests..3 * guests + 4, prop::collection::vec(series, guests))
    })
}

proptest! {
    #[test]
    fn nobody_is_lost_and_shares_are_shares((hosts, percent) in worlds(), policy in policies()) {
        let setup = Setup::planetlab(hosts, &percent).unwrap();
        let mut study = Study::new(&setup, policy.share_max()).unwrap();
        study.pass(policy.decides(&setup, 3).as_mut());
        let mut found = vec![Vec::new(); setup.guests()];
        for (number, host) in study.hosts.iter().enumerate() {
            prop_assert!(host.arriving.is_empty());
            for guest in &host.guests {
                found[*guest as usize].push(number as u32);
            }
        }
        for (guest, hosts) in study.guests.iter().zip(found) {
            let place: Vec<u32> = guest.host.into_iter().collect();
            prop_assert_eq!(place, hosts);
        }
        // Who is gone wanted nothing at some time: at two samples in a row, or at the last one.
        for (guest, series) in study.guests.iter().zip(&percent) {
            let idle = series.last() == Some(&0) || series.windows(2).any(|pair| pair == [0, 0]);
            prop_assert!(guest.host.is_some() || idle);
        }
        let results = study.results();
        for share in [results.short_time_share, results.migration_loss_share, results.loss_share,
            results.mean_shortage] {
            prop_assert!((-1e-9..=1.0).contains(&share), "{:?}", results);
        }
        prop_assert!(results.energy_kwh >= 0.0 && results.hosts_in_use_max <= hosts as u64);
        prop_assert!(results.moves_undone_within_hour <= results.migrations);
    }

    #[test]
    fn the_same_seed_gives_the_same((hosts, percent) in worlds(), policy in policies()) {
        let setup = Setup::planetlab(hosts, &percent).unwrap();
        let results = study(&setup, &policy, 5).unwrap();
        prop_assert_eq!(results, study(&setup, &policy, 5).unwrap());
    }

    #[test]
    fn more_demand_takes_no_less_energy((hosts, percent) in worlds()) {
        let raised = |by: u8| -> Vec<Vec<u8>> {
            let raise = |share: &u8| share.saturating_add(by).min(100);
            percent.iter().map(|series| series.iter().map(raise).collect()).collect()
        };
        let energy = |percent: &[Vec<u8>]| {
            let setup = Setup::planetlab(hosts, percent).unwrap();
            study(&setup, &Policy::None, 1).unwrap().energy_kwh
        };
        prop_assert!(energy(&raised(20)) >= energy(&raised(1)) - 1e-12);
    }
}
