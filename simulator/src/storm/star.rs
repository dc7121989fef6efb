//! A storm of drawn migrations among busy guests on a star of hosts.
//!
//! It is the same in both models, so that they can be held against each other and against
//! `SimGrid`.
//!
//! Never here: anything that a storm cannot be without.

use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, BytesPerSecond, GUEST_PAGE, Span, Timestamp},
};

use super::case::{Model, Orders, Storm, StormGuest, StormHost};

/// How large the storm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Star {
    /// Hosts, each with an interface of 10 Gb/s.
    pub hosts: u32,
    /// Guests: the i-th has 1024 + (7919 i mod 7168) MiB, on host i modulo the hosts.
    pub guests: u32,
    /// Migrations.
    pub migrations: u32,
    /// Migrations at a time.
    pub in_flight: u32,
}

/// The first state of the generator that draws the migrations: that of Marsaglia's paper.
const STATE: u64 = 88_172_645_463_325_252;

/// The storm of `star` in `model`: each migration is capped at 1000 MiB/s, each guest writes a
/// fifth of that over nine tenths of its memory, the downtime limit is 30 ms, and a host takes part
/// in one migration at a time. Given up is after an hour, or after 50 rounds without progress.
pub fn star(star: Star, model: Model) -> Storm {
    let Star { hosts, guests, migrations, in_flight } = star;
    let cap = BytesPerSecond::mib(1000);
    let host = StormHost { nic: BytesPerSecond::new(1_250_000_000), rack: None };
    let guest = |number: u32| {
        let memory = Bytes::mib(1024 + u64::from(number) * 7919 % 7168);
        StormGuest {
            host: number.checked_rem(hosts).unwrap_or_default(),
            memory,
            touched: None,
            dirty: writes_round(memory, cap.as_f64() / 5.0),
        }
    };
    Storm {
        hosts: vec![host; hosts as usize],
        uplinks: Vec::new(),
        migration_network: None,
        guests: (0..guests).map(guest).collect(),
        orders: Orders::Drawn { count: migrations, state: STATE },
        in_flight,
        per_host: 1,
        bandwidth_limit: Some(cap),
        downtime_limit: Span::from_millis(30),
        time_out: Span::from_seconds(3600),
        stalled_rounds: Some(50),
        model,
        seed: 0,
    }
}

/// Readings of a guest that goes round in nine tenths of `memory` at `rate` bytes a second.
fn writes_round(memory: Bytes, rate: f64) -> Vec<DirtyReading> {
    let pages = (memory.as_f64() * 0.9 / GUEST_PAGE.as_f64()).floor();
    let unique = Bytes::new((pages * GUEST_PAGE.as_f64()) as u64);
    let reading = |seconds: f64| DirtyReading {
        window: Span::from_seconds_f64(seconds),
        unique,
        measured_at: Timestamp::default(),
    };
    let round = unique.as_f64() / rate;
    vec![reading(round), reading(2.0 * round)]
}
