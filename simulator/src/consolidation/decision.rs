//! What a policy sees when it decides, and what it answers.
//!
//! A policy sees the past and the present alone: what guests want now and wanted before. Never here:
//! what they will want.

use super::{guest::Guests, host::Host, setup::Setup};

/// A guest and the host that it goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) guest: u32,
    pub(super) to: u32,
}

/// The present.
#[derive(Debug, Clone, Copy)]
pub(super) struct Situation<'a> {
    pub(super) setup: &'a Setup,
    pub(super) hosts: &'a [Host],
    pub(super) guests: &'a Guests,
    /// Hosts that run or have just been switched off, in order.
    pub(super) awake: &'a [u32],
}

/// Decides every five minutes what is moved.
pub(super) trait Decides {
    /// Moves to begin now. No guest migrates when it is asked.
    fn decide(&mut self, now: &Situation<'_>) -> Vec<Step>;
}

/// Moves nothing, ever.
pub(super) struct Still;

impl Decides for Still {
    fn decide(&mut self, _: &Situation<'_>) -> Vec<Step> {
        Vec::new()
    }
}

/// Small worlds for policies' tests.
#[cfg(test)]
pub(super) mod worlds {
    use super::*;

    /// Hosts of the study's two kinds, the smaller one first, with guests as given.
    pub(in super::super) struct World {
        setup: Setup,
        hosts: Vec<Host>,
        pub(in super::super) guests: Guests,
        awake: Vec<u32>,
    }

    impl World {
        /// `hosts` hosts in turn of the smaller and the larger kind; guests by kind, host and the
        /// share of their virtual core that they want.
        pub(in super::super) fn new(hosts: usize, guests: &[(usize, u32, f64)]) -> Self {
            let mut setup = Setup::planetlab(hosts, &vec![vec![0]; guests.len()]).unwrap();
            setup.guests = guests.iter().map(|(kind, _, _)| *kind).collect();
            let mut all = Guests::new(&setup);
            let mut hosts: Vec<Host> =
                setup.hosts.iter().map(|kind| Host::new(*kind, &setup.host_kinds[*kind])).collect();
            for (number, (_, host, share)) in guests.iter().enumerate() {
                let guest = all.of_mut(number as u32);
                guest.wants = guest.mips * share;
                guest.host = Some(*host);
                hosts[*host as usize].guests.push(number as u32);
            }
            let awake = (0..hosts.len() as u32).collect();
            Self { setup, hosts, guests: all, awake }
        }

        pub(in super::super) fn now(&self) -> Situation<'_> {
            let Self { setup, hosts, guests, awake } = self;
            Situation { setup, hosts, guests, awake }
        }
    }
}
