//! A campaign: a thousand migrations of guests whose behaviour is drawn from a seed, recorded on
//! real hosts.
//!
//! What happens is decided before anything runs: [`behaviours`] draws the guests and who of them
//! teaches and who judges, [`settings`] how each of their migrations is done. [`recorder`] does
//! what is drawn; [`ledger`] knows what is done, so that a campaign that was stopped goes on where
//! it was. Only hosts, their links and the moment are left to chance, and are recorded; of rows
//! that are alike the first alone, whom [`repeats`] lets the others follow. [`cases`] reads what was
//! recorded for the simulator, and [`fidelity`] judges it.
//!
//! Never here: a prediction, or a choice that depends on how an earlier migration went.

pub mod behaviours;
pub mod cases;
pub mod error;
pub mod fidelity;
pub mod flight;
pub mod guests;
pub mod ledger;
pub mod link;
pub mod machine;
pub mod probe;
pub mod recorder;
pub mod repeats;
pub mod report;
pub mod settings;
