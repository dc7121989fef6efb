//! Machines that run at their target before all of their memory is there.

use whimbrel_core::settings::QemuVersion;

use super::*;

/// a has switched: it runs on h2, and h1 sends the rest.
fn switch(world: &mut World) {
    let mut there = world.domain("a").clone();
    there.host = host("h2");
    world.copying("a");
    world.domain("a").state = DomainState::Outgoing;
    world.snapshot.domains.push(there);
}

/// The rest has arrived.
fn follow(world: &mut World) {
    world.snapshot.domains.retain(|d| d.state != DomainState::Outgoing);
    world.call(0, CallState::Returned);
    world.snapshot.orders[0].stats = Some(figures());
}

fn switched() -> (Engine, World, Memory) {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started_in(Mode::PostCopy, &mut world, &mut journal);
    switch(&mut world);
    ticks(&mut engine, &mut world, &mut journal, 1);
    (engine, world, journal)
}

#[test]
fn it_has_arrived_when_all_of_it_has() {
    let (mut engine, mut world, mut journal) = switched();
    ticks(&mut engine, &mut world, &mut journal, 20);
    assert_eq!(states(&engine), [MoveState::Copying, MoveState::Planned]);
    // For a moment nobody knows of a job.
    world.domain("a").job = None;
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine)[0], MoveState::Copying);
    follow(&mut world);
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Accepted]);
    assert_eq!(engine.execution().records[0].stats, Some(figures()));
}

#[test]
fn there_is_no_way_back() {
    let (mut engine, mut world, mut journal) = switched();
    // Its time-out is 60 s.
    ticks(&mut engine, &mut world, &mut journal, 140);
    engine.cancel(world.now(), &mut journal).unwrap();
    ticks(&mut engine, &mut world, &mut journal, 20);
    assert_eq!(world.cancelled, [], "that would destroy it");
    assert_eq!(states(&engine)[0], MoveState::Copying);
    assert!(engine.execution().moves[0].detail.contains("must follow"));
    follow(&mut world);
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Skipped]);
}

#[test]
fn before_the_switch_it_can_be_cancelled() {
    let (mut world, mut journal) = (world(), Memory::default());
    let mut engine = started_in(Mode::PostCopy, &mut world, &mut journal);
    world.copying("a");
    engine.cancel(world.now(), &mut journal).unwrap();
    ticks(&mut engine, &mut world, &mut journal, 1);
    assert_eq!(world.cancelled.len(), 1);
}

#[test]
fn a_broken_one_is_put_aside_for_a_human() {
    let (mut engine, mut world, mut journal) = switched();
    for domain in world.snapshot.domains.iter_mut().filter(|d| d.vm.as_str() == "a") {
        domain.state = DomainState::PostCopyFailed;
    }
    world.call(0, CallState::Errored("client socket is closed".to_owned()));
    engine.cancel(world.now(), &mut journal).unwrap();
    ticks(&mut engine, &mut world, &mut journal, 70);
    assert_eq!(states(&engine)[0], MoveState::Unknown);
    assert_eq!(world.cancelled, []);
}

#[test]
fn a_rest_that_nobody_sends_is_put_aside_for_a_human() {
    let (mut engine, mut world, mut journal) = switched();
    world.domain("a").job = None;
    world.call(0, CallState::Errored("client socket is closed".to_owned()));
    ticks(&mut engine, &mut world, &mut journal, 50);
    assert_eq!(states(&engine)[0], MoveState::Copying);
    ticks(&mut engine, &mut world, &mut journal, 20);
    assert_eq!(states(&engine)[0], MoveState::Unknown);
    assert!(engine.execution().moves[0].detail.contains("nothing sends the rest"));
}

#[test]
fn records_tell_what_was_known_before_also_after_a_crash() {
    let (mut world, mut journal) = (world(), Memory::default());
    world.domain("a").cpu_used = Some(MilliCores::new(300));
    for (name, minor) in [("h1", 1), ("h2", 0)] {
        let seen = world.snapshot.hosts.get_mut(&host(name)).unwrap();
        seen.qemu = Some(QemuVersion::new(10, minor));
        seen.migration_bandwidth = Some(BytesPerSecond::mib(50));
    }
    started(&mut world, &mut journal);
    // The figures are those from before the start, whatever the world is like afterwards.
    world.snapshot.hosts.get_mut(&host("h1")).unwrap().migration_bandwidth = None;
    let mut engine = Engine::recover(&journal.records, EngineSettings::default()).unwrap().unwrap();
    world.arrive("a", "h2");
    world.call(0, CallState::Returned);
    ticks(&mut engine, &mut world, &mut journal, 10);
    let record = &engine.execution().records[0];
    assert_eq!(record.cpu_used, Some(MilliCores::new(300)));
    assert_eq!(record.path_bandwidth, Some(BytesPerSecond::mib(50)));
    assert_eq!(record.qemu, Some(QemuVersion::new(10, 0)));
}
