//! Faults in the configuration. No host is asked for anything: the file is refused before.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt as _};

use crate::program::{Place, Ran};

const HOST: &str = "[[host]]\nname = \"h1\"\nuri = \"qemu+tcp://127.0.0.1:1/system\"\n";

fn refused(text: &str) -> Ran {
    let place = Place::empty();
    place.write("whimbrel.toml", text);
    let ran = place.refuses(&["inventory"]);
    ran.names(&["whimbrel.toml"]);
    ran
}

/// One host with a line of its own.
fn host_with(line: &str) -> Ran {
    refused(&format!("{HOST}{line}\n"))
}

fn collect_with(line: &str) -> Ran {
    refused(&format!("{HOST}[collect]\n{line}\n"))
}

#[test]
fn an_unknown_key_anywhere() {
    host_with("colour = 1").names(&["line 4", "colour", "expected one of", "migration_uri"]);
    collect_with("colour = 1").names(&["line 5", "colour", "dirty_windows"]);
    refused(&format!("colour = 1\n{HOST}")).names(&["line 1", "colour", "state_directory"]);
}

#[test]
fn a_wrong_unit() {
    host_with("memory = \"3 s\"").names(&["line 4", "\"s\" is not a unit of a size"]).hints("MiB");
    host_with("cpu = \"3 GHz\"").names(&["line 4", "\"GHz\" is not a unit of CPU"]).hints("cores");
    collect_with("period = \"3 MiB\"").names(&["line 5", "not a unit of a span"]).hints("ms");
}

#[test]
fn a_negative_quantity() {
    host_with("memory = \"-1 GiB\"").names(&["line 4", "-1 GiB", "starts at 0"]).hints("sign");
    collect_with("period = \"-2 s\"").names(&["line 5", "-2 s", "starts at 0"]).hints("sign");
}

#[test]
fn an_absurd_quantity() {
    host_with("memory = \"5000 TiB\"").names(&["line 4", "5000 TiB", "1 PiB"]).hints("unit");
    host_with("cpu = \"2000000 cores\"").names(&["line 4", "1000000 cores"]).hints("unit");
    host_with("memory = \"0 B\"").names(&["host h1", "above 0"]).hints("leave them out");
    collect_with("period = \"1 ms\"").names(&["period", "100 ms..=1 h"]).hints("");
    collect_with("dirty_windows = [\"100 s\"]").names(&["windows", "100", "1..=60"]).hints("");
    collect_with("dirty_windows = [\"1500 ms\"]").names(&["1.5 s"]).hints("whole seconds");
}

#[test]
fn a_bare_number() {
    host_with("memory = 48").names(&["line 4", "\"48\" has no unit"]).hints("48 MiB");
    collect_with("period = 5").names(&["line 5", "\"5\" has no unit"]).hints("300 ms");
}

#[test]
fn what_is_not_a_number() {
    for value in ["nan", "inf", "-inf", "-0.5", "7"] {
        collect_with(&format!("dirty_duty = {value}"))
            .names(&["line 5", "dirty_duty", "is not a share"])
            .hints("from 0 to 1");
    }
}

#[test]
fn a_host_given_twice() {
    refused(&format!("{HOST}{HOST}")).names(&["host h1 is given twice"]).hints("unique");
}

#[test]
fn no_host_at_all() {
    refused("").names(&["no [[host]]"]).hints("at least one host");
    refused("host = []\n").names(&["no [[host]]"]).hints("at least one host");
}

#[test]
fn a_name_or_address_that_nobody_has() {
    refused("[[host]]\nname = \"a b\"\nuri = \"x\"\n").names(&["line 2", "a b"]).hints("letters");
    refused("[[host]]\nname = \"h1\"\nuri = \" \"\n")
        .names(&["host h1", "uri"])
        .hints("qemu+tls://h1");
}

#[test]
fn what_is_not_toml() {
    refused("hosts: [h1]\n").names(&["line 1"]);
}

#[test]
fn a_value_set_from_outside_is_named_with_where_it_came_from() {
    let place = Place::empty();
    place.write("whimbrel.toml", HOST);
    let set = |value: &str| place.refuses(&["inventory", "--set", value]);
    set("collect.colour=1").names(&["whimbrel.toml with --set collect.colour", "unknown field"]);
    set("collect.period=3 MiB")
        .names(&["--set collect.period", "not a unit of a span of time"])
        .hints("us, ms, s, min, h, d");
    set("collect.period=3").names(&["--set collect.period", "no unit"]).hints("300 ms");
    set("collect.dirty_duty=nan").names(&["collect.dirty_duty", "not a share"]).hints("0 to 1");
    set("collect").names(&["--set", "no '='"]).hints("collect.period");
    set("host.name=h2").names(&["host.name", "not a section"]).hints("in the file");
    place
        .refuses_with(("WHIMBREL__COLLECT__COLOUR", "1"), &["inventory"])
        .names(&["WHIMBREL__COLLECT__COLOUR", "unknown field `colour`"]);
}

#[test]
fn an_environment_that_is_not_text() {
    let place = Place::empty();
    place.write("whimbrel.toml", HOST);
    let binary = OsStr::from_bytes(b"5 s\xff");
    place
        .refuses_with(("WHIMBREL__COLLECT__PERIOD", binary), &["inventory"])
        .names(&["WHIMBREL__COLLECT__PERIOD", "UTF-8"])
        .hints("5 s");
    // What belongs to other programs is nobody's business here.
    place
        .refuses_with(("OTHER", binary), &["inventory", "--set", "collect.period=0 s"])
        .names(&["period"]);
}
