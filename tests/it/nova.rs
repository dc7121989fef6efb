//! The simulator against live migrations that others measured: `OpenStack` guests on Ceph.
//!
//! What the medians of two sizes of guests say of fixed costs and of the link is put into the
//! simulator; the third size is then simulated and compared with its own median.

use whimbrel_core::units::{Bytes, Span};
use whimbrel_datasets::{
    DatasetError,
    public::osic::{self, Flavour, NovaMigration},
};
use whimbrel_simulator::Scenario;

/// The simulated large guest is off by less than this part of the measured median.
const OFF_BY_MOST: f64 = 0.10;

#[test]
fn two_sizes_tell_the_third_tunnelled_or_not() {
    let migrations = match osic::read() {
        Ok(migrations) => migrations,
        Err(DatasetError::PublicAbsent { name }) => {
            return eprintln!("skipped: no {name} on this machine");
        }
        Err(error) => panic!("{error}"),
    };
    for tunnelled in [false, true] {
        let of = |flavour: Flavour| median(&migrations, flavour, tunnelled);
        let (small, medium, large) = (of(Flavour::Small), of(Flavour::Medium), of(Flavour::Large));
        // Both sizes differ by 4 GiB only.
        let per_second = Flavour::Small.memory().as_f64() / (medium - small);
        let fixed = small - Flavour::Small.memory().as_f64() / per_second;
        let simulated = |flavour: Flavour| simulated(flavour.memory(), per_second, fixed);
        let off = |flavour, measured: f64| (simulated(flavour) - measured) / measured;
        eprintln!(
            "          tunnelled {tunnelled}: large {:.1} s simulated, {large:.1} s measured ({:+.1} %)",
            simulated(Flavour::Large),
            off(Flavour::Large, large) * 100.0
        );
        assert!(off(Flavour::Small, small).abs() < 0.03, "what was put in comes out");
        assert!(off(Flavour::Large, large).abs() < OFF_BY_MOST);
    }
}

/// In seconds.
fn median(migrations: &[NovaMigration], flavour: Flavour, tunnelled: bool) -> f64 {
    let like = |one: &&NovaMigration| {
        one.shared_storage && one.flavour == flavour && one.tunnelled == tunnelled
    };
    let mut times: Vec<Span> = migrations.iter().filter(like).map(|one| one.duration).collect();
    times.sort_unstable();
    times[times.len() / 2].as_seconds_f64()
}

/// How long a guest of `memory`, all of it written, migrates over `per_second` bytes a second
/// with `fixed` seconds before the first page.
fn simulated(memory: Bytes, per_second: f64, fixed: f64) -> f64 {
    let (memory, bandwidth, fixed) = (memory.get(), per_second as u64, (fixed * 1e3) as u64);
    let text = format!(
        r#"
        intent = "One migration of a guest whose whole memory has content."
        horizon = "10 min"
        [physics]
        setup = {{ least = "{fixed} ms", most = "{fixed} ms" }}
        device_downtime = {{ least = "0 s", most = "0 s" }}
        efficiency = {{ least = 1.0, most = 1.0 }}
        [host]
        h1 = {{ cpu = "24 cores", memory = "64 GiB", bandwidth = "{bandwidth} B/s" }}
        h2 = {{ cpu = "24 cores", memory = "64 GiB", bandwidth = "{bandwidth} B/s" }}
        [domain.a]
        host = "h1"
        memory = "{memory} B"
        dirty = [{{ window = "1 s", unique = "0 B" }}]
        [[plan.moves]]
        vm = "a"
        to = "h2"
        timeout = "5 min"
        [expect]
        arrived = 1
        "#
    );
    let scenario: Scenario = toml::from_str(&text).unwrap();
    let report = scenario.run(|_, _| unreachable!("the moves are listed")).unwrap();
    assert_eq!(report.disappointments, Vec::<String>::new());
    report.outcome.execution.moves[0].stats.unwrap().total_time.as_seconds_f64()
}
