//! Texts that are no planning problems: each is refused with its place, and nothing panics.

use proptest::prelude::*;
use whimbrel_core::plan::Goal;
use whimbrel_planner::{
    formats::{self, Form, FormatError},
    input::record,
};

use crate::support::{Cluster, anti, writes};

const GANETI: &str = "\
g|u|preferred||

a|65536|1024|56320|100|100|16|M|u|1||N|0|1|1.0
b|65536|1024|64512|100|100|16|N|u|1||N|0|1|1.0

v1|8192|10|4|running|Y|a||rbd|x:1|1|1|N

htools:iextags:x
";

const USED: &str = "v1 0.25 0.1 0 0\n";

const PLAIN: &str = r#"{"name": "p",
"hosts": [{"name": "a", "cores": 8, "memory_mib": 1024}, {"name": "b", "cores": 8, "memory_mib": 1024}],
"vms": [{"name": "v", "memory_mib": 64, "vcpus": 1, "use_cores": 0.5, "host": "a"}],
"objective": {"chords": [[0.1, 0.0]]}}"#;

fn saved() -> String {
    let cluster = Cluster::of(&["a", "b"])
        .vm("x", "a", 10, 4.0)
        .vm("y", "a", 10, 5.0)
        .with("x", writes(100))
        .rule(anti(&["x", "y"]));
    formats::write(&record(&cluster.request(Goal::Balance)).1).unwrap().text
}

/// The message about `text`, which must name a place and end with a hint.
fn refused(text: &str, used: Option<&str>) -> String {
    let outcome = formats::read(text, used).and_then(formats::Read::input);
    let error: FormatError = outcome.unwrap_err();
    let message = error.to_string();
    assert!(!error.place.is_empty() && message.contains(" (hint: "), "{message}");
    assert!(message.ends_with(')') && message.len() < 1000, "{message}");
    message
}

#[test]
fn the_samples_are_sound() {
    for (text, used) in [(GANETI, Some(USED)), (PLAIN, None), (saved().as_str(), None)] {
        let (input, _) = formats::read(text, used).and_then(formats::Read::input).unwrap();
        assert!(input.replay().outcome.is_ok());
    }
}

#[test]
fn faults_of_ganetis_text_name_line_and_field() {
    let cases: [(&str, &str, &[&str]); 17] = [
        ("g|u|preferred||", "g|u", &["line 1", "2 fields", "4 to 5"]),
        (
            "a|65536|1024|56320|100|100|16|M|u|1||N|0|1|1.0",
            "a|1|2",
            &["line 3: 3 fields", "name|memory"],
        ),
        ("a|65536", "a|-5", &["line 3, memory of \"a\"", "\"-5\"", "from 1 to 1073741824"]),
        ("a|65536", "a|9999999999999999999999", &["line 3, memory", "1073741824"]),
        ("|16|M|", "|NaN|M|", &["line 3, cores", "NaN", "0.001 to 1000000"]),
        ("|16|M|", "|inf|M|", &["line 3, cores"]),
        ("|16|M|", "|16|X|", &["line 3, offline", "it is Y, N or M"]),
        ("|56320|", "|66000|", &["line 3, free memory", "to 65536"]),
        ("|56320|", "|60000|", &["node a", "60000 MiB are free", "8192 MiB", "65536 MiB"]),
        ("|M|u|", "|M|w|", &["line 3, group uuid", "\"w\"", "first section"]),
        ("b|65536", "a|65536", &["line 4, name of \"a\"", "stands twice"]),
        ("b|65536", "b b|65536", &["line 4, name", "\"b b\" is no name"]),
        ("v1|8192", "v1|0", &["line 6, memory of \"v1\"", "from 1"]),
        ("|10|4|running", "|10|99999|running", &["line 6, vcpus", "1 to 4096"]),
        ("|Y|a||", "|Y|z||", &["line 6, node of \"v1\"", "\"z\" is not among the nodes"]),
        ("\nhtools", "htools", &["3 sections", "4 or 5"]),
        ("htools:iextags:x\n", "t\n\n|1|2|3|400|5\n", &["line 10", "vcpu ratio"]),
    ];
    for (from, to, parts) in cases {
        assert!(GANETI.contains(from), "{from}");
        let message = refused(&GANETI.replacen(from, to, 1), Some(USED));
        for part in parts {
            assert!(message.contains(part), "{from} -> {to}: {message}");
        }
    }
    let twice = GANETI.replace("v1|8192", "v1|1|1|1|running|Y|a||rbd|||\nv1|8191");
    assert!(refused(&twice, None).contains("line 7, name of \"v1\": stands twice"));
    for (used, part) in [
        ("v1 0.25 0.1 0\n", "line 1: 4 fields"),
        ("\nv1 -1 0 0 0\n", "line 2, cpu"),
        ("v1 0 0 nan 0\n", "line 1, disk"),
        ("v1 0 -1 0 0\n", "line 1, memory"),
    ] {
        let error = formats::read(GANETI, Some(used)).unwrap_err();
        assert!(error.in_dynamic_use && error.to_string().contains(part), "{error}");
    }
}

