//! Scenarios that ask for the impossible are refused: by name, with what would be right.

use whimbrel_simulator::Scenario;

use crate::common::TWO_HOSTS;

/// What is said of the smallest scenario with `from` replaced by `to`.
fn said(from: &str, to: &str) -> String {
    assert!(TWO_HOSTS.contains(from), "{from}");
    let text = TWO_HOSTS.replacen(from, to, 1);
    match toml::from_str::<Scenario>(&text) {
        Err(error) => error.to_string(),
        Ok(scenario) => match scenario.run(|_, _| unreachable!()) {
            Err(error) => error.to_string(),
            Ok(_) => panic!("{to:?} was taken"),
        },
    }
}

/// What is said of the smallest scenario with a section before its expectations.
fn said_with(section: &str) -> String {
    said("[expect]", &format!("{section}\n[expect]"))
}

#[track_caller]
fn refused(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[test]
fn unknown_keys() {
    refused(&said("horizon", "horizont"), &["horizont"]);
    refused(&said("cpu = \"2 cores\",", "cores = 2,"), &["cores"]);
    refused(&said_with("[fault-rates]\nearthquake = 1.0"), &["earthquake"]);
    refused(&said("[expect]", "[expect]\narived = 1"), &["arived"]);
    refused(&said_with("[policy.limits]\nmemory = 1"), &["memory"]);
    refused(&said_with("[[fault]]\nkind = \"meteor\"\nat = \"1 s\""), &["meteor"]);
}

#[test]
fn hosts_and_guests_that_cannot_be() {
    let hint = "hint";
    refused(&said("One guest moves.", " "), &["no intent", hint]);
    refused(&said("host = \"h1\"", "host = \"h7\""), &["domain a", "h7", "h1, h2", hint]);
    refused(&said("256 MiB", "2 GiB"), &["domain a", "2.0 GiB", "h1", "1.0 GiB", hint]);
    refused(&said("256 MiB\"", "256 MiB\"\nvcpus = 0"), &["domain a", "0 vCPUs", "4096", hint]);
    refused(&said("256 MiB", "0 B"), &["domain a", "1 B", hint]);
    refused(&said("256 MiB\"", "256 MiB\"\nresident = \"1 GiB\""), &["domain a", "resident"]);
    refused(&said("window = \"1 s\"", "window = \"0 s\""), &["domain a", "window"]);
    refused(&said("memory = \"1 GiB\"", "memory = \"0 B\""), &["host h1", hint]);
    let watts = "memory = \"1 GiB\", idle_watts = 200, max_watts = 100";
    refused(&said("memory = \"1 GiB\"", watts), &["host h1", "idle_watts <= max_watts"]);
    let numa = "memory = \"1 GiB\", numa = [\"1 GiB\", \"1 GiB\"]";
    refused(&said("memory = \"1 GiB\"", numa), &["host h1", "NUMA", hint]);
    let second = "[domain.b]\nhost = \"h1\"\nmemory = \"1 GiB\"";
    refused(&said_with(second), &["host h1", "1.2 GiB", "1.0 GiB", hint]);
}

#[test]
fn racks_that_cannot_be() {
    let racks = |racks: &str| said_with(&format!("[rack]\n{racks}"));
    refused(&racks("r1 = { hosts = [] }"), &["rack r1", "no hosts", "hint"]);
    refused(&racks("r1 = { hosts = [\"h7\"] }"), &["rack r1", "h7"]);
    let both = "r1 = { hosts = [\"h1\"] }\nr2 = { hosts = [\"h1\"] }";
    refused(&racks(both), &["rack r2", "h1", "r1"]);
    refused(&racks("h1 = { hosts = [\"h2\"] }"), &["rack h1", "name"]);
    refused(&racks("r1 = { hosts = [\"h1\"], downlink = \"1 GiB/s\" }"), &["downlink"]);
}

#[test]
fn links_that_cannot_be() {
    let uplink =
        |carries: &str| said_with(&format!("[rack.r]\nhosts = [\"h1\"]\nuplink = \"{carries}\""));
    refused(&uplink("0 B/s"), &["rack r", "0 B/s", "1 KiB/s", "hint"]);
    refused(&uplink("10"), &["no unit", "hint"]);
    let network = "horizon = \"30 s\"\nmigration_network = \"100 B/s\"";
    refused(&said("horizon = \"30 s\"", network), &["migration network", "100 B/s", "hint"]);
}

#[test]
fn moves_that_cannot_be() {
    refused(&said("vm = \"a\"", "vm = \"b\""), &["move of b", "no such domain", "hint"]);
    refused(&said("to = \"h2\"", "to = \"h7\""), &["move of a", "h7"]);
    refused(&said("to = \"h2\"", "to = \"h1\""), &["move of a", "where it is"]);
    refused(&said("to = \"h2\"", "to = \"h2\"\nafter = [7]"), &["move of a", "[7]"]);
    refused(&said("to = \"h2\"", "to = \"h2\"\ntimeout = \"0 s\""), &["move of a", "time-out"]);
    let twice = "to = \"h2\"\n[[plan.moves]]\nvm = \"a\"\nto = \"h1\"";
    refused(&said("to = \"h2\"", twice), &["move of a", "after move 0", "hint"]);
}

#[test]
fn times_that_cannot_be() {
    let cut = |at: &str| format!("[[fault]]\nkind = \"power-cut\"\nat = \"{at}\"\nhost = \"h1\"");
    refused(&said_with(&cut("-5 s")), &["negative", "hint"]);
    refused(&said_with(&cut("31 s")), &["fault 1", "31 s", "30 s", "hint"]);
    refused(&said_with(&cut("5")), &["no unit", "hint"]);
    refused(&said("30 s", "0 s"), &["horizon", "hint"]);
    refused(&said("30 s", "800 d"), &["horizon", "366 d"]);
    let often = "horizon = \"300 d\"\nfault-rates = { power-cut = 3600.0 }";
    refused(&said("horizon = \"30 s\"", often), &["51840000", "100000", "hint"]);
    let restart = "[[restart]]\ndies = { at = \"1 h\" }\naway = \"1 s\"";
    refused(&said_with(restart), &["restart", "3600 s", "hint"]);
    let loops = "[[restart]]\ndies = { every = \"1 ms\" }\naway = \"1 s\"";
    refused(&said_with(loops), &["every", "1 s", "hint"]);
    let event = "[[event]]\nkind = \"leaves\"\nat = \"1 h\"\nvm = \"a\"";
    refused(&said_with(event), &["event 1", "hint"]);
}

#[test]
fn faults_and_events_that_cannot_be() {
    let fault = |text: &str| said_with(&format!("[[fault]]\nat = \"1 s\"\n{text}"));
    refused(&fault("kind = \"power-cut\"\nhost = \"h7\""), &["h7", "hint"]);
    refused(&fault("kind = \"stuck-migration\"\nvm = \"z\""), &["z", "hint"]);
    refused(&fault("kind = \"link-cut\"\nhost = \"h1\"\nnetworks = []"), &["fault 1", "network"]);
    refused(&fault("kind = \"ceph-outage\"\nlasts = \"0 s\""), &["fault 1", "0 s", "hint"]);
    refused(&fault("kind = \"partition\"\ngroups = [[\"h1\"]]"), &["fault 1", "at least 2"]);
    let twice = "kind = \"partition\"\ngroups = [[\"h1\"], [\"h1\", \"h2\"]]";
    refused(&fault(twice), &["fault 1", "h1", "twice"]);
    let lie = "kind = \"lying-readings\"\nvm = \"a\"\ndirty_percent = 4000000";
    refused(&fault(lie), &["4000000", "100000", "hint"]);
    refused(&said_with("[fault-rates]\npower-cut = -1.0"), &["power-cut", "-1", "hint"]);
    let event = |text: &str| said_with(&format!("[[event]]\nat = \"1 s\"\n{text}"));
    refused(&event("kind = \"leaves\"\nvm = \"z\""), &["z", "hint"]);
    refused(&event("kind = \"power\"\nhost = \"h7\"\npower = \"off\""), &["h7", "hint"]);
    refused(&event("kind = \"resized\"\nvm = \"a\""), &["event 1", "nothing", "hint"]);
    let again = "kind = \"arrives\"\nvm = \"a\"\ndomain = { host = \"h1\", memory = \"1 MiB\" }";
    refused(&event(again), &["event 1", "exists", "hint"]);
    let huge = "kind = \"arrives\"\nvm = \"n\"\ndomain = { host = \"h1\", memory = \"1 TiB\" }";
    refused(&event(huge), &["domain n", "1.0 GiB", "hint"]);
}

#[test]
fn policies_and_expectations_that_cannot_be() {
    let reserve = "[policy.limits]\nmemory_reserve = 0.99";
    refused(&said_with(reserve), &["policy", "memory_reserve", "hint"]);
    let rule = "[[policy.rule]]\nkind = \"pin\"\nname = \"p\"\nvms = [\"a\"]\nhosts = [\"h7\"]";
    refused(&said_with(rule), &["policy", "h7", "hint"]);
    let expect = |text: &str| said("[expect]", &format!("[expect]\n{text}"));
    refused(&expect("places = { z = \"h1\" }"), &["expect.places", "z", "hint"]);
    refused(&expect("power = { h7 = \"on\" }"), &["expect", "h7", "hint"]);
    refused(&expect("breaches = [\"bad-luck\"]"), &["expect.breaches", "bad-luck", "hint"]);
    refused(&expect("log = [{ what = \"sneezed\" }]"), &["expect.log", "sneezed", "hint"]);
}
