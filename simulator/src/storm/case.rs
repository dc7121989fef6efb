//! What a storm is made of.
//!
//! Never here: what happens in it.

use serde::{Deserialize, Serialize};
use thiserror::Error;
use whimbrel_core::{
    cluster::DirtyReading,
    units::{Bytes, BytesPerSecond, Span},
};

use super::rounds::SimGrid;
use crate::{
    network::routes::Between,
    physics::{Physics, PhysicsError},
};

/// Hosts, guests, and the migrations that are wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storm {
    /// Hosts, by position.
    pub hosts: Vec<StormHost>,
    /// What the uplink of each rack carries in each direction, payload.
    pub uplinks: Vec<BytesPerSecond>,
    /// What all migrations together may take of their network, payload; `None` for no limit.
    pub migration_network: Option<BytesPerSecond>,
    /// Guests, by position.
    pub guests: Vec<StormGuest>,
    /// What is to be migrated.
    pub orders: Orders,
    /// Most migrations at a time. Range: 1 or more.
    pub in_flight: u32,
    /// Most migrations at a time that leave or enter one host. Range: 1 or more.
    pub per_host: u32,
    /// Cap of each migration; `None` for none.
    pub bandwidth_limit: Option<BytesPerSecond>,
    /// Most that a guest may stand still for its last pages, by estimate.
    pub downtime_limit: Span,
    /// A migration that has not stopped its guest after so long is given up. Range: above 0.
    pub time_out: Span,
    /// A migration is given up when so many rounds in a row left no less to send than one before
    /// them did; `None` leaves it to the time-out. Range: 1 or more.
    pub stalled_rounds: Option<u32>,
    /// How a migration copies.
    pub model: Model,
    /// Seed of everything that is drawn but the orders.
    pub seed: u64,
}

/// A host as migrations see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormHost {
    /// What its interface carries in each direction, payload. Range: above 0.
    pub nic: BytesPerSecond,
    /// Its rack: a position among the uplinks; `None` for a host that needs none.
    pub rack: Option<u32>,
}

/// A guest as migrations see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StormGuest {
    /// Where it begins.
    pub host: u32,
    /// Its memory.
    pub memory: Bytes,
    /// Memory with content; `None` for all of it.
    pub touched: Option<Bytes>,
    /// Distinct memory that it writes within windows; empty where it was never measured.
    pub dirty: Vec<DirtyReading>,
}

/// A migration that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// Which guest.
    pub guest: u32,
    /// Where to.
    pub to: u32,
}

/// What is to be migrated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Orders {
    /// These, the earlier first; one that must wait for its host or guest keeps none waiting that
    /// need not.
    Listed(Vec<Move>),
    /// As many, each drawn when another may begin: a guest until one may leave its host, then a
    /// host until one may take it. The generator is xorshift64 (Marsaglia, "Xorshift RNGs",
    /// *Journal of Statistical Software* 8(14), 2003).
    Drawn {
        /// How many.
        count: u32,
        /// The generator's first state; 0 is none and is taken as 1.
        state: u64,
    },
}

/// How a migration copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum Model {
    /// As QEMU's pre-copy does, on each guest's own page classes.
    Qemu(Box<Physics>),
    /// As `SimGrid`'s live-migration plugin does.
    SimGrid(SimGrid),
}

/// A storm that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StormError {
    /// Something is named that there is not.
    #[error("{place} {position} names {what} {id}, but there are {count} (hint: count from 0)")]
    Unknown {
        /// Where it is named.
        place: &'static str,
        /// Which one of those, from 0.
        position: usize,
        /// What is named.
        what: &'static str,
        /// Its number.
        id: u32,
        /// How many there are.
        count: usize,
    },
    /// A value is out of its range.
    #[error("{key} is {value} (hint: {key} takes {range})")]
    OutOfRange {
        /// Which.
        key: &'static str,
        /// What it is.
        value: String,
        /// What is accepted.
        range: &'static str,
    },
    /// A physical constant is out of its range.
    #[error(transparent)]
    Physics(#[from] PhysicsError),
}

