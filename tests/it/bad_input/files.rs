//! Paths that lead to nothing, to a directory, to something that is no text or far too much of it.

use std::fs;

use crate::program::{Place, Ran};

/// Every way to name a file that is read, each with `name` as the file.
fn ways(name: &str) -> [Vec<&str>; 7] {
    [
        vec!["plan", "balance", "--input", name],
        vec!["convert-input", name, "other.json", "--form", "plain"],
        vec!["inventory", "--snapshot", name],
        vec!["inventory", "--config", name],
        vec!["inventory", "--snapshot", "snapshot.json", "--policy", name],
        vec!["simulate", name, "--snapshot", "snapshot.json"],
        vec!["apply", name],
    ]
}

fn each_way(place: &Place, name: &str, check: impl Fn(&Ran)) {
    place.write(
        "whimbrel.toml",
        "[[host]]\nname = \"h1\"\nuri = \"qemu+tcp://127.0.0.1:1/system\"\n",
    );
    for way in ways(name) {
        let ran = place.refuses(&way);
        ran.names(&[&format!("error: {name}: ")]);
        check(&ran);
    }
}

#[test]
fn a_file_that_is_not_there() {
    each_way(&Place::with_snapshot(), "nowhere", |ran| {
        ran.names(&["No such file"]).hints("check the path");
    });
}

#[test]
fn a_directory() {
    let place = Place::with_snapshot();
    fs::create_dir(place.path("folder")).unwrap();
    each_way(&place, "folder", |ran| {
        ran.names(&["is a directory"]).hints("name a file");
    });
}

#[test]
fn what_is_not_text() {
    let place = Place::with_snapshot();
    place.write("binary", b"\x7fELF\x02\x01\xff\xfe");
    each_way(&place, "binary", |ran| {
        ran.names(&["UTF-8"]).hints("the file that is meant");
    });
}

#[test]
fn far_too_much() {
    let place = Place::with_snapshot();
    let size = 300 << 20;
    fs::File::create(place.path("huge")).unwrap().set_len(size).unwrap();
    each_way(&place, "huge", |ran| {
        ran.names(&["314572800 bytes", "the limit is 268435456"]).hints("the file that is meant");
    });
}

#[test]
fn a_source_without_an_end() {
    let place = Place::empty();
    place
        .refuses(&["inventory", "--snapshot", "/dev/zero"])
        .names(&["/dev/zero", "the limit is 268435456"]);
}

#[test]
fn nothing_at_all() {
    let place = Place::with_snapshot();
    place.write("empty", "");
    place.refuses(&["inventory", "--snapshot", "empty"]).names(&["empty: line 1"]).hints("cut off");
    place
        .refuses(&["simulate", "empty", "--snapshot", "snapshot.json"])
        .names(&["empty", "format"]);
    place.refuses(&["inventory", "--config", "empty"]).names(&["empty", "[[host]]"]).hints("host");
    // Every value of a policy has a default.
    place.run(&["inventory", "--snapshot", "snapshot.json", "--policy", "empty"]).ends_with(0);
}

#[test]
fn a_place_that_cannot_be_written() {
    let place = Place::with_snapshot();
    fs::create_dir(place.path("folder")).unwrap();
    let plan = ["plan", "drain", "h1", "--snapshot", "snapshot.json", "--out"];
    place
        .refuses(&[&plan[..], &["folder"]].concat())
        .names(&["folder: cannot be written"])
        .hints("check the path");
    place
        .refuses(&[&plan[..], &["snapshot.json/plan.toml"]].concat())
        .names(&["snapshot.json/plan.toml: cannot be written"])
        .hints("check the path");
}
