//! The command line on files: help, exit codes, JSON, what goes where.

use std::fs;

use whimbrel_core::{Snapshot, check, policy::Policy};

use crate::{
    fixture,
    program::{Place, Ran},
};

/// Verbs under `heading` in the help of `path`, and theirs, each with its whole path.
fn verbs(place: &Place, path: &[String]) -> Vec<Vec<String>> {
    let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
    words.push("--help");
    let help = place.run(&words).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let names = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help");
    let mut found = vec![path.to_vec()];
    for name in names {
        found.extend(verbs(place, &[path, &[name.to_owned()]].concat()));
    }
    found
}

#[test]
fn the_help_of_every_verb_is_as_it_was() {
    let place = Place::empty();
    let all = verbs(&place, &[]);
    assert!(all.len() > 8, "{all:?}");
    for path in all {
        let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
        words.push("--help");
        let ran = place.run(&words);
        ran.ends_with(0);
        assert!(ran.stderr.is_empty(), "{ran:?}");
        words[0] = if path.is_empty() { "whimbrel" } else { words[0] };
        insta::assert_snapshot!(words.join("-").trim_end_matches("---help").to_owned(), ran.stdout);
    }
}

#[test]
fn the_version_is_the_packages() {
    let ran = Place::empty().run(&["--version"]);
    ran.ends_with(0);
    assert_eq!(ran.stdout.trim(), concat!("whimbrel ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_nobody_can_mean_is_an_error() {
    let place = Place::with_snapshot();
    let cases: [(&[&str], &str); 14] = [
        (&[], "Usage: whimbrel"),
        (&["fly"], "unrecognized subcommand 'fly'"),
        (&["plan"], "Usage: whimbrel plan"),
        (&["plan", "drain"], "<HOST>"),
        (&["inventory", "--colour"], "unexpected argument '--colour'"),
        (&["inventory", "--output", "yaml"], "possible values: table, json"),
        (&["inventory", "--snapshot", "a", "--telemetry", "b"], "cannot be used with"),
        (&["inventory", "--at", "2026-03-01T12:00:00Z"], "--telemetry"),
        (&["inventory", "--telemetry", "a", "--at", "yesterday"], "2026-03-01T12:00:00Z"),
        (&["inventory", "--watch", "5"], "has no unit"),
        (&["plan", "balance", "--seed", "-1", "--snapshot", "snapshot.json"], "-1"),
        (&["apply"], "<PLAN>"),
        (&["apply", "plan.toml", "--resume"], "cannot be used with"),
        (&["apply", "--resume", "--abandon"], "cannot be used with"),
    ];
    for (arguments, part) in cases {
        let ran = place.run(arguments);
        ran.ends_with(2).names(&[part]);
        assert!(ran.stdout.is_empty(), "{ran:?}");
    }
}

#[test]
fn a_drain_goes_from_snapshot_to_plan_to_simulation_to_report() {
    let place = Place::with_snapshot();
    let words = ["plan", "drain", "h1", "--snapshot", "snapshot.json", "--out", "plan.toml"];
    let planned = place.run(&words);
    planned.ends_with(0);
    assert!(planned.stdout.contains("whimbrel apply plan.toml --execute"), "{planned:?}");
    let plan = place.plan("plan.toml");
    assert_eq!(plan.moves().count(), 2);
    let notes = check::check(&plan, &fixture::snapshot(), &Policy::default(), fixture::now());
    assert_eq!(notes.unwrap(), []);

    let simulated = place.run(&["simulate", "plan.toml", "--snapshot", "snapshot.json"]);
    simulated.ends_with(0);
    assert!(simulated.stdout.contains("every move arrived in 100 %"), "{simulated:?}");

    let reported = place.run(&[
        "report",
        "plan.toml",
        "--snapshot",
        "snapshot.json",
        "--out",
        "deep/report.html",
    ]);
    reported.ends_with(0).names(&["deep/report.html"]);
    let html = place.read("deep/report.html");
    assert!(html.contains(plan.id().as_str()) && html.contains("web-1"));
    assert!(!html.contains("src=\"http") && !html.contains("href=\"http"), "it loads nothing");
}

#[test]
fn predictions_are_judged_and_a_model_is_learnt() {
    let place = Place::empty();
    let recorded = concat!(env!("CARGO_MANIFEST_DIR"), "/../datasets/recorded");
    let ran =
        place.run(&["evaluate", "--data", recorded, "--cross-validate", "3", "--report", "r"]);
    ran.ends_with(0).names(&["r/evaluation.html"]);
    for model in ["whimbrel", "geometric rounds", "drain to zero", "support vectors"] {
        assert!(ran.stdout.contains(model), "{model}: {ran:?}");
    }
    assert!(place.read("r/evaluation.html").contains("geometric rounds"));

    let ran = place.run(&["evaluate", "--data", recorded]);
    ran.ends_with(2).names(&["behaviours.toml", "--cross-validate"]);
    let ran = place.run(&["evaluate", "--data", recorded, "--cross-validate", "1"]);
    ran.ends_with(2).names(&["2 guests and 2 parts"]);
    let ran = place.run(&["evaluate", "--public", "lordwicked"]);
    ran.ends_with(2).names(&["lordwicked-qemu-mig", "WHIMBREL_PUBLIC_DATA"]);

    let ran = place.run(&["train", "--data", recorded, "--out", "model.json"]);
    ran.ends_with(0).names(&["model.json"]);
    assert!(place.read("model.json").contains("fixed_spread"));
    let ran = place.run(&["train", "--data", "nowhere"]);
    ran.ends_with(2).names(&["nowhere"]);
}

#[test]
fn drawn_guests_are_placed_and_then_asked_about() {
    let place = Place::empty();
    let draw = ["dataset", "synthesize", "--vms", "300", "--hours", "4", "--to", "drawn"];
    place.run(&draw).ends_with(0);
    place.refuses(&draw).names(&["drawn", "nothing is overwritten"]);
    let put = ["dataset", "place", "drawn", "--hosts", "8", "--from", "2 h", "--to", "cluster"];
    let placed = place.run(&put);
    placed.ends_with(0);
    assert!(placed.stdout.contains("are the model's, not the trace's"), "{placed:?}");
    let question = ["whatif", "--data", "cluster", "--remove-host", "h1", "--seeds", "1"];
    let asked = place.run(&question);
    assert!(asked.code < Some(2) && asked.stdout.contains("host h1 goes for good"), "{asked:?}");
    let ran = place.run(&["plan", "balance", "--telemetry", "cluster"]);
    assert!(ran.code < Some(2), "{ran:?}");
    place
        .refuses(&[
            "dataset",
            "place",
            "drawn",
            "--hosts",
            "1",
            "--host-memory",
            "2 GiB",
            "--to",
            "c",
        ])
        .names(&["finds no place", "such hosts"]);
}

#[test]
fn nothing_to_do_and_a_failed_check_are_1() {
    let place = Place::with_plan();
    let idle = place.run(&["plan", "balance", "--snapshot", "snapshot.json"]);
    idle.ends_with(1);
    assert!(idle.stdout.contains("nothing to do"), "{idle:?}");

    place.write("other.toml", "[limits]\nmoves_max = 50\n");
    let other = place.run(&[
        "simulate",
        "plan.toml",
        "--snapshot",
        "snapshot.json",
        "--policy",
        "other.toml",
    ]);
    other.ends_with(1);
    assert!(
        other.stdout.contains("NO: policy: the plan was made under another policy"),
        "{other:?}"
    );
}

#[test]
fn equal_questions_have_equal_answers() {
    let place = Place::with_plan();
    let again = ["plan", "drain", "h1", "--snapshot", "snapshot.json", "--out", "again.toml"];
    place.run(&again).ends_with(0);
    assert_eq!(place.read("plan.toml"), place.read("again.toml"));
    let predict = ["predict", "web-1", "--snapshot", "snapshot.json", "--output", "json"];
    assert_eq!(place.run(&predict).stdout, place.run(&predict).stdout);
}

#[test]
fn json_is_json_and_nothing_else() {
    let place = Place::with_plan();
    let json = |arguments: &[&str], code: i32| {
        let all = [arguments, &["--snapshot", "snapshot.json", "--output", "json"]].concat();
        let ran = place.run(&all);
        ran.ends_with(code);
        ran.json()
    };
    let inventory = json(&["inventory"], 0);
    let snapshot: Snapshot = serde_json::from_value(inventory).unwrap();
    assert_eq!(snapshot, fixture::snapshot());

    let targets = json(&["predict", "db-1"], 0);
    let names: Vec<&str> =
        targets.as_array().unwrap().iter().map(|one| one["to"].as_str().unwrap()).collect();
    assert_eq!(names, ["h1", "h3"]);

    let planned = json(&["plan", "drain", "h1"], 0);
    assert_eq!(planned["may_run"], true);
    assert_eq!(planned["id"], place.plan("plan.toml").id().as_str());
    assert_eq!(json(&["simulate", "plan.toml"], 0)["plan"], planned["plan"]);
    assert_eq!(json(&["plan", "balance"], 1)["plan"]["goal"]["kind"], "balance");
}

#[test]
fn what_is_saved_can_be_looked_at_again() {
    let place = Place::with_snapshot();
    let copy = ["inventory", "--snapshot", "snapshot.json", "--save", "copy.json"];
    let shown = place.run(&copy);
    shown.ends_with(0);
    assert_eq!(place.run(&["inventory", "--snapshot", "copy.json"]).stdout, shown.stdout);
    let saved = ["plan", "drain", "h1", "--snapshot", "copy.json", "--save-snapshot", "seen.json"];
    place.run(&saved).ends_with(0);
    let seen: Snapshot = serde_json::from_str(&place.read("seen.json")).unwrap();
    assert_eq!(seen, fixture::snapshot());
}

#[test]
fn the_policy_of_the_command_line_wins_over_the_environments() {
    let place = Place::with_snapshot();
    place.write("strict.toml", "[limits]\nmoves_max = 1\n");
    place.write("loose.toml", "[limits]\nmoves_max = 9\n");
    let drain = ["plan", "drain", "h1", "--snapshot", "snapshot.json"];
    let run = |extra: &[&str]| {
        let mut command = place.command(&[&drain, extra].concat());
        Ran::of(&command.env("WHIMBREL_POLICY", "strict.toml").output().unwrap())
    };
    run(&[]).ends_with(2).names(&["2 moves, the limit is 1"]).hints("limits.moves_max");
    run(&["--policy", "loose.toml"]).ends_with(0);
}

#[test]
fn recorded_telemetry_is_as_good_as_a_snapshot() {
    let place = Place::empty();
    fixture::telemetry(&place.path("recorded"));
    let inventory = place.run(&["inventory", "--telemetry", "recorded", "--output", "json"]);
    inventory.ends_with(0);
    assert_eq!(inventory.json()["domains"].as_array().unwrap().len(), 6);
    let drain = ["plan", "drain", "h1", "--telemetry", "recorded", "--out", "plan.toml"];
    place.run(&drain).ends_with(0);
    // It is planned for the moment of its last sample, and so it is simulated.
    assert_eq!(place.plan("plan.toml").parent.snapshot_taken_at, fixture::now());
    place.run(&["simulate", "plan.toml", "--telemetry", "recorded"]).ends_with(0);
}

#[test]
fn the_demonstration_compares_and_reports() {
    let place = Place::empty();
    fixture::telemetry(&place.path("recorded"));
    place.write("recorded/policy.toml", "[limits]\nmoves_max = 20\n");
    let ran = place.run(&["demo", "--data", "recorded", "--report", "out"]);
    ran.ends_with(0);
    for part in ["== drain h1 ==", "== balance ==", "greedy by load", "do nothing"] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    for file in ["drain.html", "drain.plan.toml", "balance.html", "balance.plan.toml"] {
        assert!(fs::metadata(place.path("out").join(file)).unwrap().len() > 100, "{file}");
    }
    let json = ["demo", "--data", "recorded", "--report", "out", "--output", "json"];
    assert_eq!(place.run(&json).json().as_array().unwrap().len(), 6);
}
