//! Plans explained, taken back and gone on with, and impossible ones, as a person asks for them.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

const RECORDED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/recorded");

fn plan(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command.current_dir(folder).arg("plan").args(arguments);
    for name in ["WHIMBREL_POLICY", "WHIMBREL_MODEL", "WHIMBREL_ENDPOINT"] {
        command.env_remove(name);
    }
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

fn policy() -> String {
    format!("{RECORDED}/policy.toml")
}

#[test]
fn a_move_and_a_stay_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let policy = policy();
    let ask = |who: &str, output: &str| {
        let source = ["--telemetry", RECORDED, "--policy", &policy];
        let asked = ["balance", "--explain", who, "--output", output];
        plan(folder.path(), &[&asked[..], &source[..]].concat())
    };
    let (code, said, _) = ask("web-1", "table");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("web-1 moves from h1 to h3: relieves h1"), "{said}");
    assert!(said.contains("rejected: rule \"web servers apart\" (web-2 is there)"), "{said}");
    let threshold = "would stay on h1 if balance.gain_factor were ";
    assert!(said.contains(threshold) && said.contains("; a new plan "), "{said}");
    let (_, said, _) = ask("stays", "json");
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    let told = json["explanations"].as_array().unwrap();
    assert!(told.len() > 5 && told.iter().all(|one| one["home"] == one["end"]), "{said}");
    assert!(told[0]["alternatives"][0]["possible"]["total_seconds"].is_number(), "{said}");
    for (who, part) in [("nobody", "domains are batch, cache"), ("no body", "can be no domain's")] {
        let (code, said, error) = ask(who, "table");
        assert!(code == Some(2) && said.is_empty(), "{said}");
        assert!(error.contains(part) && error.contains("hint: "), "{error}");
    }
}

#[test]
fn half_a_drain_is_taken_back_and_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let (policy, at) = (policy(), folder.path());
    let drain = ["drain", "h1", "-f", "plan.toml", "--save-snapshot", "before.json"];
    let source = ["--telemetry", RECORDED, "--policy", &policy];
    assert_eq!(plan(at, &[&drain[..], &source[..]].concat()).0, Some(0));
    let text = fs::read_to_string(at.join("before.json")).unwrap();
    let mut snapshot: whimbrel_core::Snapshot = serde_json::from_str(&text).unwrap();
    let drained: toml::Table =
        toml::from_str(&fs::read_to_string(at.join("plan.toml")).unwrap()).unwrap();
    assert_eq!(drained["goal"]["hosts"][0].as_str(), Some("h1"));
    for domain in snapshot.domains.iter_mut().filter(|domain| domain.vm.as_str() == "cache") {
        domain.host = "h2".parse().unwrap();
    }
    let half = serde_json::to_string(&snapshot).unwrap();
    fs::write(at.join("half.json"), half).unwrap();
    let turn = |how: &str, snapshot: &str| {
        let from = ["--plan", "plan.toml", "--snapshot", snapshot, "--policy", &policy];
        plan(at, &[&[how][..], &from[..]].concat())
    };
    let (code, said, error) = turn("reverse", "half.json");
    assert_eq!(code, Some(0), "{said}{error}");
    assert!(said.contains("cache is on h2, where"), "{said}");
    assert!(said.contains("restore 1 domain (as asked)"), "{said}");
    let (code, said, _) = turn("resume", "half.json");
    assert!(code == Some(0) && said.contains("batch is still on h1"), "{said}");
    let (code, said, _) = turn("reverse", "before.json");
    assert!(code == Some(1) && said.contains("nothing to take back"), "{said}");
    snapshot.domains.clear();
    fs::write(at.join("other.json"), serde_json::to_string(&snapshot).unwrap()).unwrap();
    let (code, said, error) = turn("resume", "other.json");
    assert!(code == Some(2) && said.is_empty(), "{said}");
    assert!(
        error.contains("the plan is of another cluster") && error.contains("hint: "),
        "{error}"
    );
}

#[test]
fn an_impossible_drain_is_answered_with_what_to_give_up() {
    let folder = tempfile::tempdir().unwrap();
    let rule = "\n[[rule]]\nkind = \"pin\"\nname = \"batch at home\"\nvms = [\"batch\"]\n\
                hosts = [\"h1\"]\n";
    let text = fs::read_to_string(policy()).unwrap() + rule;
    fs::write(folder.path().join("policy.toml"), text).unwrap();
    let asked = ["drain", "h1", "--telemetry", RECORDED, "--policy", "policy.toml"];
    let (code, _, error) = plan(folder.path(), &asked);
    assert_eq!(code, Some(2), "{error}");
    assert!(
        error.contains("drain h1 is impossible. Smallest change, any one of these:"),
        "{error}"
    );
    assert!(error.contains("\n  relax rule \"batch at home\" (then 4 moves, "), "{error}");
    assert!(error.contains("\n  shut batch down (then 3 moves, "), "{error}");
}