/// Most of anything: positions are numbered with 32 bits, links take two each.
const MOST: usize = 1 << 30;

impl Storm {
    /// Whether everything is in its range and everybody who is named exists.
    ///
    /// # Errors
    /// [`StormError`] for the first that is not.
    pub fn check(&self) -> Result<(), StormError> {
        self.check_ranges()?;
        match &self.model {
            Model::Qemu(physics) => physics.check_ranges()?,
            Model::SimGrid(simgrid) => simgrid.check()?,
        }
        let known = |place, position, what, id: u32, count: usize| {
            let known = (id as usize) < count;
            let unknown = StormError::Unknown { place, position, what, id, count };
            known.then_some(()).ok_or(unknown)
        };
        let (hosts, guests) = (self.hosts.len(), self.guests.len());
        for (position, host) in self.hosts.iter().enumerate() {
            if let Some(rack) = host.rack {
                known("host", position, "rack", rack, self.uplinks.len())?;
            }
        }
        for (position, guest) in self.guests.iter().enumerate() {
            known("guest", position, "host", guest.host, hosts)?;
        }
        if let Orders::Listed(moves) = &self.orders {
            for (position, one) in moves.iter().enumerate() {
                known("move", position, "guest", one.guest, guests)?;
                known("move", position, "host", one.to, hosts)?;
            }
        }
        Ok(())
    }

    fn check_ranges(&self) -> Result<(), StormError> {
        let moves = match &self.orders {
            Orders::Listed(moves) => moves.len(),
            Orders::Drawn { .. } => 0,
        };
        let carries = |size: &BytesPerSecond| size.get() > 0;
        let nics = self.hosts.iter().map(|host| &host.nic).all(carries);
        let network = self.migration_network.as_ref().is_none_or(carries);
        let uplinks = self.uplinks.iter().all(carries);
        let some = "1 or more";
        let rules = [
            ("number of hosts", self.hosts.len(), (1..=MOST).contains(&self.hosts.len()), some),
            ("number of uplinks", self.uplinks.len(), self.uplinks.len() <= MOST, "at most 2^30"),
            ("number of guests", self.guests.len(), self.guests.len() <= MOST, "at most 2^30"),
            ("number of moves", moves, moves <= MOST, "at most 2^30"),
            ("in_flight", self.in_flight as usize, self.in_flight > 0, some),
            ("per_host", self.per_host as usize, self.per_host > 0, some),
            ("least nic", 0, nics, "more than 0 B/s for every host"),
            ("least uplink", 0, uplinks, "more than 0 B/s for every rack"),
            ("migration_network", 0, network, "more than 0 B/s"),
            (
                "bandwidth_limit",
                0,
                self.bandwidth_limit.is_none_or(|b| carries(&b)),
                "more than 0 B/s",
            ),
            ("time_out", 0, self.time_out > Span::ZERO, "more than 0 s"),
            ("stalled_rounds", 0, self.stalled_rounds.is_none_or(|rounds| rounds > 0), some),
        ];
        let wrong = rules.into_iter().find(|(_, _, holds, _)| !holds);
        wrong.map_or(Ok(()), |(key, value, _, range)| {
            Err(StormError::OutOfRange { key, value: value.to_string(), range })
        })
    }

    /// Interfaces in bytes a second, and what is between them.
    pub(super) fn links(&self) -> (Vec<f64>, Between) {
        let factor = match &self.model {
            Model::Qemu(_) => 1.0,
            Model::SimGrid(simgrid) => simgrid.bandwidth_factor,
        };
        let carries = |size: BytesPerSecond| size.as_f64() * factor;
        let nics = self.hosts.iter().map(|host| carries(host.nic)).collect();
        let between = Between {
            rack_of: self.hosts.iter().map(|host| host.rack).collect(),
            uplinks: self.uplinks.iter().copied().map(carries).collect(),
            total: self.migration_network.map(carries),
        };
        (nics, between)
    }

    /// What each migration takes at most, bytes a second.
    pub(super) fn cap(&self) -> f64 {
        self.bandwidth_limit.map_or(f64::INFINITY, BytesPerSecond::as_f64)
    }
}
