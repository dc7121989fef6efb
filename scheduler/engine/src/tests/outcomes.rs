//! What each kind of observation leads to.

use super::*;

#[test]
fn a_move_begins_once_the_one_that_it_waits_for_has_arrived() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    assert_eq!(states(&engine), [MoveState::Accepted, MoveState::Planned]);
    world.copying("a");
    ticks(&mut engine, &mut world, &mut journal, 1);
    assert_eq!(states(&engine)[0], MoveState::Copying);
    world.arrive("a", "h2");
    ticks(&mut engine, &mut world, &mut journal, 1);
    assert_eq!(states(&engine), [MoveState::Arrived, MoveState::Planned]);
    world.call(0, CallState::Returned);
    world.snapshot.orders[0].stats = Some(figures());
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Accepted]);
    world.arrive("b", "h3");
    world.call(1, CallState::Returned);
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert!(engine.ended() && engine.execution().succeeded());
    assert_eq!(engine.execution().records[0].stats, Some(figures()));
    assert_eq!(world.begun.len(), 2);
}

/// a to h2 and b to h3, neither waits for the other.
fn independent(at_once: AtOnce) -> Plan {
    let moves = vec![one_move(Mode::PreCopy, "a", "h2"), one_move(Mode::PreCopy, "b", "h3")];
    let other = plan();
    Plan::seal(other.goal, other.parent, other.report, (at_once, moves), Vec::new())
}

#[test]
fn moves_that_wait_for_nobody_begin_as_slots_are_free() {
    for (per_host, total, begun) in [(2, 2, 2), (1, 2, 1), (2, 1, 1)] {
        let (mut world, mut journal) = (world(), Memory::default());
        let plan = independent(AtOnce::new(per_host, total));
        let settings = EngineSettings::default();
        let mut engine = Engine::start(plan, settings, world.now(), &mut journal).unwrap();
        ticks(&mut engine, &mut world, &mut journal, 2);
        assert_eq!(world.begun.len(), begun);
        world.arrive("a", "h2");
        world.call(0, CallState::Returned);
        ticks(&mut engine, &mut world, &mut journal, 10);
        assert_eq!(states(&engine), [MoveState::Settled, MoveState::Accepted]);
    }
}

#[test]
fn a_move_that_goes_alone_shares_no_host_and_nobody_overtakes_it() {
    let (mut world, mut journal) = (world(), Memory::default());
    let Plan { goal, parent, report, .. } = plan();
    let alone = Move { alone: true, ..one_move(Mode::PreCopy, "b", "h3") };
    let moves = vec![one_move(Mode::PreCopy, "a", "h2"), alone, one_move(Mode::PreCopy, "c", "h2")];
    let domain = world.domain("a").clone();
    world.snapshot.domains.push(Domain { vm: vm("c"), uuid: "uuid-c".to_owned(), ..domain });
    let plan = Plan::seal(goal, parent, report, (AtOnce::new(4, 4), moves), Vec::new());
    let settings = EngineSettings::default();
    let mut engine = Engine::start(plan, settings, world.now(), &mut journal).unwrap();
    let planned = MoveState::Planned;
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Accepted, planned, planned], "c would overtake b");
    world.arrive("a", "h2");
    world.call(0, CallState::Returned);
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Accepted, planned]);
    world.arrive("b", "h3");
    world.call(1, CallState::Returned);
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Settled, MoveState::Accepted]);
}

#[test]
fn a_move_begins_in_its_window_only() {
    let (mut world, mut journal) = (world(), Memory::default());
    let Plan { goal, parent, report, .. } = plan();
    let now = world.now();
    // It takes 3 s, whatever happens.
    let (soon, long) = (now + Span::from_seconds(5), now + Span::from_seconds(60));
    let late = Move {
        not_before: Some(soon),
        ends_before: Some(long),
        ..one_move(Mode::PreCopy, "a", "h2")
    };
    let never = Move {
        ends_before: Some(now + Span::from_seconds(2)),
        ..one_move(Mode::PreCopy, "b", "h3")
    };
    let plan = Plan::seal(goal, parent, report, (AtOnce::new(2, 2), vec![late, never]), Vec::new());
    let settings = EngineSettings::default();
    let mut engine = Engine::start(plan, settings, now, &mut journal).unwrap();
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Planned, MoveState::Skipped]);
    assert!(engine.execution().moves[1].detail.contains("before its window closes"));
    while world.now() < soon {
        assert_eq!(states(&engine)[0], MoveState::Planned);
        ticks(&mut engine, &mut world, &mut journal, 1);
    }
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Accepted, MoveState::Skipped]);
}

#[test]
fn a_move_that_waited_for_its_moment_has_its_whole_patience_left() {
    let (mut world, mut journal) = (world(), Memory::default());
    let Plan { goal, parent, report, .. } = plan();
    let opens = world.now() + Span::from_seconds(90);
    let late = Move { not_before: Some(opens), ..one_move(Mode::PreCopy, "a", "h2") };
    let plan = Plan::seal(goal, parent, report, (AtOnce::new(1, 1), vec![late]), Vec::new());
    let settings = EngineSettings::default();
    let mut engine = Engine::start(plan, settings, world.now(), &mut journal).unwrap();
    // Somebody else migrates it when its moment comes, 90 s after the plan began.
    let job = Some(JobProgress::default());
    world.snapshot.domains.iter_mut().for_each(|domain| domain.job = job);
    while world.now() < opens + Span::from_seconds(20) {
        ticks(&mut engine, &mut world, &mut journal, 1);
    }
    assert_eq!(states(&engine), [MoveState::Planned], "60 s are its time-out");
    world.snapshot.domains.iter_mut().for_each(|domain| domain.job = None);
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Accepted]);
}

