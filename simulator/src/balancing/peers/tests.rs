//! What the baselines do, and the name of each.

use super::super::{
    arena::{Arena, GuestSize, HostSize, SAMPLES_OF_A_DAY},
    play::{PlayOptions, play},
};
use super::*;
use whimbrel_core::units::{Bytes, BytesPerSecond, MilliCores};

/// Two hosts of ten cores; guests of which each wants so many millicores all the time, and twice
/// that after the first day.
fn arena(wants: &[u32]) -> Arena {
    let host = HostSize { cpu: MilliCores::cores(10), memory: Bytes::mib(64 * 1024) };
    let size = GuestSize { cpu: MilliCores::cores(10), memory: Bytes::mib(4096) };
    let series = |want: &u32| {
        let mut series = vec![*want; SAMPLES_OF_A_DAY];
        series.extend(vec![want * 2; 20]);
        (size, series)
    };
    Arena::new(vec![host; 2], wants.iter().map(series).collect()).unwrap()
}

fn options() -> PlayOptions {
    PlayOptions {
        seed: 1,
        every: 1,
        overload_above: Share::clamped(0.7),
        bandwidth: BytesPerSecond::mib(1000),
        moves_at_once: 4,
    }
}

#[test]
fn a_name_is_read_as_it_is_written() {
    for (name, peer) in Peer::ALL {
        assert_eq!(name.parse::<Peer>().unwrap(), peer);
        assert_eq!(peer.to_string(), name);
    }
    assert!("drs".parse::<Peer>().unwrap_err().contains("workload-balance"));
}

#[test]
fn each_of_them_relieves_a_host_that_all_heavy_guests_share() {
    let arena = arena(&[1500, 1500, 1200, 1500, 100, 100, 100, 100]);
    // The placement is drawn: a seed where three of the heavy ones, the lightest among them, share
    // a host.
    let shared = (0..1000).find(|seed| arena.placed(*seed).unwrap()[..4] == [0, 0, 0, 1]);
    let options = PlayOptions { seed: shared.unwrap(), ..options() };
    let minutes = |peer: Peer| {
        let mut balancer = peer.balancer(options.overload_above);
        let results = play(&arena, balancer.as_mut(), &options).unwrap();
        (results.overload_host_minutes, results.moves)
    };
    let (idle, none) = minutes(Peer::None);
    assert!(idle > 90.0 && none == 0, "{idle}");
    for (name, peer) in Peer::ALL.into_iter().skip(1) {
        let (busy, moves) = minutes(peer);
        if peer == Peer::Proxmox {
            // Guests are of one size: with memory even, half of its measure hides the CPU.
            assert_eq!(moves, 0);
            continue;
        }
        assert!(busy < idle && moves > 0, "{name}: {busy} of {idle} with {moves}");
    }
}
