//! Plans that were edited, cut off, or written by another version.

use crate::program::{Place, Ran};

/// What is said of the fixture's plan after `change`.
fn refused(change: impl FnOnce(String) -> String) -> Ran {
    let place = Place::with_plan();
    let before = place.read("plan.toml");
    let after = change(before.clone());
    assert_ne!(before, after, "the change found nothing to change");
    place.write("plan.toml", after);
    let ran = place.refuses(&["simulate", "plan.toml", "--snapshot", "snapshot.json"]);
    ran.names(&["plan.toml"]);
    // Who would execute it is told the same, before any host is asked.
    place.write(
        "whimbrel.toml",
        "[[host]]\nname = \"h1\"\nuri = \"qemu+tcp://127.0.0.1:1/system\"\n",
    );
    let apply = place.refuses(&["apply", "plan.toml", "--execute"]);
    assert_eq!(apply.stderr, ran.stderr);
    ran
}

fn replaced(from: &str, to: &str) -> Ran {
    refused(|text| text.replacen(from, to, 1))
}

#[test]
fn another_target() {
    replaced("to = \"h2\"", "to = \"h3\"").names(&["digest does not match"]).hints("plan again");
}

#[test]
fn another_digest() {
    replaced("digest = \"", "digest = \"00").names(&["digest does not match"]).hints("plan again");
}

#[test]
fn one_move_less() {
    let cut = |text: String| text.rsplit_once("[[move]]").unwrap().0.to_owned();
    refused(cut).names(&["digest does not match"]).hints("plan again");
}

#[test]
fn a_format_of_another_version() {
    replaced("format = 3", "format = 2").names(&["format is 2", "reads 3"]).hints("again");
    replaced("format = 3", "format = 4\nweather = \"fair\"").names(&["format is 4"]).hints("again");
}

#[test]
fn an_unknown_key_anywhere() {
    replaced("stays = []", "stays = []\ncolour = 1").names(&["line", "colour"]);
    replaced("kind = \"drain\"", "kind = \"drain\"\ncolour = 1").names(&["colour"]);
    replaced("[parent]", "[parent]\ncolour = 1").names(&["line", "colour"]);
    replaced("mode = \"pre-copy\"", "mode = \"pre-copy\"\ncolour = 1").names(&["line", "colour"]);
    replaced("code = \"host-drained\"", "code = \"host-drained\"\ncolour = 1")
        .names(&["keys that no plan has"])
        .hints("plan again");
}

#[test]
fn quantities_that_are_none() {
    replaced("makespan = \"", "makespan = \"-").names(&["line", "starts at 0"]).hints("sign");
    replaced("downtime_limit = \"300 ms\"", "downtime_limit = \"300 MiB\"")
        .names(&["line", "not a unit of a span"])
        .hints("ms");
    replaced("downtime_limit = \"300 ms\"", "downtime_limit = 300")
        .names(&["line", "has no unit"])
        .hints("300 ms");
    replaced("gap = 0.0", "gap = nan # ").names(&["digest does not match"]).hints("plan again");
    replaced("gap = 0.0", "gap = \"small\" # ").names(&["line", "small"]);
}

#[test]
fn half_a_file() {
    refused(|text| text[..text.len() / 2].to_owned());
    refused(|_| String::new()).names(&["missing field `format`"]);
}

#[test]
fn a_plan_for_another_cluster() {
    let place = Place::with_plan();
    let text = place.read("snapshot.json").replace("web-1", "web-9");
    place.write("other.json", text);
    let ran = place.run(&["simulate", "plan.toml", "--snapshot", "other.json"]);
    ran.ends_with(1);
    assert!(ran.stdout.contains("NO: web-1: is not in the snapshot"), "{}", ran.stdout);

    let text = place.read("snapshot.json").replace("8000-000000000004", "8000-0000000000ff");
    place.write("other.json", text);
    let ran = place.run(&["simulate", "plan.toml", "--snapshot", "other.json"]);
    ran.ends_with(1);
    assert!(ran.stdout.contains("NO: web-1: is another machine now"), "{}", ran.stdout);
}
