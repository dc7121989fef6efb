//! Many hosts and guests at a time: where guests fit, and what becomes of a trace of them.
//!
//! ```text
//! lives -> arrivals (who comes, waits, leaves) -> room (which host) -> ordered | maxima (indices)
//! ```
//!
//! Never here: what a migration does (`copy`, `storm`), or the engine's seam (`cluster`).

mod arrivals;
mod maxima;
mod ordered;
mod room;

pub use arrivals::{Filling, Fleet, FleetError, fill};
pub use room::{Fit, Rooms};
