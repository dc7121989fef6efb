//! The program dies after any record of its journal and starts again.

use super::*;

/// What the world does between two ticks of the whole story.
fn story(world: &mut World, step: usize) {
    match step {
        0 => world.copying("a"),
        2 => {
            world.arrive("a", "h2");
            world.snapshot.orders.iter_mut().for_each(|o| o.call = CallState::Returned);
        }
        8 => world.copying("b"),
        10 => {
            world.arrive("b", "h3");
            world.snapshot.orders.iter_mut().for_each(|o| o.call = CallState::Returned);
        }
        _ => {}
    }
}

/// Runs the story and kills the engine once, as soon as the journal has `records` records.
fn killed_after(records: usize) -> (Engine, World, Memory) {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    let mut killed = false;
    for step in 0..60 {
        if !killed && journal.records.len() >= records {
            killed = true;
            match restarted(&mut world, &journal) {
                Some(recovered) => engine = recovered,
                None => break,
            }
        }
        story(&mut world, step);
        world.pass(TICK);
        engine.tick(&mut world, &mut journal).unwrap();
    }
    (engine, world, journal)
}

#[test]
fn whenever_it_dies_each_machine_moves_once() {
    let (_, _, whole) = killed_after(usize::MAX);
    for records in 1..=whole.records.len() {
        let (engine, world, _) = killed_after(records);
        assert!(engine.ended(), "killed after {records} records: {:?}", states(&engine));
        assert_eq!(states(&engine), [MoveState::Settled; 2], "killed after {records} records");
        assert_eq!(world.begun.len(), 2, "killed after {records} records");
    }
}

#[test]
fn an_intent_that_was_never_asked_has_failed() {
    let (mut world, mut journal) = (world(), Memory::default());
    started(&mut world, &mut journal);
    // The crash came between the intent and the call.
    journal.records.truncate(2);
    let mut engine = restarted(&mut world, &journal).unwrap();
    assert_eq!(states(&engine)[0], MoveState::Intended);
    ticks(&mut engine, &mut world, &mut journal, 10);
    assert_eq!(states(&engine)[0], MoveState::Failed);
    assert_eq!(world.begun.len(), 1, "not asked again");
}

/// a is begun, and its source falls silent for good.
fn silent() -> (World, Memory) {
    let (mut world, mut journal) = (world(), Memory::default());
    started(&mut world, &mut journal);
    world.snapshot.hosts.get_mut(&host("h1")).unwrap().state = HostState::Unreachable;
    (world, journal)
}

#[test]
fn one_that_dies_again_and_again_puts_aside_what_nobody_sees() {
    let (mut world, mut journal) = silent();
    for _ in 0..7 {
        let mut engine = restarted(&mut world, &journal).unwrap();
        assert_eq!(states(&engine)[0], MoveState::Accepted);
        ticks(&mut engine, &mut world, &mut journal, 40);
    }
    assert!(restarted(&mut world, &journal).is_none(), "{:?}", journal.records.last());
}

#[test]
fn a_doubt_is_cut_short_only_where_its_move_is_long_overdue() {
    // Its deadline is tick 120, as much again is tick 240, and its doubt stands for 60 ticks.
    for (away, stands) in [(0, 180), (130, 60), (239, 60), (240, 30)] {
        let (mut world, mut journal) = silent();
        (0..away).for_each(|_| world.pass(TICK));
        let mut engine = restarted(&mut world, &journal).unwrap();
        ticks(&mut engine, &mut world, &mut journal, stands);
        assert_eq!(states(&engine)[0], MoveState::Accepted, "away for {away} ticks");
        ticks(&mut engine, &mut world, &mut journal, 1);
        assert_eq!(states(&engine)[0], MoveState::Unknown, "away for {away} ticks");
    }
}

#[test]
fn no_doubt_is_cut_short_where_nothing_died() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started(&mut world, &mut journal);
    world.copying("a");
    ticks(&mut engine, &mut world, &mut journal, 260);
    world.snapshot.hosts.get_mut(&host("h1")).unwrap().state = HostState::Unreachable;
    ticks(&mut engine, &mut world, &mut journal, 60);
    assert_eq!(states(&engine)[0], MoveState::Copying);
    ticks(&mut engine, &mut world, &mut journal, 1);
    assert_eq!(states(&engine)[0], MoveState::Unknown);
}

#[test]
fn a_finished_journal_has_nothing_to_recover() {
    let (_, _, journal) = killed_after(usize::MAX);
    assert!(Engine::recover(&journal.records, EngineSettings::default()).unwrap().is_none());
}

#[test]
fn a_journal_without_its_plan_is_refused() {
    let (_, _, journal) = killed_after(usize::MAX);
    let damaged = &journal.records[1..];
    assert!(Engine::recover(damaged, EngineSettings::default()).is_err());
}
