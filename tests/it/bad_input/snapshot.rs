//! Faults in a snapshot, and questions about what it does not have.

use serde_json::{Value, json};
use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, Span},
};

use super::DRAIN;
use crate::{
    fixture,
    program::{Place, Ran},
};

/// What is said of the fixture's snapshot after `change`.
fn refused(change: impl FnOnce(&mut Value)) -> Ran {
    let mut snapshot = serde_json::to_value(fixture::snapshot()).unwrap();
    change(&mut snapshot);
    let place = Place::empty();
    place.write("snapshot.json", serde_json::to_string_pretty(&snapshot).unwrap());
    place.refuses(&DRAIN)
}

/// The same, of its first guest, batch-1.
fn guest(key: &str, value: Value) -> Ran {
    let ran = refused(|snapshot| snapshot["domains"][0][key] = value);
    ran.names(&["snapshot.json"]);
    ran
}

#[test]
fn an_unknown_key_anywhere() {
    let said = ["snapshot.json", "line", "unknown field `colour`"];
    refused(|snapshot| snapshot["colour"] = json!(1)).names(&said);
    refused(|snapshot| snapshot["hosts"]["h1"]["colour"] = json!(1)).names(&said);
    guest("colour", json!(1)).names(&said);
}

#[test]
fn a_wrong_negative_or_absurd_size() {
    guest("memory", json!("1 GHz")).names(&["line", "\"GHz\" is not a unit"]).hints("GiB");
    guest("memory", json!("-1 GiB")).names(&["line", "-1 GiB", "starts at 0"]).hints("sign");
    guest("memory", json!("9000 TiB")).names(&["line", "9000 TiB", "1 PiB"]).hints("unit");
    guest("memory", json!("0 B")).names(&["batch-1", "memory", "1 B"]).hints("inventory");
}

#[test]
fn a_bare_number() {
    guest("memory", json!(1024)).names(&["line", "\"1024\" has no unit"]).hints("48 MiB");
}

#[test]
fn an_absurd_number_of_processors() {
    guest("vcpus", json!(0)).names(&["batch-1", "0 vCPUs", "1 and 4096"]).hints("inventory");
    guest("vcpus", json!(5000)).names(&["batch-1", "5000 vCPUs", "4096"]).hints("inventory");
    guest("vcpus", json!(-1)).names(&["line", "-1"]);
}

#[test]
fn a_machine_on_two_hosts() {
    let ran = refused(|snapshot| {
        let mut twin = snapshot["domains"][0].clone();
        twin["host"] = json!("h1");
        snapshot["domains"].as_array_mut().unwrap().push(twin);
    });
    ran.names(&["snapshot.json", "batch-1", "two hosts", "h1", "h3"]).hints("by hand");
}

#[test]
fn a_machine_on_a_host_that_is_not_listed() {
    guest("host", json!("h9")).names(&["batch-1", "h9", "does not list"]).hints("add the host");
}

#[test]
fn a_name_that_nothing_has() {
    guest("vm", json!("../x")).names(&["line", "../x", "not allowed"]).hints("letters");
    guest("host", json!("")).names(&["line", "is empty"]).hints("letters");
}

#[test]
fn a_reading_that_cannot_be() {
    let reading = |bad: usize, change: fn(&mut DirtyReading)| {
        let mut snapshot = fixture::snapshot();
        let web = snapshot.domains.iter_mut().find(|one| one.vm.as_str() == "web-1").unwrap();
        web.dirty.iter_mut().take(bad).for_each(change);
        let place = Place::empty();
        place.write_snapshot("snapshot.json", &snapshot);
        place.run(&DRAIN)
    };
    let too_much: fn(&mut DirtyReading) = |one| one.unique = Bytes::mib(900 << 20);
    let refused = |change| {
        let ran = reading(usize::MAX, change);
        ran.ends_with(2).hints("measure it again");
        ran
    };
    refused(too_much).names(&["web-1", "900 TiB", "2 GiB"]);
    refused(|one| one.window = Span::ZERO).names(&["web-1", "window"]);
    // One beside others that can be is left out.
    reading(1, too_much).ends_with(0);
}

#[test]
fn what_is_not_a_number() {
    let text = serde_json::to_string_pretty(&fixture::snapshot()).unwrap();
    let place = Place::empty();
    place.write("snapshot.json", text.replacen("\"vcpus\": 2", "\"vcpus\": NaN", 1));
    place.refuses(&DRAIN).names(&["snapshot.json", "line"]);
}

#[test]
fn a_file_that_is_cut_off() {
    let text = serde_json::to_string_pretty(&fixture::snapshot()).unwrap();
    let place = Place::empty();
    for length in [0, 1, text.len() / 2, text.len() - 1] {
        place.write("snapshot.json", &text[..length]);
        place.refuses(&DRAIN).names(&["snapshot.json", "line"]).hints("cut off");
    }
    place.write("snapshot.json", format!("{text}}}"));
    place.refuses(&DRAIN).names(&["snapshot.json", "trailing characters"]);
}

#[test]
fn a_host_or_machine_that_is_not_in_it() {
    let place = Place::with_snapshot();
    let ask = |words: &[&str]| place.refuses(&[words, &["--snapshot", "snapshot.json"]].concat());
    ask(&["plan", "drain", "h9"]).names(&["host h9", "not in the snapshot"]).hints("h1, h2, h3");
    ask(&["predict", "web-1", "--to", "h9"]).names(&["host h9"]).hints("h1, h2, h3");
    ask(&["predict", "nobody"]).names(&["nobody", "not in the snapshot"]).hints("web-1, web-2");
    ask(&["predict", "web-1", "--to", "h1"]).names(&["web-1 is on h1"]).hints("another host");
}

#[test]
fn a_moment_that_is_too_old() {
    let place = Place::with_plan();
    let mut later = fixture::snapshot();
    later.taken_at = "2026-03-01T12:10:01Z".parse().unwrap();
    place.write_snapshot("later.json", &later);
    let ran = place.run(&["simulate", "plan.toml", "--snapshot", "later.json"]);
    ran.ends_with(1);
    assert!(ran.stdout.contains("NO: snapshot: its snapshot is 10 min 01 s old"), "{}", ran.stdout);
    assert!(ran.stdout.contains("the limit is 10 min 00 s"), "{}", ran.stdout);
}
