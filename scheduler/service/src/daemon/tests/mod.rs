//! The daemon over a simulated cluster.

use std::time::Duration;

use whimbrel_core::{
    Cluster as _, HostId, PlanId, migration::MoveState, ports::Entry, units::Span,
};
use whimbrel_engine::Execution;

use super::{Command, Daemon};
use crate::{FailureKind, files, grpc::Backend as _, scene};

mod previous;
mod questions;
mod remote;
mod world;

use world::{Lab, another, drain, until};

/// Time enough for any plan here, in observations.
const PLENTY: u64 = 2000;
const PATIENCE: Duration = Duration::from_secs(10);

fn applied(daemon: &Daemon) -> PlanId {
    let planned = drain(daemon);
    daemon.backend().apply(&planned.text, planned.plan.digest.as_str()).unwrap()
}

fn state(daemon: &Daemon, id: &PlanId) -> Execution {
    daemon.backend().watch(id).unwrap().borrow().clone()
}

fn ended(daemon: &Daemon, id: &PlanId) -> Execution {
    until("the plan has ended", || state(daemon, id).ended);
    state(daemon, id)
}

#[test]
fn a_plan_is_executed_watched_and_learnt_from() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    let planned = drain(&daemon);
    assert_eq!(planned.plan.moves().count(), 3);
    assert!(planned.findings.is_empty(), "{:?}", planned.findings);
    assert_eq!((planned.simulation.arrived, planned.simulation.runs), (3, 20));
    assert_eq!(backend.simulate(&planned.text, 7).unwrap().simulation.seed, 7);

    let id = backend.apply(&planned.text, planned.plan.digest.as_str()).unwrap();
    assert!(!state(&daemon, &id).ended);
    lab.allow(PLENTY);
    let last = ended(&daemon, &id);
    assert!(last.succeeded(), "{last:?}");
    assert_eq!(backend.operations().unwrap(), [last]);
    let here = |host: &str| {
        let snapshot = backend.inventory().unwrap();
        snapshot.domains.iter().filter(|domain| domain.host.as_str() == host).count()
    };
    until("h1 is seen to be empty", || here("h1") == 0);
    let stored = scene::history(lab.telemetry.path()).unwrap();
    assert_eq!(stored.len(), 3);
    assert_eq!(backend.board.advisor().model().guests.len(), 3, "what it did it learnt from");

    let again = backend.apply(&planned.text, planned.plan.digest.as_str()).unwrap_err();
    assert_eq!(again.kind, FailureKind::Conflict);
    daemon.stop(PATIENCE).unwrap();
}

#[test]
fn a_new_daemon_finishes_what_the_old_one_began() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let id = applied(&daemon);
    lab.allow(12);
    lab.used_up();
    until("a guest is being copied", || state(&daemon, &id).count(MoveState::Copying) > 0);
    daemon.stop(PATIENCE).unwrap();
    // The migration goes on while nobody looks.
    lab.sim().advance(Span::from_seconds(3));

    let daemon = lab.daemon();
    assert!(!state(&daemon, &id).ended);
    lab.allow(PLENTY);
    assert!(ended(&daemon, &id).succeeded());
    let intents = lab.written().into_iter().filter(|r| matches!(r.entry, Entry::Intended { .. }));
    assert_eq!(intents.count(), 3, "each guest is moved once");
    daemon.stop(PATIENCE).unwrap();

    let daemon = lab.daemon();
    assert!(state(&daemon, &id).succeeded(), "ended operations come from the journal");
    assert_eq!(scene::history(lab.telemetry.path()).unwrap().len(), 3);
}

#[test]
fn records_that_a_killed_daemon_did_not_store_are_stored_by_the_next() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let id = applied(&daemon);
    lab.allow(PLENTY);
    ended(&daemon, &id);
    daemon.stop(PATIENCE).unwrap();
    std::fs::remove_dir_all(lab.telemetry.path()).unwrap();

    let daemon = lab.daemon();
    daemon.stop(PATIENCE).unwrap();
    let daemon = lab.daemon();
    assert_eq!(scene::history(lab.telemetry.path()).unwrap().len(), 3, "once, not twice");
    daemon.stop(PATIENCE).unwrap();
}

