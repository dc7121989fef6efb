//! Answers on the recorded telemetry: who finds a place, which moves that needs, and that neither
//! threads nor another run change a figure.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use whimbrel_core::{
    HostId, Policy, VmId,
    units::{Bytes, Span},
};
use whimbrel_simulator::whatif::{AddLike, Changes, Growth, Loss, Resize};

use super::*;
use crate::files;

/// Read and learnt from once for all tests.
static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let data = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/recorded"));
    let policy = files::read_policy(Some(&data.join("policy.toml"))).unwrap();
    Scene::recorded(&data, None, policy, None).unwrap()
});

fn recorded() -> &'static Scene {
    &SCENE
}

fn host(name: &str) -> HostId {
    HostId::new(name).unwrap()
}

fn question(changes: Changes) -> Question {
    Question {
        intent: String::new(),
        changes,
        policy: None,
        horizon: Some(Span::from_seconds(300)),
        seeds: 6,
        seed: 1,
        jobs: 2,
    }
}

fn ask(scene: &Scene, question: Question) -> Answer {
    prepare(scene, question).unwrap().answer(scene, &mut || ()).unwrap()
}

fn removing(names: &[&str]) -> Changes {
    Changes { remove_hosts: names.iter().map(|name| host(name)).collect(), ..Changes::default() }
}

#[test]
fn a_host_that_goes_is_emptied_and_what_that_costs_is_known() {
    let scene = recorded();
    let answer = ask(scene, question(removing(&["h1"])));
    assert!(answer.fits(), "{:?}", answer.against);
    assert_eq!(answer.plan.moves().count(), 4);
    assert!(answer.plan.moves().all(|(_, one)| one.from == host("h1")));
    assert_eq!((answer.today.headroom.hosts, answer.then.headroom.hosts), (3, 2));
    assert_eq!(answer.then.headroom.guests, 9);
    assert!(answer.today.survives_any_loss() && !answer.then.survives_any_loss());
    let makespan = answer.spread.makespan.unwrap();
    assert!(makespan.min > Span::ZERO && makespan.min <= makespan.p95);
    assert_eq!(answer.trials.len(), 6);
    assert!(answer.notes.is_empty(), "{:?}", answer.notes);
}

#[test]
fn threads_and_repetition_change_nothing() {
    let scene = recorded();
    let with = |jobs| {
        let asked = Question { jobs, ..question(removing(&["h1"])) };
        serde_json::to_string(&ask(scene, asked)).unwrap()
    };
    let one = with(1);
    assert_eq!(one, with(4));
    assert_eq!(one, with(1));
}

#[test]
fn two_hosts_that_go_are_too_many_and_who_has_no_place_is_named() {
    let answer = ask(recorded(), question(removing(&["h1", "h2"])));
    assert!(!answer.fits());
    assert!(!answer.homeless.is_empty());
    let moved: Vec<&VmId> = answer.plan.moves().map(|(_, one)| &one.vm).collect();
    assert!(answer.homeless.iter().all(|one| !moved.contains(&&one.vm)));
    assert!(answer.plan.moves().all(|(_, one)| one.to == host("h3")));
    let known = answer.homeless.len() + answer.stuck.len() + answer.then.headroom.guests;
    assert_eq!(known, 9, "everybody has a place, has none, or is stuck");
    assert!(answer.notes.is_empty(), "one plan of two stages passes: {:?}", answer.notes);
    // A reason for each, and nothing but these.
    assert_eq!(answer.against.len(), answer.homeless.len() + answer.stuck.len());
}

#[test]
fn new_hosts_make_room_for_more_guests() {
    let grow = Growth { guests: "100%".parse().unwrap(), ..Growth::default() };
    let more = Changes { grow, ..Changes::default() };
    let full = ask(recorded(), question(more.clone()));
    assert!(!full.fits() && !full.homeless.is_empty());
    let add_like = vec![AddLike { count: 3, like: host("h1") }];
    let wider = ask(recorded(), question(Changes { add_like, ..more }));
    assert!(wider.fits(), "{:?}", wider.against);
    assert_eq!(wider.started.len(), 9);
    assert_eq!(wider.then.headroom.guests, 18);
}