#[test]
fn a_failure_stops_only_those_that_wait_for_it() {
    let (mut world, mut journal) = (world(), Memory::default());
    let plan = independent(AtOnce::new(1, 1));
    let settings = EngineSettings::default();
    let mut engine = Engine::start(plan, settings, world.now(), &mut journal).unwrap();
    engine.tick(&mut world, &mut journal).unwrap();
    world.call(0, CallState::Errored("no route to host".to_owned()));
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine), [MoveState::Failed, MoveState::Accepted]);
}

#[test]
fn nothing_more_begins_at_hosts_of_a_machine_that_is_lost() {
    let (mut world, mut journal) = (world(), Memory::default());
    let plan = independent(AtOnce::new(1, 1));
    let settings = EngineSettings::default();
    let mut engine = Engine::start(plan, settings, world.now(), &mut journal).unwrap();
    engine.tick(&mut world, &mut journal).unwrap();
    let mut double = world.domain("a").clone();
    double.host = host("h2");
    world.snapshot.domains.push(double);
    ticks(&mut engine, &mut world, &mut journal, 70);
    assert_eq!(states(&engine), [MoveState::Unknown, MoveState::Skipped]);
    assert!(engine.execution().moves[1].detail.contains("what became of a at h1"));
}

#[test]
fn an_error_is_believed_only_when_the_machine_stays() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    world.call(0, CallState::Errored("client socket is closed".to_owned()));
    ticks(&mut engine, &mut world, &mut journal, 1);
    world.arrive("a", "h2");
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine)[0], MoveState::Settled);
}

#[test]
fn a_failed_move_ends_the_plan_with_its_reason() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    world.call(0, CallState::Errored("no route to host".to_owned()));
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine), [MoveState::Failed, MoveState::Skipped]);
    let execution = engine.execution();
    assert_eq!(execution.moves[0].detail, "no route to host");
    assert!(execution.moves[1].detail.contains("plan again"));
    assert!(execution.ended && !execution.succeeded());
}

#[test]
fn a_refusal_begins_nothing() {
    let (mut world, mut journal) = (world(), Memory::default());
    world.refuses = Some(Refusal::HostUnreachable { host: host("h2") });
    let engine = started(&mut world, &mut journal);
    assert_eq!(states(&engine)[0], MoveState::Refused);
    assert!(world.begun.is_empty());
}

#[test]
fn nothing_begins_that_could_not_be_written_down() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine =
        Engine::start(plan(), EngineSettings::default(), world.now(), &mut journal).unwrap();
    journal.broken = true;
    assert!(engine.tick(&mut world, &mut journal).is_err());
    assert!(world.begun.is_empty());
    journal.broken = false;
    engine.tick(&mut world, &mut journal).unwrap();
    assert_eq!(world.begun.len(), 1);
}

#[test]
fn a_machine_on_two_hosts_is_put_aside() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    let mut double = world.domain("a").clone();
    double.host = host("h2");
    world.snapshot.domains.push(double);
    ticks(&mut engine, &mut world, &mut journal, 70);
    assert_eq!(states(&engine), [MoveState::Unknown, MoveState::Skipped]);
}

#[test]
fn readings_that_disagree_for_a_moment_are_no_split_brain() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    let mut double = world.domain("a").clone();
    double.host = host("h2");
    world.snapshot.domains.push(double);
    ticks(&mut engine, &mut world, &mut journal, 3);
    world.snapshot.domains.remove(0);
    world.call(0, CallState::Returned);
    ticks(&mut engine, &mut world, &mut journal, 8);
    assert_eq!(states(&engine)[0], MoveState::Settled);
}

#[test]
fn a_silent_host_proves_nothing_until_long_after_the_deadline() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    world.snapshot.hosts.get_mut(&host("h1")).unwrap().state = HostState::Unreachable;
    world.call(0, CallState::Errored("connection reset".to_owned()));
    ticks(&mut engine, &mut world, &mut journal, 100);
    assert_eq!(states(&engine)[0], MoveState::Accepted);
    ticks(&mut engine, &mut world, &mut journal, 200);
    assert_eq!(states(&engine)[0], MoveState::Unknown);
}

#[test]
fn what_runs_at_the_source_has_failed_even_when_the_target_is_dead() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    world.snapshot.hosts.get_mut(&host("h2")).unwrap().state = HostState::Unreachable;
    world.call(0, CallState::Errored("connection reset".to_owned()));
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine), [MoveState::Failed, MoveState::Skipped]);
}

#[test]
fn a_time_out_cancels_and_the_observation_decides() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    world.copying("a");
    ticks(&mut engine, &mut world, &mut journal, 122);
    assert_eq!(world.cancelled.len(), 1, "asked once");
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(world.cancelled.len(), 2, "and again when nothing came of it");
    world.domain("a").job = None;
    world.call(0, CallState::Errored("operation aborted".to_owned()));
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine)[0], MoveState::Cancelled);
}

#[test]
fn a_cancel_that_comes_too_late_finds_the_machine_arrived() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    engine.cancel(world.now(), &mut journal).unwrap();
    world.arrive("a", "h2");
    world.call(0, CallState::Returned);
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Skipped]);
}

#[test]
fn another_machine_under_the_same_name_is_not_moved() {
    let (mut world, mut journal) = (world(), Memory::default());
    world.domain("a").uuid = "somebody else".to_owned();
    let engine = started(&mut world, &mut journal);
    assert_eq!(states(&engine)[0], MoveState::Skipped);
    assert!(world.begun.is_empty());
}
