//! Layouts that are no text, SQLite and Parquet, written here as their publishers document them.

use std::{fs, sync::LazyLock};

use polars::prelude::{DataFrame, ParquetWriter, df};
use proptest::prelude::*;
use rusqlite::Connection;
use whimbrel_core::{
    trace::Size,
    units::{Bytes, MilliCores},
};

use super::*;

const PACKING: &str = "packing_trace_zone_a_v1.sqlite";

/// The bytes of a small data base. It is made once: that takes longer than reading it.
static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let dir = packing("(1, 1, 7, 0, 0.5, 2.5), (2, 1, 8, 1, -7157, NULL), (3, 2, 7, 0, -1, 0.25)");
    fs::read(dir.path().join(PACKING)).unwrap()
});

/// A data base with `rows` in the table of requests.
fn packing(rows: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let base = Connection::open(dir.path().join(PACKING)).unwrap();
    base.execute_batch(&format!(
        "CREATE TABLE vmType (id INTEGER, vmTypeId INTEGER, machineId INTEGER, core REAL, \
           memory REAL, hdd REAL, ssd REAL, nic REAL);
         INSERT INTO vmType VALUES (1, 7, 3, 0.5, 0.5, NULL, 0, 0), \
           (2, 7, 1, 0.25, 0.125, NULL, 0, 0), (3, 8, 2, 1, 1, NULL, 0, 0);
         CREATE TABLE vm (vmId INTEGER, tenantId INTEGER, vmTypeId INTEGER, priority INTEGER, \
           starttime REAL, endtime REAL);
         INSERT INTO vm VALUES {rows};"
    ))
    .unwrap();
    dir
}

fn refusal(rows: &str) -> String {
    let dir = packing(rows);
    read("azure-packing-2020", dir.path(), &TraceOptions::default()).unwrap_err().to_string()
}

#[test]
fn packing_has_parts_of_machines_and_days() {
    let dir = packing(
        "(1, 1, 7, 0, 0.5, 2.5), (2, 1, 8, 1, -7157, NULL), (3, 2, 7, 0, -1, 0.25), (4, 2, 8, 0, 1, 1)",
    );
    let whole = read("azure-packing-2020", dir.path(), &TraceOptions::default()).unwrap();
    let lives: Vec<_> = whole.lives.iter().map(|life| (life.begins, life.stays)).collect();
    let expected = [
        (seconds(43_200), Some(seconds(172_800))),
        (Span::ZERO, None),
        (Span::ZERO, Some(seconds(21_600))),
        (seconds(86_400), Some(seconds(1))),
    ];
    assert_eq!(lives, expected);
    let size = Size { cpu: MilliCores::cores(16), memory: Bytes::mib(32 << 10) };
    assert_eq!(whole.lives[0].size, size, "a quarter and an eighth of the first machine");
    assert_eq!(whole.repaired(), [(Repair::Short, 1), (Repair::Early, 2)]);
}

#[test]
fn packing_is_read_in_batches() {
    let rows: Vec<String> = (0..10_000).map(|n| format!("({n}, 1, 7, 0, {n}e-4, NULL)")).collect();
    let dir = packing(&rows.join(","));
    let whole = read("azure-packing-2020", dir.path(), &TraceOptions::default()).unwrap();
    assert_eq!(whole.lives.len(), 10_000);
    assert!(whole.lives.is_sorted_by_key(|life| life.begins));
}

#[test]
fn packing_whose_pages_are_out_of_order_ends() {
    let rows: Vec<String> = (0..10_000).map(|n| format!("({n}, 1, 7, 0, {n}e-4, NULL)")).collect();
    let dir = packing(&rows.join(","));
    let path = dir.path().join(PACKING);
    let mut bytes = fs::read(&path).unwrap();
    // Leaves of tables begin with 13 (SQLite, "Database File Format", 1.6).
    let leaves: Vec<usize> =
        (1..bytes.len() / 4096).filter(|page| bytes[page * 4096] == 13).collect();
    for near_the_end in [false, true] {
        let at = if near_the_end { leaves.len() - 3 } else { 3 };
        let (one, two) = (leaves[at] * 4096, leaves[at + 1] * 4096);
        let page = bytes[one..one + 4096].to_vec();
        bytes.copy_within(two..two + 4096, one);
        bytes[two..two + 4096].copy_from_slice(&page);
        fs::write(&path, &bytes).unwrap();
        let error = read("azure-packing-2020", dir.path(), &TraceOptions::default()).unwrap_err();
        assert!(error.to_string().contains("is stored out of order"), "{error}");
    }
}

#[test]
fn packing_names_rows_that_cannot_be_meant() {
    assert!(refusal("(1, 1, 9, 0, 0, 1)").contains("row 1: column vm.vmTypeId: is no type"));
    assert!(refusal("(1, 1, 7, 0, 2, 1)").contains("ends on day 1, before it begins on day 2"));
    assert!(refusal("(1, 1, 7, 0, 'soon', 1)").contains("column vm.starttime"));
    assert!(refusal("(1, 1, 7, 0, 1e300, NULL)").contains("column vm.starttime"));
    assert!(refusal("(1, 1, 7, 0, 0, x'00')").contains("column vm.endtime"));
}

fn parquet(path: &Path, mut frame: DataFrame, group: usize) {
    let file = fs::File::create(path).unwrap();
    ParquetWriter::new(file).with_row_group_size(Some(group)).finish(&mut frame).unwrap();
}