#[test]
fn a_guest_that_outgrows_its_host_makes_others_leave() {
    let resize = |mib| {
        let vm = VmId::new("database").unwrap();
        let one = Resize { vm, memory: Bytes::mib(mib), vcpus: None };
        question(Changes { resize: vec![one], ..Changes::default() })
    };
    let crowded = ask(recorded(), resize(380));
    assert!(crowded.fits(), "{:?}", crowded.against);
    assert!(crowded.plan.moves().any(|(_, one)| one.from == host("h2")));
    let by_host = &crowded.then.headroom.by_host;
    assert!(by_host.iter().all(|one| one.memory <= one.memory_limit));
    let hopeless = ask(recorded(), resize(600));
    assert_eq!(hopeless.homeless[0].vm.as_str(), "database");
    assert!(hopeless.homeless[0].memory_short > Bytes::ZERO);
}

#[test]
fn a_deadline_is_met_or_not() {
    let by = |seconds| {
        let deadline = Some(Span::from_seconds(seconds));
        let changes = Changes { drain: vec![host("h1")], deadline, ..Changes::default() };
        ask(recorded(), question(changes))
    };
    assert!(by(600).fits());
    let late = by(2);
    assert!(late.against[0].contains("within 2.0 s"), "{:?}", late.against);
}

/// A question that does not fit, with everything that an answer can have.
pub(crate) fn draining_while_a_host_is_lost() -> Answer {
    let changes = Changes {
        drain: vec![host("h1")],
        lose: Some(Loss { host: host("h2"), at: Span::from_seconds(3) }),
        ..Changes::default()
    };
    ask(recorded(), question(changes))
}

/// The plainest question.
pub(crate) fn nothing_changes() -> Answer {
    ask(recorded(), question(Changes::default()))
}

#[test]
fn a_host_lost_during_a_drain_takes_its_guests_down() {
    let answer = draining_while_a_host_is_lost();
    for trial in &answer.trials {
        assert!(trial.down.len() >= 3, "{:?}", trial.down);
        assert!(trial.violations.is_empty(), "{:?}", trial.violations);
    }
    assert!(!answer.fits() && answer.against[0].contains("strands"), "{:?}", answer.against);
}

#[test]
fn another_policy_is_part_of_the_question() {
    let scene = recorded();
    let strict = |reserve| {
        let mut policy: Policy = scene.advisor.policy().clone();
        policy.limits.memory_reserve = whimbrel_core::units::Share::clamped(reserve);
        ask(scene, Question { policy: Some(policy), ..question(removing(&["h1"])) })
    };
    assert!(!strict(0.1).policy_changed && strict(0.1).fits());
    let answer = strict(0.4);
    assert!(answer.policy_changed && !answer.fits());
}

#[test]
fn questions_out_of_range_are_refused() {
    let scene = recorded();
    let refused = |question| prepare(scene, question).err().unwrap();
    let seeds = Question { seeds: 0, ..question(Changes::default()) };
    assert!(refused(seeds).message.contains("0 seeds"));
    let failure = refused(question(removing(&["h9"])));
    assert!(failure.hint.is_some_and(|hint| hint.contains("h1, h2, h3")));
}

#[test]
fn a_file_says_the_same_and_unknown_keys_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("question.toml");
    let write = |text: &str| std::fs::write(&path, text).unwrap();
    write("intent = \"x\"\ndata = \"d\"\nseeds = 7\n[change]\nremove_hosts = [\"h1\"]\n");
    let file = QuestionFile::read(&path).unwrap();
    assert_eq!(file.data.as_deref(), Some(Path::new(&folder.path().join("d"))));
    assert_eq!((file.seeds, file.change), (Some(7), removing(&["h1"])));
    write("[change]\nremove_host = \"h1\"\n");
    let failure = QuestionFile::read(&path).unwrap_err();
    assert!(failure.message.contains("question.toml") && failure.message.contains("remove_host"));
}
