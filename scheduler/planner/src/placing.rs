//! Hosts for machines that have none yet: new ones, those of failed hosts, and those that might
//! still come.
//!
//! A [`Room`] is built once from snapshot and policy and kept up to date by single changes
//! (`room`, with the policy's rules compiled in `rulebook`). Questions never change it: they try on
//! top of it (`trial`) and give back names, figures and reasons (`refusal`). Whether the guests of a
//! host survive its loss is answered by placing their restarts (`survive`).
//!
//! Limits and hard rules always hold. Never here: moves of running machines, which plans are for,
//! and execution.

mod refusal;
mod room;
mod rulebook;
mod survive;
mod trial;

pub use refusal::{Counted, Miss, Refused};
pub use room::{Room, RoomError, Size};
pub use survive::{Loss, Restart, Stranded, Survival, survives};
