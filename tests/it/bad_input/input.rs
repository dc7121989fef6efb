//! Planning inputs: wrong files, and files that contradict the command line.

use crate::program::Place;

/// A place with a decision about the fixture's cluster in `saved.json`.
fn with_input() -> Place {
    let place = Place::with_snapshot();
    let plan = ["plan", "drain", "h1", "--snapshot", "snapshot.json", "--save-input", "saved.json"];
    place.run(&plan).ends_with(0);
    place
}

#[test]
fn a_decision_is_made_again_without_a_cluster() {
    let place = with_input();
    let plan = |source: &[&str], out| {
        let words = [&["plan", "drain", "h1", "--out", out], source].concat();
        let ran = place.run(&words);
        ran.ends_with(0);
        (place.read(out), ran)
    };
    let (first, _) = plan(&["--snapshot", "snapshot.json"], "first.toml");
    let (again, ran) = plan(&["--input", "saved.json"], "again.toml");
    assert_eq!(first, again);
    ran.names(&["the same as when the input was saved"]);
    let (kept, _) = plan(&["--input", "saved.json", "--save-input", "kept.json"], "kept.toml");
    assert_eq!((kept, place.read("kept.json")), (first, place.read("saved.json")));
}

#[test]
fn a_refusal_is_kept_and_repeated() {
    let place = Place::with_snapshot();
    let refused = ["plan", "drain", "h9", "--snapshot", "snapshot.json", "--save-input", "no.json"];
    let before = place.run(&refused);
    before.ends_with(2).names(&["host h9 is not in the snapshot"]);
    let after = place.run(&["plan", "drain", "h9", "--input", "no.json"]);
    after.ends_with(2).names(&["the same as when the input was saved", &before.stderr]);
}

#[test]
fn a_command_line_that_contradicts_the_input() {
    let place = with_input();
    place
        .refuses(&["plan", "balance", "--input", "saved.json"])
        .names(&["saved.json: it asks to drain h1, the command line to balance"])
        .hints("whimbrel plan drain h1 --input saved.json");
    place
        .refuses(&["plan", "drain", "h1", "--input", "saved.json", "--seed", "9"])
        .names(&["its seed is 1, the command line's is 9"])
        .hints("--seed");
    place
        .refuses(&["plan", "drain", "h1", "--input", "saved.json", "--policy", "policy.toml"])
        .names(&["an input has its own policy"])
        .hints("WHIMBREL_POLICY");
    place
        .refuses(&["plan", "drain", "h1", "--input", "saved.json", "--save-input", "saved.json"])
        .names(&["read and overwritten"]);
    place
        .refuses(&["convert-input", "saved.json", "saved.json", "--form", "plain"])
        .names(&["read and overwritten"]);
    for source in [["--snapshot", "snapshot.json"], ["--telemetry", "."], ["--watch", "1 s"]] {
        let words = [&["plan", "drain", "h1", "--input", "saved.json"], &source[..]].concat();
        place.refuses(&words).names(&["cannot be used with", source[0]]);
    }
}

#[test]
fn an_input_that_was_edited() {
    let place = with_input();
    let text = place.read("saved.json");
    place.write("edited.json", text.replacen("\"seed\": 1", "\"seed\": 2", 1));
    place
        .refuses(&["plan", "drain", "h1", "--input", "edited.json"])
        .names(&["edited.json: line 1: the input was changed or cut off"])
        .hints("save it again");
    place
        .refuses(&["plan", "drain", "h1", "--input", "snapshot.json"])
        .names(&["snapshot.json: line 1: this is a snapshot"])
        .hints("--snapshot");
}

#[test]
fn other_forms_name_file_line_and_field() {
    let place = with_input();
    let convert = ["convert-input", "saved.json", "c.txt", "--form", "ganeti"];
    let ran = place.run(&convert);
    ran.ends_with(0).names(&["note: left out: "]);
    assert_eq!(ran.stdout, "c.txt\nc.txt.dynu\n");
    let replan = ["plan", "drain", "h1", "--input", "c.txt"];
    place.write("c.txt.dynu", place.read("c.txt.dynu").replacen(" 0.", " -0.", 1));
    place.refuses(&replan).names(&["c.txt.dynu: line 1, cpu"]).hints("parts of a node");
    place.write("c.txt", place.read("c.txt").replacen("|running|", "|running|Y|", 1));
    place.refuses(&replan).names(&["c.txt: line ", "14 fields"]).hints("the fields are");
    let convert = ["convert-input", "saved.json", "c.json", "--form", "plain"];
    place.run(&convert).ends_with(0);
    place.write("c.json", place.read("c.json").replacen("\"vcpus\": ", "\"vcpus\": -", 1));
    place.refuses(&["plan", "drain", "h1", "--input", "c.json"]).names(&["c.json: line "]);
}
