//! Bytes that are no trace, and traces that were changed: an error that names the place, or rows
//! that keep what every reader relies on; never a panic.

use std::{collections::BTreeMap, fs, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;

/// Text layouts, their directory and the file that is changed.
const TEXTS: [(&str, &str, &str); 11] = [
    ("planetlab", "planetlab", "20110303/host_a_slice"),
    ("gcd", "gcd", "vm_1_0"),
    ("bitbrains", "bitbrains", "rnd/2013-7/1.csv"),
    ("materna", "materna", "01.csv"),
    ("azure-v1-arrivals", "azure-v1", "azure-v1-dev-test.csv"),
    ("azure-v2", "azure-v2", "vmtable/vmtable.csv"),
    ("azure-v2", "azure-v2", "vm_cpu_readings/vm_cpu_readings-file-9-of-195.csv"),
    ("huawei-east-1", "huawei", "Huawei-East-1.csv"),
    ("google-2019", "google-2019-json", "instance_usage-000000000000.json"),
    ("alibaba-2018", "alibaba-2018", "container_usage.csv"),
    ("sap-2025", "sap-2025", "vrops_virtualmachine_cpu_usage_ratio_all.csv"),
];

fn copied(directory: &Path, to: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&target).unwrap();
            copied(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// The layout's files with the bytes of one of them changed.
fn changed(
    (layout, directory, file): (&str, &str, &str),
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
) -> Result<Whole, TraceError> {
    let dir = tempfile::tempdir().unwrap();
    copied(&layout_directory(directory), dir.path());
    let path = dir.path().join(file);
    let bytes = change(fs::read(&path).unwrap());
    fs::write(&path, bytes).unwrap();
    read(layout, dir.path(), &TraceOptions::default())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

/// What every reader may rely on.
pub(super) fn sound(outcome: &Result<Whole, TraceError>) {
    match outcome {
        Ok(whole) => {
            let mut last: BTreeMap<u32, Span> = BTreeMap::new();
            for sample in &whole.samples {
                let before = last.insert(sample.guest, sample.at);
                assert!(before.is_none_or(|before| before < sample.at), "time goes backwards");
            }
            let mut guests: Vec<u32> = whole.lives.iter().map(|life| life.guest).collect();
            guests.sort_unstable();
            guests.dedup();
            assert_eq!(guests.len(), whole.lives.len(), "a guest lives once");
            assert!(whole.lives.iter().all(|life| life.stays != Some(Span::ZERO)));
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.contains("(hint: ") && !message.contains('\n'), "{message}");
            assert!(message.len() < 1000, "{message}");
        }
    }
}

#[test]
fn packed_files_are_read_like_plain_ones() {
    for text in TEXTS {
        let plain = changed(text, |bytes| bytes).unwrap();
        assert_eq!(changed(text, |bytes| gzip(&bytes)).unwrap(), plain, "{}", text.0);
        let zstd = |bytes: Vec<u8>| zstd::encode_all(bytes.as_slice(), 1).unwrap();
        assert_eq!(changed(text, zstd).unwrap(), plain, "{}", text.0);
    }
}

#[test]
fn stumps_bombs_and_foreign_files_are_refused_by_name() {
    for text in TEXTS {
        let of = |change: &dyn Fn(Vec<u8>) -> Vec<u8>| {
            let error = changed(text, change).unwrap_err().to_string();
            assert!(error.contains(text.2) && error.contains("(hint: "), "{error}");
            error
        };
        let cut = of(&|bytes| {
            let packed = gzip(&bytes);
            packed[..packed.len() - 9].to_vec()
        });
        assert!(cut.contains("cut short"), "{cut}");
        let endless = of(&|bytes| [bytes, vec![b'1'; 1 << 20]].concat());
        assert!(endless.contains("longer than 65536 bytes"), "{endless}");
        of(&|_| b"<html>no such file</html>\n<p>\n".to_vec());
        of(&|bytes| [bytes, b"\xff\xfe\n".to_vec()].concat());
    }
}

#[test]
fn a_bomb_of_valid_rows_is_stopped() {
    // Blanks around a field are none of it: few rows, many bytes.
    let row = format!("9,1,1,5,0{}\n", " ".repeat(60_000));
    let error = changed(TEXTS[7], |bytes| gzip(&[bytes, row.repeat(300).into_bytes()].concat()));
    let message = error.unwrap_err().to_string();
    assert!(message.contains("times its size"), "{message}");
}

#[test]
fn lives_that_end_before_they_begin_are_refused() {
    let error = changed(TEXTS[4], |bytes| [bytes, b"3,600,300,1,1,d,0\n".to_vec()].concat());
    let message = error.unwrap_err().to_string();
    assert!(message.contains("row 4: column t_end_s: ends at 300 s, before"), "{message}");
    let error =
        changed(TEXTS[5], |bytes| [bytes, b"x,s,d,600,300,1,1,1,U,2,2\n".to_vec()].concat());
    assert!(error.unwrap_err().to_string().contains("column vmdeleted: ends at 300 s"));
}

#[test]
fn absent_sets_and_layouts_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for layout in whimbrel_datasets::public::TRACE_LAYOUTS {
        let error = read(layout.name, dir.path(), &TraceOptions::default()).unwrap_err();
        sound(&Err(error));
    }
    let missing = read("gcd", Path::new("/no/such/place"), &TraceOptions::default()).unwrap_err();
    assert!(missing.to_string().contains("no such file or directory"));
    let options = TraceOptions { part: Some("20110304".into()), whole: None };
    let part = read("planetlab", &layout_directory("planetlab"), &options).unwrap_err();
    assert!(part.to_string().contains("planetlab: holds no guest"), "{part}");
    let unknown = read("gdc", dir.path(), &TraceOptions::default()).unwrap_err().to_string();
    assert!(unknown.contains("no layout is called gdc") && unknown.contains("planetlab"));
}

#[test]
fn foreign_parquet_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["tasks.parquet", "x.parquet"] {
        fs::write(dir.path().join(name), b"PAR1 no parquet PAR1").unwrap();
    }
    sound(&read("opendc", dir.path(), &TraceOptions::default()));
    fs::remove_file(dir.path().join("tasks.parquet")).unwrap();
    let error = read("bitbrains-parquet", dir.path(), &TraceOptions::default()).unwrap_err();
    assert!(error.to_string().contains("x.parquet") && error.to_string().contains("not readable"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_bytes_make_a_reader_fall_over(
        which in 0..TEXTS.len(),
        bytes in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        sound(&changed(TEXTS[which], |_| bytes));
    }

    #[test]
    fn changed_files_are_refused_or_read_soundly(
        which in 0..TEXTS.len(),
        places in proptest::collection::vec((0.0..1.0_f64, any::<u8>()), 1..5),
    ) {
        sound(&changed(TEXTS[which], |mut bytes| {
            for (place, byte) in &places {
                let at = (place * bytes.len() as f64) as usize;
                bytes[at] = *byte;
            }
            bytes
        }));
    }

    #[test]
    fn moved_fields_are_refused_or_read_soundly(
        which in 0..TEXTS.len(),
        from in 0.0..1.0_f64,
        length in 1_usize..40,
        word in prop::sample::select(vec!["", "-1", "NaN", "inf", "1e400", "99999999999999999999", ";", ",,", "\n"]),
    ) {
        sound(&changed(TEXTS[which], |mut bytes| {
            let from = (from * bytes.len() as f64) as usize;
            let to = (from + length).min(bytes.len());
            bytes.splice(from..to, word.bytes());
            bytes
        }));
    }
}
