//! Hosts for machines that have none: against trying everything on tiny clusters, and what every
//! answer must keep.

mod answers;
mod counted;
mod judge;
mod refused;
mod rescued;
