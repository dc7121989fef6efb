//! Moves in the small world: what they take, and what is counted.

use super::{
    super::arena::{GuestSize, HostSize},
    *,
};
use whimbrel_core::units::MilliCores;

/// Answers what it was given, one list a question.
struct Script(VecDeque<Vec<Step>>);

impl Balancer for Script {
    fn decide(&mut self, seen: &Seen<'_>) -> Vec<Step> {
        assert!(seen.readings(0).len() >= SAMPLES_OF_A_DAY);
        self.0.pop_front().unwrap_or_default()
    }
}

const OPTIONS: PlayOptions = PlayOptions {
    seed: 3,
    every: 1,
    overload_above: Share::ZERO,
    bandwidth: BytesPerSecond::mib(1280),
    moves_at_once: 4,
};

/// Two guests of 32 GiB that want 8 of 10 cores after the first day, one on each of three hosts.
fn arena() -> Arena {
    let host = HostSize { cpu: MilliCores::cores(10), memory: Bytes::mib(96 * 1024) };
    let size = GuestSize { cpu: MilliCores::cores(10), memory: Bytes::mib(32 * 1024) };
    let series = || [vec![1000; SAMPLES_OF_A_DAY], vec![8000; 36]].concat();
    Arena::new(vec![host; 3], vec![(size, series()), (size, series())]).unwrap()
}

fn played(script: &[&[Step]], options: PlayOptions) -> BalanceResults {
    let script = script.iter().map(|steps| steps.to_vec()).collect();
    play(&arena(), &mut Script(script), &options).unwrap()
}

#[test]
fn a_guest_counts_at_its_source_until_its_move_ends() {
    let arena = arena();
    let place = arena.placed(OPTIONS.seed).unwrap();
    assert_ne!(place[0], place[1]);
    let to = place[1] as usize;
    let options = PlayOptions { overload_above: Share::clamped(0.9), ..OPTIONS };
    let results = played(&[&[Step { guest: 0, to }]], options);
    // 34 s for 32 GiB at 1,280 MiB/s with a quarter more, and 2 s; both share a host from then on.
    assert!((results.migration_seconds - 34.0).abs() < 1e-9, "{results:?}");
    let together = 36.0 * 300.0 - 34.0;
    assert!((results.contention_guest_seconds - 6.0 * together).abs() < 1e-6);
    assert!((results.full_host_minutes - together / 60.0).abs() < 1e-9);
    assert!((results.demand_max_share - 1.6).abs() < 1e-12);
}

#[test]
fn who_comes_back_within_an_hour_is_counted_and_later_is_not() {
    let place = arena().placed(OPTIONS.seed).unwrap();
    let (home, third) = (place[0] as usize, 3 - place[0] as usize - place[1] as usize);
    let (there, back) = ([Step { guest: 0, to: third }], [Step { guest: 0, to: home }]);
    let soon = played(&[&there, &[], &back], OPTIONS);
    assert_eq!((soon.moves, soon.moved_back_within_hour, soon.moved_again_within_hour), (2, 1, 1));
    let mut late: Vec<&[Step]> = vec![&[]; 14];
    (late[0], late[13]) = (&there, &back);
    let late = played(&late, OPTIONS);
    assert_eq!((late.moves, late.moved_back_within_hour, late.moved_again_within_hour), (2, 0, 0));
}

#[test]
fn a_host_takes_part_in_one_move_and_memory_is_never_promised_twice() {
    let place = arena().placed(OPTIONS.seed).unwrap();
    let third = 3 - place[0] as usize - place[1] as usize;
    let both = [Step { guest: 0, to: third }, Step { guest: 1, to: third }];
    let results = played(&[&both], OPTIONS);
    assert_eq!((results.moves, results.refused), (2, 0));
    let here = [Step { guest: 0, to: place[0] as usize }];
    let results = played(&[&here], OPTIONS);
    assert_eq!((results.moves, results.refused), (0, 1), "it is there already");
}
