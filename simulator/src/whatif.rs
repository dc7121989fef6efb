//! "What if": a cluster and its recorded series changed as a question says, and what is judged of
//! the result without a planner.
//!
//! Data flow: [`Changes`] are applied to a snapshot and its replay, which gives [`Changed`]; a
//! [`Room`] knows what hosts may still take under a policy and finds places for guests;
//! [`losses`] asks it what the loss of each host would strand, [`Headroom`] what is free. A
//! [`Trial`] is what one simulated run came to, a [`Spread`] what many did.
//!
//! Never here: planning, predicting, files, threads, or a change of what was observed: every
//! function takes values and gives values.

mod apply;
mod change;
mod grow;
mod loss;
mod room;
#[cfg(test)]
mod tests;
mod trial;

pub use apply::{Changed, moved};
pub use change::{
    AddLike, AddRack, ChangeError, Changes, Growth, HOSTS_MAX, Loss, NewHost, Percent, Resize,
};
pub use loss::{Headroom, HostLoss, HostUse, losses};
pub use room::{Homeless, Packed, Room};
pub use trial::{HostSpread, HostTrial, Spread, Trial};
