//! What the tests across packages and the lab's programs share: the nine guests of the lab, its
//! configuration, and a loop that drives the engine on real hosts.

pub mod drive;
pub mod lab_cluster;
