//! Balancers side by side on a trace: who moves how much, and what guests have of it.
//!
//! Hosts have CPU and memory, guests follow a trace every five minutes, and a [`Balancer`] is asked
//! again and again what to move. A move takes its time by the guest's memory; until it ends the
//! guest runs at its source and holds memory at both ends. Nothing is switched off, and no guest
//! comes or goes: what is told is how much a policy moves, whether it takes back what it did, and
//! how long hosts are too hot.
//!
//! ```text
//! arena (what there is) -> play (time, moves, what is counted) -> results
//!                          seen (what a balancer may know) -> peers, or a balancer from outside
//! ```
//!
//! A balancer sees finished readings alone: at 10:05 the newest one is the mean of 10:00 to 10:05.
//! The first day is for that: nobody is asked, and nothing is counted.
//!
//! Never here: dirty pages, shared links, energy (see [`crate::cluster`], [`crate::storm`] and
//! [`crate::consolidation`]).

mod arena;
mod peers;
mod play;
mod results;
mod seen;

pub use arena::{Arena, ArenaError, GuestSize, HostSize, INTERVAL, SAMPLES_OF_A_DAY};
pub use peers::Peer;
pub use play::{PlayOptions, play};
pub use results::BalanceResults;
pub use seen::{Balancer, Seen, Step};
