//! Hosts for machines that have none yet: new ones, those of failed hosts, and those that might
//! still come.
//!
//! A [`Room`] is built once from snapshot and policy and kept up to date by single changes
//! (`room`, with the policy's rules compiled in `rulebook`, and what hosts lack
//! otherwise in `facts`). Questions never change it: they try on
//! top of it (`trial`, and `seats` for several at once) by one measure (`score`), and give back
//! names, figures and reasons (`refusal`). [`place`] finds hosts for new machines, [`rescue`] for
//! those of failed hosts, [`capacity`] counts how many more would fit. Whether the guests of a host
//! survive its loss is answered by placing their restarts (`survive`).
//!
//! Limits and hard rules always hold. Never here: moves of running machines, which plans are for,
//! and execution.

mod ask;
mod capacity;
mod facts;
mod place;
mod refusal;
mod rescue;
mod room;
mod rulebook;
mod score;
mod seats;
mod size;
mod survive;
mod trial;

pub use ask::PlacingFailure;
pub use capacity::{Capacity, CapacityRequest, Fit, Flavour, Stop, capacity};
pub use place::{Batch, Candidate, NewVm, Placed, Placement, Unplaced, place};
pub use refusal::{Counted, Miss, Refused};
pub use rescue::{Emergency, Rescue, RescueRequest, Restarted, Unrescued, rescue};
pub use room::{Room, RoomError};
pub use size::Size;
pub use survive::{Loss, Restart, Stranded, Survival, survives};
