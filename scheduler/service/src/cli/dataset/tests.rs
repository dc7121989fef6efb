//! The verb from its command line to its exit code and what it leaves on disk.

use std::{ffi::OsString, fs, process::ExitCode};

use whimbrel_datasets::public::converted;

use super::*;

/// Runs `whimbrel dataset` below `data`.
fn dataset(data: &Path, words: &[&str]) -> ExitCode {
    let words = ["whimbrel", "dataset", "--public-data"]
        .into_iter()
        .map(OsString::from)
        .chain([data.as_os_str().to_owned()])
        .chain(words.iter().map(OsString::from));
    crate::cli::run(words)
}

/// A directory of public traces with one made-up day of `planetlab` in it.
fn data() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    let day = data.path().join("planetlab/20110303");
    fs::create_dir_all(&day).unwrap();
    fs::write(day.join("a"), "7\n50\n").unwrap();
    data
}

#[test]
fn sets_are_listed_and_checked() {
    let data = data();
    assert_eq!(dataset(data.path(), &["list"]), ExitCode::SUCCESS);
    assert_eq!(dataset(data.path(), &["list", "--output", "json"]), ExitCode::SUCCESS);
    // The published archive is not there, but a folder that can be read.
    assert_eq!(dataset(data.path(), &["check"]), ExitCode::SUCCESS);
    assert_eq!(dataset(data.path(), &["check", "materna"]), ExitCode::from(2), "is not here");
    assert_eq!(dataset(data.path(), &["check", "no-such-set"]), ExitCode::from(2));
    let archive = data.path().join("planetlab/planetlab-comon-2011.tar.zst");
    fs::write(&archive, "another size").unwrap();
    assert_eq!(
        dataset(data.path(), &["check", "--quick"]),
        ExitCode::from(1),
        "is not the published"
    );
    fs::remove_file(&archive).unwrap();
    fs::write(data.path().join("planetlab/20110303/b"), "101\n").unwrap();
    assert_eq!(dataset(data.path(), &["check", "--quick"]), ExitCode::SUCCESS, "reads no rows");
    assert_eq!(dataset(data.path(), &["check"]), ExitCode::from(1), "101 % cannot be read");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(dataset(empty.path(), &["check"]), ExitCode::from(1), "nothing to check");
}

#[test]
fn ways_are_told_and_nothing_is_done() {
    let data = data();
    assert_eq!(dataset(data.path(), &["fetch", "huawei-east-1"]), ExitCode::SUCCESS);
    assert_eq!(dataset(data.path(), &["fetch", "azure-v2", "--output", "json"]), ExitCode::SUCCESS);
    let unknown = ["fetch", "planetlab", "--file", "no-such-file"];
    assert_eq!(dataset(data.path(), &unknown), ExitCode::from(2));
    // Nothing of it has an address: left to a person, no server is asked.
    assert_eq!(dataset(data.path(), &["fetch", "planetlab", "--run"]), ExitCode::from(1));
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "no folder was made");
}

#[test]
fn a_trace_is_drawn_and_placed_and_can_be_asked_about() {
    let data = tempfile::tempdir().unwrap();
    let place = |name: &str| data.path().join(name).display().to_string();
    let (drawn, again, cluster) = (place("deep/drawn"), place("again"), place("cluster"));
    let words = ["synthesize", "--vms", "200", "--hours", "4", "--seed", "3", "--to"];
    for to in [&drawn, &again] {
        assert_eq!(dataset(data.path(), &[&words[..], &[to]].concat()), ExitCode::SUCCESS);
        assert_eq!(converted(Path::new(to)).unwrap().lives, 200);
    }
    let part = "samples/part-00000.parquet";
    let bytes = |to: &str| fs::read(Path::new(to).join(part)).unwrap();
    assert_eq!(bytes(&drawn), bytes(&again), "the same seed writes the same");
    assert_eq!(dataset(data.path(), &[&words[..], &[&drawn]].concat()), ExitCode::from(2));

    // Its own directory needs no --layout.
    let words = ["place", &drawn, "--hosts", "9", "--from", "2 h", "--lasts", "10 min", "--to"];
    assert_eq!(dataset(data.path(), &[&words[..], &[&cluster]].concat()), ExitCode::SUCCESS);
    assert_eq!(dataset(data.path(), &[&words[..], &[&cluster]].concat()), ExitCode::from(2));
    let scene = crate::whatif::recorded(Path::new(&cluster), None, None).unwrap();
    let snapshot = &scene.situation.snapshot;
    assert_eq!(snapshot.hosts.len(), 9);
    assert!(snapshot.domains.iter().all(|domain| domain.dirty.len() >= 4));
    assert!(!snapshot.domains.is_empty());
}

#[test]
fn sizes_that_cannot_be_are_refused_and_leave_nothing() {
    let data = data();
    let to = data.path().join("x").display().to_string();
    for words in [
        &["synthesize", "--vms", "0"][..],
        &["synthesize", "--vms", "-5"],
        &["synthesize", "--vms", "30000000"],
        &["synthesize", "--vms", "5", "--hours", "NaN"],
        &["synthesize", "--vms", "5", "--hours", "-1"],
        &["synthesize", "--vms", "5", "--interval", "0 s"],
        &["place", "planetlab", "--hosts", "0"],
        &["place", "planetlab", "--hosts", "1", "--host-memory", "1 MiB"],
        &["place", "planetlab", "--hosts", "1", "--from", "9 h"],
        &["place", "/no/such/path", "--hosts", "1"],
        &["place", "planetlab", "--part", "20990101", "--hosts", "1"],
        &["convert", "planetlab", "--part", "20990101"],
    ] {
        let words = [words, &["--to", &to]].concat();
        assert_eq!(dataset(data.path(), &words), ExitCode::from(2), "{words:?}");
        assert!(!Path::new(&to).exists(), "{words:?}");
    }
}

#[test]
fn sets_and_folders_are_converted_once() {
    let data = data();
    let (by_name, by_layout) = (data.path().join("own"), data.path().join("mine"));
    let to = by_name.to_str().unwrap();
    assert_eq!(dataset(data.path(), &["convert", "planetlab", "--to", to]), ExitCode::SUCCESS);
    assert_eq!(dataset(data.path(), &["convert", "planetlab", "--to", to]), ExitCode::from(2));
    let head = converted(&by_name).unwrap();
    assert_eq!((head.lives, head.samples, head.source.as_str()), (1, 2, "planetlab"));
    assert!(head.licence.contains("none published"));
    let (from, to) = (data.path().join("planetlab"), by_layout.to_str().unwrap());
    let whole = ["--whole-cpu", "2 cores", "--whole-memory", "1 GiB"];
    let convert = ["convert", from.to_str().unwrap(), "--layout", "planetlab", "--to", to];
    assert_eq!(dataset(data.path(), &[&convert[..], &whole].concat()), ExitCode::SUCCESS);
    assert_eq!(converted(&by_layout).unwrap().licence, "not known");
    let migrations = ["convert", "osic-nova-2017", "--to", "/no/such/place/x"];
    assert_eq!(dataset(data.path(), &migrations), ExitCode::from(2));
    let half = ["convert", "planetlab", "--to", "x", "--whole-cpu", "1 core"];
    assert_eq!(dataset(data.path(), &half), ExitCode::from(2), "memory is not told");
}