#[test]
fn one_plan_is_executed_at_a_time() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    let planned = drain(&daemon);
    let other = another(&planned.plan);
    let id = backend.apply(&planned.text, planned.plan.digest.as_str()).unwrap();
    let same = backend.apply(&planned.text, planned.plan.digest.as_str()).unwrap();
    assert_eq!(same, id);

    let text = files::plan_text(&other).unwrap();
    let refused = backend.apply(&text, other.digest.as_str()).unwrap_err();
    // Past the first look, as when both came at once.
    let raced = backend.ask(|reply| Command::Start { plan: Box::new(other), reply }).unwrap_err();
    for failure in [refused, raced] {
        assert_eq!(failure.kind, FailureKind::Conflict);
        assert!(failure.message.contains(id.as_str()) && failure.hint.is_some(), "{failure:?}");
    }
    assert_eq!(backend.operations().unwrap().len(), 1);
}

#[test]
fn cancelling_ends_it_and_leaves_guests_where_they_are() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    let id = applied(&daemon);
    lab.allow(12);
    lab.used_up();
    backend.cancel(&id).unwrap();
    assert!(state(&daemon, &id).cancelled);
    lab.allow(PLENTY);
    let last = ended(&daemon, &id);
    assert!(last.count(MoveState::Skipped) > 0 && !last.succeeded(), "{last:?}");
    backend.cancel(&id).unwrap();
    let unknown = backend.cancel(&PlanId::new("0123456789abcdef").unwrap()).unwrap_err();
    assert_eq!(unknown.kind, FailureKind::NotFound);
}

#[test]
fn what_was_not_approved_is_not_begun() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    let planned = drain(&daemon);
    let other = backend.apply(&planned.text, &"0".repeat(64)).unwrap_err();
    assert_eq!(other.kind, FailureKind::Conflict);
    let edited = planned.text.replace("\"h2\"", "\"h3\"");
    let edited = backend.apply(&edited, planned.plan.digest.as_str()).unwrap_err();
    assert_eq!(edited.kind, FailureKind::Invalid);
    assert!(lab.written().is_empty() && backend.operations().unwrap().is_empty());
}

#[test]
fn the_engine_checks_again_on_what_it_sees_itself() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    let planned = drain(&daemon);
    lab.sim().advance(Span::from_seconds(3600));
    let stale = |failure: crate::Failure| {
        assert_eq!(failure.kind, FailureKind::Conflict, "{failure:?}");
        assert!(failure.message.contains("checker refuses"), "{failure:?}");
    };
    let plan = Box::new(planned.plan.clone());
    stale(backend.ask(|reply| Command::Start { plan, reply }).unwrap_err());
    stale(backend.apply(&planned.text, planned.plan.digest.as_str()).unwrap_err());
    assert!(lab.written().is_empty());
}

#[test]
fn without_a_journal_nothing_begins_and_looking_goes_on() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    let planned = drain(&daemon);
    let apply = || backend.apply(&planned.text, planned.plan.digest.as_str());
    lab.break_journal(true);
    assert_eq!(apply().unwrap_err().kind, FailureKind::Unavailable);
    assert!(backend.fault().borrow().as_ref().is_some_and(|fault| fault.contains("disk is full")));
    assert!(backend.inventory().is_ok());

    lab.break_journal(false);
    let id = apply().unwrap();
    assert_eq!(*backend.fault().borrow(), None);
    until("the first guest is under way", || state(&daemon, &id).moves[0].begun_at.is_some());
    lab.break_journal(true);
    lab.allow(100);
    lab.used_up();
    let begun = lab.sim().observe().orders.len();
    assert!(backend.fault().borrow().is_some());
    assert!(begun < 3, "nothing is begun that cannot be written down");
    lab.break_journal(false);
    lab.allow(PLENTY);
    assert!(ended(&daemon, &id).succeeded());
    assert_eq!(*backend.fault().borrow(), None);
}

#[test]
fn questions_about_what_is_not_there_are_answered_by_name() {
    let lab = Lab::new();
    let daemon = lab.daemon();
    let backend = daemon.backend();
    until("the first observation", || backend.inventory().is_ok());
    let vm = "nobody".parse().unwrap();
    assert_eq!(backend.predict(&vm, None).unwrap_err().kind, FailureKind::NotFound);
    let to: HostId = "h2".parse().unwrap();
    let predictions = backend.predict(&"a".parse().unwrap(), Some(&to)).unwrap();
    assert_eq!(predictions.len(), 1);
    daemon.stop(PATIENCE).unwrap();
    let gone = backend.cancel(&PlanId::new("0123456789abcdef").unwrap()).unwrap_err();
    assert_eq!(gone.kind, FailureKind::Unavailable);
}
