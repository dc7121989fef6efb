//! Balancers that go by what is now, written anew in outline from what others document: baselines,
//! not those programs.
//!
//! Never here: the past, or what a move costs.

mod draft;
mod even;
mod greedy;
mod workload;

use std::{fmt, str::FromStr};

use whimbrel_core::units::Share;

use super::seen::{Balancer, Seen, Step};
use even::Even;
use greedy::Greedy;
use workload::Workload;

/// A baseline by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// `none`: nothing moves.
    None,
    /// `threshold`: hosts above the threshold give up guests, least memory first, to the coolest
    /// host, until they are below: the usual rule of descheduler-like programs.
    Threshold,
    /// `workload-balance`: as `OpenStack` Watcher's strategy of that name.
    WorkloadBalance,
    /// `proxmox`: as the balancer of Proxmox VE.
    Proxmox,
    /// `deviation`: as `VMware`'s DRS before version 7 in outline: the standard deviation of hosts'
    /// loads is brought down by the best move again and again.
    Deviation,
}

impl Peer {
    /// All of them by name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("none", Self::None),
        ("threshold", Self::Threshold),
        ("workload-balance", Self::WorkloadBalance),
        ("proxmox", Self::Proxmox),
        ("deviation", Self::Deviation),
    ];

    /// It at work, where hosts above `overload_above` are too hot.
    pub fn balancer(self, overload_above: Share) -> Box<dyn Balancer> {
        match self {
            Self::None => Box::new(Still),
            Self::Threshold => Box::new(Greedy { part: overload_above.get() }),
            Self::WorkloadBalance => Box::new(Workload { part: overload_above.get() }),
            Self::Proxmox => Box::new(Even::PROXMOX),
            Self::Deviation => Box::new(Even::DEVIATION),
        }
    }
}

impl FromStr for Peer {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, peer)| *peer);
        found.ok_or_else(|| {
            let known = Self::ALL.map(|(name, _)| name).join(", ");
            format!("there is no balancer {name:?} (hint: known are whimbrel, {known})")
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = Self::ALL.iter().find(|(_, peer)| peer == self);
        out.write_str(found.map_or("", |(name, _)| name))
    }
}

/// Moves nothing, ever.
struct Still;

impl Balancer for Still {
    fn decide(&mut self, _: &Seen<'_>) -> Vec<Step> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
