//! Every text layout, on small files written as its publisher documents it.

use whimbrel_core::{
    trace::Size,
    units::{Bytes, MilliCores},
};

use super::*;

const GIB: u64 = 1024;

#[test]
fn planetlab_has_a_file_a_guest_and_days_apart() {
    let whole = written_layout("planetlab", "planetlab");
    // By name, byte by byte: the capital first.
    assert_eq!(whole.cpu(0), [10, 20]);
    assert_eq!(whole.cpu(1), [70, 0, 1000]);
    assert_eq!(whole.times(1), [0, 300, 600]);
    assert_eq!((whole.times(2), whole.cpu(2)), (vec![3 * 86_400], vec![500]));
    let stays: Vec<_> = whole.lives.iter().map(|life| life.stays).collect();
    assert_eq!(stays, [Some(seconds(600)), Some(seconds(900)), None], "the last day has no end");
    assert_eq!(whole.lives[2].size, Size { cpu: MilliCores::cores(1), memory: Bytes::mib(GIB) });
    let options = TraceOptions {
        part: Some("20110306".into()),
        whole: Some(Size { cpu: MilliCores::new(2660), memory: Bytes::mib(870) }),
    };
    let day = read("planetlab", &layout_directory("planetlab"), &options).unwrap();
    assert_eq!((day.lives.len(), day.cpu(0), day.times(0)), (1, vec![1330], vec![0]));
}

#[test]
fn gcd_has_cpu_and_memory() {
    let whole = written_layout("gcd", "gcd");
    assert_eq!(whole.cpu(0), [113, 1205], "beyond 100 % is kept");
    assert_eq!(whole.samples[0].memory, Some(Bytes::new(77_846_282)));
    assert_eq!((whole.cpu(1), whole.samples[3].memory), (vec![0, 500], Some(Bytes::mib(GIB))));
}

#[test]
fn bitbrains_counts_seconds_under_the_name_of_milliseconds() {
    let whole = written_layout("bitbrains", "bitbrains");
    // The earliest sample, in the second file, is earlier than its guest's first: left out.
    assert_eq!(whole.times(0), [600, 900, 1800]);
    assert_eq!(whole.cpu(0), [500, 0, 2000]);
    assert_eq!(whole.samples[0].memory, Some(Bytes::new(628_433_408)));
    assert_eq!((whole.times(1), whole.cpu(1)), (vec![300], vec![0]), "no MHz given, none used");
    let repaired = [(Repair::Duplicate, 1), (Repair::Backwards, 1), (Repair::Gap, 1)];
    assert_eq!(whole.repaired(), repaired);
    let first = whole.lives[0];
    assert_eq!((first.begins, first.stays), (seconds(600), None));
    assert_eq!(first.size.memory, Bytes::new(8_218_624 * 1024));
    assert_eq!(whole.lives[1].stays, Some(seconds(300)));
}

#[test]
fn materna_has_dates_quotes_and_commas() {
    let whole = written_layout("materna", "materna");
    assert_eq!((whole.times(0), whole.cpu(0)), (vec![0, 300], vec![500, 15]));
    assert_eq!(whole.samples[1].memory, Some(Bytes::mib(512)));
    assert_eq!(whole.lives[0].size, Size { cpu: MilliCores::cores(2), memory: Bytes::mib(4096) });
}

#[test]
fn azure_v1_has_lives_of_which_some_are_short() {
    let whole = written_layout("azure-v1-arrivals", "azure-v1");
    let stays: Vec<_> = whole.lives.iter().map(|life| life.stays).collect();
    assert_eq!(stays, [Some(seconds(300)), Some(seconds(1)), None]);
    assert_eq!(whole.lives[2].begins, seconds(300));
    let size = Size { cpu: MilliCores::cores(8), memory: Bytes::mib(14 * GIB) };
    assert_eq!(whole.lives[0].size, size);
    assert_eq!(whole.repaired(), [(Repair::Short, 1)]);
}

