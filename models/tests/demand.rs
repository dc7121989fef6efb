//! What guests are planned for: quantiles of readings, and forecasts where they matter.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeSet;

use whimbrel_core::{
    Domain, DomainState, Host, HostId, HostState, Snapshot, VmId,
    cluster::{Needs, Offers},
    outlook::{Demand, DemandSource},
    policy::Balance,
    units::{Bytes, MilliCores, Share, Span, Timestamp},
};
use whimbrel_models::demand::{Readings, demands};

const NOW: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn vm(number: usize) -> VmId {
    VmId::new(&format!("vm-{number:05}")).unwrap()
}

fn millicores(cores: f64) -> MilliCores {
    MilliCores::new((cores * 1000.0).round() as u64)
}

/// `hosts` hosts of ten cores with `each` guests on them that were read to use 1 core.
fn cluster(hosts: usize, each: usize) -> Snapshot {
    let host = Host {
        state: HostState::Up,
        observed_at: NOW,
        cpu: MilliCores::cores(10),
        memory: Bytes::mib(100_000),
        cpu_used: None,
        migration_bandwidth: None,
        qemu: None,
        tags: BTreeSet::new(),
        offers: Offers::default(),
    };
    let ids: Vec<HostId> =
        (0..hosts).map(|n| HostId::new(&format!("host-{n:04}")).unwrap()).collect();
    let domain = |number: usize| Domain {
        vm: vm(number),
        uuid: String::new(),
        host: ids[number / each].clone(),
        state: DomainState::Running,
        observed_at: NOW,
        vcpus: 4,
        memory: Bytes::mib(1024),
        resident: None,
        cpu_used: Some(MilliCores::cores(1)),
        dirty: Vec::new(),
        job: None,
        tags: BTreeSet::new(),
        needs: Needs::default(),
    };
    let mut snapshot = Snapshot {
        taken_at: NOW,
        hosts: ids.iter().map(|id| (id.clone(), host.clone())).collect(),
        domains: (0..hosts * each).map(domain).collect(),
        orders: Vec::new(),
    };
    snapshot.normalise();
    snapshot
}

/// One reading every five minutes, the last one now: `value` of how many hours ago, in cores.
fn read(count: u64, value: impl Fn(f64) -> f64) -> Vec<(Timestamp, MilliCores)> {
    let at = |back: u64| Timestamp::from_micros(NOW.as_micros() - back * 300_000_000);
    let one = |back: u64| (at(back), millicores(value(back as f64 / 12.0)));
    (0..count).rev().map(one).collect()
}

fn balance(quantile: f64) -> Balance {
    Balance { demand_quantile: Share::clamped(quantile), ..Balance::default() }
}

#[test]
fn readings_of_the_last_horizon_count_and_no_others() {
    let snapshot = cluster(1, 1);
    // A core lately, three before that, and three after now, which nobody may know.
    let mut known = read(48, |hours| if hours <= 1.0 { 1.0 } else { 3.0 });
    known.push((NOW + Span::from_seconds(300), MilliCores::cores(3)));
    let of = |known: Vec<_>, quantile| {
        let readings = Readings::from([(vm(0), known)]);
        demands(&snapshot, &readings, &balance(quantile), NOW, 0).get(&vm(0)).copied()
    };
    let cpu = MilliCores::cores(1);
    assert_eq!(of(known, 0.9), Some(Demand { cpu, from: DemandSource::Readings }));
    // 2 cores now, 1 an hour ago.
    let ramp = || read(13, |hours| 2.0 - hours);
    let cpu = |quantile| of(ramp(), quantile).unwrap().cpu.get();
    assert_eq!((cpu(0.5), cpu(0.9)), (2000, 2000), "never less than now");
    let falling = || read(13, |hours| 1.0 + hours);
    let cpu = |quantile| of(falling(), quantile).unwrap().cpu.get();
    assert_eq!((cpu(0.5), cpu(0.9)), (1500, 1900));
    let rising = || read(13, |hours| if hours < 0.01 { 3.0 } else { 1.0 });
    assert_eq!(of(rising(), 0.9).unwrap().cpu.get(), 3000, "what it wants now counts");
    let (one, mut finer) = (MilliCores::cores(1), rising());
    let before = |seconds: u64| Timestamp::from_micros(NOW.as_micros() - seconds * 1_000_000);
    finer.truncate(12);
    finer.extend([(before(45), one), (before(30), one), (before(15), one)]);
    finer.push((NOW, MilliCores::cores(5)));
    assert_eq!(of(finer, 0.9).unwrap().cpu.get(), 2000, "over five minutes");
    assert_eq!(of(read(3, |_| 1.0), 0.9), None, "too few");
}

#[test]
fn guests_of_hot_hosts_are_forecast_and_never_more_than_asked_for() {
    let snapshot = cluster(3, 8);
    // Guests of the first host are idle, those of the others keep them at 8 of 10 cores.
    let wants = |number: usize| if number < 8 { 0.1 } else { 1.0 };
    let readings: Readings = (0..24)
        .map(|number| (vm(number), read(48, |hours| wants(number) * (1.0 + 0.01 * hours.sin()))))
        .collect();
    for most in [0, 5, 16, 100] {
        let all = demands(&snapshot, &readings, &balance(0.9), NOW, most);
        assert_eq!(all.len(), 24);
        let made = |vm: &&VmId| all[*vm].from == DemandSource::Forecast;
        let forecast: Vec<&VmId> = all.keys().filter(made).collect();
        assert_eq!(forecast.len(), most.min(16));
        assert!(forecast.iter().all(|name| **name >= vm(8)), "{forecast:?}");
    }
}

#[test]
fn who_is_busy_every_other_hour_is_expected_to_be_busy_in_the_next() {
    let snapshot = cluster(1, 8);
    // Idle for the last hour; the hour before it was a busy one, and so on for two days.
    let cycle = |hours: f64| if (hours as u64).is_multiple_of(2) { 0.2 } else { 2.0 };
    let readings: Readings = (0..8).map(|number| (vm(number), read(576, cycle))).collect();
    let of = |most| demands(&snapshot, &readings, &balance(0.9), NOW, most)[&vm(0)];
    assert_eq!(of(0).from, DemandSource::Readings);
    // By readings alone the host is cold, and nobody looks closely.
    assert_eq!(of(8).from, DemandSource::Readings);
    let closely = Balance { overload_above: Share::clamped(0.1), ..balance(0.9) };
    let expected = demands(&snapshot, &readings, &closely, NOW, 8)[&vm(0)];
    assert_eq!(expected.from, DemandSource::Forecast);
    assert!(expected.cpu > MilliCores::new(1200), "{expected:?}");
}
