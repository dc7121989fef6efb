//! The published files themselves, where a copy lies on this machine.

use std::collections::BTreeMap;

use whimbrel_core::units::{Bytes, MilliCores};
use whimbrel_datasets::locate;

use super::*;

/// Reads the set `name`, or says that it is not there.
fn published(name: &str, layout: &str, part: Option<&str>) -> Option<Whole> {
    let Some(path) = locate(name) else {
        println!("SKIPPED: {name} is not below WHIMBREL_PUBLIC_DATA");
        return None;
    };
    let options = TraceOptions { part: part.map(ToOwned::to_owned), whole: None };
    Some(read(layout, &path, &options).unwrap())
}

#[test]
fn planetlab_is_read_whole() {
    let Some(whole) = published("planetlab", "planetlab", None) else { return };
    assert_eq!((whole.lives.len(), whole.samples.len()), (9659, 2_781_792));
    let percent: u64 = whole.samples.iter().map(|sample| sample.cpu.get() / 10).sum();
    assert_eq!(percent, 30_959_064, "sum of all lines");
    let mut days: BTreeMap<Span, usize> = BTreeMap::new();
    for life in &whole.lives {
        *days.entry(life.begins).or_default() += 1;
    }
    let counts: Vec<usize> = days.values().copied().collect();
    assert_eq!(counts, [1052, 898, 1061, 1516, 1078, 1463, 1358, 1233]);
    let first: Vec<u64> = whole.cpu(0).into_iter().take(3).collect();
    assert!(first.iter().all(|cpu| cpu.is_multiple_of(10)));
    assert_eq!(whole.repaired(), []);
    let day = published("planetlab", "planetlab", Some("20110303")).unwrap();
    assert_eq!((day.lives.len(), day.samples.len()), (1052, 1052 * 288));
    assert_eq!(day.samples, whole.samples[..1052 * 288], "the first day begins the set");
}

#[test]
fn azure_v1_is_read_whole() {
    let Some(whole) = published("azure-v1-arrivals", "azure-v1-arrivals", None) else { return };
    assert_eq!((whole.lives.len(), whole.samples.len()), (669_435, 0));
    let open = whole.lives.iter().filter(|life| life.stays.is_none()).count();
    assert_eq!((open, whole.repaired()), (37_628, vec![(Repair::Short, 18_247)]));
    let cores: u64 = whole.lives.iter().map(|life| life.size.cpu.get()).sum();
    let memory: u64 = whole.lives.iter().map(|life| life.size.memory.get() >> 20).sum();
    assert_eq!((cores, memory), (1_562_581_000, 3_422_976 << 10));
    assert!(whole.lives.is_sorted_by_key(|life| life.begins));
    let (first, last) = (whole.lives[0], whole.lives[669_434]);
    assert_eq!((first.begins, first.stays), (Span::ZERO, Some(seconds(300))));
    assert_eq!((first.size.cpu, first.size.memory), (MilliCores::cores(8), Bytes::mib(14 << 10)));
    assert_eq!((last.begins, last.stays), (seconds(791_100), None));
}

#[test]
fn gcd_is_read_whole() {
    let Some(whole) = published("google2011-gcd-vms", "gcd", None) else { return };
    assert_eq!((whole.lives.len(), whole.samples.len()), (1600, 460_800));
    let cpu: u64 = whole.samples.iter().map(|sample| sample.cpu.get()).sum();
    let memory: f64 = whole.samples.iter().map(|s| s.memory.unwrap().as_f64()).sum();
    assert!(cpu.abs_diff(100_683_000) < 50_000, "1.00683e7 percent, rounded each: {cpu}");
    let percent = memory / f64::from(1 << 30) * 100.0;
    assert!((percent - 9.01271e6).abs() < 50.0, "{percent}");
    assert_eq!((whole.cpu(0)[0], whole.repaired()), (113, vec![]));
}

#[test]
fn bitbrains_is_read_whole() {
    let Some(whole) = published("bitbrains-rnd", "bitbrains-parquet", None) else { return };
    let left_out: u64 =
        [Repair::Duplicate, Repair::Backwards].iter().map(|kind| whole.repairs.of(*kind)).sum();
    assert_eq!(whole.samples.len() as u64 + left_out, 3_890_450, "rows of the file");
    assert_eq!(whole.lives.len(), 500);
    let most = whole.samples.iter().map(|sample| sample.at).max().unwrap();
    assert!(most < seconds(32 * 86_400), "a month: {most}");
    assert!(whole.samples.iter().all(|sample| sample.memory.is_some()));
}

#[test]
fn opendc_is_read_whole() {
    let Some(week) = published("opendc", "opendc", Some("surf_week")) else { return };
    assert_eq!(week.lives.len(), 6295);
    let ends = week.samples.iter().filter(|sample| sample.cpu == MilliCores::ZERO).count();
    assert!(ends >= 6295, "each task ends");
    let small = published("opendc", "opendc", Some("bitbrains-small")).unwrap();
    assert_eq!(small.lives.len(), 50);
    let left_out = small.repairs.of(Repair::Short) + small.repairs.of(Repair::Unknown);
    assert_eq!(small.samples.len() as u64 + left_out, 276_979 + 50, "fragments, and their ends");
    assert_eq!(week.samples.len() as u64 + week.repairs.of(Repair::Short), 2_323_475 + 6295);
    let month = published("opendc", "opendc", Some("surf_month")).unwrap();
    assert_eq!((month.lives.len(), month.samples.len()), (68_648, 0));
    let several = read("opendc", &locate("opendc").unwrap(), &TraceOptions::default());
    let message = several.unwrap_err().to_string();
    assert!(message.contains("bitbrains-small, surf_month, surf_week"), "{message}");
}

#[test]
fn our_own_telemetry_is_a_trace() {
    let store = Path::new(env!("CARGO_MANIFEST_DIR")).join("recorded");
    let whole = read("telemetry", &store, &TraceOptions::default()).unwrap();
    assert_eq!(whole.lives.len(), 9, "guests of the recording");
    assert!(whole.samples.len() > 1000);
    assert!(whole.samples.iter().all(|sample| sample.memory.is_some()));
    assert!(whole.lives.iter().all(|life| life.size.memory >= Bytes::mib(48)));
    assert_eq!(whole.repairs.of(Repair::Backwards), 0);
}