#[test]
fn azure_v2_has_buckets_and_readings_in_numbered_files() {
    let whole = written_layout("azure-v2", "azure-v2");
    let stays: Vec<_> = whole.lives.iter().map(|life| life.stays).collect();
    assert_eq!(stays, [None, Some(seconds(600)), Some(seconds(1))], "2591700 is the trace's end");
    let beyond = Size { cpu: MilliCores::cores(30), memory: Bytes::mib(70 * GIB) };
    assert_eq!(whole.lives[1].size, beyond);
    assert_eq!((whole.times(0), whole.cpu(0)), (vec![0, 300, 600], vec![400, 2000, 4000]));
    assert_eq!(whole.cpu(1), [300]);
    assert_eq!(whole.repaired(), [(Repair::Unknown, 1), (Repair::Short, 1)]);
}

#[test]
fn huawei_pairs_creations_with_deletions() {
    let whole = written_layout("huawei-east-1", "huawei");
    let lives: Vec<_> =
        whole.lives.iter().map(|life| (life.guest, life.begins, life.stays)).collect();
    let expected = [
        (0, seconds(0), Some(seconds(60))),
        (1, seconds(10), Some(seconds(90))),
        (2, seconds(100), None),
    ];
    assert_eq!(lives, expected, "number 5 is given to a second guest");
    let repaired = [(Repair::Duplicate, 1), (Repair::Unknown, 1)];
    assert_eq!(whole.repaired(), repaired, "7 leaves and never came");
}

#[test]
fn google_2019_is_read_in_both_forms() {
    let json = written_layout("google-2019", "google-2019-json");
    assert_eq!((json.times(0), json.cpu(0)), (vec![300, 600], vec![1000, 500]));
    assert_eq!(json.samples[0].memory, Some(Bytes::mib(2 * GIB)));
    let size = Size { cpu: MilliCores::cores(2), memory: Bytes::mib(4 * GIB) };
    assert_eq!((json.lives.len(), json.lives[0].size), (1, size), "one was never seen to use any");
    assert_eq!(json.repaired(), [(Repair::Missing, 1)]);
    let table = written_layout("google-2019", "google-2019-csv");
    assert_eq!((table.cpu(0), table.repaired()), (vec![1000], vec![(Repair::Missing, 1)]));
}

#[test]
fn alibaba_marks_values_that_are_none() {
    let whole = written_layout("alibaba-2018", "alibaba-2018");
    assert_eq!((whole.times(0), whole.cpu(0)), (vec![10, 20], vec![1000, 4000]));
    assert_eq!(whole.samples[1].memory, None, "101 marks none");
    let repaired = [
        (Repair::Duplicate, 1),
        (Repair::Backwards, 1),
        (Repair::Missing, 1),
        (Repair::Invalid, 1),
    ];
    assert_eq!(whole.repaired(), repaired);
    let guests: Vec<_> = whole.lives.iter().map(|life| (life.guest, life.size.cpu)).collect();
    let expected = [(0, MilliCores::cores(4)), (2, MilliCores::cores(1))];
    assert_eq!(guests, expected, "the second was never seen, the third has no meta");
    let options = TraceOptions { part: Some("machine".into()), whole: None };
    let machines = read("alibaba-2018", &layout_directory("alibaba-2018"), &options).unwrap();
    assert_eq!(machines.cpu(0), [48_000, 24_000]);
    assert_eq!(machines.lives[0].size.memory, Bytes::mib(256 * GIB));
}

#[test]
fn sap_has_instances_in_one_table() {
    let whole = written_layout("sap-2025", "sap-2025");
    assert_eq!((whole.times(0), whole.cpu(0)), (vec![300, 600], vec![1600, 2420]));
    assert_eq!((whole.times(1), whole.cpu(1)), (vec![0], vec![200]));
    assert_eq!(whole.repaired(), [(Repair::Missing, 1)]);
}
