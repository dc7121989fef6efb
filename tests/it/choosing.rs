//! `whimbrel predict` with settings to ask about, with a choice to make, and with its reasons.

use crate::program::Place;

fn predict<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["predict", "db-1", "--to", "h3", "--snapshot", "snapshot.json"], more].concat()
}

#[test]
fn a_choice_is_told_to_people_and_to_programs() {
    let place = Place::with_snapshot();
    let ran = place.run(&predict(&["--choose", "--prefer", "gentle", "--explain"]));
    ran.ends_with(0);
    for part in ["db-1 to h3: ", " channel", "give it up after", "first pass", "threshold"] {
        assert!(ran.stdout.contains(part), "no '{part}' in {ran:?}");
    }
    let json = place.run(&predict(&["--choose", "--output", "json"]));
    json.ends_with(0);
    let chosen = &json.json()[0];
    assert_eq!(chosen["to"], "h3");
    assert!(chosen["choice"]["settings"]["mode"].is_string());
    assert!(chosen["choice"]["misses"].as_array().unwrap().is_empty());
    assert!(chosen["explanation"].is_null());
}

#[test]
fn post_copy_is_chosen_only_where_it_is_allowed() {
    let place = Place::with_snapshot();
    let ran = place.run(&predict(&["--choose"]));
    assert!(ran.stdout.contains("post-copy is not allowed"), "{ran:?}");
    let allowed = place.run(&predict(&["--choose", "--allow-post-copy"]));
    assert!(!allowed.stdout.contains("not allowed"), "{allowed:?}");
}

#[test]
fn limits_that_nothing_keeps_are_1_and_said() {
    let place = Place::with_snapshot();
    let ran = place.run(&predict(&["--choose", "--deadline", "10 ms"]));
    ran.ends_with(1);
    assert!(ran.stdout.contains("nothing keeps the limits"), "{ran:?}");
    assert!(ran.stdout.contains("past the deadline"), "{ran:?}");
}

#[test]
fn other_settings_are_asked_about_and_conflicts_refused() {
    let place = Place::with_snapshot();
    let slow = place.run(&predict(&["--bandwidth-limit", "8 MiB/s", "--output", "json"]));
    let fast = place.run(&predict(&["--output", "json"]));
    let time = |ran: &crate::program::Ran| {
        ran.json()[0]["prediction"]["total_time"][3].as_str().unwrap().to_owned()
    };
    assert_ne!(time(&slow), time(&fast));
    let told = place.run(&predict(&["--mode", "auto-converge", "--explain", "--output", "json"]));
    assert_eq!(told.json()[0]["explanation"]["settings"]["mode"], "auto-converge");
    let conflict = place.run(&predict(&["--compression", "xbzrle", "--channels", "2"]));
    conflict.ends_with(2).names(&["xbzrle excludes several channels"]);
    place.run(&predict(&["--prefer", "fast"])).ends_with(2).names(&["--choose"]);
}
