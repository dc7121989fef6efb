//! Into the project's own form and back.

use std::fs;

use whimbrel_datasets::public::{convert, converted};

use super::*;

fn converting(layout: &str, directory: &Path, to: &Path) -> Result<(), TraceError> {
    let mut rows = open_trace(layout, directory, &TraceOptions::default())?;
    convert(&mut rows, layout, "none", to, |read, total| assert!(read <= total)).map(drop)
}

#[test]
fn what_was_converted_is_read_back_the_same() {
    let sets = [
        ("planetlab", "planetlab"),
        ("azure-v2", "azure-v2"),
        ("huawei-east-1", "huawei"),
        ("bitbrains", "bitbrains"),
    ];
    for (layout, directory) in sets {
        let dir = tempfile::tempdir().unwrap();
        let to = dir.path().join("own");
        converting(layout, &layout_directory(directory), &to).unwrap();
        let source = written_layout(layout, directory);
        let own = read("whimbrel", &to, &TraceOptions::default()).unwrap();
        assert_eq!((&own.lives, &own.samples), (&source.lives, &source.samples), "{layout}");
        let head = converted(&to).unwrap();
        assert_eq!((head.source.as_str(), head.licence.as_str()), (layout, "none"));
        assert_eq!((head.lives, head.samples), (own.lives.len() as u64, own.samples.len() as u64));
        let counted: u64 = head.repairs.values().sum();
        assert_eq!(counted, source.repaired().iter().map(|(_, count)| count).sum::<u64>());
    }
}

#[test]
fn many_rows_become_several_parts() {
    let dir = tempfile::tempdir().unwrap();
    let days = dir.path().join("planetlab/20110303");
    fs::create_dir_all(&days).unwrap();
    for guest in 0..300 {
        fs::write(days.join(format!("vm{guest}")), "5\n".repeat(1000)).unwrap();
    }
    let to = dir.path().join("own");
    converting("planetlab", &dir.path().join("planetlab"), &to).unwrap();
    assert_eq!(converted(&to).unwrap().sample_parts, 2);
    let own = read("whimbrel", &to, &TraceOptions::default()).unwrap();
    assert_eq!((own.lives.len(), own.samples.len()), (300, 300_000));
}

#[test]
fn nothing_is_overwritten_and_nothing_half_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let to = dir.path().join("own");
    converting("gcd", &layout_directory("gcd"), &to).unwrap();
    let again = converting("gcd", &layout_directory("gcd"), &to).unwrap_err().to_string();
    assert!(again.contains("own: cannot create"), "{again}");
    let of = || read("whimbrel", &to, &TraceOptions::default()).unwrap_err().to_string();
    let part = to.join("samples/part-00000.parquet");
    let mut bytes = fs::read(&part).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&part, &bytes).unwrap();
    assert!(of().contains("seal"), "{}", of());
    fs::remove_file(&part).unwrap();
    assert!(of().contains("part-00000.parquet"), "{}", of());
    fs::remove_file(to.join("trace.toml")).unwrap();
    assert!(of().contains("has no trace.toml: it was not written to its end"), "{}", of());
}

#[test]
fn a_conversion_that_fails_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let day = dir.path().join("planetlab/20110303");
    fs::create_dir_all(&day).unwrap();
    fs::write(day.join("vm0"), "5\n101\n").unwrap();
    let to = dir.path().join("a/b/own");
    let refused = converting("planetlab", &dir.path().join("planetlab"), &to).unwrap_err();
    assert!(refused.to_string().contains("vm0"), "{refused}");
    assert!(!to.exists() && dir.path().join("a/b").is_dir());
}
