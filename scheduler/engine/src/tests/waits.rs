//! Moves whose turn has come and that may not begin yet.

use proptest::{prelude::*, test_runner::RngSeed};

use super::*;

/// Ticks of a life of 20 s: shorter than the moves' time-out of 60 s.
const LIFE: usize = 40;

fn host_of<'a>(world: &'a mut World, name: &str) -> &'a mut Host {
    world.snapshot.hosts.get_mut(&host(name)).unwrap()
}

fn full(world: &mut World, name: &str) {
    host_of(world, name).memory = Bytes::mib(64);
}

/// As a program sees a host that has not answered it yet.
fn unheard(world: &mut World, name: &str) {
    let unheard = host_of(world, name);
    unheard.state = HostState::Unreachable;
    unheard.observed_at = Timestamp::default();
}

#[test]
fn a_move_waits_for_room_and_is_skipped_when_none_comes() {
    let (mut world, mut journal) = (world(), Memory::default());
    full(&mut world, "h2");
    let mut engine = started(&mut world, &mut journal);
    ticks(&mut engine, &mut world, &mut journal, 120);
    assert_eq!(states(&engine)[0], MoveState::Planned);
    assert!(engine.execution().moves[0].detail.contains("room"));
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Skipped, MoveState::Skipped]);
    assert!(world.begun.is_empty());
}

#[test]
fn no_restart_begins_a_wait_anew() {
    let (mut world, mut journal) = (world(), Memory::default());
    full(&mut world, "h2");
    let mut engine = started(&mut world, &mut journal);
    for _ in 0..3 {
        ticks(&mut engine, &mut world, &mut journal, LIFE);
        assert_eq!(journal.records.len(), 1, "waiting writes nothing");
        engine = restarted(&mut world, &journal).unwrap();
    }
    ticks(&mut engine, &mut world, &mut journal, LIFE);
    assert_eq!(states(&engine), [MoveState::Skipped, MoveState::Skipped]);
    assert!(engine.ended());
}

#[test]
fn the_wait_of_a_later_move_begins_with_its_turn() {
    let (mut world, mut journal) = (world(), Memory::default());
    full(&mut world, "h3");
    let mut engine = started(&mut world, &mut journal);
    world.copying("a");
    // The first move takes nearly all of the time that the second may wait.
    ticks(&mut engine, &mut world, &mut journal, 110);
    world.arrive("a", "h2");
    world.call(0, CallState::Returned);
    world.snapshot.orders[0].stats = Some(figures());
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Planned]);
    for _ in 0..2 {
        ticks(&mut engine, &mut world, &mut journal, LIFE);
        engine = restarted(&mut world, &journal).unwrap();
    }
    ticks(&mut engine, &mut world, &mut journal, LIFE);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Planned]);
    ticks(&mut engine, &mut world, &mut journal, 2);
    assert_eq!(states(&engine), [MoveState::Settled, MoveState::Skipped]);
}

#[test]
fn one_that_was_away_for_long_hears_every_host_before_it_gives_up() {
    let (mut world, mut journal) = (world(), Memory::default());
    unheard(&mut world, "h2");
    let mut engine = started(&mut world, &mut journal);
    ticks(&mut engine, &mut world, &mut journal, 10);
    world.pass(Span::from_seconds(600));
    engine = restarted(&mut world, &journal).unwrap();
    ticks(&mut engine, &mut world, &mut journal, 20);
    assert_eq!(states(&engine), [MoveState::Planned, MoveState::Planned]);
    host_of(&mut world, "h2").state = HostState::Up;
    ticks(&mut engine, &mut world, &mut journal, 1);
    assert_eq!(states(&engine), [MoveState::Accepted, MoveState::Planned]);
}

#[test]
fn a_clock_that_was_set_back_does_not_prolong_a_wait() {
    let (mut world, mut journal) = (world(), Memory::default());
    full(&mut world, "h2");
    started(&mut world, &mut journal);
    world.snapshot.taken_at = Timestamp::from_micros(1_000_000);
    let mut engine = restarted(&mut world, &journal).unwrap();
    ticks(&mut engine, &mut world, &mut journal, 123);
    assert_eq!(states(&engine), [MoveState::Skipped, MoveState::Skipped]);
}

/// What keeps a move from its target for a number of ticks; the last of several for good.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Silent,
    Full,
    None,
}

fn troubles() -> impl Strategy<Value = Vec<(usize, Trouble)>> {
    let kind = prop::sample::select(vec![Trouble::Silent, Trouble::Full, Trouble::None]);
    prop::collection::vec((1usize..200, kind), 1..6)
}

/// Applies what `troubles` say of `name` at tick `at`.
fn trouble(world: &mut World, name: &str, troubles: &[(usize, Trouble)], at: usize) {
    let mut end = 0;
    let mut ends = troubles.iter().map(|(lasts, trouble)| {
        end += lasts;
        (end, *trouble)
    });
    let present = ends.find(|(end, _)| at < *end).or(troubles.last().copied());
    let host = host_of(world, name);
    (host.state, host.memory) = match present {
        Some((_, Trouble::Silent)) => (HostState::Unreachable, Bytes::mib(1024)),
        Some((_, Trouble::Full)) => (HostState::Up, Bytes::mib(64)),
        _ => (HostState::Up, Bytes::mib(1024)),
    };
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Each life is longer than `freshness`, if only a little; each absence at most two minutes.
    #[test]
    fn however_often_it_dies_the_plan_ends(
        of_h2 in troubles(),
        of_h3 in troubles(),
        lives in prop::collection::vec((33usize..140, 0usize..240), 1..8),
        begun_before_the_source_falls_silent in 0usize..4,
    ) {
        let (mut world, mut journal) = (world(), Memory::default());
        let mut engine = None;
        let mut lives = lives.iter().cycle();
        let (mut dies, mut returns) = (0, 0);
        // A move is skipped one time-out, one absence and one look after its turn, or it has begun
        // by then. Where nobody sees what became of it, it is put aside two time-outs, one grace,
        // one absence and one look later; what arrives is settled sooner.
        let bound = 2 * (120 + 240 + 33 + 2 * 120 + 60 + 240 + 33);
        for tick in 0..bound {
            // A target that took its guest keeps well.
            let waits = [("h2", &of_h2), ("h3", &of_h3)].into_iter().skip(world.begun.len());
            waits.for_each(|(name, troubles)| trouble(&mut world, name, troubles, tick));
            world.pass(TICK);
            if tick == dies {
                engine = None;
                let (life, away) = lives.next().copied().unwrap();
                (returns, dies) = (tick + away, tick + away + life);
            }
            if tick == returns {
                engine = Some(if journal.records.is_empty() {
                    let now = world.now();
                    Engine::start(plan(), EngineSettings::default(), now, &mut journal).unwrap()
                } else {
                    restarted(&mut world, &journal).unwrap()
                });
            }
            let Some(engine) = &mut engine else { continue };
            engine.tick(&mut world, &mut journal).unwrap();
            if engine.ended() {
                return Ok(());
            }
            if world.begun.len() >= begun_before_the_source_falls_silent {
                host_of(&mut world, "h1").state = HostState::Unreachable;
                continue;
            }
            // What was begun arrives at once.
            for (vm, to) in [("a", "h2"), ("b", "h3")].into_iter().take(world.begun.len()) {
                world.arrive(vm, to);
            }
            world.snapshot.orders.iter_mut().for_each(|order| order.call = CallState::Returned);
        }
        prop_assert!(false, "{:?}", journal.records);
    }
}
