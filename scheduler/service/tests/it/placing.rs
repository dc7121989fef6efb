//! `place`, `rescue` and `capacity` on recorded telemetry: answers, exit codes, hints.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/recorded");

/// Three hosts of 512 MiB, with room for several more domains each.
const POLICY: &str = "[limits]\ncpu_overcommit = 20.0\nmemory_reserve = 0.1\n\n\
                      [[rule]]\nkind = \"pin\"\nname = \"licence\"\nvms = [\"new-2\"]\n\
                      hosts = [\"h2\"]\n";

fn whimbrel(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    for name in ["WHIMBREL_POLICY", "WHIMBREL_MODEL", "WHIMBREL_ENDPOINT"] {
        command.env_remove(name);
    }
    command.current_dir(folder).args(arguments).output().unwrap()
}

/// A folder with the policy and, from the recording, a snapshot.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.toml"), POLICY).unwrap();
    let words = ["inventory", "--telemetry", RECORDED, "--save", "snapshot.json"];
    assert_eq!(whimbrel(folder.path(), &words).status.code(), Some(0));
    folder
}

fn asked(folder: &Path, arguments: &[&str]) -> Output {
    let common = ["--snapshot", "snapshot.json", "--policy", "policy.toml"];
    whimbrel(folder, &[arguments, &common].concat())
}

#[test]
fn exit_codes_say_whether_there_is_a_host() {
    let folder = folder();
    for (arguments, code, part) in [
        (&["place", "new-1=64 MiB,1"][..], 0, "new-1"),
        (&["place", "new-2=64 MiB,1,0.1"], 0, "rule \"licence\": 2 hosts"),
        (
            &["place", "new-1=64 MiB,1", "new-3=400 MiB,1", "--as-many-as-fit"],
            1,
            "NO: domain new-3",
        ),
        (&["rescue", "h1", "--priority", "database=2"], 0, "without h1: 4 domains start again"),
        (&["rescue", "h1", "h2"], 1, "NO: "),
        (&["capacity", "64 MiB,1", "--survive-loss"], 0, "would not be survived"),
        (
            &["capacity", "64 MiB,1", "large=128 MiB,1", "--mix", "2,1"],
            0,
            "whole rounds of the mix",
        ),
        (&["capacity", "1 TiB,1"], 1, "no host takes one more"),
    ] {
        let output = asked(folder.path(), arguments);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        assert!(said.contains(part), "{arguments:?}: {said}");
    }
}

#[test]
fn what_nobody_can_mean_is_refused_with_a_hint() {
    let folder = folder();
    for (arguments, part) in [
        (&["place", "new-1"][..], "NAME=MEMORY,VCPUS"),
        (&["place", "new-1=64,1"], "no unit"),
        (&["place", "new-1=64 MiB,0"], "0 vCPUs"),
        (&["place", "new-1=1 TiB,1"], "larger than any host"),
        (&["place", "batch=64 MiB,1"], "exists already, on host h1"),
        (&["place", "new-1=64 MiB,1", "--exclude", "h9"], "host h9 is not in the cluster"),
        (&["place", "new-1=64 MiB,1,-1"], "CPU demand"),
        (&["rescue"], "no host has failed"),
        (&["rescue", "h9"], "host h9 is not in the cluster"),
        (&["rescue", "h1", "--priority", "nobody=1"], "domain nobody"),
        (&["rescue", "h1", "--emergency-overcommit", "1000"], "0.1 to 100"),
        (&["capacity", "64 MiB,1", "--mix", "1,2"], "--mix has 2 numbers"),
        (&["capacity", "64 MiB,1", "--mix", "0"], "0 of it"),
    ] {
        let output = asked(folder.path(), arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(said.contains(part) && said.contains("hint: "), "{arguments:?}: {said}");
        assert!(output.stdout.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[test]
fn programs_get_the_same_as_json() {
    let folder = folder();
    let read = |arguments: &[&str]| -> serde_json::Value {
        let output = asked(folder.path(), &[arguments, &["--output", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let placed = read(&["place", "new-2=64 MiB,1"]);
    assert_eq!(placed["placed"][0]["on"]["host"], "h2");
    let rescued = read(&["rescue", "h1"]);
    assert_eq!(rescued["restarts"].as_array().map(Vec::len), Some(4));
    let counted = read(&["capacity", "64 MiB,1"]);
    assert!(counted[0]["fits"][0]["more"].as_u64() > Some(0));
}
