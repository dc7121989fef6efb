//! What of the simulator is measured, at which sizes.

use std::error::Error;

use whimbrel_simulator::{
    consolidation::{Policy, Setup, study},
    storm::{self, Model, Star, star},
};

use super::demand::day;

/// Work on an input that is there.
pub(super) type Work = Box<dyn Fn() -> Result<(), Box<dyn Error>>>;

/// What is measured.
#[derive(Debug)]
pub struct Subject {
    /// In a few words.
    pub name: &'static str,
    /// What its size counts.
    pub counts: &'static str,
    /// Sizes, rising.
    pub sizes: &'static [u32],
    /// Makes the input of a size.
    pub prepare: fn(u32) -> Result<Work, Box<dyn Error>>,
}

const HOSTS: &str = "hosts";
const GUESTS: &str = "VMs per host, 1,000 hosts";
const MIGRATIONS: &str = "migrations";

const FLEETS: &[u32] = &[1000, 2000, 5000, 10_000, 20_000];
const DENSITIES: &[u32] = &[2, 4, 8, 16];

/// Everything of the simulator that is measured.
pub static SUBJECTS: [Subject; 6] = [
    Subject {
        name: "a day of 10 VMs a host, left alone",
        counts: HOSTS,
        sizes: FLEETS,
        prepare: |hosts| consolidation(hosts, 10, Policy::None),
    },
    Subject {
        name: "a day of 10 VMs a host, our policy",
        counts: HOSTS,
        sizes: FLEETS,
        prepare: |hosts| consolidation(hosts, 10, Policy::Whimbrel),
    },
    Subject {
        name: "a storm of 10 migrations a host",
        counts: HOSTS,
        sizes: FLEETS,
        prepare: |hosts| {
            storm_of(Star {
                hosts,
                guests: hosts.saturating_mul(5),
                migrations: hosts.saturating_mul(10),
                in_flight: hosts / 4,
            })
        },
    },
    Subject {
        name: "a day, left alone",
        counts: GUESTS,
        sizes: DENSITIES,
        prepare: |guests| consolidation(1000, guests, Policy::None),
    },
    Subject {
        name: "a day, our policy",
        counts: GUESTS,
        sizes: DENSITIES,
        prepare: |guests| consolidation(1000, guests, Policy::Whimbrel),
    },
    Subject {
        name: "a storm among 1,000 VMs, 50 at a time",
        counts: MIGRATIONS,
        sizes: &[1000, 3000, 10_000, 30_000, 100_000],
        prepare: |migrations| {
            storm_of(Star { hosts: 200, guests: 1000, migrations, in_flight: 50 })
        },
    },
];

/// Consolidation of `per_host` guests on each host over a day, every five minutes.
fn consolidation(hosts: u32, per_host: u32, policy: Policy) -> Result<Work, Box<dyn Error>> {
    let guests = hosts.saturating_mul(per_host) as usize;
    let setup = Setup::scaled(hosts as usize, guests, &day(), 1)?;
    Ok(Box::new(move || {
        study(&setup, &policy, 1)?;
        Ok(())
    }))
}

fn storm_of(size: Star) -> Result<Work, Box<dyn Error>> {
    let crowd = star(size, Model::Qemu(Box::default()));
    crowd.check()?;
    Ok(Box::new(move || {
        storm::run(&crowd)?;
        Ok(())
    }))
}
