//! Hosts, guests and what guests want over time.
//!
//! Never here: files. Series come in as numbers and are refused where they do not fit together.

use std::cmp::Reverse;

use rand::seq::SliceRandom as _;
use thiserror::Error;
use whimbrel_core::units::{Bytes, MilliCores, Span};

use crate::kernel::Streams;

/// Time between two readings of a guest.
pub const INTERVAL: Span = Span::from_seconds(300);

/// Readings of a guest in a day.
pub const SAMPLES_OF_A_DAY: usize = 288;

/// One host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostSize {
    /// CPU. Above 0.
    pub cpu: MilliCores,
    /// Memory for guests.
    pub memory: Bytes,
}

/// One guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestSize {
    /// CPU that it may use at most.
    pub cpu: MilliCores,
    /// Its memory.
    pub memory: Bytes,
}

/// Hosts, guests and what guests want.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arena {
    pub(super) hosts: Vec<HostSize>,
    pub(super) guests: Vec<GuestSize>,
    /// In millicores, by guest, then reading.
    pub(super) wants: Vec<Vec<u32>>,
    pub(super) samples: usize,
}

/// Why there is no arena.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ArenaError {
    /// Too few of something.
    #[error("{what} (hint: it takes a host, a guest with CPU, and more than a day of readings)")]
    Empty {
        /// What is missing.
        what: &'static str,
    },
    /// Guests have different numbers of readings.
    #[error(
        "guest {guest} has {found} readings, the first has {wanted} \
         (hint: cut all series to the same days)"
    )]
    Uneven {
        /// Position of the guest.
        guest: usize,
        /// Readings that it has.
        found: usize,
        /// Readings that are needed.
        wanted: usize,
    },
    /// The memory of all hosts does not hold all guests.
    #[error("no host has memory left for guest {guest} (hint: give more hosts, or larger ones)")]
    NoRoom {
        /// Position of the guest.
        guest: usize,
    },
}

impl Arena {
    /// Of `hosts` and `guests`, each with what it wants reading by reading, in millicores.
    ///
    /// # Errors
    /// [`ArenaError`].
    pub fn new(
        hosts: Vec<HostSize>,
        guests: Vec<(GuestSize, Vec<u32>)>,
    ) -> Result<Self, ArenaError> {
        let empty = |what| Err(ArenaError::Empty { what });
        if hosts.is_empty() || hosts.iter().any(|host| host.cpu == MilliCores::ZERO) {
            return empty("there is no host, or one without CPU");
        }
        let Some(samples) = guests.first().map(|(_, wants)| wants.len()) else {
            return empty("there is no guest");
        };
        if samples <= SAMPLES_OF_A_DAY {
            return empty("there is no reading after the first day");
        }
        let uneven = guests.iter().position(|(_, wants)| wants.len() != samples);
        if let Some(guest) = uneven {
            let found = guests[guest].1.len();
            return Err(ArenaError::Uneven { guest, found, wanted: samples });
        }
        let (guests, wants) = guests.into_iter().unzip();
        Ok(Self { hosts, guests, wants, samples })
    }

    /// `count` equal hosts that guests use to the part `fill` of their CPU on average and to
    /// `memory_fill` of their memory. Both in 0..=1.
    pub fn equal_hosts(
        count: usize,
        guests: &[(GuestSize, Vec<u32>)],
        fill: f64,
        memory_fill: f64,
    ) -> Vec<HostSize> {
        let mean = |wants: &Vec<u32>| {
            wants.iter().map(|want| f64::from(*want)).sum::<f64>() / wants.len().max(1) as f64
        };
        let cpu: f64 = guests.iter().map(|(_, wants)| mean(wants)).sum();
        let memory: f64 = guests.iter().map(|(size, _)| size.memory.as_f64()).sum();
        let each = |total: f64, fill: f64| {
            (total / count.max(1) as f64 / fill.clamp(0.01, 1.0)).ceil().max(1.0) as u64
        };
        let cores = each(cpu, fill).div_ceil(1000);
        let host = HostSize {
            cpu: MilliCores::cores(cores),
            memory: Bytes::new(each(memory, memory_fill)),
        };
        vec![host; count]
    }

    /// Days after the first.
    pub fn days(&self) -> f64 {
        (self.samples - SAMPLES_OF_A_DAY) as f64 / SAMPLES_OF_A_DAY as f64
    }

    /// Guests in an order that `seed` draws, each on the host with the most memory left: what
    /// schedulers of clouds do by default.
    pub(super) fn placed(&self, seed: u64) -> Result<Vec<u32>, ArenaError> {
        let mut order: Vec<usize> = (0..self.guests.len()).collect();
        order.shuffle(&mut Streams::new(seed).stream("arrivals"));
        let mut free: Vec<u64> = self.hosts.iter().map(|host| host.memory.get()).collect();
        let mut place = vec![0; self.guests.len()];
        for guest in order {
            let most = free.iter().enumerate().max_by_key(|(host, free)| (**free, Reverse(*host)));
            let needed = self.guests[guest].memory.get();
            let host = most.map(|(host, _)| host).filter(|host| free[*host] >= needed);
            let host = host.ok_or(ArenaError::NoRoom { guest })?;
            free[host] -= needed;
            place[guest] = host as u32;
        }
        Ok(place)
    }
}
