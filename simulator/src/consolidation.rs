//! The consolidation study of `CloudSim`, to the last digit, for comparing policies with it.
//!
//! `CloudSim`'s power package with `PlanetLab`'s demand (Beloglazov and Buyya, CCPE 2012) is what
//! policies have been compared on for a decade. This is its model, written anew from what its
//! release 3.0.3 does: guests with one core and a demand for computing alone, hosts that ration
//! when more is wanted than there is, a decision every five minutes, migrations that take the
//! guest's memory over half the network interface and cost a tenth of the guest's work. It has no
//! dirty pages, no links that are shared, no downtime: what it says of migrations is a count.
//!
//! Data flow: a [`Setup`] has hosts, guests and their demand; [`study`] steps through it with a
//! [`Policy`] and returns what that cost as [`Results`].
//!
//! ```text
//! setup, kinds (what there is) -> settle (the beginning) -> run (time: guest, host, account)
//! policy (names) -> decision (what it sees and answers): reference, peers, whimbrel
//! ```
//!
//! Every policy starts from the same placement (THR by its own threshold) and is counted alike; sums
//! are added in the reference's order where the last bit may decide. Memory and bandwidth bind at the
//! beginning only, as in the reference: its guests ask for none later.
//!
//! Never here: the rest of this package's world, and figures that were not computed.

mod account;
mod decision;
mod guest;
mod hash_order;
mod host;
mod kinds;
mod peers;
mod policy;
mod reference;
mod results;
mod run;
mod settle;
mod setup;
mod whimbrel;

pub use policy::{Policy, UnknownPolicy};
pub use reference::{Overload, Rules, Selection};
pub use results::Results;
pub use run::{StudyError, study};
pub use setup::{INTERVAL_SECONDS, LARGE_TIMES, Setup, SetupError};