/// Two tasks and their fragments, of version 2 (ids are text) or later.
fn opendc(text_ids: bool) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut tasks = df!(
        "submission_time" => [1_376_314_846_000_i64, 1_376_314_840_000],
        "duration" => [900_000_i64, 0],
        "cpu_count" => [4_i32, 1],
        "cpu_capacity" => [10_000.0, 0.0],
        "mem_capacity" => [1_000_i64, 2_000],
    )
    .unwrap();
    let mut fragments = df!(
        "duration" => [300_000_i64, 300_000, 0, 300_000, 5],
        "cpu_usage" => [2_500.0, 0.0, 1.0, 10_000.0, 1.0],
    )
    .unwrap();
    if text_ids {
        tasks.with_column(polars::prelude::Column::new("id".into(), ["7", "b"])).unwrap();
        let ids = ["7", "7", "7", "7", "zz"];
        fragments.with_column(polars::prelude::Column::new("id".into(), ids)).unwrap();
    } else {
        tasks.with_column(polars::prelude::Column::new("id".into(), [7_i32, 8])).unwrap();
        let ids = [7_i32, 7, 7, 7, 99];
        fragments.with_column(polars::prelude::Column::new("id".into(), ids)).unwrap();
    }
    parquet(&dir.path().join("tasks.parquet"), tasks, 1);
    parquet(&dir.path().join("fragments.parquet"), fragments, 2);
    dir
}

#[test]
fn opendc_has_fragments_one_after_the_other() {
    for text_ids in [false, true] {
        let dir = opendc(text_ids);
        let whole = read("opendc", dir.path(), &TraceOptions::default()).unwrap();
        let lives: Vec<_> = whole.lives.iter().map(|life| (life.begins, life.stays)).collect();
        assert_eq!(lives, [(seconds(6), Some(seconds(900))), (Span::ZERO, Some(seconds(1)))]);
        let size = Size { cpu: MilliCores::cores(4), memory: Bytes::new(1_000_000_000) };
        assert_eq!(whole.lives[0].size, size);
        assert_eq!(whole.times(0), [6, 306, 606, 906]);
        assert_eq!(whole.cpu(0), [1000, 0, 4000, 0], "the last one is the end");
        assert_eq!(whole.repaired(), [(Repair::Unknown, 1), (Repair::Short, 2)]);
    }
}

#[test]
fn parquet_without_a_column_or_with_bad_values_is_refused_by_place() {
    let dir = opendc(false);
    let of = |frame: DataFrame| {
        parquet(&dir.path().join("fragments.parquet"), frame, 2);
        read("opendc", dir.path(), &TraceOptions::default()).unwrap_err().to_string()
    };
    let missing = of(df!("id" => [7_i32], "duration" => [1_i64]).unwrap());
    assert!(missing.contains("fragments.parquet") && missing.contains("has no column cpu_usage"));
    let bad = |cpu: [f64; 3]| {
        of(df!("id" => [7_i32; 3], "duration" => [1_i64; 3], "cpu_usage" => cpu).unwrap())
    };
    let negative = bad([1.0, 2.0, -3.0]);
    assert!(negative.contains("row 3: column cpu_usage: -3 is outside 0"), "{negative}");
    assert!(bad([f64::NAN, 0.0, 0.0]).contains("row 1: column cpu_usage: NaN is outside"));
    assert!(bad([0.0, f64::INFINITY, 0.0]).contains("row 2: column cpu_usage: inf"));
    let texts = of(df!("id" => [7_i32], "duration" => ["x"], "cpu_usage" => [1.0]).unwrap());
    assert!(texts.contains("fragments.parquet"), "{texts}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn changed_parquet_is_refused_or_read_soundly(
        tasks: bool,
        places in proptest::collection::vec((0.0..1.0_f64, any::<u8>()), 1..4),
    ) {
        let dir = opendc(false);
        let path = dir.path().join(if tasks { "tasks.parquet" } else { "fragments.parquet" });
        let mut bytes = fs::read(&path).unwrap();
        for (place, byte) in places {
            let at = (place * bytes.len() as f64) as usize;
            bytes[at] = byte;
        }
        fs::write(&path, bytes).unwrap();
        damaged::sound(&read("opendc", dir.path(), &TraceOptions::default()));
    }

    #[test]
    fn changed_data_bases_are_refused_or_read_soundly(
        places in proptest::collection::vec((0.0..1.0_f64, any::<u8>()), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(PACKING);
        let mut bytes = SMALL.clone();
        for (place, byte) in places {
            let at = (place * bytes.len() as f64) as usize;
            bytes[at] = byte;
        }
        fs::write(&path, bytes).unwrap();
        damaged::sound(&read("azure-packing-2020", dir.path(), &TraceOptions::default()));
    }
}

#[test]
fn packing_refuses_other_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.sqlite");
    fs::write(&path, [b'x'; 5000]).unwrap();
    let of = || read("azure-packing-2020", dir.path(), &TraceOptions::default()).unwrap_err();
    assert!(of().to_string().contains("not a database"));
    fs::remove_file(&path).unwrap();
    let base = Connection::open(&path).unwrap();
    // A view that never ends must not be asked.
    base.execute_batch(
        "CREATE VIEW vm AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT * FROM n;",
    )
    .unwrap();
    drop(base);
    assert!(of().to_string().contains("has no table vm"));
}