#[test]
fn faults_of_the_plain_form_name_thing_and_limit() {
    let cases: [(&str, &str, &[&str]); 16] = [
        ("\"cores\": 8", "\"cores\": -8", &["hosts[0] a", "cores = -8", "0.001 to 1000000"]),
        ("\"cores\": 8", "\"cores\": NaN", &["line 2", "column"]),
        ("\"cores\": 8", "\"cores\": 1e999", &["line 2", "out of range"]),
        ("\"cores\": 8", "\"coers\": 8", &["line 2", "coers"]),
        ("\"memory_mib\": 1024", "\"memory_mib\": -1", &["line 2", "-1"]),
        ("\"memory_mib\": 64", "\"memory_mib\": 0", &["vms[0] v", "memory_mib = 0"]),
        ("\"vcpus\": 1", "\"vcpus\": 5000", &["vms[0] v", "vcpus = 5000", "1 to 4096"]),
        ("\"use_cores\": 0.5", "\"use_cores\": -0.5", &["vms[0] v", "use_cores = -0.5"]),
        ("\"name\": \"b\"", "\"name\": \"a\"", &["hosts[1] a", "stands twice"]),
        ("\"host\": \"a\"", "\"host\": \"z\"", &["vms[0] v", "z is not in the file"]),
        ("\"host\": \"a\"", "\"host\": null", &["v runs nowhere"]),
        ("\"name\": \"p\"", "\"name\": \"p\", \"goal\": \"fly\"", &["line 1", "fly"]),
        ("\"name\": \"p\"", "\"name\": \"p\", \"drain\": [\"z\"]", &["drain", "z is not"]),
        ("\"name\": \"p\"", "\"name\": \"p\", \"drain\": [\"a\"]", &["goal", "balance"]),
        (
            "\"name\": \"p\"",
            "\"name\": \"p\", \"limits\": {\"cpu_overcommit\": 1000}",
            &["limits", "cpu_overcommit = 1000"],
        ),
        ("}}", "", &["cut off"]),
    ];
    for (from, to, parts) in cases {
        assert!(PLAIN.contains(from), "{from}");
        let message = refused(&PLAIN.replacen(from, to, 1), None);
        for part in parts {
            assert!(message.contains(part), "{from} -> {to}: {message}");
        }
    }
}

#[test]
fn a_saved_input_is_not_edited() {
    let text = saved();
    for (from, to, part) in [
        ("\"seed\": 7", "\"seed\": 8", "changed"),
        ("{\"whimbrel_input\": 1", "{\"whimbrel_input\": 2", "its version is 2"),
        ("{\"whimbrel_input\": 1, ", "{\n\"whimbrel_input\": 1, ", "changed"),
        ("\"digest\": \"", "\"digest\": \"0", "states digest 0"),
    ] {
        assert!(text.contains(from), "{from}");
        let message = refused(&text.replacen(from, to, 1), None);
        assert!(message.contains(part), "{message}");
    }
    assert!(refused(&text[..text.len() / 2], None).contains("changed or cut off"));
}

#[test]
fn what_is_something_else_is_said_to_be() {
    for (text, part) in [
        ("", "no planning input"),
        ("[[host]]\nname = 1", "no planning input"),
        ("{\"taken_at\": 1}", "--snapshot"),
        ("{}", "missing field"),
        ("|", "1 sections"),
        ("\u{0}\u{1}", "no planning input"),
    ] {
        assert!(refused(text, None).contains(part), "{text:?}");
    }
    let long = "x|".repeat(1 << 20);
    refused(&long, None);
    refused(&format!("{{\"{}\": 1}}", "k".repeat(1 << 20)), None);
    refused(&"[".repeat(100_000).replacen('[', "{\"name\": [", 1), None);
}

/// `text` with some bytes changed, cut out or doubled; as text again.
fn mutated(text: &str, changes: &[(prop::sample::Index, u8, u8)]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for (place, kind, byte) in changes {
        let at = place.index(bytes.len().max(1));
        match kind % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at.min(bytes.len()), *byte),
            2 if at < bytes.len() => {
                bytes[at] = b"0123456789|-.?,\n\"{}[]eN"[usize::from(*byte) % 23];
            }
            _ => {
                let part: Vec<u8> =
                    bytes.iter().skip(at).take(usize::from(*byte)).copied().collect();
                bytes.splice(at..at, part);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The content of a saved input under a digest that matches it.
fn sealed(content: &str) -> String {
    let rest = format!("\"input\":\n{content}\n}}\n");
    let digest = whimbrel_core::digest::Digest::of_bytes(rest.as_bytes());
    format!("{{\"whimbrel_input\": 1, \"digest\": \"{digest}\",\n{rest}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_readers_panic(
        which in 0..4usize,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8, any::<u8>()), 1..5),
    ) {
        let (text, used) = match which {
            0 => (mutated(GANETI, &changes), USED.to_owned()),
            1 => (GANETI.to_owned(), mutated(USED, &changes)),
            2 => (mutated(PLAIN, &changes), String::new()),
            _ => {
                let text = saved();
                let content: Vec<&str> = text.lines().skip(2).collect();
                let content = content.join("\n");
                (sealed(&mutated(content.trim_end_matches("\n}"), &changes)), String::new())
            }
        };
        match formats::read(&text, Some(&used)) {
            Err(error) => prop_assert!(error.to_string().contains(" (hint: "), "{}", error),
            Ok(read) => {
                // What is taken can be written in every form, planned for, or is refused in words.
                for form in [Form::Whole, Form::Plain, Form::Ganeti] {
                    if let Ok(written) = read.write(form) {
                        let again = formats::read(&written.text, written.dynamic_use.as_deref());
                        prop_assert!(again.is_ok(), "{form:?}: {:?}\n{}", again.err(), written.text);
                    }
                }
                if let Ok((input, _)) = read.input() {
                    let _ = input.replay();
                }
            }
        }
    }
}
