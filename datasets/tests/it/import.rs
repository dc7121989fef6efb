//! Importing the `SoCC`'17 layout: every mode, every assumption, and faults by line and column.

use whimbrel_core::{
    settings::{Compression, Mode},
    units::{Bytes, BytesPerSecond, Span},
};
use whimbrel_datasets::import::{ImportError, Imported, Socc17Assumptions, socc17};

const SAMPLE: &str = include_str!("../samples/socc17-layout.csv");

const ASSUMPTIONS: Socc17Assumptions = Socc17Assumptions {
    dirty_rate_unit: BytesPerSecond::new(4096),
    working_set_unit: Bytes::mib(1),
    path_bandwidth: Some(BytesPerSecond::mib(112)),
    downtime_limit: Span::from_millis(300),
};

fn read(text: &str) -> Result<Imported, ImportError> {
    socc17("table.csv", text, &ASSUMPTIONS)
}

#[test]
fn every_mode_that_there_is_comes_in() {
    let imported = read(SAMPLE).unwrap();
    assert_eq!(imported.compressed, 1);
    let modes: Vec<(Mode, bool)> = imported
        .traces
        .iter()
        .map(|trace| &trace.record.settings)
        .map(|s| (s.mode, matches!(s.compression, Compression::Xbzrle { .. })))
        .collect();
    let expected = [
        (Mode::PreCopy, false),
        (Mode::AutoConverge, false),
        (Mode::PreCopy, true),
        (Mode::PostCopy, false),
    ];
    assert_eq!(modes, expected);
    for trace in &imported.traces {
        trace.record.settings.check(whimbrel_core::settings::QemuVersion::default()).unwrap();
    }
}

#[test]
fn figures_have_their_units() {
    let imported = read(SAMPLE).unwrap();
    let record = &imported.traces[1].record;
    assert_eq!(record.vm.as_str(), "socc17-1-1024");
    assert_eq!(record.memory, Bytes::mib(1024));
    let stats = record.stats.unwrap();
    assert_eq!(stats.total_time, Span::from_millis(21_500));
    assert_eq!(stats.downtime, Span::from_millis(180));
    assert_eq!(stats.transferred, Bytes::new(2_150_000 * 1024));
    assert_eq!(stats.bandwidth, BytesPerSecond::new(102_400_000));
    let points: Vec<(Span, Bytes)> =
        record.dirty_before.iter().map(|r| (r.window, r.unique)).collect();
    let expected = [
        (Span::from_seconds(1), Bytes::new(5000 * 4096)),
        (Span::from_seconds(60), Bytes::mib(300)),
    ];
    assert_eq!(points, expected);
    assert_eq!(record.path_bandwidth, Some(BytesPerSecond::mib(112)));
}

#[test]
fn a_rate_beyond_the_working_set_is_held_by_it() {
    let faster = Socc17Assumptions { dirty_rate_unit: BytesPerSecond::mib(1), ..ASSUMPTIONS };
    let imported = socc17("table.csv", SAMPLE, &faster).unwrap();
    let record = &imported.traces[1].record;
    assert_eq!(record.dirty_before[0].unique, Bytes::mib(300));
}

#[test]
fn rows_keep_their_order_and_have_names_of_their_own() {
    let records: Vec<_> = read(SAMPLE).unwrap().traces.into_iter().map(|t| t.record).collect();
    assert!(records.windows(2).all(|pair| pair[0].at < pair[1].at && pair[0].id != pair[1].id));
    assert_eq!(records[3].id.as_str(), "socc17:4", "the line left out keeps its number");
}

#[test]
fn unknown_columns_and_any_order_are_fine() {
    let text = "qemu_td,moon,qemu_dt,qemu_tt,VM_wss,VM_pdr,VM_size,workload_type,capability\n\
                1000,x,20,3000,10,100,256,2,0\n";
    assert_eq!(read(text).unwrap().traces.len(), 1);
    let marked = format!("\u{feff}{SAMPLE}");
    assert_eq!(read(&marked).unwrap(), read(SAMPLE).unwrap());
}

#[test]
fn faults_name_line_and_column() {
    let missing = SAMPLE.replacen("VM_wss", "VM_set", 1);
    let refusal = read(&missing).unwrap_err().to_string();
    assert!(refusal.starts_with("table.csv: line 1: column VM_wss is missing"), "{refusal}");
    for (from, to, expected) in [
        ("1,1,1024,5000", "1,1,1024,many", "line 3: column VM_pdr: 'many' is not a number"),
        ("1,1,1024,5000", "1,1,1024,-5", "line 3: column VM_pdr: -5 is outside 0"),
        ("1,1,1024,5000", "1,1,1024,NaN", "line 3: column VM_pdr"),
        ("1,1,1024,5000", "5,1,1024,5000", "line 3: column capability: 5 is outside 0 to 4"),
        ("1,1,1024,5000", "1.5,1,1024,5000", "line 3: column capability: 1.5 is no whole"),
        ("1,1,1024,5000", "1,1,0,5000", "line 3: column VM_size"),
        (",4600,", ",0,", "line 2: column qemu_tt"),
    ] {
        let text = SAMPLE.replacen(from, to, 1);
        assert_ne!(text, SAMPLE, "{from}");
        let refusal = read(&text).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
        assert!(refusal.contains("hint"), "{refusal}");
    }
    let short = format!("{SAMPLE}0,1,2\n");
    let refusal = read(&short).unwrap_err();
    assert!(matches!(refusal, ImportError::Malformed { line: 7, .. }), "{refusal}");
}

#[test]
fn an_empty_table_is_empty() {
    let header = SAMPLE.lines().next().unwrap();
    assert!(read(header).unwrap().traces.is_empty());
    assert!(matches!(read(""), Err(ImportError::MissingColumn { .. })));
}
